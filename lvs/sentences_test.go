package lvs

import "fmt"

// sentences returns what keepalived writes, runs and mails for an action: the table for
// the golden files in testdata, with which drivers can compare their own wording. A
// driver adds what only it knows: the router's name before a subject, the body of a mail
// about a check, whether mail and scripts are wanted.
func sentences(a Action) []string {
	var server string
	if a.Server != nil {
		server = a.Service.ID.ServerName(a.Server.Addr)
	}
	var v string
	if a.Service != nil {
		v = a.Service.ID.String()
	}
	logf := func(format string, args ...any) string { return "log  " + fmt.Sprintf(format, args...) }
	state := func(up bool) string {
		if up {
			return "UP"
		}
		return "DOWN"
	}
	mail := func(up bool, body string) string {
		s := fmt.Sprintf("mail Realserver %s of virtual server %s - %s", server, v, state(up))
		if body != "" {
			s += " => " + body + " <="
		}
		return s
	}
	fifo := func(up bool) []string {
		script := "notify_down"
		if up {
			script = "notify_up"
		}
		return []string{
			fmt.Sprintf("fifo RS %s %s %s", server, v, state(up)),
			fmt.Sprintf("run  %s of %s", script, server),
		}
	}
	switch a.Kind {
	case FlushTable:
		return []string{"do   flush the table"}
	case CheckActivated:
		return []string{logf("Activating healthchecker for service %s for VS %s", server, v)}
	case CheckDeactivated:
		return []string{logf("Deactivating healthchecker for service %s for VS %s", server, v)}
	case CheckChanged:
		m := mail(a.Up, "")
		if !a.ServerChanged {
			m += " (not with no_checker_emails)"
		}
		return []string{m}
	case WeightChanged:
		activity := "inactive"
		if a.Up {
			activity = "active"
		}
		return []string{logf("Changing weight from %d to %d for %s service %s of VS %s", a.From, a.To, activity, server, v)}
	case ServerUp:
		var out []string
		switch a.Change {
		case PoolEntry:
			out = append(out, logf("Adding service %s to VS %s", server, v))
		case PoolWeight:
			out = append(out, logf("Enabling service %s of VS %s", server, v))
		}
		return append(out, fifo(true)...)
	case ServerDown:
		var out []string
		switch {
		case a.Reason == ReasonShutdown:
			out = append(out, logf("Shutting down service %s from VS %s", server, v))
		case a.Change == PoolEntry:
			out = append(out, logf("Removing service %s from VS %s", server, v))
		case a.Change == PoolWeight:
			out = append(out, logf("Disabling service %s of VS %s", server, v))
		}
		out = append(out, fifo(false)...)
		switch a.Reason {
		case ReasonRemoved:
			out = append(out, mail(false, "Removing"))
		case ReasonShutdown:
			out = append(out, mail(false, "Shutting down"))
		}
		return out
	case ServerGone:
		return []string{logf("service %s no longer exist", server)}
	case ServiceGone:
		return []string{logf("Removing Virtual Server %s", v)}
	case EndpointGone:
		return []string{logf("VS [%v] in group %s no longer exists", a.Entry, a.Service.ID.Group)}
	case QuorumGained:
		arithmetic := fmt.Sprintf("%d+%d=%d <= %d", a.Quorum, a.Hysteresis, a.Quorum+a.Hysteresis, a.Sum)
		body := "Gained quorum " + arithmetic
		if a.Reason == ReasonStart {
			body = "Starting with quorum up " + arithmetic
		}
		return []string{
			logf("Gained quorum %s for VS %s", arithmetic, v),
			fmt.Sprintf("fifo VS %s UP", v),
			fmt.Sprintf("run  quorum_up of %s", v),
			fmt.Sprintf("mail Virtualserver %s - UP => %s <=", v, body),
		}
	case QuorumLost:
		arithmetic := fmt.Sprintf("%d-%d=%d > %d", a.Quorum, a.Hysteresis, a.Quorum-a.Hysteresis, a.Sum)
		out := []string{fmt.Sprintf("fifo VS %s DOWN", v), fmt.Sprintf("run  quorum_down of %s", v)}
		subject := fmt.Sprintf("mail Virtualserver %s - DOWN", v)
		switch a.Reason {
		case ReasonCheck, ReasonReload:
			out = append([]string{logf("Lost quorum %s for VS %s", arithmetic, v)}, out...)
			return append(out, subject+" => Lost quorum "+arithmetic+" <=")
		case ReasonStart:
			out = append([]string{logf("Starting with quorum down %s for VS %s", arithmetic, v)}, out...)
			return append(out, subject+" => Starting with quorum down "+arithmetic+" <=")
		case ReasonRemoved:
			return append(out, subject+" => Lost quorum "+arithmetic+" <=")
		}
		return out
	case SorryAdded:
		if a.Change == PoolWeight {
			return []string{logf("Enabling sorry server %s to VS %s", server, v)}
		}
		return []string{logf("Adding sorry server %s to VS %s", server, v)}
	case SorryRemoved:
		if a.Change == PoolWeight {
			return []string{logf("Disabling sorry server %s from VS %s", server, v)}
		}
		return []string{logf("Removing sorry server %s from VS %s", server, v)}
	case PoolRemoved:
		return []string{logf("Removing alive servers from the pool for VS %s", v)}
	case PoolAdded:
		return []string{logf("Adding alive servers to the pool for VS %s", v)}
	}
	return []string{"?    " + a.String()}
}
