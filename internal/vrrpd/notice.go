package vrrpd

import (
	"fmt"
	"os"
	"slices"
	"strconv"

	"keepalived-go/conf"
	"keepalived-go/internal/output/notify"
	"keepalived-go/internal/output/status"
	"keepalived-go/vrrp"
)

// happening is what can be reported of an instance or a sync group.
type happening uint8

const (
	becameMaster happening = iota
	becameBackup
	becameFault
	stopped
	// deleted is reported of an instance that a reload has removed. Without
	// notify_deleted it is reported as FAULT, though notify_fault is not run.
	deleted
	receivedLower         // a master has received an advert of lower priority
	masterPriorityChanged // the effective one of a master
	backupPriorityChanged // likewise of a backup
)

// String is the word that scripts and readers of FIFOs see.
func (h happening) String() string {
	return [...]string{"MASTER", "BACKUP", "FAULT", "STOP", "DELETED",
		"MASTER_RX_LOWER_PRI", "MASTER_PRIORITY", "BACKUP_PRIORITY"}[h]
}

// isState reports whether a state has been entered; the others happen within
// one.
func (h happening) isState() bool { return h <= deleted }

// A notice is something to be reported of an instance or a sync group. It is worded
// when its turn comes, beside the loop.
type notice struct {
	group    bool // of a sync group rather than an instance
	name     string
	what     happening
	priority int          // effective priority; 0 for groups
	to       *conf.Notify // the scripts and mail of the owner; nil: FIFOs only
	fifoOnly bool         // a state that is written again after a reload
}

// Event words the notice.
func (n *notice) Event() notify.Event {
	e := notify.Event{Owner: instanceOwner(n.name), Word: n.what.String(), State: n.what.isState(), Line: n.line()}
	if n.group {
		e.Owner = groupOwner(n.name)
	}
	if n.to != nil && !n.fifoOnly {
		e.Steps = n.steps()
		if n.to.SMTPAlert {
			e.Mail = n.mail()
		}
	}
	return e
}

func instanceOwner(name string) notify.Owner {
	return notify.Owner{Kind: status.KindInstance, Name: name, Label: "(" + name + ")"}
}

func groupOwner(name string) notify.Owner {
	return notify.Owner{Kind: status.KindGroup, Name: name, Label: "VRRP_Group(" + name + ")"}
}

// state is the word that is reported.
func (n *notice) state() string {
	if n.what == deleted && (n.to == nil || !n.to.SignalDeleted) {
		return becameFault.String()
	}
	return n.what.String()
}

// kind is the word for what the owner is.
func (n *notice) kind() string {
	if n.group {
		return "GROUP"
	}
	return "INSTANCE"
}

// line is the line for FIFOs, or nothing if they get none.
func (n *notice) line() string {
	if (n.what == masterPriorityChanged || n.what == backupPriorityChanged) && (n.to == nil || !n.to.PriorityChanges) {
		return ""
	}
	return fmt.Sprintf("%s \"%s\" %s %d\n", n.kind(), n.name, n.state(), n.priority)
}

// steps are the scripts that are run, in order.
func (n *notice) steps() (all []notify.Step) {
	if keyword, c := n.what.script(n.to); c.Given() {
		all = append(all, notify.Step{Keyword: keyword, Command: c})
	}
	if n.what.isState() && n.to.Any.Given() {
		all = append(all, notify.Step{Keyword: "notify", Command: &n.to.Any,
			Extra: []string{n.kind(), n.name, n.state(), strconv.Itoa(n.priority)}})
	}
	return all
}

// script is the script of to for h alone, and its keyword.
func (h happening) script(to *conf.Notify) (keyword string, c *conf.Command) {
	switch h {
	case becameMaster:
		return "notify_master", &to.Master
	case becameBackup:
		return "notify_backup", &to.Backup
	case becameFault:
		return "notify_fault", &to.Fault
	case stopped:
		return "notify_stop", &to.Stop
	case deleted:
		return "notify_deleted", &to.Deleted
	case receivedLower:
		return "notify_master_rx_lower_pri", &to.MasterRxLowerPri
	}
	return "", &conf.Command{}
}

// scriptsOf are all scripts that to names.
func scriptsOf(to *conf.Notify) (all []notify.Step) {
	for h := becameMaster; h <= backupPriorityChanged; h++ {
		if keyword, c := h.script(to); c.Given() {
			all = append(all, notify.Step{Keyword: keyword, Command: c})
		}
	}
	if to.Any.Given() {
		all = append(all, notify.Step{Keyword: "notify", Command: &to.Any})
	}
	return all
}

// mail words the mail; there is none for what is no state.
func (n *notice) mail() (m notify.Mail) {
	what, state := "VRRP Instance", n.state()
	if n.group {
		what = "VRRP Group"
	}
	switch {
	case !n.what.isState():
	case state == stopped.String():
		m.Subject = fmt.Sprintf("%s %s - Stopping", what, n.name)
		m.Body = fmt.Sprintf("=> %s stopping <=", what)
	case state == deleted.String():
		m.Subject = fmt.Sprintf("%s %s - Deleted", what, n.name)
		m.Body = "=> VRRP Deleted at reload <="
	default:
		m.Subject = fmt.Sprintf("%s %s - Entering %s state", what, n.name, state)
		m.Fault = state == becameFault.String()
		switch {
		case n.group:
			m.Body = fmt.Sprintf("=> All VRRP group instances are now in %s state <=", state)
		case state == becameMaster.String():
			m.Body = "=> VRRP Instance is now owning VRRP VIPs <="
		default:
			m.Body = "=> VRRP Instance is no longer owning VRRP VIPs <="
		}
	}
	return m
}

// notifyConfig is who is notified of what by c.
func notifyConfig(c *conf.Config) notify.Config {
	g := &c.Global
	out := notify.Config{
		Scripts: g.Scripts,
		FIFOs: []notify.FIFOConfig{
			{Keyword: "notify_fifo", FIFO: g.FIFO},
			{Keyword: "vrrp_notify_fifo", FIFO: g.VRRPFIFO},
		},
		Mail: g.Mail, RouterID: g.RouterID,
	}
	for _, s := range c.SyncGroups {
		if s.Notify != nil {
			out.Owners = append(out.Owners, notify.Declared{Owner: groupOwner(s.Name), Steps: scriptsOf(s.Notify)})
		}
	}
	for _, i := range c.Instances {
		if i.Notify != nil {
			out.Owners = append(out.Owners, notify.Declared{Owner: instanceOwner(i.Name), Steps: scriptsOf(i.Notify)})
		}
	}
	return out
}

// setNotifier gives the notifier the configuration in force.
func (d *daemon) setNotifier() {
	c := notifyConfig(d.conf)
	if d.notifier == nil {
		if len(c.Owners) == 0 && !slices.ContainsFunc(c.FIFOs, func(f notify.FIFOConfig) bool { return f.Path != "" }) {
			return
		}
		host, _ := os.Hostname()
		d.notifier = notify.New(d.scriptRunner(), host)
	}
	d.notifier.Configure(c)
}

// happeningOf is what is reported of a state that is entered.
func happeningOf(s vrrp.State) (happening, bool) {
	switch s {
	case vrrp.Master:
		return becameMaster, true
	case vrrp.Backup:
		return becameBackup, true
	case vrrp.Fault:
		return becameFault, true
	case vrrp.Stopped:
		return stopped, true
	}
	return 0, false
}

func (d *daemon) notifyTransition(r *router, to vrrp.State) {
	what, known := happeningOf(to)
	if d.notifier == nil || !known {
		return
	}
	if what == stopped && !d.stopping {
		what = deleted // by a reload
	}
	d.notifier.Notify(r.notice(what))
}

// notice is a notice about r.
func (r *router) notice(what happening) *notice {
	return &notice{name: r.conf.Name, what: what, priority: int(r.engine.Priority()), to: r.conf.Notify}
}

func (d *daemon) notifyGroup(a *vrrp.Action) {
	what, known := happeningOf(a.To)
	if d.notifier == nil || !known {
		return
	}
	d.notifier.Notify(d.groupNotice(a.Group, what))
}

func (d *daemon) groupNotice(g *vrrp.SyncGroup, what happening) *notice {
	n := &notice{group: true, name: g.Name(), what: what}
	if i := slices.IndexFunc(d.conf.SyncGroups, func(c *conf.SyncGroup) bool { return c.Name == g.Name() }); i >= 0 {
		n.to = d.conf.SyncGroups[i].Notify
	}
	return n
}

func (d *daemon) notifyNote(r *router, a *vrrp.Action) {
	if d.notifier == nil {
		return
	}
	switch a.Note {
	case vrrp.NoteLowerPriorityReceived:
		d.notifier.Notify(r.notice(receivedLower))
	case vrrp.NotePriorityEffective:
		switch n := r.conf.Notify; {
		case n == nil || !n.PriorityChanges:
		case r.engine.State() == vrrp.Master:
			d.notifier.Notify(r.notice(masterPriorityChanged))
		case r.engine.State() == vrrp.Backup:
			d.notifier.Notify(r.notice(backupPriorityChanged))
		}
	}
}

// repeatStates writes the present states into the FIFOs again
// (fifo_write_vrrp_states_on_reload). A state that the reload has brought has a line
// of its own, which follows at the end of the turn.
func (d *daemon) repeatStates() {
	if d.notifier == nil || !d.conf.Global.StatesOnReload {
		return
	}
	instances, groups := map[*vrrp.Instance]bool{}, map[*vrrp.SyncGroup]bool{}
	for i := d.reported; i < len(d.unreported); i++ {
		switch a := &d.unreported[i]; a.Kind {
		case vrrp.Transition:
			instances[a.Instance] = true
		case vrrp.GroupTransition:
			groups[a.Group] = true
		}
	}
	again := func(n *notice) {
		n.fifoOnly = true
		d.notifier.Notify(n)
	}
	for _, c := range d.conf.SyncGroups {
		if g := d.groups[c.Name]; g != nil && !groups[g] {
			if what, known := happeningOf(g.State()); known {
				again(d.groupNotice(g, what))
			}
		}
	}
	for _, r := range d.routers {
		if what, known := happeningOf(r.engine.State()); known && !instances[r.engine] {
			again(r.notice(what))
		}
	}
}
