package lint

import (
	"fmt"
	"iter"
	"slices"

	"keepalived-go/conf"
)

// Code is a kind of finding.
type Code struct {
	Name     string // stable
	Severity conf.Severity
	Meaning  string // what is found, and why it matters
	Remedy   string // what to do as a rule
}

// Codes are all kinds of findings, those of one node first.
func Codes() iter.Seq[Code] { return slices.Values(codes) }

var codes = []Code{
	{"address-of-network", conf.Warning, "a virtual address is the address of a network itself, or its broadcast address; hosts do not answer to these", "write the address of a host"},
	{"prefix-length", conf.Note, "a virtual address has another prefix length than its network, so that the route to its neighbours or its broadcast address may be wrong", "write the prefix length of the network"},
	{"owner-without-address", conf.Note, "a node claims to own the addresses (priority 255, also the default of state MASTER), but its interface has none of them by itself; it takes them at once whenever it starts, and no weight counts", "write a priority of 254 or less"},
	{"source-is-virtual", conf.Error, "adverts are to come from a virtual address, which only a master has: no node could become one", "name an address that the node has all the time"},
	{"peer-is-virtual", conf.Warning, "a unicast peer is a virtual address, so that a master sends its adverts to itself", "name an address that the peer has all the time"},
	{"vrid-shared", conf.Warning, "two virtual routers on one link have the same virtual_router_id and differ in their destination only; other routers on the link cannot tell them apart", "give one of them another virtual_router_id"},
	{"nothing-configured", conf.Warning, "the file has no block that does anything: the daemon runs and protects nothing", "write a vrrp_instance"},
	{"single-advert", conf.Warning, "one lost advert makes a backup take over", "set down_timer_adverts to 2 or more; 3 is the default"},
	{"weight-without-effect", conf.Warning, "a tracker of this weight cannot change the priority: that of an address owner is fixed, others stay between 1 and 254", "choose another priority, or weight 0, with which a failure is a fault"},
	{"weight-and-nopreempt", conf.Note, "a node with nopreempt does not take over from a master whose priority falls, so that weights move nothing to it", "use weight 0, so that a failure is a fault"},
	{"script-slow", conf.Note, "a failure takes much longer to be noticed than to be acted on", "shorten interval, or lower fall"},
	{"script-timeout", conf.Note, "the timeout of a script is longer than its interval, so that runs are left out while one hangs", "make timeout at most interval"},
	{"script-writable", conf.Warning, "somebody else than root can change a program that root runs", "do what the finding says, write enable_script_security, or set script_user"},
	{"advert-slow", conf.Note, "a changed priority waits longer for the next advert than the tracker took to notice", "shorten advert_int, or use weight 0, with which the node stops at once"},
	{"announcements-overlap", conf.Note, "refreshes come before the second set of announcements, which is then pointless", "set garp_master_refresh to more than garp_master_delay"},
	{"announcements-slow", conf.Warning, "with the interval between announcements one round takes longer than the time to the next", "shorten garp_interval or gna_interval, or announce less often"},
	{"mail-incomplete", conf.Warning, "mail is configured in part, and none is sent", "write both notification_email and smtp_server, or none"},
	{"mail-unused", conf.Note, "mail is configured, but nothing asks for it", "write smtp_alert where mail is wanted"},
	{"bfd-unused", conf.Note, "a BFD session has no influence on anything", "name it in track_bfd or BFD_CHECK"},
	{"servers-unchecked", conf.Note, "no real server is ever checked, so that one that fails keeps getting connections", "give the real servers a check"},
	{"check-timeout", conf.Note, "a check may take longer than the time from one to the next, so that an outage is noticed later than delay_loop says", "make connect_timeout or misc_timeout at most delay_loop"},
	{"ha-suspend", conf.Note, "checks are suspended while the address is not on this node, and no virtual router of this file brings it", "remove ha_suspend, or add the address to a vrrp_instance"},

	{"cluster-vrid", conf.Error, "two nodes protect the same addresses under different virtual_router_ids, so that they do not hear each other and both are master", "use one virtual_router_id"},
	{"cluster-version", conf.Error, "the nodes speak different versions of VRRP and drop each other's adverts", "use one version"},
	{"cluster-auth", conf.Error, "the nodes authenticate their adverts differently and drop each other's", "use the same authentication or auth_hmac with the same keys"},
	{"cluster-advert-int", conf.Error, "with version 2, adverts of another interval are dropped", "use one advert_int"},
	{"cluster-advert-learned", conf.Warning, "with version 3, a backup waits as the master's interval says: how long a failover takes depends on who was master", "use one advert_int"},
	{"cluster-addresses", conf.Error, "the nodes protect different addresses: a failover loses some", "use one list of addresses"},
	{"cluster-address-shared", conf.Error, "virtual routers that know nothing of each other protect one address on different nodes, so that two nodes may hold it at once", "write the address in one virtual router, the same on all nodes"},
	{"cluster-address-own", conf.Error, "a virtual address is one that a node has by itself, or that others reach it at: it is on two nodes as soon as another one is master", "write an address that no node has by itself"},
	{"cluster-prefix", conf.Warning, "an address has different prefix lengths on the nodes", "use one prefix length"},
	{"cluster-destination", conf.Error, "the nodes send their adverts to different places: multicast and unicast, or different groups", "use one multicast group, or unicast on all nodes"},
	{"cluster-peers", conf.Error, "a node does not send its adverts to another one of the same virtual router", "list all other nodes in unicast_peer"},
	{"cluster-source", conf.Error, "two nodes send from the same address and take each other's adverts for their own", "give each node its own unicast_src_ip or mcast_src_ip"},
	{"cluster-priority", conf.Warning, "two nodes have the same priority: their addresses decide who is master, and none preempts the other", "give them different priorities"},
	{"cluster-owners", conf.Error, "more than one node claims to own the addresses (priority 255)", "give all nodes but one a lower priority"},
	{"cluster-alone", conf.Warning, "a virtual router is on one node only: nobody takes over", "add it to another node"},
	{"cluster-sync-group", conf.Warning, "virtual routers that change state together on one node do not on another", "use the same sync groups on all nodes"},
	{"cluster-sync-priority", conf.Warning, "virtual routers of one sync group have their highest priority on different nodes: neither node takes over from the other, and nodes that start at once may take turns", "give all members of a sync group their highest priority on the same node"},
	{"cluster-nopreempt", conf.Note, "nopreempt on a node that others preempt anyway, and that preempts nobody, has no effect", "write nopreempt on the node with the highest priority"},
	{"cluster-no-failover", conf.Warning, "a failure on the master does not move the addresses to a healthy node", "make the weight large enough, or 0, with which a failure is a fault"},
	{"cluster-no-master", conf.Error, "nobody is master, or none for long, though a node is healthy", "see the table of failures"},
	{"cluster-two-masters", conf.Error, "two nodes are master at the same time for good", "see which adverts are dropped, and why"},
}

// severities are those of the codes.
var severities = func() map[string]conf.Severity {
	m := make(map[string]conf.Severity, len(codes))
	for _, c := range codes {
		m[c.Name] = c.Severity
	}
	return m
}()

// findings collects what is found. The same code at the same place, as in the
// lines of a definition that is used often, is counted.
type findings struct {
	list  conf.Diagnostics
	index map[findingKey]int
}

type findingKey struct {
	pos  conf.Pos
	code string
}

// found adds a finding: where, what, and what to do about it. The chain leads
// to the other places that it is about.
func (f *findings) found(code string, at conf.Pos, message, remedy string, chain ...conf.Frame) {
	k := findingKey{at, code}
	if i, ok := f.index[k]; ok && f.list[i].Message != message {
		f.list[i].Repeated++
		return
	} else if ok {
		return
	}
	if f.index == nil {
		f.index = make(map[findingKey]int)
	}
	f.index[k] = len(f.list)
	f.list = append(f.list, conf.Diagnostic{
		Pos: at, Severity: severities[code], Code: code, Message: message, Fix: remedy, Chain: chain,
	})
}

// other is the frame of another place that a finding is about.
func other(at conf.Pos, format string, args ...any) conf.Frame {
	return conf.Frame{What: fmt.Sprintf(format, args...) + " at", Pos: at}
}
