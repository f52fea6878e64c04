package controld

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/output/status/snmp"
	"keepalived-go/internal/output/status/snmp/agentx"
	"keepalived-go/internal/proc/act"
)

const (
	// defaultMaster is the address of the master agent (RFC 2741, section 8.1.2).
	defaultMaster = "unix:/var/agentx/master"
	// A tree of objects serves for as long as ten times what it took to make it, and that
	// long at least: a walk of many objects asks the processes now and then.
	leastAge = time.Second
	// treeWait is how long a request waits for a new tree if there is an old one: less than
	// a master agent waits for us.
	treeWait = 700 * time.Millisecond
	// resolveWait is how long the name of the host of a master agent may take.
	resolveWait = 2 * time.Second
	// lastTraps is how long the end of the process waits for the notifications of the end of
	// the daemon.
	lastTraps = 300 * time.Millisecond
)

// subagent provides the state to the master agent of SNMP.
type subagent struct {
	agent   agentx.Agent
	sources sources
	traps   *snmp.Traps
	asker   *act.Asker

	// Of the agent's goroutine: what was tested last, and what of it is done.
	set, done []change

	mu     sync.Mutex
	config *conf.Config
	tree   *snmp.Tree    // nil: none was made yet
	until  time.Time     // it serves until then
	making chan struct{} // closed when the next one is made; nil: none is being made
}

// change is an act that gives an object a value, and the one that undoes it.
type change struct{ do, undo act.Act }

// wantsSNMP reports whether a configuration asks for objects or notifications.
func wantsSNMP(c *conf.SNMP) bool { return len(snmp.Subtrees(c)) > 0 }

// newSubagent prepares the one that a configuration asks for; nil: it asks for none.
func newSubagent(from sources, asker *act.Asker, c *conf.Config) *subagent {
	if !wantsSNMP(&c.Global.SNMP) {
		return nil
	}
	master := c.Global.SNMP.Socket
	if master == "" {
		master = defaultMaster
	}
	network, address, err := agentx.ParseAddress(master)
	if err == nil {
		// Later, this process may read no file that has names of hosts.
		address, err = resolve(network, address)
	}
	if err != nil {
		slog.Error("SNMP: snmp_socket: " + err.Error())
		return nil
	}
	s := &subagent{sources: from, asker: asker, config: c, traps: snmp.NewTraps(time.Now())}
	s.agent = agentx.Agent{
		Network: network, Address: address, Description: "Keepalived", ID: snmp.ID, Subtrees: snmp.Subtrees(&c.Global.SNMP), Handler: s,
	}
	s.agent.Init()
	return s
}

// resolve looks the name of the host of a master agent up, if it has one.
func resolve(network, address string) (string, error) {
	if network == "unix" {
		return address, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	ctx, end := context.WithTimeout(context.Background(), resolveWait)
	defer end()
	found, err := net.DefaultResolver.LookupNetIP(ctx, map[bool]string{true: "ip6", false: "ip"}[strings.HasSuffix(network, "6")], host)
	if err != nil {
		return "", fmt.Errorf("%s: %w", host, err)
	}
	return net.JoinHostPort(found[0].Unmap().String(), port), nil
}

// overNetwork reports whether the master agent is reached over a network.
func (s *subagent) overNetwork() bool { return s != nil && s.agent.Network != "unix" }

// reconfigure takes up a configuration with the same settings of SNMP.
func (s *subagent) reconfigure(c *conf.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config, s.until = c, time.Time{}
}

// current returns the objects as they are, or were a moment ago.
func (s *subagent) current() *snmp.Tree {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.until) {
		return s.tree
	}
	if s.making == nil {
		s.making = make(chan struct{})
		go s.make(s.config, s.making)
	}
	made, wait := s.making, treeWait
	if s.tree == nil {
		wait = 2 * patience
	}
	s.mu.Unlock()
	select {
	case <-made:
	case <-time.After(wait):
	}
	s.mu.Lock()
	return s.tree
}

// make makes a tree.
func (s *subagent) make(c *conf.Config, made chan struct{}) {
	begun := time.Now()
	var tree *snmp.Tree
	all, err := s.ask()
	if err == nil {
		tree = snmp.NewTree(&snmp.State{Config: c, Status: all})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if tree != nil {
		s.tree = tree
	}
	if c == s.config {
		s.until = time.Now().Add(max(leastAge, 10*time.Since(begun)))
	}
	s.making = nil
	close(made)
}

func (s *subagent) ask() (*api.Status, error) {
	ctx, end := context.WithTimeout(context.Background(), 2*patience)
	defer end()
	answer, err := s.sources.state(ctx, everything)
	if err != nil {
		return nil, err
	}
	return answer.whole()
}

// Get is that of agentx.Handler, as the other methods.
func (s *subagent) Get(name agentx.OID) agentx.Value {
	if t := s.current(); t != nil {
		return t.Get(name)
	}
	return agentx.Value{Type: agentx.NoSuchInstance}
}

func (s *subagent) Next(r agentx.Range) agentx.Varbind {
	if t := s.current(); t != nil {
		return t.Next(r)
	}
	return agentx.Varbind{Name: r.From, Value: agentx.Value{Type: agentx.EndOfMIBView}}
}

// setWait is how long a set may take: less than a master agent waits for us.
const setWait = 700 * time.Millisecond

func (s *subagent) Test(set []agentx.Varbind) (agentx.Status, int) {
	s.set, s.done = nil, nil
	t := s.current()
	if t == nil {
		return agentx.GenErr, 0
	}
	for i, v := range set {
		do, undo, err := t.Set(v)
		if err != agentx.NoError {
			return err, i
		}
		s.set = append(s.set, change{do, undo})
	}
	return agentx.NoError, 0
}

func (s *subagent) Commit([]agentx.Varbind) (agentx.Status, int) {
	for i := range s.set {
		if err := s.act(&s.set[i].do); err != nil {
			slog.Warn("SNMP: " + err.Error())
			return agentx.CommitFailed, i
		}
		s.done = append(s.done, s.set[i])
	}
	return agentx.NoError, 0
}

func (s *subagent) Undo() agentx.Status {
	for i := range s.done {
		if err := s.act(&s.done[i].undo); err != nil {
			slog.Warn("SNMP: " + err.Error())
			return agentx.UndoFailed
		}
	}
	return agentx.NoError
}

// act has an act done. The master agent decides who may set what.
func (s *subagent) act(a *act.Act) error {
	ctx, end := context.WithTimeout(context.Background(), setWait)
	defer end()
	a.By = act.By{UID: uint32(os.Getuid()), Over: "SNMP"}
	_, err := s.asker.Do(ctx, a)
	s.mu.Lock()
	s.until = time.Time{} // the next answer has the new value
	s.mu.Unlock()
	return err
}

// happened sends notifications of what has happened. all need not have what has not changed.
func (s *subagent) happened(all *api.Status, news []history.Event) {
	s.mu.Lock()
	c := s.config
	s.until = time.Time{}
	s.mu.Unlock()
	for _, v := range s.traps.Step(&snmp.State{Config: c, Status: all}, news) {
		s.agent.Trap(v)
	}
}

// stopped sends notifications of the end of the daemon, if that ends.
func (s *subagent) stopped() {
	ctx, end := context.WithTimeout(context.Background(), lastTraps)
	defer end()
	var parent api.Status
	body, err := s.sources[0].get(ctx, everything)
	if err == nil {
		err = json.Unmarshal(body, &parent)
	}
	if err != nil || !parent.Node.Stopping {
		return // the parent has gone, or only this process ends
	}
	s.mu.Lock()
	c := s.config
	s.mu.Unlock()
	for _, v := range s.traps.Stop(&snmp.State{Config: c, Status: &api.Status{}}) {
		s.agent.Trap(v)
	}
	s.agent.Flush(ctx)
}
