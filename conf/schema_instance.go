package conf

import (
	"net/netip"
	"slices"
	"time"
)

// instanceBlock is what may stand in vrrp_instance.
func instanceBlock() *block {
	b := vocabulary("vrrp_instance",
		// Where it lives.
		kw("interface", word("IFNAME"), "", "network interface the virtual router runs on").fills(inInstance(func(v *VRRPInstance) *string { return &v.Interface })).sets(setInterface),
		kw("version", number(2, 3), global("vrrp_version").as("3 with IPv6 addresses, else vrrp_version"), "VRRP protocol version").sets(setVersion).shows(shown(func(v *VRRPInstance) *int { return &v.Version })),
		kw("virtual_router_id", number(1, 255), "", "virtual router identifier, the same on all its nodes; required").fills(inInstance(func(v *VRRPInstance) *uint8 { return &v.VRID })).fallback(badVRID),
		kw("state", word("MASTER|BACKUP"), depends("BACKUP; MASTER with priority 255"), "initial state of the node").sets(setState).shows(shown(func(v *VRRPInstance) *bool { return &v.Master })),
		kw("priority", number(1, 255), depends("100; 255 with state MASTER"), "rank in the election; 255 is for the owner of the addresses").sets(setPriority).shows(shown(func(v *VRRPInstance) *uint8 { return &v.Priority })).fallback(defaultPriority),
		kw("advert_int", seconds(0.01, 255), "1", "time between two adverts: whole seconds in version 2, hundredths up to 40.95 in version 3").fills(inInstance(func(v *VRRPInstance) *time.Duration { return &v.AdvertInterval })).fallback(badAdvertInt),
		kw("down_timer_adverts", number(1, 100), global("vrrp_down_timer_adverts"), "adverts that must be missed before a backup takes over").
			fills(inInstance(func(v *VRRPInstance) *int { return &v.DownTimerAdverts })),
		kw("bfd_peer", several("NAME..."), "", "bfd_instance blocks whose neighbours are the other nodes: when the session with the master hears nothing, a backup takes over without waiting for adverts").own().
			sets(func(d *decoder, a *argument) {
				for _, w := range a.Words[1:] {
					if name := d.intern(w.Text); !slices.Contains(d.inst.BFDPeers, name) {
						d.inst.BFDPeers = append(d.inst.BFDPeers, name)
					}
				}
			}).shows(shown(func(v *VRRPInstance) *[]string { return &v.BFDPeers })),
		kw("on_external_delete", oneOf(onDeletes[OnDeleteYield:]...), "yield", "when another program removes an address, a route or a rule that is not no_track: become backup, set it again and stay master, or stay in FAULT until a reload").own().
			fills(inInstance(func(v *VRRPInstance) *OnDelete { return &v.OnDelete })),
		kw("strict_mode", onOff(), global("vrrp_strict"), "follow the RFCs strictly").
			fills(inInstance(func(v *VRRPInstance) *bool { return &v.Strict })),
		kw("dont_track_primary", bare(), "off", "do not enter FAULT when the interface is down").
			fills(inInstance(func(v *VRRPInstance) *bool { return &v.DontTrackPrimary })),
		kw("linkbeat_use_polling", bare(), "off", "poll the link state").gone("linkbeat_interfaces").
			sets(func(d *decoder, a *argument) { d.inst.poll = true }),
		kw("native_ipv6", bare(), "", "use IPv6; not needed, since the addresses determine the family").
			sets(setNativeIPv6),
		kw("debug", number(0, 4), "0", "log more about this virtual router").
			fills(inInstance(func(v *VRRPInstance) *int { return &v.Debug })),

		// Where adverts come from and go to.
		kw("unicast_src_ip", address(), "primary address of the interface", "source address of unicast adverts").fills(inInstance(func(v *VRRPInstance) *netip.Addr { return &v.SourceIP })).sets(setSource),
		kw("mcast_src_ip", address(), "primary address of the interface", "source address of multicast adverts").fills(inInstance(func(v *VRRPInstance) *netip.Addr { return &v.SourceIP })).sets(setSource),
		kw("mcast_dst_ip", address(), global("vrrp_mcast_group4", "vrrp_mcast_group6"), "multicast group of this virtual router").sets(setGroup).shows(shown(func(v *VRRPInstance) *netip.Addr { return &v.Group })),
		kw("track_src_ip", bare(), "off", "stay in FAULT while the source address is missing from the interface").
			fills(inInstance(func(v *VRRPInstance) *bool { return &v.TrackSourceIP })),
		kw("unicast_ttl", number(0, 255), "255", "TTL or hop limit of unicast adverts").fills(inInstance(func(v *VRRPInstance) *uint8 { return &v.TTL })).sets(setTTL),
		kw("unicast_peer", braced("{ ADDR [min_ttl N] [max_ttl N] }"), "multicast", "peers that get a copy of every advert instead of the multicast group").holds(peerBlock()).shows(shown(func(v *VRRPInstance) *[]Peer { return &v.Peers })),
		kw("unicast_fault_no_peer", bare(), "off", "stay in FAULT while no peer is configured, rather than use multicast").
			sets(func(d *decoder, a *argument) { d.inst.FaultNoPeer = true; d.unicastWord(a) }).
			fills(inInstance(func(v *VRRPInstance) *bool { return &v.FaultNoPeer })),
		kw("check_unicast_src", bare(), global("vrrp_check_unicast_src"), "drop adverts that do not come from a configured peer").
			sets(func(d *decoder, a *argument) { d.inst.CheckUnicastSource = true; d.unicastWord(a) }).
			fills(inInstance(func(v *VRRPInstance) *bool { return &v.CheckUnicastSource })),
		kw("old_unicast_checksum", oneOf("never").opt(), "recognised", "version 3 unicast checksum of old releases: send it, or with never do not accept it").sets(setOldChecksum).
			shows(shown(func(v *VRRPInstance) *OldChecksum { return &v.OldUnicastChecksum })),
		kw("v3_checksum_as_v2", onOff(), global("v3_checksum_as_v2").as("v3_checksum_as_v2 of global_defs"), "omit the pseudo header from the IPv4 checksum of version 3, as in RFC 9568").newer().
			fills(inInstance(func(v *VRRPInstance) *bool { return &v.ChecksumAsV2 })),

		// Elections.
		kw("nopreempt", bare(), "off", "leave a master with a lower priority in place").fills(inInstance(func(v *VRRPInstance) *bool { return &v.NoPreempt })),
		kw("preempt", bare(), "on", "take over from a master with a lower priority").fills(inInstance(func(v *VRRPInstance) *bool { return &v.NoPreempt })).inverted(),
		kw("preempt_delay", seconds(0, 1000), "0", "how long a master with a lower priority is tolerated").fills(inInstance(func(v *VRRPInstance) *time.Duration { return &v.PreemptDelay })),
		kw("timer_expired_backup", number(1, 254).opt(), "off", "with nopreempt: become BACKUP if a timer fires N advert intervals late (default of N: 1)").newer().
			sets(setTimerExpiredBackup).shows(shown(func(v *VRRPInstance) *int { return &v.TimerExpiredBackup })),
		kw("thread_timer_expired", number(1, 254).opt(), "off", "old name of timer_expired_backup").newer().gone("timer_expired_backup").
			sets(setTimerExpiredBackup).shows(shown(func(v *VRRPInstance) *int { return &v.TimerExpiredBackup })),
		kw("skip_check_adv_addr", onOff(), global("vrrp_skip_check_adv_addr"), "do not compare the address list of the current master").
			fills(inInstance(func(v *VRRPInstance) *bool { return &v.SkipCheckAdvertAddresses })),
		kw("lower_prio_no_advert", onOff(), global("vrrp_lower_prio_no_advert"), "do not answer adverts of a lower priority").
			fills(inInstance(func(v *VRRPInstance) *bool { return &v.LowerPriorityNoAdvert })),
		kw("higher_prio_send_advert", onOff(), global("vrrp_higher_prio_send_advert"), "send one more advert before yielding to a higher priority").
			fills(inInstance(func(v *VRRPInstance) *bool { return &v.HigherPrioritySendAdvert })),
		kw("owner_ignore_adverts", onOff(), global("vrrp_owner_ignore_adverts"), "let an address owner ignore adverts of other masters").newer().
			fills(inInstance(func(v *VRRPInstance) *bool { return &v.OwnerIgnoreAdverts })),

		// Authentication.
		kw("authentication", braced(""), "none", "password authentication for version 2").holds(authBlock()),
		kw("auth_hmac", braced(""), "none", "authentication with an HMAC trailer").newer().holds(hmacBlock()),

		// Addresses.
		kw("virtual_ipaddress", braced("{ ADDRESS }"), "", "addresses of the virtual router, carried in its adverts").holds(addressBlock("vrrp_instance.virtual_ipaddress", false)).
			shows(shown(func(v *VRRPInstance) *[]Address { return &v.Addresses })),
		kw("virtual_ipaddress_excluded", braced("{ ADDRESS }"), "", "further addresses that move with the virtual router but are not in its adverts").holds(addressBlock("vrrp_instance.virtual_ipaddress_excluded", true)).
			shows(shown(func(v *VRRPInstance) *[]Address { return &v.Excluded })),
		kw("no_virtual_ipaddress", bare(), "off", "allow version 3 without any address").newer().
			sets(func(d *decoder, a *argument) { d.inst.noVIP = true }),
		kw("promote_secondaries", bare(), "off", "keep secondary addresses of the interface when its primary address is removed").
			fills(inInstance(func(v *VRRPInstance) *bool { return &v.PromoteSecondaries })),
		kw("accept", bare(), depends("on; off in strict mode, except for the owner"), "accept packets to the addresses").
			sets(func(d *decoder, a *argument) { d.inst.accept.put(true) }).shows(shown(func(v *VRRPInstance) *bool { return &v.Accept })),
		kw("no_accept", bare(), "off", "do not accept packets to the addresses").
			sets(func(d *decoder, a *argument) { d.inst.accept.put(false) }).shows(shown(func(v *VRRPInstance) *bool { return &v.Accept })).inverted(),
		kw("virtual_routes", braced("{ ROUTE }"), "", "routes that exist while master").holds(routeBlock("vrrp_instance.virtual_routes")).
			shows(shown(func(v *VRRPInstance) *[]Route { return &v.Routing.Routes })),
		kw("virtual_rules", braced("{ RULE }"), "", "routing rules that exist while master").holds(ruleBlock("vrrp_instance.virtual_rules")).
			shows(shown(func(v *VRRPInstance) *[]Rule { return &v.Routing.Rules })),

		// Notification.
		kw("lvs_sync_daemon_interface", word("IFNAME"), "", "interface of the IPVS sync daemon").gone("lvs_sync_daemon in global_defs").
			sets(setLegacySync),
	)
	b.add(garpWords("garp_", "vrrp_garp_", func(d *decoder) *garpSettings { return d.inst.announces() })...)
	b.add(
		extraGARP("garp_extra_if", global("vrrp_garp_extra_if"), 0, func(d *decoder) *opt[ExtraGARP] { return &d.inst.announces().extra }).
			shows(extraGARPFields...),
		extraGARP("vmac_garp_intvl", plain(""), 0, func(d *decoder) *opt[ExtraGARP] { return &d.inst.announces().extra }).gone("garp_extra_if").
			shows(extraGARPFields...),
	)
	b.add(notifyWords("called with type, name, state and priority")...)
	b.add(
		kw("notify_deleted", cmd().opt(), "off", "command, or the state DELETED, when a reload removes the virtual router").sets(setNotifyDeleted).
			shows(shown(func(v *VRRPInstance) *Command { return &v.Notify.Deleted }), shown(func(v *VRRPInstance) *bool { return &v.Notify.SignalDeleted }).argument(0)),
		notifyCommand("notify_master_rx_lower_pri", "command when a master receives an advert with a lower priority", func(n *Notify) *Command { return &n.MasterRxLowerPri }),
	)
	b.add(linkWords()...)
	b.add(trackWords("this virtual router")...)
	b.open, b.close = openInstance, closeInstance
	b.given = func(d *decoder) *written { return &d.inst.given }
	return b
}

// garpWords are the words of global_defs and vrrp_instance that set how often
// addresses are announced.
func garpWords(prefix, def string, into func(*decoder) *garpSettings) []*Keyword {
	inherit := func(word string, initial Initial) Initial {
		if prefix == def {
			return initial
		}
		return global(def + word)
	}
	delay := func(field func(*garpSettings) *opt[time.Duration]) func(*decoder, *argument) {
		return func(d *decoder, a *argument) { field(into(d)).put(time.Duration(a.n) * time.Second) }
	}
	count := func(field func(*garpSettings) *opt[int]) func(*decoder, *argument) {
		return func(d *decoder, a *argument) { field(into(d)).put(int(a.n)) }
	}
	// In global_defs they are shown where they are in force.
	shows := func(k *Keyword, f Field) *Keyword {
		if prefix == def {
			return k
		}
		return k.shows(f)
	}
	const most = 1<<31 - 1
	wholeSeconds := number(0, 4294).as("SECS")
	return []*Keyword{
		shows(kw(prefix+"master_delay", wholeSeconds, inherit("master_delay", plain("5")), "time until addresses are announced a second time; 0: not at all").
			sets(delay(func(g *garpSettings) *opt[time.Duration] { return &g.delay })), shown(func(v *VRRPInstance) *time.Duration { return &v.GARP.Delay })),
		shows(kw(prefix+"master_repeat", number(0, most), inherit("master_repeat", plain("5")), "number of announcements of each address on becoming master, at least 1").
			sets(atLeastOne(func(d *decoder) *opt[int] { return &into(d).repeat })), shown(func(v *VRRPInstance) *int { return &v.GARP.Repeat })),
		shows(kw(prefix+"master_refresh", wholeSeconds, inherit("master_refresh", plain("0")), "interval at which a master announces its addresses again; 0: never").
			sets(delay(func(g *garpSettings) *opt[time.Duration] { return &g.refresh })), shown(func(v *VRRPInstance) *time.Duration { return &v.GARP.Refresh })),
		shows(kw(prefix+"master_refresh_repeat", number(0, most), inherit("master_refresh_repeat", plain("1")), "number of announcements of each address per refresh, at least 1").
			sets(atLeastOne(func(d *decoder) *opt[int] { return &into(d).refreshRepeat })), shown(func(v *VRRPInstance) *int { return &v.GARP.RefreshRepeat })),
		shows(kw(prefix+"lower_prio_delay", wholeSeconds, inherit("lower_prio_delay", sibling(prefix+"master_delay")), "like "+prefix+"master_delay, after an advert of a lower priority").
			sets(delay(func(g *garpSettings) *opt[time.Duration] { return &g.lowerDelay })), shown(func(v *VRRPInstance) *time.Duration { return &v.GARP.LowerDelay })),
		shows(kw(prefix+"lower_prio_repeat", number(0, most), inherit("lower_prio_repeat", sibling(prefix+"master_repeat")), "like "+prefix+"master_repeat, after an advert of a lower priority").
			sets(count(func(g *garpSettings) *opt[int] { return &g.lowerRepeat })), shown(func(v *VRRPInstance) *int { return &v.GARP.LowerRepeat })),
	}
}

// extraGARPFields are what garp_extra_if sets.
var extraGARPFields = []Field{
	shown(func(v *VRRPInstance) *time.Duration { return &v.GARP.Extra.Period }).argument(0),
	shown(func(v *VRRPInstance) *bool { return &v.GARP.Extra.All }).argument(0),
}

// extraGARP declares [all] SECS.
func extraGARP(name string, def Initial, least int64, field func(*decoder) *opt[ExtraGARP]) *Keyword {
	k := kw(name, several("[all] SECS").soft(name+" specified without time - ignoring"), def, "interval at which addresses on other interfaces are announced again")
	k.Range = number(least, 86400).bounds()
	return k.sets(func(d *decoder, a *argument) {
		at, extra := 1, ExtraGARP{All: a.text == "all"}
		if extra.All {
			at = 2
		}
		if at == len(a.Words) {
			d.wrong(a.Statement, 1, "missing-argument", "%s specified without time - ignoring", name)
			return
		}
		if !d.nothingBehind(a, at+1, name+" takes one time - ignoring") {
			return
		}
		if n, ok := d.number(a.Statement, at, least, 86400); ok {
			extra.Period = time.Duration(n) * time.Second
			field(d).put(extra)
		}
	})
}

// atLeastOne stores a count; 0 is reported and taken as 1.
func atLeastOne(field func(*decoder) *opt[int]) func(*decoder, *argument) {
	return func(d *decoder, a *argument) {
		if a.n < 1 {
			d.wrong(a.Statement, 1, "out-of-range", "%s must be greater than 0, setting to 1", a.k.Name)
			a.n = 1
		}
		field(d).put(int(a.n))
	}
}

// notifyWords are the words of instances and sync groups that set who is notified.
func notifyWords(called string) []*Keyword {
	into := func(f func(d *decoder) *opt[bool]) func(*decoder, *argument) {
		return func(d *decoder, a *argument) { f(d).put(a.on) }
	}
	return []*Keyword{
		notifyCommand("notify", "command for every state change, "+called, func(n *Notify) *Command { return &n.Any }),
		notifyCommand("notify_master", "command on becoming master", func(n *Notify) *Command { return &n.Master }),
		notifyCommand("notify_backup", "command on becoming backup", func(n *Notify) *Command { return &n.Backup }),
		notifyCommand("notify_fault", "command on entering FAULT", func(n *Notify) *Command { return &n.Fault }),
		notifyCommand("notify_stop", "command when the daemon stops", func(n *Notify) *Command { return &n.Stop }),
		kw("notify_priority_changes", onOff(), outer("of the sync group, else vrrp_notify_priority_changes").or(global("vrrp_notify_priority_changes")), "write changes of the effective priority to FIFOs").
			sets(into(func(d *decoder) *opt[bool] {
				if d.inst != nil {
					return &d.inst.priorityChanges
				}
				return &d.group.priorityChanges
			})).shows(notifyFields(func(n *Notify) *bool { return &n.PriorityChanges })...),
		kw("smtp_alert", onOff(), global("smtp_alert_vrrp"), "send mail on state changes").
			sets(into(func(d *decoder) *opt[bool] {
				if d.inst != nil {
					return &d.inst.smtpAlert
				}
				return &d.group.smtpAlert
			})).shows(notifyFields(func(n *Notify) *bool { return &n.SMTPAlert })...),
	}
}

// notifyCommand declares a command of an instance or sync group.
func notifyCommand(name, doc string, field func(*Notify) *Command) *Keyword {
	return kw(name, cmd(), "", doc).sets(func(d *decoder, a *argument) {
		what := name + " script"
		if d.inst != nil {
			owner := "(" + d.inst.Name + ") "
			d.keep(field(d.inst.notifications()), a, owner+what, owner+what+" already specified - ignoring "+firstOf(d, a))
			return
		}
		owner := "vrrp group " + d.group.Name + ": "
		d.keep(field(&d.group.notify), a, owner+what, owner+what+" already specified - ignoring "+firstOf(d, a))
	}).shows(notifyFields(field)...)
}

// notifyFields are a field of Notify, which instances and sync groups have.
func notifyFields[V any](at func(*Notify) *V) []Field {
	return []Field{
		shown(func(v *VRRPInstance) *V { return at(v.Notify) }),
		shown(func(g *SyncGroup) *V { return at(g.Notify) }),
	}
}

// firstOf is the program that a command names, for messages.
func firstOf(d *decoder, a *argument) string {
	if args := a.command(d).Args; len(args) > 0 {
		return printable(args[0])
	}
	return ""
}

func setNotifyDeleted(d *decoder, a *argument) {
	n, what := d.inst.notifications(), "("+d.inst.Name+") notify_deleted"
	if n.SignalDeleted {
		d.wrong(a.Statement, 0, "command-twice", "%s already specified - ignoring %s", what, firstOf(d, a))
		return
	}
	n.SignalDeleted = true
	if a.given() {
		d.keep(&n.Deleted, a, what+" script", "")
	}
}

// trackWords are the track_* blocks of instances and sync groups.
func trackWords(of string) []*Keyword {
	words := []*Keyword{
		kw("track_interface", braced("{ IFNAME [weight N [reverse]] }"), "", "interfaces that affect the priority or the state of "+of),
		kw("track_script", braced("{ NAME [weight N [reverse|noreverse]] }"), "", "vrrp_script blocks that affect the priority or the state of "+of),
		kw("track_file", braced("{ NAME [weight N [reverse|noreverse]] }"), "", "track_file blocks that affect the priority or the state of "+of),
		kw("track_process", braced("{ NAME [weight N [reverse|noreverse]] }"), "", "vrrp_track_process blocks that affect the priority or the state of "+of),
		kw("track_bfd", braced("{ NAME [weight N [reverse|noreverse]] }"), "", "bfd_instance blocks that affect the priority or the state of "+of),
	}
	for i, k := range words {
		k.block = &block{entry: trackEntry(TrackKind(i))}
		k.shows(
			shown(func(v *VRRPInstance) *[]Track { return &v.Track }),
			shown(func(g *SyncGroup) *[]Track { return &g.Track }),
		)
	}
	return words
}
