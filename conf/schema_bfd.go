package conf

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// bfdInstance is a BFDInstance while its defaults are not known yet.
type bfdInstance struct {
	*BFDInstance
	hops    opt[int]
	refused bool // by its authentication
}

func bfdBlock() *block {
	addr := func(name, def, doc string, field func(*BFDInstance) *netip.Addr) *Keyword {
		return kw(name, address().zone(), def, doc).fills(inBFD(field))
	}
	neighbor := func(b *BFDInstance) *netip.Addr { return &b.Neighbor }
	interval := func(name, def, doc string, least int64, field func(*BFDInstance) *time.Duration) *Keyword {
		return kw(name, millis(least, 4294967), def, doc).fills(inBFD(field))
	}
	ttl := inBFD(func(b *BFDInstance) *uint8 { return &b.TTL })
	b := vocabulary("bfd_instance",
		addr("source_ip", "any", "source address of the session", func(b *BFDInstance) *netip.Addr { return &b.Source }),
		addr("neighbor_ip", "", "address of the neighbour; required", neighbor),
		addr("neighbour_ip", "", "the same", neighbor),
		interval("min_rx", "10", "shortest interval at which it can receive", 1, func(b *BFDInstance) *time.Duration { return &b.MinRx }),
		interval("min_tx", "10", "shortest interval at which it sends", 1, func(b *BFDInstance) *time.Duration { return &b.MinTx }),
		interval("idle_tx", "1000", "interval while the session is not up", 1000, func(b *BFDInstance) *time.Duration { return &b.IdleTx }),
		kw("multiplier", number(1, 255), "5", "number of missed packets in a row that ends the session").
			fills(inBFD(func(v *BFDInstance) *uint8 { return &v.Multiplier })),
		kw("passive", bare(), "off", "wait for the neighbour to start the session").
			fills(inBFD(func(v *BFDInstance) *bool { return &v.Passive })),
		kw("ttl", number(1, 255), "255", "TTL of sent packets").fills(ttl),
		kw("hoplimit", number(1, 255), "", "the same as ttl").fills(ttl),
		kw("max_hops", number(-1, 255), "0", "number of routers that a received packet may have passed; -1: any number").
			sets(func(d *decoder, a *argument) { d.bfd.hops.put(int(a.n)) }).
			shows(shown(func(v *BFDInstance) *uint8 { return &v.MaxHops })),
		kw("multihop", onOff(), "off", "use the port of multihop sessions").newer().
			fills(inBFD(func(v *BFDInstance) *bool { return &v.MultiHop })),
		kw("weight", weight(-253, 253), "0", "added to the priority: if positive while up, if negative while down; 0: down is a fault").sets(setBFDWeight).
			shows(shown(func(v *BFDInstance) *int { return &v.Weight }), shown(func(v *BFDInstance) *bool { return &v.Reverse }).argument(0)),
		kw("vrrp", bare(), "both", "use the session only for VRRP").
			sets(func(d *decoder, a *argument) { d.bfd.VRRP = true }).shows(shown(func(v *BFDInstance) *bool { return &v.VRRP }).argument(0)),
		kw("checker", bare(), "both", "use the session only for health checks").
			sets(func(d *decoder, a *argument) { d.bfd.Checker = true }).shows(shown(func(v *BFDInstance) *bool { return &v.Checker }).argument(0)),
		kw("authentication", braced(""), "none", "authentication of each packet (RFC 5880, 6.7), which both ends must have; a session whose block is wrong does not run").
			own().holds(bfdAuthBlock()),
	)
	b.open = openBFD
	b.close = closeBFD
	return b
}

func bfdAuthBlock() *block {
	b := vocabulary("bfd_instance.authentication",
		kw("type", oneOf(bfdAuthTypes[BFDAuthSimple:]...), "", "simple sends the key in clear text; the others a digest: with meticulous each packet has a sequence number of its own, without it replayed packets are accepted for some time; required").
			own().fills(inBFD(func(v *BFDInstance) *BFDAuthType { return &v.Auth.Type })),
		kw("key", several("ID VALUE"), "", "a key by its number: text, hex:DIGITS or file:PATH, of at most 20 bytes for sha1 and 16 otherwise; repeatable, since packets with any of them are accepted").
			own().secret().sets(setBFDKey).shows(shown(func(v *BFDInstance) *map[uint8]Secret { return &v.Auth.Keys })),
		kw("active_key", number(1, 255).as("ID"), "the lowest", "number of the key of sent packets").
			own().fills(inBFD(func(v *BFDInstance) *uint8 { return &v.Auth.SendKey })),
	)
	b.open = func(d *decoder, s *Statement) bool {
		d.bfd.Auth = BFDAuth{Keys: make(map[uint8]Secret)}
		return true
	}
	b.close = closeBFDAuth
	return b
}

func setBFDKey(d *decoder, a *argument) {
	if id, key, ok := d.numberedKey(a, "BFD instance "+d.bfd.Name+" authentication", "bfd-key", 1, BFDAuthSHA1.MaxKey()); ok {
		d.bfd.Auth.Keys[id] = key
	}
}

// closeBFDAuth refuses the session whose packets could be neither signed nor verified:
// without authentication it would accept those of anyone.
func closeBFDAuth(d *decoder, s *Statement) {
	b := d.bfd
	auth := &b.Auth
	refuse := func(format string, args ...any) {
		b.refused = true
		d.wrong(s, 0, "bfd-auth", "Configuration error: BFD instance "+b.Name+" authentication "+format+", disabling instance", args...)
	}
	if auth.Type == BFDAuthNone {
		refuse("has no type")
		return
	}
	ids := slices.Sorted(maps.Keys(auth.Keys))
	for _, id := range ids {
		if n := len(auth.Keys[id]); n > auth.Type.MaxKey() {
			refuse("key %d has %d bytes; expected at most %d with type %s", id, n, auth.Type.MaxKey(), auth.Type)
			return
		}
	}
	if auth.SendKey == 0 && len(ids) > 0 {
		auth.SendKey = ids[0]
	}
	if _, ok := auth.Keys[auth.SendKey]; !ok {
		refuse("has no key to sign with")
	}
}

func openBFD(d *decoder, s *Statement) bool {
	d.cfg.HasBFD = true
	name := s.Words[1].Text
	if len(name) > 31 {
		d.wrong(s, 1, "long-name", "bfd_instance name '%s' is longer than 31 characters - skipping", printable(name))
		return false
	}
	if d.bfdNamed(name) != nil {
		d.wrong(s, 1, "bfd-twice", "Configuration error: BFD instance %s already configured - ignoring", printable(name))
		return false
	}
	name = d.intern(name)
	d.bfd = &bfdInstance{BFDInstance: &BFDInstance{Name: name, Pos: d.pos(s)}}
	b := d.bfd.BFDInstance
	d.tracked.define(d, s, &tracker{
		trackerKey: trackerKey{TrackedBFD, name}, weight: &b.Weight, reverse: &b.Reverse,
		keep: func(c *Config) {
			c.BFDs = append(c.BFDs, &TrackBFD{Name: b.Name, Pos: b.Pos, Weight: b.Weight, Reverse: b.Reverse})
		},
	})
	return true
}

func (d *decoder) bfdNamed(name string) *BFDInstance {
	for _, b := range d.cfg.BFDInstances {
		if b.Name == name {
			return b
		}
	}
	return nil
}

func setBFDWeight(d *decoder, a *argument) {
	d.bfd.Weight = int(a.n)
	if len(a.Words) < 3 {
		return
	}
	if d.bfd.Reverse = a.Words[2].Text == "reverse"; !d.bfd.Reverse {
		d.wrong(a.Statement, 2, "track-option", "Configuration error: BFD instance %s unknown weight option %s; expected reverse", d.bfd.Name, printable(a.Words[2].Text))
	}
}

// closeBFD keeps a session that can run.
func closeBFD(d *decoder, s *Statement) {
	b := d.bfd
	d.bfd = nil
	bad := func(code, format string, args ...any) {
		d.wrong(s, 0, code, "Configuration error: BFD instance "+b.Name+" "+format, args...)
	}
	if !b.VRRP && !b.Checker {
		b.VRRP, b.Checker = true, true
	}
	if b.refused {
		return
	}
	if !b.Neighbor.IsValid() {
		bad("missing-neighbor_ip", "has no neighbor address set, disabling instance")
		return
	}
	if b.Source.IsValid() && b.Source.Is4() != b.Neighbor.Is4() {
		bad("family", "source address %s and neighbor address %s are not of the same family, disabling instance", b.Source, b.Neighbor)
		return
	}
	for _, other := range d.cfg.BFDInstances {
		if other.Neighbor == b.Neighbor {
			bad("neighbor-twice", "has duplicate neighbor address %s, ignoring instance; the first is at %v", b.Neighbor, other.Pos)
			return
		}
	}
	switch hops := b.hops.v; {
	case hops < 0:
		b.MaxHops = b.TTL
	case hops > int(b.TTL):
		bad("max-hops", "max_hops %d exceeds ttl/hoplimit - setting to ttl/hoplimit", hops)
		b.MaxHops = b.TTL
	default:
		b.MaxHops = uint8(hops)
	}
	d.cfg.BFDInstances = append(d.cfg.BFDInstances, b.BFDInstance)
}
