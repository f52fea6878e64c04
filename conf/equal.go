package conf

import (
	"maps"
	"slices"
)

// Equal reports whether v and o ask for the same, wherever in the files they
// stand. A reload compares thousands, which reflection would make slow.
func (v *VRRPInstance) Equal(o *VRRPInstance) bool {
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
		v.GARP == o.GARP &&
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

// Equal reports whether c and o run the same as the same user.
func (c *Command) Equal(o *Command) bool {
	return slices.Equal(c.Args, o.Args) && c.User == o.User && c.Group == o.Group
}

// Equal reports whether l and o make the same.
func (l *Link) Equal(o *Link) bool {
	if l == nil || o == nil {
		return l == o
	}
	return *l == *o
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
