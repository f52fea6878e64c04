package notify

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status"
)

// tried tries an event, followed by the current state if then is given, and returns one
// line for each delivery.
func (pn *pipeNotifier) tried(t *testing.T, wait time.Duration, e happening, then ...happening) string {
	t.Helper()
	got := make(chan []status.Delivery, 2)
	trial := Trial{Event: e.Event(), By: "a test", Wait: wait, Done: func(all []status.Delivery) { got <- all }}
	for _, h := range then {
		so := h.Event()
		trial.Then = &so
	}
	pn.Try(trial)
	var text strings.Builder
	for _, d := range <-got {
		fmt.Fprintf(&text, "%s %s: %s %v\n", d.Keyword, filepath.Base(d.To), d.Result, d.OK)
	}
	if len(got) > 0 {
		t.Error("it has two results")
	}
	return text.String()
}

// TestTrial checks that each delivery of a trial has its result, that scripts get a
// variable that marks a trial, and that the current state is reported after it.
func TestTrial(t *testing.T) {
	captureLog(t)
	pn := newPipeNotifier(t)
	s := newSink(nil)
	dir := t.TempDir()
	to := &conf.Notify{SMTPAlert: true, Any: command(shell(t, "echo ${KEEPALIVED_TEST:-real} \"$*\" >"+pn.written.path)),
		Backup: command(shell(t, "echo no such service\nexit 3"))}
	c := with(to)
	c.FIFOs[0].Path = filepath.Join(dir, "read")
	c.FIFOs[1].Path = filepath.Join(dir, "unread")
	c.RouterID = "LB1"
	c.Mail = conf.Mail{Server: "localhost", Port: s.listen(t), ConnectTimeout: patience, To: []string{"ops@example.com"}}
	pn.Configure(c)
	if got := pn.tried(t, patience, happening{Name: "B", Word: master, FIFOOnly: true, To: &conf.Notify{}}); got != "one_fifo read: written, but 19 bytes have not been read false\ntwo_fifo unread: written, but 19 bytes have not been read false\n" {
		t.Error(got)
	}
	reader := openPipe(t, c.FIFOs[0].Path)
	reader.next(t)
	lines := make(chan []string, 1)
	go func() { lines <- reader.nexts(t, 2) }()
	check := func(got, want string) {
		t.Helper()
		if diff := cmp.Diff(want, strings.ReplaceAll(got, dir, "")); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
	check(pn.tried(t, patience, happening{Name: "A", Word: backup, Number: 9, To: to}, happening{Name: "A", Word: master, Number: 9, To: to}), `notify_backup script.sh: exited with status 3: no such service false
notify script.sh thing A BACKUP 9: exited with status 0 true
one_fifo read: read true
two_fifo unread: written, but 57 bytes have not been read false
smtp_alert ops@example.com by localhost: sent true
`)
	pn.expect(t, "1 thing A BACKUP 9", "real thing A MASTER 9")
	if diff := cmp.Diff([]string{`thing "A" BACKUP 9`, `thing "A" MASTER 9`}, <-lines); diff != "" {
		t.Errorf("lines in the FIFO (-want +got)\n%s", diff)
	}
	if mail := <-s.mail; !strings.Contains(mail, "Subject: [LB1] Test: A is BACKUP\n") || !strings.Contains(mail, "so it is\n\nThis is a test, which a test has asked for.\n") {
		t.Error(mail)
	}
	if st := pn.Status().Owners; len(st) != 1 || st[0].Last.Keyword != "notify" {
		t.Errorf("%+v", st)
	}
}

// TestTrialsThatFail checks the results of deliveries that cannot be started, written or
// sent, and of those that do not end in time.
func TestTrialsThatFail(t *testing.T) {
	captureLog(t)
	pn := newPipeNotifier(t)
	gate := newPipe(t)
	to := &conf.Notify{SMTPAlert: true, Master: pn.echoAfter(t, gate, "slow"), Stop: command("/no/such/program")}
	c := with(to)
	c.FIFOs = c.FIFOs[:1]
	c.FIFOs[0].Path = "/no/such/directory/fifo"
	c.Mail = conf.Mail{Server: "127.0.0.1", Port: closedPort(t), ConnectTimeout: patience, To: []string{"ops@example.com"}}
	pn.Notifier.Configure(c.config())
	got := pn.tried(t, patience, happening{Name: "A", Word: stop, To: to})
	for _, want := range []string{"notify_stop program: could not be started: ", "one_fifo fifo: not written: open FIFO /no/such/directory/fifo: ", "smtp_alert ops@example.com by 127.0.0.1: not sent: connect to 127.0.0.1:"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	if strings.Contains(got, "true\n") {
		t.Error(got)
	}
	if got := pn.tried(t, 10*time.Millisecond, happening{Name: "A", Word: master, To: &conf.Notify{Master: to.Master}}); !strings.HasPrefix(got, "notify_master script.sh slow: has not ended false\n") {
		t.Error(got)
	}
	fmt.Fprintln(gate.f, "go on")
	pn.expect(t, "slow begins", "slow ends")
	if got := pn.tried(t, patience, happening{Name: "A", Word: backup, FIFOOnly: true}); strings.Contains(got, "true") {
		t.Error(got)
	}
	c.FIFOs = nil
	pn.Notifier.Configure(c.config())
	if got := pn.tried(t, patience, happening{Name: "A", Word: backup, To: &conf.Notify{}}); got != "" {
		t.Errorf("no notification is configured, but %s", got)
	}
}

// closedPort returns a port of 127.0.0.1 on which no process listens.
func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
