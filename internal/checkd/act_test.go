package checkd

import (
	"fmt"
	"strings"
	"testing"

	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/proc/act"
)

// acted returns the result of an act as JSON, or the text of its refusal.
func (p *process) acted(a act.Act) string {
	p.t.Helper()
	var got *act.Result
	p.obey(&a, func(result any, err error) {
		r := act.Answer(result, err)
		got = &r
	})
	p.until("a result of "+a.String(), func() bool { return got != nil })
	if err := got.Err(); err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(strings.TrimPrefix(string(got.Body), `{"result":"`), `"}`)
}

// shown returns the state of the daemon's virtual servers.
func (p *process) shown() *api.LVS {
	p.t.Helper()
	var got *filling
	p.fill(true, func(f *filling) { got = f })
	p.until("a snapshot", func() bool { return got != nil })
	got.count()
	return api.OfLVS(got.out)
}

// TestOrders checks that an order about real servers is in the kernel's table when its
// result is returned, that it holds over a reload and in a successor, and that the last
// of several orders counts.
func TestOrders(t *testing.T) {
	log := logtest.Capture(t)
	text := virtual("sorry_server 127.0.0.9 9", "    real_server 10.1.0.2 80 { }\n    real_server 10.1.0.3 80 {\n        weight 2\n    }\n") +
		"virtual_server 10.0.0.1 81 {\n    protocol TCP\n    lb_algo rr\n    lb_kind NAT\n    real_server 10.1.0.2 81 { }\n    real_server 10.1.0.4 81 { }\n}\n"
	p := start(t, text, func(o *Options) { o.StateFile = t.TempDir() + "/state" })
	table := func(want80, want81 string) {
		t.Helper()
		if got := p.table(); got != "tcp 10.0.0.1:80: "+want80+"\ntcp 10.0.0.1:81: "+want81 {
			t.Errorf("%s\nwant %s\nand %s", got, want80, want81)
		}
	}
	is := func(a act.Act, want string) {
		t.Helper()
		if got := p.acted(a); got != want {
			t.Errorf("%v: %s\nwant %s", &a, got, want)
		}
	}
	const one = "10.0.0.1:80 10.1.0.2:80"
	p.untilTable("tcp 10.0.0.1:80: 10.1.0.2:80=1 10.1.0.3:80=2\ntcp 10.0.0.1:81: 10.1.0.2:81=1 10.1.0.4:81=1")
	is(act.Act{Kind: act.Drain, Name: one}, "[10.1.0.2]:tcp:80 of [10.0.0.1]:tcp:80 gets no new connections until it is released")
	table("10.1.0.2:80=0 10.1.0.3:80=2", "10.1.0.2:81=1 10.1.0.4:81=1")
	is(act.Act{Kind: act.Weight, Name: "10.1.0.2", Value: 9, For: 60}, "10.1.0.2 (2 real servers) has the weight 9 for 1m0s")
	table("10.1.0.2:80=9 10.1.0.3:80=2", "10.1.0.2:81=9 10.1.0.4:81=1")
	is(act.Act{Kind: act.Disable, Name: one}, "[10.1.0.2]:tcp:80 of [10.0.0.1]:tcp:80 counts as down until it is released")
	table("10.1.0.3:80=2", "10.1.0.2:81=9 10.1.0.4:81=1")
	if !log.InOrder("Changing weight from 1 to 0 for active service [10.1.0.2]:tcp:80 of VS [10.0.0.1]:tcp:80", "Removing service [10.1.0.2]:tcp:80 from VS [10.0.0.1]:tcp:80") {
		t.Errorf("%q", log.Lines())
	}
	is(act.Act{Kind: act.Disable, Name: "10.1.0.3"}, "that would take the quorum from [10.0.0.1]:tcp:80; --force does it all the same")
	table("10.1.0.3:80=2", "10.1.0.2:81=9 10.1.0.4:81=1")
	is(act.Act{Kind: act.Drain, Name: "10.1.0.3", Force: true, Reason: "r", By: act.By{Over: "a test"}},
		"[10.1.0.3]:tcp:80 of [10.0.0.1]:tcp:80 gets no new connections until it is released; that takes the quorum from [10.0.0.1]:tcp:80")
	table("10.1.0.3:80=0 127.0.0.9:9=1", "10.1.0.2:81=9 10.1.0.4:81=1")
	is(act.Act{Kind: act.Drain, Name: "10.1.0.9"}, "there is no real server 10.1.0.9; keepalived servers lists those that there are")
	is(act.Act{Kind: act.Drain, Name: "10.0.0.1:81 10.1.0.3"}, `there is no real server 10.0.0.1:81 10.1.0.3; did you mean "[10.0.0.1]:tcp:80 [10.1.0.3]:tcp:80"? keepalived servers lists those that there are`)
	is(act.Act{Kind: act.Hold, Name: "x"}, "the health-check process does not know it")

	s := p.shown()
	if r := &s.Services[0].Servers[0]; r.Up || !r.Disabled() || len(r.Intents) != 3 || r.Weight != 1 {
		t.Errorf("%+v", r)
	}
	if r := &s.Services[0].Servers[1]; !r.Up || !r.Drains() || r.Weight != 0 || r.Configured != 2 || r.Intents[0].By != "uid 0, over a test" || r.Intents[0].Reason != "r" {
		t.Errorf("%+v", r)
	}
	if n, _ := s.Draining("10.1.0.3"); n != 1 || s.Services[1].Servers[1].Order() != nil {
		t.Errorf("%d servers drain", n)
	}

	p.reloadTo(strings.Replace(text, "10.1.0.4 81 { }", "10.1.0.4 81 { }\n    real_server 10.1.0.3 81 { }", 1))
	p.untilTable("tcp 10.0.0.1:80: 10.1.0.3:80=0 127.0.0.9:9=1\ntcp 10.0.0.1:81: 10.1.0.2:81=9 10.1.0.3:81=0 10.1.0.4:81=1")
	p.kill()
	log = logtest.Capture(t)
	intents := p.Intents
	q := startOn(t, p.kernel, p.host, text, func(o *Options) { o.StateFile, o.Intents = p.StateFile, intents })
	q.untilTable("tcp 10.0.0.1:80: 10.1.0.3:80=0 127.0.0.9:9=1\ntcp 10.0.0.1:81: 10.1.0.2:81=9 10.1.0.4:81=1")
	for _, line := range log.Lines() {
		if strings.Contains(line, "weight") || strings.Contains(line, "Removing") {
			t.Errorf("the successor logs: %s", line)
		}
	}
	q.intend(nil)
	q.untilTable("tcp 10.0.0.1:80: 10.1.0.2:80=1 10.1.0.3:80=2\ntcp 10.0.0.1:81: 10.1.0.2:81=1 10.1.0.4:81=1")
}

// TestChecksContinue checks that the checks of a disabled server continue, and decide about
// its state when it is released.
func TestChecksContinue(t *testing.T) {
	log := logtest.Capture(t)
	a, b := serve(t), serve(t)
	p := start(t, virtual("", a.real(""), b.real("")), nil)
	p.until("both have been checked", func() bool {
		return p.checks[0].life.State().Known && p.checks[1].life.State().Known
	})
	p.acted(act.Act{Kind: act.Disable, Name: a.addr().String()})
	rest := fmt.Sprintf("tcp 10.0.0.1:80: %v=1", b.addr())
	p.untilTable(rest)
	a.close()
	p.until("the check fails", func() bool { return !p.checks[0].life.State().Up })
	p.intend(nil)
	p.untilTable(rest)
	if r := p.shown().Services[0].Servers[0]; r.Up || r.Failed != 1 || r.Order() != nil {
		t.Errorf("%+v", r)
	}
	a.open()
	p.until("it serves again", func() bool { return strings.Contains(p.table(), a.addr().String()) })
	if n := strings.Count(log.String(), "Removing service "+a.name()); n != 1 {
		t.Errorf("it was removed %d times:\n%s", n, log)
	}
}
