package test

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestTestNotify checks that test-notify runs the scripts, writes into the FIFO and sends
// the mail of a state, shows the result of each, and reports the present state
// afterwards.
func TestTestNotify(t *testing.T) {
	differs(t, "cannot test its notify scripts")
	t.Parallel()
	s := newScene(t, "a", "b")
	ran := s.path("a", "ran")
	note := s.script("a", "note", `echo "$@ $KEEPALIVED_TEST" >>`+ran)
	fails := s.script("a", "fails", "echo no such service\nexit 3")
	fifo, deaf := s.path("a", "fifo"), s.path("a", "deaf")
	global := mailGlobal + "\nvrrp_notify_fifo " + fifo + "\nvrrp_notify_fifo_script " + s.script("a", "reader", "exec cat \"$1\" >"+s.path("a", "lines")) + "\nlvs_notify_fifo " + deaf
	mail := s.mailServer("a", accept)
	in := instance{Name: "web", Interval: 100 * time.Millisecond, More: "notify " + note + "\nnotify_fault " + fails}
	d := s.start("a", ours, "vrrp_sync_group G {\n    group {\n        web\n    }\n    notify_backup \""+note+" group\"\n}\n"+configWith(global, in.at(150))+
		virtual("10.0.0.9 80", "protocol TCP", "lb_algo rr", "quorum_down "+fails,
			server("10.1.0.1 80", "notify_up \""+note+" up\""), server("10.1.0.1 81")))
	s.awaitOwner(vip, 12*time.Second, "a")
	was := func() string {
		b, err := os.ReadFile(ran)
		s.must(err)
		return string(b)
	}
	real := "[10.0.0.9]:tcp:80 [10.1.0.1]:tcp:80"
	if !s.Until(20*time.Second, func() bool { return strings.Contains(was(), "MASTER 150") && strings.Contains(was(), "up ") }) {
		t.Fatalf("the scripts have run as %q", was())
	}
	s.must(os.Truncate(ran, 0))

	s.prints(d, 0, "test-notify --reason new web", "MASTER was reported of web.", "notify ", note+" INSTANCE web MASTER 150 ", "exited with status 0",
		"vrrp_notify_fifo ", fifo+" ", " read\n", "smtp_alert ", "ops@example.com, night@example.com by 127.0.0.1 ", " sent\n")
	if got := was(); got != "INSTANCE web MASTER 150 1\n" {
		t.Errorf("the scripts have run as %q", got)
	}
	if !mail.has("Subject: [lab] Test: VRRP Instance web - Entering MASTER state") || !strings.Contains(mail.text(), "This is a test, which uid 0, pid ") {
		t.Errorf("there are the mails\n%s", mail.text())
	}
	s.must(os.Truncate(ran, 0))
	s.prints(d, 1, "test-notify web fault", "FAULT was reported of web.", "notify_fault ", fails, "exited with status 3: no such service\n",
		"It is MASTER, which was reported afterwards.\n", "1 of 4 reports have not arrived")
	if !s.Until(20*time.Second, func() bool { return was() == "INSTANCE web FAULT 150 1\nINSTANCE web MASTER 150 \n" }) {
		t.Errorf("the scripts have run as %q", was())
	}
	s.prints(d, 0, "test-notify G backup", "BACKUP was reported of G.", note+" group")
	s.prints(d, 0, "test-notify -o json web", `"present"`, `"keyword": "notify"`, `"ok": true`)
	s.prints(d, 1, "test-notify web up", `web reports no "UP"; expected MASTER, BACKUP`)
	s.prints(d, 1, "test-notify wbe", "no vrrp_instance, vrrp_sync_group, virtual or real server is called", `did you mean "web"?`)
	s.prints(d, 1, "test-notify 10.1.0.1:82", `did you mean "`+real+`"?`)

	s.prints(d, 1, "test-notify "+real, "UP was reported of "+real, "lvs_notify_fifo ", "written, but ", " bytes have not been read", "1 of 3 reports have not arrived")
	s.prints(d, 1, "test-notify 10.0.0.9:80 DOWN", "quorum_down ", "exited with status 3: no such service\n", "It is UP, which was reported afterwards.")
	s.prints(d, 1, "test-notify 10.1.0.1", "10.1.0.1 are 2 real servers; name one, such as "+real)
	s.prints(d, 0, "history", "test-notify", "done: asked for by uid 0", "new")
	// Without a virtual server no other process knows names.
	b := s.start("b", ours, config(instance{Name: "web", VRID: 77}.at(100)))
	s.prints(b, 1, "test-notify wbe", "no vrrp_instance or vrrp_sync_group is called", `did you mean "web"?`)
	s.prints(b, 1, "test-notify 10.1.0.1", "no vrrp_instance or vrrp_sync_group is called")
	s.prints(b, 1, "test-notify web fault", "nobody is notified of FAULT of web: neither a script nor a FIFO nor mail")
	lines, err := os.ReadFile(s.path("a", "lines"))
	s.must(err)
	if !strings.Contains(string(lines), "INSTANCE \"web\" FAULT 150\nINSTANCE \"web\" MASTER 150\n") {
		t.Errorf("the FIFO has had\n%s", lines)
	}
}
