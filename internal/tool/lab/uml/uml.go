// Package uml runs programs in a User-Mode Linux: a Linux kernel that is a process of
// this machine, with modules that the kernel of the machine may lack, such as ip_vs.
//
// The program can read the files of this machine. Its writes go into memory and end with
// the kernel, as do its processes, links and tables. Nothing remains, however this
// process ends. Several kernels may run at once. For tests in such a kernel, use package
// umltest.
package uml

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

//go:embed boot.sh
var boot string

// Machine is a User-Mode Linux to be booted. The zero value can be used.
type Machine struct {
	// Modules are loaded before the program starts, with their dependencies.
	Modules []string

	// Memory is in MiB; 0: 256.
	Memory int

	// Timeout bounds the boot and the program together; 0: a minute. It is extended while
	// the host is busy, as the waits of a lab are.
	Timeout time.Duration
}

// Inside reports whether this process was started by [Machine.Run].
func Inside() bool { return os.Getenv(lab.GuestEnv) != "" }

// ErrNoEnd means that the kernel ended, or the time was up, before the program ended.
var ErrNoEnd = errors.New("the program in the User-Mode Linux did not end")

// Run boots the machine, runs c in it, and returns its exit status, as a shell reports
// it. It uses the fields Path, Args, Env, Dir and Stdout of c. Stdout gets the output of
// the program, its standard error included, as it is written. The error wraps [ErrNoEnd],
// or gives the reason why the kernel did not boot, with the last lines of its console.
// Run needs root.
func (m Machine) Run(ctx context.Context, c *exec.Cmd) (status int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timeout := cmp.Or(m.Timeout, time.Minute)
	patience := lab.NewPatience(timeout)
	go func() {
		for patience.Left() > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(min(max(patience.Left(), 10*time.Millisecond), time.Second)):
			}
		}
		cancel(fmt.Errorf("more than %v, and what the host was busy with something else", timeout))
	}()

	out := &console{mark: rand.Text(), program: c.Stdout, ended: make(chan int, 1)}
	args := append([]string{"-c", boot, "boot.sh", fmt.Sprintf("%dM", cmp.Or(m.Memory, 256))}, m.Modules...)
	kernel := exec.CommandContext(ctx, "/bin/sh", args...)
	kernel.Stdin = strings.NewReader(script(c, out.mark))
	kernel.Stdout, kernel.Stderr = out, out
	kernel.WaitDelay = 10 * time.Second
	// The shell is the first process of its namespace: all others end with it, and it
	// ends with this process.
	kernel.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and not unlocked: Pdeathsig and stayOnOne are about this thread
		stayOnOne()
		done <- kernel.Run()
	}()
	select {
	case err = <-done:
	case status := <-out.ended:
		cancel(nil) // the kernel need not power off
		<-done
		return status, nil
	}
	select {
	case status := <-out.ended:
		return status, nil
	default:
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	} else if err == nil {
		err = errors.New("the kernel ended")
	}
	return -1, fmt.Errorf("%w: %w\n%s", ErrNoEnd, err, out.lastLines())
}

// machines counts the machines of this process.
var machines atomic.Uint32

// stayOnOne has this thread, and what it starts, run on one of the processors that it may use.
// A User-Mode Linux has one processor, and its kernel and its programs, which are processes of
// the host, run in turn: at each system call and page fault one wakes the other. On another
// processor that takes three to four times as long. Machines that run at the same time take
// different processors where they can.
func stayOnOne() {
	var may, one unix.CPUSet
	if unix.SchedGetaffinity(0, &may) != nil {
		return
	}
	left := (os.Getpid() + int(machines.Add(1))) % max(1, may.Count())
	for cpu := range 1024 { // CPU_SETSIZE
		if !may.IsSet(cpu) {
			continue
		}
		if left == 0 {
			one.Set(cpu)
			_ = unix.SchedSetaffinity(0, &one) // else it is slow
			return
		}
		left--
	}
}

// script returns the script that the first process of the kernel runs.
func script(c *exec.Cmd, mark string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "cd %s\n", quote(cmp.Or(c.Dir, workingDirectory())))
	for _, v := range append(c.Environ(), lab.GuestEnv+"=1") {
		name, value, _ := strings.Cut(v, "=")
		if variable.MatchString(name) {
			fmt.Fprintf(&b, "export %s=%s\n", name, quote(value))
		}
	}
	fmt.Fprintf(&b, "dmesg -C\necho; echo %s begin\n%s", mark, quote(c.Path))
	for _, arg := range c.Args[1:] {
		b.WriteString(" " + quote(arg))
	}
	fmt.Fprintf(&b, " 2>&1\nstatus=$?\n[ $status = 0 ] || dmesg -l emerg,alert,crit,err,warn | tail -n 20\n")
	fmt.Fprintf(&b, "echo; echo %s end $status\necho o >/proc/sysrq-trigger\nwhile :; do sleep 60; done\n", mark)
	return b.String()
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func workingDirectory() string {
	dir, err := os.Getwd()
	if err != nil {
		return "/"
	}
	return dir
}

// quote quotes s as one word of a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// console reads the output of the kernel's console: the messages of the boot and the
// output of the program, separated by lines with a mark that is unique.
type console struct {
	mark    string
	program io.Writer // nil: the output is dropped
	ended   chan int  // the status of the program

	mu    sync.Mutex
	state consoleState
	held  []byte // not yet passed on: it may be the beginning of a mark
	last  []byte // the end of the output
}

type consoleState uint8

const (
	booting consoleState = iota
	running
	over
)

// maxLast is how many bytes of a console are kept for errors.
const maxLast = 8 << 10

func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = append(c.last, b...)
	c.last = c.last[max(0, len(c.last)-maxLast):]
	c.held = append(c.held, b...)
	for {
		switch c.state {
		case booting:
			_, rest, found := bytes.Cut(c.held, []byte("\n"+c.mark+" begin\n"))
			if !found {
				c.held = c.held[max(0, len(c.held)-maxLast):]
				return len(b), nil
			}
			c.held, c.state = rest, running
		case running:
			text, rest, found := bytes.Cut(c.held, []byte("\n"+c.mark+" end "))
			if !found {
				// Text that could be the beginning of the line with the mark is held.
				keep := bytes.LastIndexByte(c.held, '\n')
				if keep < 0 || len(c.held)-keep > len(c.mark)+len("\n end ") {
					keep = len(c.held)
				}
				err := c.pass(c.held[:keep])
				c.held = c.held[keep:]
				return len(b), err
			}
			status, _, whole := strings.Cut(string(rest), "\n")
			if !whole {
				return len(b), nil
			}
			if err := c.pass(text); err != nil {
				return 0, err
			}
			n, err := strconv.Atoi(status)
			if err != nil {
				return 0, fmt.Errorf("exit status %q", status)
			}
			c.ended <- n
			c.held, c.state = nil, over
		case over:
			c.held = nil
			return len(b), nil
		}
	}
}

func (c *console) pass(b []byte) error {
	if c.program == nil || len(b) == 0 {
		return nil
	}
	_, err := c.program.Write(b)
	return err
}

func (c *console) lastLines() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.ToValidUTF8(string(c.last), "?")
}
