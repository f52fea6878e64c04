package test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
)

// runVerb runs a verb that asks the daemon, and returns its output and its exit status.
func (s *scene) runVerb(d *lab.Daemon, verb ...string) (string, int) {
	s.Helper()
	var out bytes.Buffer
	c := exec.Command(ours.Path, append(verb, "-p", filepath.Join(d.Dir, "keepalived.pid"), "--timeout=60")...)
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil && c.ProcessState == nil {
		s.Fatal(err)
	}
	return out.String(), c.ProcessState.ExitCode()
}

// prints waits until the output of a verb has each of these texts, with that exit status.
func (s *scene) prints(d *lab.Daemon, code int, verb string, texts ...string) {
	s.Helper()
	var got string
	var status int
	all := func() bool {
		got, status = s.runVerb(d, strings.Fields(verb)...)
		for _, text := range texts {
			if !strings.Contains(got, text) {
				return false
			}
		}
		return status == code
	}
	if !s.Until(20*time.Second, all) {
		s.Fatalf("keepalived %s: exit status %d, want %d and %q; it prints\n%s", verb, status, code, texts, got)
	}
}

// fetch gets a path from the control socket and returns the body of the response.
func (s *scene) fetch(d *lab.Daemon, path string) string {
	s.Helper()
	c := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(d.Dir, "keepalived.control.sock"))
	}}}
	answer, err := c.Get("http://localhost" + path)
	s.must(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	s.must(err)
	if answer.StatusCode != http.StatusOK {
		s.Errorf("%s: %s: %s", path, answer.Status, body)
	}
	return string(body)
}

// TestQuestionsAboutAPair checks the output of the verbs that ask a running daemon: for a
// pair before and after a failover, and for a process that hangs.
func TestQuestionsAboutAPair(t *testing.T) {
	t.Parallel()
	differs(t, "answers no questions")
	s := newScene(t, "a", "b")
	in := instance{Name: "web", Version: 3}
	a := s.start("a", ours, config(in.at(150)))
	s.awaitOwner(vip, 12*time.Second, "a")
	absent := instance{Name: "absent", Iface: "nowhere", VRID: 77, VIPs: []string{vip2.String()}}
	b := s.start("b", ours, config(in.at(100), absent.at(100)))
	from := s.Node("a").Addr(0).String()

	s.prints(a, 0, "status --check", "KEEPALIVED OK - nothing is wrong | master=1 backup=0 fault=0")
	s.prints(a, 0, "explain web", "web is MASTER for ", "Its priority is 150, as configured.")
	s.prints(b, 0, "explain web", "web is BACKUP for ", " because "+from+", with the higher priority 150, is master.", "raise it by 51")
	s.prints(b, 0, "explain absent", "absent is FAULT for ", "interface nowhere does not exist.")
	s.prints(b, 2, "status --check", "KEEPALIVED CRITICAL - absent is FAULT for ")
	s.prints(b, 0, "peers", from)
	s.prints(b, 0, "servers", "There is no virtual server.")
	s.prints(b, 1, "explain wbe", `there is no virtual router wbe; did you mean "web"?`)

	a.Kill() // its address stays
	if !s.Until(12*time.Second, func() bool { return s.Node("b").Has(vip) }) {
		t.Fatal("b is not master")
	}
	s.prints(a, 2, "status --check", "KEEPALIVED CRITICAL - no daemon answers at ")
	s.prints(b, 0, "explain web", "web is MASTER for ", "no advert from "+from+", with priority 150, for ")
	s.prints(b, 0, "history web", "BACKUP", "master-down: no advert from "+from)
	s.prints(b, 0, "metrics", `keepalived_vrrp_instance_state{iname="web",intf="eth0",vrid="`, `keepalived_vrrp_instance_fault{iname="absent"`)
	s.prints(b, 0, "status -o json", `"version": 1`, `"cause": "master-down"`)

	// The parent ends a process that hangs, so the verb runs before.
	s.must(syscall.Kill(b.VRRPPid(), syscall.SIGSTOP))
	s.prints(b, 0, "status", "CRITICAL  The VRRP process does not answer: ", "was MASTER")
	s.must(syscall.Kill(b.VRRPPid(), syscall.SIGCONT))
	s.prints(b, 0, "status", " MASTER ", "this node")
}

// TestControlProcess checks that the control process follows a reload that changes its
// settings, is started again when it is killed, needs no capability, and delays no
// advert. The response to a reload over its socket has the result of the reload, which is
// recorded.
func TestControlProcess(t *testing.T) {
	t.Parallel()
	differs(t, "has no such process")
	s := newScene(t, "a")
	in := instance{Name: "web", Interval: time.Second} // so long that a busy machine does not exceed it
	a := s.start("a", ours, config(in.at(150)))
	s.awaitOwner(vip, 12*time.Second, "a")
	s.prints(a, 0, "status --check", "KEEPALIVED OK")
	control := a.ControlPid()
	rights, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", control))
	s.must(err)
	for _, want := range []string{"CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(string(rights), want) {
			t.Errorf("no %q in\n%s", want, rights)
		}
	}

	s.prints(a, 0, "history control", "started") // otherwise its successor does not know of it
	s.must(syscall.Kill(control, syscall.SIGKILL))
	s.prints(a, 0, "history control", "its predecessor had ended")

	s.must(a.Configure(configWith("no_control_socket", in.at(150))))
	s.must(a.Signal(syscall.SIGHUP))
	socket := filepath.Join(a.Dir, "keepalived.control.sock")
	if !s.Until(10*time.Second, func() bool { _, err := os.Stat(socket); return os.IsNotExist(err) }) {
		t.Error("the socket stays")
	}
	s.must(a.Reload(configWith("http_listen 8080", in.at(150))))
	s.prints(a, 0, "status --check", "KEEPALIVED OK")
	for request, want := range map[string]string{
		"GET /":                      "<!doctype html>",
		"GET /v1/instances/web":      `"state":"MASTER"`,
		"POST /v1/announce?name=web": "over TCP nothing is changed",
	} {
		c, err := s.dial(s.Node("a"), "tcp", netip.Addr{}, netip.MustParseAddrPort("127.0.0.1:8080"))
		s.must(err)
		fmt.Fprintf(c, "%s HTTP/1.0\r\nHost: localhost\r\n\r\n", request)
		answer, err := io.ReadAll(c)
		c.Close()
		if err != nil || !strings.Contains(string(answer), want) || !strings.Contains(string(answer), "Content-Security-Policy: default-src 'none'") {
			t.Errorf("%s: %v %.2000s", request, err, answer)
		}
	}

	s.prints(a, 0, "reload", "Reloaded ")
	s.must(a.Configure(config(in.at(150)) + "vrrp_instance half {"))
	if got := s.fetch(a, "/v1/config"); !strings.Contains(got, "vrrp_instance web {") || strings.Contains(got, "half") {
		t.Errorf("the configuration in force is\n%s", got)
	}
	s.prints(a, 1, "reload", "Reload refused: the running configuration stays.", "inside a block")
	s.prints(a, 1, "status --check", "KEEPALIVED WARNING")
	s.prints(a, 0, "history "+filepath.Join(a.Dir, "keepalived.conf"), "refused", "inside a block")
	s.prints(a, 0, "announce web --reason moved", "web announces its addresses (1) again.")
	s.prints(a, 1, "announce wbe", `no vrrp_instance is called "wbe"; did you mean "web"?`)
	s.prints(a, 0, "history web", "announce", "done: asked for by uid ", ", over the control socket: moved")
	s.prints(a, 0, "history wbe", "refused: no vrrp_instance is called")
	if len(a.LinesWith(a.Started, "Entering MASTER STATE")) != 1 {
		t.Errorf("the master was disturbed\n%s", a.LogText())
	}
}
