package vrrpd

import (
	"cmp"
	"fmt"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/dump"
	"keepalived-go/vrrp"
)

// The lines of these sections begin as no line of the C daemon's: programs that
// read its dumps look for lines by their beginnings and do not know where its
// sections end.

// why writes how a virtual router has come to be what it is: its faults, what
// its trackers say, the arithmetic of its priority, and its last changes of
// state.
func (t *report) why(r *router) {
	t.Line(" Reasons of %s", r.conf.Name)
	t.Line("   Faults = %v", r.engine.Faults())
	if r.cause.Detail != "" && r.faults != 0 {
		t.Line("   Fault = %s", causeText(&r.cause))
	}
	if r.waiting && r.tracked != nil {
		c := &r.tracked.outcome.Cause
		t.Line("   Waits for %s %s", c.Code, c.Object)
	}
	if h := r.engine.Hindrance(now()); h.Obstacle != vrrp.ObstacleNone {
		t.Line("   Kept from MASTER by = %v", h)
	}
	if r.tracked != nil {
		t.Line("   Arithmetic = %s", r.tracked.outcome.Arithmetic())
		var lines []string
		for i := range r.tracked.terms {
			s := &r.tracked.terms[i]
			said := "down: " + s.Cause.Detail
			switch {
			case s.Disabled:
				said = s.Cause.Detail // "disabled: …"
			case !s.Known:
				said = "unknown: " + cmp.Or(s.Cause.Detail, "it has said nothing yet")
			case s.Up:
				said = "up: " + s.Cause.Detail
			}
			lines = append(lines, fmt.Sprintf("%v %s %s, %s", s.Kind, s.Name, weight(s.Weight, s.Reverse), said))
		}
		t.List("   Trackers :", lines)
	}
	var lines []string
	for i := range r.history {
		lines = append(lines, r.history[i].String())
	}
	t.List("   History :", lines)
}

func (c *change) String() string {
	text := fmt.Sprintf("%s %s -> %s (%v)", c.at.Local().Format("2006-01-02 15:04:05.000000"), stateName(c.from), stateName(c.to), c.reason)
	if c.why != "" {
		text += ": " + c.why
	}
	return text
}

// whyTail writes what belongs to no single virtual router.
func (t *report) whyTail() {
	t.notifications()
	t.List("------< Disabled scripts >------", t.disabledScripts())
	var foreign []string
	for reason, n := range t.foreign {
		if n > 0 {
			foreign = append(foreign, fmt.Sprintf("%v = %d", vrrp.Reject(reason), n))
		}
	}
	t.List("------< Packets that reached no instance >------", foreign)
}

func (t *report) notifications() {
	if t.notifier == nil {
		return
	}
	t.Section("Notifications")
	for _, o := range t.notices.Owners {
		kind := ""
		if o.Owner.Group {
			kind = "group "
		}
		t.Line(" Notifications of %s%s", kind, o.Owner.Name)
		if o.Command != "" {
			t.Line("   Running = %s %s, since %s", o.Keyword, o.Command, clock(o.Since))
		}
		t.Line("   Waiting = %d", o.Waiting)
		t.Line("   Overtaken = %d", o.Overtaken)
		if l := &o.Last; l.Keyword != "" {
			t.Line("   Last = %s %s: %s, %s", l.Keyword, l.Command, l.Result, clock(l.Ended))
		}
	}
	for _, f := range t.notices.FIFOs {
		t.Line(" FIFO = %s", f.Path)
		t.Line("   Keyword = %s", f.Keyword)
		if f.Disabled != "" {
			t.Line("   Disabled = %s", f.Disabled)
		}
		t.Line("   Written = %d", f.Written)
		t.Line("   Dropped = %d", f.Dropped)
		t.Line("   Full = %t", f.Full)
		if f.Script != "" {
			t.Line("   Script = %s", f.Script)
			t.Line("   Script running = %t", f.Running)
		}
		if f.Result != "" {
			t.Line("   Script ended = %s", f.Result)
		}
	}
	if m := &t.notices.Mail; m.Server != "" {
		t.Line(" Mail = %s", m.Server)
		t.Line("   Waiting = %d", m.Waiting)
		t.Line("   Sent = %d", m.Sent)
		t.Line("   Lost = %d", m.Lost)
		if m.LastError != "" {
			t.Line("   Last error = %s", m.LastError)
		}
	}
}

func (t *report) disabledScripts() (lines []string) {
	for _, s := range t.conf.Scripts {
		if status := t.tracking.status[trackerKey{conf.TrackedScript, s.Name}]; status.Disabled {
			lines = append(lines, fmt.Sprintf("vrrp_script %s = %s, %s", s.Name, dump.Command(&s.Command), status.Cause.Detail))
		}
	}
	for _, o := range t.notices.Owners {
		for _, s := range o.Disabled {
			lines = append(lines, fmt.Sprintf("%s of %s = %s, disabled: %s", s.Keyword, o.Owner.Name, s.Command, s.Reason))
		}
	}
	return lines
}

func clock(at time.Time) string { return at.Local().Format(time.DateTime) }
