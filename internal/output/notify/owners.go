package notify

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/output/status"
)

// owner is an owner that has scripts to run.
type owner struct {
	Owner
	queue
	run       *script.Run // of what runs
	last      status.Run
	overtakes uint64 // changes that were overtaken, ever
}

// program is what a command has been resolved to.
type program struct {
	*script.Program
	err error
}

// commandKey is the same for commands that are the same.
func commandKey(c *conf.Command) string {
	return strings.Join(c.Args, "\x00") + "\x00\x00" + c.User + "\x00" + c.Group
}

// configureOwners resolves the commands of all owners and forgets the owners
// that are gone. What is wrong with a script is said once, however many use it.
func (n *Notifier) configureOwners() {
	clear(n.programs)
	exists := make(map[Owner]bool)
	for i := range n.config.Owners {
		o := n.config.Owners[i].Owner
		exists[o] = true
		for _, s := range n.config.Owners[i].Steps {
			c := s.Command
			if _, known := n.programs[commandKey(c)]; known {
				continue
			}
			p := n.resolve(c)
			if p.err != nil {
				slog.Warn(fmt.Sprintf("%v %s script %s is disabled: %v", o, s.Keyword, commandLine(c), p.err),
					"owner", o.Name, "script", commandLine(c))
				continue
			}
			for _, note := range p.Notes {
				slog.Info(note, "owner", o.Name, "script", commandLine(c))
			}
		}
	}
	for key, o := range n.owners {
		if !exists[key] && o.idle() {
			delete(n.owners, key)
		}
	}
}

// resolve returns what c stands for. What could not be resolved is tried again:
// the cause may have been removed.
func (n *Notifier) resolve(c *conf.Command) program {
	key := commandKey(c)
	if p, ok := n.programs[key]; ok && p.err == nil {
		return p
	}
	var p program
	p.Program, p.err = script.Resolve(*c, n.config.Scripts)
	n.programs[key] = p
	return p
}

func (n *Notifier) queueScripts(e *Event) {
	o := n.owners[e.Owner]
	if o == nil {
		o = &owner{Owner: e.Owner}
		n.owners[e.Owner] = o
	}
	now := time.Now()
	o.push(stateChange{e.Word, e.State, now, e.Steps})
	n.advance(o, now)
}

// advance starts the next script of o, if it is its turn.
func (n *Notifier) advance(o *owner, now time.Time) {
	for s := o.next(now); s != nil; s = o.next(now) {
		p := n.resolve(s.Command)
		if p.err == nil {
			req := script.Request{Program: p.Program, Extra: s.Extra, Done: func(r script.Result) {
				n.post(letter{do: func() { n.ended(o, r) }})
			}}
			if s.trial != nil {
				req.Env = []string{TrialVariable + "=1"}
			}
			o.run = n.runner.Start(req)
			n.count(1)
			break
		}
		n.note(o, script.Result{Err: p.err}, now)
		o.done()
	}
	if count := o.caughtUp(); count > 0 {
		o.overtakes += uint64(count)
		slog.Warn(fmt.Sprintf("%v changed faster than its notify scripts ended: %d outdated changes were left out",
			o.Owner, count), "owner", o.Name)
	}
}

// count notes that an owner has begun (1) or ceased (-1) to run a script. While
// there are any, the hub looks at them.
func (n *Notifier) count(change int) {
	n.running += change
	switch {
	case !n.deadline.IsZero(): // it looks more often already
	case n.running == 0:
		n.ticker.Stop()
	case n.running == 1 && change > 0:
		n.ticker.Reset(lookEvery)
	}
}

// ended takes the result of the script that o ran.
func (n *Notifier) ended(o *owner, r script.Result) {
	now := time.Now()
	n.note(o, r, now)
	o.done()
	o.run = nil
	n.count(-1)
	if !n.deadline.IsZero() && now.Before(n.deadline) {
		n.extend(now)
	}
	n.advance(o, now)
}

// note keeps the result of the script that o ran and logs a failure.
func (n *Notifier) note(o *owner, r script.Result, now time.Time) {
	o.last = status.Run{
		Keyword: o.running.Keyword, Command: commandLine(o.running.Command), Result: r.String(), OK: r.OK(), Ended: now,
	}
	if o.running.trial != nil {
		o.running.trial(r)
	}
	if r.OK() {
		return
	}
	text := fmt.Sprintf("%v %s script %s %v", o.Owner, o.last.Keyword, o.last.Command, &r)
	if r.Output != "" {
		text += ": " + r.Output
	}
	slog.Warn(text, "owner", o.Name, "script", o.last.Command, "state", o.queue.word)
}

// look reports slow scripts and ends scripts that are in the way.
func (n *Notifier) look(now time.Time) {
	closing := !n.hurry.IsZero() && !now.Before(n.hurry)
	for _, o := range n.owners {
		if o.isSlow(now) {
			slog.Warn(fmt.Sprintf("%v %s script %s has been running for %v%s", o.Owner, o.running.Keyword,
				commandLine(o.running.Command), now.Sub(o.started).Round(time.Second), o.behind()),
				"owner", o.Name, "script", commandLine(o.running.Command))
		}
		if o.isHung(now) || closing && o.queue.hurry() {
			slog.Warn(fmt.Sprintf("%v %s script %s is ended: it has been running for %v%s", o.Owner, o.running.Keyword,
				commandLine(o.running.Command), now.Sub(o.started).Round(time.Millisecond), o.behind()),
				"owner", o.Name, "script", commandLine(o.running.Command))
			o.run.Terminate()
		}
	}
}

// words what waits behind the script that runs.
func (o *owner) behind() string {
	switch len(o.waiting) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("; %s is waiting for it", o.waiting[0].word)
	}
	return fmt.Sprintf("; %d changes are waiting for it, the last is %s", len(o.waiting), o.waiting[len(o.waiting)-1].word)
}

// endScripts names and ends what still runs when there is no more time.
func (n *Notifier) endScripts() {
	for _, o := range n.owners {
		if o.running == nil {
			continue
		}
		slog.Warn(fmt.Sprintf("%v %s script %s has not ended%s: sent SIGTERM", o.Owner, o.running.Keyword,
			commandLine(o.running.Command), o.behind()), "owner", o.Name, "script", commandLine(o.running.Command))
		if !o.queue.ended {
			o.run.Terminate()
		}
	}
}

func (n *Notifier) ownerStatus() []status.Owner {
	all := make(map[Owner]*status.Owner)
	for i := range n.config.Owners {
		d := &n.config.Owners[i]
		st := &status.Owner{Kind: d.Owner.Kind, Name: d.Owner.Name}
		for _, s := range d.Steps {
			if err := n.programs[commandKey(s.Command)].err; err != nil {
				st.Disabled = append(st.Disabled, status.DisabledScript{Keyword: s.Keyword, Command: commandLine(s.Command), Reason: err.Error()})
			}
		}
		all[d.Owner] = st
	}
	for key, o := range n.owners {
		st := all[key]
		if st == nil {
			st = &status.Owner{Kind: key.Kind, Name: key.Name}
			all[key] = st
		}
		if o.running != nil {
			st.Keyword, st.Command, st.Since = o.running.Keyword, commandLine(o.running.Command), o.started
		}
		st.Waiting, st.Last = len(o.waiting), o.last
		st.Overtaken = o.overtakes + uint64(o.overtaken)
	}
	list := make([]status.Owner, 0, len(all))
	for _, st := range all {
		list = append(list, *st)
	}
	slices.SortFunc(list, func(a, b status.Owner) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return list
}
