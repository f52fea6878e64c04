package notify

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
}

func newTeller(t *testing.T) *teller {
	t.Helper()
	tl := &teller{New(newRunner(t), "host"), newPipe(t), captureLog(t)}
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

// with is a configuration with instances that tell these.
func with(to ...*conf.Notify) *conf.Config {
	c := &conf.Config{}
	for i, n := range to {
		c.Instances = append(c.Instances, &conf.VRRPInstance{Name: "VI_" + strconv.Itoa(i+1), Notify: n})
	}
	return c
}

func TestScriptsAndFIFOs(t *testing.T) {
	tl := newTeller(t)
	to := &conf.Notify{
		Any: tl.says(t, "any", "two words"), Master: tl.says(t, "master"), Backup: tl.says(t, "backup"), Fault: tl.says(t, "fault"),
	}
	c := with(to)
	c.SyncGroups = []*conf.SyncGroup{{Name: "G1", Notify: &conf.Notify{Any: tl.says(t, "group")}}}
	dir := t.TempDir()
	c.Global.FIFO.Path = filepath.Join(dir, "all")
	c.Global.VRRPFIFO.Path = filepath.Join(dir, "vrrp")
	tl.Configure(c)
	for _, e := range []Event{
		{Name: "VI_1", Kind: Backup, Priority: 100, To: to},
		{Name: "VI_1", Kind: Master, Priority: 100, To: to},
		{Name: "VI_1", Kind: Master, Priority: 100, To: to, FIFOOnly: true},
		{Name: "VI_1", Kind: Deleted, Priority: 100, To: to},
		{Name: "VI_2", Kind: Master, Priority: 7},
	} {
		tl.Tell(e)
	}
	tl.expect(t,
		"backup", "any two words INSTANCE VI_1 BACKUP 100",
		"master", "any two words INSTANCE VI_1 MASTER 100",
		"any two words INSTANCE VI_1 FAULT 100")
	tl.Tell(Event{Group: true, Name: "G1", Kind: Stop, To: c.SyncGroups[0].Notify})
	tl.expect(t, "group GROUP G1 STOP 0")
	lines := []string{
		`INSTANCE "VI_1" BACKUP 100`, `INSTANCE "VI_1" MASTER 100`, `INSTANCE "VI_1" MASTER 100`,
		`INSTANCE "VI_1" FAULT 100`, `INSTANCE "VI_2" MASTER 7`, `GROUP "G1" STOP 0`,
	}
	for _, f := range []conf.FIFO{c.Global.FIFO, c.Global.VRRPFIFO} {
		if diff := cmp.Diff(lines, openPipe(t, f.Path).nexts(t, len(lines))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f.Path, diff)
		}
	}
	st := tl.Status()
	if len(st.FIFOs) != 2 || st.FIFOs[0].Written != 6 || len(st.Owners) != 2 || !st.Owners[0].Owner.Group {
		t.Errorf("status %+v", st)
	}
	tl.Close(time.Second)
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	tl.Tell(Event{Name: "VI_1", Kind: Backup, To: to}) // nobody is there
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
	c.Global.FIFO.Path = filepath.Join(t.TempDir(), "fifo")
	tl.Configure(c)
	tl.Tell(Event{Name: "VI_1", Kind: Backup, To: slow})
	tl.expect(t, "slow backup begins")
	for n := range 20 {
		tl.Tell(Event{Name: "VI_1", Kind: Master, Priority: n, To: slow})
	}
	tl.Tell(Event{Name: "VI_2", Kind: Master, To: quick})
	tl.expect(t, "quick INSTANCE VI_2 MASTER 0")
	fifo := openPipe(t, c.Global.FIFO.Path).nexts(t, 22)
	if fifo[0] != `INSTANCE "VI_1" BACKUP 0` || fifo[20] != `INSTANCE "VI_1" MASTER 19` {
		t.Errorf("FIFO: %q", fifo)
	}
	st := tl.Status()
	if o := st.Owners[0]; o.Keyword != "notify_backup" || o.Waiting != 4 || o.Overtaken != 16 || o.Since.IsZero() {
		t.Errorf("status %+v", o)
	}
	fmt.Fprintln(gate.f, "go on")
	tl.expect(t, "slow backup ends", "slow INSTANCE VI_1 BACKUP 0",
		"slow INSTANCE VI_1 MASTER 16", "slow INSTANCE VI_1 MASTER 17", "slow INSTANCE VI_1 MASTER 18", "slow INSTANCE VI_1 MASTER 19")
	eventually(t, "the last script ends", func() bool { return tl.Status().Owners[0].Command == "" })
	tl.log.expect(t, 1, "(VI_1) changed faster than its notify scripts ended: 16 changes were overtaken by newer ones")
	if o := tl.Status().Owners[0]; o.Waiting != 0 || o.Overtaken != 16 || !o.Last.OK || o.Last.Keyword != "notify" {
		t.Errorf("status %+v", o)
	}
}

func TestFailuresAreLogged(t *testing.T) {
	tl := newTeller(t)
	fails := shell(t, "echo some output; echo the reason >&2; exit 4")
	to := &conf.Notify{Any: tl.says(t), Master: command(fails), Backup: command("/no/such/script", "x")}
	tl.Configure(with(to, &conf.Notify{Fault: to.Backup}))
	tl.Tell(Event{Name: "VI_1", Kind: Master, Priority: 1, To: to})
	tl.Tell(Event{Name: "VI_1", Kind: Backup, Priority: 1, To: to})
	tl.expect(t, "INSTANCE VI_1 MASTER 1", "INSTANCE VI_1 BACKUP 1")
	tl.log.expect(t, 1, "(VI_1) notify_master script "+fails+" exited with status 4: the reason")
	tl.log.expect(t, 1, "(VI_1) notify_backup script /no/such/script x is disabled: ")
	tl.log.expect(t, 0, "(VI_2)") // the same is said once
	tl.log.expect(t, 1, "(VI_1) notify_backup script /no/such/script x could not be started: ")
	for i, o := range tl.Status().Owners {
		keyword := []string{"notify_backup", "notify_fault"}[i]
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
	tl.Tell(Event{Name: "VI_1", Kind: Master, To: to})
	tl.expect(t, "INSTANCE VI_1 MASTER 0")
	if o := tl.Status().Owners[0]; len(o.Disabled) != 0 {
		t.Errorf("status %+v", o)
	}
}

// What a reload removed is told although the configuration knows it no more, and
// what it left alone goes on.
func TestReload(t *testing.T) {
	tl := newTeller(t)
	gate := newPipe(t)
	gone := &conf.Notify{Any: tl.says(t, "gone"), Deleted: tl.says(t, "deleted"), SignalDeleted: true}
	stays := &conf.Notify{Master: tl.after(t, gate, "stays")}
	dir := t.TempDir()
	before := with(stays, gone)
	before.Global.FIFO.Path = filepath.Join(dir, "a")
	before.Global.VRRPFIFO.Path = filepath.Join(dir, "b")
	tl.Configure(before)
	tl.Tell(Event{Name: "VI_1", Kind: Master, To: stays})
	tl.expect(t, "stays begins")
	a := openPipe(t, before.Global.FIFO.Path)

	after := with(stays)
	after.Global.FIFO.Path = filepath.Join(dir, "c") // and a becomes the other one
	after.Global.VRRPFIFO.Path = filepath.Join(dir, "a")
	tl.Configure(after)
	tl.Tell(Event{Name: "VI_2", Kind: Deleted, To: gone})
	tl.expect(t, "deleted", "gone INSTANCE VI_2 DELETED 0")
	if got := a.next(t); got != `INSTANCE "VI_1" MASTER 0` {
		t.Errorf("old FIFO: %q", got)
	}
	for _, name := range []string{"a", "c"} {
		if got := openPipe(t, filepath.Join(dir, name)).next(t); got != `INSTANCE "VI_2" DELETED 0` {
			t.Errorf("%s: %q", name, got)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "b")); !os.IsNotExist(err) {
		t.Errorf("b is still there: %v", err)
	}
	fmt.Fprintln(gate.f, "go on")
	tl.expect(t, "stays ends")
	tl.Configure(after)
	names := func() (names []string) {
		for _, o := range tl.Status().Owners {
			names = append(names, o.Owner.Name)
		}
		return names
	}
	eventually(t, "the removed owner is forgotten", func() bool {
		tl.Configure(after)
		return slices.Equal(names(), []string{"VI_1"})
	})
}

func TestCloseWaitsForStopScripts(t *testing.T) {
	tl := newTeller(t)
	to := &conf.Notify{Stop: command(shell(t, `sleep 0.2; echo stopped >`+tl.said.path)), Any: tl.says(t, "any")}
	tl.Configure(with(to))
	tl.Tell(Event{Name: "VI_1", Kind: Stop, To: to})
	start := time.Now()
	tl.Close(patience)
	if time.Since(start) > patience/2 {
		t.Error("Close waited for nothing")
	}
	tl.expect(t, "stopped", "any INSTANCE VI_1 STOP 0")
}

// A script that hangs when the daemon stops makes way for that of the stop; what
// hangs then is named and ended.
func TestCloseWithHangingScripts(t *testing.T) {
	tl := newTeller(t)
	gate := newPipe(t)
	hangs := shell(t, `trap 'echo "$1 is told to end" >`+tl.said.path+`; exit 1' TERM
echo "$1 begins" >`+tl.said.path+`
read -r l <`+gate.path)
	one := &conf.Notify{Master: command(hangs, "master"), Stop: tl.says(t, "stop")}
	two := &conf.Notify{Stop: command(hangs, "stop 2")}
	tl.Configure(with(one, two))
	tl.Tell(Event{Name: "VI_1", Kind: Master, To: one})
	tl.expect(t, "master begins")
	tl.Tell(Event{Name: "VI_1", Kind: Stop, To: one})
	tl.Tell(Event{Name: "VI_2", Kind: Stop, To: two})
	tl.expect(t, "stop 2 begins")
	tl.Close(2 * time.Second)
	tl.expect(t, "master is told to end", "stop", "stop 2 is told to end")
	tl.log.expect(t, 1, "(VI_1) notify_master script "+hangs+" master is ended: ")
	tl.log.expect(t, 1, "; STOP waits behind it")
	tl.log.expect(t, 1, "(VI_2) notify_stop script "+hangs+" stop 2 is left unfinished: sent SIGTERM")
}

// The script of a FIFO gets the last lines before it is told to end.
func TestCloseLetsTheReaderRead(t *testing.T) {
	tl := newTeller(t)
	reader := shell(t, `echo ready >`+tl.said.path+`; while read -r l; do echo "read $l" >`+tl.said.path+`; done <"$1"`)
	c := with()
	c.Global.VRRPFIFO = conf.FIFO{Path: filepath.Join(t.TempDir(), "fifo"), Script: command(reader)}
	tl.Configure(c)
	tl.expect(t, "ready")
	for n := range 20 {
		tl.Tell(Event{Name: "VI_1", Kind: Stop, Priority: n})
	}
	tl.Close(patience)
	for n := range 19 { // SIGTERM may come before the last one, though taken from the FIFO, is said
		tl.expect(t, fmt.Sprintf(`read INSTANCE "VI_1" STOP %d`, n))
	}
}

// One path for two FIFOs is one FIFO that gets every line twice, as in the C
// daemon.
func TestOnePathForBothFIFOs(t *testing.T) {
	tl := newTeller(t)
	c := with()
	c.Global.FIFO.Path = filepath.Join(t.TempDir(), "fifo")
	c.Global.VRRPFIFO.Path = c.Global.FIFO.Path
	tl.Configure(c)
	tl.Tell(Event{Name: "VI_1", Kind: Master, Priority: 1})
	if n := len(tl.Status().FIFOs); n != 2 {
		t.Fatalf("%d FIFOs", n)
	}
	line := `INSTANCE "VI_1" MASTER 1`
	if got := openPipe(t, c.Global.FIFO.Path).nexts(t, 2); got[0] != line || got[1] != line {
		t.Errorf("%q", got)
	}
	tl.Close(time.Second)
	if _, err := os.Lstat(c.Global.FIFO.Path); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
}

func TestTellAllocatesLittle(t *testing.T) {
	n := &Notifier{wake: make(chan struct{}, 1), inbox: make([]letter, 0, 2000)}
	e := Event{Name: "VI_1", Kind: Master, Priority: 100, To: &conf.Notify{}}
	if got := testing.AllocsPerRun(1000, func() { n.Tell(e) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// Whatever the channels do, a change is told by mail, too.
func TestMailOfAnEvent(t *testing.T) {
	tl := newTeller(t)
	s := newSink(nil)
	to := &conf.Notify{SMTPAlert: true}
	c := with(to)
	c.Global.RouterID = "LB1"
	c.Global.Mail = conf.Mail{Server: "localhost", Port: s.listen(t), To: []string{"ops@example.com"}}
	tl.Configure(c)
	tl.Tell(Event{Name: "VI_1", Kind: Master, To: to, FIFOOnly: true})
	tl.Tell(Event{Name: "VI_2", Kind: Master, To: &conf.Notify{}})
	tl.Tell(Event{Name: "VI_1", Kind: Backup, To: to})
	if got := <-s.mail; !strings.Contains(got, "Subject: [LB1] VRRP Instance VI_1 - Entering BACKUP state\n") {
		t.Errorf("%s", got)
	}
	eventually(t, "the mail is counted", func() bool { return tl.Status().Mail.Sent == 1 })
}
