package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Program is a keepalived to run.
type Program struct {
	Name string // for tables: "ours", "upstream"
	Path string
	Env  string // NAME=VALUE, added to the environment of this process; empty: none
}

// C is the C daemon as Debian installs it.
func C() Program { return Program{Name: "upstream", Path: "/usr/sbin/keepalived"} }

// IsC reports whether p is the C daemon, which the form of its version shows.
func (p Program) IsC() bool {
	out, err := exec.Command(p.Path, "-v").CombinedOutput()
	return err == nil && strings.HasPrefix(string(out), "Keepalived v2.") && strings.Contains(string(out), "Alexandre Cassen")
}

// Daemon is a running keepalived.
type Daemon struct {
	Node    *Node
	Program Program
	Dir     string // configuration, pid files, dumps
	Started time.Time

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has been reaped

	mu    sync.Mutex
	lines []Line
}

// Line is a line of a daemon's log, with the time at which it was read.
type Line struct {
	Time time.Time
	Text string
}

// Start runs p in the node with the given configuration, in the foreground with a
// detailed log. Each daemon has its own directory for pid files, dumps and configuration,
// so that several can run in one node.
func (n *Node) Start(p Program, config string, args ...string) (*Daemon, error) {
	dir, err := os.MkdirTemp(n.Dir, "daemon-")
	if err != nil {
		return nil, err
	}
	return n.StartIn(dir, p, config, args...)
}

// StartIn is Start with a given directory, such as that of a killed predecessor.
func (n *Node) StartIn(dir string, p Program, config string, args ...string) (*Daemon, error) {
	d := &Daemon{Node: n, Program: p, Dir: dir, done: make(chan struct{})}
	if err := d.Configure(config); err != nil {
		return nil, err
	}
	all := []string{"-n", "-l", "-D", "-G", "-f", d.file("keepalived.conf"),
		"-p", d.file("keepalived.pid"), "-r", d.file("vrrp.pid"), "-c", d.file("checkers.pid"), "-b", d.file("bfd.pid")}
	return d, d.start(append(all, args...))
}

// StartWith runs p with exactly these arguments.
func (n *Node) StartWith(p Program, args ...string) (*Daemon, error) {
	d := &Daemon{Node: n, Program: p, Dir: n.Dir, done: make(chan struct{})}
	return d, d.start(args)
}

func (d *Daemon) start(args []string) error {
	d.cmd = exec.Command(d.Program.Path, args...)
	d.cmd.Dir = d.Dir
	d.cmd.Env = append(os.Environ(), "TMPDIR="+d.Dir)
	if e := d.Program.Env; e != "" {
		d.cmd.Env = append(d.cmd.Env, e)
	}
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	d.cmd.Stdout, d.cmd.Stderr = w, w
	d.Started = time.Now()
	err = d.Node.Do(d.cmd.Start)
	w.Close()
	if err != nil {
		r.Close()
		return fmt.Errorf("start %s in %s: %w", d.Program.Path, d.Node.Name, err)
	}
	logged := make(chan struct{})
	go func() {
		d.readLog(r)
		close(logged)
	}()
	go func() {
		d.cmd.Wait()
		// The log includes all that the process wrote before its end. A child that
		// outlives it may hold the pipe open for longer.
		select {
		case <-logged:
		case <-time.After(100 * time.Millisecond):
		}
		close(d.done)
		d.Node.lab.wake()
	}()
	return nil
}

func (d *Daemon) readLog(r io.ReadCloser) {
	defer r.Close()
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line := Line{time.Now(), s.Text()}
		d.mu.Lock()
		d.lines = append(d.lines, line)
		d.mu.Unlock()
		d.Node.lab.wake()
	}
}

func (d *Daemon) file(name string) string { return filepath.Join(d.Dir, name) }

// Configure replaces the configuration file.
func (d *Daemon) Configure(config string) error {
	return os.WriteFile(d.file("keepalived.conf"), []byte(config), 0o644)
}

// Reload replaces the configuration file and sends SIGHUP.
func (d *Daemon) Reload(config string) error {
	if err := d.Configure(config); err != nil {
		return err
	}
	return d.Signal(unix.SIGHUP)
}

// Pid returns the process id of the parent.
func (d *Daemon) Pid() int { return d.cmd.Process.Pid }

// VRRPPid returns the process id of the VRRP child from its pid file, or 0.
func (d *Daemon) VRRPPid() int { return d.pidIn("vrrp.pid") }

// BFDPid returns the process id of the BFD child, or 0.
func (d *Daemon) BFDPid() int { return d.pidIn("bfd.pid") }

// ControlPid returns the process id of the control process, or 0.
func (d *Daemon) ControlPid() int { return d.pidIn("keepalived.control.pid") }

func (d *Daemon) pidIn(file string) int {
	b, err := os.ReadFile(d.file(file))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}

// Pids returns the parent and all its descendants.
func (d *Daemon) Pids() []int { return descendants(d.Pid()) }

// Signal sends a signal to the parent.
func (d *Daemon) Signal(s syscall.Signal) error { return d.cmd.Process.Signal(s) }

// Stop sends SIGTERM and waits for the end.
func (d *Daemon) Stop() error {
	if err := d.Signal(unix.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return d.Wait(5 * time.Second)
}

// Wait waits for the end of the parent. An exit code other than 0 is an [exec.ExitError].
func (d *Daemon) Wait(timeout time.Duration) error {
	switch code := d.ExitCode(timeout); code {
	case 0:
		return nil
	case -1:
		if d.Running() {
			return fmt.Errorf("%s in %s still runs %v later", d.Program.Name, d.Node.Name, timeout)
		}
	}
	return &exec.ExitError{ProcessState: d.cmd.ProcessState}
}

// ExitCode waits like Wait and returns the exit code, or -1 if the parent still runs or
// was ended by a signal.
func (d *Daemon) ExitCode(timeout time.Duration) int {
	if !d.Node.lab.Until(timeout, func() bool { return !d.Running() }) {
		return -1
	}
	return d.cmd.ProcessState.ExitCode()
}

// Running reports whether the parent has not ended.
func (d *Daemon) Running() bool {
	select {
	case <-d.done:
		return false
	default:
		return true
	}
}

// Kill ends all processes with SIGKILL, as if the machine had lost power. It stops the
// parent first, so that the parent neither starts a successor nor lets its children send
// last packets. It returns when the children have been killed.
func (d *Daemon) Kill() time.Time {
	pids := d.Pids()
	unix.Kill(pids[0], unix.SIGSTOP)
	for _, pid := range slices.Backward(pids) {
		unix.Kill(pid, unix.SIGKILL)
	}
	at := time.Now()
	<-d.done
	d.Node.lab.Until(time.Second, func() bool { return !slices.ContainsFunc(pids[1:], Alive) })
	return at
}

// Alive reports whether a child of a daemon runs. Orphans become children of this process
// (see New), which must reap them: a daemon would take a zombie for a running process.
func Alive(pid int) bool {
	unix.Wait4(pid, nil, unix.WNOHANG, nil)
	return unix.Kill(pid, 0) == nil
}

// Pause stops all processes with SIGSTOP. Continue resumes them.
func (d *Daemon) Pause() { d.signalAll(unix.SIGSTOP) }

// Continue resumes the processes after Pause.
func (d *Daemon) Continue() { d.signalAll(unix.SIGCONT) }

func (d *Daemon) signalAll(s syscall.Signal) {
	for _, pid := range d.Pids() {
		unix.Kill(pid, s)
	}
}

// Log returns the log so far.
func (d *Daemon) Log() []Line {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lines[:len(d.lines):len(d.lines)]
}

// Logged reports whether a line logged after from contains the text.
func (d *Daemon) Logged(from time.Time, text string) bool { return len(d.LinesWith(from, text)) > 0 }

// LinesWith returns the lines logged after from that contain the text.
func (d *Daemon) LinesWith(from time.Time, text string) (all []Line) {
	for _, l := range d.Log() {
		if !l.Time.Before(from) && strings.Contains(l.Text, text) {
			all = append(all, l)
		}
	}
	return all
}

// LogText returns the whole log as one text.
func (d *Daemon) LogText() string {
	var b strings.Builder
	for _, l := range d.Log() {
		fmt.Fprintf(&b, "%s %s: %s\n", l.Time.Format("05.000000"), d.Node.Name, l.Text)
	}
	return b.String()
}

// Usage is the use of resources by a set of processes.
type Usage struct {
	CPU       time.Duration // user and system
	RSS, PSS  int64         // bytes
	Processes int
	Files     int // open file descriptors
}

// Usage returns the sum over all processes of the daemon.
func (d *Daemon) Usage() Usage {
	var u Usage
	for _, pid := range d.Pids() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		u.Processes++
		f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		const utime, stime, ticks = 11, 12, 10 * time.Millisecond // USER_HZ is 100
		for _, i := range []int{utime, stime} {
			n, _ := strconv.ParseInt(f[i], 10, 64)
			u.CPU += time.Duration(n) * ticks
		}
		rollup, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		for line := range strings.Lines(string(rollup)) {
			var kib int64
			if _, err := fmt.Sscanf(line, "Rss: %d kB", &kib); err == nil {
				u.RSS += kib << 10
			} else if _, err := fmt.Sscanf(line, "Pss: %d kB", &kib); err == nil {
				u.PSS += kib << 10
			}
		}
		fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		u.Files += len(fds)
	}
	return u
}
