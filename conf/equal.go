package conf

import (
	"maps"
	"slices"
)

// Equal reports whether v and o ask for the same, wherever in the files they
// stand; nil asks for nothing. A reload compares thousands, which reflection would
// make slow.
func (v *VRRPInstance) Equal(o *VRRPInstance) bool {
	if v == nil || o == nil {
		return v == o
	}
	return v.Name == o.Name &&
		v.Interface == o.Interface &&
		v.Version == o.Version &&
		v.Family == o.Family &&
		v.VRID == o.VRID &&
		v.Master == o.Master &&
		v.Priority == o.Priority &&
		v.AdvertInterval == o.AdvertInterval &&
		v.DownTimerAdverts == o.DownTimerAdverts &&
		v.NoPreempt == o.NoPreempt &&
		v.PreemptDelay == o.PreemptDelay &&
		v.TimerExpiredBackup == o.TimerExpiredBackup &&
		v.DontTrackPrimary == o.DontTrackPrimary &&
		v.Strict == o.Strict &&
		v.Accept == o.Accept &&
		v.SourceIP == o.SourceIP &&
		v.TrackSourceIP == o.TrackSourceIP &&
		v.Group == o.Group &&
		v.Unicast == o.Unicast &&
		slices.Equal(v.Peers, o.Peers) &&
		v.FaultNoPeer == o.FaultNoPeer &&
		v.TTL == o.TTL &&
		v.CheckUnicastSource == o.CheckUnicastSource &&
		v.SkipCheckAdvertAddresses == o.SkipCheckAdvertAddresses &&
		v.OwnerIgnoreAdverts == o.OwnerIgnoreAdverts &&
		v.LowerPriorityNoAdvert == o.LowerPriorityNoAdvert &&
		v.HigherPrioritySendAdvert == o.HigherPrioritySendAdvert &&
		v.ChecksumAsV2 == o.ChecksumAsV2 &&
		v.OldUnicastChecksum == o.OldUnicastChecksum &&
		v.Auth == o.Auth &&
		v.HMAC.equal(&o.HMAC) &&
		slices.EqualFunc(v.Addresses, o.Addresses, Address.equal) &&
		slices.EqualFunc(v.Excluded, o.Excluded, Address.equal) &&
		v.PromoteSecondaries == o.PromoteSecondaries &&
		same(v.GARP, o.GARP) &&
		v.Debug == o.Debug &&
		v.Routing.Equal(o.Routing) &&
		v.Link.Equal(o.Link) &&
		v.RxBuf == o.RxBuf &&
		slices.EqualFunc(v.Track, o.Track, Track.equal) &&
		v.Notify.Equal(o.Notify)
}

// Equal reports whether n and o tell the same of the same; nil tells nothing.
func (n *Notify) Equal(o *Notify) bool {
	if n == nil || o == nil {
		return n == o
	}
	return n.Any.Equal(&o.Any) &&
		n.Master.Equal(&o.Master) &&
		n.Backup.Equal(&o.Backup) &&
		n.Fault.Equal(&o.Fault) &&
		n.Stop.Equal(&o.Stop) &&
		n.Deleted.Equal(&o.Deleted) &&
		n.MasterRxLowerPri.Equal(&o.MasterRxLowerPri) &&
		n.SignalDeleted == o.SignalDeleted &&
		n.PriorityChanges == o.PriorityChanges &&
		n.SMTPAlert == o.SMTPAlert
}

// Equal reports whether c and o run the same as the same user; nil runs nothing.
func (c *Command) Equal(o *Command) bool {
	if c == nil || o == nil {
		return c == o
	}
	return slices.Equal(c.Args, o.Args) && c.User == o.User && c.Group == o.Group
}

// Equal reports whether l and o make the same.
func (l *Link) Equal(o *Link) bool {
	if l == nil || o == nil {
		return l == o
	}
	return *l == *o
}

// Equal reports whether r and o ask for the same; nil asks for nothing.
func (r *Routing) Equal(o *Routing) bool {
	if r == nil || o == nil {
		return r == o
	}
	return slices.EqualFunc(r.Routes, o.Routes, Route.equal) && slices.EqualFunc(r.Rules, o.Rules, Rule.equal)
}

func (r Route) equal(o Route) bool {
	return r.Family == o.Family &&
		r.Type == o.Type &&
		r.Order == o.Order &&
		r.Destination == o.Destination &&
		r.From == o.From &&
		r.Source == o.Source &&
		r.Hop.equal(o.Hop) &&
		slices.EqualFunc(r.Hops, o.Hops, NextHop.equal) &&
		r.TOS == o.TOS &&
		r.Table == o.Table &&
		same(r.Protocol, o.Protocol) &&
		r.Scope == o.Scope &&
		r.Metric == o.Metric &&
		r.Expires == o.Expires &&
		slices.Equal(r.Metrics, o.Metrics) &&
		r.CongestionControl == o.CongestionControl &&
		r.CongestionControlLocked == o.CongestionControlLocked &&
		same(r.Preference, o.Preference) &&
		same(r.TTLPropagate, o.TTLPropagate) &&
		r.VRF == o.VRF &&
		r.NoTrack == o.NoTrack &&
		r.TrackGroup == o.TrackGroup
}

func (h NextHop) equal(o NextHop) bool {
	a, b := h.Encap, o.Encap
	h.Encap, o.Encap = nil, nil
	return h == o && a.equal(b)
}

func (e *Encap) equal(o *Encap) bool {
	if e == nil || o == nil {
		return e == o
	}
	return e.Type == o.Type && slices.Equal(e.Labels, o.Labels) && e.ID == o.ID && e.Src == o.Src && e.Dst == o.Dst &&
		e.TOS == o.TOS && e.TTL == o.TTL && e.Flags == o.Flags && e.Locator == o.Locator
}

func (r Rule) equal(o Rule) bool {
	if !same(r.UIDs, o.UIDs) || !same(r.SPort, o.SPort) || !same(r.DPort, o.DPort) || !same(r.Protocol, o.Protocol) {
		return false
	}
	for _, x := range []*Rule{&r, &o} {
		x.Pos, x.UIDs, x.SPort, x.DPort, x.Protocol = Pos{}, nil, nil, nil, nil
	}
	return r == o
}

// same reports whether a and b are both nil or point to equal values.
func same[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func (t Track) equal(o Track) bool {
	t.Pos, o.Pos = Pos{}, Pos{}
	return t == o
}

func (h *HMAC) equal(o *HMAC) bool {
	return h.Mode == o.Mode && h.SendKey == o.SendKey && maps.Equal(h.Keys, o.Keys) &&
		h.Window == o.Window && h.Monotonic == o.Monotonic
}

func (a Address) equal(o Address) bool {
	a.Pos, o.Pos = Pos{}, Pos{}
	return a == o
}
