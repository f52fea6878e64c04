package lab

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Node is one host of the lab.
type Node struct {
	Name  string
	Index int    // counted from 1; the host part of its addresses
	Dir   string // files of the node; Dir/run is its /run

	lab    *Lab
	thread *thread
	watch  *watch
}

func newNode(l *Lab, name string, index int) (*Node, error) {
	n := &Node{Name: name, Index: index, Dir: filepath.Join(l.Dir, name), lab: l}
	run := filepath.Join(n.Dir, "run")
	if err := os.MkdirAll(run, 0o755); err != nil {
		return nil, err
	}
	var err error
	n.thread, err = newThread(unix.CLONE_NEWNET|unix.CLONE_NEWNS, func() error {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("make mounts private: %w", err)
		}
		if err := unix.Mount(run, "/run", "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount a private /run: %w", err)
		}
		return prepareNetwork()
	})
	return n, err
}

func (n *Node) configure(segments int) error {
	plan := "link set lo up\n"
	for k := range segments {
		plan += fmt.Sprintf("link set eth%d up\naddr add %v/16 brd + dev eth%d\naddr add %v/64 dev eth%d nodad\n",
			k, n.Addr(k), k, n.Addr6(k), k)
	}
	return n.thread.ipBatch(plan)
}

// settle waits until the IPv6 addresses can be used. The kernel makes the link-local
// addresses, and makes all IPv6 addresses usable, some time after the links are up: up to
// a second on a busy machine.
func (n *Node) settle(segments int) error {
	const tentative = 0x40 // IFA_F_TENTATIVE
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		var file []byte
		err := n.Do(func() (err error) {
			file, err = os.ReadFile("/proc/thread-self/net/if_inet6")
			return err
		})
		if errors.Is(err, os.ErrNotExist) {
			return nil // this kernel has no IPv6
		}
		if err != nil {
			return err
		}
		usable := 0 // link-local addresses, one for each link
		for line := range strings.Lines(string(file)) {
			f := strings.Fields(line) // address, index, length, scope, flags, name
			flags, err := strconv.ParseUint(f[4], 16, 32)
			if err != nil {
				return fmt.Errorf("if_inet6: %w", err)
			}
			if strings.HasPrefix(f[0], "fe80") && flags&tentative == 0 {
				usable++
			}
		}
		if usable >= segments {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("node %s has not got its IPv6 addresses; it has\n%s", n.Name, file)
		}
	}
}

// port returns the name of the switch's end of the node's link to segment k.
func (n *Node) port(k int) string { return fmt.Sprintf("%s.%d", n.Name, k) }

// Addr returns the node's own address on segment k.
func (n *Node) Addr(k int) netip.Addr { return SegmentAddr(k, n.Index) }

// Addr6 returns the node's own IPv6 address on segment k.
func (n *Node) Addr6(k int) netip.Addr { return SegmentAddr6(k, n.Index) }

// Do runs f in the node's namespaces; f must not block for long.
func (n *Node) Do(f func() error) error { return n.thread.do(f) }

// Go runs f on a separate thread in the node's network namespace. Unlike in Do, f may
// block.
func (n *Node) Go(f func()) error {
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with f
		err := unix.Setns(int(n.thread.netns.Fd()), unix.CLONE_NEWNET)
		ready <- err
		if err == nil {
			f()
		}
	}()
	return <-ready
}

// Run runs a program in the node and returns what it printed.
func (n *Node) Run(name string, args ...string) (string, error) {
	out, err := n.thread.runCommand(exec.Command(name, args...))
	return string(out), err
}

// IP runs one ip(8) command, given as one line.
func (n *Node) IP(args string) error { return n.thread.ipBatch(args + "\n") }

// IPBatch runs ip(8) commands, one per line, in one process.
func (n *Node) IPBatch(lines string) error { return n.thread.ipBatch(lines) }

// Cut drops all frames of segment k from and to the node, in the switch: the node keeps
// its carrier, and its frames are still recorded.
func (n *Node) Cut(k int) error { return n.lab.setDrops(n.port(k), true, true) }

// DropSent drops the frames from the node.
func (n *Node) DropSent(k int) error { return n.lab.setDrops(n.port(k), true, false) }

// DropReceived drops the frames to the node.
func (n *Node) DropReceived(k int) error { return n.lab.setDrops(n.port(k), false, true) }

// Heal undoes Cut, DropSent and DropReceived.
func (n *Node) Heal(k int) error { return n.lab.setDrops(n.port(k), false, false) }

// Unplug removes the carrier of the node's interface. Plug restores it.
func (n *Node) Unplug(k int) error { return n.lab.IP("link set " + n.port(k) + " down") }

// Plug undoes Unplug.
func (n *Node) Plug(k int) error { return n.lab.IP("link set " + n.port(k) + " up") }

// Replug makes the node's link to segment k again after its interface was deleted. The
// new interface has another index.
func (n *Node) Replug(k int) error {
	// The index must differ from the old one, so this uses up one index.
	if err := n.IPBatch("link add spare type veth peer name spare2\nlink del spare\n"); err != nil {
		return err
	}
	err := n.lab.sw.ipBatch(fmt.Sprintf("link add %s type veth peer name eth%d netns /proc/%d/fd/%d\nlink set %s master br%d up\n",
		n.port(k), k, os.Getpid(), n.thread.netns.Fd(), n.port(k), k))
	if err != nil {
		return err
	}
	if err := n.lab.capture.learnPorts(); err != nil {
		return err
	}
	return n.IPBatch(fmt.Sprintf("link set eth%d up\naddr add %v/16 brd + dev eth%d\naddr add %v/64 dev eth%d nodad\n",
		k, n.Addr(k), k, n.Addr6(k), k))
}

// Has reports whether the node holds the address.
func (n *Node) Has(a netip.Addr) bool { return n.watch.has(a) }

// Pids lists the processes in the node's network namespace.
func (n *Node) Pids() []int {
	var pids []int
	for _, pid := range allPids() {
		var st unix.Stat_t
		if pid != os.Getpid() && unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &st) == nil && st.Ino == n.thread.inode {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killAll ends every process in the node, whatever started it.
func (n *Node) killAll() {
	for range 100 {
		pids := n.Pids()
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			unix.Kill(pid, unix.SIGKILL)
		}
		time.Sleep(5 * time.Millisecond) // the processes are ending; the kernel sends no event for the end
	}
}

func allPids() []int {
	names, _ := filepath.Glob("/proc/[0-9]*")
	pids := make([]int, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(filepath.Base(name)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// descendants returns pid and all its descendants, parents first.
func descendants(pid int) []int {
	parent := map[int]int{}
	for _, p := range allPids() {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p)); err == nil {
			// The name in parentheses may contain any character; fields follow its end.
			rest := string(b[strings.LastIndexByte(string(b), ')')+1:])
			if f := strings.Fields(rest); len(f) > 1 {
				parent[p], _ = strconv.Atoi(f[1])
			}
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		for _, p := range slices.Sorted(maps.Keys(parent)) {
			if parent[p] == all[i] && !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	return all
}
