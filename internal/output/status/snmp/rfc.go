package snmp

import (
	"net/netip"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/snmp/agentx"
	"keepalived-go/vrrp"
)

// States of both MIBs of the RFCs.
const rfcInitialize, rfcBackup, rfcMaster = 1, 2, 3

func rfcState(r *instanceRow) agentx.Value {
	switch r.status.State {
	case vrrp.Master.String():
		return integer(rfcMaster)
	case vrrp.Backup.String():
		return integer(rfcBackup)
	}
	return integer(rfcInitialize)
}

// rowActive is the RowStatus of rows that count.
const rowActive = 1

func active[R any](R) agentx.Value { return integer(rowActive) }

// master is the address of the master; invalid: it is unknown.
func (r *instanceRow) master() netip.Addr {
	switch m := r.status.Master; {
	case r.status.State == vrrp.Master.String():
		return r.source()
	case m != nil:
		return parseAddr(m.Address)
	}
	return netip.Addr{}
}

func rfcMAC(r *instanceRow) agentx.Value {
	mac := r.mac()
	return when(len(mac) > 0, agentx.Octets(mac))
}

func rfcPreempt(r *instanceRow) agentx.Value { return which(!r.status.NoPreempt) }

func addressCount(r *instanceRow) agentx.Value { return integer(len(r.conf.Addresses)) }

// counter is a statistic of an instance by its name.
func (r *instanceRow) counter(names ...string) (n uint64) {
	for _, name := range names {
		n += r.status.Counters.Get(name)
	}
	return n
}

// total adds a statistic of all instances up, and the packets that reached none for that
// reason.
func (s *State) total(name string) (n uint64) {
	if s.Status.VRRP == nil {
		return 0
	}
	for _, i := range s.instances {
		n += i.Counters.Get(name)
	}
	return n + s.Status.VRRP.Unclaimed[name]
}

// rfcRows are the rows of both MIBs: those of the instances that are chosen and whose interface
// is there.
func (s *State) rfcRows(choose func(*conf.VRRPInstance) bool, index func(*instanceRow) agentx.OID) (rows []row[*instanceRow]) {
	for _, c := range s.Config.Instances {
		if r := s.instance(c, nil); choose(c) && r.index() != 0 {
			rows = append(rows, row[*instanceRow]{index(r), r})
		}
	}
	return sorted(rows)
}

// associated are the rows of the addresses of instances.
func associated(of []row[*instanceRow], length bool) (rows []row[*conf.Address]) {
	for _, r := range of {
		for k := range r.of.conf.Addresses {
			a := &r.of.conf.Addresses[k]
			octets := a.Prefix.Addr().AsSlice()
			at := r.index
			if length {
				at = at.Append(uint32(len(octets)))
			}
			for _, b := range octets {
				at = at.Append(uint32(b))
			}
			rows = append(rows, row[*conf.Address]{at, a})
		}
	}
	return sorted(rows)
}

// inRFC2787 reports whether an instance is one of version 2.
func inRFC2787(c *conf.VRRPInstance) bool { return c.Version == 2 && c.Family == conf.IPv4 }

// rfc2787 are the objects of VRRP-MIB: those of version 2.
func (s *State) rfc2787() []node {
	rows := s.rfcRows(inRFC2787, (*instanceRow).index2)
	self := []row[*State]{{agentx.OID{0}, s}}
	return []node{
		&table[*State]{vrrpMIB.Append(1), vrrpOperations, self},
		&table[*instanceRow]{vrrpMIB.Append(1, 3, 1), vrrpOperColumns, rows},
		&table[*conf.Address]{vrrpMIB.Append(1, 4, 1), []column[*conf.Address]{{"vrrpAssoIpAddrRowStatus", 2, active[*conf.Address]}}, associated(rows, false)},
		&table[*State]{vrrpMIB.Append(2), vrrpStatistics, self},
		&table[*instanceRow]{vrrpMIB.Append(2, 4, 1), vrrpStatsColumns, rows},
	}
}

var vrrpOperations = []column[*State]{
	{"vrrpNodeVersion", 1, func(*State) agentx.Value { return integer(2) }},
	{"vrrpNotificationCntl", 2, func(s *State) agentx.Value { return which(s.Config.Global.SNMP.Traps) }},
}

var vrrpOperColumns = []column[*instanceRow]{
	{"vrrpOperVirtualMacAddr", 2, rfcMAC},
	{"vrrpOperState", 3, rfcState},
	{"vrrpOperAdminState", 4, func(*instanceRow) agentx.Value { return which(true) }}, // up
	{"vrrpOperPriority", 5, func(r *instanceRow) agentx.Value { return integer(r.base()) }},
	{"vrrpOperIpAddrCount", 6, addressCount},
	{"vrrpOperMasterIpAddr", 7, func(r *instanceRow) agentx.Value { return agentx.IPv4(r.master()) }},
	{"vrrpOperPrimaryIpAddr", 8, func(r *instanceRow) agentx.Value { return agentx.IPv4(r.source()) }},
	{"vrrpOperAuthType", 9, func(r *instanceRow) agentx.Value { return integer(r.conf.Auth.Type + 1) }},
	{"vrrpOperAuthKey", 10, func(*instanceRow) agentx.Value { return text("") }}, // it must not be readable (RFC 2787)
	{"vrrpOperAdvertisementInterval", 11, func(r *instanceRow) agentx.Value { return integer(int(r.conf.AdvertInterval / time.Second)) }},
	{"vrrpOperPreemptMode", 12, rfcPreempt},
	{"vrrpOperVirtualRouterUpTime", 13, func(r *instanceRow) agentx.Value {
		if t := r.begun(); !t.IsZero() {
			return ticks(t.Sub(r.Status.Node.Started))
		}
		return ticks(0)
	}},
	{"vrrpOperProtocol", 14, func(*instanceRow) agentx.Value { return integer(1) }}, // ip
	{"vrrpOperRowStatus", 15, active[*instanceRow]},
}

var vrrpStatistics = []column[*State]{
	{"vrrpRouterChecksumErrors", 1, func(s *State) agentx.Value { return agentx.Count32(s.total("chk_err")) }},
	{"vrrpRouterVersionErrors", 2, func(s *State) agentx.Value { return agentx.Count32(s.total("version_err")) }},
	{"vrrpRouterVrIdErrors", 3, func(s *State) agentx.Value { return agentx.Count32(s.total("vrid_err")) }},
}

// count32 and count64 are statistics of an instance.
func count32(names ...string) func(*instanceRow) agentx.Value {
	return func(r *instanceRow) agentx.Value { return agentx.Count32(r.counter(names...)) }
}

func count64(names ...string) func(*instanceRow) agentx.Value {
	return func(r *instanceRow) agentx.Value { return agentx.Count64(r.counter(names...)) }
}

var vrrpStatsColumns = []column[*instanceRow]{
	{"vrrpStatsBecomeMaster", 1, count32("become_master")},
	{"vrrpStatsAdvertiseRcvd", 2, count32("advert_rcvd")},
	{"vrrpStatsAdvertiseIntervalErrors", 3, count32("advert_interval_err")},
	{"vrrpStatsAuthFailures", 4, count32("auth_failure")},
	{"vrrpStatsIpTtlErrors", 5, count32("ip_ttl_err")},
	{"vrrpStatsPriorityZeroPktsRcvd", 6, count32("pri_zero_rcvd")},
	{"vrrpStatsPriorityZeroPktsSent", 7, count32("pri_zero_sent")},
	{"vrrpStatsInvalidTypePktsRcvd", 8, count32("invalid_type_rcvd")},
	{"vrrpStatsAddressListErrors", 9, count32("addr_list_err")},
	{"vrrpStatsInvalidAuthType", 10, count32("invalid_authtype")},
	{"vrrpStatsAuthTypeMismatch", 11, count32("authtype_mismatch")},
	{"vrrpStatsPacketLengthErrors", 12, count32("packet_len_err")},
}

// rfc6527 are the objects of VRRPV3-MIB: those of all versions and families.
func (s *State) rfc6527() []node {
	rows := s.rfcRows(func(*conf.VRRPInstance) bool { return true }, (*instanceRow).index3)
	self := []row[*State]{{agentx.OID{0}, s}}
	return []node{
		&table[*instanceRow]{vrrpv3MIB.Append(1, 1, 1, 1), vrrpv3OperationsColumns, rows},
		&table[*conf.Address]{vrrpv3MIB.Append(1, 1, 2, 1), []column[*conf.Address]{{"vrrpv3AssociatedIpAddrRowStatus", 2, active[*conf.Address]}}, associated(rows, true)},
		&table[*State]{vrrpv3MIB.Append(1, 2), vrrpv3Statistics, self},
		&table[*instanceRow]{vrrpv3MIB.Append(1, 2, 5, 1), vrrpv3StatisticsColumns, rows},
	}
}

var vrrpv3OperationsColumns = []column[*instanceRow]{
	{"vrrpv3OperationsMasterIpAddr", 3, func(r *instanceRow) agentx.Value { return inetOrNone(r, r.master()) }},
	{"vrrpv3OperationsPrimaryIpAddr", 4, func(r *instanceRow) agentx.Value { return inetOrNone(r, r.source()) }},
	{"vrrpv3OperationsVirtualMacAddr", 5, rfcMAC},
	{"vrrpv3OperationsStatus", 6, rfcState},
	{"vrrpv3OperationsPriority", 7, func(r *instanceRow) agentx.Value { return unsigned(uint8(r.base())) }},
	{"vrrpv3OperationsAddrCount", 8, addressCount},
	{"vrrpv3OperationsAdvInterval", 9, func(r *instanceRow) agentx.Value {
		return integer(int(r.conf.AdvertInterval / (10 * time.Millisecond)))
	}},
	{"vrrpv3OperationsPreemptMode", 10, rfcPreempt},
	{"vrrpv3OperationsAcceptMode", 11, func(r *instanceRow) agentx.Value { return which(r.conf.Accept) }},
	{"vrrpv3OperationsUpTime", 12, func(r *instanceRow) agentx.Value {
		if t := r.begun(); !t.IsZero() {
			return ticks(r.now.Sub(t))
		}
		return ticks(0)
	}},
	{"vrrpv3OperationsRowStatus", 13, active[*instanceRow]},
}

// inetOrNone is an address, or 0.0.0.0 or :: if there is none.
func inetOrNone(r *instanceRow, a netip.Addr) agentx.Value {
	switch {
	case a.IsValid():
		return address(a)
	case r.conf.Family == conf.IPv6:
		return address(netip.IPv6Unspecified())
	}
	return address(netip.IPv4Unspecified())
}

var vrrpv3Statistics = []column[*State]{
	{"vrrpv3RouterChecksumErrors", 1, func(s *State) agentx.Value { return agentx.Count64(s.total("chk_err")) }},
	{"vrrpv3RouterVersionErrors", 2, func(s *State) agentx.Value { return agentx.Count64(s.total("version_err")) }},
	{"vrrpv3RouterVrIdErrors", 3, func(s *State) agentx.Value { return agentx.Count64(s.total("vrid_err")) }},
	{"vrrpv3GlobalStatisticsDiscontinuityTime", 4, func(*State) agentx.Value { return ticks(0) }},
}

var vrrpv3StatisticsColumns = []column[*instanceRow]{
	{"vrrpv3StatisticsMasterTransitions", 1, count32("become_master")},
	{"vrrpv3StatisticsNewMasterReason", 2, func(r *instanceRow) agentx.Value { return newMasterReason(r.status) }},
	{"vrrpv3StatisticsRcvdAdvertisements", 3, count64("advert_rcvd")},
	{"vrrpv3StatisticsAdvIntervalErrors", 4, count64("advert_interval_err")},
	{"vrrpv3StatisticsIpTtlErrors", 5, count64("ip_ttl_err")},
	{"vrrpv3StatisticsProtoErrReason", 6, func(r *instanceRow) agentx.Value { return protoErrReason(r.status.Rejection) }},
	{"vrrpv3StatisticsRcvdPriZeroPackets", 7, count64("pri_zero_rcvd")},
	{"vrrpv3StatisticsSentPriZeroPackets", 8, count64("pri_zero_sent")},
	{"vrrpv3StatisticsRcvdInvalidTypePackets", 9, count64("invalid_type_rcvd")},
	{"vrrpv3StatisticsAddressListErrors", 10, count64("addr_list_err")},
	{"vrrpv3StatisticsPacketLengthErrors", 11, count64("packet_len_err")},
	{"vrrpv3StatisticsRowDiscontinuityTime", 12, func(*instanceRow) agentx.Value { return ticks(0) }},
	{"vrrpv3StatisticsRefreshRate", 13, func(r *instanceRow) agentx.Value { return unsigned(r.conf.AdvertInterval.Milliseconds()) }},
}

// newMasterReason is why a router was master last: 0 it never was, 1 the master had stopped
// or left, 2 it preempted, 3 the master was silent.
func newMasterReason(i *api.Instance) agentx.Value {
	for k := len(i.History) - 1; k >= 0; k-- {
		if h := &i.History[k]; h.To == vrrp.Master.String() {
			switch h.Cause {
			case vrrp.ReasonPriorityZero.String():
				return integer(1)
			case vrrp.ReasonPreempt.String():
				return integer(2)
			}
			return integer(3)
		}
	}
	return integer(0)
}

// protoErrReason is why an advert was dropped last, as far as vrrpv3ProtoError is about it.
func protoErrReason(r *api.Rejection) agentx.Value {
	if r == nil {
		return integer(0)
	}
	return integer(map[string]int{
		vrrp.RejectTTL.String(): 1, vrrp.RejectPeerTTL.String(): 1, vrrp.RejectVersion.String(): 2, vrrp.RejectChecksum.String(): 3, vrrp.RejectVRID.String(): 4,
	}[r.Reason])
}

// authErrorType is vrrpTrapAuthErrorType of the advert that was dropped last; 0: it was
// not authentication.
func authErrorType(r *api.Rejection) int {
	if r == nil {
		return 0
	}
	return map[string]int{
		vrrp.RejectAuthType.String(): 1, vrrp.RejectAuthMismatch.String(): 2,
		vrrp.RejectPassword.String(): 3, vrrp.RejectAHDigest.String(): 3, vrrp.RejectAHSPI.String(): 3, vrrp.RejectAHReplayed.String(): 3,
	}[r.Reason]
}
