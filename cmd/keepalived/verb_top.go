package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/output/status/screen"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/tool/terminal"
)

const (
	// leastPause is between two questions of a live view when much happens. A daemon that
	// takes long for its answers gets more: sharePause times as long as the last one took.
	leastPause = 200 * time.Millisecond
	sharePause = 4
)

// keys are the keys other than letters, as terminals send them.
var keys = map[string]string{
	"\x1b[A": screen.KeyUp, "\x1bOA": screen.KeyUp, "\x1b[B": screen.KeyDown, "\x1bOB": screen.KeyDown,
	"\x1b[5~": screen.KeyPageUp, "\x1b[6~": screen.KeyPageDown,
	"\x1b[H": screen.KeyHome, "\x1bOH": screen.KeyHome, "\x1b[1~": screen.KeyHome,
	"\x1b[F": screen.KeyEnd, "\x1bOF": screen.KeyEnd, "\x1b[4~": screen.KeyEnd,
	"\r": screen.KeyEnter, "\n": screen.KeyEnter, "\x1b": screen.KeyEscape,
	"\x7f": screen.KeyBackspace, "\b": screen.KeyBackspace, "\x03": screen.KeyInterrupt,
}

// live is a live view: a model, and goroutines that send it what they have received.
type live struct {
	*asker
	model   screen.Top
	updates chan func() // called by the goroutine of the model
	poke    chan struct{}
}

// showTop shows the state of a daemon on the whole terminal, until the user leaves.
func showTop(a *asker, w io.Writer) int {
	code, err := runTop(a, w)
	if err != nil {
		fmt.Fprintf(os.Stderr, "keepalived %s: %v\n", a.name, err)
	}
	return code
}

func runTop(a *asker, w io.Writer) (code int, err error) {
	out, isFile := w.(*os.File)
	if !isFile {
		out = os.Stdout
	}
	s, err := a.client.Status() // a wrong option is worth no screen
	if err != nil {
		return proc.ExitFatal, err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	t, err := terminal.Open(os.Stdin, out)
	if err != nil {
		return proc.ExitFatal, fmt.Errorf("it needs a terminal (%w); keepalived status shows the state as a text", err)
	}
	defer func() { // also after a fault
		if failed := t.Close(); err == nil {
			err = failed
		}
	}()
	v := &live{asker: a, updates: make(chan func()), poke: make(chan struct{}, 1)}
	v.model.State(s, nil)
	v.model.Color = options(out).Color
	done, failed := false, error(nil)
	v.beside(func() {
		err := t.Keys(keys, func(key string) {
			v.updates <- func() {
				do, quit := v.model.Key(key)
				done = done || quit
				if do != nil {
					v.beside(func() { v.do(do) })
				}
			}
		})
		v.updates <- func() { done, failed = true, err }
	})
	v.beside(v.states)
	v.beside(v.events)
	clock := time.NewTicker(time.Second)
	defer clock.Stop()
	for !done {
		width, height, err := t.Size()
		if err != nil {
			return proc.ExitFatal, err
		}
		v.model.Width, v.model.Height = width, height
		if err := t.Draw(v.model.Lines(time.Now())); err != nil {
			return proc.ExitFatal, err
		}
		select {
		case f := <-v.updates:
			f()
		case <-resized:
		case <-clock.C:
		case s := <-signals:
			return 128 + int(s.(unix.Signal)), nil // as the shell reports it
		}
	}
	if failed != nil {
		return proc.ExitFatal, failed
	}
	return proc.ExitOK, nil
}

// beside runs f on a goroutine of its own. A fault in it ends the program as one of the model
// does: after the terminal has been given back.
func (v *live) beside(f func()) {
	go func() {
		defer func() {
			if fault := recover(); fault != nil {
				trace := debug.Stack() // the other goroutine has one of its own
				v.updates <- func() { panic(fmt.Sprintf("%v\n%s", fault, trace)) }
			}
		}()
		f()
	}()
}

// states asks for the state every other second, and soon after anything has happened.
func (v *live) states() {
	for {
		begun := time.Now()
		s, err := v.client.Status()
		v.updates <- func() { v.model.State(s, err) }
		time.Sleep(max(leastPause, sharePause*time.Since(begun)))
		select {
		case <-v.poke:
		case <-time.After(interval):
		}
	}
}

// events follows new events, after the past ones.
func (v *live) events() {
	past, _ := v.client.History("", time.Now().Add(-24*time.Hour)) // without it the view begins now
	var last uint64
	take := func(e *history.Event) error {
		last = e.ID
		v.updates <- func() { v.model.Event(e) }
		v.look()
		return nil
	}
	for i := range past {
		_ = take(&past[i]) // it has no error
	}
	for {
		_ = v.client.Events(last, take) // that of the question for the state is shown
		time.Sleep(again)
	}
}

// do has an act done.
func (v *live) do(a *act.Act) {
	var done api.Done
	err := v.client.Do(a, &done)
	v.updates <- func() {
		if err != nil {
			v.model.Done(err.Error())
			return
		}
		v.model.Done(done.Result + ".")
	}
	v.look()
}

// look has the state asked for.
func (v *live) look() {
	select {
	case v.poke <- struct{}{}:
	default:
	}
}
