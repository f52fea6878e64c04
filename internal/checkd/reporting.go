package checkd

import (
	"fmt"
	"log/slog"
	"os"

	"keepalived-go/conf"
	"keepalived-go/internal/output/notify"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/proc/link"
	"keepalived-go/lvs"
)

// reportAction has the log get what the engine has done, and the configured notifications
// sent.
func (d *daemon) reportAction(a *lvs.Action) {
	d.changed = true
	atEnd := a.Reason == lvs.ReasonShutdown && !d.Keep // which logEnd logs
	if line := sentence(a); line != "" && !atEnd {
		attrs := make([]any, 0, 4)
		if a.Service != nil {
			attrs = append(attrs, "service", a.Service.ID.String())
		}
		if a.Server != nil {
			attrs = append(attrs, "server", serverName(a))
		}
		d.log(line, attrs...)
	}
	if d.notifier == nil {
		return
	}
	n := notice{action: *a}
	if a.Kind == lvs.CheckChanged {
		if !a.ServerChanged && d.conf.Global.LVS.NoCheckMails {
			return
		}
		c := d.checks[a.Check-1]
		n.body = c.kind.Mail(&d.verdict)
	}
	d.unreported = append(d.unreported, report{notice: &n})
}

// A report waits until the turn ends. Each wakes another thread, for which the kernel's
// table shall not wait where there are few processors.
type report struct {
	line   string // for the log
	attrs  []any
	notice *notice // instead of a line, for the notifier
}

func (d *daemon) log(line string, attrs ...any) {
	d.unreported = append(d.unreported, report{line: line, attrs: attrs})
}

// reportTurn sends the log and the notifier what has waited for it, and has the parent
// know that there was something.
func (d *daemon) reportTurn() {
	if d.changed && d.session != nil {
		d.session.Signal(link.Changed)
	}
	d.changed = false
	for i := range d.unreported {
		if r := &d.unreported[i]; r.notice != nil {
			d.notifier.Notify(r.notice)
		} else {
			slog.Info(r.line, r.attrs...)
		}
	}
	const usual = 256 // a burst's room is given back
	if clear(d.unreported); cap(d.unreported) > usual {
		d.unreported = nil
	}
	d.unreported = d.unreported[:0]
}

// logActivity logs that a check runs or is suspended.
func (d *daemon) logActivity(a *lvs.Action) {
	switch c := d.checks[a.Check-1]; c.Check.Kind {
	case conf.CheckBFD:
		if a.Kind == lvs.CheckActivated && !c.begun {
			d.log("Activating BFD healthchecker")
		}
		return
	case conf.CheckFile: // it is never inactive
		return
	}
	d.log(sentence(a), "service", a.Service.ID.String(), "server", serverName(a))
}

// logEnd logs the servers that this process cares for no longer, in the words of the C
// daemon: also those that are down, of which the engine reports nothing.
func (d *daemon) logEnd() {
	for v := range d.engine.Services() {
		for s := range d.engine.Servers(v.Config.ID) {
			a := lvs.Action{Kind: lvs.ServerDown, Reason: lvs.ReasonShutdown, Service: v.Config, Server: s.Config, Change: lvs.PoolEntry}
			if !s.Up && s.Config.Inhibit {
				a.Change = lvs.PoolWeight
			}
			d.log(sentence(&a), "service", v.Config.ID.String(), "server", serverName(&a))
		}
	}
}

func serverName(a *lvs.Action) string { return a.Service.ID.ServerName(a.Server.Addr) }

// arithmetic is the comparison that decided a quorum.
func arithmetic(a *lvs.Action) string {
	if a.Kind == lvs.QuorumGained {
		return fmt.Sprintf("%d+%d=%d <= %d", a.Quorum, a.Hysteresis, a.Quorum+a.Hysteresis, a.Sum)
	}
	return fmt.Sprintf("%d-%d=%d > %d", a.Quorum, a.Hysteresis, a.Quorum-a.Hysteresis, a.Sum)
}

// sentence is the log line of an action, in the words of the C daemon; empty: it
// has none.
func sentence(a *lvs.Action) string {
	byChange := func(entry, weight string) string {
		switch a.Change {
		case lvs.PoolEntry:
			return fmt.Sprintf(entry, serverName(a), a.Service.ID)
		case lvs.PoolWeight:
			return fmt.Sprintf(weight, serverName(a), a.Service.ID)
		}
		return ""
	}
	switch a.Kind {
	case lvs.CheckActivated:
		return fmt.Sprintf("Activating healthchecker for service %s for VS %s", serverName(a), a.Service.ID)
	case lvs.CheckDeactivated:
		return fmt.Sprintf("Deactivating healthchecker for service %s for VS %s", serverName(a), a.Service.ID)
	case lvs.WeightChanged:
		activity := "inactive"
		if a.Up {
			activity = "active"
		}
		return fmt.Sprintf("Changing weight from %d to %d for %s service %s of VS %s", a.From, a.To, activity, serverName(a), a.Service.ID)
	case lvs.ServerUp:
		return byChange("Adding service %s to VS %s", "Enabling service %s of VS %s")
	case lvs.ServerDown:
		if a.Reason == lvs.ReasonShutdown {
			return byChange("Shutting down service %s from VS %s", "Shutting down (inhibited) service %s from VS %s")
		}
		return byChange("Removing service %s from VS %s", "Disabling service %s of VS %s")
	case lvs.ServerGone:
		return fmt.Sprintf("service %s no longer exist", serverName(a))
	case lvs.ServiceGone:
		return fmt.Sprintf("Removing Virtual Server %s", a.Service.ID)
	case lvs.EndpointGone:
		return fmt.Sprintf("VS [%v] in group %s no longer exists", a.Entry, a.Service.ID.Group)
	case lvs.QuorumGained:
		return fmt.Sprintf("Gained quorum %s for VS %s", arithmetic(a), a.Service.ID)
	case lvs.QuorumLost:
		switch a.Reason {
		case lvs.ReasonStart:
			return fmt.Sprintf("Starting with quorum down %s for VS %s", arithmetic(a), a.Service.ID)
		case lvs.ReasonCheck, lvs.ReasonReload:
			return fmt.Sprintf("Lost quorum %s for VS %s", arithmetic(a), a.Service.ID)
		}
	case lvs.SorryAdded:
		return byChange("Adding sorry server %s to VS %s", "Enabling sorry server %s to VS %s")
	case lvs.SorryRemoved:
		return byChange("Removing sorry server %s from VS %s", "Disabling sorry server %s from VS %s")
	case lvs.PoolRemoved:
		return fmt.Sprintf("Removing alive servers from the pool for VS %s", a.Service.ID)
	case lvs.PoolAdded:
		return fmt.Sprintf("Adding alive servers to the pool for VS %s", a.Service.ID)
	}
	return ""
}

// A notice is an action that scripts, FIFOs or mail are for. It is worded when its
// turn comes, outside the loop.
type notice struct {
	action lvs.Action
	body   string // of the mail about a check
}

// Event words the notice.
func (n *notice) Event() notify.Event {
	a := &n.action
	e := notify.Event{State: true}
	if a.Service == nil {
		return e
	}
	v := a.Service.Data.(*conf.VirtualServer)
	e.Owner = serviceOwner(a.Service)
	var server *conf.RealServer
	if a.Server != nil {
		server, _ = a.Server.Data.(*conf.RealServer)
		e.Owner = serverOwner(a.Service, a.Server)
	}
	up := false
	switch a.Kind {
	case lvs.ServerUp, lvs.ServerDown:
		if server == nil {
			return e
		}
		up = a.Kind == lvs.ServerUp
		keyword, command := "notify_down", server.NotifyDown
		if up {
			keyword, command = "notify_up", server.NotifyUp
		}
		e.Word, e.Steps = word(up), steps(keyword, command)
		e.Line = fmt.Sprintf("RS %s %s %s\n", serverName(a), a.Service.ID, word(up))
		switch {
		case !server.SMTPAlert:
		case a.Reason == lvs.ReasonRemoved:
			e.Mail = serverMail(a, up, "=> Removing <=")
		case a.Reason == lvs.ReasonShutdown:
			e.Mail = serverMail(a, up, "=> Shutting down <=")
		}
	case lvs.CheckChanged:
		e.Word, e.State = word(a.Up), false
		if server != nil && server.SMTPAlert {
			e.Mail = serverMail(a, a.Up && a.ServerChanged, n.body) // the subject is about the server
		}
	case lvs.QuorumGained, lvs.QuorumLost:
		up = a.Kind == lvs.QuorumGained
		keyword, command := "quorum_down", &v.QuorumDown
		if up {
			keyword, command = "quorum_up", &v.QuorumUp
		}
		e.Word, e.Steps = word(up), steps(keyword, command)
		e.Line = fmt.Sprintf("VS %s %s\n", a.Service.ID, word(up))
		if v.SMTPAlert {
			e.Mail = quorumMail(a, up)
		}
	}
	return e
}

func word(up bool) string {
	if up {
		return "UP"
	}
	return "DOWN"
}

func steps(keyword string, c *conf.Command) []notify.Step {
	if c == nil || !c.Given() {
		return nil
	}
	return []notify.Step{{Keyword: keyword, Command: c}}
}

func serverMail(a *lvs.Action, up bool, body string) notify.Mail {
	return notify.Mail{
		Subject: fmt.Sprintf("Realserver %s of virtual server %s - %s", serverName(a), a.Service.ID, word(up)),
		Body:    body,
	}
}

// quorumMail is the mail about a quorum; there is none about the end of the process.
func quorumMail(a *lvs.Action, up bool) (m notify.Mail) {
	if a.Reason == lvs.ReasonShutdown {
		return m
	}
	what := "Lost quorum"
	switch start := a.Reason == lvs.ReasonStart; {
	case up && start:
		what = "Starting with quorum up"
	case up:
		what = "Gained quorum"
	case start:
		what = "Starting with quorum down"
	}
	return notify.Mail{
		Subject: fmt.Sprintf("Virtualserver %s - %s", a.Service.ID, word(up)),
		Body:    "=> " + what + " " + arithmetic(a) + " <=",
	}
}

func serviceOwner(v *lvs.Service) notify.Owner {
	name := v.ID.String()
	return notify.Owner{Kind: status.KindVirtualServer, Name: name, Label: "VS " + name}
}

func serverOwner(v *lvs.Service, r *lvs.RealServer) notify.Owner {
	name := v.ID.ServerName(r.Addr)
	return notify.Owner{Kind: status.KindRealServer, Name: name + " " + v.ID.String(), Label: "service " + name + " of VS " + v.ID.String()}
}

// notifyConfig is who is notified of what by a configuration.
func notifyConfig(c *conf.Config, services *lvs.Config) notify.Config {
	g := &c.Global
	out := notify.Config{
		Scripts: g.Scripts,
		FIFOs: []notify.FIFOConfig{
			{Keyword: "notify_fifo", FIFO: g.FIFO},
			{Keyword: "lvs_notify_fifo", FIFO: g.LVSFIFO},
		},
		Mail: g.Mail, RouterID: g.RouterID,
	}
	declare := func(o notify.Owner, all ...[]notify.Step) {
		var declared notify.Declared
		for _, s := range all {
			declared.Steps = append(declared.Steps, s...)
		}
		if len(declared.Steps) > 0 {
			declared.Owner = o
			out.Owners = append(out.Owners, declared)
		}
	}
	for i := range services.Services {
		s := &services.Services[i]
		v := s.Data.(*conf.VirtualServer)
		declare(serviceOwner(s), steps("quorum_up", &v.QuorumUp), steps("quorum_down", &v.QuorumDown))
		for j := range s.Servers {
			r := s.Servers[j].Data.(*conf.RealServer)
			declare(serverOwner(s, &s.Servers[j]), steps("notify_up", r.NotifyUp), steps("notify_down", r.NotifyDown))
		}
	}
	return out
}

// setNotifier gives the notifier the configuration in force.
func (d *daemon) setNotifier(services *lvs.Config) {
	c := notifyConfig(d.conf, services)
	if d.notifier == nil {
		host, _ := os.Hostname()
		d.notifier = notify.New(d.scriptRunner(), host)
	}
	d.notifier.Configure(c)
}
