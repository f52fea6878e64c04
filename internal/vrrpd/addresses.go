package vrrpd

import (
	"log/slog"
	"sync/atomic"
	"time"

	"keepalived-go/internal/linux/kernel"
)

// A vip is one address on one link that a virtual router holds while it is
// master. What is wanted (users) and what is known of the kernel are compared
// when a turn of the loop ends, and the difference is asked for, until the two
// agree. So an address that moves from one virtual router to another, or that a
// predecessor left behind for us, is not touched at all.
//
// What is known of the kernel is what it was last asked for, once it has
// answered. Whatever contradicts that – an event, a dump, a refusal – puts it
// in doubt, never more: the kernel may have done what was asked after that. It
// is asked again then, which does no harm where it was needless. There is no
// order between answers and events that would have to be known.
type vip struct {
	key     kernel.Key
	refs    int     // routers that have it in their lists
	users   int     // of them, those that want it in the kernel now
	owner   *router // the one that asked last, or may ask next; nil: it is not known
	noTrack bool

	requested bool        // the kernel was asked to have it, and not to remove it since
	sent      kernel.Addr // how, when asked last
	doubt     bool        // what was asked for need not hold any more: ask again
	fresh     bool        // it was not ours before it was asked for last
	job       uint64      // the submission that asked
	present   bool        // the kernel has it, as far as is known
	failed    bool        // the kernel refused what was asked last; logged once
	since     uint64      // the first submission that asked for it after the last removal of ours
	had       bool        // the kernel has confirmed it after that: if setting it again finds it gone, it was lost

	// theirs: others set it while we did not hold it. That it is there
	// suffices, and it is never changed or removed.
	theirs bool

	dirty int // place in the table's list, from 1; 0: not there
}

// A wish is how a vip is wanted, if it is: kept only until the kernel is asked,
// for there may be thousands.
type wish struct {
	v    *vip
	want kernel.Addr
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

// addressTable is all vips and the executor that carries out their changes.
type addressTable struct {
	vips   map[kernel.Key]*vip
	edits  uint64 // changes of which addresses are virtual
	dirty  []wish // to be looked at when the turn ends
	exec   executor
	jobs   uint64        // submissions so far
	done   atomic.Uint64 // submissions carried out; others may read it
	later  func()        // has retryFailed called, retryAddresses after the first refusal
	failAt func(v *vip, c kernel.Change, err error)
}

// retryAddresses is how long the kernel's refusal of a change is left alone.
const retryAddresses = time.Second

// get returns the vip of k, and whether it is new.
func (t *addressTable) get(k kernel.Key) (v *vip, fresh bool) {
	if v = t.vips[k]; v == nil {
		v, fresh = &vip{key: k}, true
		t.vips[k] = v
		t.edits++
	}
	return v, fresh
}

// adopt takes over an address found in the kernel.
func (t *addressTable) adopt(a kernel.Addr) {
	v, _ := t.get(a.Key())
	v.requested, v.sent, v.present, v.theirs, v.had = true, a, true, false, true
	t.touch(v)
}

// acquire makes the kernel have v as r wants it.
func (t *addressTable) acquire(v *vip, want kernel.Addr, r *router) {
	v.users++
	v.owner = r
	t.touch(v).want = want
}

// release ends one acquire.
func (t *addressTable) release(v *vip) {
	v.users--
	t.touch(v)
}

// touch has v looked at when the turn ends: as it was wanted before, unless the
// caller decides otherwise.
func (t *addressTable) touch(v *vip) *wish {
	if v.dirty == 0 {
		t.dirty = append(t.dirty, wish{v, v.sent})
		v.dirty = len(t.dirty)
	}
	return &t.dirty[v.dirty-1]
}

// isVirtual reports whether the address is one of ours rather than one that
// the machine was given by others.
func (t *addressTable) isVirtual(k kernel.Key) bool {
	v := t.vips[k]
	return v != nil && (v.refs > 0 || v.requested) && !v.theirs
}

// flush asks the kernel for the difference between what it should have and what
// is known of it, as one plan.
func (t *addressTable) flush() {
	if len(t.dirty) == 0 {
		return
	}
	var have, want []kernel.Addr
	for i := range t.dirty {
		w := &t.dirty[i]
		v := w.v
		v.dirty = 0
		wanted, same := v.users > 0, v.sent == w.want
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

	changes := kernel.DiffAddrs(have, want)
	for _, a := range want {
		t.vips[a.Key()].sent = a // also where Diff finds that nothing need be done
	}
	if len(changes) == 0 {
		return
	}
	t.jobs++
	for i := range changes {
		v := t.vips[changes[i].Object.(*kernel.Addr).Key()]
		if v.job != t.jobs {
			v.fresh = !v.requested && !v.doubt
		}
		if changes[i].Op == kernel.Remove {
			v.had = false
		} else if !v.requested {
			v.since = t.jobs
		}
		v.job, v.present, v.doubt = t.jobs, false, false
		v.requested = changes[i].Op != kernel.Remove
	}
	t.exec.Submit(t.jobs, changes)
}

// completed notes what the kernel answered to one chunk of a submission, and
// returns which addresses have turned out to be lost before.
func (t *addressTable) completed(c kernel.Completion) (lost []*vip) {
	for i, ch := range c.Changes {
		v := t.vips[ch.Object.(*kernel.Addr).Key()]
		if v == nil { // its link is gone
			continue
		}
		if ch.Op != kernel.Remove && v.requested && c.ID >= v.since && v.confirmed(c, i) {
			lost = append(lost, v)
		}
		if v.job != c.ID { // it was asked for something else since
			continue
		}
		if v.requested && ch.Op == kernel.Remove {
			continue // to be set again by the same plan: that answer counts
		}
		var err error
		if c.Errs != nil {
			err = c.Errs[i]
		}
		switch {
		case err == nil:
			v.failed = false
			if v.doubt || v.theirs {
				continue // it is asked again; others were quicker
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
				t.failAt(v, ch, err)
			}
			v.doubt = true
			t.later()
		}
		t.reap(v)
	}
	if c.Last {
		t.done.Add(1)
	}
	return lost
}

// confirmed notes the kernel's answer to a request to have v, the change i of c, and
// reports whether another program had removed v before. It does so for IPv6 only,
// because events of IPv6 do not name the program. After our last removal we have only
// asked to have the address. So if the kernel has had it after that, and has to set it
// again or refuses to, another program has removed it, whatever the order of answers
// and events is.
func (v *vip) confirmed(c kernel.Completion, i int) (lost bool) {
	refused := c.Errs != nil && c.Errs[i] != nil
	found := !refused && c.Found != nil && c.Found[i] != kernel.NotFound
	lost = v.had && !found && !v.noTrack && v.key.Prefix.Addr().Is6()
	v.had = !refused
	return lost
}

// retryFailed asks again for what the kernel refused.
func (t *addressTable) retryFailed() {
	for _, v := range t.vips {
		if v.failed && v.doubt {
			t.touch(v)
		}
	}
}

// removed notes that an address is reported as gone, and returns whether it is
// one that a virtual router holds and watches. It is set again in any case,
// unless it is released first.
func (t *addressTable) removed(v *vip) (lost bool) {
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
	t.touch(v)
	return v.users > 0 && !v.noTrack
}

// foreign notes that others have set an address, and reports whether that is
// news: what we hold is ours, whoever sets it once more.
func (t *addressTable) foreign(v *vip, a kernel.Addr) bool {
	if v.theirs || v.requested || v.doubt {
		return false
	}
	v.theirs, v.present, v.sent = true, true, a
	t.edits++
	return true
}

// linkGone forgets what was on a link: the kernel has removed it all.
func (t *addressTable) linkGone(link int) {
	for k, v := range t.vips {
		switch {
		case k.Link != link:
		case v.job > t.done.Load() && v.requested:
			// It may have come back, with the same index, before it was set.
			v.doubt, v.present, v.had, v.since = true, false, false, t.jobs+1
			t.touch(v)
		default:
			v.requested, v.doubt, v.present, v.theirs, v.failed, v.had, v.job = false, false, false, false, false, false, 0
			t.reap(v) // unless a router can still ask for it
		}
	}
}

// reap forgets a vip that no router needs any more.
func (t *addressTable) reap(v *vip) {
	if v.users == 0 && v.refs == 0 && !v.requested && !v.doubt && v.dirty == 0 {
		delete(t.vips, v.key)
		t.edits++
	}
}

// idle reports whether the kernel has carried out everything.
func (t *addressTable) idle() bool { return len(t.dirty) == 0 && t.jobs == t.done.Load() }

// logRefusal logs which address the kernel refused, and why.
func logRefusal(v *vip, c kernel.Change, err error) {
	name := ""
	if v.owner != nil {
		name = v.owner.conf.Name
	}
	slog.Error("("+name+") "+err.Error(), "instance", name, "change", c.String())
}
