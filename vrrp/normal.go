package vrrp

import (
	"bytes"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// normal returns c with its zero values replaced by the protocol's defaults
// and with nothing in it that a packet cannot carry.
func (c Config) normal() Config {
	if c.Family != IPv6 {
		c.Family = IPv4
	}
	if c.Version != 2 && c.Version != 3 {
		c.Version = 2
		if c.Family == IPv6 {
			c.Version = 3
		}
	}
	if c.Priority == 0 {
		c.Priority = 100 // RFC 9568, 5.2.4
	}
	if c.AdvertInterval == 0 {
		c.AdvertInterval = time.Second
	}
	unit, most := time.Second, 255*time.Second
	if c.Version == 3 {
		unit, most = centisecond, 4095*centisecond
	}
	c.AdvertInterval = min(max(c.AdvertInterval.Round(unit), unit), most)
	if c.DownTimerAdverts <= 0 {
		c.DownTimerAdverts = 3
	}
	if c.TTL == 0 {
		c.TTL = 255
	}
	c.Group = c.Group.WithZone("")
	if c.Version == 3 || c.Family == IPv6 {
		c.Auth = AuthNone // RFC 5798, 9: only version 2 has the fields
	}
	if slices.ContainsFunc(c.Addresses, c.foreign) {
		c.Addresses = slices.DeleteFunc(slices.Clone(c.Addresses), c.foreign)
	}
	if !c.Unicast {
		c.Peers = nil
	}
	if slices.ContainsFunc(c.Peers, func(p Peer) bool { return p.Addr.Zone() != "" }) {
		c.Peers = slices.Clone(c.Peers)
		for n := range c.Peers {
			c.Peers[n].Addr = c.Peers[n].Addr.WithZone("") // an instance knows one link only
		}
	}
	return c
}

const centisecond = 10 * time.Millisecond

// foreign reports whether a is not of the family of the virtual router.
func (c *Config) foreign(a netip.Addr) bool { return a.Is4() != (c.Family == IPv4) || !a.IsValid() }

// Advertised returns those of Addresses that an advert carries: the first ones,
// as far as there is [Config.Room].
func (c *Config) Advertised() []netip.Addr { return c.Addresses[:min(len(c.Addresses), c.Room())] }

// Room returns how many addresses an advert can carry: 255, the count being one
// byte, or fewer on a link of a small MTU. keepalived counts an Ethernet header
// as part of the MTU, and so must who wants its adverts to list the same
// addresses. Room for the authentication trailer is left as soon as there are
// keys, so that nodes that sign and nodes that do not yet agree.
func (c *Config) Room() int {
	const most, lenEthernet, lenIPv6 = 255, 14, 40
	if c.MTU == 0 {
		return most
	}
	used := lenEthernet + lenIPv4 + lenVRRP
	if c.Family == IPv6 {
		used = lenEthernet + lenIPv6 + lenVRRP
	} else if c.Version == 2 {
		used += lenAuthData
	}
	if c.Auth == AuthAH {
		used += lenAH
	}
	if c.HMAC.Mode != HMACOff {
		used += lenTrailer
	}
	return min(max(0, (c.MTU-used)/c.Family.size()), most)
}

// equal reports whether two normal configurations mean the same.
func (c *Config) equal(d *Config) bool {
	return c.Name == d.Name && c.VRID == d.VRID && c.Version == d.Version &&
		c.Family == d.Family && c.Priority == d.Priority &&
		c.AdvertInterval == d.AdvertInterval && c.DownTimerAdverts == d.DownTimerAdverts &&
		c.NoPreempt == d.NoPreempt && c.PreemptDelay == d.PreemptDelay &&
		c.TimerExpiredBackup == d.TimerExpiredBackup &&
		slices.Equal(c.Addresses, d.Addresses) && len(c.Advertised()) == len(d.Advertised()) &&
		c.Unicast == d.Unicast && c.Group == d.Group && slices.Equal(c.Peers, d.Peers) &&
		c.TTL == d.TTL && c.CheckUnicastSource == d.CheckUnicastSource &&
		c.SkipCheckAdvertAddresses == d.SkipCheckAdvertAddresses &&
		c.OwnerIgnoreAdverts == d.OwnerIgnoreAdverts &&
		c.LowerPriorityNoAdvert == d.LowerPriorityNoAdvert &&
		c.HigherPrioritySendAdvert == d.HigherPrioritySendAdvert &&
		c.ChecksumAsV2 == d.ChecksumAsV2 && c.OldUnicastChecksum == d.OldUnicastChecksum &&
		c.Auth == d.Auth && c.Key == d.Key && c.HMAC.equal(&d.HMAC) &&
		c.Announce == d.Announce
}

func (h *HMAC) equal(g *HMAC) bool {
	return h.Mode == g.Mode && h.SendKey == g.SendKey && h.Window == g.Window &&
		h.Monotonic == g.Monotonic && maps.EqualFunc(h.Keys, g.Keys, bytes.Equal)
}
