// Package notify tells the world what virtual routers do: by scripts, FIFOs and
// mail.
//
//	VRRP loop ─ Tell ─ inbox ─ hub ─┬─ queue of each owner ─ script.Runner
//	                                ├─ FIFOs
//	                                └─ queue of mails ─ mailer ─ SMTP server
//
// Tell puts an event into the inbox and returns. One goroutine, the hub, takes
// the events in that order; it owns the queues and writes the FIFOs, and nothing
// it does waits for a script, a reader or a server. The scripts of one owner, an
// instance or a sync group, run one after another, those of different owners
// side by side. Mails leave one after another from a goroutine of their own.
package notify

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/script"
)

// Kind says what happened to an instance or a sync group.
type Kind uint8

const (
	Master Kind = iota
	Backup
	Fault
	Stop
	// Deleted is told of an instance that a reload has removed. Without
	// notify_deleted it is told as FAULT, though notify_fault is not run.
	Deleted
	MasterRxLowerPri // a master has received an advert of lower priority
	MasterPriority   // the effective priority of a master has changed
	BackupPriority   // likewise of a backup
)

// String is the word that scripts and readers of FIFOs see.
func (k Kind) String() string {
	return [...]string{"MASTER", "BACKUP", "FAULT", "STOP", "DELETED",
		"MASTER_RX_LOWER_PRI", "MASTER_PRIORITY", "BACKUP_PRIORITY"}[k]
}

// isState reports whether a state has been entered; the others happen within
// one.
func (k Kind) isState() bool { return k <= Deleted }

// Event is something to be told.
type Event struct {
	Group    bool // of a sync group rather than an instance
	Name     string
	Kind     Kind
	Priority int          // effective priority; 0 for groups
	To       *conf.Notify // whom the owner tells; nil: FIFOs only
	FIFOOnly bool         // a state that is written again after a reload
}

// owner names whose event it is.
func (e *Event) owner() Owner { return Owner{e.Group, e.Name} }

// state is the word that is told.
func (e *Event) state() string {
	if e.Kind == Deleted && (e.To == nil || !e.To.SignalDeleted) {
		return Fault.String()
	}
	return e.Kind.String()
}

// line appends the line for FIFOs, or nothing if they are not told.
func (e *Event) line(b []byte) []byte {
	if (e.Kind == MasterPriority || e.Kind == BackupPriority) && (e.To == nil || !e.To.PriorityChanges) {
		return b
	}
	return fmt.Appendf(b, "%s \"%s\" %s %d\n", e.owner().kind(), e.Name, e.state(), e.Priority)
}

// Owner names an instance or a sync group.
type Owner struct {
	Group bool
	Name  string
}

func (o Owner) kind() string {
	if o.Group {
		return "GROUP"
	}
	return "INSTANCE"
}

// String is how log lines begin that are about it.
func (o Owner) String() string {
	if o.Group {
		return "VRRP_Group(" + o.Name + ")"
	}
	return "(" + o.Name + ")"
}

// Notifier tells events by every channel that is configured.
type Notifier struct {
	runner *script.Runner
	mail   *mailer

	mu     sync.Mutex
	inbox  []letter
	closed bool
	wake   chan struct{} // something is in the inbox
	done   chan struct{} // the hub has ended

	// Of the hub alone.
	config   *conf.Config
	owners   map[Owner]*owner
	programs map[string]program // by commandKey
	running  int                // owners that run a script
	fifos    [3]*FIFO           // notify_fifo, vrrp_notify_fifo, lvs_notify_fifo
	line     []byte
	ticker   *time.Ticker
	deadline time.Time // when Close stops waiting; zero: not closing
	hurry    time.Time // when it stops waiting for scripts that others wait for
}

// letter is what the inbox holds: an event, or something else for the hub to do.
type letter struct {
	event Event
	do    func()
}

// How often the hub looks at running scripts, and at what Close waits for.
const (
	lookEvery    = time.Second
	closingEvery = 20 * time.Millisecond
)

// New starts a notifier that has nobody to tell until [Notifier.Configure].
// Scripts are run by runner, which must outlive it. The name of the host is how
// mails call this node where the configuration does not say.
func New(runner *script.Runner, hostname string) *Notifier {
	n := &Notifier{
		runner:   runner,
		mail:     newMailer(hostname),
		wake:     make(chan struct{}, 1),
		done:     make(chan struct{}),
		config:   &conf.Config{},
		owners:   make(map[Owner]*owner),
		programs: make(map[string]program),
		fifos:    [3]*FIFO{NewFIFO("notify_fifo", runner), NewFIFO("vrrp_notify_fifo", runner), NewFIFO("lvs_notify_fifo", runner)},
		ticker:   time.NewTicker(lookEvery),
	}
	n.ticker.Stop() // nothing runs yet
	go n.run()
	return n
}

// Tell tells e, after everything that was told before. It does not wait.
func (n *Notifier) Tell(e Event) { n.post(letter{event: e}) }

// Configure takes effect for what is told from here on. It does not wait. What
// is wrong with scripts and FIFOs is logged and shown by [Notifier.Status].
func (n *Notifier) Configure(c *conf.Config) { n.post(letter{do: func() { n.configure(c) }}) }

// Close gives what was told up to wait to be done with: scripts that waited for
// their turn, mails, lines that the script of a FIFO has not read. Then what
// still runs is named in the log and sent SIGTERM, and the FIFOs made here are
// removed. What is told later is lost.
func (n *Notifier) Close(wait time.Duration) {
	n.post(letter{do: func() { n.startClosing(wait) }})
	<-n.done
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
				n.tell(&letters[i].event)
			}
		}
		clear(letters)
	}
	n.finish()
}

func (n *Notifier) configure(c *conf.Config) {
	n.config = c
	n.mail.configure(c.Global.Mail, c.Global.RouterID)
	n.configureOwners()
	wanted := [3]conf.FIFO{c.Global.FIFO, c.Global.VRRPFIFO, c.Global.LVSFIFO}
	for i, f := range n.fifos { // a path may move from one to the other
		if f.Status().Path != wanted[i].Path {
			f.Close()
		}
	}
	for i, f := range n.fifos {
		if err := f.Configure(wanted[i], c.Global.Scripts); err != nil {
			slog.Error(err.Error())
		}
	}
}

// tell hands e to the channels: scripts, FIFOs, mail.
func (n *Notifier) tell(e *Event) {
	if e.To != nil && !e.FIFOOnly {
		n.tellScripts(e)
	}
	if n.line = e.line(n.line[:0]); len(n.line) > 0 {
		for _, f := range n.fifos[:2] { // the third is for virtual and real servers
			f.Write(n.line)
		}
	}
	if e.To != nil && !e.FIFOOnly && e.To.SMTPAlert {
		n.mail.tell(e)
	}
}

func (n *Notifier) startClosing(wait time.Duration) {
	if !n.deadline.IsZero() {
		return
	}
	now := time.Now()
	n.deadline, n.hurry = now.Add(wait), now.Add(wait/2)
	n.mail.close(n.deadline)
	n.ticker.Reset(closingEvery)
}

// finished reports whether the hub may end: nothing is left to wait for, or
// there is no more time to.
func (n *Notifier) finished(now time.Time) bool {
	if n.deadline.IsZero() {
		return false
	}
	if now.Before(n.deadline) {
		if n.running > 0 || slices.ContainsFunc(n.fifos[:], func(f *FIFO) bool { return !f.drained() }) {
			return false
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = len(n.inbox) == 0
	return n.closed
}

func (n *Notifier) finish() {
	n.endScripts()
	for _, f := range n.fifos {
		f.Close()
	}
	<-n.mail.done
}

// Status is what a notifier is doing.
type Status struct {
	Owners []OwnerStatus // groups, then instances, each by name
	FIFOs  []FIFOStatus  // those configured
	Mail   MailStatus
}

// Status asks the hub; a closed notifier has none.
func (n *Notifier) Status() Status {
	var s Status
	answered := make(chan struct{})
	n.post(letter{do: func() {
		s.Owners = n.ownerStatus()
		for _, f := range n.fifos {
			if st := f.Status(); st.Path != "" {
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
		return Status{}
	}
}

// commandLine shows a command as an operator wrote it.
func commandLine(c *conf.Command) string { return strings.Join(c.Args, " ") }
