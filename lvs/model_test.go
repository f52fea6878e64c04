package lvs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// model computes the table each time from the configuration, the last result of each
// check, and the quorum, which with hysteresis depends on its previous state. It shares
// no code with the engine.
type model struct {
	services []*Service
	checks   map[modelCheck]*verdict
	byID     map[CheckID]modelCheck
	quorum   map[ServiceID]bool
	present  map[netip.Addr]bool
	ordered  map[ServiceID]bool
}

type modelCheck struct {
	service ServiceID
	server  netip.AddrPort
	key     string
	nth     int
}

type verdict struct {
	up, add bool
	set     bool
	value   int64
}

func newModel() *model {
	return &model{
		checks:  map[modelCheck]*verdict{},
		quorum:  map[ServiceID]bool{},
		present: map[netip.Addr]bool{},
		ordered: map[ServiceID]bool{},
	}
}

// servers returns the servers of a service without repetitions, each with its checks.
func (m *model) servers(v *Service) (list []RealServer) {
	for _, r := range v.Servers {
		if !slices.ContainsFunc(list, func(o RealServer) bool { return o.Addr == r.Addr }) {
			list = append(list, r)
		}
	}
	return list
}

func keys(v *Service, r RealServer) (list []modelCheck) {
	for _, c := range r.Checks {
		k := modelCheck{v.ID, r.Addr, c.Key, 0}
		for slices.Contains(list, k) {
			k.nth++
		}
		list = append(list, k)
	}
	return list
}

func (m *model) serverUp(v *Service, r RealServer) bool {
	for _, k := range keys(v, r) {
		if !m.checks[k].up {
			return false
		}
	}
	return r.Order != Disable
}

func (m *model) weight(v *Service, r RealServer) int64 {
	w := int64(r.Weight)
	for _, k := range keys(v, r) {
		switch c := m.checks[k]; {
		case c.set:
			w += c.value - int64(r.Weight)
		case c.add:
			w += c.value
		}
	}
	if r.Order == Drain {
		return 0
	}
	return min(max(w, 0), 1<<31-1)
}

func (m *model) configure(c *Config) {
	was := map[ServiceID]map[netip.AddrPort]bool{} // the previous servers, and whether they were up
	for _, v := range m.services {
		was[v.ID] = map[netip.AddrPort]bool{}
		for _, r := range m.servers(v) {
			was[v.ID][r.Addr] = m.serverUp(v, r)
		}
	}
	m.services = nil
	checks, quorum, ordered := map[modelCheck]*verdict{}, map[ServiceID]bool{}, map[ServiceID]bool{}
	m.byID = map[CheckID]modelCheck{}
	for i := range c.Services {
		v := &c.Services[i]
		if len(v.Servers) == 0 || slices.ContainsFunc(m.services, func(o *Service) bool { return o.ID == v.ID }) {
			continue
		}
		m.services = append(m.services, v)
		quorum[v.ID], ordered[v.ID] = m.quorum[v.ID], m.ordered[v.ID]
		for _, r := range m.servers(v) {
			for j, k := range keys(v, r) {
				if _, taken := m.byID[r.Checks[j].ID]; !taken {
					m.byID[r.Checks[j].ID] = k
				}
				checks[k] = m.checks[k]
				if checks[k] == nil {
					checks[k] = &verdict{up: !r.Checks[j].Alpha || was[v.ID][r.Addr]}
				}
			}
		}
	}
	m.checks, m.quorum, m.ordered = checks, quorum, ordered
	m.settle()
}

func (m *model) suspended(v *Service) bool {
	if m.ordered[v.ID] {
		return true
	}
	if !v.HASuspend {
		return false
	}
	some := false
	for _, ep := range m.endpoints(v) {
		if a := ep.Addr.Addr(); a.IsValid() {
			some = true
			if m.present[a] {
				return false
			}
		}
	}
	return some
}

func (m *model) endpoints(v *Service) []Endpoint {
	if v.ID.Group == "" {
		return []Endpoint{v.ID.Endpoint}
	}
	return v.Endpoints
}

func (m *model) service(id ServiceID) *Service {
	for _, v := range m.services {
		if v.ID == id {
			return v
		}
	}
	return nil
}

func (m *model) result(ev Event) {
	k, ok := m.byID[ev.Check]
	if !ok || m.suspended(m.service(k.service)) {
		return
	}
	c := m.checks[k]
	c.up = ev.Up
	if ev.Weight.Kind != WeightKeep {
		c.set, c.add, c.value = ev.Weight.Kind == WeightSet, ev.Weight.Kind == WeightAdd, int64(ev.Weight.Value)
	}
	m.settle()
}

// settle updates the quorums.
func (m *model) settle() {
	for _, v := range m.services {
		var sum, total int64
		for _, r := range m.servers(v) {
			if m.serverUp(v, r) {
				sum += m.weight(v, r)
			}
		}
		for _, r := range v.Servers {
			total += int64(r.Weight)
		}
		q := int64(v.Quorum)
		if q == 0 {
			q = 1
		}
		if q > total {
			q = total
		}
		h := int64(v.Hysteresis)
		if h >= q {
			h = max(q-1, 0)
		}
		if m.quorum[v.ID] {
			m.quorum[v.ID] = sum != 0 && sum >= q-h
		} else {
			m.quorum[v.ID] = sum != 0 && sum >= q+h
		}
	}
}

// table returns the expected table of the kernel.
func (m *model) table() map[Endpoint]row {
	table := map[Endpoint]row{}
	for _, v := range m.services {
		for _, ep := range m.endpoints(v) {
			if _, taken := table[ep]; taken {
				continue
			}
			table[ep] = row{v.Attributes, m.destinations(v, ep)}
		}
	}
	return table
}

type row struct {
	Attributes   Attributes
	Destinations map[netip.AddrPort]Destination
}

func (m *model) destinations(v *Service, ep Endpoint) map[netip.AddrPort]Destination {
	out := map[netip.AddrPort]Destination{}
	// The first entry for a server counts; a later one only if its weight is greater.
	put := func(r RealServer, weight int64, override bool) {
		six := r.Addr.Addr().Is6()
		family := ep.Family == IPv6
		if ep.Addr.Addr().IsValid() {
			family = ep.Addr.Addr().Is6()
		}
		nat := r.Attributes.Method == Masquerade
		if six != family && r.Attributes.Method != Tunnel {
			return
		}
		d := Destination{Addr: r.Addr, Weight: uint32(weight), DestinationAttributes: r.Attributes}
		if d.LowerThreshold > d.UpperThreshold {
			d.LowerThreshold = d.UpperThreshold
		}
		if !nat || r.Addr.Port() == 0 {
			d.Addr = netip.AddrPortFrom(r.Addr.Addr(), ep.Addr.Port())
		}
		if old, ok := out[d.Addr]; !ok || override && old.Weight < d.Weight {
			out[d.Addr] = d
		}
	}
	serve := m.quorum[v.ID] || v.Sorry == nil
	for _, r := range m.servers(v) {
		switch {
		case serve && m.serverUp(v, r):
			put(r, m.weight(v, r), true)
		case r.Inhibit, r.Order == Drain && m.serverUp(v, r):
			put(r, 0, true)
		}
	}
	if v.Sorry == nil {
		return out
	}
	if !m.quorum[v.ID] {
		pool := out
		out = map[netip.AddrPort]Destination{}
		put(*v.Sorry, int64(v.Sorry.Weight), false)
		for a, d := range pool {
			if _, ok := out[a]; !ok {
				out[a] = d
			}
		}
	} else if v.Sorry.Inhibit {
		put(*v.Sorry, 0, false)
	}
	return out
}

// dice is the source of numbers for random tests: a generator, or the input of a fuzzer.
type dice func(n int) int

func (d dice) chance(percent int) bool { return d(100) < percent }

func pick[T any](d dice, list []T) T { return list[d(len(list))] }

var (
	someEndpoints = []Endpoint{
		{Protocol: TCP, Addr: netip.MustParseAddrPort("10.0.0.1:80")},
		{Protocol: TCP, Addr: netip.MustParseAddrPort("10.0.0.2:80")},
		{Protocol: UDP, Addr: netip.MustParseAddrPort("10.0.0.2:0")},
		{Protocol: TCP, Addr: netip.MustParseAddrPort("[2001:db8::1]:80")},
		{FWMark: 9, Family: IPv4},
		{FWMark: 9, Family: IPv6},
	}
	someServers = []netip.AddrPort{
		netip.MustParseAddrPort("10.0.1.1:80"),
		netip.MustParseAddrPort("10.0.1.1:81"),
		netip.MustParseAddrPort("10.0.1.1:0"),
		netip.MustParseAddrPort("10.0.1.2:80"),
		netip.MustParseAddrPort("10.0.1.3:80"),
		netip.MustParseAddrPort("[2001:db8::2]:80"),
	}
)

func (d dice) server(id *CheckID) RealServer {
	r := RealServer{
		Addr: pick(d, someServers), Weight: d(4), Inhibit: d.chance(30), Order: max(Order(d(6)), 3) - 3,
		Attributes: DestinationAttributes{
			Method:         pick(d, []Method{Masquerade, Masquerade, Direct, Tunnel}),
			UpperThreshold: uint32(d(2)), LowerThreshold: uint32(d(2)),
		},
	}
	for range d(4) {
		*id += CheckID(1 + d(3))
		r.Checks = append(r.Checks, Check{ID: *id, Key: pick(d, []string{"a", "b"}), Alpha: d.chance(30)})
	}
	return r
}

func (d dice) config(hysteresis bool) *Config {
	c := &Config{InitNotifies: d.chance(20)}
	id := CheckID(d(5))
	for range d(5) {
		v := Service{ID: ServiceID{Endpoint: pick(d, someEndpoints)}, Attributes: Attributes{Scheduler: pick(d, []string{"rr", "wlc"})}}
		if d.chance(40) {
			v.ID = ServiceID{Group: pick(d, []string{"g", "h"}), Endpoint: Endpoint{Protocol: TCP}}
			for range d(4) {
				v.Endpoints = append(v.Endpoints, pick(d, someEndpoints))
			}
		}
		v.Quorum = uint32(d(6))
		if hysteresis {
			v.Hysteresis = uint32(d(4))
		}
		for range d(5) {
			v.Servers = append(v.Servers, d.server(&id))
		}
		if d.chance(50) {
			r := d.server(&id)
			r.Checks = nil
			v.Sorry = &r
		}
		v.HASuspend, v.Omega = d.chance(25), d.chance(25)
		c.Services = append(c.Services, v)
	}
	return c
}

// tweak changes one value.
func (d dice) tweak(c *Config) {
	id := CheckID(10000)
	if len(c.Services) == 0 {
		return
	}
	v := pick(d, seq(c.Services))
	switch d(8) {
	case 0:
		v.Quorum = uint32(d(6))
	case 1:
		v.Hysteresis = uint32(d(4))
	case 2:
		r := d.server(&id)
		r.Checks = nil
		v.Sorry = &r
	case 3:
		v.Sorry = nil
	case 4:
		if v.ID.Group != "" {
			v.Endpoints = append(v.Endpoints, pick(d, someEndpoints))[d(2):]
		}
	case 5:
		d.shuffle(len(c.Services), func(i, j int) { c.Services[i], c.Services[j] = c.Services[j], c.Services[i] })
	case 6:
		d.shuffle(len(v.Servers), func(i, j int) { v.Servers[i], v.Servers[j] = v.Servers[j], v.Servers[i] })
	default:
		list := seq(v.Servers)
		if v.Sorry != nil {
			list = append(list, v.Sorry)
		}
		if len(list) == 0 {
			return
		}
		switch r := pick(d, list); d(5) {
		case 0:
			r.Weight = d(4)
		case 1:
			r.Inhibit = !r.Inhibit
		case 2:
			r.Attributes.UpperThreshold = uint32(d(3))
		case 4:
			if r != v.Sorry {
				r.Order = Order(d(3))
			}
		case 3:
			if r != v.Sorry {
				r.Checks = d.server(&id).Checks
			}
		}
	}
}

func (d dice) shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, d(i+1))
	}
}

// seq returns pointers to the elements of a list.
func seq[T any](list []T) (out []*T) {
	for i := range list {
		out = append(out, &list[i])
	}
	return out
}

// copyOf copies a configuration with everything that belongs to it.
func copyOf(c *Config) *Config {
	out := *c
	out.Services = slices.Clone(c.Services)
	for i := range out.Services {
		v := &out.Services[i]
		v.Servers, v.Endpoints = slices.Clone(v.Servers), slices.Clone(v.Endpoints)
		if v.Sorry != nil {
			sorry := *v.Sorry
			v.Sorry = &sorry
		}
		for j := range v.Servers {
			v.Servers[j].Checks = slices.Clone(v.Servers[j].Checks)
		}
	}
	return &out
}

func (d dice) result(c *Config) Event {
	var all []CheckID
	for _, v := range c.Services {
		for _, r := range v.Servers {
			for _, k := range r.Checks {
				all = append(all, k.ID)
			}
		}
	}
	ev := Event{Kind: CheckResult, Up: d.chance(50), Check: CheckID(d(50))}
	if len(all) > 0 && d.chance(95) {
		ev.Check = pick(d, all)
	}
	if d.chance(40) {
		ev.Weight = Weight{Kind: WeightKind(d(3)), Value: int32(d(8) - 4)}
	}
	return ev
}

// twin drives an engine and the model with the same events.
type twin struct {
	t      testing.TB
	e      *Engine
	m      *model
	config *Config
	mirror map[Endpoint]row // the result of Changes
	log    []Event
	name   string // name of the sequence
	out    []Action
}

func newTwin(t testing.TB) *twin {
	return &twin{t: t, e: New(), m: newModel(), config: &Config{}, mirror: map[Endpoint]row{}}
}

func rowOf(en *Entry) row {
	r := row{en.Attributes, map[netip.AddrPort]Destination{}}
	for _, d := range en.Destinations {
		r.Destinations[d.Addr] = d
	}
	return r
}

func (w *twin) step(ev Event) {
	w.log = append(w.log, ev)
	w.out = w.e.Step(0, ev, w.out[:0])
}

// follow takes the changes, and compares them and the whole table with the model.
func (w *twin) follow() {
	w.t.Helper()
	for en := range w.e.Changes() {
		if en.Gone {
			if _, ok := w.m.table()[en.Endpoint]; ok {
				w.fail(en.Endpoint, " is gone and in the table")
			}
			delete(w.mirror, en.Endpoint)
		} else {
			w.mirror[en.Endpoint] = rowOf(en)
		}
	}
	all := map[Endpoint]row{}
	for en := range w.e.All() {
		if _, twice := all[en.Endpoint]; twice || len(rowOf(en).Destinations) != len(en.Destinations) {
			w.fail("something is twice in the table")
		}
		all[en.Endpoint] = rowOf(en)
	}
	if w.e.Changed() {
		w.fail("changes remain")
	}
	want := w.m.table()
	if !same(want, all) {
		w.fail("All (-model +engine)\n", cmp.Diff(want, all, equal...))
	}
	if !same(want, w.mirror) {
		w.fail("Changes (-model +engine)\n", cmp.Diff(want, w.mirror, equal...))
	}
	for _, v := range w.m.services {
		s, ok := w.e.Service(v.ID)
		if !ok || s.Up != w.m.quorum[v.ID] || s.Suspended != w.m.suspended(v) {
			w.fail("status of ", v.ID, s)
		}
	}
}

var equal = cmp.Options{cmpopts.EquateComparable(netip.AddrPort{}, Endpoint{}, Destination{}, Attributes{}), cmpopts.EquateEmpty()}

func same(a, b map[Endpoint]row) bool {
	return maps.EqualFunc(a, b, func(x, y row) bool {
		return x.Attributes == y.Attributes && maps.Equal(x.Destinations, y.Destinations)
	})
}

func (w *twin) fail(args ...any) {
	w.t.Helper()
	for _, ev := range w.log[max(0, len(w.log)-10):] {
		w.t.Logf("%+v", ev)
	}
	w.t.Log(w.name, ", event ", len(w.log))
	w.t.Fatal(args...)
}

// reported returns the state of servers and quorums according to actions: the last report
// about each. Reports about the end of an object do not count.
func reported(out []Action) (servers, quorums map[string]bool) {
	servers, quorums = map[string]bool{}, map[string]bool{}
	for _, a := range out {
		if a.Reason == ReasonRemoved {
			continue
		}
		switch a.Kind {
		case ServerUp, ServerDown:
			servers[fmt.Sprint(a.Service.ID, a.Service.ID.Family, a.Service.ID.Protocol, a.Server.Addr)] = a.Kind == ServerUp
		case QuorumGained, QuorumLost:
			quorums[fmt.Sprint(a.Service.ID, a.Service.ID.Family)] = a.Kind == QuorumGained
		}
	}
	return servers, quorums
}

// state returns the state that actions must have reported.
func (m *model) state() (servers, quorums map[string]bool) {
	servers, quorums = map[string]bool{}, map[string]bool{}
	for _, v := range m.services {
		quorums[fmt.Sprint(v.ID, v.ID.Family)] = m.quorum[v.ID]
		for _, r := range m.servers(v) {
			servers[fmt.Sprint(v.ID, v.ID.Family, v.ID.Protocol, r.Addr)] = m.serverUp(v, r)
		}
	}
	return servers, quorums
}

// consistent reports whether the reported states are the actual ones, and whether every
// change was reported, except for new objects.
func (w *twin) consistent(before, after, reported map[string]bool) {
	w.t.Helper()
	for k, up := range reported {
		if now, ok := after[k]; !ok || now != up {
			w.fail(k, " is reported as ", up, " and is ", now)
		}
	}
	for k, up := range after {
		was, known := before[k]
		if _, ok := reported[k]; known && was != up && !ok {
			w.fail(k, " has changed to ", up, " without a word")
		}
	}
}

// random makes one event, chosen by d.
func (w *twin) random(d dice) {
	servers, quorums := w.m.state()
	switch n := d(100); {
	case n < 60:
		ev := d.result(w.config)
		w.step(ev)
		w.m.result(ev)
	case n < 70:
		a := pick(d, someEndpoints[:4]).Addr.Addr()
		ev := Event{Kind: AddressChanged, Addr: a, Present: d.chance(50)}
		w.step(ev)
		w.m.present[a] = ev.Present
	case n < 76 && len(w.m.services) > 0:
		v := pick(d, w.m.services)
		ev := Event{Kind: Suspend + EventKind(d(2)), Service: v.ID}
		w.step(ev)
		w.m.ordered[v.ID] = ev.Kind == Suspend
	case n < 90:
		if d.chance(30) {
			w.config = d.config(true)
		} else {
			w.config = copyOf(w.config)
			d.tweak(w.config)
		}
		w.step(Event{Kind: Configure, Config: w.config})
		w.m.configure(w.config)
	case n < 95:
		// The same configuration, with other numbers of the checks, changes nothing.
		w.follow()
		w.config = copyOf(w.config)
		id := CheckID(d(1000))
		for i := range w.config.Services {
			for _, r := range w.config.Services[i].Servers {
				for k := range r.Checks {
					id++
					r.Checks[k].ID = id
				}
			}
		}
		w.step(Event{Kind: Configure, Config: w.config})
		if len(w.out) > 0 || w.e.Changed() {
			w.fail("the same configuration does something: ", w.out)
		}
		w.m.configure(w.config)
	default:
		// A successor: no report of states that have not changed, and the same table.
		snapshot := w.e.Snapshot()
		w.e = New()
		clear(w.mirror) // it does not know what its predecessor had reported
		for a, present := range w.m.present {
			w.step(Event{Kind: AddressChanged, Addr: a, Present: present})
		}
		w.step(Event{Kind: Configure, Config: w.config, Resume: snapshot})
		for _, a := range w.out {
			if a.Kind != CheckActivated && a.Kind != CheckDeactivated {
				w.fail("a successor says ", a)
			}
		}
	}
	reportedServers, reportedQuorums := reported(w.out)
	serversNow, quorumsNow := w.m.state()
	w.consistent(servers, serversNow, reportedServers)
	w.consistent(quorums, quorumsNow, reportedQuorums)
	if d.chance(70) { // several events may come between two calls
		w.follow()
	}
}

func TestModel(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := newTwin(t)
		w.name = fmt.Sprint("seed ", seed)
		for range 100 {
			w.random(r.IntN)
		}
		w.follow()
		w.step(Event{Kind: Shutdown})
		w.m.services = nil
		w.follow()
	}
}

// TestOrderDoesNotMatter checks that without hysteresis the table is a function of the
// configuration and the last result of each check.
func TestOrderDoesNotMatter(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		d := dice(r.IntN)
		c := d.config(false)
		for i := range c.Services {
			c.Services[i].HASuspend = false
		}
		var last []Event
		for _, v := range c.Services {
			for _, s := range v.Servers {
				for _, k := range s.Checks {
					last = append(last, Event{
						Kind: CheckResult, Check: k.ID, Up: d.chance(60),
						Weight: Weight{Kind: WeightKind(1 + d(2)), Value: int32(d(8) - 4)},
					})
				}
			}
		}
		var want map[Endpoint]row
		for range 5 {
			e := New()
			e.Step(0, Event{Kind: Configure, Config: c}, nil)
			for range d(30) {
				e.Step(0, d.result(c), nil)
			}
			r.Shuffle(len(last), func(i, j int) { last[i], last[j] = last[j], last[i] })
			for _, ev := range last {
				e.Step(0, ev, nil)
			}
			got := map[Endpoint]row{}
			for en := range e.All() {
				got[en.Endpoint] = rowOf(en)
			}
			if want == nil {
				want = got
			}
			if !same(want, got) {
				t.Fatalf("seed %d: (-one order +another)\n%s", seed, cmp.Diff(want, got, equal...))
			}
		}
	}
}

// FuzzEngine lets the fuzzer choose what TestModel leaves to chance.
func FuzzEngine(f *testing.F) {
	f.Add([]byte("\x50\x02\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09"))
	f.Add([]byte("keepalived keeps a live server and removes a dead one"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1024 {
			return
		}
		d := dice(func(n int) int {
			if len(data) == 0 {
				return 0
			}
			b := data[0]
			data = data[1:]
			return int(b) % n
		})
		w := newTwin(t)
		w.config = d.config(true)
		w.step(Event{Kind: Configure, Config: w.config})
		w.m.configure(w.config)
		for len(data) > 0 {
			w.random(d)
		}
		w.follow()
	})
}
