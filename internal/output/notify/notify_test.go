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

// pipeNotifier is a notifier whose scripts write their arguments into a pipe.
type pipeNotifier struct {
	*Notifier
	written *pipe
	log     *logs
	t       *testing.T
	kept    map[string]*FIFO // by path
}

func newPipeNotifier(t *testing.T) *pipeNotifier {
	t.Helper()
	pn := &pipeNotifier{New(newRunner(t), "host"), newPipe(t), captureLog(t), t, map[string]*FIFO{}}
	t.Cleanup(func() { pn.Close(time.Second, 0) })
	return pn
}

// echo returns a command that writes its arguments into the pipe.
func (pn *pipeNotifier) echo(t *testing.T, args ...string) conf.Command {
	return command(append([]string{shell(t, `echo "$*" >`+pn.written.path)}, args...)...)
}

// echoAfter returns a command that writes its arguments and "begins", reads a line from gate,
// and writes its arguments and "ends".
func (pn *pipeNotifier) echoAfter(t *testing.T, gate *pipe, args ...string) conf.Command {
	return command(append([]string{shell(t, `echo "$* begins" >`+pn.written.path+`; read -r l <`+gate.path+`; echo "$* ends" >`+pn.written.path)}, args...)...)
}

func (pn *pipeNotifier) expect(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, pn.written.nexts(t, len(want))); diff != "" {
		t.Fatalf("scripts wrote (-want +got):\n%s\nlog:\n%s", diff, pn.log)
	}
}

// Configure configures c. Its FIFOs are kept open until the test ends.
func (pn *pipeNotifier) Configure(c *configuration) {
	for i := range c.FIFOs {
		if path := c.FIFOs[i].Path; path != "" && pn.kept[path] == nil {
			pn.kept[path] = keepFIFO(pn.t, conf.FIFO{Path: path})
		}
	}
	pn.Notifier.Configure(c.config())
}

func TestScriptsAndFIFOs(t *testing.T) {
	pn := newPipeNotifier(t)
	to := &conf.Notify{
		Any: pn.echo(t, "any", "two words"), Master: pn.echo(t, "master"), Backup: pn.echo(t, "backup"), Stop: pn.echo(t, "stop"),
	}
	c := with(to)
	c.groups = map[string]*conf.Notify{"G1": {Any: pn.echo(t, "group")}}
	dir := t.TempDir()
	c.FIFOs[0].Path = filepath.Join(dir, "all")
	c.FIFOs[1].Path = filepath.Join(dir, "vrrp")
	pn.Configure(c)
	for _, e := range []happening{
		{Name: "A", Word: backup, Number: 100, To: to},
		{Name: "A", Word: master, Number: 100, To: to},
		{Name: "A", Word: master, Number: 100, To: to, FIFOOnly: true},
		{Name: "A", Word: stop, Number: 100, To: to},
		{Name: "B", Word: master, Number: 7},
	} {
		pn.Notify(e)
	}
	pn.expect(t,
		"backup", "any two words thing A BACKUP 100",
		"master", "any two words thing A MASTER 100",
		"stop", "any two words thing A STOP 100")
	pn.Notify(happening{Group: true, Name: "G1", Word: stop, To: c.groups["G1"]})
	pn.expect(t, "group group G1 STOP 0")
	lines := []string{
		`thing "A" BACKUP 100`, `thing "A" MASTER 100`, `thing "A" MASTER 100`,
		`thing "A" STOP 100`, `thing "B" MASTER 7`, `group "G1" STOP 0`,
	}
	for _, f := range c.FIFOs {
		if diff := cmp.Diff(lines, openPipe(t, f.Path).nexts(t, len(lines))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f.Path, diff)
		}
	}
	st := pn.Status()
	if len(st.FIFOs) != 2 || st.FIFOs[0].Written != 6 || len(st.Owners) != 2 || st.Owners[0].Kind != "group" {
		t.Errorf("status %+v", st)
	}
	pn.Close(time.Second, 0)
	pn.Notify(happening{Name: "A", Word: backup, To: to}) // after Close nothing runs
	if st := pn.Status(); st.Owners != nil {
		t.Errorf("status of a closed notifier: %+v", st)
	}
}

// TestOwnersAreIndependent checks that while the script of one owner hangs, those of
// other owners run and FIFOs get their lines; changes that wait are overtaken, and the
// last script reports the last state.
func TestOwnersAreIndependent(t *testing.T) {
	pn := newPipeNotifier(t)
	gate := newPipe(t)
	slow := &conf.Notify{Any: pn.echo(t, "slow"), Backup: pn.echoAfter(t, gate, "slow backup")}
	quick := &conf.Notify{Any: pn.echo(t, "quick")}
	c := with(slow, quick)
	c.FIFOs[0].Path = filepath.Join(t.TempDir(), "fifo")
	pn.Configure(c)
	pn.Notify(happening{Name: "A", Word: backup, To: slow})
	pn.expect(t, "slow backup begins")
	for n := range 20 {
		pn.Notify(happening{Name: "A", Word: master, Number: n, To: slow})
	}
	pn.Notify(happening{Name: "B", Word: master, To: quick})
	pn.expect(t, "quick thing B MASTER 0")
	fifo := openPipe(t, c.FIFOs[0].Path).nexts(t, 22)
	if fifo[0] != `thing "A" BACKUP 0` || fifo[20] != `thing "A" MASTER 19` {
		t.Errorf("FIFO: %q", fifo)
	}
	st := pn.Status()
	if o := st.Owners[0]; o.Keyword != "notify_backup" || o.Waiting != 4 || o.Overtaken != 16 || o.Since.IsZero() {
		t.Errorf("status %+v", o)
	}
	fmt.Fprintln(gate.f, "go on")
	pn.expect(t, "slow backup ends", "slow thing A BACKUP 0",
		"slow thing A MASTER 16", "slow thing A MASTER 17", "slow thing A MASTER 18", "slow thing A MASTER 19")
	eventually(t, "the last script ends", func() bool { return pn.Status().Owners[0].Command == "" })
	pn.log.expect(t, 1, "(A) changed faster than its notify scripts ended: 16 outdated changes were left out")
	if o := pn.Status().Owners[0]; o.Waiting != 0 || o.Overtaken != 16 || !o.Last.OK || o.Last.Keyword != "notify" {
		t.Errorf("status %+v", o)
	}
}

func TestFailuresAreLogged(t *testing.T) {
	pn := newPipeNotifier(t)
	fails := shell(t, "echo some output; echo the reason >&2; exit 4")
	to := &conf.Notify{Any: pn.echo(t), Master: command(fails), Backup: command("/no/such/script", "x")}
	pn.Configure(with(to, &conf.Notify{Stop: to.Backup}))
	pn.Notify(happening{Name: "A", Word: master, Number: 1, To: to})
	pn.Notify(happening{Name: "A", Word: backup, Number: 1, To: to})
	pn.expect(t, "thing A MASTER 1", "thing A BACKUP 1")
	pn.log.expect(t, 1, "(A) notify_master script "+fails+" exited with status 4: the reason")
	pn.log.expect(t, 1, "(A) notify_backup script /no/such/script x is disabled: ")
	pn.log.expect(t, 0, "(B)") // the same fault is logged once
	pn.log.expect(t, 1, "(A) notify_backup script /no/such/script x could not be started: ")
	for i, o := range pn.Status().Owners {
		keyword := []string{"notify_backup", "notify_stop"}[i]
		if len(o.Disabled) != 1 || o.Disabled[0].Keyword != keyword || !strings.Contains(o.Disabled[0].Reason, "/no/such/script") {
			t.Errorf("status %+v", o)
		}
	}
}

// TestCorrectedScriptRuns checks that a script that becomes executable after the
// configuration was read runs.
func TestCorrectedScriptRuns(t *testing.T) {
	pn := newPipeNotifier(t)
	c := pn.echo(t)
	path := c.Args[0]
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	to := &conf.Notify{Any: c}
	pn.Configure(with(to))
	if o := pn.Status().Owners[0]; len(o.Disabled) != 1 {
		t.Errorf("status %+v", o)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	pn.Notify(happening{Name: "A", Word: master, To: to})
	pn.expect(t, "thing A MASTER 0")
	if o := pn.Status().Owners[0]; len(o.Disabled) != 0 {
		t.Errorf("status %+v", o)
	}
}

// TestReload checks that changes of an owner that a reload removed are still reported,
// and that an owner that the reload kept continues.
func TestReload(t *testing.T) {
	pn := newPipeNotifier(t)
	gate := newPipe(t)
	gone := &conf.Notify{Any: pn.echo(t, "gone"), Stop: pn.echo(t, "stop")}
	stays := &conf.Notify{Master: pn.echoAfter(t, gate, "stays")}
	dir := t.TempDir()
	before := with(stays, gone)
	before.FIFOs[0].Path = filepath.Join(dir, "a")
	before.FIFOs[1].Path = filepath.Join(dir, "b")
	pn.Configure(before)
	pn.Notify(happening{Name: "A", Word: master, To: stays})
	pn.expect(t, "stays begins")
	a := openPipe(t, before.FIFOs[0].Path)

	after := with(stays)
	after.FIFOs[0].Path = filepath.Join(dir, "c") // its former path moves to the other FIFO
	after.FIFOs[1].Path = filepath.Join(dir, "a")
	pn.Configure(after)
	pn.Notify(happening{Name: "B", Word: stop, To: gone})
	pn.expect(t, "stop", "gone thing B STOP 0")
	want := []string{`thing "A" MASTER 0`, `thing "B" STOP 0`}
	if got := a.nexts(t, 2); !slices.Equal(got, want) {
		t.Errorf("the FIFO that another keyword has got: %q", got)
	}
	if got := openPipe(t, filepath.Join(dir, "c")).next(t); got != want[1] {
		t.Errorf("the new FIFO: %q", got)
	}
	fmt.Fprintln(gate.f, "go on")
	pn.expect(t, "stays ends")
	pn.Configure(after)
	names := func() (names []string) {
		for _, o := range pn.Status().Owners {
			names = append(names, o.Name)
		}
		return names
	}
	eventually(t, "the removed owner is forgotten", func() bool {
		pn.Configure(after)
		return slices.Equal(names(), []string{"A"})
	})
}

func TestCloseWaitsForStopScripts(t *testing.T) {
	pn := newPipeNotifier(t)
	to := &conf.Notify{Stop: command(shell(t, `sleep 0.2; echo stopped >`+pn.written.path)), Any: pn.echo(t, "any")}
	pn.Configure(with(to))
	pn.Notify(happening{Name: "A", Word: stop, To: to})
	start := time.Now()
	pn.Close(patience, 0)
	if time.Since(start) > patience/2 {
		t.Error("Close waited for nothing")
	}
	pn.expect(t, "stopped", "any thing A STOP 0")
}

// TestCloseWaitsWhileScriptsEnd checks that Close has patience with scripts while others end,
// up to a limit.
func TestCloseWaitsWhileScriptsEnd(t *testing.T) {
	for most, longer := range map[time.Duration]bool{2 * time.Hour: true, 0: false} {
		pn := newPipeNotifier(t)
		first, second := newPipe(t), newPipe(t)
		to := &conf.Notify{Stop: pn.echoAfter(t, first, "stop"), Any: pn.echoAfter(t, second, "any")}
		pn.Configure(with(to))
		pn.Notify(happening{Name: "A", Word: stop, To: to})
		pn.expect(t, "stop begins")
		deadline := func() time.Time {
			at := make(chan time.Time, 1)
			pn.post(letter{do: func() { at <- pn.deadline }})
			return <-at
		}
		pn.post(letter{do: func() { pn.startClosing(time.Hour, most) }})
		before := deadline()
		fmt.Fprintln(first.f, "go on")
		pn.expect(t, "stop ends", "any thing A STOP 0 begins")
		if after := deadline(); after.After(before) != longer {
			t.Errorf("at most %v: the deadline was %v, and is %v after the end of a script", most, before, after)
		}
		fmt.Fprintln(second.f, "go on")
		pn.expect(t, "any thing A STOP 0 ends")
	}
}

// TestCloseWithHangingScripts checks that a script that hangs when the daemon stops is
// ended in favour of the stop script, and that a hanging stop script is logged and ended.
func TestCloseWithHangingScripts(t *testing.T) {
	pn := newPipeNotifier(t)
	gate := newPipe(t)
	hangs := shell(t, `trap 'echo "$1 is asked to end" >`+pn.written.path+`; exit 1' TERM
echo "$1 begins" >`+pn.written.path+`
read -r l <`+gate.path)
	one := &conf.Notify{Master: command(hangs, "master"), Stop: pn.echo(t, "stop")}
	two := &conf.Notify{Stop: command(hangs, "stop 2")}
	pn.Configure(with(one, two))
	pn.Notify(happening{Name: "A", Word: master, To: one})
	pn.expect(t, "master begins")
	pn.Notify(happening{Name: "A", Word: stop, To: one})
	pn.Notify(happening{Name: "B", Word: stop, To: two})
	pn.expect(t, "stop 2 begins")
	pn.Close(2*time.Second, 0)
	pn.expect(t, "master is asked to end", "stop", "stop 2 is asked to end")
	pn.log.expect(t, 1, "(A) notify_master script "+hangs+" master is ended: ")
	pn.log.expect(t, 1, "; STOP is waiting for it")
	pn.log.expect(t, 1, "(B) notify_stop script "+hangs+" stop 2 has not ended: sent SIGTERM")
}

// TestOnePathForBothFIFOs checks that one path for two FIFOs is one FIFO that gets every
// line twice, as in the C daemon.
func TestOnePathForBothFIFOs(t *testing.T) {
	pn := newPipeNotifier(t)
	c := with()
	c.FIFOs[0].Path = filepath.Join(t.TempDir(), "fifo")
	c.FIFOs[1].Path = c.FIFOs[0].Path
	pn.Configure(c)
	pn.Notify(happening{Name: "A", Word: master, Number: 1})
	if n := len(pn.Status().FIFOs); n != 2 {
		t.Fatalf("%d FIFOs", n)
	}
	line := `thing "A" MASTER 1`
	if got := openPipe(t, c.FIFOs[0].Path).nexts(t, 2); got[0] != line || got[1] != line {
		t.Errorf("%q", got)
	}
}

func TestNotifyAllocatesLittle(t *testing.T) {
	n := &Notifier{wake: make(chan struct{}, 1), inbox: make([]letter, 0, 2000)}
	e := &happening{Name: "A", Word: master}
	if got := testing.AllocsPerRun(1000, func() { n.Notify(e) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// TestMailOfAnEvent checks that a change is reported by mail whatever the other channels
// do.
func TestMailOfAnEvent(t *testing.T) {
	pn := newPipeNotifier(t)
	s := newSink(nil)
	to := &conf.Notify{SMTPAlert: true}
	c := with(to)
	c.RouterID = "LB1"
	c.Mail = conf.Mail{Server: "localhost", Port: s.listen(t), ConnectTimeout: patience, To: []string{"ops@example.com"}}
	pn.Configure(c)
	pn.Notify(happening{Name: "A", Word: master, To: to, FIFOOnly: true})
	pn.Notify(happening{Name: "B", Word: master, To: &conf.Notify{}})
	pn.Notify(happening{Name: "A", Word: backup, To: to})
	if got := <-s.mail; !strings.Contains(got, "Subject: [LB1] A is BACKUP\n") {
		t.Errorf("%s", got)
	}
	eventually(t, "the mail is counted", func() bool { return pn.Status().Mail.Sent == 1 })
}
