package test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// notifications is what a node has reported by its FIFO and scripts.
type notifications struct {
	fifo    []string            // in order
	scripts map[string][]string // the arguments of each script: lines of several scripts may interleave
}

// notifyRecorder is a configuration that records all notifications of a node.
type notifyRecorder struct {
	s     *scene
	node  string
	fifo  *pipe
	files map[string]string
}

func (s *scene) recordNotifications(node string) *notifyRecorder {
	return &notifyRecorder{s: s, node: node, fifo: s.fifo(node, "fifo"), files: map[string]string{}}
}

// global returns the lines for global_defs.
func (l *notifyRecorder) global() string { return "vrrp_notify_fifo " + l.fifo.path }

// words returns the lines for the block of an owner.
func (l *notifyRecorder) words(owner string) string {
	var b strings.Builder
	script, file := l.s.recorder(l.node, owner)
	l.files[owner] = file
	fmt.Fprintf(&b, "notify %s", script)
	for _, state := range []string{"master", "backup", "fault", "stop"} {
		name := owner + "_script_" + state
		script, file := l.s.recorder(l.node, name)
		l.files[name] = file
		fmt.Fprintf(&b, "\nnotify_%s \"%s 'configured for' %s\"", state, script, state)
	}
	return b.String()
}

// notifications returns the notifications so far. How often a master receives a lower priority
// before the other node receives its own advert is left to chance, so that repetitions
// count once.
func (l *notifyRecorder) recorded() notifications {
	h := notifications{slices.Compact(l.fifo.all()), map[string][]string{}}
	for name, file := range l.files {
		h.scripts[name] = slices.Compact(fileLines(file))
	}
	return h
}

// without removes the lines that contain the word.
func (h notifications) without(word string) notifications {
	has := func(line string) bool { return strings.Contains(line, word) }
	h.fifo = slices.DeleteFunc(h.fifo, has)
	for name := range h.scripts {
		h.scripts[name] = slices.DeleteFunc(h.scripts[name], has)
	}
	return h
}

// anyOrderOf sorts successive lines with the word: a busy machine may decide which member
// of a group expires last, and is reported first.
func (h notifications) anyOrderOf(word string) notifications {
	has := func(line string) bool {
		return strings.Contains(line, " "+word+" ") && strings.HasPrefix(line, "INSTANCE")
	}
	for i := 0; i < len(h.fifo); i++ {
		end := i
		for end < len(h.fifo) && has(h.fifo[end]) {
			end++
		}
		slices.Sort(h.fifo[i:end])
		i = max(i, end-1)
	}
	return h
}

// same compares the notifications of two programs. Upstream runs scripts of one owner in
// parallel, so that their order is not compared; ours must have the order of the FIFO.
func (h notifications) same(t *testing.T, upstream notifications) {
	t.Helper()
	sameLines(t, "lines of the FIFO", h.fifo, upstream.fifo)
	for name, lines := range upstream.scripts {
		sameLines(t, "arguments of "+name, slices.Sorted(slices.Values(h.scripts[name])), slices.Sorted(slices.Values(lines)))
	}
	if underC {
		return
	}
	for name, lines := range h.scripts {
		if strings.Contains(name, "_script") {
			continue
		}
		var want []string
		for _, line := range h.fifo {
			if plain := strings.ReplaceAll(line, `"`, ""); strings.Fields(plain)[1] == name && !strings.Contains(plain, "_PRI") {
				want = append(want, plain)
			}
		}
		sameLines(t, "the generic script and the FIFO of "+name, lines[max(0, len(lines)-len(want)):], want)
	}
}

// TestNotificationsOfInstance takes one instance through every event that is reported,
// and checks that the lines of the FIFO and each script's arguments are upstream's.
func TestNotificationsOfInstance(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Nft)
	mine, upstream := beside(t, 2, []string{"a", "b"}, func(s *scene, p lab.Program) notifications {
		l := s.recordNotifications("a")
		s.write("a", "n", "0")
		s.write("a", "alive", "")
		in := instance{More: l.words("VI_1")}.at(150).
			tracks("file", "number").tracks("script", "service").tracks("interface", "eth1")
		blocks := trackFile("number", s.path("a", "n"), "") +
			vrrpScript("service", s.script("a", "check", "test -e "+s.path("a", "alive")), "")
		d := s.start("a", p, blocks+configWith(l.global()+"\nvrrp_notify_priority_changes", in))
		n := s.await(l.fifo, 0, `INSTANCE "VI_1" MASTER 150`, 5*time.Second)
		next := func(line string) {
			s.Helper()
			n = s.await(l.fifo, n, line, 5*time.Second)
		}
		// The link of the instance.
		s.must(s.Node("a").Unplug(0))
		next(`INSTANCE "VI_1" FAULT 150`)
		s.must(s.Node("a").Plug(0))
		next(`INSTANCE "VI_1" BACKUP 150`)
		next(`INSTANCE "VI_1" MASTER 150`)
		// A tracked script.
		s.must(os.Remove(s.path("a", "alive")))
		next(`INSTANCE "VI_1" FAULT 150`)
		s.write("a", "alive", "")
		next(`INSTANCE "VI_1" MASTER 150`)
		// A tracked interface.
		s.must(s.Node("a").Unplug(1))
		next(`INSTANCE "VI_1" FAULT 150`)
		s.must(s.Node("a").Plug(1))
		next(`INSTANCE "VI_1" MASTER 150`)
		// A better master, and its end.
		b := s.start("b", lab.C(), config(instance{}.at(200)))
		next(`INSTANCE "VI_1" BACKUP 150`)
		s.write("a", "n", "-10")
		next(`INSTANCE "VI_1" BACKUP_PRIORITY 140`)
		s.must(b.Stop())
		next(`INSTANCE "VI_1" MASTER 140`)
		s.write("a", "n", "20")
		next(`INSTANCE "VI_1" MASTER_PRIORITY 170`)
		// A second master, which receives no adverts.
		s.must(s.Node("b").DropReceived(0))
		b = s.start("b", lab.C(), config(instance{}.at(100)))
		next(`INSTANCE "VI_1" MASTER_RX_LOWER_PRI 170`)
		s.must(b.Stop())
		s.must(d.Stop())
		next(`INSTANCE "VI_1" STOP 170`)
		s.awaitLine(l.files["VI_1"], "INSTANCE VI_1 STOP 170", 2*time.Second)
		return l.recorded()
	})
	if !t.Failed() {
		mine.same(t, upstream)
	}
}

// TestNotificationsOfGroup checks a sync group of three instances on two interfaces, of
// which one fails, and which tracks a script and a file.
func TestNotificationsOfGroup(t *testing.T) {
	t.Parallel()
	mine, upstream := beside(t, 2, []string{"a", "b"}, func(s *scene, p lab.Program) notifications {
		l := s.recordNotifications("a")
		s.write("a", "n", "0")
		s.write("a", "alive", "")
		group := func(more string) string {
			return "vrrp_sync_group G1 {\n    group {\n        VI_1\n        VI_2\n        VI_3\n    }\n    " + more + "\n}\n"
		}
		// A group becomes master with the last of its members. Their skews differ by a
		// quarter of a second, so that even on a busy machine no two expire at once.
		members := func(priorities [3]int, words func(string) string) []instance {
			all := []instance{
				{Name: "VI_1", VRID: 51},
				{Name: "VI_2", VRID: 52, VIPs: []string{vip2.String() + "/16"}},
				{Name: "VI_3", VRID: 53, Iface: "eth1", VIPs: []string{"10.1.9.9/16"}},
			}
			for i := range all {
				all[i].Priority, all[i].Interval, all[i].More = priorities[i], time.Second, words(all[i].Name)
			}
			return all
		}
		d := s.start("a", p, trackFile("number", s.path("a", "n"), "")+
			vrrpScript("service", s.script("a", "check", "test -e "+s.path("a", "alive")), "")+
			group(l.words("G1")+"\ntrack_script {\n service\n }\ntrack_file {\n number\n }")+
			configWith(l.global()+"\nvrrp_notify_priority_changes", members([3]int{240, 180, 120}, l.words)...))
		n := s.await(l.fifo, 0, `GROUP "G1" MASTER 0`, 10*time.Second)
		first := n - 4
		next := func(line string) {
			s.Helper()
			n = s.await(l.fifo, n, line, 10*time.Second)
		}
		b := s.start("b", lab.C(), group("")+config(members([3]int{200, 120, 20}, func(string) string { return "" })...))
		s.awaitOwner(vip, 10*time.Second, "a") // the line comes before the address is in the kernel
		s.stays(vip, "a", 2*time.Second)

		s.must(s.Node("a").Unplug(1)) // only of the third instance
		next(`GROUP "G1" FAULT 0`)
		for _, address := range []string{vip.String(), vip2.String(), "10.1.9.9"} {
			s.awaitOwner(addr(address), 10*time.Second, "b")
		}
		s.must(s.Node("a").Plug(1))
		next(`GROUP "G1" MASTER 0`)

		s.must(os.Remove(s.path("a", "alive")))
		next(`GROUP "G1" FAULT 0`)
		s.awaitOwner(addr("10.1.9.9"), 10*time.Second, "b")
		s.write("a", "alive", "")
		next(`GROUP "G1" MASTER 0`)

		s.write("a", "n", "-130")
		next(`GROUP "G1" BACKUP 0`)
		for _, address := range []string{vip.String(), vip2.String(), "10.1.9.9"} {
			s.awaitOwner(addr(address), 10*time.Second, "b")
		}
		s.must(b.Stop())
		next(`GROUP "G1" MASTER 0`)
		s.must(d.Stop())
		next(`GROUP "G1" STOP 0`)
		for _, line := range []string{"VI_1 STOP 110", "VI_2 STOP 50", "VI_3 STOP 1"} {
			s.awaitLine(l.files[line[:4]], "INSTANCE "+line, 2*time.Second)
		}
		s.awaitLine(l.files["G1"], "GROUP G1 STOP 0", 2*time.Second)
		h := l.recorded().without("RX_LOWER").anyOrderOf("MASTER")
		// Upstream reports the start of a group that has waited for a script as the end
		// of a fault, although there was none.
		h.fifo = h.fifo[first:]
		return h
	})
	if !t.Failed() {
		mine.same(t, upstream)
	}
}

// TestNotificationsOfGroupStart checks that the group is reported first at the start, and
// last at the end.
func TestNotificationsOfGroupStart(t *testing.T) {
	t.Parallel()
	mine, upstream := beside(t, 1, []string{"a"}, func(s *scene, p lab.Program) notifications {
		l := s.recordNotifications("a")
		one := instance{Name: "VI_1", VRID: 51, More: l.words("VI_1"), Interval: time.Second}.at(240)
		two := instance{Name: "VI_2", VRID: 52, More: l.words("VI_2"), Interval: time.Second, VIPs: []string{vip2.String()}}.at(100)
		d := s.start("a", p, "vrrp_sync_group G1 {\n    group {\n        VI_1\n        VI_2\n    }\n    "+l.words("G1")+"\n}\n"+
			configWith(l.global(), one, two))
		n := s.await(l.fifo, 0, `GROUP "G1" MASTER 0`, 10*time.Second)
		// A stop gives scripts a second, including a script for which others wait.
		for name, line := range map[string]string{"VI_1": "INSTANCE VI_1 MASTER 240", "VI_2": "INSTANCE VI_2 MASTER 100", "G1": "GROUP G1 MASTER 0"} {
			s.awaitLine(l.files[name], line, 10*time.Second)
		}
		s.must(d.Stop())
		s.await(l.fifo, n, `GROUP "G1" STOP 0`, 5*time.Second)
		for name, line := range map[string]string{"VI_1": "INSTANCE VI_1 STOP 240", "VI_2": "INSTANCE VI_2 STOP 100", "G1": "GROUP G1 STOP 0"} {
			s.awaitLine(l.files[name], line, 2*time.Second)
		}
		return l.recorded()
	})
	if !t.Failed() {
		mine.same(t, upstream)
	}
}

// TestNotificationsOfDeleted checks that objects that a reload removes are reported as
// DELETED to scripts that have the keyword for it, and as FAULT to the others.
func TestNotificationsOfDeleted(t *testing.T) {
	t.Parallel()
	mine, upstream := beside(t, 1, []string{"a"}, func(s *scene, p lab.Program) notifications {
		l := s.recordNotifications("a")
		deleted, file := s.recorder("a", "VI_2_script_deleted")
		l.files["VI_2_script_deleted"] = file
		one := instance{Name: "VI_1", VRID: 51, More: l.words("VI_1")}.at(100)
		two := instance{Name: "VI_2", VRID: 52, VIPs: []string{vip2.String()}, More: l.words("VI_2") + "\nnotify_deleted \"" + deleted + " gone\""}.at(100)
		three := instance{Name: "VI_3", VRID: 53, VIPs: []string{"10.0.9.9"}, More: l.words("VI_3")}.at(100)
		d := s.start("a", p, configWith(l.global(), one, two, three))
		for _, name := range []string{"VI_1", "VI_2", "VI_3"} {
			s.await(l.fifo, 0, `INSTANCE "`+name+`" MASTER 100`, 5*time.Second)
			s.awaitLine(l.files[name], "INSTANCE "+name+" MASTER 100", 2*time.Second)
		}
		n := len(l.fifo.all())
		s.must(d.Reload(configWith(l.global(), one)))
		s.await(l.fifo, n, `INSTANCE "VI_2" DELETED 100`, 3*time.Second)
		s.await(l.fifo, n, `INSTANCE "VI_3" FAULT 100`, 3*time.Second)
		s.awaitLine(file, "gone", 2*time.Second)
		s.awaitLine(l.files["VI_2"], "INSTANCE VI_2 DELETED 100", 2*time.Second)
		s.awaitLine(l.files["VI_3"], "INSTANCE VI_3 FAULT 100", 2*time.Second)
		h := l.recorded()
		h.fifo = h.fifo[n:] // before that the order of instances is left to chance
		for name, lines := range h.scripts {
			h.scripts[name] = lines[max(0, len(lines)-1):]
		}
		return h
	})
	if !t.Failed() {
		sameLines(t, "lines of the FIFO", mine.fifo, upstream.fifo)
		for name, lines := range upstream.scripts {
			sameLines(t, "last arguments of "+name, mine.scripts[name], lines)
		}
	}
}

// TestStatesOnReload checks that the present states are written to FIFOs at a reload if
// that is configured, and only then.
func TestStatesOnReload(t *testing.T) {
	t.Parallel()
	differs(t, "of version 2.2.7 tells them of groups only, and twice")
	s := newScene(t, "a")
	fifo := s.fifo("a", "fifo")
	group := "vrrp_sync_group G1 {\n    group {\n        VI_1\n    }\n}\n"
	recorder, file := s.recorder("a", "notify")
	one := instance{More: "notify " + recorder}.at(100)
	two := instance{Name: "VI_2", VRID: 52, VIPs: []string{vip2.String()}}.at(90)
	conf := func(option string) string {
		return group + configWith("vrrp_notify_fifo "+fifo.path+"\n"+option, one, two)
	}
	a := s.start("a", ours, conf(""))
	s.await(fifo, 0, `GROUP "G1" MASTER 0`, 4*time.Second)
	s.await(fifo, 0, `INSTANCE "VI_2" MASTER 90`, 4*time.Second)
	n := len(fifo.all())
	s.must(a.Reload(conf("")))
	s.awaitLog(a, a.Started, "Reload complete", 3*time.Second)
	from := time.Now()
	s.must(a.Reload(conf("fifo_write_vrrp_states_on_reload")))
	s.awaitLog(a, from, "Reload complete", 3*time.Second)
	s.await(fifo, n, `INSTANCE "VI_2" MASTER 90`, 3*time.Second)
	want := []string{`GROUP "G1" MASTER 0`, `INSTANCE "VI_1" MASTER 100`, `INSTANCE "VI_2" MASTER 90`}
	if lines := fifo.all()[n:]; !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
	s.awaitLine(file, "INSTANCE VI_1 MASTER 100", 4*time.Second) // the FIFO may have been sooner
	if lines := fileLines(file); len(lines) != 2 {
		t.Errorf("the script got %q, want two lines: it has not lost count", lines)
	}
}

// TestStatesOnReloadOnce checks that with fifo_write_vrrp_states_on_reload a group and an
// instance that the reload itself makes have one line for the state that they enter.
func TestStatesOnReloadOnce(t *testing.T) {
	t.Parallel()
	differs(t, "of version 2.2.7 tells them of groups only")
	s := newScene(t, "a")
	fifo := s.fifo("a", "fifo")
	recorder, file := s.recorder("a", "notify")
	one := instance{}.at(100)
	two := instance{Name: "VI_2", VRID: 52, VIPs: []string{vip2.String()}}.at(90)
	conf := func(groups string, all ...instance) string {
		return groups + configWith("vrrp_notify_fifo "+fifo.path+"\nfifo_write_vrrp_states_on_reload", all...)
	}
	a := s.start("a", ours, conf("", one))
	s.await(fifo, 0, `INSTANCE "VI_1" MASTER 100`, 4*time.Second)
	n := len(fifo.all())
	from := time.Now()
	s.must(a.Reload(conf("vrrp_sync_group G1 {\n    group {\n        VI_1\n    }\n    notify "+recorder+"\n}\n", one, two)))
	s.awaitLog(a, from, "Reload complete", 3*time.Second)
	s.await(fifo, n, `INSTANCE "VI_2" MASTER 90`, 4*time.Second)
	s.awaitLine(file, "GROUP G1 MASTER 0", 4*time.Second)
	want := []string{`INSTANCE "VI_1" MASTER 100`, `GROUP "G1" MASTER 0`, `INSTANCE "VI_2" BACKUP 90`, `INSTANCE "VI_2" MASTER 90`}
	lines := fifo.all()[n:]
	slices.Sort(want)
	if got := slices.Sorted(slices.Values(lines)); !slices.Equal(got, want) {
		t.Errorf("got %q, want each of %q once", lines, want)
	}
}

// TestReloadReportsNewGroups checks that the state of a sync group that a reload adds or
// renames is reported, on the master and on the backup, and that the state of other
// objects is not reported again.
func TestReloadReportsNewGroups(t *testing.T) {
	t.Parallel()
	differs(t, "tells those of backups only")
	s := newScene(t, "a", "b")
	type node struct {
		*lab.Daemon
		name, state string
		fifo        *pipe
		conf        func(groups string) string
	}
	group := func(name, members, more string) string {
		return "vrrp_sync_group " + name + " {\n    group {\n        " + members + "\n    }\n    " + more + "\n}\n"
	}
	var nodes []*node
	for i, name := range []string{"a", "b"} {
		n := &node{name: name, state: []string{"MASTER", "BACKUP"}[i], fifo: s.fifo(name, "fifo")}
		one := instance{}.at(150 - 50*i)
		two := instance{Name: "VI_2", VRID: 52, VIPs: []string{vip2.String()}}.at(150 - 50*i)
		n.conf = func(groups string) string { return groups + configWith("vrrp_notify_fifo "+n.fifo.path, one, two) }
		n.Daemon = s.start(name, ours, n.conf(""))
		nodes = append(nodes, n)
	}
	s.awaitOwner(vip, 5*time.Second, "a")
	s.awaitOwner(vip2, 5*time.Second, "a")
	for _, n := range nodes {
		recorder, file := s.recorder(n.name, "notify")
		var want []string
		s.await(n.fifo, 0, fmt.Sprintf(`INSTANCE "VI_2" %s %d`, n.state, map[string]int{"MASTER": 150, "BACKUP": 100}[n.state]), 5*time.Second)
		at := len(n.fifo.all())
		for _, step := range []struct {
			groups   string
			reported []string
		}{
			{group("G", "VI_1\nVI_2", "notify "+recorder), []string{"G"}},
			{group("H", "VI_1\nVI_2", "notify "+recorder), []string{"H"}},
			{group("H", "VI_1", "notify "+recorder), nil},
			{group("H", "VI_1", "notify "+recorder) + group("I", "VI_2", "notify "+recorder), []string{"I"}},
		} {
			from := time.Now()
			s.must(n.Reload(n.conf(step.groups)))
			s.awaitLog(n.Daemon, from, "Reload complete", 10*time.Second)
			for _, name := range step.reported {
				want = append(want, fmt.Sprintf(`GROUP "%s" %s 0`, name, n.state))
				s.await(n.fifo, at, want[len(want)-1], 10*time.Second)
				s.awaitLine(file, fmt.Sprintf("GROUP %s %s 0", name, n.state), 10*time.Second)
			}
		}
		if lines := n.fifo.all()[at:]; !slices.Equal(lines, want) {
			t.Errorf("%s got %q, want %q", n.name, lines, want)
		}
	}
}

// TestHundredTransitions checks that when changes are faster than a script, the script
// never runs twice at once, and that the last run has the present state. The FIFO has all
// changes.
func TestHundredTransitions(t *testing.T) {
	t.Parallel()
	differs(t, "runs scripts side by side")
	s := newScene(t, "a")
	fifo := s.fifo("a", "fifo")
	s.write("a", "bad", "0")
	s.write("a", "n", "0")
	file := s.path("a", "written")
	slow := s.script("a", "slow", strings.ReplaceAll(`mkdir DIR/lock || echo "two at once" >>DIR/written
sleep 0.05
echo "$*" >>DIR/written
rmdir DIR/lock`, "DIR", s.Node("a").Dir))
	in := instance{Interval: 10 * time.Second, More: "notify " + slow}.at(100).tracks("file", "bad weight 0\nn")
	a := s.start("a", ours, trackFile("bad", s.path("a", "bad"), "")+trackFile("n", s.path("a", "n"), "")+
		configWith("vrrp_notify_fifo "+fifo.path, in))
	n := s.await(fifo, 0, `INSTANCE "VI_1" BACKUP 100`, 4*time.Second)
	from := time.Now()
	const transitions = 100
	for i := range transitions - 1 {
		s.write("a", "bad", fmt.Sprint(1-i%2))
		n = s.await(fifo, n, fmt.Sprintf(`INSTANCE "VI_1" %s 100`, [...]string{"FAULT", "BACKUP"}[i%2]), 2*time.Second)
	}
	s.write("a", "n", "7")
	s.awaitLog(a, from, "from 100 to 107", 2*time.Second)
	s.write("a", "bad", "0")
	n = s.await(fifo, n, `INSTANCE "VI_1" BACKUP 107`, 2*time.Second)
	t.Logf("%d transitions in %v", transitions, time.Since(from))
	if n != transitions+1 {
		t.Errorf("%d lines in the FIFO, want %d", n, transitions+1)
	}
	s.awaitLine(file, "INSTANCE VI_1 BACKUP 107", 10*time.Second)
	lines := fileLines(file)
	if slices.Contains(lines, "two at once") {
		t.Error("two scripts at once")
	}
	if last := lines[len(lines)-1]; last != "INSTANCE VI_1 BACKUP 107" {
		t.Errorf("the last run got %q", last)
	}
	s.must(a.Stop())
	if lines = fileLines(file); lines[len(lines)-1] != "INSTANCE VI_1 STOP 107" {
		t.Errorf("at the end it got %q", lines[len(lines)-1])
	}
}

// TestNotifyScriptsMisbehave checks that a script that hangs and one that writes a
// megabyte delay neither a take-over nor the scripts of others nor the end.
func TestNotifyScriptsMisbehave(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	hung := s.script("a", "hung", "trap '' TERM\nsleep 3600")
	loud := s.script("a", "loud", "head -c 1048576 /dev/zero | tr '\\0' x\nhead -c 1048576 /dev/zero >&2\necho \"$*\" >>"+s.path("a", "loud.out"))
	one := instance{Name: "VI_1", VRID: 51, More: "notify " + hung}
	two := instance{Name: "VI_2", VRID: 52, VIPs: []string{vip2.String() + "/16"}, More: "notify " + loud}
	a := s.start("a", ours, "child_wait_time 1\n"+config(one.at(150), two.at(150)))
	s.awaitOwner(vip, 4*time.Second, "a")
	one.More, two.More = "", ""
	s.start("b", ours, config(one.at(100), two.at(100)))
	s.awaitLine(s.path("a", "loud.out"), "INSTANCE VI_2 MASTER 150", 5*time.Second)
	for range 2 {
		s.must(s.Node("a").Unplug(0))
		s.awaitOwner(vip, 3*time.Second, "b")
		s.must(s.Node("a").Plug(0))
		s.awaitOwner(vip, 3*time.Second, "a")
	}
	s.awaitLine(s.path("a", "loud.out"), "INSTANCE VI_2 FAULT 150", 5*time.Second)
	s.must(a.Stop())
	s.awaitOwner(vip, time.Second, "b")
	if !underC { // the C daemon leaves the script running
		s.noProcessLeft("a")
	}
}

// TestUnsafeScripts checks that with enable_script_security no script runs as root that
// another user could change, and that the instance continues as if it tracked nothing.
func TestUnsafeScripts(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Root, lab.User)
	for _, c := range []struct {
		name   string
		spoil  func(dir, script string) error
		remedy []string // text in the log; nil: the script runs
	}{
		{"safe", func(string, string) error { return nil }, nil},
		{"script of another user", func(_, script string) error { return os.Chown(script, 65534, -1) },
			[]string{"/run/scripts/check", "owner nobody", "mode 0755", "chown root /run/scripts/check"}},
		{"directory of another user", func(dir, _ string) error { return os.Chown(dir, 65534, -1) },
			[]string{"/run/scripts", "owner nobody", "mode 0755", "chown root /run/scripts"}},
		{"script that all may write", func(_, script string) error { return os.Chmod(script, 0o777) },
			[]string{"/run/scripts/check", "owner root", "mode 0777", "chmod go-w /run/scripts/check"}},
		{"directory that all may write", func(dir, _ string) error { return os.Chmod(dir, 0o777) },
			[]string{"/run/scripts", "owner root", "mode 0777", "chmod go-w /run/scripts"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "a")
			// The node's own /run, whose path does not lead through /tmp.
			dir := s.path("a", "run/scripts")
			s.must(os.Mkdir(dir, 0o755))
			ran := s.path("a", "ran")
			s.must(c.spoil(dir, s.script("a", "run/scripts/check", "echo \"ran $*\" >>"+ran)))
			const script = "/run/scripts/check"
			in := instance{More: "notify " + script}.at(150).tracks("script", "check")
			a := s.start("a", ours, vrrpScript("check", script, "")+
				configWith("enable_script_security\nscript_user root", in))
			s.awaitOwner(vip, 4*time.Second, "a")
			if c.remedy == nil {
				s.awaitLine(ran, "ran INSTANCE VI_1 MASTER 150", 2*time.Second)
				s.awaitLine(ran, "ran ", 2*time.Second)
				return
			}
			s.stays(vip, "a", 300*time.Millisecond)
			if lines := fileLines(ran); len(lines) > 0 {
				t.Errorf("it ran: %q", lines)
			}
			if underC {
				return // the C daemon logs only that the script is unsafe
			}
			for _, about := range []string{"track script check", "notify script"} {
				named := false
				for _, line := range a.Log() {
					all := strings.Contains(line.Text, about)
					for _, word := range c.remedy {
						all = all && strings.Contains(line.Text, word)
					}
					named = named || all
				}
				if !named {
					t.Errorf("no line about %s has all of %q", about, c.remedy)
				}
			}
		})
	}
}

// withoutAccount hides an account of the machine from a node.
func (s *scene) withoutAccount(node, name string) {
	s.Helper()
	for _, file := range []string{"passwd", "group"} {
		text, err := os.ReadFile("/etc/" + file)
		s.must(err)
		var kept strings.Builder
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, name+":") {
				kept.WriteString(line)
			}
		}
		own := s.path(node, file)
		s.must(os.WriteFile(own, []byte(kept.String()), 0o644))
		s.must(s.Node(node).Do(func() error { return unix.Mount(own, "/etc/"+file, "", unix.MS_BIND, "") }))
	}
}

// TestScriptsWithoutAccount checks that with enable_script_security and without the account
// keepalived_script no script runs that has no user of its own, not even as root.
func TestScriptsWithoutAccount(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Root)
	s := newScene(t, "a")
	s.withoutAccount("a", "keepalived_script")
	s.must(os.Mkdir(s.path("a", "run/scripts"), 0o755))
	ran, mine := s.path("a", "ran"), s.path("a", "mine")
	s.script("a", "run/scripts/check", "echo \"$* $(id -u)\" >>"+ran)
	s.script("a", "run/scripts/mine", "echo ran >>"+mine)
	fifo := s.path("a", "run/fifo")
	in := instance{More: "notify_master \"/run/scripts/mine\" root\nnotify \"/run/scripts/check notify\""}.at(150).tracks("script", "check")
	a := s.start("a", ours, vrrpScript("check", "/run/scripts/check script", "")+
		configWith("enable_script_security\nvrrp_notify_fifo "+fifo+"\nstartup_script \"/run/scripts/check startup\"", in))
	s.awaitOwner(vip, 4*time.Second, "a")
	s.awaitLine(mine, "ran", 5*time.Second) // this script has a user
	if lines := fileLines(ran); len(lines) > 0 {
		t.Errorf("it ran: %q", lines)
	}
	if _, err := os.Lstat(fifo); err == nil {
		t.Errorf("the FIFO was made")
	}
	if underC {
		return
	}
	for _, about := range []string{"Disabling track script check", "notify script", "Startup script", "vrrp_notify_fifo"} {
		if !slices.ContainsFunc(a.Log(), func(l lab.Line) bool {
			return strings.Contains(l.Text, about) && strings.Contains(l.Text, "there is no user keepalived_script")
		}) {
			t.Errorf("no line has the reason why %s did not run", about)
		}
	}
}

// TestFIFOWithoutReader checks that lines are lost, and nothing else, while a full FIFO
// has no reader, and that lines arrive again when it is read.
func TestFIFOWithoutReader(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	path := s.path("a", "fifo")
	s.must(unix.Mkfifo(path, 0o644))
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	s.must(err)
	defer unix.Close(fd)
	// read returns the available text, within a time.
	read := func(timeout time.Duration) string {
		buf := make([]byte, 1<<20)
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(timeout.Milliseconds()))
		for err == unix.EINTR {
			_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(timeout.Milliseconds()))
		}
		n, _ := unix.Read(fd, buf)
		return string(buf[:max(n, 0)])
	}
	for err == nil {
		_, err = unix.Write(fd, []byte(strings.Repeat("x", 4095)+"\n"))
	}
	in := instance{}
	a := s.start("a", ours, configWith("vrrp_notify_fifo "+path, in.at(150)))
	s.awaitOwner(vip, 4*time.Second, "a")
	s.start("b", ours, config(in.at(100)))
	s.must(s.Node("a").Unplug(0))
	s.awaitOwner(vip, 3*time.Second, "b")
	s.must(s.Node("a").Plug(0))
	s.awaitOwner(vip, 3*time.Second, "a")
	if !underC && !a.Logged(a.Started, path) {
		t.Error("the log does not name the FIFO")
	}
	if text := read(0); strings.Contains(text, "INSTANCE") {
		t.Error("the FIFO was not full")
	}
	s.must(s.Node("a").Unplug(0))
	const want = "INSTANCE \"VI_1\" FAULT 150\n"
	text := ""
	for more := "x"; more != "" && !strings.HasSuffix(text, want); text += more {
		more = read(3 * time.Second)
	}
	if !strings.HasSuffix(text, want) {
		t.Errorf("read %q", text)
	}
	s.must(a.Stop())
}

// TestStartupAndShutdownScripts checks that these scripts run before and after everything
// else, and that one that hangs delays nothing for longer than its timeout.
func TestStartupAndShutdownScripts(t *testing.T) {
	t.Parallel()
	for _, hang := range []bool{false, true} {
		t.Run(map[bool]string{false: "run", true: "timed out"}[hang], func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "a")
			notify, file := s.recorder("a", "notify")
			script := func(name string) string {
				body := "echo " + name + " begins >>" + file
				if hang {
					body += "\nsleep 3600"
				}
				return s.script("a", name, body+"\necho "+name+" ends >>"+file)
			}
			a := s.start("a", ours, configWith("startup_script "+script("startup")+"\nstartup_script_timeout 1\n"+
				"shutdown_script "+script("shutdown")+"\nshutdown_script_timeout 1", instance{More: "notify " + notify}.at(100)))
			s.awaitOwner(vip, 5*time.Second, "a")
			s.awaitLine(file, "INSTANCE VI_1 MASTER 100", 2*time.Second)
			s.must(a.Stop())
			want := []string{
				"startup begins", "startup ends", "INSTANCE VI_1 BACKUP 100", "INSTANCE VI_1 MASTER 100",
				"INSTANCE VI_1 STOP 100", "shutdown begins", "shutdown ends",
			}
			if hang {
				want = slices.DeleteFunc(want, func(line string) bool { return strings.HasSuffix(line, "ends") })
				if n := count(a, a.Started, "timed out"); n < 2 && !underC {
					t.Errorf("%d lines of the log report the timeout, want two", n)
				}
			}
			if lines := fileLines(file); !slices.Equal(lines, want) {
				t.Errorf("what ran: %q, want %q", lines, want)
			}
		})
	}
}

// TestFIFOScript checks that the script gets the path of the FIFO as its last argument,
// reads the lines, is started again after its death, and ends with the daemon, and that a
// script that never reads has no effect on others.
func TestFIFOScript(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	file := s.path("a", "read")
	reader := s.script("a", "reader", "echo \"started $*\" >>"+file+"\nexec cat \"$2\" >>"+file)
	lazy := s.script("a", "lazy", "echo $$ >"+s.path("a", "lazy.pid")+"\nexec sleep 3600")
	path, other := s.path("a", "fifo"), s.path("a", "other")
	s.write("a", "bad", "0")
	a := s.start("a", ours, trackFile("bad", s.path("a", "bad"), "")+
		configWith("vrrp_notify_fifo "+path+"\nvrrp_notify_fifo_script \""+reader+" first\"\n"+
			"notify_fifo "+other+"\nnotify_fifo_script "+lazy, instance{}.at(100).tracks("file", "bad weight 0")))
	s.awaitLine(file, "started first "+path, 3*time.Second)
	s.awaitLine(file, `INSTANCE "VI_1" MASTER 100`, 4*time.Second)
	if !s.Until(time.Second, func() bool { return len(fileLines(s.path("a", "lazy.pid"))) == 1 }) {
		t.Error("the other script was not started")
	}
	if !underC { // the C daemon does not start it again
		for _, pid := range s.Node("a").Pids() {
			if comm(pid) == "cat" {
				s.must(unix.Kill(pid, unix.SIGKILL))
			}
		}
		if !s.Until(5*time.Second, func() bool { return strings.Count(strings.Join(fileLines(file), "\n"), "started") == 2 }) {
			t.Error("the script was not started again")
		}
	}
	s.write("a", "bad", "1")
	s.awaitLine(file, `INSTANCE "VI_1" FAULT 100`, 3*time.Second)
	if !underC { // the script of the C daemon ends with the process
		// A crash of the writing process has no effect on the script.
		readers, from := s.Node("a").Pids(), time.Now()
		readers = slices.DeleteFunc(readers, func(pid int) bool { return comm(pid) != "cat" && comm(pid) != "sleep" })
		s.write("a", "bad", "0")
		s.awaitLine(file, `INSTANCE "VI_1" MASTER 100`, 5*time.Second)
		lines := len(fileLines(file))
		s.must(unix.Kill(a.VRRPPid(), unix.SIGKILL))
		s.awaitLog(a, from, "died: Respawning", 5*time.Second)
		s.write("a", "bad", "1")
		if !s.Until(10*time.Second, func() bool { return slices.Contains(fileLines(file)[lines:], `INSTANCE "VI_1" FAULT 100`) }) {
			t.Errorf("the successor wrote %q", fileLines(file)[lines:])
		}
		for _, pid := range readers {
			if name := comm(pid); name != "cat" && name != "sleep" {
				t.Errorf("the script %d has ended with the process that wrote", pid)
			}
		}
	}
	s.must(a.Stop())
	s.noProcessLeft("a")
	for _, p := range []string{path, other} {
		if _, err := os.Stat(p); err == nil {
			t.Errorf("%s is still there", p)
		}
	}
}

// TestTrackersOfMembers checks that weights of a group's members count only with
// sync_group_tracking_weight: without it a weighted script changes nothing, and a file
// with any number but 0 is a fault.
func TestTrackersOfMembers(t *testing.T) {
	t.Parallel()
	for _, option := range []string{"", "sync_group_tracking_weight"} {
		t.Run("with "+option, func(t *testing.T) {
			t.Parallel()
			mine, upstream := beside(t, 2, []string{"a"}, func(s *scene, p lab.Program) notifications {
				l := s.recordNotifications("a")
				s.write("a", "n", "0")
				s.write("a", "alive", "")
				one := instance{Name: "VI_1", VRID: 51, Interval: 200 * time.Millisecond}.at(240).
					tracks("script", "service").tracks("interface", "eth1 weight -30").tracks("file", "number")
				two := instance{Name: "VI_2", VRID: 52, Interval: 200 * time.Millisecond, VIPs: []string{vip2.String()}}.at(100)
				d := s.start("a", p, trackFile("number", s.path("a", "n"), "")+
					vrrpScript("service", s.script("a", "check", "test -e "+s.path("a", "alive")), "weight -50")+
					"vrrp_sync_group G1 {\n    group {\n        VI_1\n        VI_2\n    }\n    "+option+"\n}\n"+
					configWith(l.global()+"\nvrrp_notify_priority_changes", one, two))
				n := s.await(l.fifo, 0, `GROUP "G1" MASTER 0`, 5*time.Second)
				next := func(line string) {
					s.Helper()
					n = s.await(l.fifo, n, line, 3*time.Second)
				}
				s.must(os.Remove(s.path("a", "alive")))
				if option != "" {
					next(`INSTANCE "VI_1" MASTER_PRIORITY 190`)
				}
				s.must(s.Node("a").Unplug(1))
				if option != "" {
					next(`INSTANCE "VI_1" MASTER_PRIORITY 160`)
				} else {
					s.stays(vip, "a", 500*time.Millisecond)
					s.must(s.Node("a").Plug(1))
					s.stays(vip, "a", 300*time.Millisecond)
				}
				s.write("a", "n", "-10")
				if option != "" {
					next(`INSTANCE "VI_1" MASTER_PRIORITY 150`)
				} else {
					next(`GROUP "G1" FAULT 0`)
				}
				s.must(d.Stop())
				next(`GROUP "G1" STOP 0`)
				return l.recorded()
			})
			if !t.Failed() {
				if option == "" && !underC {
					// Upstream logs that it ignores the weight of the interface, but
					// subtracts it from the priority.
					upstream = upstream.without("MASTER_PRIORITY")
				}
				sameLines(t, "lines of the FIFO", mine.fifo, upstream.fifo)
			}
		})
	}
}
