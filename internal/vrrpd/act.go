package vrrpd

import (
	"fmt"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/proc/act"
	"keepalived-go/vrrp"
)

// act does what a client has asked for.
func (d *daemon) act(a *act.Act, reply act.Reply) {
	if a.Kind == act.TestNotify {
		d.testNotify(a, reply)
		return
	}
	about, err := d.named(a)
	if err != nil {
		reply(nil, err)
		return
	}
	switch r := about[0]; a.Kind {
	case act.Announce:
		reply(d.announce(r))
	case act.Hold:
		reply(d.holdBack(a, about))
	case act.Priority:
		reply(d.adjust(a, r))
	case act.Switchover:
		d.switchover(a, about, reply)
	default:
		reply(nil, act.Refuse(act.Invalid, "the VRRP process does not know it"))
	}
}

// named are the virtual routers that an act is about: one, or the members of a sync group.
// What concerns the state of one member concerns all.
func (d *daemon) named(a *act.Act) ([]*router, error) {
	r, g, instances, groups := d.find(a.Name)
	state := a.Kind == act.Hold || a.Kind == act.Switchover
	switch {
	case r != nil && state:
		return d.together(r), nil
	case r != nil:
		return []*router{r}, nil
	case !state:
		return nil, act.Refuse(act.Unknown, "%s", conf.Missing("vrrp_instance", a.Name, instances))
	case g != nil:
		return d.together(d.router(g.Members()[0])), nil
	}
	return nil, missing(a.Name, instances, groups)
}

// find is the virtual router or else the sync group of that name, and the names that there
// are.
func (d *daemon) find(name string) (found *router, group *vrrp.SyncGroup, instances, groups []string) {
	for _, r := range d.routers {
		if r.conf.Name == name {
			found = r
		}
		instances = append(instances, r.conf.Name)
	}
	for n := range d.groups {
		groups = append(groups, n)
	}
	if found == nil {
		group = d.groups[name]
	}
	return found, group, instances, groups
}

// missing is the refusal of an act about a virtual router or a sync group that does not exist.
func missing(name string, instances, groups []string) error {
	return act.Refuse(act.Unknown, "%s", conf.Missing("vrrp_instance or vrrp_sync_group", name, append(instances, groups...)))
}

// announce announces the addresses of a master once more.
func (d *daemon) announce(r *router) (*api.Done, error) {
	if r.engine.State() != vrrp.Master || !r.held {
		return nil, act.Refuse(act.Impossible, "%s is %v; only a master announces its addresses", r.conf.Name, r.engine.State())
	}
	d.announceAddresses(r, max(r.conf.GARP.Repeat, 1), false)
	return &api.Done{Result: fmt.Sprintf("%s announces its addresses (%d) again", r.conf.Name, len(r.vips))}, nil
}

// intend makes these the intents in force.
func (d *daemon) intend(list []act.Intent) {
	d.Intents = list
	for _, r := range d.routers {
		d.restrain(r)
		d.readjust(r, vrrp.Cause{Code: "operator", Detail: "released"})
	}
}

// fulfil adds an intent to those in force.
func (d *daemon) fulfil(a *act.Act) { d.Intents = act.Put(d.Intents, act.IntentOf(a, time.Now())) }

// restraint is what the intents let a virtual router be: those about it, about its sync
// group, or about another member of that.
func (d *daemon) restraint(r *router) (most vrrp.Restraint) {
	about := func(name string) bool {
		if name == r.conf.Name {
			return true
		}
		g := r.engine.Group()
		if g == nil {
			return false
		}
		for _, m := range g.Members() {
			if m.Config().Name == name {
				return true
			}
		}
		return name == g.Name()
	}
	for i := range d.Intents {
		switch n := &d.Intents[i]; {
		case n.Kind == act.Hold && about(n.Name):
			return vrrp.StaysBackup
		case n.Kind == act.Switchover && about(n.Name):
			most = vrrp.LeavesMasters
		}
	}
	return most
}

// restrain gives the engine of r the restraint in force.
func (d *daemon) restrain(r *router) {
	if to := d.restraint(r); to != r.engine.Restraint() {
		d.step(r, d.loop.Now(), vrrp.Event{Kind: vrrp.Restrain, Restraint: to, Wall: time.Now()})
	}
}

// adjustment is what the intents add to the priority of r.
func (d *daemon) adjustment(r *router) int {
	for i := range d.Intents {
		if n := &d.Intents[i]; n.Kind == act.Priority && n.Name == r.conf.Name {
			return n.Value
		}
	}
	return 0
}

// readjust gives r the priority that the intents ask for.
func (d *daemon) readjust(r *router, cause vrrp.Cause) {
	by := d.adjustment(r)
	if by == r.adjust {
		return
	}
	r.adjust = by
	if r.tracked == nil {
		r.tracked = &tracked{}
	}
	r.tracked.because = cause
	d.reevaluate(r)
}

// because is the cause of what a client has asked for.
func because(a *act.Act) vrrp.Cause {
	detail := "by an operator"
	if a.Reason != "" {
		detail += ": " + a.Reason
	}
	return vrrp.Cause{Code: "operator", Object: string(a.Kind), Detail: detail}
}

// holdBack has virtual routers stay backup.
func (d *daemon) holdBack(a *act.Act, about []*router) (*api.Done, error) {
	served := about[0].engine.State() == vrrp.Master
	d.fulfil(a)
	for _, r := range about {
		d.step(r, d.loop.Now(), vrrp.Event{Kind: vrrp.Restrain, Restraint: vrrp.StaysBackup, Wall: time.Now(), Cause: because(a)})
	}
	text := a.Name + " stays BACKUP" + a.Lasts()
	if served {
		text += "; it has made way, as it was MASTER"
	}
	return &api.Done{Result: text}, nil
}

// adjust adds a number to the priority of a virtual router.
func (d *daemon) adjust(a *act.Act, r *router) (*api.Done, error) {
	if r.conf.Priority == vrrp.PriorityOwner {
		return nil, act.Refuse(act.Impossible, "%s owns its addresses; nothing changes its priority of %d", a.Name, vrrp.PriorityOwner)
	}
	d.fulfil(a)
	d.readjust(r, because(a))
	r.evaluate()
	if r.tracked == nil { // nothing has been added, and nothing is
		return &api.Done{Result: fmt.Sprintf("the priority of %s is %d, as configured", a.Name, r.engine.Priority())}, nil
	}
	text := fmt.Sprintf("the priority of %s is %d: %s", a.Name, r.tracked.outcome.Priority, r.tracked.outcome.Arithmetic())
	if a.Value != 0 {
		text += a.Lasts()
	}
	return &api.Done{Result: text}, nil
}

// longestSwitchover is how long a switchover may take at most, so that its client gets a
// result.
const longestSwitchover = act.SwitchoverPatience - 5*time.Second

// handover is a switchover that is on its way.
type handover struct {
	act   *act.Act
	about []*router
	reply act.Reply
}

// switchover hands masters over to a backup on another node.
func (d *daemon) switchover(a *act.Act, about []*router, reply act.Reply) {
	refuse := func(format string, args ...any) { reply(nil, act.Refuse(act.Impossible, format, args...)) }
	for _, r := range about {
		name, e := r.conf.Name, r.engine
		switch {
		case e.State() != vrrp.Master:
			refuse("%s is %v; only a master can hand over", name, e.State())
			return
		case r.handover != nil:
			refuse("%s is handing over already", name)
			return
		case r.conf.Priority == vrrp.PriorityOwner && !a.Force:
			refuse("%s owns its addresses, with priority %d, which a switchover cannot lower; --force ends the service here at once, with a short gap", name, vrrp.PriorityOwner)
			return
		case e.HandOverTime() > longestSwitchover:
			refuse("a switchover of %s may take %v, as its adverts are so rare; hold ends the service here at once, with a short gap", name, e.HandOverTime().Round(10*time.Millisecond))
			return
		}
	}
	h := &handover{a, about, reply}
	for _, r := range about {
		r.handover = h
	}
	for _, r := range about {
		ev := vrrp.Event{Kind: vrrp.HandOver, Force: a.Force, Wall: time.Now(), Cause: because(a)}
		if r.conf.Priority == vrrp.PriorityOwner {
			ev = vrrp.Event{Kind: vrrp.StandDown, Wall: time.Now(), Cause: because(a)}
		}
		d.step(r, d.loop.Now(), ev)
	}
}

// handOverSeen takes up what may be the end of the switchover of r.
func (d *daemon) handOverSeen(r *router, a *vrrp.Action) {
	h := r.handover
	untaken := a.Kind == vrrp.Notify && a.Note == vrrp.NoteNotTakenOver
	if h == nil || a.Kind != vrrp.Transition && !untaken || untaken && r.engine.State() != vrrp.Master {
		return // in the last case a transition follows
	}
	for _, m := range h.about {
		m.handover = nil
	}
	switch {
	case untaken:
		h.reply(nil, act.Refuse(act.Impossible, "no other node has taken over %s within %v: none runs or can be heard, or each has nopreempt or a longer preempt_delay; this node serves on, as before. --force ends the service here all the same, with a short gap", h.act.Name, a.Time.Round(10*time.Millisecond)))
	case a.Reason != vrrp.ReasonHandedOver:
		h.reply(nil, act.Refuse(act.Impossible, "%s is %v before anyone has taken over: %v", r.conf.Name, a.To, a.Reason))
	default:
		d.fulfil(h.act)
		text := fmt.Sprintf("nobody had taken over %s, so this node has ended its service; it leaves a master alone%s", h.act.Name, h.act.Lasts())
		if a.Addr.IsValid() {
			text = fmt.Sprintf("%v has taken over %s, with priority %d; this node leaves it alone%s", a.Addr, h.act.Name, a.Priority, h.act.Lasts())
		}
		h.reply(&api.Done{Result: text}, nil)
	}
}
