package notify

import (
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/script"
)

const (
	readerDelayMax = 30 * time.Second
	// readerWell is how long a reader must have run for its end to count as the
	// first one.
	readerWell = time.Minute
)

// readerDelay is how long a reader that has ended of itself waits for its next
// start, after so many ends in a row: 1 s, 2 s, 4 s and so on, at most 30 s.
func readerDelay(ends int) time.Duration {
	return min(time.Second<<min(ends-1, 10), readerDelayMax)
}

// reader keeps the script running that reads a FIFO.
type reader struct {
	runner  *script.Runner
	keyword string

	mu      sync.Mutex
	command conf.Command // what is to run; empty: nothing is
	policy  conf.ScriptPolicy
	path    string // of the FIFO, its last argument

	run      *script.Run // nil: nothing runs
	replaced bool        // what runs was sent SIGTERM, and what is to run follows it
	restart  *time.Timer // nil: not waiting for the next start
	ends     int         // of itself, in a row
	result   string      // how it ended last
}

// set makes command what is to run. One that is the same continues undisturbed.
// Two never run at once: the new one starts when the old one has ended. The
// error is why it cannot run; it is tried again later in case the cause is removed.
func (r *reader) set(command conf.Command, p conf.ScriptPolicy, path string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	command.Pos = conf.Pos{} // where it is written does not matter
	if reflect.DeepEqual(command, r.command) && p == r.policy && path == r.path {
		return nil
	}
	r.command, r.policy, r.path, r.ends = command, p, path, 0
	if r.restart != nil {
		r.restart.Stop()
		r.restart = nil
	}
	if r.run != nil {
		r.replaced = true
		r.run.Terminate()
		return nil
	}
	return r.start()
}

// start runs the command. The mutex is held.
func (r *reader) start() error {
	if !r.command.Given() {
		return nil
	}
	prog, err := script.Resolve(r.command, r.policy)
	if err != nil {
		r.result = (&script.Result{Err: err}).String()
		if !script.Passes(err) {
			return err
		}
		r.ends++
		delay := readerDelay(r.ends)
		slog.Warn(fmt.Sprintf("%s %s could not be looked up: %v; trying again in %v", r.keyword, commandLine(&r.command), err, delay),
			"script", commandLine(&r.command))
		r.restart = time.AfterFunc(delay, r.again)
		return nil
	}
	r.replaced = false
	r.run = r.runner.Start(script.Request{Program: prog, Extra: []string{r.path}, Done: r.done})
	return nil
}

// done is called by the runner when the script has ended.
func (r *reader) done(result script.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.run = nil
	r.result = result.String()
	if r.replaced { // not from here: the runner must not wait for a file system
		r.restart = time.AfterFunc(0, r.again)
		return
	}
	if result.Took >= readerWell {
		r.ends = 0
	}
	r.ends++
	delay := readerDelay(r.ends)
	text := fmt.Sprintf("%s %s terminated: %v", r.keyword, commandLine(&r.command), &result)
	if result.Output != "" {
		text += ": " + result.Output
	}
	slog.Warn(fmt.Sprintf("%s; restarting it in %v", text, delay), "script", commandLine(&r.command))
	r.restart = time.AfterFunc(delay, r.again)
}

// again starts a script that has ended of itself.
func (r *reader) again() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.restart == nil || r.run != nil {
		return // configured otherwise meanwhile
	}
	r.restart = nil
	if err := r.start(); err != nil {
		slog.Warn(fmt.Sprintf("%s %s is disabled: %v", r.keyword, commandLine(&r.command), err))
	}
}

func (r *reader) status() (running bool, result string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.run != nil, r.result
}
