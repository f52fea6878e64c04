// Package logging is where log lines go: syslog or the journal, the console, a
// file, any of them at once.
//
// A log call never waits. It puts the line into a bounded queue for each
// destination; one goroutine per destination writes. When a destination is
// stuck (a full syslog socket, a stopped terminal, a dead disk), its queue
// fills and further lines are dropped, counted and reported when it moves
// again; the others continue.
//
//	caller ─ slog.Logger ─ handler ─┬─ queue ─ goroutine ─ /dev/log or journal
//	                                ├─ queue ─ goroutine ─ stderr
//	                                └─ queue ─ goroutine ─ file
//
// The message of a record is the text that operators know from keepalived. Its
// attributes are for programs: they become fields of the journal entry and are
// left out of text lines.
package logging

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"
)

// LevelDetail is the level of lines that appear with -D: less than
// [slog.LevelInfo], more than [slog.LevelDebug].
const LevelDetail = slog.Level(-2)

// Options determine where the lines go.
type Options struct {
	Ident string     // name before each syslog line, as Keepalived_vrrp
	Level slog.Level // least level that is logged

	Syslog   bool
	Facility Facility // default Daemon
	// SyslogSocket is the datagram socket of the syslog daemon; default
	// /dev/log. If that is the journal's, its own protocol is spoken instead.
	SyslogSocket string

	Console   io.Writer // nil: none
	File      string    // empty: none; see [FileFor]
	FlushFile bool      // put each line on the disk at once (--flush-log-file)
}

// Logs are the open destinations.
type Logs struct {
	level  slog.Level
	queues []*queue
	fields bool // whether any destination takes attributes
}

// Setup opens the destinations and makes a logger that writes to them the
// default one. A destination that cannot be opened is left out: the others are
// usable even if the error is not nil.
func Setup(o Options) (*Logs, error) {
	l := &Logs{level: o.Level}
	var errs []error
	if o.Console != nil {
		l.add(&lines{w: o.Console})
	}
	if o.File != "" {
		f, err := openFile(o.File, o.FlushFile)
		if err != nil {
			errs = append(errs, err)
		} else {
			l.add(f)
		}
	}
	if o.Syslog {
		s := newSyslog(o)
		l.fields = s.journal
		l.add(s)
	}
	slog.SetDefault(slog.New(l.Handler()))
	return l, errors.Join(errs...)
}

func (l *Logs) add(s sink) { l.queues = append(l.queues, newQueue(s)) }

// SetIdent changes the name before each syslog line from here on.
func (l *Logs) SetIdent(ident string) {
	for _, q := range l.queues {
		q.push(&entry{do: func(s sink) {
			if s, ok := s.(*syslog); ok {
				s.ident = ident
			}
		}})
	}
}

// Flush waits until everything logged so far has been written and the journal
// has read it, at most until deadline, and reports whether that is so.
func (l *Logs) Flush(deadline time.Time) bool {
	timeout := time.NewTimer(time.Until(deadline))
	defer timeout.Stop()
	done := make(chan bool, len(l.queues))
	pending := 0
	settle := func(s sink) {
		log, ok := s.(*syslog)
		done <- !ok || log.settle(deadline)
	}
	for _, q := range l.queues {
		select {
		case q.ch <- &entry{do: settle}:
			pending++
		case <-timeout.C:
			return false
		}
	}
	all := true
	for range pending {
		select {
		case settled := <-done:
			all = all && settled
		case <-timeout.C:
			return false
		}
	}
	return all
}

// InfoLines logs each line of a text. A long one waits for the destinations now
// and then, so that it does not push out the lines of others.
func (l *Logs) InfoLines(text string) {
	const slice = queueLen / 8
	n := 0
	for line := range strings.Lines(text) {
		slog.Info(strings.TrimSuffix(line, "\n"))
		if n++; n%slice == 0 {
			l.Flush(time.Now().Add(time.Second))
		}
	}
}

// Dropped returns how many lines were lost since the start because a
// destination did not take them.
func (l *Logs) Dropped() uint64 {
	var n uint64
	for _, q := range l.queues {
		n += q.dropped.Load()
	}
	return n
}

// SilenceConsole points the standard error of a process that continues in the
// background to /dev/null, after what was logged has been written to it.
func (l *Logs) SilenceConsole(deadline time.Time) error {
	l.Flush(deadline)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	return redirectStderr(null)
}
