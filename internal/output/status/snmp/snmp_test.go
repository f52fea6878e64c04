package snmp

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/api/apitest"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/output/status/snmp/agentx"
	"keepalived-go/internal/output/status/statustest"
	"keepalived-go/internal/proc/act"
)

var update = flag.Bool("update", false, "record the objects")

// daemon returns the state of a daemon with every kind of object.
func daemon(t testing.TB) *State {
	c, servers := statustest.Load(t), statustest.LoadLVS(t)
	c.VirtualServers, c.ServerGroups, c.Global.LVS = servers.VirtualServers, servers.ServerGroups, servers.Global.LVS
	c.Global.SNMP = conf.SNMP{Traps: true, VRRP: true, Checker: true, RFCv2: true, RFCv3: true}
	s := apitest.Daemon(t)
	s.LVS.Services[0].Traffic = &api.Traffic{Connections: 5 << 32, InPackets: 1<<32 + 7, InByteRate: 3<<32 + 1}
	s.LVS.Services[0].Servers[0].Traffic = &api.Traffic{Active: 3, Inactive: 2, Persistent: 1}
	s.VRRP.Instances[0].Rejection = &api.Rejection{At: statustest.At, From: "192.0.2.66", Reason: "ip_ttl_err"}
	return &State{Config: Share(c), Status: s}
}

// names returns the names of the objects of a tree, by their identifiers.
func names(t *Tree) map[string]string {
	all := map[string]string{}
	for _, n := range t.nodes {
		for _, o := range n.objects() {
			all[o.oid.String()] = o.name
		}
	}
	return all
}

// walk returns every object of a tree.
func walk(t *Tree) (all []agentx.Varbind) {
	for r := (agentx.Range{From: agentx.OID{1}}); ; r.From = all[len(all)-1].Name {
		v := t.Next(r)
		if v.Value.Type == agentx.EndOfMIBView {
			return all
		}
		all = append(all, v)
	}
}

func show(v *agentx.Value) string {
	switch v.Type {
	case agentx.Integer:
		return fmt.Sprint(v.Signed())
	case agentx.OctetString:
		if strings.ContainsFunc(string(v.Bytes), func(r rune) bool { return r < ' ' || r > '~' }) {
			return fmt.Sprintf("% x", v.Bytes)
		}
		return fmt.Sprintf("%q", v.Bytes)
	case agentx.IPAddress:
		return fmt.Sprint(v.Bytes)
	case agentx.ObjectID:
		return v.OID.String()
	}
	return fmt.Sprintf("%d (type %d)", v.Number, v.Type)
}

// TestObjects checks every object with its name and value, which -update records.
func TestObjects(t *testing.T) {
	tree := NewTree(daemon(t))
	byOID := names(tree)
	var b strings.Builder
	for _, v := range walk(tree) {
		n := len(v.Name)
		for byOID[v.Name[:n].String()] == "" {
			n--
		}
		fmt.Fprintf(&b, "%s %s.%s = %s\n", v.Name[:n], byOID[v.Name[:n].String()], v.Name[n:], show(&v.Value))
	}
	statustest.Golden(t, *update, "testdata/objects.txt", b.String())
}

// TestWalk checks that objects are in order, that each is found by its name, and that the
// first one after any name does not depend on the rest of the name.
func TestWalk(t *testing.T) {
	tree := NewTree(daemon(t))
	all := walk(tree)
	if len(all) < 500 {
		t.Fatalf("%d objects", len(all))
	}
	same := func(a, b agentx.Varbind) bool {
		return slices.Equal(a.Name, b.Name) && show(&a.Value) == show(&b.Value)
	}
	for i, v := range all {
		if i > 0 && all[i-1].Name.Compare(v.Name) >= 0 {
			t.Errorf("%v is behind %v", v.Name, all[i-1].Name)
		}
		if got := tree.Get(v.Name); show(&got) != show(&v.Value) {
			t.Errorf("%v: got %v, next %v", v.Name, show(&got), show(&v.Value))
		}
		if got := tree.Next(agentx.Range{From: v.Name, Include: true}); !same(got, v) {
			t.Errorf("%v, included: %v", v.Name, got)
		}
		for n := range v.Name { // from each name above it, its first descendant
			first, _ := slices.BinarySearchFunc(all, v.Name[:n], func(v agentx.Varbind, o agentx.OID) int { return v.Name.Compare(o) })
			if got := tree.Next(agentx.Range{From: v.Name[:n]}); !same(got, all[first]) {
				t.Fatalf("behind %v: %v, want %v", v.Name[:n], got, all[first])
			}
		}
		if got := tree.Next(agentx.Range{From: v.Name.Append(0), To: v.Name.Append(0, 0)}); got.Value.Type != agentx.EndOfMIBView {
			t.Errorf("behind %v: %v", v.Name, got)
		}
	}
	for _, o := range []agentx.OID{{1}, keepalived, keepalived.Append(1, 99), vrrpPart.Append(3, 1, 99, 1), vrrpPart.Append(3, 1)} {
		if v := tree.Get(o); v.Type != agentx.NoSuchObject {
			t.Errorf("%v: %v", o, v)
		}
	}
	if v := tree.Get(vrrpPart.Append(3, 1, 2, 99)); v.Type != agentx.NoSuchInstance {
		t.Errorf("an instance that is not there: %v", v)
	}
}

// TestSecrets checks that no secret of a configuration is shown.
func TestSecrets(t *testing.T) {
	c := statustest.Load(t)
	secret := "no one may know"
	c.Instances[0].Auth.Password, c.Global.Mail.Password, c.TLSClient = conf.Secret(secret), conf.Secret(secret), &conf.TLSClient{Password: conf.Secret(secret)}
	c.Instances[0].HMAC.Keys = map[uint8]conf.Secret{1: conf.Secret(secret)}
	s := Share(c)
	if v := s.Instances[0]; v.Auth.Password != "" || v.HMAC.Keys != nil || s.Global.Mail.Password != "" || s.TLSClient != nil {
		t.Errorf("%+v", v)
	}
	if string(c.Instances[0].Auth.Password) != secret {
		t.Error("the configuration has been changed")
	}
}

// TestParts checks that only the requested parts exist.
func TestParts(t *testing.T) {
	for _, test := range []struct {
		on   conf.SNMP
		want string
	}{
		{conf.SNMP{VRRP: true}, "1.3.6.1.4.1.9586.100.5.1 1.3.6.1.4.1.9586.100.5.2"},
		{conf.SNMP{Checker: true}, "1.3.6.1.4.1.9586.100.5.1 1.3.6.1.4.1.9586.100.5.3"},
		{conf.SNMP{RFCv2: true}, "1.3.6.1.2.1.68"}, {conf.SNMP{RFCv3: true}, "1.3.6.1.2.1.207"},
		{conf.SNMP{Traps: true}, ""},
	} {
		s := daemon(t)
		s.Config.Global.SNMP = test.on
		var roots []string
		for _, r := range Subtrees(&test.on) {
			roots = append(roots, r.String())
		}
		for _, v := range walk(NewTree(s)) {
			if !slices.ContainsFunc(Subtrees(&test.on), v.Name.Under) {
				t.Errorf("%+v: %v", test.on, v.Name)
			}
		}
		if got := strings.Join(roots, " "); got != test.want {
			t.Errorf("%+v: %s", test.on, got)
		}
	}
}

// TestNothingKnown checks a configuration without any known state.
func TestNothingKnown(t *testing.T) {
	s := daemon(t)
	s.Status = &api.Status{}
	if n := len(walk(NewTree(s))); n < 100 {
		t.Errorf("%d objects", n)
	}
}

// TestTraps checks the notifications of events.
func TestTraps(t *testing.T) {
	s := daemon(t)
	traps := NewTraps(statustest.At.Add(-time.Minute))
	service, server := s.Config.VirtualServers[0], s.Config.VirtualServers[0].RealServers[0]
	var b strings.Builder
	note := func(all [][]agentx.Varbind) {
		for _, trap := range all {
			for _, v := range trap {
				fmt.Fprintf(&b, "%v = %s\n", v.Name, show(&v.Value))
			}
			b.WriteString("\n")
		}
	}
	note(traps.Step(s, []history.Event{
		{Kind: history.Router, Name: "A", To: "BACKUP"}, {Kind: history.Router, Name: "B", To: "BACKUP"},
		{Kind: history.Router, Name: "A", To: "MASTER"}, {Kind: history.Router, Name: "gone", To: "MASTER"},
		{Kind: history.Server, Name: service.String() + " " + service.Endpoint(server.Addr, server.Port), From: "up", To: "down"}, {Kind: history.Server, Name: service.String() + " " + service.Endpoint(server.Addr, server.Port), To: "up"},
		{Kind: history.Service, Name: service.String(), To: "down"}, {Kind: history.Service, Name: "gone", To: "down"},
	}))
	b.WriteString("again\n\n")
	note(traps.Step(s, nil))
	b.WriteString("stop\n\n")
	note(traps.Stop(s))
	note(traps.Stop(s))
	statustest.Golden(t, *update, "testdata/traps.txt", b.String())
	s.Config.Global.SNMP.Traps = false
	if got := traps.Step(s, []history.Event{{Kind: history.Router, Name: "A", To: "FAULT"}}); got != nil {
		t.Errorf("switched off: %v", got)
	}
}

// TestTrapsAtStart checks that a start is notified by the first states: of each virtual
// server, and of the real servers that are not as they start, whatever was recorded of them
// before; once, and when they are known.
func TestTrapsAtStart(t *testing.T) {
	s := daemon(t)
	traps := NewTraps(statustest.At)
	step := func(news ...history.Event) (all []string) {
		for _, trap := range traps.Step(s, news) {
			var words []string
			for _, v := range trap[1:] {
				for _, c := range serverColumns {
					if v.Name.String() == realServerEntry.Append(c.number).String() && (c.name == "realServerAddress" || c.name == "realServerStatus") {
						words = append(words, show(&v.Value))
					}
				}
				for _, c := range serviceColumns {
					if v.Name.String() == serviceEntry.Append(c.number).String() && c.name == "virtualServerQuorumStatus" {
						words = append(words, "quorum "+show(&v.Value))
					}
				}
			}
			all = append(all, strings.Join(words, " "))
		}
		return all
	}
	l := s.Status.LVS
	at := func(k int) *time.Time { return new(statustest.At.Add(time.Duration(k) * time.Second)) }
	for i := range l.Services {
		l.Services[i].Since = at(0)
		for k := range l.Services[i].Servers {
			l.Services[i].Servers[k].Since = at(1 + i + k)
		}
	}
	server := func(i, k int) string { return l.Services[i].Name + " " + l.Services[i].Servers[k].Name }
	start := history.Event{Kind: history.Process, Name: history.Daemon, To: history.Started}
	before := history.Event{Kind: history.Server, Name: server(1, 0), From: "down", To: "up"}
	l.Running = false
	if got := step(start, before); len(got) > 1 {
		t.Errorf("before the checks have begun: %q", got)
	}
	l.Running = true
	want := []string{"quorum 2", "quorum 1", "quorum 1", "c6 33 64 01 2", "c6 33 64 02 2", "20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01 1"}
	if got := step(before); !slices.Equal(got, want) {
		t.Errorf("at the start:\n%q, want\n%q", got, want)
	}
	if got := step(); got != nil {
		t.Errorf("again: %q", got)
	}
	if got := step(history.Event{Kind: history.Server, Name: server(0, 0), From: "down", To: "up"}); !slices.Equal(got, []string{"c6 33 64 01 1"}) {
		t.Errorf("later: %q", got)
	}
	if got := step(history.Event{Kind: history.Server, Name: server(0, 0), To: "up"}, history.Event{Kind: history.Server, Name: server(0, 1), To: "down"}); !slices.Equal(got, []string{"c6 33 64 02 2"}) {
		t.Errorf("of servers that a reload has added: %q", got)
	}
}

// BenchmarkNext measures one step of a walk of 10,000 servers.
func BenchmarkNext(b *testing.B) {
	s := daemon(b)
	v := s.Config.VirtualServers[1]
	for range 10_000 {
		v.RealServers = append(v.RealServers, v.RealServers[0])
	}
	tree := NewTree(s)
	r := agentx.Range{From: checkPart}
	for b.Loop() {
		if v := tree.Next(r); v.Value.Type == agentx.EndOfMIBView {
			r.From = checkPart
		} else {
			r.From = v.Name
		}
	}
}

// TestSet checks which act a set of an object requests, and how it is undone.
func TestSet(t *testing.T) {
	s := daemon(t)
	s.Status.Intents = []api.Intent{{Kind: "priority", Name: s.Config.Instances[0].Name, Value: 7}}
	tree := NewTree(s)
	first := s.Config.Instances[0]
	at := func(n uint32) agentx.OID { return basePriority.Append(n) }
	if got, want := tree.Get(at(1)), agentx.Int(int64(first.Priority)+7); got.Signed() != want.Signed() {
		t.Errorf("%d, want %d", got.Signed(), want.Signed())
	}
	for _, tt := range []struct {
		name  agentx.OID
		value agentx.Value
		want  agentx.Status
	}{
		{at(1), agentx.Int(1), agentx.NoError},
		{at(1), agentx.Int(254), agentx.NoError},
		{at(1), agentx.Int(0), agentx.WrongValue},
		{at(1), agentx.Int(255), agentx.WrongValue},
		{at(1), agentx.Int(-1), agentx.WrongValue},
		{at(1), agentx.Unsigned(uint32(5)), agentx.WrongType},
		{at(0), agentx.Int(5), agentx.NoCreation},
		{at(99), agentx.Int(5), agentx.NoCreation},
		{at(1).Append(1), agentx.Int(5), agentx.NotWritable},
		{basePriority, agentx.Int(5), agentx.NotWritable},
		{keepalived, agentx.Int(5), agentx.NotWritable},
	} {
		do, undo, err := tree.Set(agentx.Varbind{Name: tt.name, Value: tt.value})
		if err != tt.want {
			t.Errorf("%v %v: %d, want %d", tt.name, tt.value, err, tt.want)
		}
		if err == agentx.NoError && (do.Name != first.Name || do.Value != int(tt.value.Signed())-int(first.Priority) || undo.Value != 7 || undo.Name != do.Name) {
			t.Errorf("%v: %+v, undone by %+v", tt.value, do, undo)
		}
	}
}

// TestSetWeight checks the same for the weight of a real server.
func TestSetWeight(t *testing.T) {
	s := daemon(t)
	tree := NewTree(s)
	at := func(index ...uint32) agentx.OID { return serverWeight.Append(index...) }
	const udp = "[192.0.2.110]:udp:53 [198.51.100.3]:udp:53"
	for _, tt := range []struct {
		name     agentx.OID
		value    agentx.Value
		want     agentx.Status
		do, undo act.Act
	}{
		{at(2, 1), agentx.Int(5), agentx.NoError, act.Act{Kind: act.Weight, Name: udp, Value: 5, Force: true}, act.Act{Kind: act.Release, Name: udp}},
		{at(2, 1), agentx.Int(0), agentx.NoError, act.Act{Kind: act.Drain, Name: udp, Force: true}, act.Act{Kind: act.Release, Name: udp}},
		{name: at(2, 1), value: agentx.Int(-1), want: agentx.WrongValue},
		{name: at(2, 1), value: agentx.Unsigned(uint32(5)), want: agentx.WrongType},
		{name: at(1, 1), value: agentx.Int(5), want: agentx.NotWritable}, // the sorry server
		{name: at(2, 2), value: agentx.Int(5), want: agentx.NoCreation},
		{name: at(2), value: agentx.Int(5), want: agentx.NoCreation},
		{name: serverWeight, value: agentx.Int(5), want: agentx.NoCreation},
		{name: at(2, 1, 1), value: agentx.Int(5), want: agentx.NoCreation},
	} {
		do, undo, err := tree.Set(agentx.Varbind{Name: tt.name, Value: tt.value})
		if err != tt.want || do != tt.do || undo != tt.undo {
			t.Errorf("%v %v: %+v, undone by %+v, %d", tt.name, tt.value, do, undo, err)
		}
		for _, a := range []act.Act{do, undo} {
			if err := a.Check(); tt.want == agentx.NoError && err != nil {
				t.Error(err)
			}
		}
	}
	list := s.Status.LVS.Services[1].Servers[0].Intents
	list[len(list)-1].Name = udp
	if _, undo, _ := NewTree(s).Set(agentx.Varbind{Name: at(2, 1), Value: agentx.Int(5)}); undo != (act.Act{Kind: act.Drain, Name: udp, Force: true}) {
		t.Errorf("undone by %+v", undo)
	}
}
