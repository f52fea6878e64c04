package api

import (
	"bufio"
	"cmp"
	"encoding/json"
	"iter"
	"net"
	"slices"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status"
	"keepalived-go/vrrp"
)

// VRRP is what the VRRP process knows.
type VRRP struct {
	Snapshot
	Running       bool              `json:"running" doc:"the virtual routers have begun; before that nothing has a state"`
	Instances     []Instance        `json:"instances" doc:"in the order of the configuration"`
	Groups        []Group           `json:"groups,omitempty" doc:"sync groups that have members"`
	Trackers      []Tracker         `json:"trackers,omitempty" doc:"scripts, files, processes and BFD sessions that are tracked"`
	Links         []Link            `json:"links,omitempty" doc:"network interfaces that virtual routers depend on"`
	Unclaimed     map[string]uint64 `json:"unclaimed,omitempty" doc:"packets that reached no virtual router, by reason"`
	Neighbours    []Neighbour       `json:"neighbours,omitempty" doc:"who sends adverts that arrive here, for virtual routers of this node and others; not everything that is sent is proven"`
	Unheard       uint64            `json:"unheard,omitempty" doc:"adverts of others that are not in neighbours, for want of room"`
	Notifications *Notifications    `json:"notifications,omitempty" doc:"scripts, pipes and mails, if there are any"`
}

// Instance is a virtual router.
type Instance struct {
	Name      string     `json:"name" doc:"of the vrrp_instance"`
	VRID      uint8      `json:"vrid" doc:"virtual router identifier"`
	Family    string     `json:"family" doc:"inet or inet6"`
	Version   int        `json:"version" doc:"of VRRP: 2 or 3"`
	Interface string     `json:"interface,omitempty" doc:"network interface, if it has one"`
	Index     int        `json:"interface_index,omitempty" doc:"index of that, or of the one that is made for it, if it is there"`
	Own       string     `json:"own_interface,omitempty" doc:"interface that is made for it, if one is"`
	Group     string     `json:"group,omitempty" doc:"its sync group, if it is in one"`
	State     string     `json:"state" doc:"INIT, BACKUP, MASTER, FAULT or STOP"`
	Since     *time.Time `json:"since,omitempty" doc:"when it entered the state, if it has"`
	Cause     string     `json:"cause,omitempty" doc:"code of the last change of state"`
	Why       string     `json:"why,omitempty" doc:"the same as a sentence, where the code does not say all"`
	Wanted    string     `json:"wanted" doc:"state in which it is, or into which it goes when it starts"`

	Faults    []string `json:"faults,omitempty" doc:"codes of what keeps it from serving"`
	Fault     string   `json:"fault,omitempty" doc:"the first of them as a sentence"`
	WaitsFor  string   `json:"waits_for,omitempty" doc:"tracker that has to report before it starts"`
	Obstacle  string   `json:"obstacle,omitempty" doc:"code of what keeps a backup from being master that could be: start-delay, nopreempt, preempt-delay, group, held or leaves-master"`
	Hindrance string   `json:"hindrance,omitempty" doc:"the same as a sentence"`

	Priority Priority `json:"priority" doc:"which decides who is master"`
	Master   *Master  `json:"master,omitempty" doc:"the other node that is master, if one is known"`

	AdvertInterval Seconds    `json:"advert_interval" doc:"of its own adverts"`
	MasterDown     Seconds    `json:"master_down_interval" doc:"after which a silent master counts as gone"`
	Timer          *time.Time `json:"timer,omitempty" doc:"when its timer ends, if it runs: the next advert of a master, the take-over of a backup"`
	NoPreempt      bool       `json:"nopreempt" doc:"it does not take over from a live master of lower priority"`
	NotifyDeleted  bool       `json:"notify_deleted" doc:"a reload that removes it is reported as DELETED rather than FAULT"`
	Source         string     `json:"source,omitempty" doc:"address from which it sends adverts, if there is one"`
	Peers          []string   `json:"peers,omitempty" doc:"unicast peers; none: adverts are multicast"`

	Held      bool      `json:"held" doc:"the addresses are to be in the kernel"`
	Addresses []Address `json:"addresses" doc:"virtual addresses"`

	Routes []bool `json:"routes_set,omitempty" doc:"of each line of virtual_routes: the kernel has confirmed it"`
	Rules  []bool `json:"rules_set,omitempty" doc:"of each line of virtual_rules: the kernel has confirmed it"`

	Rejection *Rejection `json:"last_rejection,omitempty" doc:"the last dropped packet that was reported, if one was; each reason is reported once in a state"`

	Trackers []Tracking        `json:"trackers,omitempty" doc:"what it and its sync group track"`
	History  []Change          `json:"history,omitempty" doc:"its last changes of state, at most 16, oldest first"`
	Notices  []Change          `json:"notices,omitempty" doc:"what it has reported last without a change of state, at most 16, oldest first: from and to are the state in which it was"`
	Counters *Counters         `json:"counters,omitempty" doc:"statistics"`
	Rejected map[string]uint64 `json:"rejected,omitempty" doc:"dropped packets by reason, those that are not 0"`
}

// Priority is how a priority comes about.
type Priority struct {
	Base       uint8  `json:"base" doc:"configured"`
	Effective  uint8  `json:"effective" doc:"in adverts"`
	Total      int    `json:"total" doc:"before it was brought into its range"`
	Arithmetic string `json:"arithmetic,omitempty" doc:"sum of the base and of what trackers add, if there are any"`
	Owner      bool   `json:"owner" doc:"255: the node owns the addresses"`
}

// Master is another node that is master.
type Master struct {
	Address  string  `json:"address" doc:"from which its adverts come"`
	Priority uint8   `json:"priority" doc:"in them"`
	Interval Seconds `json:"advert_interval" doc:"between them"`
}

// Address is a virtual address.
type Address struct {
	Address   string `json:"address" doc:"with its prefix length"`
	Interface string `json:"interface" doc:"which it is for"`
	Excluded  bool   `json:"excluded" doc:"it is not in adverts"`
	Set       bool   `json:"set" doc:"the kernel has confirmed it"`
}

// Tracking is a tracker as it counts for a virtual router.
type Tracking struct {
	Kind     string     `json:"kind" doc:"track_interface, track_script, track_file, track_process or track_bfd"`
	Name     string     `json:"name" doc:"of what is tracked"`
	Weight   int        `json:"weight" doc:"for the priority; 0: a failure is a fault"`
	Reverse  bool       `json:"reverse" doc:"failure and success change places"`
	State    string     `json:"state" doc:"up, down, unknown or disabled"`
	Fault    bool       `json:"fault" doc:"for it alone the router would not serve"`
	Detail   string     `json:"detail,omitempty" doc:"its last result, or why it is disabled"`
	Reported *time.Time `json:"reported,omitempty" doc:"when it reported this; a script: when it ended last"`
}

// Change is a change of state.
type Change struct {
	At    time.Time `json:"at" doc:"when"`
	From  string    `json:"from" doc:"state before"`
	To    string    `json:"to" doc:"state after"`
	Cause string    `json:"cause" doc:"code of the cause; of a fault, of what is wrong: link-down, track_script"`
	Why   string    `json:"why,omitempty" doc:"the same as a sentence, where the code does not say all"`
}

// Rejection is a packet that was dropped.
type Rejection struct {
	At     time.Time `json:"at" doc:"when"`
	From   string    `json:"from" doc:"its source address"`
	Reason string    `json:"reason" doc:"as in rejected"`
}

// Group is a sync group.
type Group struct {
	Name    string   `json:"name" doc:"of the vrrp_sync_group"`
	State   string   `json:"state" doc:"of its members together"`
	Members []string `json:"members" doc:"names of its virtual routers"`
	Faulty  int      `json:"faulty" doc:"members with a fault"`
	Waiting int      `json:"waiting" doc:"members that have not started"`
}

// Tracker is what virtual routers track.
type Tracker struct {
	Kind     string     `json:"kind" doc:"track_script, track_file, track_process or track_bfd"`
	Name     string     `json:"name" doc:"of its block"`
	State    string     `json:"state" doc:"up, down, unknown or disabled"`
	Detail   string     `json:"detail,omitempty" doc:"last result, or why it is disabled"`
	Number   *int       `json:"number,omitempty" doc:"which a file holds, or of processes that run"`
	Running  bool       `json:"running" doc:"a script runs now"`
	Reported *time.Time `json:"reported,omitempty" doc:"when it reported last"`
	Users    []string   `json:"users,omitempty" doc:"virtual routers for which it counts"`
	History  []Reported `json:"history,omitempty" doc:"its last reports that differed from the one before, at most 16, oldest first"`
}

// Reported is something that a tracker has reported.
type Reported struct {
	At     time.Time `json:"at" doc:"when"`
	State  string    `json:"state" doc:"up, down or disabled"`
	Number *int      `json:"number,omitempty" doc:"in a file, or of processes that run"`
}

// Link is a network interface.
type Link struct {
	Name    string   `json:"name" doc:"of the interface"`
	Index   int      `json:"index" doc:"of the interface"`
	Up      bool     `json:"up" doc:"set up"`
	Running bool     `json:"running" doc:"it has a carrier"`
	MAC     string   `json:"mac,omitempty" doc:"its hardware address, if it has one"`
	MTU     int      `json:"mtu" doc:"bytes"`
	Below   string   `json:"below,omitempty" doc:"interface below, of a macvlan or ipvlan"`
	Made    bool     `json:"made" doc:"this daemon has made it"`
	Users   []string `json:"users" doc:"virtual routers that depend on it"`
}

// OfVRRP is the view of a snapshot.
func OfVRRP(s *status.VRRP) *VRRP {
	out := withoutInstances(s)
	out.Instances = make([]Instance, len(s.Instances))
	for i := range s.Instances {
		out.Instances[i] = instanceOf(&s.Instances[i], new(Counters))
	}
	return out
}

// WriteVRRP writes the view of a snapshot as JSON. There may be thousands of virtual routers:
// they come in slices, and each is written before the next one is looked at. What else the
// snapshot has is in s, which is complete when there are no more slices; its own instances are
// not written. If it is to be brief, it leaves out of each virtual router what most of its
// text is: the history, the notices, the counters and the rejected packets. The errors of w wait
// for its Flush.
func WriteVRRP(w *bufio.Writer, instances iter.Seq[[]status.Instance], s *status.VRRP, brief bool) error {
	return writeListed(w, "instances", func(yield func(any) bool) {
		var one Instance
		var counters *Counters
		if !brief {
			counters = new(Counters)
		}
		for some := range instances {
			for i := range some {
				one = instanceOf(&some[i], counters)
				if !yield(&one) {
					return
				}
			}
		}
	}, func() any {
		return struct {
			*VRRP
			Instances struct{} `json:"instances,omitzero"` // in place of those of VRRP
		}{VRRP: withoutInstances(s)}
	})
}

// writeListed writes an object whose first member is a list, one row after the other. The
// others are those of rest, which is called when there are no more rows.
func writeListed(w *bufio.Writer, name string, rows iter.Seq[any], rest func() any) error {
	w.WriteString(`{"` + name + `":[`)
	e, comma := json.NewEncoder(w), false
	for one := range rows {
		if comma {
			w.WriteByte(',')
		}
		comma = true
		if err := e.Encode(one); err != nil {
			return err
		}
	}
	b, err := json.Marshal(rest())
	if err != nil {
		return err
	}
	w.WriteString("],")
	_, err = w.Write(b[1:])
	return err
}

func withoutInstances(s *status.VRRP) *VRRP {
	out := &VRRP{
		Snapshot: Snapshot{At: s.At.UTC(), Loop: loopOf(&s.Loop)}, Running: s.Running,
		Trackers: trackersOf(s), Notifications: notificationsOf(s.Notifications),
	}
	for i := range s.Groups {
		g := &s.Groups[i]
		out.Groups = append(out.Groups, Group{Name: g.Conf.Name, State: g.State.String(), Members: g.Conf.Members, Faulty: g.Faulty, Waiting: g.Waiting})
	}
	for i := range s.Links {
		if l := &s.Links[i]; len(l.Users) > 0 {
			out.Links = append(out.Links, Link{
				Name: l.Name, Index: l.Index, Up: l.Flags.Up, Running: l.Flags.Running, MAC: macOf(l.MAC), MTU: l.MTU, Below: l.Below, Made: l.Made, Users: usersOf(l.Users),
			})
		}
	}
	out.Neighbours, out.Unheard = neighboursOf(s.Neighbours), s.Unheard
	for _, u := range s.Unclaimed {
		count(&out.Unclaimed, u.Reason.String(), u.Count)
	}
	return out
}

func count(all *map[string]uint64, name string, n uint64) {
	if *all == nil {
		*all = map[string]uint64{}
	}
	(*all)[name] = n
}

func usersOf(users []status.User) (names []string) {
	for _, u := range users {
		names = append(names, u.Instance)
	}
	return names
}

// instanceOf is the view of a virtual router, with its counters in the room that is given. If
// that is nil, the view is brief (see [WriteVRRP]).
func instanceOf(i *status.Instance, counters *Counters) Instance {
	c := i.Conf
	out := Instance{
		Name: c.Name, VRID: c.VRID, Family: familyOf(c.Family), Version: c.Version, Interface: c.Interface, Index: i.Link, Own: i.Own, Group: i.Group,
		State: i.State.String(), Since: moment(i.Since), Wanted: i.Wanted.String(),
		Faults: i.Found.Names(), Fault: i.FaultCause, WaitsFor: i.WaitsFor, Hindrance: i.Hindrance,
		Priority:       Priority{Base: c.Priority, Effective: i.Priority, Total: i.Total, Owner: c.Priority == vrrp.PriorityOwner},
		AdvertInterval: seconds(c.AdvertInterval), MasterDown: seconds(i.MasterDown), Timer: moment(i.Timeout), NoPreempt: c.NoPreempt, NotifyDeleted: c.Notify != nil && c.Notify.SignalDeleted,
		Held: i.Held, Addresses: append(addressesOf(i.Listed, false), addressesOf(i.Excluded, true)...),
		Routes: i.Routes, Rules: i.Rules,
	}
	if i.Obstacle != vrrp.ObstacleNone {
		out.Obstacle = i.Obstacle.String()
	}
	if n := len(i.History); n > 0 {
		out.Cause, out.Why = i.History[n-1].Cause(), i.History[n-1].Why
	}
	if i.Tracks {
		out.Priority.Arithmetic = i.Arithmetic
	}
	if i.State == vrrp.Backup && i.Master.IsValid() {
		out.Master = &Master{Address: i.Master.String(), Priority: i.MasterPriority, Interval: seconds(i.MasterInterval)}
	}
	if r := &i.Rejection; !r.At.IsZero() {
		out.Rejection = &Rejection{At: r.At.UTC(), From: r.From.String(), Reason: r.Reason.String()}
	}
	if i.Source.IsValid() {
		out.Source = i.Source.String()
	}
	for k := range c.Peers {
		out.Peers = append(out.Peers, c.Peers[k].Addr.String())
	}
	for k := range i.Trackers {
		t := &i.Trackers[k]
		out.Trackers = append(out.Trackers, Tracking{
			Kind: t.Kind.String(), Name: t.Name, Weight: t.Weight, Reverse: t.Reverse, State: trackState(t.Known, t.Up, t.Disabled),
			Fault: t.Fault, Detail: t.Detail, Reported: moment(t.At),
		})
	}
	if counters == nil {
		return out
	}
	counters.set(&i.Stats)
	out.History, out.Notices, out.Counters = changesOf(i.History), changesOf(i.Notices), counters
	for reason, n := range i.Stats.Rejected {
		if n > 0 {
			count(&out.Rejected, vrrp.Reject(reason).String(), n)
		}
	}
	return out
}

func changesOf(list []status.Change) (all []Change) {
	for i := range list {
		c := &list[i]
		all = append(all, Change{At: c.At.UTC(), From: c.From.String(), To: c.To.String(), Cause: c.Cause(), Why: c.Why})
	}
	return all
}

func macOf(mac [6]byte) string {
	if mac == ([6]byte{}) {
		return ""
	}
	return net.HardwareAddr(mac[:]).String()
}

func familyOf(f conf.Family) string {
	if f == conf.IPv6 {
		return "inet6"
	}
	return "inet"
}

func addressesOf(list []status.Address, excluded bool) []Address {
	out := make([]Address, len(list))
	for i := range list {
		a := &list[i]
		out[i] = Address{Address: a.Conf.Prefix.String(), Interface: a.Link, Excluded: excluded, Set: a.Set}
	}
	return out
}

func trackState(known, up, disabled bool) string {
	switch {
	case disabled:
		return "disabled"
	case !known:
		return "unknown"
	case up:
		return "up"
	}
	return "down"
}

func trackersOf(s *status.VRRP) (all []Tracker) {
	for i := range s.Scripts {
		t := &s.Scripts[i]
		all = append(all, Tracker{
			Kind: conf.TrackedScript.String(), Name: t.Conf.Name, State: trackState(t.Known, t.Up, t.Disabled), Detail: t.Detail,
			Running: t.Running, Reported: moment(t.At), Users: usersOf(t.Users), History: reported(t.Past, conf.TrackedScript),
		})
	}
	for i := range s.Files {
		t := &s.Files[i]
		all = append(all, Tracker{
			Kind: conf.TrackedFile.String(), Name: t.Conf.Name, State: trackState(!t.At.IsZero(), true, false), Number: &t.Number,
			Reported: moment(t.At), Users: usersOf(t.Users), History: reported(t.Past, conf.TrackedFile),
		})
	}
	for i := range s.Processes {
		t := &s.Processes[i]
		all = append(all, Tracker{
			Kind: conf.TrackedProcess.String(), Name: t.Conf.Name, State: trackState(!t.At.IsZero(), t.Quorum, false), Number: &t.Count,
			Reported: moment(t.At), Users: usersOf(t.Users), History: reported(t.Past, conf.TrackedProcess),
		})
	}
	for i := range s.BFDs {
		t := &s.BFDs[i]
		all = append(all, Tracker{
			Kind: conf.TrackedBFD.String(), Name: t.Conf.Name, State: trackState(!t.At.IsZero(), t.Up, false),
			Reported: moment(t.At), Users: usersOf(t.Users), History: reported(t.Past, conf.TrackedBFD),
		})
	}
	return all
}

// reported are the last reports of a tracker. A file holds a number, whichever it is.
func reported(past []status.Reported, kind conf.TrackKind) []Reported {
	var all []Reported
	for i := range past {
		p := &past[i]
		r := Reported{At: p.At.UTC(), State: trackState(true, p.Up || kind == conf.TrackedFile, p.Disabled)}
		if kind == conf.TrackedFile || kind == conf.TrackedProcess {
			r.Number = &p.Number
		}
		all = append(all, r)
	}
	return all
}

// Neighbour is another node that sends adverts of a virtual router.
type Neighbour struct {
	Interface string    `json:"interface,omitempty" doc:"on which its adverts arrive, if that is known"`
	Address   string    `json:"address" doc:"from which they come"`
	VRID      uint8     `json:"vrid" doc:"virtual router identifier in them"`
	Version   uint8     `json:"version" doc:"of VRRP"`
	Instance  string    `json:"instance,omitempty" doc:"virtual router here that they are for, if there is one"`
	Priority  uint8     `json:"priority" doc:"in the last one"`
	Interval  Seconds   `json:"advert_interval" doc:"in the last one"`
	Addresses []string  `json:"addresses,omitempty" doc:"virtual addresses in the last one"`
	Since     time.Time `json:"since" doc:"when the first one came"`
	Last      time.Time `json:"last" doc:"when the last one came"`
	Adverts   uint64    `json:"adverts" doc:"so far"`
}

// neighboursOf are the neighbours by interface, virtual router and address.
func neighboursOf(all []status.Neighbour) []Neighbour {
	slices.SortFunc(all, func(a, b status.Neighbour) int {
		return cmp.Or(cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.Claim[1], b.Claim[1]), a.Address.Compare(b.Address))
	})
	out := make([]Neighbour, 0, len(all))
	for i := range all {
		n := &all[i]
		c := vrrp.ParseClaim(n.Claim, n.Address.Is6())
		at := Neighbour{
			Interface: n.Interface, Address: n.Address.String(), VRID: c.VRID, Version: c.Version, Instance: n.Instance,
			Priority: c.Priority, Interval: seconds(c.Interval), Since: n.First.UTC(), Last: n.Last.UTC(), Adverts: n.Adverts,
		}
		for _, a := range c.Addresses {
			at.Addresses = append(at.Addresses, a.String())
		}
		out = append(out, at)
	}
	return out
}
