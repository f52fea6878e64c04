package checkd

import (
	"slices"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/checkd/life"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/policy"
	"keepalived-go/lvs/ipvs"
)

const (
	// checksSlice is how many checks are looked at between two looks at the timers:
	// well below a millisecond's work.
	checksSlice = 128
	// serversSlice is the same for real servers. The servers of one service stay
	// together.
	serversSlice = 256
)

// A filling is a snapshot in the making.
type filling struct {
	*daemon
	conf    *conf.Config // in force when it was begun
	out     *status.LVS
	checks  []*status.Check    // of out, in their order
	places  [][]ipvs.ServiceID // of the services of out; nil: the counters of the kernel are not requested
	notices *status.Notifications
}

// configured is what is known of c before the checks begin.
func (d *daemon) configured(c *conf.Config) *status.LVS {
	s := status.Configured(c)
	s.At, s.NetNamespace = time.Now(), d.NetNamespace
	return s
}

// snapshot takes a snapshot of everything in slices, between which the loop turns, for
// there may be thousands of checks. It hands it over on the loop. A configuration that
// comes in between begins it again.
func (d *daemon) snapshot(done func(*status.LVS)) {
	d.fill(false, func(f *filling) { done(f.out) })
}

// fill fills a snapshot, if counted with what [filling.count] needs.
func (d *daemon) fill(counted bool, done func(*filling)) {
	f := &filling{daemon: d, conf: d.conf}
	notifier := d.notifier
	go func() { // what needs no state, and what other goroutines know
		f.out = d.configured(f.conf)
		f.list()
		if counted {
			f.places = make([][]ipvs.ServiceID, len(f.out.Services))
		}
		if notifier != nil {
			n := notifier.Status()
			slices.SortFunc(n.Owners, status.CompareOwners)
			f.notices = &n
		}
		d.loop.Post(func() {
			d.loop.Slices(f.steps(), func() {
				if f.outdated() {
					d.fill(counted, done)
					return
				}
				done(f)
			})
		})
	}()
}

// list finds the checks of the snapshot.
func (f *filling) list() {
	for i := range f.out.Services {
		servers := f.out.Services[i].Servers
		for j := range servers {
			for k := range servers[j].Checks {
				f.checks = append(f.checks, &servers[j].Checks[k])
			}
		}
	}
}

// outdated reports whether another configuration has come.
func (f *filling) outdated() bool { return f.daemon.conf != f.conf }

// steps are the slices of work that fill the snapshot.
func (f *filling) steps() (steps []func()) {
	add := func(step func()) {
		steps = append(steps, func() {
			if !f.outdated() {
				step()
			}
		})
	}
	add(f.begin)
	services := f.out.Services
	slicesOfServices(len(services), func(i int) int { return len(services[i].Servers) }, func(from, to int) {
		add(func() { f.services(from, to) })
	})
	for i := 0; i < len(f.checks); i += checksSlice {
		add(func() { f.fillChecks(i, min(i+checksSlice, len(f.checks))) })
	}
	return steps
}

// slicesOfServices divides n services into slices of serversSlice servers or, with those
// of the last service, more.
func slicesOfServices(n int, servers func(i int) int, slice func(from, to int)) {
	from, sum := 0, 0
	for i := range n {
		if sum += servers(i); sum >= serversSlice || i+1 == n {
			slice(from, i+1)
			from, sum = i+1, 0
		}
	}
}

// begin fills in what belongs to no single service.
func (f *filling) begin() {
	f.out.At, f.out.Running = time.Now(), true
	f.out.Notifications = f.notices
	f.out.Table = f.table.Status()
	f.out.Loop = status.Loop(f.loop.Measure())
	for i := range f.out.Files {
		f.out.Files[i].Number = f.numbers[f.out.Files[i].Conf.Name]
	}
	for i := range f.out.Sessions {
		s := &f.out.Sessions[i]
		s.Up, s.Known = f.sessions[s.Name]
	}
}

// services fills in the states of services and of their servers.
func (f *filling) services(from, to int) {
	when := f.clock()
	for i := from; i < to; i++ {
		out := &f.out.Services[i]
		id := policy.ServiceIDOf(out.Conf)
		s, known := f.engine.Service(id)
		if !known {
			continue // of two with one identity the first counts
		}
		out.Up, out.Suspended, out.Since = s.Up, s.Suspended, when(s.Since)
		if f.places != nil {
			f.places[i] = placesOf(s.Config)
		}
		out.Sum, out.Alive, out.Quorum, out.Hysteresis = s.Sum, s.Alive, s.Quorum, s.Hysteresis
		j := 0
		for s := range f.engine.Servers(id) {
			for j < len(out.Servers) && any(out.Servers[j].Conf) != s.Config.Data {
				j++
			}
			if j == len(out.Servers) {
				break
			}
			r := &out.Servers[j]
			r.Up, r.InPool, r.Since = s.Up, s.InPool, when(s.Since)
			r.Weight, r.Failed = s.Weight, s.Failed
			r.Intents = f.orders.on(out.Conf, r.Conf)
		}
	}
}

// fillChecks fills in the states of checks.
func (f *filling) fillChecks(from, to int) {
	when, now := f.clock(), f.loop.Now()
	for i := from; i < to; i++ {
		c, out := f.daemon.checks[i], f.checks[i]
		s := c.life.State()
		out.Disabled = c.why
		out.Active = c.active && c.kind != nil
		out.Up, out.Known = s.Up, s.Known
		_, weight := f.orders.wanted(c.Service, c.Server)
		out.Weight = s.Weight.Adjustment(weight)
		out.Attempts, out.Failures = s.Number, s.Failures
		out.Running = c.life.Running()
		if next := c.life.Next(); out.Active && next != life.Never {
			out.Next = when(next)
		}
		out.Silent = c.life.Silent(now)
		if l := &c.last; l.at != 0 {
			out.Last = status.Result{At: when(l.at), OK: l.ok, Reason: l.reason, Page: int(l.page), Took: l.took}
		}
	}
}

// clock returns what translates a time of the loop.
func (f *filling) clock() func(time.Duration) time.Time {
	offset := f.out.At.Add(-f.loop.Now() + time.Since(f.out.At))
	return offset.Add
}
