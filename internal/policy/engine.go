// Package policy is what a configuration means for the protocol engines: for
// the daemon, the lint and the simulator alike.
package policy

import (
	"net/netip"

	"keepalived-go/conf"
	"keepalived-go/vrrp"
)

// EngineConfig translates a vrrp_instance for the engine.
func EngineConfig(c *conf.VRRPInstance) vrrp.Config {
	out := vrrp.Config{
		Name:     c.Name,
		VRID:     c.VRID,
		Version:  uint8(c.Version),
		Family:   vrrp.Family(c.Family),
		Priority: c.Priority,

		AdvertInterval:     c.AdvertInterval,
		DownTimerAdverts:   c.DownTimerAdverts,
		NoPreempt:          c.NoPreempt,
		PreemptDelay:       c.PreemptDelay,
		TimerExpiredBackup: c.TimerExpiredBackup,

		Unicast:            c.Unicast,
		Group:              c.Group,
		TTL:                c.TTL,
		CheckUnicastSource: c.CheckUnicastSource,

		SkipCheckAdvertAddresses: c.SkipCheckAdvertAddresses,
		OwnerIgnoreAdverts:       c.OwnerIgnoreAdverts,
		LowerPriorityNoAdvert:    c.LowerPriorityNoAdvert,
		HigherPrioritySendAdvert: c.HigherPrioritySendAdvert,

		ChecksumAsV2:       c.ChecksumAsV2,
		OldUnicastChecksum: oldChecksums[c.OldUnicastChecksum],

		Auth: authTypes[c.Auth.Type],
		HMAC: vrrp.HMAC{
			Mode:      hmacModes[c.HMAC.Mode],
			SendKey:   c.HMAC.SendKey,
			Window:    c.HMAC.Window,
			Monotonic: c.HMAC.Monotonic,
		},
		Announce: vrrp.Announcements{
			Repeat:        c.GARP.Repeat,
			Delay:         c.GARP.Delay,
			Refresh:       c.GARP.Refresh,
			RefreshRepeat: c.GARP.RefreshRepeat,
			LowerRepeat:   c.GARP.LowerRepeat,
			LowerDelay:    c.GARP.LowerDelay,
		},
	}
	copy(out.Key[:], c.Auth.Password)
	if len(c.HMAC.Keys) > 0 {
		out.HMAC.Keys = make(map[uint8][]byte, len(c.HMAC.Keys))
		for id, key := range c.HMAC.Keys {
			out.HMAC.Keys[id] = []byte(key)
		}
	}
	out.Addresses = make([]netip.Addr, len(c.Addresses))
	for i, a := range c.Addresses {
		out.Addresses[i] = a.Prefix.Addr()
	}
	if len(c.Peers) > 0 {
		out.Peers = make([]vrrp.Peer, len(c.Peers))
		for i, p := range c.Peers {
			out.Peers[i] = vrrp.Peer{Addr: p.Addr, MinTTL: p.MinTTL, MaxTTL: p.MaxTTL}
		}
	}
	return out
}
