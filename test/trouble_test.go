package test

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// awaitSuccessor waits for the successor of a killed VRRP process.
func (s *scene) awaitSuccessor(d *lab.Daemon, old int) {
	s.Helper()
	if !s.Until(3*time.Second, func() bool { p := d.VRRPPid(); return p != 0 && p != old && lab.Alive(p) }) {
		s.Fatal("no successor")
	}
}

// TestKillVRRPProcessWithTrackers checks that trackers of a successor that have no result
// yet are neither a fault nor change the priority: here a backup would take over at once.
func TestKillVRRPProcessWithTrackers(t *testing.T) {
	t.Parallel()
	differs(t, "makes an outage of its own when its VRRP process dies")
	s := newScene(t, "a", "b")
	in := instance{Interval: 300 * time.Millisecond}
	fast := func(name, more string) string { return vrrpScript(name, s.script("a", name, "exit 0"), more) }
	// From the second run on the script takes longer than this test.
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

// TestStartLongAfterKill checks that a predecessor that was master long ago does not
// exempt a script from its first result.
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

// TestGroupWithoutResult checks that a sync group whose member tracks a script does not
// serve before the first result of the script.
func TestGroupWithoutResult(t *testing.T) {
	t.Parallel()
	type lines struct{ before, after []string }
	mine, upstream := beside(t, 1, []string{"a"}, func(s *scene, p lab.Program) (x lines) {
		fifo := s.fifo("a", "fifo")
		slow := s.script("a", "slow", "until [ -e "+s.path("a", "go")+" ]; do sleep 0.05; done")
		a := s.start("a", p, vrrpScript("slow", slow, "interval 20\ntimeout 20")+
			"vrrp_sync_group G1 {\n    group {\n        VI_1\n        VI_2\n    }\n}\n"+
			configWith("vrrp_notify_fifo "+fifo.path, instance{Name: "VI_1"}.at(150).tracks("script", "slow"),
				instance{Name: "VI_2", VRID: 52, VIPs: []string{vip2.String() + "/16"}}.at(100)))
		s.stays(vip, "", time.Second)
		x.before = fifo.all()
		s.write("a", "go", "")
		s.await(fifo, 0, `GROUP "G1" MASTER 0`, 3*time.Second)
		x.after = slices.Sorted(slices.Values(fifo.all())) // upstream leaves their order to chance
		s.awaitOwner(vip2, time.Second, "a")
		s.must(a.Stop())
		return x
	})
	sameLines(t, "before the first result", mine.before, upstream.before)
	sameLines(t, "in the end", mine.after, upstream.after)
}

// TestReloadEndsFault checks that an instance that a tracker keeps from serving, because
// it failed or has no result, serves when a reload changes the weight or removes the
// tracker.
func TestReloadEndsFault(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	failing := vrrpScript("failing", s.script("a", "failing", "exit 1"), "interval 60")
	silent := "vrrp_script silent {\n    script " + s.script("a", "silent", "sleep 60") + "\n    interval 100\n}\n"
	in := instance{}.at(150)
	a := s.start("a", ours, failing+config(in.tracks("script", "failing")))
	s.awaitLog(a, a.Started, "(VI_1) Entering FAULT STATE", 3*time.Second)
	next := func(config string, priority int) {
		s.Helper()
		from := time.Now()
		s.must(a.Reload(config))
		if priority > 0 {
			s.awaitOwner(vip, 3*time.Second, "a")
			s.awaitPriority(time.Now(), "a", priority, 2*time.Second)
		} else {
			s.awaitOwner(vip, 3*time.Second)
			s.awaitLog(a, from, "(VI_1) Entering FAULT STATE", time.Second)
		}
	}
	next(failing+config(in.tracks("script", "failing weight -20")), 130)
	next(failing+config(in.tracks("script", "failing weight 0")), 0)
	next(config(in), 150)
	next(failing+config(in.tracks("script", "failing weight 0")), 0)
	next(failing+config(in.tracks("script", "failing weight 0 reverse")), 150)
	from := time.Now()
	next(silent+config(in.tracks("script", "silent")), 150) // and the instance serves already
	s.onlyPriorities(from, "a", 150)
	s.must(a.Stop())

	a = s.start("a", ours, silent+config(in.tracks("script", "silent")))
	s.awaitLog(a, a.Started, "Startup complete", 5*time.Second)
	s.stays(vip, "", time.Second)
	next(config(in), 150)
}
