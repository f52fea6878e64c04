package controld

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/output/status/snmp"
	"keepalived-go/internal/output/status/snmp/agentx"
	"keepalived-go/internal/output/status/statustest"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/proc/link"
)

// priorityOf is the object of the priority of an instance, from 1.
func priorityOf(n uint32) agentx.OID { return snmp.ID.Append(2, 3, 1, 7, n) }

// parent is the parent process of a daemon for which the operators have added something to
// the priority of its first instance.
type parent struct {
	config *conf.Config

	mu       sync.Mutex
	added    int
	mute     bool // it does not answer
	stopping bool
	asked    int
}

// newParent returns one whose configuration provides the objects of KEEPALIVED-MIB, and
// sends notifications.
func newParent(t *testing.T) *parent {
	c := statustest.Load(t)
	c.Global.SNMP = conf.SNMP{VRRP: true, Traps: true}
	return &parent{config: c}
}

// set changes p.
func (p *parent) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// sources are those that ask p.
func (p *parent) sources() sources {
	all := of(func() *api.Status {
		p.mu.Lock()
		defer p.mu.Unlock()
		return &api.Status{
			Node:    api.Node{Stopping: p.stopping},
			Intents: []api.Intent{{Kind: string(act.Priority), Name: p.config.Instances[0].Name, Value: p.added}},
		}
	})
	answer := all[0].send
	all[0].send = func(q link.Question) bool {
		p.mu.Lock()
		p.asked++
		mute := p.mute
		p.mu.Unlock()
		return mute || answer(q)
	}
	return all
}

// agent is the subagent of p.
func (p *parent) agent(t *testing.T, asker *act.Asker) *subagent {
	t.Helper()
	s := newSubagent(p.sources(), asker, p.config)
	if s == nil {
		t.Fatal("there is no subagent")
	}
	return s
}

// TestSNMPSwitch checks that there is a subagent if the configuration provides objects, and
// an address of a master agent.
func TestSNMPSwitch(t *testing.T) {
	for _, test := range []struct {
		snmp    conf.SNMP
		on      bool
		address string
		over    bool // the network
	}{
		{snmp: conf.SNMP{}},
		{snmp: conf.SNMP{Traps: true}}, // of nothing
		{conf.SNMP{VRRP: true}, true, "/var/agentx/master", false},
		{conf.SNMP{RFCv3: true, Socket: "/run/master"}, true, "/run/master", false},
		{conf.SNMP{Checker: true, Socket: "tcp:127.0.0.1"}, true, "127.0.0.1:705", true},
		{conf.SNMP{RFCv2: true, Socket: "udp6:[::1]:706"}, true, "[::1]:706", true},
		{snmp: conf.SNMP{VRRP: true, Socket: "master"}},
		{snmp: conf.SNMP{VRRP: true, Socket: "tcp6:127.0.0.1:705"}}, // no address of that family
	} {
		c := &conf.Config{Global: conf.Global{SNMP: test.snmp}}
		s := newSubagent(nil, nil, c)
		if on := s != nil; on != test.on || s.overNetwork() != test.over {
			t.Errorf("%+v: %v, over the network: %v", test.snmp, on, s.overNetwork())
			continue
		}
		if s != nil && (s.agent.Address != test.address || !slices.EqualFunc(s.agent.Subtrees, snmp.Subtrees(&test.snmp), slices.Equal)) {
			t.Errorf("%+v: %s, %v", test.snmp, s.agent.Address, s.agent.Subtrees)
		}
	}
	if _, err := resolve("tcp", "127.0.0.1"); err == nil {
		t.Error("an address without a port is taken")
	}
}

// TestShare checks that the control process is wanted for each thing that it serves, and that
// it gets no more of the configuration than that needs.
func TestShare(t *testing.T) {
	full := func(change func(*conf.Global)) *conf.Config {
		c := statustest.Load(t)
		c.Instances[0].Auth.Password = "secret"
		c.Global.Control = conf.Control{Off: true}
		change(&c.Global)
		return c
	}
	for name, test := range map[string]struct {
		change func(*conf.Global)
		keeps  bool
		shares bool // the instances
	}{
		"nothing": {func(*conf.Global) {}, false, false},
		"socket":  {func(g *conf.Global) { g.Control.Off = false }, true, false},
		"page":    {func(g *conf.Global) { g.Control.HTTP.Listen = "127.0.0.1:80" }, true, false},
		"D-Bus":   {func(g *conf.Global) { g.DBus.Enabled = true }, true, false},
		"traps":   {func(g *conf.Global) { g.SNMP.Traps = true }, false, false},
		"SNMP":    {func(g *conf.Global) { g.SNMP.VRRP = true }, true, true},
	} {
		got := Role.Of(full(test.change))
		if got.Keeps != test.keeps || (len(got.Config.Instances) > 0) != test.shares {
			t.Errorf("%s: wanted: %v, %d instances", name, got.Keeps, len(got.Config.Instances))
		}
		for _, i := range got.Config.Instances {
			if i.Auth.Password != "" {
				t.Errorf("%s: the password of %s", name, i.Name)
			}
		}
	}
}

// TestObjectsAge checks that the processes are asked again when the objects have become old,
// and at once after a reload.
func TestObjectsAge(t *testing.T) {
	p := newParent(t)
	synctest.Test(t, func(t *testing.T) {
		s := p.agent(t, nil)
		of := func() int { v := s.Get(priorityOf(1)); return int(v.Signed()) - int(p.config.Instances[0].Priority) }
		if got := of(); got != 0 || p.asked != 1 {
			t.Errorf("at first: %d, asked %d times", got, p.asked)
		}
		p.set(func() { p.added = 5 })
		time.Sleep(leastAge - time.Nanosecond)
		if got := of(); got != 0 || p.asked != 1 {
			t.Errorf("soon: %d, asked %d times", got, p.asked)
		}
		if v := s.Next(agentx.Range{From: priorityOf(1)}); v.Name.Compare(priorityOf(2)) != 0 {
			t.Errorf("then: %v", v.Name)
		}
		time.Sleep(time.Nanosecond)
		if got := of(); got != 5 || p.asked != 2 {
			t.Errorf("later: %d, asked %d times", got, p.asked)
		}
		p.set(func() { p.added = 6 })
		c := *p.config
		s.reconfigure(&c)
		if got := of(); got != 6 {
			t.Errorf("after a reload: %d", got)
		}
	})
}

// TestObjectsStale checks that a parent process that hangs delays answers by no more than the
// master agent waits for, and what is answered when nothing is known.
func TestObjectsStale(t *testing.T) {
	p := newParent(t)
	synctest.Test(t, func(t *testing.T) {
		s := p.agent(t, nil)
		p.set(func() { p.mute = true })
		begun := time.Now()
		if v := s.Get(priorityOf(1)); v.Type != agentx.NoSuchInstance {
			t.Errorf("nothing is known, and there is %+v", v)
		}
		if took := time.Since(begun); took > 2*patience {
			t.Errorf("that took %v", took)
		}
		if v := s.Next(agentx.Range{From: snmp.ID}); v.Value.Type != agentx.EndOfMIBView || v.Name.Compare(snmp.ID) != 0 {
			t.Errorf("nothing is known, and next is %+v", v)
		}
		if err, _ := s.Test([]agentx.Varbind{{Name: priorityOf(1), Value: agentx.Int(5)}}); err != agentx.GenErr {
			t.Errorf("nothing is known, and it can be set: %d", err)
		}
		time.Sleep(time.Minute)
		p.set(func() { p.mute = false })
		first := s.Get(priorityOf(1))
		if first.Type != agentx.Integer {
			t.Fatalf("%+v", first)
		}
		p.set(func() { p.mute, p.added = true, 5 })
		time.Sleep(time.Hour)
		begun = time.Now()
		if v := s.Get(priorityOf(1)); v.Signed() != first.Signed() {
			t.Errorf("%d, want the last one known, %d", v.Signed(), first.Signed())
		}
		if took := time.Since(begun); took != treeWait {
			t.Errorf("that took %v, want %v", took, treeWait)
		}
		time.Sleep(time.Minute)
	})
}

// TestSNMPSet checks that a set has its acts done in their order, that one of two that fails
// has the other undone, and that the next answer has the new value.
func TestSNMPSet(t *testing.T) {
	p := newParent(t)
	p.added = 3
	synctest.Test(t, func(t *testing.T) {
		var done []act.Act
		refuses, hangs := "", false
		var asker *act.Asker
		asker = act.NewAsker(func(id uint32, a *act.Act) bool {
			done = append(done, *a)
			if hangs {
				return true
			}
			r := act.Answer(api.Done{}, nil)
			if a.Name == refuses {
				r = act.Answer(nil, act.Refuse(act.Impossible, "not now"))
			}
			go asker.Take(id, r)
			return true
		})
		s := p.agent(t, asker)
		a, b := p.config.Instances[0], p.config.Instances[1]
		set := []agentx.Varbind{{Name: priorityOf(1), Value: agentx.Int(7)}, {Name: priorityOf(2), Value: agentx.Int(9)}}
		does := func(want ...string) {
			t.Helper()
			var got []string
			for _, d := range done {
				got = append(got, fmt.Sprintf("%s %d", d.Name, d.Value))
				if d.Kind != act.Priority || d.By != (act.By{UID: uint32(os.Getuid()), Over: "SNMP"}) {
					t.Errorf("%+v", d)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("acts %q, want %q", got, want)
			}
			done = nil
		}
		first, second := fmt.Sprintf("%s %d", a.Name, 7-int(a.Priority)), fmt.Sprintf("%s %d", b.Name, 9-int(b.Priority))

		if err, at := s.Test(append(slices.Clone(set), agentx.Varbind{Name: snmp.ID, Value: agentx.Int(1)})); err != agentx.NotWritable || at != 2 {
			t.Errorf("what cannot be set: %d of %d", err, at)
		}
		does()
		if err, _ := s.Test(set); err != agentx.NoError {
			t.Fatalf("test: %d", err)
		}
		does()
		if err, _ := s.Commit(set); err != agentx.NoError {
			t.Errorf("commit: %d", err)
		}
		does(first, second)
		p.set(func() { p.added = 4 })
		if v := s.Get(priorityOf(1)); v.Signed() != int64(a.Priority)+4 {
			t.Errorf("after that: %d", v.Signed())
		}

		refuses = b.Name
		s.Test(set)
		if err, at := s.Commit(set); err != agentx.CommitFailed || at != 1 {
			t.Errorf("commit: %d of %d", err, at)
		}
		does(first, second)
		if err := s.Undo(); err != agentx.NoError {
			t.Errorf("undo: %d", err)
		}
		does(a.Name + " 4")
		refuses = a.Name
		if err := s.Undo(); err != agentx.UndoFailed {
			t.Errorf("undo: %d", err)
		}
		does(a.Name + " 4")

		hangs = true
		s.Test(set)
		begun := time.Now()
		if err, at := s.Commit(set); err != agentx.CommitFailed || at != 0 || time.Since(begun) != setWait {
			t.Errorf("commit: %d of %d after %v", err, at, time.Since(begun))
		}
		does(first)
		s.Test(set)
		if err := s.Undo(); err != agentx.NoError { // of nothing
			t.Errorf("undo: %d", err)
		}
		does()
	})
}

// master is a master agent, which notes notifications.
type master struct {
	path string

	mu    sync.Mutex
	traps []string // their last objects
}

func newMaster(t *testing.T) *master {
	m := &master{path: filepath.Join(t.TempDir(), "master")}
	l, err := net.Listen("unix", m.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			m.serve(conn)
		}
	}()
	return m
}

func (m *master) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		p, err := agentx.Read(r)
		if err != nil {
			return
		}
		if p.Kind == agentx.Notify {
			m.mu.Lock()
			for _, v := range p.Varbinds {
				if v.Value.Type == agentx.OctetString {
					m.traps = append(m.traps, string(v.Value.Bytes))
					break
				}
			}
			m.mu.Unlock()
		}
		answer := agentx.PDU{Kind: agentx.Response, Session: 42, Transaction: p.Transaction, Packet: p.Packet}
		if _, err := conn.Write(answer.Append(nil)); err != nil {
			return
		}
	}
}

// noted returns what has been notified since the last call.
func (m *master) noted() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() { m.traps = nil }()
	return m.traps
}

// TestNotifications checks that the master agent learns what happens, and the end of the
// daemon before the process ends; not that of this process alone.
func TestNotifications(t *testing.T) {
	m, p := newMaster(t), newParent(t)
	p.config.SyncGroups = nil
	p.config.Global.SNMP.Socket = "unix:" + m.path
	s := p.agent(t, nil)
	running := make(chan struct{})
	go func() { defer close(running); s.agent.Run(t.Context()) }()
	t.Cleanup(func() { <-running })
	name := p.config.Instances[0].Name
	// The channels of the agent are from outside, so time stands still while it works.
	synctest.Test(t, func(t *testing.T) {
		s.happened(&api.Status{}, []history.Event{{Kind: history.Router, Name: name, To: "BACKUP"}, {Kind: history.Router, Name: "of another daemon", To: "BACKUP"}})
		s.agent.Flush(t.Context())
		if got := m.noted(); !slices.Equal(got, []string{name}) {
			t.Errorf("notified: %q", got)
		}
		s.stopped() // the daemon runs on
		p.set(func() { p.mute = true })
		time.Sleep(time.Second)
		s.stopped() // the parent has gone
		time.Sleep(time.Minute)
		p.set(func() { p.mute, p.stopping = false, true })
		s.agent.Flush(t.Context())
		if got := m.noted(); len(got) != 0 {
			t.Errorf("notified: %q", got)
		}
		s.stopped()
		var want []string
		for _, i := range p.config.Instances {
			want = append(want, i.Name)
		}
		if got := m.noted(); !slices.Equal(got, want) {
			t.Errorf("at the end: %q, want %q", got, want)
		}
	})
}
