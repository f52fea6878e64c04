package test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// TestKillVRRPProcess checks that the successor of a killed VRRP process takes over the
// addresses and continues as master, unnoticed by the peer: without a gap in which the
// peer could take over, without priority 0, and without removing the address.
func TestKillVRRPProcess(t *testing.T) {
	t.Parallel()
	differs(t, "makes an outage of its own when its VRRP process dies")
	for _, version := range []int{2, 3} {
		in := instance{Version: version}
		if version == 3 { // time for a new process to start on a loaded machine
			in.Interval = 500 * time.Millisecond
		}
		t.Run(map[int]string{2: "v2", 3: "v3"}[version], func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "a", "b")
			a := s.start("a", ours, config(in.at(150)))
			s.start("b", ours, config(in.at(100)))
			s.awaitOwner(vip, 6*time.Second, "a")
			s.awaitAdvert(time.Now(), 2*time.Second, "a")

			// Three times in short succession: no successor is delayed.
			for range 3 {
				old := a.VRRPPid()
				from := time.Now()
				s.must(unix.Kill(old, unix.SIGKILL))
				if !s.Until(3*time.Second, func() bool { p := a.VRRPPid(); return p != 0 && p != old && lab.Alive(p) }) {
					t.Fatal("no successor")
				}
				s.stays(vip, "a", masterDown(in.at(100))+time.Second)
				s.neverQuiet("a", from.Add(-in.interval()), time.Now(), 2*in.interval())
			}
		})
	}
}

// neverQuiet fails if two adverts of the node are further apart than limit, or if one of
// them has priority 0.
func (s *scene) neverQuiet(node string, from, to time.Time, limit time.Duration) {
	s.Helper()
	all := s.adverts(from, to, node)
	if len(all) < 2 { // the time was short: later adverts count too
		s.Until(2*limit, func() bool {
			all = s.adverts(from, time.Now(), node)
			return len(all) >= 2
		})
	}
	if len(all) < 2 {
		s.Fatalf("%s sent %d adverts in %v", node, len(all), to.Sub(from))
	}
	for i, e := range all {
		if e.Priority == 0 {
			s.Errorf("priority 0: %v", e)
		}
		if i == 0 {
			continue
		}
		last := all[i-1].Time
		if quiet := e.Time.Sub(last); quiet > limit+lab.Starved(last, e.Time) {
			s.Errorf("%s was quiet for %v before %v", node, lab.Elapsed(quiet), e)
		}
	}
}

// TestKillParent checks that the children end with the parent and remove the address, and
// that the peer serves within its Master_Down_Interval.
func TestKillParent(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	in := instance{}
	a := s.start("a", ours, config(in.at(150)))
	s.start("b", ours, config(in.at(100)))
	s.awaitOwner(vip, 3*time.Second, "a")
	children := a.Pids()[1:]
	s.must(unix.Kill(a.Pid(), unix.SIGKILL))
	if !s.Until(3*time.Second, func() bool { return !slices.ContainsFunc(children, lab.Alive) }) {
		t.Errorf("of the processes %v one outlives its parent", children)
	}
	s.awaitOwner(vip, masterDown(in.at(100))+time.Second, "b")
	s.noProcessLeft("a")
}

// TestKillEverything checks that the address stays in the kernel of the dead node, that
// the daemon finds it when it is started again, and that there is one owner in the end.
func TestKillEverything(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	in := instance{}
	a := s.start("a", ours, config(in.at(150)))
	s.start("b", ours, config(in.at(100)))
	s.awaitOwner(vip, 3*time.Second, "a")
	killed := a.Kill()
	s.awaitOwner(vip, masterDown(in.at(100))+time.Second, "a", "b") // the leftover, and the owner that has taken over
	first := s.awaitAdvert(killed, time.Second, "b")
	s.within("takeover", first.Time.Sub(s.lastAdvert("a", first.Time).Time), masterDown(in.at(100))-5*time.Millisecond, masterDown(in.at(100))+slack)

	from := time.Now()
	next, err := s.Node("a").StartIn(a.Dir, ours, config(in.at(150)))
	s.must(err)
	s.daemons = append(s.daemons, next)
	if _, ok := s.Wait(from, time.Second, func(e *lab.Event) bool {
		return e.Kind == lab.AddrRemoved && e.Node.Name == "a" && e.Addr == vip
	}); !ok {
		t.Error("the leftover address was not removed at the start")
	}
	s.awaitOwner(vip, 3*time.Second, "a")
	s.stays(vip, "a", time.Second)
}

// TestLeftoverOfRemovedInstance checks that an address that is not in the new
// configuration is removed too, and that an address of another program stays.
func TestLeftoverOfRemovedInstance(t *testing.T) {
	t.Parallel()
	differs(t, "keeps such an address for ever")
	s := newScene(t, "a")
	s.must(s.Node("a").IP("addr add 10.0.9.9/16 dev eth0"))
	in := instance{VIPs: []string{vip.String() + "/16", vip2.String() + "/16"}}
	a := s.start("a", ours, config(in.at(150)))
	s.awaitOwner(vip2, 3*time.Second, "a")
	a.Kill()
	next, err := s.Node("a").StartIn(a.Dir, ours, config(instance{}.at(150)))
	s.must(err)
	s.daemons = append(s.daemons, next)
	s.awaitOwner(vip2, 2*time.Second)
	s.awaitOwner(vip, 3*time.Second, "a")
	if !s.Node("a").Has(addr("10.0.9.9")) && s.shown("a", addr("10.0.9.9")) == "" {
		t.Error("a foreign address was removed")
	}
}

// TestPause checks that a master that was stopped for longer than its peer waits receives
// before it sends: it must send no advert after the pause while the better peer serves.
// The C daemon continues to send, so that there are two masters.
func TestPause(t *testing.T) {
	t.Parallel()
	differs(t, "goes on sending after a pause")
	s := newScene(t, "a", "b")
	in := instance{More: "nopreempt"}
	a := s.start("a", ours, config(in.at(150)))
	s.awaitOwner(vip, 3*time.Second, "a")
	s.start("b", ours, config(in.at(100)))
	s.stays(vip, "a", time.Second)
	a.Pause()
	s.awaitAdvert(time.Now(), 3*time.Second, "b")
	paused := time.Now()
	time.Sleep(5 * time.Second) // the duration of the pause is what is tested
	resumed := time.Now()
	a.Continue()
	s.awaitOwner(vip, 3*time.Second, "b")
	s.stays(vip, "b", 2*time.Second)
	s.silent(paused, time.Now(), "a")
	if !a.Logged(resumed, "stop") && !a.Logged(resumed, "stall") && !a.Logged(resumed, "late") {
		t.Error("the pause is not in the log")
	}
}

// TestShortPause checks that after a pause shorter than the peer waits the master
// continues.
func TestShortPause(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	in := instance{Interval: 500 * time.Millisecond}
	a := s.start("a", ours, config(in.at(150)))
	s.awaitOwner(vip, 4*time.Second, "a")
	s.start("b", ours, config(in.at(100)))
	s.awaitAdvert(time.Now(), time.Second, "a")
	a.Pause()
	time.Sleep(700 * time.Millisecond) // the duration of the pause is what is tested
	a.Continue()
	s.stays(vip, "a", 3*time.Second)
}

// TestStopRemovesWhateverTheVRRPProcessDoes checks that none of the addresses exists when
// the daemon has ended, whether the VRRP process hangs, was killed or has ended
// permanently.
func TestStopRemovesWhateverTheVRRPProcessDoes(t *testing.T) {
	t.Parallel()
	differs(t, "leaves the addresses to whoever finds them")
	in := instance{VIPs: []string{vip.String() + "/16", vip2.String() + "/16"}, Excluded: []string{vip6.String() + "/64"}}
	for name, tt := range map[string]struct {
		args []string
		end  func(a *lab.Daemon) error
		code int
	}{
		"hangs": {nil, func(a *lab.Daemon) error {
			return errors.Join(unix.Kill(a.VRRPPid(), unix.SIGSTOP), a.Signal(unix.SIGTERM))
		}, 0},
		"hangs in a reload": {nil, func(a *lab.Daemon) error {
			return errors.Join(unix.Kill(a.VRRPPid(), unix.SIGSTOP), a.Reload(config(in.at(140))), a.Signal(unix.SIGTERM))
		}, 0},
		"dies with -R": {[]string{"-R"}, func(a *lab.Daemon) error { return unix.Kill(a.VRRPPid(), unix.SIGKILL) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "a")
			a := s.start("a", ours, "child_wait_time 1\n"+config(in.at(150)), tt.args...)
			s.awaitOwner(vip2, 6*time.Second, "a")
			s.awaitOwner(vip6, 6*time.Second, "a")
			s.must(tt.end(a))
			if code := a.ExitCode(20 * time.Second); code != tt.code {
				t.Fatalf("exit code %d, want %d", code, tt.code)
			}
			out, err := s.Node("a").Run("ip", "-o", "addr", "show", "dev", "eth0")
			s.must(err)
			for _, addr := range []netip.Addr{vip, vip2, vip6} {
				if strings.Contains(out, addr.String()) {
					t.Errorf("%v is still there", addr)
				}
			}
			s.noProcessLeft("a")
		})
	}
}

// TestKillVRRPProcessOverAndOver checks that a process that dies repeatedly is started
// later each time, while its addresses do not wait for it: when peers may have taken
// over, no two nodes have them, and in the end the better node has.
func TestKillVRRPProcessOverAndOver(t *testing.T) {
	t.Parallel()
	differs(t, "makes an outage of its own when its VRRP process dies")
	s := newScene(t, "a", "b")
	in := instance{VIPs: []string{vip.String() + "/16", vip2.String() + "/16"}}
	a := s.start("a", ours, config(in.at(150)))
	b := s.start("b", ours, config(in.at(100)))
	s.awaitOwner(vip, 6*time.Second, "a")
	s.awaitAdvert(time.Now(), 2*time.Second, "a")

	from := time.Now()
	old := 0
	for range 6 { // the last successor is delayed by 4 s, longer than the peer waits
		if !s.Until(10*time.Second, func() bool {
			pid := a.VRRPPid()
			return pid != 0 && pid != old && lab.Alive(pid)
		}) {
			t.Fatal("no successor")
		}
		old = a.VRRPPid()
		s.must(unix.Kill(old, unix.SIGKILL))
	}
	s.awaitOwner(vip, 10*time.Second, "b")
	s.awaitLog(a, from, "removing the addresses that it left", time.Second)
	s.awaitOwner(vip, 20*time.Second, "a")
	s.stays(vip, "a", masterDown(in.at(100))+time.Second)
	if n := count(b, from, "Entering MASTER STATE"); n != 1 {
		t.Errorf("the peer was master %d times, want 1", n)
	}
	for _, addr := range []netip.Addr{vip, vip2} {
		s.shared(addr, from, time.Now(), in.interval())
	}
}

// shared fails if several nodes had the address for longer than limit at a time.
func (s *scene) shared(addr netip.Addr, from, to time.Time, limit time.Duration) {
	s.Helper()
	holders := map[string]bool{}
	var since time.Time
	for _, e := range s.Events(time.Time{}, to, func(e *lab.Event) bool {
		return (e.Kind == lab.AddrAdded || e.Kind == lab.AddrRemoved) && e.Addr == addr
	}) {
		before := len(holders)
		if e.Kind == lab.AddrAdded {
			holders[e.Node.Name] = true
		} else {
			delete(holders, e.Node.Name)
		}
		switch {
		case before < 2 && len(holders) == 2:
			since = e.Time
		case before == 2 && len(holders) < 2 && e.Time.After(from):
			if d := e.Time.Sub(since); d > limit+lab.Starved(since.Add(-time.Second), e.Time) {
				s.Errorf("%v was held by several nodes for %v until %v", addr, lab.Elapsed(d), e)
			}
		}
	}
	if len(holders) != 1 {
		s.Errorf("%v is held by %d nodes in the end", addr, len(holders))
	}
}
