package vrrpd

import (
	"strings"

	"keepalived-go/internal/output/notify"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/proc/act"
	"keepalived-go/vrrp"
)

// testNotify reports what a virtual router or a sync group would report of a state, and
// replies with what has become of that. Then it reports the state that is so.
func (d *daemon) testNotify(a *act.Act, reply act.Reply) {
	r, g, instances, groups := d.find(a.Name)
	var about func(happening) *notice
	var state vrrp.State
	switch {
	case r != nil:
		about, state = r.notice, r.engine.State()
	case g != nil:
		about, state = func(h happening) *notice { return d.groupNotice(g, h) }, g.State()
	default:
		reply(nil, missing(a.Name, instances, groups))
		return
	}
	present, known := happeningOf(state)
	tested := present
	if a.State != "" {
		var ok bool
		if tested, ok = happeningNamed(a.State); !ok || !tested.isState() && r == nil {
			reply(nil, act.Refuse(act.Invalid, "%s reports no %q; expected MASTER, BACKUP, FAULT, STOP or DELETED, or of a vrrp_instance MASTER_RX_LOWER_PRI, MASTER_PRIORITY or BACKUP_PRIORITY", a.Name, a.State))
			return
		}
	} else if !known {
		reply(nil, act.Refuse(act.Impossible, "%s is %v, which is not reported; name a state", a.Name, state))
		return
	}
	done := func(list []status.Delivery) {
		d.loop.Post(func() { reply(api.TestedOf(a.Name, tested.String(), present.String(), list)) })
	}
	if d.notifier == nil {
		done(nil)
		return
	}
	t := notify.Trial{Event: about(tested).Event(), By: a.By.String(), Wait: notify.TrialWait, Done: done}
	if tested != present && tested.isState() && known {
		then := about(present).Event()
		t.Then = &then
	}
	d.notifier.Try(t)
}

// happeningNamed is what a word stands for, whatever its case.
func happeningNamed(word string) (happening, bool) {
	for h := becameMaster; h <= backupPriorityChanged; h++ {
		if strings.EqualFold(word, h.String()) {
			return h, true
		}
	}
	return 0, false
}
