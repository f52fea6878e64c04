package checkd

import (
	"strings"

	"keepalived-go/conf"
	"keepalived-go/internal/output/notify"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/proc/act"
	"keepalived-go/lvs"
)

// testNotify reports what a virtual or a real server would report of a state, and replies
// with what has become of that. Then it reports the state that is so.
func (d *daemon) testNotify(a *act.Act, reply act.Reply) {
	var up bool
	switch word := strings.ToUpper(a.State); word {
	case "UP", "DOWN", "":
		up = word == "UP"
	default:
		reply(nil, act.Refuse(act.Invalid, "%s reports no %q; expected UP or DOWN", a.Name, a.State))
		return
	}
	name, about, present, err := d.reporter(a.Name)
	if err != nil {
		reply(nil, err)
		return
	}
	if a.State == "" {
		up = present
	}
	done := func(list []status.Delivery) {
		d.loop.Post(func() { reply(api.TestedOf(name, word(up), word(present), list)) })
	}
	if d.notifier == nil {
		done(nil)
		return
	}
	t := notify.Trial{Event: about(up), By: a.By.String(), Wait: notify.TrialWait, Done: done}
	if up != present {
		then := about(present)
		t.Then = &then
	}
	d.notifier.Try(t)
}

// reporter is the virtual or the one real server of that name: its own name, what it reports
// when it comes up or goes down, and whether it is up.
func (d *daemon) reporter(name string) (own string, about func(up bool) notify.Event, present bool, err error) {
	for v := range d.engine.Services() {
		if id := v.Config.ID.String(); act.IsService(name, id) {
			return id, func(up bool) notify.Event { return quorumEvent(&v, up) }, v.Up, nil
		}
	}
	servers, err := act.ParseServers(name)
	if err != nil {
		return "", nil, false, d.noServer(name, true)
	}
	var names []string
	for v := range d.engine.Services() {
		c := v.Config.Data.(*conf.VirtualServer)
		for s := range d.engine.Servers(v.Config.ID) {
			if r := s.Config.Data.(*conf.RealServer); r.Addr == servers.Addr() && servers.Have(serversOf(c, r)) {
				own, present = c.ServerName(r), s.Up
				names = append(names, own)
				about = func(up bool) notify.Event { return serverEvent(v.Config, s.Config, up) }
			}
		}
	}
	switch {
	case len(names) == 0:
		return "", nil, false, d.noServer(name, true)
	case len(names) > 1:
		return "", nil, false, act.Refuse(act.Invalid, "%s are %d real servers; name one, such as %s", name, len(names), names[0])
	}
	return own, about, present, nil
}

// quorumEvent is what a virtual server would report of its quorum.
func quorumEvent(v *lvs.ServiceStatus, up bool) notify.Event {
	n := notice{action: lvs.Action{
		Kind: lvs.QuorumLost, Reason: lvs.ReasonCheck, Service: v.Config, Sum: v.Sum, Quorum: v.Quorum, Hysteresis: v.Hysteresis,
	}}
	if up {
		n.action.Kind = lvs.QuorumGained
	}
	return n.Event()
}

// serverEvent is what a real server would report. In earnest its mail follows the checks,
// of which it shows the result.
func serverEvent(v *lvs.Service, r *lvs.RealServer, up bool) notify.Event {
	n := notice{action: lvs.Action{Kind: lvs.ServerDown, Reason: lvs.ReasonCheck, Service: v, Server: r}}
	if up {
		n.action.Kind = lvs.ServerUp
	}
	e := n.Event()
	if r.Data.(*conf.RealServer).SMTPAlert {
		e.Mail = serverMail(&n.action, up, "=> No check has decided this <=")
	}
	return e
}
