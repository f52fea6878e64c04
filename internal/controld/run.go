// Package controld is the control process: it answers questions about the daemon over
// HTTP, on a unix socket. It has no state of its own and no right to anything: it asks the
// other processes through the parent, and what it is asked at a time is bounded. So
// nothing that a client does, and no end of this process, reaches what it reports of.
//
//	clients ──▶ server ──▶ source of each process ──question──▶ parent ──▶ process
//	                              ◀──────────── snapshot in a file ◀───────────
package controld

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"reflect"
	"sync"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/output/dbus"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/internal/proc/session"
)

// Options is what the parent process gives this one.
type Options struct {
	Link    *link.Conn
	Socket  string // path of the socket
	History string // path of the file of events
	LogFile string // empty: none
}

// Run runs the process until it is asked to stop, or has other settings: those it has taken
// up before it gave all rights away.
func Run(o Options) error {
	first, err := session.First(o.Link)
	if err != nil {
		return err
	}
	l, err := loop.New()
	if err != nil {
		return err
	}
	defer l.Close()
	var parent *session.Session
	from := newSources(func(q link.Question) bool { return parent.Send(link.Message{Kind: link.Ask, Question: &q}) })
	asker := act.NewAsker(func(id uint32, a *act.Act) bool {
		return parent.Send(link.Message{Kind: link.Act, Order: &link.Order{ID: id, Act: *a}})
	})
	events := newRecorder(from, o.History)
	agent := newSubagent(from, asker, first)
	if agent != nil {
		events.listener = agent.happened
	}
	settings, stopped, why := first.Global, false, context.Canceled
	parent = session.Begin(o.Link, l, session.Orders{
		Reload: func(c *conf.Config, done func()) {
			stopped = stopped || !reflect.DeepEqual(c.Global, settings)
			if agent != nil {
				agent.reconfigure(c)
			}
			done()
		},
		Stop: func() {
			why = dbus.ErrStopping
			go func() { // the questions of the agent need the loop
				select {
				case <-parent.Alone(): // the parent process has been killed
				default:
					events.stop()
				}
				if agent != nil {
					agent.stopped()
				}
				l.Post(func() { stopped = true })
			}()
		},
		Dump:   func(link.Kind) {},
		Answer: from.take, Changed: events.poke,
		Done: func(o *link.Outcome) { asker.Take(o.ID, o.Result) },
	})
	pages := kernel.ProgramPages()
	in := open(o.Socket, &settings.Control)
	confine(agent.overNetwork(), filepath.Dir(o.Socket), filepath.Dir(o.History), o.LogFile, files(&settings.Control.HTTP))
	in.serve(handler(from, events, asker))
	defer in.close()
	ctx, end := context.WithCancelCause(context.Background())
	var services sync.WaitGroup
	if settings.DBus.Enabled {
		state := func(ctx context.Context) (*api.Status, error) { return from.decoded(ctx, brief) }
		bus := dbus.New(settings.DBus, dbus.Source{State: state, Events: events.after}, asker.Do)
		services.Go(func() { bus.Run(ctx) })
	}
	go events.run(ctx)
	if agent != nil {
		services.Go(func() { agent.agent.Run(ctx) })
	}
	events.poke()
	parent.Started()
	pages.TakenUp()
	for !stopped && err == nil {
		if err = l.Wait(); err == nil {
			l.Expire()
		}
	}
	end(why)
	services.Wait()
	return err
}

// doors are the listeners: of the control socket and of http_listen, as far as there are
// such.
type doors struct {
	socket *server
	web    *web
}

// open opens what is configured. What cannot be opened is logged, and the daemon does
// without it: another process would fare no better.
func open(path string, c *conf.Control) (d doors) {
	var err error
	if !c.Off {
		if d.socket, err = listen(path, c); err != nil {
			slog.Error("control socket: " + err.Error())
		}
	}
	if c.HTTP.Listen != "" {
		if d.web, err = listenTCP(&c.HTTP); err != nil {
			slog.Error("http_listen: " + err.Error())
		}
	}
	return d
}

// serve begins to serve.
func (d *doors) serve(h http.Handler) {
	if d.socket != nil {
		d.socket.serve(h)
	}
	if d.web != nil {
		d.web.serve(h)
	}
}

// close ends the listeners, and removes the socket.
func (d *doors) close() {
	if d.socket != nil {
		d.socket.close()
	}
	if d.web != nil {
		d.web.close()
	}
}
