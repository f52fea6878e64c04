package track

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/nl"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/policy"
)

// How often processes are looked for where the kernel does not report them,
// and how often a number is reported that changes nothing else.
const (
	scanEvery  = time.Second
	countEvery = time.Second
)

// procBuffer is how much of a command line is looked at.
const procBuffer = 64 << 10

// processes counts processes. It learns of them from the kernel's events, or by
// looking through /proc every second.
type processes struct {
	mail
	report func([]Update)
	rcvbuf int
	force  bool
	every  time.Duration // scanEvery
	start  time.Time     // zero of the clock of the states

	mu     sync.Mutex // of what is below: events have a goroutine of their own
	all    []*counted
	byName map[string][]*counted // the ones that look for this name
	others []*counted            // the ones that look at command lines only
	pids   map[int32][]*counted  // processes that count
	conn   *procConn             // nil: /proc is looked through
	opened bool                  // conn has been tried
	unsure error                 // why the counts may be wrong; nil: they are not

	doubted bool          // unsure was so at the last scan, too: it has been said
	wake    chan struct{} // deadlines have changed
	buf     []byte
	path    []byte
}

// counted is one vrrp_track_process.
type counted struct {
	conf     *conf.TrackProcess
	matcher  matcher
	count    int
	state    ProcessState
	status   policy.Status
	reported time.Duration
}

func newProcesses(report func([]Update), rcvbuf int, force bool) *processes {
	return &processes{
		mail:   make(mail, 1),
		report: report,
		rcvbuf: rcvbuf,
		force:  force,
		every:  scanEvery,
		start:  time.Now(),
		wake:   make(chan struct{}, 1),
		buf:    make([]byte, procBuffer),
	}
}

func (p *processes) run(stop <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var readers sync.WaitGroup
	for {
		select {
		case <-stop:
			p.mu.Lock()
			conn := p.conn
			p.mu.Unlock()
			if conn != nil {
				conn.close()
			}
			readers.Wait()
			return
		case r := <-p.mail:
			p.mu.Lock()
			r.answer(p.configure(r.conf, &readers))
			p.mu.Unlock()
		case <-p.wake:
		case <-timer.C:
			p.mu.Lock()
			if (p.conn == nil || p.unsure != nil) && len(p.all) > 0 {
				p.scan()
			}
			p.tellAll(p.settle())
			p.mu.Unlock()
		}
		timer.Reset(p.wait())
	}
}

// wait is how long nothing needs to be done.
func (p *processes) wait() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := time.Hour
	if p.unsure != nil {
		return p.every
	}
	if p.conn == nil && len(p.all) > 0 {
		wait = p.every
	}
	now := time.Since(p.start)
	for _, k := range p.all {
		if d, ok := k.state.Deadline(); ok {
			wait = min(wait, d-now)
		}
		if k.count != k.status.Number {
			wait = min(wait, k.reported+countEvery-now)
		}
	}
	return max(wait, 0)
}

// configure makes the processes those of c.
func (p *processes) configure(c *conf.Config, readers *sync.WaitGroup) []Update {
	old := make(map[string]*counted, len(p.all))
	for _, k := range p.all {
		old[k.conf.Name] = k
	}
	p.all, p.byName, p.others = nil, make(map[string][]*counted), nil
	kept := 0
	for _, tp := range c.Processes {
		k := old[tp.Name]
		if k != nil && sameProcess(k.conf, tp) {
			kept++
		} else {
			k = &counted{matcher: newMatcher(tp), state: NewProcessState(tp)}
		}
		k.conf = tp
		p.all = append(p.all, k)
		if name := k.matcher.comm; name != "" {
			p.byName[name] = append(p.byName[name], k)
		} else {
			p.others = append(p.others, k)
		}
	}
	if len(p.all) == 0 {
		p.pids, p.opened, p.unsure = nil, false, nil
		if p.conn != nil {
			p.conn.close()
			p.conn = nil
		}
		return nil
	}
	if !p.opened {
		p.opened = true
		conn, err := openProcEvents(p.rcvbuf, p.force)
		if err != nil {
			p.fallBack(err)
		} else {
			p.conn = conn
			readers.Go(func() { p.listen(conn) })
		}
	}
	if kept != len(p.all) || kept != len(old) {
		p.scan()
	}
	return p.settle()
}

// fallBack logs what it means that there are no events.
func (p *processes) fallBack(err error) {
	slog.Warn(fmt.Sprintf("process events: %v; processes are counted every %v instead, so that a restart between two counts is not noticed", err, p.every))
}

// sameProcess reports whether a and b count the same, however it is weighed.
func sameProcess(a, b *conf.TrackProcess) bool {
	return a.Process == b.Process &&
		slices.Equal(a.Params, b.Params) &&
		a.Match == b.Match &&
		a.FullCommand == b.FullCommand &&
		a.Quorum == b.Quorum &&
		a.QuorumMax == b.QuorumMax &&
		a.ForkDelay == b.ForkDelay &&
		a.TerminateDelay == b.TerminateDelay
}

// listen takes events until the connection is closed.
func (p *processes) listen(conn *procConn) {
	var events []procEvent
	for {
		var err error
		events, err = conn.read(events[:0])
		if err == fs.ErrClosed {
			return
		}
		p.mu.Lock()
		for i := range events {
			if e := &events[i]; e.what == procAck && e.err != 0 {
				err = e.err
			} else {
				p.event(e)
			}
		}
		switch {
		case err == nl.ErrLost:
			slog.Warn("process events were lost, so processes are counted again; if this happens often, raise process_monitor_rcv_bufs")
			p.scan()
		case err != nil && p.conn == conn:
			p.conn = nil
			p.fallBack(err)
		}
		p.tellAll(p.settle())
		p.mu.Unlock()
		select {
		case p.wake <- struct{}{}:
		default:
		}
		if err != nil && err != nl.ErrLost {
			conn.close()
			return
		}
	}
}

// event takes one event.
func (p *processes) event(e *procEvent) {
	switch {
	case len(p.all) == 0:
	case e.what == procExit:
		p.set(e.pid, nil)
	case e.what == procFork && p.pids[e.parent] == nil:
		// The child is as its parent until it becomes something else.
	case e.what == procFork, e.what == procExec, e.what == procComm:
		p.look(e.pid)
	}
}

// look finds out what a process is.
func (p *processes) look(pid int32) {
	name := p.commOf(pid)
	if name == nil {
		p.set(pid, nil)
		return
	}
	p.set(pid, p.counting(pid, name))
}

// counting returns the trackers that count a process of this name.
func (p *processes) counting(pid int32, name []byte) []*counted {
	named := p.byName[string(name)]
	if len(p.others) == 0 && !slices.ContainsFunc(named, func(k *counted) bool { return k.matcher.needsCommand() }) {
		return named
	}
	var list []*counted
	cmdline := p.readProc(pid, "/cmdline")
	for _, set := range [...][]*counted{named, p.others} {
		for _, k := range set {
			if k.matcher.matches(cmdline) {
				list = append(list, k)
			}
		}
	}
	return list
}

// set notes who counts a process.
func (p *processes) set(pid int32, list []*counted) {
	old := p.pids[pid]
	if len(old) == 0 && len(list) == 0 {
		return
	}
	for _, k := range old {
		k.count--
	}
	for _, k := range list {
		k.count++
	}
	if len(list) == 0 {
		delete(p.pids, pid)
	} else {
		p.pids[pid] = list
	}
}

// doubt notes that a look-up failed, so that the counts may be wrong: nothing is
// concluded from them until a scan has succeeded.
func (p *processes) doubt(err error) {
	if script.Decides(err) {
		return
	}
	if !p.doubted {
		slog.Warn(fmt.Sprintf("count processes: %v; trying again every %v, and keeping the last state until then", err, p.every))
	}
	p.unsure, p.doubted = err, true
}

// scan counts all processes again.
func (p *processes) scan() {
	p.unsure = nil
	defer func() { p.doubted = p.unsure != nil }()
	p.pids = make(map[int32][]*counted)
	for _, k := range p.all {
		k.count = 0
	}
	proc, err := os.Open("/proc")
	if err != nil && script.Decides(err) {
		slog.Error(fmt.Sprintf("count processes: %v", err))
		return
	} else if err != nil {
		p.doubt(err)
		return
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		p.doubt(err)
	}
	for _, name := range names {
		if pid, err := strconv.ParseInt(name, 10, 32); err == nil {
			p.look(int32(pid))
		}
	}
}

// commOf returns the name of a process, nil if it has ended, be it as a zombie;
// valid until the next read.
func (p *processes) commOf(pid int32) []byte {
	// PID (name) state …; the name may hold anything.
	stat := p.readProc(pid, "/stat")
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open || len(stat) < end+3 {
		return nil
	}
	if state := stat[end+2]; state == 'Z' || state == 'X' {
		return nil
	}
	return stat[open+1 : end]
}

// readProc reads a file of a process, as far as the buffer goes; nil if the
// process has gone.
func (p *processes) readProc(pid int32, file string) []byte {
	p.path = append(strconv.AppendInt(append(p.path[:0], "/proc/"...), int64(pid), 10), file...)
	fd, err := unix.Open(string(p.path), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		p.doubt(err)
		return nil
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, p.buf)
	if err != nil {
		p.doubt(err)
		return nil
	}
	return p.buf[:n]
}

// tellAll reports what is new, if anything is.
func (p *processes) tellAll(updates []Update) {
	if len(updates) > 0 {
		p.report(updates)
	}
}

// settle lets time and numbers act on the states, and returns what is new.
func (p *processes) settle() []Update {
	if p.unsure != nil {
		return nil
	}
	var updates []Update
	now := time.Since(p.start)
	for _, k := range p.all {
		up := k.state.Step(now, k.count)
		same := k.status.Known && up == k.status.Up
		if same && (k.count == k.status.Number || now < k.reported+countEvery) {
			continue
		}
		k.renew(up)
		k.reported = now
		updates = append(updates, Update{conf.TrackedProcess, k.conf.Name, k.status})
	}
	return updates
}

// renew makes the status what holds now, and logs a change.
func (k *counted) renew(up bool) {
	c := k.conf
	detail := fmt.Sprintf("%d running, quorum %d", k.count, c.Quorum)
	if c.QuorumMax >= 0 {
		detail = fmt.Sprintf("%d running, quorum %d to %d", k.count, c.Quorum, c.QuorumMax)
	}
	if k.status.Up != up || !k.status.Known {
		what := "lost"
		if up {
			what = "gained"
		}
		slog.Info(fmt.Sprintf("VRRP_Track_Process(%s) quorum %s (%s)", c.Name, what, detail), "track_process", c.Name, "up", up)
	}
	k.status = policy.Status{Known: true, Up: up, Number: k.count, Cause: cause(conf.TrackedProcess, c.Name, detail)}
}
