// Package notify reports events by scripts, FIFOs and mail. It does not know what
// the events are about: the callers word them.
//
//	loop ─ Notify ─ inbox ─ hub ─┬─ queue of each owner ─ script.Runner
//	                             ├─ FIFOs
//	                             └─ queue of mails ─ mailer ─ SMTP server
//
// Notify puts an event into the inbox and returns. One goroutine, the hub, takes
// the events in that order; it owns the queues and writes the FIFOs, and nothing
// it does waits for a script, a reader or a server. The scripts of one owner run
// one after another, those of different owners in parallel. Mails leave one
// after another from a goroutine of their own.
package notify

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/output/status"
)

// Owner names what events are about: the scripts of one owner run one after
// another.
type Owner struct {
	Kind  string // what it is, such as "VRRP Instance"
	Name  string
	Label string // how log lines begin that are about it
}

// String is how log lines begin that are about o.
func (o Owner) String() string { return o.Label }

// Event is something to be reported: each channel has its part; a channel without
// a part gets nothing.
type Event struct {
	Owner Owner
	Word  string // for what has happened, such as MASTER
	State bool   // it is a state that has been entered, which overtakes what waits for scripts
	Steps []Step // scripts, in their order
	Line  string // for FIFOs, with its newline
	Mail  Mail
}

// Step is a script to be run.
type Step struct {
	Keyword string // that configured it, such as notify_master
	Command *conf.Command
	Extra   []string // arguments after those configured

	trial func(script.Result) // it belongs to a trial, which takes its result
}

// Mail is a mail to be sent; without a subject there is none.
type Mail struct {
	Subject string // without the identity of the router
	Body    string
	Fault   bool // it is not sent with no_email_faults
}

// Source words an event when its turn comes: the caller of Notify has no time for
// words.
type Source interface{ Event() Event }

// Event returns e: an event that is worded already.
func (e Event) Event() Event { return e }

// Config is who is notified, and how.
type Config struct {
	Owners   []Declared        // that have scripts, or are reported otherwise
	Scripts  conf.ScriptPolicy // which scripts may be run
	FIFOs    []FIFOConfig
	Mail     conf.Mail
	RouterID string // in the subjects of mails; empty: the name of the host
}

// Declared is an owner with all scripts that its events can have.
type Declared struct {
	Owner Owner
	Steps []Step
}

// FIFOConfig is one FIFO, which the parent process keeps, see [FIFO].
type FIFOConfig struct {
	Keyword string // that configured it, such as notify_fifo
	conf.FIFO
}

// Notifier reports events by every channel that is configured.
type Notifier struct {
	runner *script.Runner
	mail   *mailer

	mu     sync.Mutex
	inbox  []letter
	closed bool
	wake   chan struct{} // something is in the inbox
	done   chan struct{} // the hub has ended

	// Of the hub alone.
	config   Config
	owners   map[Owner]*owner
	programs map[string]program // by commandKey
	running  int                // owners that run a script
	fifos    []*writer
	ticker   *time.Ticker
	deadline time.Time     // when Close stops waiting; zero: not closing
	hurry    time.Time     // when it stops waiting for scripts that others wait for
	wait     time.Duration // of Close
	latest   time.Time     // the deadline moves no further
}

// letter is what the inbox holds: an event, or something else for the hub to do.
type letter struct {
	event Source
	do    func()
}

// How often the hub looks at running scripts, and at what Close waits for.
const (
	lookEvery    = time.Second
	closingEvery = 20 * time.Millisecond
)

// New starts a notifier that notifies no one until [Notifier.Configure].
// Scripts are run by runner, which must outlive it. The name of the host is how
// mails call this node where none is configured.
func New(runner *script.Runner, hostname string) *Notifier {
	n := &Notifier{
		runner:   runner,
		mail:     newMailer(hostname),
		wake:     make(chan struct{}, 1),
		done:     make(chan struct{}),
		owners:   make(map[Owner]*owner),
		programs: make(map[string]program),
		ticker:   time.NewTicker(lookEvery),
	}
	n.ticker.Stop() // nothing runs yet
	go n.run()
	return n
}

// Notify reports e, after everything that was reported before. It does not wait.
func (n *Notifier) Notify(e Source) { n.post(letter{event: e}) }

// Configure takes effect for what is reported from here on. It does not wait. What
// is wrong with scripts and FIFOs is logged and shown by [Notifier.Status].
func (n *Notifier) Configure(c Config) { n.post(letter{do: func() { n.configure(c) }}) }

// Close gives the events so far up to wait to be delivered: scripts that waited for
// their turn, mails. Each script that ends meanwhile gives those of others wait again,
// within most: hundreds of them, or a slow machine, take longer than one. Then what still
// runs is named in the log and sent SIGTERM. A later event is lost. It returns by how much
// it has taken longer than wait.
func (n *Notifier) Close(wait, most time.Duration) (longer time.Duration) {
	began := time.Now()
	n.post(letter{do: func() { n.startClosing(wait, most) }})
	<-n.done
	return max(0, time.Since(began)-wait)
}

func (n *Notifier) post(l letter) {
	n.mu.Lock()
	if !n.closed {
		n.inbox = append(n.inbox, l)
	}
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// run is the hub.
func (n *Notifier) run() {
	defer close(n.done)
	defer n.ticker.Stop()
	var letters []letter
	for !n.finished(time.Now()) {
		select {
		case <-n.wake:
		case now := <-n.ticker.C:
			n.look(now)
		}
		n.mu.Lock()
		letters, n.inbox = n.inbox, letters[:0]
		n.mu.Unlock()
		for i := range letters {
			if do := letters[i].do; do != nil {
				do()
			} else {
				n.deliver(letters[i].event.Event())
			}
		}
		clear(letters)
	}
	n.finish()
}

func (n *Notifier) configure(c Config) {
	n.config = c
	n.mail.configure(c.Mail, c.RouterID)
	n.configureOwners()
	before := n.fifos
	n.fifos = make([]*writer, len(c.FIFOs))
	for i := range c.FIFOs {
		want := &c.FIFOs[i]
		if k := slices.IndexFunc(before, func(w *writer) bool { return w.keyword == want.Keyword }); k >= 0 {
			n.fifos[i] = before[k]
			before = slices.Delete(before, k, k+1)
		} else {
			n.fifos[i] = &writer{keyword: want.Keyword, fd: -1}
		}
		if err := n.fifos[i].configure(want.FIFO, c.Scripts); err != nil {
			slog.Error(err.Error())
		}
	}
	for _, w := range before {
		w.close()
	}
}

// deliver hands e to the channels: scripts, FIFOs, mail.
func (n *Notifier) deliver(e Event) {
	if len(e.Steps) > 0 {
		n.queueScripts(&e)
	}
	if e.Line != "" {
		line := []byte(e.Line)
		for _, w := range n.fifos {
			_ = w.write(line) // it has said why not
		}
	}
	if e.Mail.Subject != "" {
		n.mail.queueMail(&e.Mail, nil)
	}
}

func (n *Notifier) startClosing(wait, most time.Duration) {
	if !n.deadline.IsZero() {
		return
	}
	now := time.Now()
	n.wait, n.latest = wait, now.Add(max(wait, most))
	n.extend(now)
	n.mail.close(n.deadline)
	n.ticker.Reset(closingEvery)
}

// extend has Close wait from now on.
func (n *Notifier) extend(now time.Time) {
	n.deadline = now.Add(n.wait)
	if n.deadline.After(n.latest) {
		n.deadline = n.latest
	}
	n.hurry = n.deadline.Add(-n.wait / 2)
}

// finished reports whether the hub may end: nothing is left to wait for, or
// there is no more time to.
func (n *Notifier) finished(now time.Time) bool {
	if n.deadline.IsZero() {
		return false
	}
	if now.Before(n.deadline) && n.running > 0 {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = len(n.inbox) == 0
	return n.closed
}

func (n *Notifier) finish() {
	n.endScripts()
	for _, w := range n.fifos {
		w.close()
	}
	<-n.mail.done
}

// Status asks the hub for the state of its deliveries, of owners by kind and name; a
// closed notifier has none.
func (n *Notifier) Status() status.Notifications {
	var s status.Notifications
	answered := make(chan struct{})
	n.post(letter{do: func() {
		s.Owners = n.ownerStatus()
		for _, w := range n.fifos {
			if st := w.status(); st.Path != "" {
				s.FIFOs = append(s.FIFOs, st)
			}
		}
		s.Mail = n.mail.status()
		close(answered)
	}})
	select {
	case <-answered:
		return s
	case <-n.done:
		return status.Notifications{}
	}
}

// commandLine shows a command as an operator wrote it.
func commandLine(c *conf.Command) string { return strings.Join(c.Args, " ") }
