package notify

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/conf"
)

// teller is a notifier whose scripts say what they are given into a pipe.
type teller struct {
	*Notifier
	said *pipe
	log  *logs
	t    *testing.T
	kept map[string]*FIFO // by path
}

func newTeller(t *testing.T) *teller {
	t.Helper()
	tl := &teller{New(newRunner(t), "host"), newPipe(t), captureLog(t), t, map[string]*FIFO{}}
	t.Cleanup(func() { tl.Close(time.Second) })
	return tl
}

// says is a command that says its arguments.
func (tl *teller) says(t *testing.T, args ...string) conf.Command {
	return command(append([]string{shell(t, `echo "$*" >`+tl.said.path)}, args...)...)
}

// after is a command that says its arguments when a line has come into the pipe
// gate. It takes the line from the pipe as it was, ends or not.
func (tl *teller) after(t *testing.T, gate *pipe, args ...string) conf.Command {
	return command(append([]string{shell(t, `echo "$* begins" >`+tl.said.path+`; read -r l <`+gate.path+`; echo "$* ends" >`+tl.said.path)}, args...)...)
}

func (tl *teller) expect(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, tl.said.nexts(t, len(want))); diff != "" {
		t.Fatalf("scripts said (-want +got):\n%s\nlog:\n%s", diff, tl.log)
	}
}

// Configure configures what c names. Its FIFOs are kept until the test ends.
func (tl *teller) Configure(c *configuration) {
	for i := range c.FIFOs {
		if path := c.FIFOs[i].Path; path != "" && tl.kept[path] == nil {
			tl.kept[path] = keepFIFO(tl.t, conf.FIFO{Path: path})
		}
	}
	tl.Notifier.Configure(c.config())
}

func TestScriptsAndFIFOs(t *testing.T) {
	tl := newTeller(t)
	to := &conf.Notify{
		Any: tl.says(t, "any", "two words"), Master: tl.says(t, "master"), Backup: tl.says(t, "backup"), Stop: tl.says(t, "stop"),
	}
	c := with(to)
	c.groups = map[string]*conf.Notify{"G1": {Any: tl.says(t, "group")}}
	dir := t.TempDir()
	c.FIFOs[0].Path = filepath.Join(dir, "all")
	c.FIFOs[1].Path = filepath.Join(dir, "vrrp")
	tl.Configure(c)
	for _, e := range []happening{
		{Name: "A", Word: backup, Number: 100, To: to},
		{Name: "A", Word: master, Number: 100, To: to},
		{Name: "A", Word: master, Number: 100, To: to, FIFOOnly: true},
		{Name: "A", Word: stop, Number: 100, To: to},
		{Name: "B", Word: master, Number: 7},
	} {
		tl.Notify(e)
	}
	tl.expect(t,
		"backup", "any two words thing A BACKUP 100",
		"master", "any two words thing A MASTER 100",
		"stop", "any two words thing A STOP 100")
	tl.Notify(happening{Group: true, Name: "G1", Word: stop, To: c.groups["G1"]})
	tl.expect(t, "group group G1 STOP 0")
	lines := []string{
		`thing "A" BACKUP 100`, `thing "A" MASTER 100`, `thing "A" MASTER 100`,
		`thing "A" STOP 100`, `thing "B" MASTER 7`, `group "G1" STOP 0`,
	}
	for _, f := range c.FIFOs {
		if diff := cmp.Diff(lines, openPipe(t, f.Path).nexts(t, len(lines))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f.Path, diff)
		}
	}
	st := tl.Status()
	if len(st.FIFOs) != 2 || st.FIFOs[0].Written != 6 || len(st.Owners) != 2 || st.Owners[0].Kind != "group" {
		t.Errorf("status %+v", st)
	}
	tl.Close(time.Second)
	tl.Notify(happening{Name: "A", Word: backup, To: to}) // nobody is there
	if st := tl.Status(); st.Owners != nil {
		t.Errorf("status of a closed notifier: %+v", st)
	}
}

// While one owner's script hangs the others go on, and FIFOs do; what waits for
// it is overtaken, and the last script says the last state.
func TestOwnersAreIndependent(t *testing.T) {
	tl := newTeller(t)
	gate := newPipe(t)
	slow := &conf.Notify{Any: tl.says(t, "slow"), Backup: tl.after(t, gate, "slow backup")}
	quick := &conf.Notify{Any: tl.says(t, "quick")}
	c := with(slow, quick)
	c.FIFOs[0].Path = filepath.Join(t.TempDir(), "fifo")
	tl.Configure(c)
	tl.Notify(happening{Name: "A", Word: backup, To: slow})
	tl.expect(t, "slow backup begins")
	for n := range 20 {
		tl.Notify(happening{Name: "A", Word: master, Number: n, To: slow})
	}
	tl.Notify(happening{Name: "B", Word: master, To: quick})
	tl.expect(t, "quick thing B MASTER 0")
	fifo := openPipe(t, c.FIFOs[0].Path).nexts(t, 22)
	if fifo[0] != `thing "A" BACKUP 0` || fifo[20] != `thing "A" MASTER 19` {
		t.Errorf("FIFO: %q", fifo)
	}
	st := tl.Status()
	if o := st.Owners[0]; o.Keyword != "notify_backup" || o.Waiting != 4 || o.Overtaken != 16 || o.Since.IsZero() {
		t.Errorf("status %+v", o)
	}
	fmt.Fprintln(gate.f, "go on")
	tl.expect(t, "slow backup ends", "slow thing A BACKUP 0",
		"slow thing A MASTER 16", "slow thing A MASTER 17", "slow thing A MASTER 18", "slow thing A MASTER 19")
	eventually(t, "the last script ends", func() bool { return tl.Status().Owners[0].Command == "" })
	tl.log.expect(t, 1, "(A) changed faster than its notify scripts ended: 16 outdated changes were left out")
	if o := tl.Status().Owners[0]; o.Waiting != 0 || o.Overtaken != 16 || !o.Last.OK || o.Last.Keyword != "notify" {
		t.Errorf("status %+v", o)
	}
}

func TestFailuresAreLogged(t *testing.T) {
	tl := newTeller(t)
	fails := shell(t, "echo some output; echo the reason >&2; exit 4")
	to := &conf.Notify{Any: tl.says(t), Master: command(fails), Backup: command("/no/such/script", "x")}
	tl.Configure(with(to, &conf.Notify{Stop: to.Backup}))
	tl.Notify(happening{Name: "A", Word: master, Number: 1, To: to})
	tl.Notify(happening{Name: "A", Word: backup, Number: 1, To: to})
	tl.expect(t, "thing A MASTER 1", "thing A BACKUP 1")
	tl.log.expect(t, 1, "(A) notify_master script "+fails+" exited with status 4: the reason")
	tl.log.expect(t, 1, "(A) notify_backup script /no/such/script x is disabled: ")
	tl.log.expect(t, 0, "(B)") // the same is said once
	tl.log.expect(t, 1, "(A) notify_backup script /no/such/script x could not be started: ")
	for i, o := range tl.Status().Owners {
		keyword := []string{"notify_backup", "notify_stop"}[i]
		if len(o.Disabled) != 1 || o.Disabled[0].Keyword != keyword || !strings.Contains(o.Disabled[0].Reason, "/no/such/script") {
			t.Errorf("status %+v", o)
		}
	}
}

// A script that is mended after the configuration was read runs.
func TestMendedScriptRuns(t *testing.T) {
	tl := newTeller(t)
	c := tl.says(t)
	path := c.Args[0]
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	to := &conf.Notify{Any: c}
	tl.Configure(with(to))
	if o := tl.Status().Owners[0]; len(o.Disabled) != 1 {
		t.Errorf("status %+v", o)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	tl.Notify(happening{Name: "A", Word: master, To: to})
	tl.expect(t, "thing A MASTER 0")
	if o := tl.Status().Owners[0]; len(o.Disabled) != 0 {
		t.Errorf("status %+v", o)
	}
}

// Changes of an owner that a reload removed are reported, although the configuration has
// it no more, and an owner that the reload kept continues.
func TestReload(t *testing.T) {
	tl := newTeller(t)
	gate := newPipe(t)
	gone := &conf.Notify{Any: tl.says(t, "gone"), Stop: tl.says(t, "stop")}
	stays := &conf.Notify{Master: tl.after(t, gate, "stays")}
	dir := t.TempDir()
	before := with(stays, gone)
	before.FIFOs[0].Path = filepath.Join(dir, "a")
	before.FIFOs[1].Path = filepath.Join(dir, "b")
	tl.Configure(before)
	tl.Notify(happening{Name: "A", Word: master, To: stays})
	tl.expect(t, "stays begins")
	a := openPipe(t, before.FIFOs[0].Path)

	after := with(stays)
	after.FIFOs[0].Path = filepath.Join(dir, "c") // and a becomes the other one
	after.FIFOs[1].Path = filepath.Join(dir, "a")
	tl.Configure(after)
	tl.Notify(happening{Name: "B", Word: stop, To: gone})
	tl.expect(t, "stop", "gone thing B STOP 0")
	want := []string{`thing "A" MASTER 0`, `thing "B" STOP 0`}
	if got := a.nexts(t, 2); !slices.Equal(got, want) {
		t.Errorf("the FIFO that another keyword has got: %q", got)
	}
	if got := openPipe(t, filepath.Join(dir, "c")).next(t); got != want[1] {
		t.Errorf("the new FIFO: %q", got)
	}
	fmt.Fprintln(gate.f, "go on")
	tl.expect(t, "stays ends")
	tl.Configure(after)
	names := func() (names []string) {
		for _, o := range tl.Status().Owners {
			names = append(names, o.Name)
		}
		return names
	}
	eventually(t, "the removed owner is forgotten", func() bool {
		tl.Configure(after)
		return slices.Equal(names(), []string{"A"})
	})
}

func TestCloseWaitsForStopScripts(t *testing.T) {
	tl := newTeller(t)
	to := &conf.Notify{Stop: command(shell(t, `sleep 0.2; echo stopped >`+tl.said.path)), Any: tl.says(t, "any")}
	tl.Configure(with(to))
	tl.Notify(happening{Name: "A", Word: stop, To: to})
	start := time.Now()
	tl.Close(patience)
	if time.Since(start) > patience/2 {
		t.Error("Close waited for nothing")
	}
	tl.expect(t, "stopped", "any thing A STOP 0")
}

// A script that hangs when the daemon stops makes way for that of the stop; what
// hangs then is named and ended.
func TestCloseWithHangingScripts(t *testing.T) {
	tl := newTeller(t)
	gate := newPipe(t)
	hangs := shell(t, `trap 'echo "$1 is asked to end" >`+tl.said.path+`; exit 1' TERM
echo "$1 begins" >`+tl.said.path+`
read -r l <`+gate.path)
	one := &conf.Notify{Master: command(hangs, "master"), Stop: tl.says(t, "stop")}
	two := &conf.Notify{Stop: command(hangs, "stop 2")}
	tl.Configure(with(one, two))
	tl.Notify(happening{Name: "A", Word: master, To: one})
	tl.expect(t, "master begins")
	tl.Notify(happening{Name: "A", Word: stop, To: one})
	tl.Notify(happening{Name: "B", Word: stop, To: two})
	tl.expect(t, "stop 2 begins")
	tl.Close(2 * time.Second)
	tl.expect(t, "master is asked to end", "stop", "stop 2 is asked to end")
	tl.log.expect(t, 1, "(A) notify_master script "+hangs+" master is ended: ")
	tl.log.expect(t, 1, "; STOP is waiting for it")
	tl.log.expect(t, 1, "(B) notify_stop script "+hangs+" stop 2 has not ended: sent SIGTERM")
}

// One path for two FIFOs is one FIFO that gets every line twice, as in the C
// daemon.
func TestOnePathForBothFIFOs(t *testing.T) {
	tl := newTeller(t)
	c := with()
	c.FIFOs[0].Path = filepath.Join(t.TempDir(), "fifo")
	c.FIFOs[1].Path = c.FIFOs[0].Path
	tl.Configure(c)
	tl.Notify(happening{Name: "A", Word: master, Number: 1})
	if n := len(tl.Status().FIFOs); n != 2 {
		t.Fatalf("%d FIFOs", n)
	}
	line := `thing "A" MASTER 1`
	if got := openPipe(t, c.FIFOs[0].Path).nexts(t, 2); got[0] != line || got[1] != line {
		t.Errorf("%q", got)
	}
}

func TestTellAllocatesLittle(t *testing.T) {
	n := &Notifier{wake: make(chan struct{}, 1), inbox: make([]letter, 0, 2000)}
	e := &happening{Name: "A", Word: master}
	if got := testing.AllocsPerRun(1000, func() { n.Notify(e) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// Whatever the other channels do, a change is reported by mail, too.
func TestMailOfAnEvent(t *testing.T) {
	tl := newTeller(t)
	s := newSink(nil)
	to := &conf.Notify{SMTPAlert: true}
	c := with(to)
	c.RouterID = "LB1"
	c.Mail = conf.Mail{Server: "localhost", Port: s.listen(t), ConnectTimeout: patience, To: []string{"ops@example.com"}}
	tl.Configure(c)
	tl.Notify(happening{Name: "A", Word: master, To: to, FIFOOnly: true})
	tl.Notify(happening{Name: "B", Word: master, To: &conf.Notify{}})
	tl.Notify(happening{Name: "A", Word: backup, To: to})
	if got := <-s.mail; !strings.Contains(got, "Subject: [LB1] A is BACKUP\n") {
		t.Errorf("%s", got)
	}
	eventually(t, "the mail is counted", func() bool { return tl.Status().Mail.Sent == 1 })
}
