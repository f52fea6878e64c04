package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/proc/link"
)

const planned1 = `vrrp_instance A {
    interface eth0
    virtual_router_id 1
    priority 100
    authentication {
        auth_type PASS
        auth_pass one
    }
    virtual_ipaddress { 10.0.0.1 }
}
vrrp_instance B {
    interface eth0
    virtual_router_id 2
    virtual_ipaddress { 10.0.0.2 }
}
vrrp_instance C {
    interface eth0
    virtual_router_id 3
    virtual_ipaddress { 10.0.0.3 }
}
virtual_server 10.0.0.1 80 {
    protocol TCP
    real_server 10.1.0.1 80 { }
}
virtual_server 10.0.0.1 81 {
    protocol TCP
    real_server 10.1.0.1 81 { }
}
bfd_instance X {
    neighbor_ip 10.0.0.9
}
`

// planOf returns what a reload of the text next would change in a daemon that runs the
// text runs.
func planOf(t *testing.T, runs, next string) api.Plan {
	t.Helper()
	o := Options{Config: filepath.Join(t.TempDir(), "k.conf")}
	read := func(text string) loaded {
		if err := os.WriteFile(o.Config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return o.read(false, nil)
	}
	was := read(runs)
	after := read(next)
	p, err := o.plan(&source{tree: was.tree}, false, &after)
	if err != nil {
		t.Fatal(err)
	}
	if p.File != o.Config {
		t.Error(p.File)
	}
	p.File = ""
	return p
}

// TestPlan checks what a reload would change, for each kind of object, and that no secret
// is shown.
func TestPlan(t *testing.T) {
	same := planOf(t, planned1, planned1+"\n# a comment\n")
	if diff := cmp.Diff(api.Plan{Routers: api.Effects{Same: 3}, Services: api.Effects{Same: 2}, Sessions: api.Effects{Same: 1}}, same); diff != "" {
		t.Errorf("the same (-want +got)\n%s", diff)
	}
	next := strings.NewReplacer(
		"priority 100", "priority 150", "auth_pass one", "auth_pass two", // of A
		"vrrp_instance B", "vrrp_instance D", // another name
		"virtual_router_id 3", "virtual_router_id 4", // another router
		"real_server 10.1.0.1 80", "real_server 10.1.0.2 80",
		"virtual_server 10.0.0.1 81", "virtual_server 10.0.0.1 82",
		"bfd_instance X", "bfd_instance Y",
	).Replace(planned1)
	got := planOf(t, planned1, next)
	for _, want := range []string{"vrrp_instance A\n", "    priority 100 → 150\n", "    authentication auth_pass is changed\n", "virtual_server 10.0.0.1 82 is added\n", "real_server 10.1.0.2 80 is added"} {
		if !strings.Contains(got.Changes, want) {
			t.Errorf("no %q in\n%s", want, got.Changes)
		}
	}
	if strings.Contains(got.Changes, "two") || strings.Contains(got.Changes, "one") {
		t.Errorf("a secret in\n%s", got.Changes)
	}
	got.Changes = ""
	if diff := cmp.Diff(api.Plan{
		Routers:  api.Effects{List: []api.Outcome{{Name: "A", Effect: stays}, {Name: "D", Effect: "continues B, and keeps its state"}, {Name: "C", Effect: comes}, {Name: "C", Effect: goes}}},
		Services: api.Effects{List: []api.Outcome{{Name: "[10.0.0.1]:tcp:80", Effect: stays}, {Name: "[10.0.0.1]:tcp:82", Effect: comes}, {Name: "[10.0.0.1]:tcp:81", Effect: goes}}},
		Sessions: api.Effects{List: []api.Outcome{{Name: "Y", Effect: comes}, {Name: "X", Effect: goes}}},
	}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}

	for _, test := range []struct{ next, refused, err string }{
		{planned1[:len(planned1)-3], "the file ends inside a block", "k.conf:"},
		{"", "the file has no block, and may still be being written", ""},
		{strings.Replace(planned1, "priority 100", "priority 999", 1), "", "priority"},
	} {
		p := planOf(t, planned1, test.next)
		if !strings.Contains(p.Refused, test.refused) || (p.Refused == "") != (test.refused == "") || !strings.Contains(strings.Join(p.Errors, "\n"), test.err) {
			t.Errorf("refused: %q, want %q; errors: %q, want %q", p.Refused, test.refused, p.Errors, test.err)
		}
		if p.Refused != "" && p.Changes != "" {
			t.Errorf("it is refused, and changes\n%s", p.Changes)
		}
	}
}

// TestPlanIsBounded checks that a plan with thousands of routers and long values fits
// into a message.
func TestPlanIsBounded(t *testing.T) {
	var b strings.Builder
	for i := range maxEffects + 100 {
		fmt.Fprintf(&b, "vrrp_instance %s%d {\n    interface eth%d\n    virtual_router_id %d\n    virtual_ipaddress { 10.1.%d.%d }\n}\n",
			strings.Repeat("x", 100), i, i/200+1, i%200+1, i/200, i%200+1)
	}
	p := planOf(t, planned1, planned1+b.String())
	if len(p.Routers.List) != maxEffects || p.Routers.More != 100 || len(p.Changes) > maxChanges+20 || !strings.HasSuffix(p.Changes, "\nand more\n") {
		t.Errorf("%s %q: %d routers and %d more, %d bytes", p.Refused, p.Errors[:min(len(p.Errors), 3)], len(p.Routers.List), p.Routers.More, len(p.Changes))
	}
	if r := act.Answer(p, nil); r.Err() != nil {
		t.Error(r.Err())
	}
}

// TestPlanForAClient checks that the client gets the plan made outside the loop, with the
// processes that a reload would start, and that nothing has changed.
func TestPlanForAClient(t *testing.T) {
	s, control, vrrp := staged()
	s.plans = make(chan planned, 1)
	s.slots = append(s.slots, &slot{s: s, role: &proc.Role{Name: "checkers"}})
	for _, sl := range s.slots {
		sl.role.Named = func(*conf.Global) string { return "x" }
		sl.role.Of = func(c *conf.Config) proc.Share {
			return proc.Share{Units: map[string]int{"vrrp": len(c.Instances), "checkers": len(c.VirtualServers), "control": 1}[sl.role.Name]}
		}
	}
	s.o.Config = filepath.Join(t.TempDir(), "k.conf")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(s.o.Config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	instance := planned1[:strings.Index(planned1, "vrrp_instance B")]
	write(instance)
	s.source = &source{tree: s.o.read(false, nil).tree}
	ask := func() (p api.Plan, why string) {
		t.Helper()
		childMessage{control, link.Message{Kind: link.Act, Order: &link.Order{Act: act.Act{Kind: act.Plan}}}}.deliver()
		if s.readers != maxReaders {
			s.planEnd(<-s.plans)
		}
		r := control.sent(link.Done)[0].Outcome.Result
		if r.Err() == nil {
			if err := json.Unmarshal(r.Body, &p); err != nil {
				t.Fatal(err)
			}
		}
		return p, r.Why
	}
	write(planned1[strings.Index(planned1, "virtual_server"):])
	p, why := ask()
	want := []api.Outcome{{Name: "vrrp", Effect: "has nothing to do any more"}, {Name: "checkers", Effect: "is started"}}
	if diff := cmp.Diff(want, p.Processes); diff != "" || why != "" || len(p.Routers.List) != 1 || s.reloading || s.refused != nil || s.readers != 0 || s.reloads != 0 {
		t.Errorf("%s\n%s\n%+v", diff, why, p)
	}
	write("vrrp_instance A {")
	if p, _ := ask(); !strings.Contains(p.Refused, "ends inside a block") || s.refused != nil || len(p.Processes) != 0 {
		t.Errorf("%+v", p)
	}
	s.readers = maxReaders
	if _, why := ask(); why != "4 earlier reloads still wait for a file" {
		t.Error(why)
	}
	if m := vrrp.outbox.take(); m != nil {
		t.Errorf("the VRRP process gets %+v", m)
	}
}
