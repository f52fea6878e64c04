package vrrpd

import (
	"log/slog"
	"time"

	"keepalived-go/internal/kernel"
)

// A vip is one address on one link that a virtual router holds while it is
// master. What the kernel should have (users) and what it was last told (sent)
// are compared when a turn of the loop ends; so an address that moves from one
// virtual router to another, or that a predecessor left behind for us, is not
// touched at all.
type vip struct {
	key     kernel.Key
	users   int     // routers that want it in the kernel now
	owner   *router // the one that asked last
	noTrack bool

	told    bool        // the kernel was told to have it
	sent    kernel.Addr // how, when told
	job     uint64      // the submission that told it
	present bool        // the kernel has confirmed what it was told
	failed  bool        // the kernel refused it; said once
	// removals counts own removals whose event has not come yet. One that finds
	// nothing to remove counts too: the event of whoever was quicker stands for
	// it.
	removals int

	dirty int // place in the table's list, from 1; 0: not there
}

// A wish is how a vip is wanted, if it is: kept only until the kernel is told,
// for there may be thousands.
type wish struct {
	v    *vip
	want kernel.Addr
}

// addressTable is all vips and the executor that carries out their changes.
type addressTable struct {
	vips   map[kernel.Key]*vip
	edits  uint64 // changes of vips so far
	dirty  []wish // to be looked at when the turn ends
	exec   *kernel.Executor
	jobs   uint64 // submissions so far
	done   uint64 // submissions carried out
	failed []wish // refused, to be tried again
	retry  time.Duration
	failAt func(v *vip, c kernel.Change, err error)
}

// retryAddresses is how long the kernel's refusal of an address is left alone.
const retryAddresses = time.Second

func (t *addressTable) get(k kernel.Key) *vip {
	v := t.vips[k]
	if v == nil {
		v = &vip{key: k}
		t.vips[k] = v
		t.edits++
	}
	return v
}

// adopt takes over an address found in the kernel.
func (t *addressTable) adopt(a kernel.Addr) {
	v := t.get(a.Key())
	v.told, v.sent, v.present = true, a, true
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
// caller says otherwise.
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
	return v != nil && (v.owner != nil || v.told)
}

// flush sends the kernel the difference between what it should have and what
// it was told, as one plan. With atOnce a small one is carried out before it
// returns, if nothing else is under way; flush reports whether it was.
func (t *addressTable) flush(atOnce bool) bool {
	if len(t.dirty) == 0 {
		return false
	}
	var have, want []kernel.Addr
	for i := range t.dirty {
		w := &t.dirty[i]
		v := w.v
		v.dirty = 0
		wanted := v.users > 0
		switch {
		case wanted && v.told && v.sent == w.want, !wanted && !v.told:
			continue
		case wanted:
			want = append(want, w.want)
		}
		if v.told {
			have = append(have, v.sent)
		}
	}
	t.dirty = nil

	changes := kernel.Diff(have, want)
	for _, a := range want {
		t.vips[a.Key()].sent = a // also where Diff finds that nothing need be done
	}
	if len(changes) == 0 {
		return false
	}
	t.jobs++
	for _, c := range changes {
		v := t.vips[c.Addr.Key()]
		v.job, v.present = t.jobs, false
		if v.told = c.Op != kernel.RemoveAddr; !v.told {
			v.removals++
		}
	}
	if atOnce && len(changes) <= smallPlan && t.exec.Do(t.jobs, changes) {
		return true
	}
	t.exec.Submit(t.jobs, changes)
	return false
}

// smallPlan is how many changes can be carried out at once: those of a usual
// virtual router, some tens of microseconds each.
const smallPlan = 8

// completed notes what the kernel answered to one chunk of a submission.
func (t *addressTable) completed(c kernel.Completion) {
	for i, ch := range c.Changes {
		v := t.vips[ch.Addr.Key()]
		if v == nil { // its link is gone
			continue
		}
		var err error
		if c.Errs != nil {
			err = c.Errs[i]
		}
		if err != nil && ch.Op == kernel.RemoveAddr {
			v.removals = max(0, v.removals-1) // it is still there: no event will come
		}
		if v.job != c.ID {
			continue // told something else since
		}
		switch {
		case err != nil:
			if !v.failed {
				v.failed = true
				t.failAt(v, ch, err)
			}
			if v.told {
				v.told = false
				t.failed = append(t.failed, wish{v, ch.Addr})
				t.retry = now() + retryAddresses
			}
		default:
			v.failed = false
			v.present = v.told
		}
		t.reap(v)
	}
	if c.Last {
		t.done++
	}
}

// retryFailed asks again for what the kernel refused.
func (t *addressTable) retryFailed() {
	for _, w := range t.failed {
		if w.v.users > 0 && !w.v.told {
			t.touch(w.v).want = w.want
		}
	}
	t.failed, t.retry = nil, 0
}

// removed handles the kernel's event that an address is gone and reports
// whether somebody else took away what we hold.
func (t *addressTable) removed(a kernel.Addr) (v *vip, lost bool) {
	v = t.vips[a.Key()]
	switch {
	case v == nil:
		return nil, false
	case v.removals > 0:
		v.removals--
		t.reap(v)
		return v, false
	case v.told && v.present:
		v.told, v.present = false, false
		return v, v.users > 0 && !v.noTrack
	}
	return v, false
}

// linkGone forgets what was on a link: the kernel has removed it all.
func (t *addressTable) linkGone(link int) {
	for k, v := range t.vips {
		if k.Link == link {
			v.told, v.present, v.removals = false, false, 0
			if v.users == 0 {
				delete(t.vips, k)
			}
		}
	}
}

// reap forgets a vip that nobody needs any more.
func (t *addressTable) reap(v *vip) {
	if v.users == 0 && v.owner == nil && !v.told && v.removals == 0 && v.dirty == 0 {
		delete(t.vips, v.key)
		t.edits++
	}
}

// idle reports whether the kernel has carried out everything.
func (t *addressTable) idle() bool { return len(t.dirty) == 0 && t.jobs == t.done }

// logRefusal says which address the kernel refused, and why.
func logRefusal(v *vip, c kernel.Change, err error) {
	name := ""
	if v.owner != nil {
		name = v.owner.conf.Name
	}
	slog.Error("("+name+") "+err.Error(), "instance", name, "change", c.String())
}
