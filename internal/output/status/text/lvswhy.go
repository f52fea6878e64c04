package text

import (
	"fmt"
	"time"

	"keepalived-go/internal/output/status"
)

// reasons writes how each virtual server has come to be what it is: its quorum,
// its servers, and what the last attempts of their checks have found.
func (t *lvsData) reasons() {
	t.Section("Reasons")
	for i := range t.Services {
		v := &t.Services[i]
		t.Line(" Reasons of %v", v.Conf)
		t.Line("   Quorum = %s, since %s", QuorumText(v), ago(t.At, v.Since))
		t.Line("   Clients go to = %s", receivers(v))
		note(&t.Writer, v.Suspended, "   Suspended = no address of it is on this machine")
		var servers, checks []string
		for j := range v.Servers {
			r := &v.Servers[j]
			servers = append(servers, fmt.Sprintf("%s %s since %s, weight %d, configured %d", v.Name(r), upDown(r.Up), ago(t.At, r.Since), r.Weight, r.Conf.Weight))
			for k := range r.Checks {
				c := &r.Checks[k]
				checks = append(checks, fmt.Sprintf("%v of %s %s", c.Conf.Kind, v.Name(r), t.whyCheck(c)))
			}
		}
		t.List("   Servers :", servers)
		t.List("   Checks :", checks)
	}
}

// QuorumText is the comparison that decides a quorum.
func QuorumText(v *status.VirtualServer) string {
	if v.Up {
		return fmt.Sprintf("up: weight %d, lost below %d-%d=%d", v.Sum, v.Quorum, v.Hysteresis, v.Quorum-v.Hysteresis)
	}
	return fmt.Sprintf("lost: weight %d, gained at %d+%d=%d", v.Sum, v.Quorum, v.Hysteresis, v.Quorum+v.Hysteresis)
}

// receivers is who gets the connections of clients.
func receivers(v *status.VirtualServer) string {
	if v.Sorry() {
		return "sorry server"
	}
	n := 0
	for i := range v.Servers {
		if r := &v.Servers[i]; r.InPool && r.Weight > 0 {
			n++
		}
	}
	return fmt.Sprintf("%d of %d servers", n, len(v.Servers))
}

func upDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

// ago is a time and its age; "the start" if there is none.
func ago(now, at time.Time) string {
	if at.IsZero() {
		return "the start"
	}
	return fmt.Sprintf("%s (%v)", clock(at), max(now.Sub(at), 0).Round(time.Millisecond))
}

// whyCheck is what a check knows, and what it waits for.
func (t *lvsData) whyCheck(c *status.Check) string {
	if c.Disabled != "" {
		return "disabled: " + c.Disabled
	}
	text := upDown(c.Up)
	if !c.Known {
		text += " until it has been decided"
	}
	if l := &c.Last; !l.At.IsZero() {
		result := "failed"
		if l.OK {
			result = "passed"
		}
		text += fmt.Sprintf(", %s at %s", result, ago(t.At, l.At))
		if len(l.Reason) > 0 {
			text += ": " + l.Reason
		}
	}
	if c.Conf.BFD != nil || c.Conf.File != nil {
		return text
	}
	text += fmt.Sprintf(", attempt %d", c.Attempts)
	if c.Failures > 0 {
		text += fmt.Sprintf(", retry %d of %d", c.Failures, c.Conf.Retry)
	}
	switch {
	case !c.Active:
		text += ", suspended"
	case c.Running:
		text += ", runs now"
	case !c.Next.IsZero():
		text += fmt.Sprintf(", next in %v", max(c.Next.Sub(t.At), 0).Round(time.Millisecond))
	}
	if c.Silent > 0 {
		text += fmt.Sprintf(", has not run for %v", c.Silent.Round(time.Second))
	}
	return text
}

// table writes how the kernel's table is.
func (t *lvsData) table() {
	s := &t.Table
	t.Section("Kernel table")
	if s.Unreachable != "" {
		t.Line(" Kernel = %s", s.Unreachable)
	}
	t.Line(" Kernel entries = %d virtual services, %d wait", s.Services, s.Waiting)
	var refused []string
	for _, r := range s.Refused {
		refused = append(refused, r.Change+": "+r.Reason)
	}
	t.Line(" Kernel refuses = %d", s.Refusing)
	t.List(" Kernel refusals :", refused)
	t.Line(" Kernel repairs = %d", s.Repairs)
	if r := &s.LastRepair; !r.At.IsZero() {
		t.Line(" Kernel last repair = %s, %s: %s", r.Service, ago(t.At, r.At), r.Changes)
	}
	for _, timeout := range []struct {
		name string
		d    time.Duration
	}{{"tcp", s.Timeouts.TCP}, {"tcpfin", s.Timeouts.TCPFin}, {"udp", s.Timeouts.UDP}} {
		if timeout.d != 0 {
			t.Line(" Kernel timeout %s = %s", timeout.name, Seconds(timeout.d))
		}
	}
	for _, d := range s.Daemons {
		group := ""
		if d.Group.IsValid() {
			group = fmt.Sprintf(", group %v", d.Group)
		}
		t.Line(" Kernel synchronisation = %s, interface %s, syncid %d%s", d.Role, d.Interface, d.ID, group)
	}
}
