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
	{"address-of-network", conf.Warning, "a virtual address is a network or broadcast address; hosts do not answer to these", "write a host address"},
	{"prefix-length", conf.Note, "the prefix length of a virtual address differs from that of its network, so that the route to its neighbours or its broadcast address may be wrong", "write the prefix length of the network"},
	{"owner-without-address", conf.Note, "a node claims to own the addresses (priority 255, also the default with state MASTER), but they are not its own addresses; it takes them over whenever it starts, and weights have no effect", "write a priority of 254 or less"},
	{"source-is-virtual", conf.Error, "the source address of adverts is a virtual address, which only a master has: no node could become master", "write an address that the node always has"},
	{"peer-is-virtual", conf.Warning, "a unicast peer is a virtual address, so that a master sends adverts to itself", "write an address that the peer always has"},
	{"vrid-shared", conf.Warning, "two virtual routers on one link have the same virtual_router_id and differ only in the destination of their adverts; other routers on the link cannot distinguish them", "give one of them another virtual_router_id"},
	{"links-mixed", conf.Error, "a macvlan (use_vmac) and an ipvlan (use_ipvlan) are to be above one interface; the kernel refuses the second one, and its instance stays in FAULT", "use the same for all above one interface"},
	{"ipvlan-modes", conf.Warning, "ipvlans above one interface have different modes, and the kernel has one for all", "write the mode of the first one"},
	{"nothing-configured", conf.Warning, "the file has no block with an effect: the daemon would run but protect nothing", "write a vrrp_instance"},
	{"single-advert", conf.Warning, "a backup takes over after a single lost advert", "set down_timer_adverts to 2 or more; 3 is the default"},
	{"weight-without-effect", conf.Warning, "a tracker with this weight cannot change the priority: that of an address owner is fixed, others stay between 1 and 254", "choose another priority, or weight 0, so that a failure causes FAULT"},
	{"weight-and-nopreempt", conf.Note, "a node with nopreempt does not take over from a master whose priority falls, so that weights never move addresses to it", "use weight 0, so that a failure causes FAULT"},
	{"script-slow", conf.Note, "noticing a failure takes much longer than the failover", "shorten interval, or lower fall"},
	{"script-timeout", conf.Note, "the timeout of a script is longer than its interval, so that runs are skipped while one hangs", "set timeout to at most interval"},
	{"script-writable", conf.Warning, "users other than root can change a program that root runs", "follow the remedy in the finding, write enable_script_security, or set script_user"},
	{"advert-slow", conf.Note, "a changed priority waits longer for the next advert than the tracker takes to notice the failure", "shorten advert_int, or use weight 0, so that the node gives way at once"},
	{"announcements-overlap", conf.Note, "refreshes come before the second set of announcements, which makes that set useless", "set garp_master_refresh to more than garp_master_delay"},
	{"announcements-slow", conf.Warning, "because of the interval between announcements, one round takes longer than the time to the next round", "shorten garp_interval or gna_interval, or announce less often"},
	{"mail-incomplete", conf.Warning, "mail is only partly configured, and none is sent", "write both notification_email and smtp_server, or none"},
	{"mail-unused", conf.Note, "mail is configured, but nothing requests it", "write smtp_alert in the blocks that should send mail"},
	{"bfd-unused", conf.Note, "a BFD session affects nothing", "name it in track_bfd, bfd_peer or BFD_CHECK"},
	{"servers-unchecked", conf.Note, "a virtual server checks none of its real servers, so that a server that fails still gets connections", "add a check to each real server"},
	{"check-timeout", conf.Note, "a check, or its retries together, may take longer than delay_loop, so that an outage is noticed later than expected", "set connect_timeout or misc_timeout to at most delay_loop, and lower retry"},
	{"quorum-unreachable", conf.Warning, "the weights of all real servers together are less than quorum + hysteresis, so that the quorum is never gained", "lower quorum or hysteresis, or raise the weights"},
	{"sorry-server-in-pool", conf.Warning, "a real server is also the sorry server, so that it gets all connections even if it has failed", "write another sorry_server, or remove it"},
	{"weights-zero", conf.Warning, "all real servers of a virtual server have weight 0 and no check that raises it: no server gets a connection", "give a server a weight"},
	{"nat-forwarding", conf.Warning, "a virtual server uses NAT, and this machine does not forward packets, so that clients get no answers", "set net.ipv4.ip_forward or net.ipv6.conf.all.forwarding to 1"},
	{"dr-arp", conf.Warning, "with direct routing (DR), this machine always has the virtual address and answers ARP for it, so that it takes connections from the master", "put the address on lo, set arp_ignore to 1 and arp_announce to 2"},
	{"persistence-one-server", conf.Note, "persistence has no effect with one real server", "remove persistence_timeout, or add a real server"},
	{"alpha-unchecked", conf.Note, "alpha waits for the first success of a check, and the real server has none: it is up from the start", "add a check, or remove alpha"},
	{"unaccepted-service", conf.Warning, "the address of a virtual server is one to which the master accepts no packets: they are dropped before the load balancer gets them", "write accept"},
	{"unaccepted-source", conf.Warning, "a route makes packets leave from an address to which the master accepts no packets, and from which it sends none", "write accept, or another source address"},
	{"ha-suspend", conf.Note, "checks are suspended while the address is not on this node, and no virtual router in this file has it", "remove ha_suspend, or add the address to a vrrp_instance"},

	{"cluster-vrid", conf.Error, "two nodes protect the same addresses with different virtual_router_ids, so that they ignore each other and both are master", "use one virtual_router_id"},
	{"cluster-version", conf.Error, "the nodes speak different versions of VRRP and drop each other's adverts", "use one version"},
	{"cluster-auth", conf.Error, "the nodes authenticate their adverts differently and drop each other's", "use the same authentication or auth_hmac with the same keys"},
	{"cluster-advert-int", conf.Error, "with version 2, a node drops adverts with another interval", "use one advert_int"},
	{"cluster-advert-learned", conf.Warning, "with version 3, a backup uses the master's interval: the time of a failover depends on which node was master", "use one advert_int"},
	{"cluster-addresses", conf.Error, "the nodes protect different addresses: a failover loses some of them", "use one list of addresses"},
	{"cluster-address-shared", conf.Error, "unrelated virtual routers protect the same address on different nodes, so that two nodes may hold it at the same time", "write the address in only one virtual router, on all nodes"},
	{"cluster-address-own", conf.Error, "a virtual address is a node's own address, or the address at which other nodes reach it: two nodes have it as soon as another node is master", "write an address that no node has of its own"},
	{"cluster-prefix", conf.Warning, "an address has different prefix lengths on the nodes", "use one prefix length"},
	{"cluster-destination", conf.Error, "the nodes send their adverts to different destinations: multicast and unicast, or different groups", "use one multicast group, or unicast on all nodes"},
	{"cluster-vmac-base", conf.Error, "a node sends its adverts with the virtual MAC address, and another one has vmac_xmit_base and the same address on a macvlan, which gets these adverts instead: both nodes are master", "write vmac_xmit_base on all nodes or on none"},
	{"cluster-peers", conf.Error, "a node does not send its adverts to another node of the same virtual router", "list all other nodes in unicast_peer"},
	{"cluster-source", conf.Error, "two nodes send from the same address, so that each ignores the other's adverts as its own", "give each node its own unicast_src_ip or mcast_src_ip"},
	{"cluster-priority", conf.Warning, "two nodes have the same priority: their addresses decide which node is master, and neither preempts the other", "give them different priorities"},
	{"cluster-owners", conf.Error, "more than one node claims to own the addresses (priority 255)", "give all nodes except one a lower priority"},
	{"cluster-alone", conf.Warning, "a virtual router is configured on only one node: no other node can take over", "add it to another node"},
	{"cluster-sync-group", conf.Warning, "virtual routers change state together on one node but not on another", "use the same sync groups on all nodes"},
	{"cluster-sync-priority", conf.Warning, "the members of a sync group have their highest priority on different nodes: neither node takes over from the other, and nodes that start at the same time may alternate", "give all members of a sync group their highest priority on the same node"},
	{"cluster-nopreempt", conf.Note, "nopreempt has no effect on a node that other nodes preempt anyway and that preempts none", "write nopreempt on the node with the highest priority"},
	{"cluster-no-failover", conf.Warning, "a failure on the master does not move the addresses to a healthy node", "make the weight large enough, or 0, so that a failure causes FAULT"},
	{"cluster-no-master", conf.Error, "no node is master, or none stays master, although a node is healthy", "read the table of failures"},
	{"cluster-two-masters", conf.Error, "two nodes are master permanently at the same time", "find out which adverts are dropped, and why"},
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
