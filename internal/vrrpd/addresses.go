package vrrpd

import (
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/firewall"
	"keepalived-go/internal/linux/kernel"
)

// An item is one thing that the kernel holds for a virtual router while it is master:
// an address on a link, a route, a rule. What is wanted (users) and what is known of
// the kernel are compared when a turn of the loop ends, and the difference is asked for,
// until the two agree. So an address that moves from one virtual router to another, or
// that a predecessor left behind for us, is not touched at all.
//
// What is known of the kernel is what it was last asked for, once it has
// answered. Whatever contradicts that – an event, a dump, a refusal – puts it
// in doubt, never more: the kernel may have done what was asked after that. It
// is asked again then, which does no harm where it was needless. There is no
// order between answers and events that would have to be known.
type item[O any, K comparable] struct {
	key   K
	owner *router // the one that asked last, or may ask next; nil: it is not known
	refs  int32   // routers that have it in their lists
	users int32   // the users that want it in the kernel now
	sent  O       // how the kernel was asked to have it last, if it was
	job   uint64  // the submission that asked
	since uint64  // the first submission that asked for it after the last removal of ours

	// onDelete is what follows when another program removes it, for the router that has
	// claimed it last.
	onDelete conf.OnDelete

	requested bool // the kernel was asked to have it, and not to remove it since
	doubt     bool // what was asked for need not hold any more: ask again
	fresh     bool // it was not ours before it was asked for last
	present   bool // the kernel has it, as far as is known
	failed    bool // the kernel refused what was asked last; logged once
	waits     bool // it is asked for when refusals are, so that others cannot have it set at any rate
	had       bool // the kernel has confirmed it after since: if setting it again finds it gone, it was lost

	// theirs: others set it while we did not hold it. That it is there
	// suffices, and it is never changed or removed.
	theirs bool

	dirty int // place in the table's list, from 1; 0: not there
}

// The items of each kind.
type (
	vip      = item[kernel.Addr, kernel.Key]
	heldPath = item[kernel.Route, kernel.RouteKey]
	heldRule = item[kernel.Rule, kernel.Rule]
	heldLink = item[kernel.MadeLink, kernel.LinkKey]

	heldTable = item[firewall.Table, firewall.Table]
	heldEntry = item[firewall.Entry, firewall.Entry]
)

// keyed is what a table must know of a kind of objects.
type keyed[O any, K comparable] interface {
	kernel.Keyed[O, K]

	// Equal reports whether the object and another, both wished, are the same.
	Equal(other *O) bool

	// On reports whether the object ends with a link.
	On(link int) bool
}

// A wish is how an item is wanted, if it is: kept only until the kernel is asked,
// for there may be thousands.
type wish[O any, K comparable] struct {
	v    *item[O, K]
	want O
}

// executor carries out plans: a kernel.Executor.
type executor interface {
	Submit(id uint64, changes []kernel.Change)
}

// atOnce is the executor of a daemon. Few changes are carried out before the turn ends:
// a thread to wake takes longer than the kernel does. If the kernel takes its time, the
// loop turns meanwhile.
type atOnce struct{ d *daemon }

// fewChanges is how many changes the kernel carries out in some hundred microseconds.
const fewChanges = 16

func (e atOnce) Submit(id uint64, changes []kernel.Change) {
	if len(changes) > fewChanges {
		e.d.exec.Submit(id, changes)
		return
	}
	e.d.loop.Aside(func() { e.d.exec.Carry(id, changes) }, func() bool {
		e.d.turn()
		return e.d.err == nil
	})
}

// table is all items of one kind.
type table[O any, K comparable, P keyed[O, K]] struct {
	items map[K]*item[O, K]
	edits uint64       // changes of which keys there are
	dirty []wish[O, K] // to be looked at when the turn ends
	jobs  *jobs

	inherited []*item[O, K] // held until settle
	restored  int           // items that others have removed and that are set again, since retryFailed

	later  func() // has retryFailed called, retryAddresses after the first refusal
	failAt func(owner *router, c kernel.Change, err error)

	// named reports whether events of the removal of an item name the program, which
	// then decide whether the item was lost. Otherwise setting it again shows it.
	named func(k K) bool
}

// jobs counts what the executor is given.
type jobs struct {
	begun uint64        // submissions so far
	done  atomic.Uint64 // submissions carried out; others may read it
}

// addressTable is the one desired state: the items of all kinds, and the executor that
// carries out their changes.
type addressTable struct {
	table[kernel.Addr, kernel.Key, *kernel.Addr]
	jobs
	routes table[kernel.Route, kernel.RouteKey, *kernel.Route]
	rules  table[kernel.Rule, kernel.Rule, *kernel.Rule]
	links  table[kernel.MadeLink, kernel.LinkKey, *kernel.MadeLink]

	// Of the firewall: its tables, and what they act on.
	tables  table[firewall.Table, firewall.Table, *firewall.Table]
	entries table[firewall.Entry, firewall.Entry, *firewall.Entry]

	kinds []kind // all of them, each before those that it depends on

	slots map[kernel.Slot][]*heldPath // of all routes
	exec  executor

	removal func() kernel.LinkGroup // a group of links that no link is in
	reports []kernel.Change         // of links, to be asked for at the end of the next plan
}

// kind is the table of one kind, whatever it is.
type kind interface {
	plan() []kernel.Change
	ask([]kernel.Change)
	settle()
	retryFailed()
	pending() bool
	holds() bool
}

// retryAddresses is how long the kernel's refusal of a change is left alone.
const retryAddresses = time.Second

// init makes the tables, empty.
func (t *addressTable) init(exec executor, later func(), failAt, firewallAt func(owner *router, c kernel.Change, err error)) {
	t.exec = exec
	t.table.init(&t.jobs, later, failAt, func(k kernel.Key) bool { return k.Prefix.Addr().Is4() })
	t.routes.init(&t.jobs, later, failAt, func(kernel.RouteKey) bool { return false })
	t.rules.init(&t.jobs, later, failAt, func(kernel.Rule) bool { return false })
	t.links.init(&t.jobs, later, failAt, func(kernel.LinkKey) bool { return true })
	t.entries.init(&t.jobs, later, firewallAt, func(firewall.Entry) bool { return false })
	t.tables.init(&t.jobs, later, firewallAt, func(firewall.Table) bool { return false })
	// Rules lead to the routes of their tables, routes are by addresses and from them, and
	// addresses are on links. What an address receives, and what a link sends, is dropped
	// before the one is there and the other is up, and until both are gone.
	t.kinds = []kind{&t.rules, &t.routes, &t.table, &t.links, &t.entries, &t.tables}
	t.slots = map[kernel.Slot][]*heldPath{}
}

func (t *table[O, K, P]) init(j *jobs, later func(), failAt func(owner *router, c kernel.Change, err error), named func(K) bool) {
	t.items, t.jobs, t.later, t.failAt, t.named = map[K]*item[O, K]{}, j, later, failAt, named
}

// get returns the item of k, and whether it is new.
func (t *table[O, K, P]) get(k K) (v *item[O, K], fresh bool) {
	if v = t.items[k]; v == nil {
		v, fresh = &item[O, K]{key: k}, true
		t.items[k] = v
		t.edits++
	}
	return v, fresh
}

// inherit takes over what a predecessor has left in the kernel, and holds it until
// settle: by then the engines that continue have asked for what they need.
func (t *table[O, K, P]) inherit(a O) {
	v, _ := t.get(P(&a).Key())
	v.requested, v.sent, v.present, v.theirs, v.had = true, a, true, false, true
	v.users++
	t.inherited = append(t.inherited, v)
	t.touch(v)
}

// hold has v wanted until settle, as a predecessor may have left it.
func (t *table[O, K, P]) hold(v *item[O, K], want O) {
	t.acquire(v, want, v.owner)
	t.inherited = append(t.inherited, v)
}

// holds reports whether something is held that was inherited.
func (t *table[O, K, P]) holds() bool { return len(t.inherited) > 0 }

// pending reports whether there are items to be looked at when the turn ends.
func (t *table[O, K, P]) pending() bool { return len(t.dirty) > 0 }

// settle gives up what was inherited.
func (t *table[O, K, P]) settle() {
	for _, v := range t.inherited {
		t.release(v)
	}
	t.inherited = nil
}

// acquire makes the kernel have v as r wants it.
func (t *table[O, K, P]) acquire(v *item[O, K], want O, r *router) {
	v.users++
	v.owner = r
	t.touch(v).want = want
}

// release ends one acquire.
func (t *table[O, K, P]) release(v *item[O, K]) {
	v.users--
	t.touch(v)
}

// disown gives up the list that r had until now. What r still has is in its new list,
// which counts already.
func (t *table[O, K, P]) disown(r *router, had, has []*item[O, K]) {
	kept := make(map[*item[O, K]]bool, len(has))
	for _, v := range has {
		kept[v] = true
	}
	for _, v := range had {
		if v == nil {
			continue
		}
		v.refs--
		if v.owner == r && !kept[v] {
			v.owner = nil
		}
		t.reap(v)
	}
}

// touch has v looked at when the turn ends: as it was wanted before, unless the
// caller decides otherwise.
func (t *table[O, K, P]) touch(v *item[O, K]) *wish[O, K] {
	if v.dirty == 0 {
		t.dirty = append(t.dirty, wish[O, K]{v, v.sent})
		v.dirty = len(t.dirty)
	}
	return &t.dirty[v.dirty-1]
}

// isVirtual reports whether the address is a virtual one rather than one that the
// machine has whatever the state of a virtual router is.
func (t *addressTable) isVirtual(k kernel.Key) bool {
	return t.isOurs(k) && !t.items[k].owner.static()
}

// isOurs reports whether the address is one of ours, virtual or static, rather than one
// that other programs have set.
func (t *addressTable) isOurs(k kernel.Key) bool {
	v := t.items[k]
	return v != nil && (v.refs > 0 || v.requested) && !v.theirs
}

// flush asks the kernel for the difference between what it should have and what
// is known of it, as one plan: nothing refers to what is not there.
func (t *addressTable) flush() {
	if t.clean() {
		return
	}
	var changes []kernel.Change
	plans := make([][]kernel.Change, len(t.kinds))
	for i, k := range t.kinds {
		plans[i] = k.plan()
		p := plans[i]
		if k == kind(&t.links) {
			p = t.together(p)
		}
		changes = append(changes, p[:removals(p)]...)
	}
	for _, p := range slices.Backward(plans) {
		changes = append(changes, p[removals(p):]...)
	}
	changes = append(changes, t.reports...)
	t.reports = nil
	if len(changes) == 0 {
		return
	}
	t.begun++
	for i, k := range t.kinds {
		k.ask(plans[i])
	}
	t.exec.Submit(t.begun, changes)
}

// clean reports whether there is nothing to look at.
func (t *addressTable) clean() bool {
	return len(t.reports) == 0 && !slices.ContainsFunc(t.kinds, kind.pending)
}

// together has the links that a plan removes removed together: group, too, is a removal.
func (t *addressTable) together(links []kernel.Change) []kernel.Change {
	n := removals(links)
	if n == 0 {
		return links
	}
	group := t.removal()
	for _, c := range links[:n] {
		c.Object.(*kernel.MadeLink).Removal = uint32(group)
	}
	return slices.Insert(slices.Clone(links), n, kernel.Change{Op: kernel.Remove, Object: group})
}

// removals is how many removals a plan begins with.
func removals(plan []kernel.Change) int {
	n := slices.IndexFunc(plan, func(c kernel.Change) bool { return c.Op != kernel.Remove })
	if n < 0 {
		return len(plan)
	}
	return n
}

// plan returns the difference for the items of the kind.
func (t *table[O, K, P]) plan() []kernel.Change {
	if len(t.dirty) == 0 {
		return nil
	}
	var have, want []O
	for i := range t.dirty {
		w := &t.dirty[i]
		v := w.v
		v.dirty = 0
		wanted, same := v.users > 0, P(&v.sent).Equal(&w.want)
		switch {
		case v.theirs:
			v.sent = w.want // should it be needed
			continue
		case wanted && same && v.requested && !v.doubt:
			continue
		case !wanted && !v.requested && !v.doubt:
			t.reap(v)
			continue
		case wanted:
			want = append(want, w.want)
		}
		// What is in doubt and wanted just so is added once more: that it is there
		// is a success, too.
		if (v.requested || v.doubt) && !(wanted && same) {
			have = append(have, v.sent)
		}
	}
	t.dirty = nil
	changes := kernel.Diff[O, K, P](have, want)
	for i := range want {
		t.items[P(&want[i]).Key()].sent = want[i] // also where Diff finds that nothing need be done
	}
	return changes
}

// ask notes that the changes are asked for by the submission that has begun last.
func (t *table[O, K, P]) ask(changes []kernel.Change) {
	job := t.jobs.begun
	for i := range changes {
		v := t.items[changes[i].Object.(P).Key()]
		if v.job != job {
			v.fresh = !v.requested && !v.doubt
		}
		if changes[i].Op == kernel.Remove {
			v.had = false
		} else if !v.requested {
			v.since = job
		}
		v.job, v.present, v.doubt, v.waits = job, false, false, false
		v.requested = changes[i].Op != kernel.Remove
	}
}

// completed notes what the kernel answered to one chunk of a submission, and
// returns which items have turned out to be lost before.
func (t *addressTable) completed(c kernel.Completion) (lost losses) {
	for i := range c.Changes {
		switch o := c.Changes[i].Object.(type) {
		case *kernel.Addr:
			if v := t.answered(&c, i, o.Key()); v != nil {
				lost.addrs = append(lost.addrs, v)
			}
		case *kernel.Route:
			if v := t.routes.answered(&c, i, o.Key()); v != nil {
				lost.routes = append(lost.routes, v)
			}
			t.reapSlot(o)
		case *kernel.Rule:
			if v := t.rules.answered(&c, i, o.Key()); v != nil {
				lost.rules = append(lost.rules, v)
			}
		case *kernel.MadeLink:
			t.links.answered(&c, i, o.Key())
		case kernel.LinkGroup, kernel.LinkReport:
			if c.Errs != nil && c.Errs[i] != nil {
				slog.Error(c.Errs[i].Error())
			}
		case *firewall.Table:
			if v := t.tables.answered(&c, i, o.Key()); v != nil {
				lost.tables = append(lost.tables, v)
			}
		case *firewall.Entry:
			t.entries.answered(&c, i, o.Key()) // what is lost of them is lost with the table
		}
	}
	if c.Last {
		t.done.Add(1)
	}
	return lost
}

// losses are the items that others have taken away.
type losses struct {
	addrs  []*vip
	routes []*heldPath
	rules  []*heldRule
	tables []*heldTable
}

// answered notes the kernel's answer to the change i of c, of the item with the key
// k, and returns the item if it has turned out to be lost before.
func (t *table[O, K, P]) answered(c *kernel.Completion, i int, k K) (lost *item[O, K]) {
	ch, v := &c.Changes[i], t.items[k]
	if v == nil { // its link is gone
		return nil
	}
	if ch.Op != kernel.Remove && v.requested && c.ID >= v.since && v.confirmed(c, i, t.named(k)) {
		lost = v
	}
	if v.job != c.ID { // it was asked for something else since
		return lost
	}
	if v.requested && ch.Op == kernel.Remove {
		return lost // to be set again by the same plan: that answer counts
	}
	var err error
	if c.Errs != nil {
		err = c.Errs[i]
	}
	switch {
	case err == nil:
		v.failed = false
		if v.doubt || v.theirs {
			return lost // it is asked again; others were quicker
		}
		v.present = v.requested
		found := kernel.NotFound
		if c.Found != nil {
			found = c.Found[i]
		}
		if found == kernel.FoundForeign && v.fresh {
			v.requested = false
			t.foreign(v, v.sent)
		}
	default:
		if !v.failed {
			v.failed = true
			t.failAt(v.owner, *ch, err)
		}
		v.doubt = true
		t.later()
	}
	t.reap(v)
	return lost
}

// confirmed notes the kernel's answer to a request to have v, the change i of c, and
// reports whether another program had removed v before, unless events decide that,
// because they name the program. After our last removal we have only asked to have the
// item. So if the kernel has had it after that, and has to set it again or refuses to,
// another program has removed it, whatever the order of answers and events is.
func (v *item[O, K]) confirmed(c *kernel.Completion, i int, named bool) (lost bool) {
	refused := c.Errs != nil && c.Errs[i] != nil
	found := !refused && c.Found != nil && c.Found[i] != kernel.NotFound
	lost = v.had && !found && v.watched() && !named
	v.had = !refused
	return lost
}

// retryFailed asks again for what the kernel refused.
func (t *table[O, K, P]) retryFailed() {
	t.restored = 0
	for _, v := range t.items {
		if (v.failed || v.waits) && v.doubt {
			t.touch(v)
		}
	}
}

// removed notes that an item is reported as gone, and returns whether it is
// one that a virtual router holds and watches. It is set again in any case,
// unless it is released first.
func (t *table[O, K, P]) removed(v *item[O, K]) (lost bool) {
	switch {
	case v.theirs:
		v.theirs, v.had = false, v.users > 0
		t.edits++
	case v.requested:
		v.doubt = true
	default:
		return false
	}
	v.present = false
	if v.users > 0 && t.paced(v) {
		v.doubt, v.waits = true, true
		t.later()
	} else {
		t.touch(v)
	}
	return v.users > 0 && v.watched() && !v.owner.static()
}

// restoredAtOnce is how many items are set again at once that another program removes,
// until retryFailed is called.
const restoredAtOnce = 64

// paced reports whether v, which is gone, waits until retryFailed is called: for what is
// set again whenever it goes, another program must not decide how often.
func (t *table[O, K, P]) paced(v *item[O, K]) bool {
	switch {
	case v.owner.static():
		return true
	case v.onDelete != conf.OnDeleteRestore:
		return false
	case t.restored == 0:
		t.later() // it ends the count
	}
	t.restored++
	return t.restored > restoredAtOnce
}

// watched reports whether something follows when another program removes v.
func (v *item[O, K]) watched() bool { return v.onDelete != conf.OnDeleteUnset }

// uncertain notes that the kernel may have dropped v because of what has become of a
// link or an address: no program has removed it.
func (v *item[O, K]) uncertain() {
	if v.requested && !v.theirs {
		v.doubt, v.present, v.had = true, false, false
	}
}

// left notes that v is gone and stays so until it is wanted again.
func (t *table[O, K, P]) left(v *item[O, K]) {
	v.requested, v.doubt, v.present, v.theirs, v.failed, v.had, v.waits = false, false, false, false, false, false, false
	v.job = 0 // an answer that is still to come is of no matter
	t.reap(v)
}

// foreign notes that others have set an item, and reports whether that is
// news: what we hold is ours, even if another program sets it again.
func (t *table[O, K, P]) foreign(v *item[O, K], a O) bool {
	if v.theirs || v.requested || v.doubt {
		return false
	}
	v.theirs, v.present, v.sent = true, true, a
	t.edits++
	return true
}

// linkGone forgets what was on a link: the kernel has removed it all.
func (t *table[O, K, P]) linkGone(link int) {
	for _, v := range t.items {
		switch {
		case !P(&v.sent).On(link):
		case v.job > t.jobs.done.Load() && v.requested:
			// It may have come back, with the same index, before it was set.
			v.doubt, v.present, v.had, v.since = true, false, false, t.jobs.begun+1
			t.touch(v)
		default:
			t.left(v)
		}
	}
}

// reap forgets an item that no router needs any more.
func (t *table[O, K, P]) reap(v *item[O, K]) {
	if v.users == 0 && v.refs == 0 && !v.requested && !v.doubt && v.dirty == 0 {
		delete(t.items, v.key)
		t.edits++
	}
}

// inherits reports whether something is held that was inherited.
func (t *addressTable) inherits() bool { return slices.ContainsFunc(t.kinds, kind.holds) }

// settle gives up what was inherited of all kinds.
func (t *addressTable) settle() {
	for _, k := range t.kinds {
		k.settle()
	}
}

// idle reports whether the kernel has carried out everything.
func (t *addressTable) idle() bool {
	return t.clean() && t.begun == t.done.Load()
}

// retryFailed asks again for what the kernel refused.
func (t *addressTable) retryFailed() {
	for _, k := range t.kinds {
		k.retryFailed()
	}
}

// logRefusal logs what the kernel refused, and why.
func logRefusal(owner *router, c kernel.Change, err error) {
	name := ""
	if owner != nil {
		name = owner.conf.Name
	}
	text := err.Error()
	if l, ok := c.Object.(*kernel.MadeLink); ok && c.Op == kernel.Add {
		text += l.Remedy(err)
	}
	slog.Error("("+name+") "+text, "instance", name, "change", c.String())
}
