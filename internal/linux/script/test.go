package script

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"
)

// Tests that are written like a redirection of the shell: <FILE succeeds if the
// user of the script can open FILE, </dev/tcp/HOST/PORT if a connection can be
// made. The C daemon leaves both to /bin/sh, which knows the second only where
// that is bash.

// openFile opens its argument and does nothing with it. It is a process of its
// own, since it has the rights of its user, and opening may block.
const openFile = `exec <"$0"`

// test makes prog the test that a word beginning with < names. It returns the
// program of a test that needs one.
func (prog *Program) test(word string) (path string, err error) {
	file := word[1:]
	tcp, isTCP := strings.CutPrefix(file, "/dev/tcp/")
	switch {
	case isTCP:
		host, port, _ := strings.Cut(tcp, "/")
		if n, err := strconv.ParseUint(port, 10, 16); host == "" || err != nil || n == 0 {
			return "", &Problem{Code: Missing, Path: file, Message: word + " names no host and port", Remedy: "script \"</dev/tcp/192.0.2.1/80\""}
		}
		prog.Path, prog.Connect = word, net.JoinHostPort(strings.Trim(host, "[]"), port)
	case strings.HasPrefix(file, "/dev/udp/"):
		return "", &Problem{Code: NotAFile, Path: file, Message: word + " would test nothing: UDP makes no connection",
			Remedy: "write a program that queries the service and waits for its answer"}
	case !strings.HasPrefix(file, "/"):
		return "", &Problem{Code: Missing, Path: file, Message: word + " names no file that could be opened", Remedy: "write the absolute path directly after <"}
	default:
		prog.Args = []string{shell, "-c", openFile, file}
	}
	return shell, nil
}

// maxConnect bounds a test without a timeout of its own.
const maxConnect = 10 * time.Second

// dial makes the connection of a run and closes it, on a goroutine.
func (r *Runner) dial(run *Run) {
	timeout := run.req.Timeout
	if timeout <= 0 {
		timeout = maxConnect
	}
	ctx, cancel := context.WithTimeout(r.calls, timeout)
	run.cancel = cancel
	r.mu.Lock()
	closed := r.closed
	if !closed {
		r.dialing.Add(1)
	}
	r.mu.Unlock()
	if closed {
		cancel()
		go r.finish(run, Result{Err: cmp.Or(r.refusal, errClosed)})
		return
	}
	go func() {
		defer r.dialing.Done()
		defer cancel()
		start := time.Now()
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", run.req.Program.Connect)
		res := Result{Took: time.Since(start)}
		if err == nil {
			conn.Close()
		} else {
			res.Exit = 1
			var ne net.Error
			res.TimedOut = errors.As(err, &ne) && ne.Timeout()
			var t tail
			t.write([]byte(err.Error()))
			res.Output = t.String()
		}
		r.finish(run, res)
	}()
}
