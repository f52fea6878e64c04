package vrrpd

import (
	"cmp"
	"maps"
	"math"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/track"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/policy"
	"keepalived-go/vrrp"
)

// snapshotSlice is how many virtual routers are looked at between two looks at
// the timers: some tenths of a millisecond of work, which is much more than a turn of the
// loop costs.
const snapshotSlice = 128

// beside is what other goroutines know; they are asked before a snapshot begins.
type beside struct {
	scripts   map[string]track.ScriptRun
	processes map[string]track.ProcessCount
	notices   *status.Notifications
}

// askBeside asks, and calls f on the loop.
func (d *daemon) askBeside(f func(beside)) {
	set, notifier := d.tracking.set, d.notifier
	go func() {
		var b beside
		if set != nil {
			b.scripts, b.processes = set.Scripts(), set.Processes()
		}
		if notifier != nil {
			n := notifier.Status()
			b.notices = &n
		}
		d.loop.Post(func() { f(b) })
	}()
}

// snapshot takes a snapshot of everything in slices, between which the loop
// turns, for there may be thousands of virtual routers and links. It hands it
// over on the loop. visit, unless it is nil, is called for each router that the
// snapshot has.
func (d *daemon) snapshot(visit func(*router), done func(*status.VRRP)) {
	d.askBeside(func(b beside) {
		f := d.newFilling(true, b)
		d.loop.Slices(f.steps(visit), func() { done(f.out) })
	})
}

// snapshotNow takes a snapshot before the engines have begun: nothing waits for
// the loop yet.
func (d *daemon) snapshotNow() *status.VRRP {
	f := d.newFilling(false, beside{})
	for _, step := range f.steps(nil) {
		step()
	}
	return f.out
}

// A filling is a snapshot in the making.
type filling struct {
	*daemon
	beside
	conf    *conf.Config // in force when it was begun
	routers []*router    // likewise
	out     *status.VRRP

	// now and wall are the time of the slice: each look at the clock of the loop is a system
	// call.
	now  time.Duration
	wall time.Time
}

func (d *daemon) newFilling(running bool, b beside) *filling {
	return &filling{daemon: d, beside: b, conf: d.conf, routers: slices.Clone(d.routers), out: &status.VRRP{
		At: time.Now(), Conf: d.conf, NetNamespace: d.NetNamespace, MarkerPath: d.MarkerPath,
		Running: running, RealtimePriority: d.hurry.now,
	}}
}

// steps are the slices of work that fill the whole snapshot.
func (f *filling) steps(visit func(*router)) (steps []func()) {
	all := make([]status.Instance, len(f.routers))
	f.out.Instances = all
	for some := range slices.Chunk(f.routers, snapshotSlice) {
		steps = append(steps, func() {
			f.instances(all, some)
			all = all[len(some):]
			if visit != nil {
				for _, r := range some {
					visit(r)
				}
			}
		})
	}
	return append(steps, f.rest()...)
}

// instances fills in what routers are and do.
func (f *filling) instances(to []status.Instance, routers []*router) {
	f.now, f.wall = f.loop.Now(), time.Now()
	for i, r := range routers {
		to[i] = f.instance(r)
	}
}

// rest are the slices of work that fill everything but the routers.
func (f *filling) rest() (steps []func()) {
	steps = append(steps, f.groupsAndSockets, f.trackers)
	users := map[string]linkUse{}
	for some := range slices.Chunk(f.routers, snapshotSlice) {
		steps = append(steps, func() { f.linkUsers(users, some) })
	}
	for some := range slices.Chunk(slices.Sorted(maps.Keys(f.net.links)), snapshotSlice) {
		steps = append(steps, func() {
			for _, index := range some {
				if l := f.net.links[index]; l != nil { // it may have gone since
					f.out.Links = append(f.out.Links, f.describe(l, users[l.Name]))
				}
			}
		})
	}
	return append(steps, f.neighbours, f.others)
}

// instance is what a virtual router is and does.
func (f *filling) instance(r *router) status.Instance {
	e := r.engine
	h := e.Hindrance(f.now)
	i := status.Instance{
		Conf:           r.conf,
		State:          e.State(),
		Wanted:         r.wanted(),
		Since:          r.lastTransition,
		History:        r.history,
		Notices:        r.notices,
		Faults:         e.Faults(),
		Found:          r.faults,
		Obstacle:       h.Obstacle,
		Hindrance:      h.String(),
		Priority:       e.Priority(),
		Total:          int(e.Priority()),
		Master:         e.Master(),
		MasterPriority: e.MasterPriority(),
		MasterInterval: e.Snapshot().MasterInterval,
		MasterDown:     e.MasterDownInterval(),
		Source:         r.source,
		Socket:         -1,
		Held:           r.held,
		Stats:          e.Stats(),
	}
	if g := e.Group(); g != nil {
		i.Group = g.Name()
	}
	if r.faults != 0 && r.cause != nil && r.cause.Detail != "" {
		i.FaultCause = causeText(r.cause)
	}
	if deadline, running := e.Deadline(); running {
		i.Timeout = f.wall.Add(deadline - f.now)
	}
	if r.link != nil {
		i.Link = r.link.Index
	}
	if m := r.own(); m != nil && m.item != nil {
		i.Own, i.OwnUp = m.item.sent.Name, m.at != nil
	}
	if r.socket != nil {
		i.Socket = r.socket.raw.FD()
	}
	if r.rejection != nil {
		i.Rejection = *r.rejection
	}
	for _, v := range r.routes {
		i.Routes = append(i.Routes, v != nil && v.present)
	}
	for _, v := range r.rules {
		i.Rules = append(i.Rules, v != nil && v.present)
	}
	advertised, excluded := r.lists()
	i.Listed, i.Excluded = f.addresses(r, advertised), f.addresses(r, excluded)
	if t := r.tracked; t != nil {
		if r.waiting && t.outcome.Waiting {
			i.WaitsFor = t.outcome.Cause.Code + " " + t.outcome.Cause.Object
		}
		i.Tracks, i.Total, i.Arithmetic = true, t.outcome.Total, t.outcome.Arithmetic()
		for k := range t.terms {
			s := &t.terms[k]
			i.Trackers = append(i.Trackers, status.Tracking{
				Track: s.Track, Known: s.Known, Up: s.Up, Disabled: s.Disabled, Detail: s.Cause.Detail,
				At:    f.reportedAt(trackerKey{s.Kind, s.Name}),
				Fault: policy.Evaluate(r.conf.Priority, false, t.terms[k:k+1]).Fault,
			})
		}
	}
	return i
}

// reportedAt is when a tracker reported last what it reports. A script repeats its
// result with each run; the others report only what is new.
func (f *filling) reportedAt(k trackerKey) time.Time {
	h := f.tracking.heard[k]
	if k.kind == conf.TrackedScript && !h.at.IsZero() {
		if ended := f.scripts[k.name].Ended; ended.After(h.at) {
			return ended
		}
	}
	return h.at
}

// reported are the last reports of a tracker.
func (f *filling) reported(k trackerKey) []status.Reported {
	return slices.Clone(f.tracking.heard[k].past)
}

// wanted is the state that r is in or goes into when it starts.
func (r *router) wanted() vrrp.State {
	switch s := r.engine.State(); {
	case s != vrrp.Init:
		return s
	case r.conf.Master:
		return vrrp.Master
	}
	return vrrp.Backup
}

func (d *daemon) addresses(r *router, list []conf.Address) []status.Address {
	if len(list) == 0 {
		return nil
	}
	all := make([]status.Address, len(list))
	for i := range list {
		a := &list[i]
		all[i] = status.Address{Conf: a, Link: r.addressPlace(a)}
		if base, isMade := policy.MadeFor(r.conf, a); isMade {
			all[i].Link += "@" + base
		}
		if l := d.addressLink(r, a); l != nil {
			v := d.addrs.items[kernelAddr(a, l).Key()]
			all[i].Set = v != nil && v.present
		}
	}
	return all
}

func (f *filling) groupsAndSockets() {
	for _, c := range f.conf.SyncGroups {
		g := f.groups[c.Name]
		if g == nil {
			continue
		}
		out := status.Group{Conf: c, State: g.State()}
		for _, m := range g.Members() {
			if r := f.router(m); r != nil {
				if r.faults != 0 {
					out.Faulty++
				}
				if r.waiting {
					out.Waiting++
				}
			}
		}
		f.out.Groups = append(f.out.Groups, out)
	}
	place := map[*socket]int{}
	for _, r := range f.routers {
		s := r.socket
		if s == nil {
			continue
		}
		i, known := place[s]
		if !known {
			i = len(f.out.Sockets)
			place[s] = i
			f.out.Sockets = append(f.out.Sockets, status.Socket{
				FD: s.raw.FD(), Interface: r.socketLink(), IPv6: s.key.family == vrrp.IPv6, AH: s.key.protocol == protocolAH,
				Multicast: s.multicast(), Source: r.source, ReceiveBuffer: f.receiveBuffer(r),
			})
		}
		f.out.Sockets[i].Users = append(f.out.Sockets[i].Users, status.SocketUser{Instance: r.conf.Name, VRID: r.conf.VRID})
	}
}

func (f *filling) trackers() {
	for _, c := range f.conf.Scripts {
		k := trackerKey{conf.TrackedScript, c.Name}
		s, run := f.tracking.status[k], f.scripts[c.Name]
		f.out.Scripts = append(f.out.Scripts, status.Script{
			Conf: c, Known: s.Known, Up: s.Up, Disabled: s.Disabled, Detail: s.Cause.Detail, At: f.reportedAt(k), Past: f.reported(k),
			Count: run.Count, Running: run.Running, Users: f.users(k),
		})
	}
	for _, c := range f.conf.Files {
		k := trackerKey{conf.TrackedFile, c.Name}
		f.out.Files = append(f.out.Files, status.File{Conf: c, Number: f.tracking.status[k].Number, At: f.reportedAt(k), Past: f.reported(k), Users: f.users(k)})
	}
	for _, c := range f.conf.Processes {
		k := trackerKey{conf.TrackedProcess, c.Name}
		n := f.processes[c.Name]
		f.out.Processes = append(f.out.Processes, status.Process{
			Conf: c, Count: n.Count, Quorum: n.Quorum, ForkDelay: n.ForkDelay, TerminateDelay: n.TerminateDelay,
			At: f.reportedAt(k), Past: f.reported(k), Users: f.users(k),
		})
	}
	for _, c := range f.conf.BFDs {
		k := trackerKey{conf.TrackedBFD, c.Name}
		f.out.BFDs = append(f.out.BFDs, status.BFD{Conf: c, Up: f.sessions[c.Name].Up, At: f.reportedAt(k), Past: f.reported(k), Users: f.users(k)})
	}
}

// users are the routers that a tracker counts for.
func (d *daemon) users(k trackerKey) (all []status.User) {
	for _, u := range d.tracking.users[k] {
		term := &u.t.terms[u.i]
		all = append(all, status.User{Instance: u.r.conf.Name, Weight: term.Weight, Reverse: term.Reverse})
	}
	return all
}

// describe is what an interface is, and which routers depend on it.
func (d *daemon) describe(l *netLink, u linkUse) status.Link {
	out := status.Link{
		Name: l.Name, Index: l.Index, MTU: l.MTU, MAC: l.HardwareAddr, Flags: linkFlags(l),
		GARP: u.garp, Users: u.users,
	}
	if key, ok := l.MadeKey(); ok {
		if below := d.net.links[l.Base]; below != nil {
			out.Below, out.BelowFlags = below.Name, linkFlags(below)
		}
		v := d.addrs.links.items[key]
		out.Made = v != nil && v.requested && !v.theirs
	}
	out.IPv4 = d.linkAddresses(l, netip.Addr.Is4)
	out.IPv6 = d.linkAddresses(l, func(a netip.Addr) bool { return a.Is6() && a.IsLinkLocalUnicast() })
	if w := d.linkStates[l.Name]; w != nil {
		out.Settings = w.settings
		_, out.Delayed = w.damper.Deadline()
	}
	return out
}

// linkFlags are the flags of an interface that matter.
func linkFlags(l *netLink) status.LinkFlags {
	has := func(flag uint32) bool { return l.Flags&flag != 0 }
	return status.LinkFlags{
		Up: has(unix.IFF_UP), Running: has(unix.IFF_RUNNING), Broadcast: has(unix.IFF_BROADCAST),
		Loopback: has(unix.IFF_LOOPBACK), PointToPoint: has(unix.IFF_POINTOPOINT), NoARP: has(unix.IFF_NOARP),
		Multicast: has(unix.IFF_MULTICAST),
	}
}

// linkAddresses are the addresses of an interface that other programs have set, the one
// that the kernel would send from first.
func (d *daemon) linkAddresses(l *netLink, choose func(netip.Addr) bool) (all []netip.Addr) {
	var found []kernel.Key
	for k := range l.addrs {
		if choose(k.Prefix.Addr()) && !d.addrs.isOurs(k) {
			found = append(found, k)
		}
	}
	rank := func(k kernel.Key) int32 {
		a := l.addrs[k]
		if a.second {
			return a.order + math.MaxInt32/2
		}
		return a.order
	}
	slices.SortFunc(found, func(a, b kernel.Key) int { return cmp.Compare(rank(a), rank(b)) })
	for _, k := range found {
		all = append(all, k.Prefix.Addr())
	}
	return all
}

// linkUse is which routers depend on an interface.
type linkUse struct {
	users []status.User
	last  *router    // the last of users
	garp  *conf.GARP // of an instance on it, if that paces its announcements
}

// linkUsers adds those of routers to all, by the name of the interface.
func (d *daemon) linkUsers(all map[string]linkUse, routers []*router) {
	add := func(name string, r *router, weight int, reverse bool) {
		u := all[name]
		if u.last != r {
			u.last = r
			u.users = append(u.users, status.User{Instance: r.conf.Name, Weight: weight, Reverse: reverse})
		}
		if g := r.conf.GARP; name == r.conf.Interface && (g.Interval != 0 || g.NAInterval != 0) {
			u.garp = g
		}
		all[name] = u
	}
	for _, r := range routers {
		if r.conf.Interface != "" && !r.conf.DontTrackPrimary {
			add(r.conf.Interface, r, 0, false)
		}
		for i := range r.made {
			if v := r.made[i].item; v != nil {
				add(v.sent.Name, r, 0, false)
			}
		}
		for _, name := range policy.OtherLinks(r.conf, d.staticLinks[r.conf.Name]) {
			add(name, r, 0, false)
		}
		if r.tracked == nil {
			continue
		}
		for i := range r.tracked.terms {
			if c := &r.tracked.terms[i]; c.Kind == conf.TrackedInterface {
				add(c.Name, r, c.Weight, c.Reverse)
			}
		}
	}
}

// others fills in what belongs to no single virtual router.
func (f *filling) others() {
	f.out.Loop = status.Loop(f.loop.Measure())
	for reason, n := range f.foreign {
		if n > 0 {
			f.out.Unclaimed = append(f.out.Unclaimed, status.Unclaimed{Reason: vrrp.Reject(reason), Count: n})
		}
	}
	if f.notices == nil {
		return
	}
	slices.SortFunc(f.notices.Owners, status.CompareOwners)
	f.out.Notifications = f.notices
}
