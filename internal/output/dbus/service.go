package dbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/godbus/dbus/v5"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/proc/act"
)

// Source is where the service knows from what it reports.
type Source struct {
	State func(context.Context) (*api.Status, error) // of everything
	// Events returns what has happened after the event with the number id, and what is
	// closed when there is more.
	Events func(id uint64) ([]history.Event, <-chan struct{})
}

// Service is keepalived on the bus.
type Service struct {
	settings conf.DBus
	from     Source
	tree     tree

	conn    *dbus.Conn
	all     objects
	at      time.Time // of the state that all is of
	reloads int       // of its configuration
	last    uint64    // number of the last event that was reported
	known   time.Time // of which the states were that were introduced last
}

// New makes a service that does not run yet. Clients have acts done by do: the policy of
// the bus decides who may; that in packaging/dbus allows root alone.
func New(settings conf.DBus, from Source, do func(context.Context, *act.Act) ([]byte, error)) *Service {
	return &Service{settings: settings, from: from, tree: tree{do: do}}
}

// ErrStopping is the cause of the end of a service because the daemon stops.
var ErrStopping = errors.New("keepalived stops")

// A bus that is not there is looked for again after firstWait, and less and less often.
const firstWait, lastWait = time.Second, 15 * time.Second

// Run serves until ctx ends. Without a bus it waits for one.
func (s *Service) Run(ctx context.Context) {
	logged := ""
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		err := s.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if s.conn != nil {
			wait, logged = firstWait, ""
		}
		if err.Error() != logged {
			slog.Warn(fmt.Sprintf("DBus: %v; trying again", err))
			logged = err.Error()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// serve connects to the bus, and reports until the connection or ctx ends. Afterwards
// s.conn is set if the name was ours.
func (s *Service) serve(ctx context.Context) error {
	s.conn = nil
	conn, err := dbus.ConnectSystemBus(dbus.WithHandler(&s.tree))
	if err != nil {
		return err
	}
	defer conn.Close()
	events, _ := s.from.Events(0)
	if n := len(events); n > 0 {
		s.last = events[n-1].ID
	}
	state, err := s.settled(ctx)
	if err != nil {
		return err
	}
	s.take(state)
	switch reply, err := conn.RequestName(s.settings.ServiceName, dbus.NameFlagDoNotQueue); {
	case err != nil:
		return err
	case reply != dbus.RequestNameReplyPrimaryOwner:
		return fmt.Errorf("another program has the name %s", s.settings.ServiceName)
	}
	slog.Info("Acquired DBus bus " + s.settings.ServiceName)
	s.conn = conn
	s.tree.serve(conn)
	err = s.introduce()
	for err == nil {
		events, more := s.from.Events(s.last)
		if err = s.report(ctx, events); err != nil {
			break
		}
		select {
		case <-ctx.Done():
			return s.leave(context.Cause(ctx))
		case <-conn.Context().Done():
			return errors.New("the connection has ended")
		case <-more:
		}
	}
	return err
}

// settled is the state of the daemon when no reload is on its way.
func (s *Service) settled(ctx context.Context) (*api.Status, error) {
	for {
		state, err := s.from.State(ctx)
		if err != nil || !state.Configuration.Reloading {
			return state, err
		}
	}
}

// take makes the objects those of a state.
func (s *Service) take(state *api.Status) {
	before := s.all.byName
	s.all, s.reloads = objectsOf(state, s.settings.NoInterface), state.Configuration.Reloads
	if state.VRRP != nil {
		s.at = state.VRRP.At
	}
	for _, r := range s.all.routers {
		if had := before[r.name]; had != nil && had.path == r.path {
			r.known = had.known
		}
	}
	s.tree.set(s.all)
}

// introduce reports that there are virtual routers, and their states.
func (s *Service) introduce() error {
	s.known = s.at
	err := s.conn.Emit(s.all.root, vrrpInterface+".VrrpStarted")
	for _, r := range s.all.routers {
		r.known = r.since
		err = errors.Join(err, s.enters(r, r.state))
	}
	return err
}

// enters reports the state of a virtual router.
func (s *Service) enters(r *router, state string) error {
	s.tree.enter(r, state)
	return s.conn.Emit(r.path, instanceInterface+".VrrpStatusChange", states[state].Number)
}

// report reports events.
func (s *Service) report(ctx context.Context, events []history.Event) error {
	for i := range events {
		e := &events[i]
		s.last = e.ID
		var err error
		switch started := e.Kind == history.Process && e.Name == "vrrp" && e.To == history.Started; {
		case e.Kind == history.Router:
			if s.all.byName[e.Name] == nil {
				err = s.renew(ctx)
			}
			if r := s.all.byName[e.Name]; r != nil && e.At.After(r.known) {
				err = errors.Join(err, s.enters(r, e.To))
			}
		case started && e.At.After(s.known):
			if err = s.renew(ctx); err == nil {
				err = s.introduce()
			}
		case e.Kind == history.Configuration && e.To == "read":
			err = s.renew(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// renew makes the objects those of the present state, and reports which are gone.
func (s *Service) renew(ctx context.Context) error {
	state, err := s.settled(ctx)
	if err != nil {
		return err
	}
	if state.VRRP == nil || state.VRRP.Stale != "" {
		return nil // the objects stay until its successor is known
	}
	before, reloads := s.all, s.reloads
	s.take(state)
	for _, r := range before.routers {
		if now := s.all.byName[r.name]; now == nil || now.path != r.path {
			err = errors.Join(err, s.enters(r, r.deleted))
			slog.Info("Deleted DBus object for instance " + r.name)
		}
	}
	if s.reloads != reloads {
		err = errors.Join(err, s.conn.Emit(s.all.root, vrrpInterface+".VrrpReloaded"))
	}
	return err
}

// leave ends the service: because the daemon stops, or because this process does.
func (s *Service) leave(why error) error {
	var err error
	if errors.Is(why, ErrStopping) {
		for _, r := range s.all.routers {
			err = errors.Join(err, s.enters(r, "STOP"))
		}
		err = errors.Join(err, s.conn.Emit(s.all.root, vrrpInterface+".VrrpStopped"))
	}
	_, released := s.conn.ReleaseName(s.settings.ServiceName)
	if err = errors.Join(err, released); err == nil {
		slog.Info("Released DBus")
	}
	return err
}
