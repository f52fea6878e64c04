package explain

import (
	"fmt"
	"maps"
	"strings"

	"keepalived-go/internal/output/status/api"
)

// Severity is how bad a problem is. Its number is the exit status of a monitoring plugin.
type Severity int

// The severities.
const (
	OK       Severity = iota
	Warning           // something does not work, and clients are served
	Critical          // clients may not be served
	Unknown           // the state cannot be found out
)

func (s Severity) String() string {
	return [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}[s]
}

// MarshalText writes the name of the severity.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Problem is something that is wrong with a daemon.
type Problem struct {
	Severity Severity `json:"severity" doc:"WARNING or CRITICAL"`
	Code     string   `json:"code" doc:"what it is, for programs"`
	Subject  string   `json:"subject" doc:"of what"`
	Text     string   `json:"text" doc:"the same as a sentence"`
}

// problems collects what is wrong.
type problems struct {
	*api.Status
	out []Problem
}

func (p *problems) add(severity Severity, code, subject, format string, args ...any) {
	p.out = append(p.out, Problem{severity, code, subject, line(format, args...)})
}

// Problems lists what is wrong with a daemon now, what is critical first. What is meant
// to be, such as a backup that waits for its master, is no problem; neither is what has
// passed, such as a process that died and runs again.
func Problems(s *api.Status) []Problem {
	p := &problems{Status: s}
	p.daemon()
	p.vrrp()
	p.lvs()
	p.bfd()
	var sorted []Problem
	for _, severity := range []Severity{Critical, Warning} {
		for _, one := range p.out {
			if one.Severity == severity {
				sorted = append(sorted, one)
			}
		}
	}
	return sorted
}

// Worst is the severity of the worst of them.
func Worst(list []Problem) (worst Severity) {
	for _, p := range list {
		worst = max(worst, p.Severity)
	}
	return worst
}

// processTitles are the processes in sentences.
var processTitles = map[string]string{"vrrp": "VRRP", "checkers": "health-check", "bfd": "BFD", "control": "control"}

func processTitle(name string) string {
	if title, ok := processTitles[name]; ok {
		return "The " + title + " process"
	}
	return "The process " + name
}

func processNamed(s *api.Status, name string) *api.Process {
	for i := range s.Processes {
		if s.Processes[i].Name == name {
			return &s.Processes[i]
		}
	}
	return nil
}

// processText is the sentence about a process that does not run.
func processText(s *api.Status, p *api.Process) string {
	text := processTitle(p.Name) + " does not run"
	if p.Next != nil {
		text += "; it is started again in " + Span(max(0, p.Next.Sub(s.At)))
	}
	if p.Deaths > 0 {
		text += fmt.Sprintf("; it has died %s", times(p.Deaths))
	}
	return text + "."
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func (p *problems) daemon() {
	if p.Node.Stopping {
		p.add(Critical, "stopping", p.Node.Host, "The daemon is about to end.")
	}
	answers := maps.Collect(p.Answers())
	for i := range p.Processes {
		q := &p.Processes[i]
		answer, asked := answers[q.Name]
		switch title := processTitle(q.Name); {
		case !q.Wanted:
		case q.PID == 0:
			p.add(Critical, "process-down", q.Name, "%s", processText(p.Status, q))
		case answer != nil && answer.Stale != "":
			p.add(Critical, "stale", q.Name, "%s does not answer: %s. Its last state is %s old.", title, answer.Stale, Age(p.At.Sub(answer.At)))
		case !q.Serves:
			if !p.Configuration.Reloading {
				p.add(Warning, "process-starts", q.Name, "%s does not run the configuration yet.", title)
			}
		case asked && answer == nil:
			p.add(Critical, "silent", q.Name, "%s has not answered yet.", title)
		}
	}
	for i := range p.Intents {
		n := &p.Intents[i]
		p.add(Warning, "operator", n.Name, "%s", IntentText(n, p.At))
	}
	c := &p.Configuration
	if r := c.Refused; r != nil {
		why := ""
		if len(r.Reasons) > 0 {
			why = ": " + r.Reasons[0]
			if n := len(r.Reasons) - 1; n > 0 {
				why += fmt.Sprintf(" (and %d more)", n)
			}
		}
		p.add(Warning, "configuration-refused", c.File, "The reload of %s ago was refused%s; the configuration before it runs.", Age(p.At.Sub(r.At)), why)
	}
	if c.Errors > 0 {
		p.add(Warning, "configuration-errors", c.File, "The configuration has %s; keepalived -t lists them.", count(c.Errors, "error", "errors"))
	}
}

func (p *problems) vrrp() {
	v := p.VRRP
	if v == nil {
		return
	}
	for i := range v.Instances {
		in := &v.Instances[i]
		t := builder{Instance: in, status: p.Status, was: "is", at: v.At}
		if v.Stale != "" {
			t.was = "was"
		}
		switch {
		case in.State == "FAULT":
			t.verdict()
			p.add(Critical, "fault", in.Name, "%s", t.out[0].Text)
		case in.State == "INIT" && v.Running && in.WaitsFor != "":
			p.add(Warning, "waits-for", in.Name, "%s has not started: it waits for the first result of %s.", in.Name, in.WaitsFor)
		}
		if set := t.set(); in.Held && set < len(in.Addresses) {
			p.add(Critical, "address-missing", in.Name, "The kernel has confirmed %d of %s of %s, which %s %s.", set, count(len(in.Addresses), "address", "addresses"), in.Name, t.was, in.State)
		}
	}
	for i := range v.Trackers {
		t := &v.Trackers[i]
		switch {
		case t.Kind == "track_file": // its number is no success or failure
		case t.State == "down":
			p.add(Warning, "tracker-down", t.Name, "%s %s is down%s.", t.Kind, t.Name, detail(t.Detail))
		case t.State == "disabled":
			p.add(Warning, "tracker-disabled", t.Name, "%s %s does not count%s.", t.Kind, t.Name, detail(t.Detail))
		}
	}
	p.notifications(v.Notifications)
}

func detail(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

func (p *problems) lvs() {
	l := p.LVS
	if l == nil {
		return
	}
	for i := range l.Services {
		v := &l.Services[i]
		if !l.Running {
			break
		}
		if !v.Up {
			instead := ""
			if v.SorryInUse {
				instead = fmt.Sprintf("; the sorry server %s serves", v.Sorry)
			}
			p.add(Critical, "quorum-lost", v.Name, "The virtual server %s has lost its quorum: weight %d of %d, %d of %s up%s.",
				v.Name, v.Weight, v.Quorum, v.Alive, count(len(v.Servers), "server", "servers"), instead)
		}
		for k := range v.Servers {
			r := &v.Servers[k]
			if !r.Up && (r.Failed > 0 || !r.Disabled()) { // what an operator wants is said above
				p.add(Warning, "server-down", r.Name, "The real server %s of %s is down%s.", r.Name, v.Name, detail(failure(r)))
			}
			for n := range r.Checks {
				c := &r.Checks[n]
				switch {
				case c.State == "disabled":
					p.add(Warning, "check-disabled", r.Name, "The %s of %s cannot be done: %s.", c.Kind, r.Name, c.Disabled)
				case c.Overdue > 0:
					p.add(Warning, "check-overdue", r.Name, "The %s of %s has not run for %s.", c.Kind, r.Name, Age(c.Overdue.Duration()))
				}
			}
		}
	}
	t := &l.Table
	if t.Unreachable != "" {
		p.add(Critical, "ipvs-unreachable", "ipvs", "The kernel's load balancer cannot be asked: %s.", t.Unreachable)
	}
	if t.Refusing > 0 {
		p.add(Critical, "ipvs-refuses", "ipvs", "The kernel's load balancer refuses %s%s.", count(t.Refusing, "change", "changes"), detail(strings.Join(t.Refused[:min(1, len(t.Refused))], "")))
	}
	p.notifications(l.Notifications)
}

// failure is what the first check that is down has found.
func failure(r *api.RealServer) string {
	for i := range r.Checks {
		if c := &r.Checks[i]; c.State == "down" {
			if c.Reason == "" {
				return c.Kind + " failed"
			}
			return c.Kind + ": " + c.Reason
		}
	}
	return ""
}

func (p *problems) bfd() {
	b := p.BFD
	if b == nil {
		return
	}
	for i := range b.Sessions {
		s := &b.Sessions[i]
		switch {
		case s.State == "Up" || s.State == "AdminDown":
		case s.Unknown:
			p.add(Warning, "bfd-unknown", s.Name, "Nothing has been heard of the BFD session %s with %s since its process started again.", s.Name, s.Neighbour)
		default:
			p.add(Warning, "bfd-down", s.Name, "The BFD session %s with %s is %s: %s.", s.Name, s.Neighbour, s.State, s.Diagnostic)
		}
		if s.SendError {
			p.add(Warning, "bfd-send", s.Name, "The last packet of the BFD session %s could not be sent.", s.Name)
		}
	}
}

// queued is how many changes of state may wait for the script of one owner before that
// counts as a problem: one that has just come waits too.
const queued = 3

func (p *problems) notifications(n *api.Notifications) {
	if n == nil {
		return
	}
	for i := range n.Owners {
		o := &n.Owners[i]
		if o.Waiting > queued {
			p.add(Warning, "queue-stuck", o.Name, "%s wait for scripts of %s; %s runs.", count(o.Waiting, "change", "changes"), o.Name, o.Running)
		}
		if o.Failed {
			p.add(Warning, "script-failed", o.Name, "The last script of %s failed: %s: %s.", o.Name, o.Last, o.Result)
		}
		for _, d := range o.Disabled {
			p.add(Warning, "script-disabled", o.Name, "A script of %s cannot run: %s.", o.Name, d)
		}
	}
	for i := range n.FIFOs {
		f := &n.FIFOs[i]
		switch {
		case f.Disabled != "":
			p.add(Warning, "fifo-disabled", f.Path, "The FIFO %s is not open: %s.", f.Path, f.Disabled)
		case f.Full:
			p.add(Warning, "fifo-full", f.Path, "The FIFO %s is full: no program reads it, and the daemon has dropped %s.", f.Path, count(int(f.Dropped), "line", "lines"))
		}
	}
	if m := n.Mail; m != nil && m.LastError != "" {
		p.add(Warning, "mail", m.Server, "Mail cannot be sent by %s: %s; %s.", m.Server, m.LastError, count(m.Waiting, "mail waits", "mails wait"))
	}
}
