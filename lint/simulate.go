package lint

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/policy"
	"keepalived-go/vrrp"
	"keepalived-go/vrrp/vrrptest"
)

// Outcome is how virtual routers that fare alike come through failures.
type Outcome struct {
	Routers []Router `json:"routers"`
	Masters []string `json:"masters"` // while all is well, from a start of all nodes together
	Rows    []Row    `json:"failures"`

	drops []string // which adverts are dropped while all is well, and why
}

// Router names a virtual router, as the first node that has it does.
type Router struct {
	Name      string      `json:"name"`
	Interface string      `json:"interface,omitempty"`
	VRID      uint8       `json:"virtual_router_id"`
	Family    conf.Family `json:"family"`
}

// Row is one failure at a time: who is master before, while it lasts and after
// it is repaired. None or several are nodes too.
type Row struct {
	// History is what had happened before, and been repaired, if the healthy
	// cluster would otherwise not be in this state; empty: nothing.
	History string `json:"history,omitempty"`
	Node    string `json:"node"`    // where something fails
	Failure string `json:"failure"` // what fails

	Before []string `json:"before"`
	During []string `json:"during"`
	After  []string `json:"repaired"`

	// Stuck is why a failure on the master moves nothing, though it should.
	Stuck string `json:"moves_nothing,omitempty"`

	code, remedy string // of a finding about the row; empty: none
	pos          conf.Pos
}

// component is virtual routers that depend on one another by sync groups on any
// of the nodes.
type component []*virtualRouter

func (c *cluster) components() []component {
	leader := make(map[*virtualRouter]*virtualRouter, len(c.routers))
	var find func(v *virtualRouter) *virtualRouter
	find = func(v *virtualRouter) *virtualRouter {
		l := leader[v]
		if l == nil || l == v {
			return v
		}
		l = find(l)
		leader[v] = l
		return l
	}
	byGroup := make(map[*conf.SyncGroup]*virtualRouter)
	for _, v := range c.routers {
		for _, m := range v.members {
			switch first := byGroup[m.group]; {
			case m.group == nil:
			case first == nil:
				byGroup[m.group] = v
			default:
				leader[find(v)] = find(first)
			}
		}
	}
	var all []component
	place := make(map[*virtualRouter]int)
	for _, v := range c.routers {
		l := find(v)
		k, ok := place[l]
		if !ok {
			k = len(all)
			place[l] = k
			all = append(all, nil)
		}
		all[k] = append(all[k], v)
	}
	return all
}

// simulate lets everything fail that can, and reports what should not be.
func (c *cluster) simulate() []Outcome {
	outcomes := []Outcome{}
	var routers [][]*virtualRouter // of each outcome
	place := make(map[string]int)
	runs := make(map[string][]Outcome) // what a run gave, by what it depends on
	for _, comp := range c.components() {
		key := c.key(comp)
		of, ok := runs[key]
		if !ok {
			of = c.play(comp)
			runs[key] = of
		}
		for i, v := range comp {
			o := of[i]
			k := o.alike(v.explained)
			n, ok := place[k]
			if !ok {
				n = len(outcomes)
				place[k] = n
				o.Rows = slices.Clone(o.Rows)
				outcomes = append(outcomes, o)
				routers = append(routers, nil)
			}
			m := v.members[0]
			outcomes[n].Routers = append(outcomes[n].Routers, Router{m.Name, m.Interface, m.VRID, m.Family})
			routers[n] = append(routers[n], v)
		}
	}
	for n := range outcomes {
		c.judge(&outcomes[n], routers[n])
	}
	return outcomes
}

// alike is the same for virtual routers that fare alike.
func (o *Outcome) alike(explained bool) string {
	rows := slices.Clone(o.Rows)
	for i := range rows {
		rows[i].pos = conf.Pos{}
	}
	return fmt.Sprintf("%v %q %q %#v", explained, o.Masters, o.drops, rows)
}

// key is everything that what happens to a single virtual router depends on;
// several are distinguished by their place.
func (c *cluster) key(comp component) string {
	if len(comp) > 1 {
		return fmt.Sprintf("%p", comp[0])
	}
	var b strings.Builder
	fmt.Fprintln(&b, comp[0].explained)
	for _, m := range comp[0].members {
		cfg := policy.EngineConfig(m.VRRPInstance)
		cfg.Name, cfg.Addresses = "", nil
		if comp[0].members[0].VRID == m.VRID {
			cfg.VRID = 0
		}
		fmt.Fprintf(&b, "%d %+v %v %v", m.node, cfg, m.source, m.DontTrackPrimary)
		for _, t := range m.terms {
			t.Pos = conf.Pos{}
			fmt.Fprintf(&b, " %+v", t)
		}
		for _, l := range m.otherLinks() {
			b.WriteString(" " + l)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// otherLinks are the interfaces that must be up besides that of the virtual router.
func (m *member) otherLinks() []string {
	return policy.OtherLinks(m.VRRPInstance, m.static)
}

// fault is one thing that fails on one node.
type fault struct {
	node int
	text string

	dead    bool
	link    string         // an interface goes down; ownLink: that of the virtual router
	tracker conf.Track     // the one that reports it
	status  *policy.Status // what it reports; nil: it is another kind of failure
}

// ownLink stands for the interface of the only virtual router of a component,
// so that those on many interfaces are alike.
const ownLink = "\x00"

// faults are the things that can fail in a component.
func (c *cluster) faults(comp component) []fault {
	var all []fault
	for n := range c.nodes {
		var links []string
		var trackers []conf.Track
		present := false
		link := func(name string) {
			if name != "" && !slices.Contains(links, name) {
				links = append(links, name)
			}
		}
		for _, v := range comp {
			m := v.on(n)
			if m == nil {
				continue
			}
			present = true
			if len(comp) == 1 && m.Interface != "" {
				link(ownLink)
			} else {
				link(m.Interface)
			}
			for _, l := range m.otherLinks() {
				link(l)
			}
			for _, t := range m.terms {
				if t.Kind == conf.TrackedInterface {
					link(t.Name)
				} else if !slices.ContainsFunc(trackers, func(o conf.Track) bool { return o.Kind == t.Kind && o.Name == t.Name }) {
					trackers = append(trackers, t)
				}
			}
		}
		if !present {
			continue
		}
		all = append(all, fault{node: n, text: "dead", dead: true})
		for _, l := range links {
			text := "interface " + l + " down"
			if l == ownLink {
				text = "interface down"
			}
			all = append(all, fault{node: n, text: text, link: l})
		}
		for _, t := range trackers {
			s := failed(t)
			all = append(all, fault{node: n, text: failure(t), tracker: t, status: &s})
		}
	}
	return all
}

// statuses are the terms of a member while a fault lasts; nil: none.
func (m *member) statuses(f *fault) []policy.Term {
	out := statuses(m.terms, -1)
	if f == nil || f.node != m.node {
		return out
	}
	for i := range out {
		t := &out[i]
		switch {
		case t.Kind == conf.TrackedInterface && t.Name == f.link:
			t.Status = failed(t.Track)
		case f.status != nil && t.Kind == f.tracker.Kind && t.Name == f.tracker.Name:
			t.Status = *f.status
		}
	}
	return out
}

// linkDown reports whether a fault takes down an interface that the member
// needs (needed), and whether it is the one its adverts pass (own).
func (m *member) linkDown(f *fault) (needed, own bool) {
	if f == nil || f.node != m.node || f.link == "" {
		return false, false
	}
	own = f.link == ownLink || f.link == m.Interface
	return own && !m.DontTrackPrimary || slices.Contains(m.otherLinks(), f.link), own
}

// lab is a component on a virtual LAN.
type lab struct {
	lan     *vrrptest.LAN
	nodes   [][]*vrrptest.Node // of each node: one for each sync group or single virtual router
	routers []map[int]*vrrptest.Router
	comp    component
	unit    time.Duration // the shortest interval of adverts
	settle  time.Duration // how long things take at most
	calm    time.Duration // for how long nothing must have changed at the end

	// dropped are the adverts that the engines did not take, by virtual router:
	// who drops whose, and why.
	dropped []map[drop]bool
}

type drop struct {
	by, from *member // from: nil if no member has the source
	why      vrrp.Reject
}

// build starts all nodes together, healthy.
func (c *cluster) build(comp component) *lab {
	l := &lab{lan: vrrptest.New(1), comp: comp, nodes: make([][]*vrrptest.Node, len(c.nodes))}
	for range comp {
		l.routers = append(l.routers, make(map[int]*vrrptest.Router))
		l.dropped = append(l.dropped, make(map[drop]bool))
	}
	l.lan.Observe = l.observe
	for n := range c.nodes {
		byGroup := make(map[*conf.SyncGroup][]int)
		var order []*conf.SyncGroup
		for i, v := range comp {
			m := v.on(n)
			switch {
			case m == nil:
			case m.group == nil:
				l.add(n, []int{i})
			default:
				if byGroup[m.group] == nil {
					order = append(order, m.group)
				}
				byGroup[m.group] = append(byGroup[m.group], i)
			}
		}
		for _, g := range order {
			l.add(n, byGroup[g])
		}
	}
	// Nobody starts at the very same time. A moment later is enough to end a tie,
	// and too little to change who wins an election.
	l.lan.MinDelay, l.lan.MaxDelay = l.unit/10000, l.unit/4000
	for n := range l.nodes {
		l.start(n)
		l.lan.Run(l.unit / 500)
	}
	l.run()
	return l
}

// observe takes notes of dropped adverts.
func (l *lab) observe(_ *vrrptest.Node, _ vrrp.Event, actions []vrrp.Action) {
	for _, a := range actions {
		if a.Kind != vrrp.Notify || a.Reject == vrrp.RejectNone {
			continue
		}
		for i, v := range l.comp {
			for _, m := range v.members {
				if l.routers[i][m.node].Instance == a.Instance {
					from := slices.IndexFunc(v.members, func(o *member) bool { return o.source == a.Addr })
					d := drop{by: m, why: a.Reject}
					if from >= 0 {
						d.from = v.members[from]
					}
					l.dropped[i][d] = true
				}
			}
		}
	}
}

// drops describes which adverts of a virtual router are dropped.
func (c *cluster) drops(dropped map[drop]bool) []string {
	var list []string
	for d := range dropped {
		whose := "another source"
		if d.from != nil {
			whose = c.nameOf(d.from)
		}
		list = append(list, fmt.Sprintf("%s drops the adverts of %s (%v)", c.nameOf(d.by), whose, d.why))
	}
	slices.Sort(list)
	return list
}

// add adds the virtual routers that are in one sync group, or a single one.
func (l *lab) add(n int, places []int) {
	var routers []vrrptest.Router
	for _, i := range places {
		m := l.comp[i].on(n)
		r := vrrptest.Router{Segment: strconv.Itoa(i), Source: m.source, Config: policy.EngineConfig(m.VRRPInstance)}
		r.Faults, _ = m.condition(nil)
		// It does not matter who waits for how long, as long as it is for more
		// than an election takes.
		r.Config.PreemptDelay = min(r.Config.PreemptDelay, 2*masterDown(m.VRRPInstance))
		routers = append(routers, r)
		// Master_Down_Interval twice, as members of a sync group wait for each
		// other, the time that a better node waits, and time to see that it stays.
		if l.unit == 0 || m.AdvertInterval < l.unit {
			l.unit = m.AdvertInterval
		}
		down := masterDown(m.VRRPInstance)
		l.settle = max(l.settle, 4*down+r.Config.PreemptDelay+time.Second)
		l.calm = max(l.calm, down+down/4)
	}
	node := l.lan.Add(fmt.Sprintf("%d/%d", n, places[0]), routers...)
	node.Sync = len(routers) > 1
	l.nodes[n] = append(l.nodes[n], node)
	for k, i := range places {
		l.routers[i][n] = node.Routers[k]
	}
}

// condition is what a member makes of a fault: reasons not to serve, and its
// priority.
func (m *member) condition(f *fault) (vrrp.Faults, policy.Outcome) {
	o := policy.Evaluate(m.Priority, m.Priority == vrrp.PriorityOwner, m.statuses(f))
	return policy.FindFaults(m.VRRPInstance, m.static, assumed{m, f}, nil, &o).Set, o
}

// assumed is a node that has everything it needs, but for one fault.
type assumed struct {
	member *member
	fault  *fault
}

// Link implements [policy.Machine].
func (a assumed) Link(name string) (exists, up bool) {
	f := a.fault
	lost := f != nil && f.node == a.member.node && f.link != "" &&
		(f.link == name || f.link == ownLink && name == a.member.Interface)
	return true, !lost
}

// Renamed implements [policy.Machine].
func (a assumed) Renamed(string) string { return "" }

// Holds implements [policy.Machine].
func (a assumed) Holds(netip.Addr) bool { return true }

// Source implements [policy.Machine].
func (a assumed) Source(c *conf.VRRPInstance) (source netip.Addr, link string) {
	if c.Family == conf.IPv6 {
		return netip.IPv6Unspecified(), c.Interface
	}
	return netip.IPv4Unspecified(), c.Interface
}

// VRF implements [policy.Machine].
func (a assumed) VRF(name string) (exists, up bool) { return a.Link(name) }

// Removed implements [policy.Machine].
func (a assumed) Removed(*conf.VRRPInstance) vrrp.Cause { return vrrp.Cause{} }

// Made implements [policy.Machine].
func (a assumed) Made(*conf.VRRPInstance) (name string, exists bool) { return "", true }

func (l *lab) start(n int) {
	for _, node := range l.nodes[n] {
		node.Start(0, false)
	}
	l.spread(n, nil)
}

// run lets everything settle.
func (l *lab) run() { l.lan.Run(l.settle) }

// spread gives the virtual routers of a node what follows from a fault.
func (l *lab) spread(n int, f *fault) {
	for i, v := range l.comp {
		m := v.on(n)
		if m == nil {
			continue
		}
		r := l.routers[i][n]
		faults, o := m.condition(f)
		if _, own := m.linkDown(f); own {
			l.lan.Cut(r.Name, "")
		}
		if faults != r.Faults {
			r.SetFaults(faults)
		}
		if o.Priority != r.Instance.Priority() {
			r.Step(vrrp.Event{Kind: vrrp.PriorityChanged, Priority: o.Priority})
		}
	}
}

// fail lets something fail.
func (l *lab) fail(f *fault) {
	if f.dead {
		for _, node := range l.nodes[f.node] {
			node.Kill()
		}
	} else {
		l.spread(f.node, f)
	}
	l.run()
}

// repair ends it.
func (l *lab) repair(f *fault) {
	l.lan.Heal()
	if f.dead {
		l.start(f.node)
	} else {
		l.spread(f.node, nil)
	}
	l.run()
}

// unsettled stands for nodes that become master in turn.
const unsettled = -1

// changing is its name.
const changing = "changing"

// masters are the nodes that are master of each virtual router.
func (l *lab) masters() [][]int {
	all := make([][]int, len(l.comp))
	for i, v := range l.comp {
		for _, m := range v.members {
			r := l.routers[i][m.node]
			if r.Since > l.lan.Now-l.calm {
				all[i] = []int{unsettled}
				break
			}
			if r.State() == vrrp.Master {
				all[i] = append(all[i], m.node)
			}
		}
	}
	return all
}

// play lets one thing after the other fail, from each state in which the
// cluster can rest while all is well: after a start of all nodes, and where
// that is another one, after the death and return of a node.
func (c *cluster) play(comp component) []Outcome {
	outcomes := make([]Outcome, len(comp))
	healthy := c.build(comp)
	start := healthy.masters()
	for i := range outcomes {
		outcomes[i] = Outcome{Masters: c.names(start[i]), Rows: []Row{}, drops: c.drops(healthy.dropped[i])}
	}
	faults := c.faults(comp)
	if len(faults) == 0 || !slices.ContainsFunc(comp, func(v *virtualRouter) bool { return len(v.members) > 1 }) {
		return outcomes
	}
	type rest struct {
		history *fault
		masters [][]int
	}
	rests := []rest{{nil, start}}
	for i := range faults {
		if f := &faults[i]; f.dead {
			l := c.build(comp)
			l.fail(f)
			l.repair(f)
			m := l.masters()
			known := func(r rest) bool { return slices.EqualFunc(r.masters, m, slices.Equal) }
			if !slices.ContainsFunc(rests, known) {
				rests = append(rests, rest{f, m})
			}
		}
	}
	for _, r := range rests {
		for i := range faults {
			f := &faults[i]
			if r.history != nil && !holdsAny(r.masters, f.node) {
				continue // the same as from the start: it fails on a backup
			}
			l := c.build(comp)
			if r.history != nil {
				l.fail(r.history)
				l.repair(r.history)
			}
			l.fail(f)
			during := l.masters()
			l.repair(f)
			after := l.masters()
			for k, v := range comp {
				if v.on(f.node) == nil {
					continue
				}
				row := Row{
					Node: c.nodes[f.node].Name, Failure: f.text,
					Before: c.names(r.masters[k]), During: c.names(during[k]), After: c.names(after[k]),
				}
				if r.history != nil {
					row.History = c.nodes[r.history.node].Name + " has been down and is up again"
				}
				c.judgeRow(&row, v, f, r.masters[k], during[k])
				outcomes[k].Rows = append(outcomes[k].Rows, row)
			}
		}
	}
	return outcomes
}

func holdsAny(masters [][]int, node int) bool {
	return slices.ContainsFunc(masters, func(list []int) bool { return slices.Contains(list, node) })
}

func (c *cluster) names(nodes []int) []string {
	names := make([]string, len(nodes))
	for i, n := range nodes {
		if n == unsettled {
			names[i] = changing
		} else {
			names[i] = c.nodes[n].Name
		}
	}
	return names
}

// judgeRow notes what is wrong with the outcome of one failure.
func (c *cluster) judgeRow(row *Row, v *virtualRouter, f *fault, before, during []int) {
	m := v.on(f.node)
	if len(v.members) < 2 {
		return
	}
	_, cut := m.linkDown(f)
	reachable := slices.DeleteFunc(slices.Clone(during), func(n int) bool { return cut && n == f.node })
	switch {
	case len(reachable) == 0, slices.Contains(during, unsettled):
		row.code, row.pos = "cluster-no-master", m.Pos
		row.remedy = "make sure that exactly one other node serves"
	case v.explained:
	case len(reachable) > 1:
		row.code, row.pos = "cluster-two-masters", m.Pos
		row.remedy = "make sure that each node accepts the adverts of the other"
	case cut || !slices.Equal(before, []int{f.node}) || !slices.Equal(during, before):
	default:
		if row.Stuck, row.remedy, row.pos = m.stuck(v, f, c); row.Stuck != "" {
			row.code = "cluster-no-failover"
		}
	}
}

// stuck describes why a fault of a tracker moves nothing away from its node.
func (m *member) stuck(v *virtualRouter, f *fault, c *cluster) (why, remedy string, at conf.Pos) {
	i := slices.IndexFunc(m.terms, func(t conf.Track) bool {
		if t.Kind == conf.TrackedInterface {
			return t.Name == f.link
		}
		return f.status != nil && t.Kind == f.tracker.Kind && t.Name == f.tracker.Name
	})
	if i < 0 {
		return "", "", at // it is not tracked here
	}
	at = m.terms[i].Pos
	faults, bad := m.condition(f)
	if faults != 0 {
		return "", "", at // a fault that the sync group did not let go
	}
	var best *member
	for _, o := range v.members {
		if o != m && (best == nil || o.healthyPriority() > best.healthyPriority()) {
			best = o
		}
	}
	rival, theirs := c.nodes[best.node].Name, best.healthyPriority()
	weight := "give it weight 0, so that the failure causes FAULT"
	// A weight that counts while all is well is missing after a failure: what the
	// other node has of it decides.
	if t := m.terms[i]; t.Weight > 0 && !t.Reverse && t.Kind != conf.TrackedFile {
		for _, o := range best.terms {
			if o.Kind == t.Kind && o.Name == t.Name && o.Weight > 0 && theirs <= bad.Priority {
				need := int(bad.Priority) - (int(theirs) - o.Weight)
				why := fmt.Sprintf("%s is still above the %d of %s", bad.Arithmetic(), theirs, rival)
				if theirs == bad.Priority {
					why = fmt.Sprintf("%s equals the priority of %s, which does not preempt an equal one", bad.Arithmetic(), rival)
				}
				return why, fmt.Sprintf("give it a weight of more than %d on all nodes, or 0, so that the failure causes FAULT", need), at
			}
		}
	}
	switch {
	case m.Priority == vrrp.PriorityOwner:
		return "the priority of an address owner is always 255", "use a priority of 254 or less, or weight 0", at
	case theirs < bad.Priority:
		_, well := m.condition(nil)
		return fmt.Sprintf("%s is still above the %d of %s", bad.Arithmetic(), theirs, rival),
			fmt.Sprintf("let it subtract more than %d, or %s", int(well.Priority)-int(theirs), weight), at
	case theirs == bad.Priority:
		return fmt.Sprintf("%s equals the priority of %s, which does not preempt an equal one", bad.Arithmetic(), rival), "make the weight larger, or " + weight, at
	case best.NoPreempt:
		return fmt.Sprintf("%s, but %s (%d) does not preempt (nopreempt)", bad.Arithmetic(), rival, theirs), weight, at
	}
	if g := best.group; g != nil && len(g.Members) > 1 {
		return fmt.Sprintf("%s, but not all members of sync group %s have a higher priority on %s", bad.Arithmetic(), g.Name, rival),
			"let the group track it, or " + weight, at
	}
	return fmt.Sprintf("%s does not take over with %d against %s", rival, theirs, bad.Arithmetic()), weight, at
}

func (m *member) healthyPriority() uint8 {
	_, o := m.condition(nil)
	return o.Priority
}

// judge reports what is wrong with an outcome that virtual routers share.
func (c *cluster) judge(o *Outcome, routers []*virtualRouter) {
	v := routers[0]
	first := v.members[0]
	name := "(" + first.Name + ")"
	if more := len(routers) - 1; more > 0 {
		name = fmt.Sprintf("(%s and %d more)", first.Name, more)
	}
	switch {
	case len(v.members) < 2:
		return
	case len(o.Masters) == 0:
		c.found("cluster-no-master", first.Pos, name+" no node is master although all nodes are healthy", "find out why each node does not serve")
		return
	case slices.Contains(o.Masters, changing):
		c.found("cluster-no-master", first.Pos, name+" the master keeps changing although all nodes are healthy", "check which virtual routers change state together")
		return
	case v.explained:
	case len(o.Masters) > 1:
		what := name + " " + strings.Join(o.Masters, " and ") + " are master although all nodes are healthy"
		if len(o.drops) > 0 {
			what += ": " + strings.Join(o.drops, ", ")
		}
		c.found("cluster-two-masters", first.Pos, what, "make sure that each node accepts the adverts of the other")
		return
	}
	for _, r := range o.Rows {
		when := ""
		if r.History != "" {
			when = fmt.Sprintf(" (%s, and %s is master)", r.History, strings.Join(r.Before, " and "))
		}
		switch r.code {
		case "cluster-no-failover":
			c.found("cluster-no-failover", r.pos, fmt.Sprintf("%s %s: %s, and %s stays master%s: %s", name, r.Node, r.Failure, r.Node, when, r.Stuck), r.remedy)
		case "cluster-no-master":
			c.found("cluster-no-master", r.pos, fmt.Sprintf("%s %s: %s, and no node stays master%s", name, r.Node, r.Failure, when), r.remedy)
		case "cluster-two-masters":
			c.found("cluster-two-masters", r.pos, fmt.Sprintf("%s %s: %s, and %s are master%s", name, r.Node, r.Failure, strings.Join(r.During, " and "), when), r.remedy)
		}
	}
}
