package text

import (
	"cmp"
	"fmt"
	"time"

	"keepalived-go/internal/output/status"
)

// The lines of these sections begin as no line of the C daemon's: programs that
// read its dumps look for lines by their beginnings and do not know where its
// sections end.

// why writes how a virtual router has come to be what it is: its faults, what
// its trackers report, the arithmetic of its priority, and its last changes of
// state.
func (t *data) why(i *status.Instance) {
	t.Line(" Reasons of %s", i.Conf.Name)
	t.Line("   Faults = %v", i.Faults)
	if i.FaultCause != "" {
		t.Line("   Fault = %s", i.FaultCause)
	}
	if i.WaitsFor != "" {
		t.Line("   Waits for %s", i.WaitsFor)
	}
	if i.Hindrance != "" {
		t.Line("   Kept from MASTER by = %s", i.Hindrance)
	}
	if i.Tracks {
		t.Line("   Arithmetic = %s", i.Arithmetic)
		var lines []string
		for j := range i.Trackers {
			s := &i.Trackers[j]
			report := "down: " + s.Detail
			switch {
			case s.Disabled:
				report = s.Detail // "disabled: …"
			case !s.Known:
				report = "unknown: " + cmp.Or(s.Detail, "no result yet")
			case s.Up:
				report = "up: " + s.Detail
			}
			if !s.At.IsZero() {
				report += ", at " + ago(t.At, s.At)
			}
			lines = append(lines, fmt.Sprintf("%v %s weight %s, %s", s.Kind, s.Name, weight(s.Weight, s.Reverse), report))
		}
		t.List("   Trackers :", lines)
	}
	var lines []string
	for j := range i.History {
		lines = append(lines, change(&i.History[j]))
	}
	t.List("   History :", lines)
}

func change(c *status.Change) string {
	text := fmt.Sprintf("%s %v -> %v (%v)", c.At.Local().Format("2006-01-02 15:04:05.000000"), c.From, c.To, c.Reason)
	if c.Why != "" {
		text += ": " + c.Why
	}
	return text
}

// unclaimed writes which packets belonged to no virtual router.
func (t *data) unclaimed() {
	var lines []string
	for _, u := range t.Unclaimed {
		lines = append(lines, fmt.Sprintf("%v = %d", u.Reason, u.Count))
	}
	t.List("------< Packets that reached no instance >------", lines)
}

// loop writes how well an event loop has kept time.
func loop(t *Writer, l *status.Loop) {
	t.Line(" Event loop")
	t.Line("   Turns = %d", l.Turns)
	t.Line("   Longest turn = %v", l.Longest.Round(time.Microsecond))
	t.Line("   Turns longer than 50 ms = %d", l.Stalls)
	t.Line("   Latest timer = %v late", l.Late.Round(time.Microsecond))
}

// ownerKinds are the words for owners that are not virtual routers.
var ownerKinds = map[string]string{
	status.KindGroup:         "group ",
	status.KindVirtualServer: "virtual server ",
	status.KindRealServer:    "real server ",
}

// notifications writes the queues of notifications of a process. nil: nobody was
// to be notified so far.
func notifications(t *Writer, n *status.Notifications) {
	if n == nil {
		return
	}
	t.Section("Notifications")
	for i := range n.Owners {
		o := &n.Owners[i]
		t.Line(" Notifications of %s%s", ownerKinds[o.Kind], o.Name)
		if o.Command != "" {
			t.Line("   Running = %s %s, since %s", o.Keyword, o.Command, clock(o.Since))
		}
		t.Line("   Waiting = %d", o.Waiting)
		t.Line("   Overtaken = %d", o.Overtaken)
		if l := &o.Last; l.Keyword != "" {
			t.Line("   Last = %s %s: %s, %s", l.Keyword, l.Command, l.Result, clock(l.Ended))
		}
	}
	for i := range n.FIFOs {
		f := &n.FIFOs[i]
		t.Line(" FIFO = %s", f.Path)
		t.Line("   Keyword = %s", f.Keyword)
		if f.Disabled != "" {
			t.Line("   Disabled = %s", f.Disabled)
		}
		t.Line("   Written = %d", f.Written)
		t.Line("   Dropped = %d", f.Dropped)
		t.Line("   Full = %t", f.Full)
	}
	if m := &n.Mail; m.Server != "" {
		t.Line(" Mail = %s", m.Server)
		t.Line("   Waiting = %d", m.Waiting)
		t.Line("   Sent = %d", m.Sent)
		t.Line("   Lost = %d", m.Lost)
		if m.LastError != "" {
			t.Line("   Last error = %s", m.LastError)
		}
	}
}

// Readers writes which FIFOs are kept and how the scripts are that read them.
func Readers(t *Writer, list []status.FIFO) {
	if len(list) == 0 {
		return
	}
	t.Section("FIFOs")
	for i := range list {
		f := &list[i]
		t.Line(" FIFO = %s", f.Path)
		t.Line("   Keyword = %s", f.Keyword)
		if f.Disabled != "" {
			t.Line("   Disabled = %s", f.Disabled)
		}
		if f.Script != "" {
			t.Line("   Script = %s", f.Script)
			t.Line("   Script running = %t", f.Running)
		}
		if f.Result != "" {
			t.Line("   Script ended = %s", f.Result)
		}
	}
}

func (t *data) disabledScripts() (lines []string) {
	for i := range t.Scripts {
		if s := &t.Scripts[i]; s.Disabled {
			lines = append(lines, fmt.Sprintf("vrrp_script %s = %s, %s", s.Conf.Name, Command(&s.Conf.Command), s.Detail))
		}
	}
	return append(lines, disabledNotifications(t.Notifications)...)
}

// disabledNotifications are the scripts of notifications that cannot run.
func disabledNotifications(n *status.Notifications) (lines []string) {
	if n == nil {
		return nil
	}
	for i := range n.Owners {
		o := &n.Owners[i]
		for _, s := range o.Disabled {
			lines = append(lines, fmt.Sprintf("%s of %s = %s, disabled: %s", s.Keyword, o.Name, s.Command, s.Reason))
		}
	}
	return lines
}

func clock(at time.Time) string { return at.Local().Format(time.DateTime) }
