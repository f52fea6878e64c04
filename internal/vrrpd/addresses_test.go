package vrrpd

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/vrrp"
)

// sharing returns a configuration of three virtual routers with addresses of both
// families; neighbouring routers share some of them.
func sharing() *conf.Config {
	c := &conf.Config{}
	for i := range 3 {
		r := &conf.VRRPInstance{
			Accept: true,
			GARP:   &conf.GARP{},
			Name:   fmt.Sprintf("VI_%d", i), Interface: "eth0", Family: conf.IPv4, Version: 3, VRID: uint8(i + 1),
			Priority: 100, AdvertInterval: 10 * time.Second, DownTimerAdverts: 3, TTL: 255,
			Group: netip.MustParseAddr("224.0.0.18"),
		}
		for k := range 6 {
			ip := netip.AddrFrom4([4]byte{198, 51, 100, byte(i*4 + k + 1)})
			r.Addresses = append(r.Addresses, conf.Address{Prefix: netip.PrefixFrom(ip, 32), PreferredLft: ^uint32(0)})
			ip6 := netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", i*4+k+1))
			r.Excluded = append(r.Excluded, conf.Address{Prefix: netip.PrefixFrom(ip6, 64), PreferredLft: ^uint32(0)})
		}
		c.Instances = append(c.Instances, r)
	}
	return c
}

// settle turns the loop until the kernel has carried out all requests.
func settle(t testing.TB, d *daemon) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !d.addrs.idle(); d.turn() {
		if time.Now().After(end) {
			t.Fatal("the kernel has not carried out everything within 10 s")
		}
	}
}

// virtualOn lists the virtual addresses that the kernel has on eth0.
func virtualOn(t testing.TB) []string {
	var out []string
	for line := range strings.Lines(ip(t, "-o addr show dev eth0")) {
		if a := strings.Fields(line)[3]; strings.HasPrefix(a, "198.51.100.") || strings.HasPrefix(a, "2001:db8:") {
			out = append(out, a)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestKernelHasWhatIsHeld checks that after any sequence of holding and releasing, with
// and without waiting, the kernel has exactly the addresses that are held, and that our
// own removals are never taken for removals by another program.
func TestKernelHasWhatIsHeld(t *testing.T) {
	d := newTestDaemonWith(t, sharing(), true)
	log := logtest.Capture(t)

	random := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		for range random.IntN(4) {
			d.hold(d.routers[random.IntN(3)], random.IntN(2) == 0)
			if random.IntN(2) == 0 {
				d.addrs.flush()
			}
		}
		d.addrs.flush()
		if random.IntN(3) > 0 {
			continue // continue while the kernel is working
		}
		settle(t, d)
		var want []string
		for _, r := range d.routers {
			if r.held {
				for i := range r.vips {
					want = append(want, r.address(i).Prefix.String())
				}
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		if got := virtualOn(t); !slices.Equal(got, want) {
			t.Fatalf("round %d: the kernel has\n%v\nwant\n%v", round, got, want)
		}
	}
	for _, r := range d.routers {
		d.hold(r, false)
	}
	d.addrs.flush()
	settle(t, d)
	catchUp(t, d)
	if strings.Contains(log.String(), "removed from") {
		t.Errorf("own removals were taken for those of others:\n%s", log.String())
	}
}

// TestForeignRemovalIsNoticed checks that the removal of an address by another program is
// noticed, and that the address is set again if it is still held, both before and after
// the kernel has acknowledged it.
func TestForeignRemovalIsNoticed(t *testing.T) {
	for _, answered := range []bool{true, false} {
		t.Run(fmt.Sprintf("answered=%v", answered), func(t *testing.T) {
			d := newTestDaemonWith(t, sharing(), true)
			log := logtest.Capture(t)
			d.hold(d.routers[0], true)
			d.addrs.flush()
			v := d.routers[0].vips[0]
			if answered {
				settle(t, d)
			} else {
				// The kernel has set the address, but the loop has not read the answer.
				await(t, "the address", func() bool { return slices.Contains(virtualOn(t), v.key.Prefix.String()) })
			}
			ip(t, "addr del "+v.key.Prefix.String()+" dev eth0")
			catchUp(t, d)
			settle(t, d)
			if text := "IP " + v.key.Prefix.Addr().String() + " removed from eth0"; !strings.Contains(log.String(), text) {
				t.Errorf("no %q in the log:\n%s", text, log.String())
			}
			if got := virtualOn(t); !slices.Contains(got, v.key.Prefix.String()) {
				t.Errorf("%v was not set again: %v", v.key.Prefix, got)
			}
		})
	}
}

func await(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s within 30 s", what)
		}
	}
}

// catchUp turns the loop until it has processed all events up to now: events arrive in
// order, and the event of a marker address is the last.
func catchUp(t testing.TB, d *daemon) {
	t.Helper()
	mark := netip.MustParsePrefix("203.0.113.1/32")
	has := func() bool {
		_, ok := d.net.byName["eth0"].addrs[kernel.Key{Link: d.net.byName["eth0"].Index, Prefix: mark}]
		return ok
	}
	for _, word := range []string{"add", "del"} {
		ip(t, "addr "+word+" "+mark.String()+" dev eth0")
		for end := time.Now().Add(30 * time.Second); has() != (word == "add"); d.turn() {
			if time.Now().After(end) {
				t.Fatal("no event within 30 s")
			}
		}
	}
}

// TestOtherProgramRemovesAddresses checks that while another program removes addresses, routers become and cease
// to be master and reloads replace the configuration; soon after that program ends, the
// kernel has all addresses.
func TestOtherProgramRemovesAddresses(t *testing.T) {
	seed := newSeed(t)
	configuration := func(moved bool) *conf.Config { // moved: a third of the addresses belong to a neighbour
		c := owners(6)
		for i, r := range c.Instances {
			r.Addresses = nil
			for k := range 9 {
				of := i
				if moved && k%3 == 0 {
					of = (i + 1) % len(c.Instances)
				}
				p := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(of*9 + k + 1)}), 32)
				r.Addresses = append(r.Addresses, conf.Address{Prefix: p, PreferredLft: ^uint32(0), NoTrack: k%4 == 3})
			}
		}
		return c
	}
	d := newTestDaemon(t, configuration(false))
	quiet(t)
	conn, err := kernel.Dial(0, false)
	if err != nil {
		t.Fatal(err)
	}
	link := d.net.byName["eth0"].Index
	executor := kernel.NewExecutor(conn, nil, func(kernel.Completion) {})
	done := make(chan struct{})
	go func() {
		defer close(done)
		random := rand.New(rand.NewPCG(seed, 1))
		for range 400 {
			var plan []kernel.Change
			for range 1 + random.IntN(12) {
				p := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(1 + random.IntN(54))}), 32)
				plan = append(plan, kernel.Change{Op: kernel.Remove, Object: &kernel.Addr{Link: link, Prefix: p}})
			}
			executor.Submit(0, plan)
			time.Sleep(time.Duration(random.IntN(4000)) * time.Microsecond)
		}
		executor.Close() // returns when all changes are carried out
	}()
	random := rand.New(rand.NewPCG(seed, 2))
	for going := true; going; d.turn() {
		select {
		case <-done:
			going = false
		default:
		}
		switch random.IntN(40) {
		case 0:
			d.reloadNow(configuration(random.IntN(2) == 0))
		case 1:
			r := d.routers[random.IntN(len(d.routers))]
			d.step(r, d.loop.Now(), vrrp.Event{Kind: vrrp.AddressLost})
		}
	}
	catchUp(t, d)
	agreed := func() bool {
		for _, v := range d.addrs.items {
			if v.users != 1 || !v.requested || !v.present || v.doubt {
				return false
			}
		}
		return d.addrs.idle() && len(virtualOn(t)) == 54
	}
	for end := time.Now().Add(30 * time.Second); !agreed(); d.turn() {
		if time.Now().After(end) {
			for _, v := range d.addrs.items {
				t.Logf("%+v", *v)
			}
			t.Fatalf("after 30 s of quiet the kernel has %d of 54 addresses", len(virtualOn(t)))
		}
	}
}

// lossCounter counts the log lines about removals by others, and deletes the addresses
// that they name from unreported.
type lossCounter struct {
	slog.Handler
	n          *int
	unreported map[string]bool
}

func (lossCounter) Enabled(context.Context, slog.Level) bool { return true }

func (l lossCounter) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "removed from") {
		*l.n++
		maps.DeleteFunc(l.unreported, func(addr string, _ bool) bool { return strings.Contains(r.Message, " "+addr+" ") })
	}
	return nil
}

var seedFlag = flag.Uint64("seed", 0, "repeat the random test with this seed")

// newSeed returns the seed of a random test and logs it, so that a failure can be
// repeated.
func newSeed(t *testing.T) uint64 {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("to repeat: -seed %d", seed)
	return seed
}

func quiet(t testing.TB) {
	before := slog.Default()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	t.Cleanup(func() { slog.SetDefault(before) })
}

// kernelModel carries out plans change by change. As the kernel does, it reports late and
// in two ways that are not ordered with each other: by answers and by events.
type kernelModel struct {
	has     map[kernel.Key]uint8 // the port that has set each address
	work    []kernel.Completion  // plans in progress, each with the results so far
	begun   int                  // changes of the first plan that are done
	answers []kernel.Completion
	stream  []any // of kernel.Event or func(), in order
	taken   int   // addresses of others that were removed before we knew their owner
}

const (
	modelPort = 7
	others    = 0
)

func (k *kernelModel) Submit(id uint64, changes []kernel.Change) {
	k.work = append(k.work, kernel.Completion{ID: id, Changes: changes})
}

// work1 carries out one change.
func (k *kernelModel) work1() {
	if len(k.work) == 0 {
		return
	}
	p := &k.work[0]
	c := p.Changes[k.begun]
	a := c.Object.(*kernel.Addr)
	if k.begun++; c.Op == kernel.Remove {
		if proto, there := k.has[a.Key()]; there && proto == others {
			k.taken++
		}
		k.remove(a.Key(), modelPort)
	} else if _, there := k.has[a.Key()]; there {
		if p.Found == nil {
			p.Found = make([]kernel.Found, len(p.Changes))
		}
		if p.Found[k.begun-1] = kernel.FoundThere; k.has[a.Key()] == others {
			p.Found[k.begun-1] = kernel.FoundForeign
		}
	} else {
		k.has[a.Key()] = kernel.AddrProto
		if a.Prefix.Addr().Is6() { // the kernel sends no such event for IPv4, see kernel.Watch
			k.stream = append(k.stream, kernel.Event{Kind: kernel.AddrNew, Addr: *a})
		}
	}
	if k.begun == len(p.Changes) {
		p.Last = true
		k.answers = append(k.answers, *p)
		k.work, k.begun = k.work[1:], 0
	}
}

// removes reports whether a plan in progress will remove the address.
func (k *kernelModel) removes(key kernel.Key) bool {
	for i, p := range k.work {
		changes := p.Changes
		if i == 0 {
			changes = changes[k.begun:]
		}
		if slices.ContainsFunc(changes, func(c kernel.Change) bool {
			return c.Op == kernel.Remove && c.Object.(*kernel.Addr).Key() == key
		}) {
			return true
		}
	}
	return false
}

func (k *kernelModel) remove(key kernel.Key, port uint32) bool {
	if _, there := k.has[key]; !there {
		return false
	}
	delete(k.has, key)
	if key.Prefix.Addr().Is6() {
		port = 0 // the kernel does not report the port
	}
	k.stream = append(k.stream, kernel.Event{Kind: kernel.AddrGone, PortID: port, Addr: kernel.Addr{Link: key.Link, Prefix: key.Prefix}})
	return true
}

// TestTableAgreesWithKernel checks for any order of wishes, requests, answers, events,
// readings of the kernel's state and changes by other programs: in the end the kernel has
// the addresses that are wanted and, except for addresses set by other programs, no
// others; the number of reported losses does not exceed the number of removals by others.
// A removal from a router that has wanted the address ever since is reported, unless its
// event was lost or another program set the address again.
func TestTableAgreesWithKernel(t *testing.T) {
	quiet(t)
	seed := newSeed(t)
	for round := range uint64(3000) {
		if !t.Run("", func(t *testing.T) { tableRound(t, rand.New(rand.NewPCG(seed, round)), round) }) {
			t.Fatalf("round %d of seed %d", round, seed)
		}
	}
}

func tableRound(t *testing.T, random *rand.Rand, round uint64) {
	k := &kernelModel{has: map[kernel.Key]uint8{}}
	l := kernel.Link{Index: 2, Name: "eth0"}
	d := &daemon{loop: newTestLoop(t), net: newNetwork([]kernel.Link{l}, nil), port: modelPort, announcer: &announcer{}}
	d.static = newStatic(&conf.Config{})
	d.addrs.init(k, func() {}, logRefusal, d.firewallRefused)
	lost, removals := 0, 0
	var vips []*vip
	var addrs []kernel.Addr
	for _, p := range []string{"198.51.100.1/32", "198.51.100.2/32", "2001:db8::1/64", "2001:db8::2/64"} {
		a := kernel.Addr{Link: 2, Prefix: netip.MustParsePrefix(p), Proto: kernel.AddrProto}
		v, _ := d.addrs.get(a.Key())
		v.onDelete = conf.OnDeleteYield
		v.refs = 1
		v.owner = &router{conf: &conf.VRRPInstance{GARP: &conf.GARP{}}, engine: vrrp.New(vrrp.Config{})}
		vips, addrs = append(vips, v), append(addrs, a)
	}
	unreported := map[string]bool{}
	slog.SetDefault(slog.New(lossCounter{slog.DiscardHandler, &lost, unreported}))
	event := func() {
		if len(k.stream) == 0 {
			return
		}
		next := k.stream[0]
		k.stream = k.stream[1:]
		switch e := next.(type) {
		case kernel.Event:
			d.handleEvents([]kernel.Event{e})
		case func():
			e()
		}
	}
	answer := func() {
		if len(k.answers) > 0 {
			c := k.answers[0]
			k.answers = k.answers[1:]
			d.carriedOut(c)
		}
	}
	read := func() {
		told := d.addrs.done.Load()
		r := &reading{links: []kernel.Link{l}, allLinks: true, allAddrs: random.IntN(2) == 0}
		for key, proto := range k.has {
			if r.allAddrs || random.IntN(2) == 0 {
				r.addrs = append(r.addrs, kernel.Addr{Link: 2, Prefix: key.Prefix, Proto: proto})
			}
		}
		k.stream = append(k.stream, func() { d.takeUp(d.net.changes(r), told) })
	}
	for range 60 {
		i := random.IntN(len(vips))
		v, key := vips[i], addrs[i].Key()
		switch random.IntN(12) {
		case 0, 1:
			if v.users == 0 {
				d.addrs.acquire(v, addrs[i], v.owner)
			}
		case 2:
			if v.users > 0 {
				d.addrs.release(v)
				delete(unreported, key.Prefix.Addr().String())
			}
		case 3:
			ours := k.has[key] == kernel.AddrProto
			if k.remove(key, others) {
				removals++
				if ours && v.users > 0 && v.requested && !k.removes(key) {
					unreported[key.Prefix.Addr().String()] = true
				}
			}
		case 4:
			if _, there := k.has[key]; !there {
				k.has[key] = others
				delete(unreported, key.Prefix.Addr().String())
				k.stream = append(k.stream, kernel.Event{Kind: kernel.AddrNew, Addr: kernel.Addr{Link: 2, Prefix: key.Prefix}})
			}
		case 5: // all waiting events are lost, and the state is read
			if random.IntN(4) == 0 {
				k.stream = nil
				clear(unreported)
			}
			read()
		case 6, 7:
			event()
		case 8:
			answer()
		case 9, 10:
			k.work1()
		}
		if random.IntN(2) == 0 {
			d.addrs.flush()
		}
	}
	// No more changes: one complete reading, because events may have been lost.
	for range 3 {
		k.stream = append(k.stream, func() {})
		for len(k.stream)+len(k.work)+len(k.answers)+len(d.addrs.dirty) > 0 {
			event()
			k.work1()
			answer()
			d.addrs.flush()
		}
		told := d.addrs.done.Load()
		r := &reading{links: []kernel.Link{l}, allLinks: true, allAddrs: true}
		for key, proto := range k.has {
			r.addrs = append(r.addrs, kernel.Addr{Link: 2, Prefix: key.Prefix, Proto: proto})
		}
		d.takeUp(d.net.changes(r), told)
	}
	for i, v := range vips {
		proto, there := k.has[addrs[i].Key()]
		switch {
		case v.users > 0 && !there:
			t.Errorf("round %d: %v is wanted and not there: %+v", round, v.key.Prefix, *v)
		case v.users == 0 && there && proto == kernel.AddrProto:
			t.Errorf("round %d: %v of ours is there and not wanted: %+v", round, v.key.Prefix, *v)
		case there != v.present && v.users > 0:
			t.Errorf("round %d: %v: there %v, present %v", round, v.key.Prefix, there, v.present)
		}
	}
	for addr := range unreported {
		t.Errorf("round %d: no router was notified that %s was removed", round, addr)
	}
	if lost > removals+k.taken {
		t.Errorf("round %d: %d losses for %d removals by others", round, lost, removals)
	}
}

// TestAddressThatWasThere checks that an address that existed before the daemon stays: at
// the start, as backup and master, when a reload drops it, and at the stop. An address
// left by a predecessor of ours is removed. When another program removes the existing
// address, the daemon sets it and owns it from then on.
func TestAddressThatWasThere(t *testing.T) {
	c := owners(2)
	c.Instances[0].Priority, c.Instances[0].AdvertInterval = 100, 10*time.Second // stays backup
	theirs, left := c.Instances[0].Addresses[0].Prefix, netip.MustParsePrefix("198.51.100.9/32")
	c.Instances[0].Addresses = append(c.Instances[0].Addresses, conf.Address{Prefix: left, PreferredLft: ^uint32(0)})
	d := newTestDaemonAfter(t, c, func() {
		ip(t, "addr add "+theirs.String()+" dev eth0")
		conn, err := kernel.Dial(0, false)
		if err != nil {
			t.Fatal(err)
		}
		links, err := conn.Links()
		if err != nil {
			t.Fatal(err)
		}
		e := kernel.NewExecutor(conn, nil, func(kernel.Completion) {})
		for _, l := range links {
			if l.Name == "eth0" {
				e.Submit(0, []kernel.Change{{Op: kernel.Add, Object: &kernel.Addr{Link: l.Index, Prefix: left, Proto: kernel.AddrProto}}})
			}
		}
		e.Close()
	})
	has := func(p netip.Prefix) bool { return slices.Contains(virtualOn(t), p.String()) }
	until := func(what string, f func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !f(); d.turn() {
			if time.Now().After(end) {
				t.Fatal("waited in vain: " + what)
			}
		}
	}
	until("the leftover is removed", func() bool { return d.addrs.idle() && !has(left) })
	r := d.routers[0]
	for _, held := range []bool{false, true, false} {
		d.hold(r, held)
		d.addrs.flush()
		settle(t, d)
		if !has(theirs) || has(left) != held {
			t.Errorf("held %v: the kernel has %v", held, virtualOn(t))
		}
	}
	d.hold(r, true)
	d.addrs.flush()
	settle(t, d)
	if v := r.vips[0]; !v.present || d.addrs.isVirtual(v.key) {
		t.Errorf("%+v: not taken for an address of the machine", *v)
	}
	ip(t, "addr del "+theirs.String()+" dev eth0")
	catchUp(t, d)
	until("it is set by us", func() bool { return d.addrs.idle() && has(theirs) })
	d.hold(r, false)
	d.addrs.flush()
	settle(t, d)
	if has(theirs) {
		t.Error("an address that we had set was left behind")
	}
	ip(t, "addr add "+theirs.String()+" dev eth0")
	catchUp(t, d)
	d.hold(r, true)
	d.addrs.flush()
	settle(t, d)
	d.hold(r, false) // as a stop does
	d.addrs.flush()
	settle(t, d)
	if !has(theirs) || has(left) {
		t.Errorf("after the stop the kernel has %v, want %v of the virtual ones", virtualOn(t), theirs)
	}
}

// plans is an executor that records the changes submitted to it.
type plans [][]kernel.Change

func (p *plans) Submit(_ uint64, changes []kernel.Change) { *p = append(*p, changes) }

// TestVIPOutlivesItsLink checks that a vip outlives its link while a router can still ask
// for it: the link may disappear and return before the router notices.
func TestVIPOutlivesItsLink(t *testing.T) {
	for _, dirty := range []bool{false, true} {
		var asked plans
		table := &addressTable{}
		table.init(&asked, func() {}, logRefusal, nil)
		a := kernel.Addr{Link: 2, Prefix: netip.MustParsePrefix("198.51.100.1/32")}
		r := &router{}
		v, _ := table.get(a.Key())
		v.refs = 1
		table.acquire(v, a, r)
		table.flush()
		table.completed(kernel.Completion{ID: 1, Changes: asked[0], Last: true})
		table.release(v)
		if !dirty {
			table.flush()
			table.completed(kernel.Completion{ID: 2, Changes: asked[1], Last: true})
		}
		table.linkGone(2)
		if again, _ := table.get(a.Key()); again != v {
			t.Fatalf("dirty %t: another vip of the same address", dirty)
		}
		table.acquire(v, a, r)
		table.flush()
		if last := asked[len(asked)-1]; len(last) != 1 || last[0].Op != kernel.Add {
			t.Errorf("dirty %t: asked for %v", dirty, last)
		}
		table.completed(kernel.Completion{ID: uint64(len(asked)), Changes: asked[len(asked)-1], Last: true})
		table.release(v)
		v.refs = 0
		table.linkGone(2)
		table.flush()
		if len(table.items) != 0 {
			t.Errorf("dirty %t: %d vips left", dirty, len(table.items))
		}
	}
}

// TestAddressMovesToBackup checks that an address that a reload moves from a master to a
// backup is set when the backup becomes master.
func TestAddressMovesToBackup(t *testing.T) {
	quiet(t)
	c := patient(owners(2))
	moved := patient(owners(2))
	moved.Instances[1].Priority = 100
	moved.Instances[1].Addresses = append(moved.Instances[1].Addresses, moved.Instances[0].Addresses[0])
	moved.Instances[0].Addresses = []conf.Address{{Prefix: netip.MustParsePrefix("203.0.113.9/32")}}
	c.Instances[1].Priority = 100
	d, k := newMemoryDaemon(t, c)
	first := d.routers[0].vips[0].key.Prefix
	turnUntil(t, d, "the first master", func() bool { return k.Has(memoryLink, first) })
	for _, next := range []*conf.Config{moved, c, moved} {
		d.reloadNow(next)
		turnUntil(t, d, "the reload", func() bool { return d.addrs.idle() })
		for _, r := range d.routers {
			for _, v := range r.vips {
				if d.addrs.items[v.key] != v {
					t.Fatalf("%v of %s is not in the table", v.key.Prefix, r.conf.Name)
				}
			}
		}
	}
	if k.Has(memoryLink, first) {
		t.Errorf("%v is there, though its router is a backup", first)
	}
	d.hold(d.routers[1], true)
	d.addrs.flush()
	turnUntil(t, d, "the address with the second", func() bool { return k.Has(memoryLink, first) })
}
