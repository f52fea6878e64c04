package test

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/lab"
)

// awaitSuccessor waits for the successor of a killed VRRP process.
func (s *scene) awaitSuccessor(d *lab.Daemon, old int) {
	s.Helper()
	if !s.Until(3*time.Second, func() bool { p := d.VRRPPid(); return p != 0 && p != old && lab.Alive(p) }) {
		s.Fatal("no successor")
	}
}

// TestKillVRRPProcessWithTrackers: the trackers of a successor have no result
// yet. Neither is that a fault, nor does the priority change for it: here a
// backup would take over at once.
func TestKillVRRPProcessWithTrackers(t *testing.T) {
	t.Parallel()
	differs(t, "makes an outage of its own when its VRRP process dies")
	s := newScene(t, "a", "b")
	in := instance{Interval: 300 * time.Millisecond}
	fast := func(name, more string) string { return vrrpScript(name, s.script("a", name, "exit 0"), more) }
	// From the second run on it takes longer than everything here.
	slow := s.script("a", "slow", "[ -e "+s.path("a", "ran")+" ] && sleep 5\n: >"+s.path("a", "ran"))
	a := s.start("a", ours, fast("vital", "")+
		"vrrp_script bonus {\n    script "+slow+"\n    interval 20\n    timeout 20\n    weight 60\n}\n"+
		config(in.at(90).tracks("script", "vital\nbonus")))
	s.awaitOwner(vip, 6*time.Second, "a")
	s.awaitPriority(time.Now(), "a", 150, 3*time.Second)
	s.start("b", ours, config(in.at(120)))
	s.stays(vip, "a", time.Second)
	for range 2 {
		from := time.Now()
		old := a.VRRPPid()
		s.must(unix.Kill(old, unix.SIGKILL))
		s.awaitSuccessor(a, old)
		s.stays(vip, "a", 2*time.Second)
		s.onlyPriorities(from, "a", 150)
		s.neverQuiet("a", from.Add(-in.interval()), time.Now(), 2*in.interval())
	}
}

// TestStartLongAfterKill: a predecessor that was master long ago does not spare
// a script its first result.
func TestStartLongAfterKill(t *testing.T) {
	t.Parallel()
	differs(t, "has no predecessor")
	s := newScene(t, "a")
	s.write("a", "go", "")
	check := s.script("a", "check", "until [ -e "+s.path("a", "go")+" ]; do sleep 0.05; done")
	conf := vrrpScript("check", check, "interval 20\ntimeout 20") + config(instance{}.at(150).tracks("script", "check"))
	a := s.start("a", ours, conf)
	s.awaitOwner(vip, 4*time.Second, "a")
	killed := a.Kill()
	s.must(unix.Unlink(s.path("a", "go")))
	s.Until(time.Second, func() bool { return time.Since(killed) > masterDown(instance{}.at(150)) })
	next, err := s.Node("a").StartIn(a.Dir, ours, conf)
	s.must(err)
	s.daemons = append(s.daemons, next)
	s.awaitOwner(vip, 2*time.Second)
	s.stays(vip, "", time.Second)
	s.silent(next.Started, time.Now(), "a")
	s.write("a", "go", "")
	s.awaitOwner(vip, 2*time.Second, "a")
}
