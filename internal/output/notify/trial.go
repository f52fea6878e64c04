package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/output/status"
)

// Trial is an event that is reported to find out whether its reports arrive.
type Trial struct {
	Event Event
	// Then is reported to scripts and FIFOs after it: the state that is so, if the trial
	// reports another one. Scripts and readers shall not be left with what is not so.
	Then *Event
	By   string        // who has asked for it, for the mail
	Wait time.Duration // for a report; what has not arrived by then is reported so
	// Done is called once, by the hub: it must not block. Without a delivery, nobody is
	// notified of such an event.
	Done func([]status.Delivery)
}

// TrialWait is how long the reports of a trial may take for which a client waits, who waits
// longer.
const TrialWait = 20 * time.Second

// TrialVariable is in the environment of the scripts of a trial, so that they need not do
// what a real event has them do.
const TrialVariable = "KEEPALIVED_TEST"

const (
	// readWait is how long the reader of a FIFO may take for a line of a trial.
	readWait = time.Second
	// readPoll is how often it is looked whether it has read that.
	readPoll = 20 * time.Millisecond
)

// trial is a Trial on its way. It belongs to the hub.
type trial struct {
	parts []status.Delivery
	open  int // parts without a result
	done  func([]status.Delivery)
	over  *time.Timer
}

// Try reports the event of t, after everything that was reported before. It does not wait.
func (n *Notifier) Try(t Trial) { n.post(letter{do: func() { n.try(&t) }}) }

func (n *Notifier) try(t *Trial) {
	e := t.Event
	e.Steps = slices.Clone(e.Steps)
	r := &trial{done: t.Done}
	for i := range e.Steps {
		s := &e.Steps[i]
		part := r.part(s.Keyword, strings.Join(append(slices.Clone(s.Command.Args), s.Extra...), " "))
		s.trial = func(res script.Result) {
			text := res.String()
			if res.Output != "" {
				text += ": " + res.Output
			}
			r.end(part, text, res.OK(), res.Took)
		}
	}
	if len(e.Steps) > 0 {
		n.queueScripts(&e)
	}
	if e.Line != "" {
		for _, w := range n.fifos {
			if w.config.Path != "" {
				n.tryFIFO(r, w, []byte(e.Line))
			}
		}
	}
	if e.Mail.Subject != "" {
		n.tryMail(r, e.Mail, t.By)
	}
	if t.Then != nil {
		then := *t.Then
		then.Mail = Mail{}
		n.deliver(then)
	}
	if r.open == 0 {
		r.finish()
		return
	}
	r.over = time.AfterFunc(t.Wait, func() { n.post(letter{do: r.finish}) })
}

// tryFIFO writes the line of a trial, and looks whether anyone reads it.
func (n *Notifier) tryFIFO(r *trial, w *writer, line []byte) {
	part, begun := r.part(w.keyword, w.config.Path), time.Now()
	if err := w.write(line); err != nil {
		r.end(part, "not written: "+err.Error(), false, 0)
		return
	}
	var look func()
	look = func() {
		left, err := unix.IoctlGetInt(w.fd, unix.TIOCINQ)
		switch took := time.Since(begun); {
		case err != nil:
			r.end(part, "written, and closed since", false, took)
		case left == 0:
			r.end(part, "read", true, took)
		case took >= readWait:
			r.end(part, fmt.Sprintf("written, but %d bytes have not been read", left), false, took)
		default:
			time.AfterFunc(readPoll, func() { n.post(letter{do: look}) })
		}
	}
	look()
}

// tryMail queues the mail of a trial, which is marked as one.
func (n *Notifier) tryMail(r *trial, m Mail, by string) {
	m.Subject = "Test: " + m.Subject
	m.Body += "\n\nThis is a test, which " + by + " has asked for."
	begun := time.Now()
	part := -1
	attempted := func(err error) {
		n.post(letter{do: func() {
			if err != nil {
				r.end(part, "not sent: "+err.Error(), false, time.Since(begun))
				return
			}
			r.end(part, "sent", true, time.Since(begun))
		}})
	}
	if to := n.mail.queueMail(&m, attempted); to != "" {
		part = r.part("smtp_alert", to)
	}
}

// part adds a report that has no result yet, and returns its number.
func (r *trial) part(keyword, to string) int {
	r.parts = append(r.parts, status.Delivery{Keyword: keyword, To: to, Result: "has not ended"})
	r.open++
	return len(r.parts) - 1
}

// end is the result of a part.
func (r *trial) end(part int, result string, ok bool, took time.Duration) {
	if r.done == nil {
		return // too late
	}
	p := &r.parts[part]
	p.Result, p.OK, p.Took = result, ok, took
	if r.open--; r.open == 0 && r.over != nil { // otherwise parts are still added
		r.finish()
	}
}

func (r *trial) finish() {
	if r.done == nil {
		return
	}
	if r.over != nil {
		r.over.Stop()
	}
	r.done(r.parts)
	r.done = nil
}
