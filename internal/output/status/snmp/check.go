package snmp

import (
	"cmp"
	"encoding/binary"
	"math"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/snmp/agentx"
)

// check are the objects of the health-check part of KEEPALIVED-MIB, and the rows of its table
// of real servers.
func (s *State) check() ([]node, []row[*serverRow]) {
	c := s.Config
	var members []row[*conf.GroupEntry]
	for i, g := range c.ServerGroups {
		members = append(members, numbered(marksFirst(g.Entries), agentx.OID{uint32(i + 1)}, func(e *conf.GroupEntry) *conf.GroupEntry { return e })...)
	}
	var services []row[*serviceRow]
	var servers []row[*serverRow]
	for i, v := range c.VirtualServers {
		r := s.service(i, v)
		at := agentx.OID{uint32(i + 1)}
		services = append(services, row[*serviceRow]{at, r})
		n := uint32(0)
		if v.Sorry != nil {
			n++
			servers = append(servers, row[*serverRow]{at.Append(n), r.sorry()})
		}
		for k := range v.RealServers {
			n++
			servers = append(servers, row[*serverRow]{at.Append(n), r.server(k)})
		}
	}
	at := func(number uint32) agentx.OID { return checkPart.Append(number, 1) }
	self := []row[*State]{{agentx.OID{0}, s}}
	return []node{
		&table[*conf.ServerGroup]{at(1), serverGroupColumns, numbered(c.ServerGroups, nil, func(g **conf.ServerGroup) *conf.ServerGroup { return *g })},
		&table[*conf.GroupEntry]{at(2), groupEntryColumns, members},
		&table[*serviceRow]{at(3), serviceColumns, services},
		&table[*serverRow]{at(4), serverColumns, servers},
		&table[*State]{checkPart.Append(6), syncColumns, self},
		&table[*State]{checkPart.Append(7), timeoutColumns, self},
	}, servers
}

var serverGroupColumns = []column[*conf.ServerGroup]{
	{"virtualServerGroupName", 2, func(g *conf.ServerGroup) agentx.Value { return text(g.Name) }},
}

const typeMark, typeAddress, typeRange = 1, 2, 3

func isMark(e *conf.GroupEntry) bool { return !e.First.IsValid() }

// marksFirst are the entries of a group in the order in which the C daemon counts them.
func marksFirst(entries []conf.GroupEntry) []conf.GroupEntry {
	var marks, others []conf.GroupEntry
	for i := range entries {
		if isMark(&entries[i]) {
			marks = append(marks, entries[i])
		} else {
			others = append(others, entries[i])
		}
	}
	return append(marks, others...)
}

var groupEntryColumns = []column[*conf.GroupEntry]{
	{"virtualServerGroupMemberType", 2, func(e *conf.GroupEntry) agentx.Value {
		switch {
		case isMark(e):
			return integer(typeMark)
		case e.First != e.Last:
			return integer(typeRange)
		}
		return integer(typeAddress)
	}},
	{"virtualServerGroupMemberFwMark", 3, func(e *conf.GroupEntry) agentx.Value { return nonzero(e.FWMark) }},
	{"virtualServerGroupMemberAddrType", 4, func(e *conf.GroupEntry) agentx.Value { return addressType(e.First) }},
	{"virtualServerGroupMemberAddress", 5, func(e *conf.GroupEntry) agentx.Value { return when(e.First == e.Last, address(e.First)) }},
	{"virtualServerGroupMemberAddr1", 6, func(e *conf.GroupEntry) agentx.Value { return when(e.First != e.Last, address(e.First)) }},
	{"virtualServerGroupMemberAddr2", 7, func(e *conf.GroupEntry) agentx.Value { return when(e.First != e.Last, address(e.Last)) }},
	{"virtualServerGroupMemberPort", 8, func(e *conf.GroupEntry) agentx.Value { return when(e.First.IsValid(), unsigned(e.Port)) }},
}

// serviceRow is a virtual server.
type serviceRow struct {
	conf   *conf.VirtualServer
	status *api.VirtualServer
}

// service is the row of the virtual server with a number, from 0. What is known of it has the
// same place, unless a reload is on its way.
func (s *State) service(i int, c *conf.VirtualServer) *serviceRow {
	r := &serviceRow{c, &api.VirtualServer{}}
	if l := s.Status.LVS; l != nil && i < len(l.Services) && l.Services[i].Name == c.String() {
		r.status = &l.Services[i]
	}
	return r
}

// server is the row of a real server with a number, from 0.
func (r *serviceRow) server(i int) *serverRow {
	c := r.conf.RealServers[i]
	s := &serverRow{service: r, conf: c, status: &api.RealServer{Weight: c.Weight}}
	if i < len(r.status.Servers) && r.status.Servers[i].Name == r.conf.Endpoint(c.Addr, c.Port) {
		s.status = &r.status.Servers[i]
	}
	return s
}

// sorry is the row of the sorry server, which is a real server with few settings.
func (r *serviceRow) sorry() *serverRow {
	c := r.conf.Sorry
	return &serverRow{
		service: r, sorry: true,
		conf:   &conf.RealServer{Addr: c.Addr, Port: c.Port, Forward: c.Forward, Weight: 1, InhibitOnFail: c.InhibitOnFail},
		status: &api.RealServer{Up: r.status.SorryInUse, Weight: 1, Traffic: r.status.SorryTraffic},
	}
}

// defaults gives a time or a number of the defaults for checks; 0: each kind of check has
// its own.
func defaults[R any](of func(R) *conf.CheckDefaults, value func(*conf.CheckDefaults) int64) func(R) agentx.Value {
	return func(r R) agentx.Value {
		if d := of(r); d != nil {
			return unsigned(max(value(d), 0))
		}
		return unsigned(0)
	}
}

func in(d, unit time.Duration) int64 { return int64(d / unit) }

func retries(d *conf.CheckDefaults) int64      { return int64(d.Retry) }
func retryDelay(d *conf.CheckDefaults) int64   { return in(d.DelayBeforeRetry, time.Second) }
func retryDelayU(d *conf.CheckDefaults) int64  { return in(d.DelayBeforeRetry, time.Microsecond) }
func warmup(d *conf.CheckDefaults) int64       { return in(d.Warmup, time.Second) }
func warmupU(d *conf.CheckDefaults) int64      { return in(d.Warmup, time.Microsecond) }
func delayLoop(d *conf.CheckDefaults) int64    { return in(d.DelayLoop, time.Second) }
func delayLoopU(d *conf.CheckDefaults) int64   { return in(d.DelayLoop, time.Microsecond) }
func connTimeoutU(d *conf.CheckDefaults) int64 { return in(d.ConnectTimeout, time.Microsecond) }

func ofService(r *serviceRow) *conf.CheckDefaults { return r.conf.Defaults }
func ofServer(r *serverRow) *conf.CheckDefaults   { return r.conf.Defaults }

// traffic gives a counter; that of what is not in the kernel's table is 0.
func traffic[R any](of func(R) *api.Traffic, value func(*api.Traffic) agentx.Value) func(R) agentx.Value {
	return func(r R) agentx.Value {
		t := of(r)
		if t == nil {
			t = &api.Traffic{}
		}
		return value(t)
	}
}

// numbers give the number of a column of counters by its name.
func numbers(first uint32, names ...string) map[string]uint32 {
	m := map[string]uint32{}
	for i, name := range names {
		m[name] = first + uint32(i)
	}
	return m
}

// trafficColumns are the counters of a service or a server by the second part of their
// names, in the order of their numbers, which are those of both tables.
func trafficColumns[R any](prefix string, of func(R) *api.Traffic, numbers map[string]uint32) (all []column[R]) {
	gauge := func(v func(*api.Traffic) uint64) func(*api.Traffic) agentx.Value {
		return func(t *api.Traffic) agentx.Value { return agentx.Unsigned(v(t)) }
	}
	count := func(v func(*api.Traffic) uint64) func(*api.Traffic) agentx.Value {
		return func(t *api.Traffic) agentx.Value { return agentx.Count32(v(t)) }
	}
	whole := func(v func(*api.Traffic) uint64) func(*api.Traffic) agentx.Value {
		return func(t *api.Traffic) agentx.Value { return agentx.Count64(v(t)) }
	}
	low := func(v func(*api.Traffic) uint64) func(*api.Traffic) agentx.Value {
		return func(t *api.Traffic) agentx.Value { return agentx.Unsigned(uint32(v(t))) }
	}
	high := func(v func(*api.Traffic) uint64) func(*api.Traffic) agentx.Value {
		return func(t *api.Traffic) agentx.Value { return agentx.Unsigned(v(t) >> 32) }
	}
	conns := func(t *api.Traffic) uint64 { return t.Connections }
	inPkts := func(t *api.Traffic) uint64 { return t.InPackets }
	outPkts := func(t *api.Traffic) uint64 { return t.OutPackets }
	inBytes := func(t *api.Traffic) uint64 { return t.InBytes }
	outBytes := func(t *api.Traffic) uint64 { return t.OutBytes }
	for _, c := range []struct {
		name  string
		value func(*api.Traffic) agentx.Value
	}{
		{"StatsConns", gauge(conns)},
		{"StatsActiveConns", gauge(func(t *api.Traffic) uint64 { return uint64(t.Active) })},
		{"StatsInactiveConns", gauge(func(t *api.Traffic) uint64 { return uint64(t.Inactive) })},
		{"StatsPersistentConns", gauge(func(t *api.Traffic) uint64 { return uint64(t.Persistent) })},
		{"StatsInPkts", count(inPkts)},
		{"StatsOutPkts", count(outPkts)},
		{"StatsInBytes", whole(inBytes)},
		{"StatsOutBytes", whole(outBytes)},
		{"StatsConns64", whole(conns)},
		{"StatsInPkts64", whole(inPkts)},
		{"StatsOutPkts64", whole(outPkts)},
	} {
		if n := numbers[c.name]; n != 0 {
			all = append(all, column[R]{prefix + c.name, n, traffic(of, c.value)})
		}
	}
	for _, c := range []struct {
		name  string
		value func(*api.Traffic) uint64
	}{
		{"RateCps", func(t *api.Traffic) uint64 { return t.ConnectionRate }},
		{"RateInPPS", func(t *api.Traffic) uint64 { return t.InPacketRate }},
		{"RateOutPPS", func(t *api.Traffic) uint64 { return t.OutPacketRate }},
		{"RateInBPS", func(t *api.Traffic) uint64 { return t.InByteRate }},
		{"RateOutBPS", func(t *api.Traffic) uint64 { return t.OutByteRate }},
	} {
		for suffix, of32 := range map[string]func(func(*api.Traffic) uint64) func(*api.Traffic) agentx.Value{"": gauge, "Low": low, "High": high, "64": whole} {
			all = append(all, column[R]{prefix + c.name + suffix, numbers[c.name+suffix], traffic(of, of32(c.value))})
		}
	}
	return all
}

// schedulers are the numbers of virtualServerLoadBalancingAlgo.
var schedulers = map[string]int{
	"rr": 1, "wrr": 2, "lc": 3, "wlc": 4, "lblc": 5, "lblcr": 6, "dh": 7, "sh": 8, "sed": 9, "nq": 10, "fo": 11, "ovf": 12, "mh": 13, "twos": 14,
}

const unknownScheduler = 99

// flagOf is a flag of services with a scheduler.
func flagOf(scheduler string, of func(*conf.VirtualServer) bool) func(*serviceRow) agentx.Value {
	return func(r *serviceRow) agentx.Value { return which(r.conf.Scheduler == scheduler && of(r.conf)) }
}

func flag1(v *conf.VirtualServer) bool { return v.Flag1 }
func flag2(v *conf.VirtualServer) bool { return v.Flag2 }

var serviceColumns = byNumber(append([]column[*serviceRow]{
	{"virtualServerType", 2, func(r *serviceRow) agentx.Value {
		switch {
		case r.conf.Group != "":
			return agentx.Int(3)
		case r.conf.Addr.IsValid():
			return integer(typeAddress)
		}
		return integer(typeMark)
	}},
	{"virtualServerNameOfGroup", 3, func(r *serviceRow) agentx.Value { return given(r.conf.Group) }},
	{"virtualServerFwMark", 4, func(r *serviceRow) agentx.Value { return nonzero(r.conf.FWMark) }},
	{"virtualServerAddrType", 5, func(r *serviceRow) agentx.Value {
		if r.conf.Family == conf.IPv6 {
			return agentx.Int(inetIPv6)
		}
		return agentx.Int(inetIPv4)
	}},
	{"virtualServerAddress", 6, func(r *serviceRow) agentx.Value { return address(r.conf.Addr) }},
	{"virtualServerPort", 7, func(r *serviceRow) agentx.Value { return when(r.conf.Addr.IsValid(), unsigned(r.conf.Port)) }},
	{"virtualServerProtocol", 8, func(r *serviceRow) agentx.Value {
		number := map[conf.Protocol]int{conf.TCP: 1, conf.UDP: 2, conf.SCTP: 3, conf.NoProtocol: 4}[r.conf.Protocol]
		return when(r.conf.FWMark == 0, integer(number))
	}},
	{"virtualServerLoadBalancingAlgo", 9, func(r *serviceRow) agentx.Value {
		if n := schedulers[r.conf.Scheduler]; n != 0 {
			return integer(n)
		}
		return integer(unknownScheduler)
	}},
	{"virtualServerLoadBalancingKind", 10, func(r *serviceRow) agentx.Value { return integer(r.conf.Forward.Method + 1) }},
	{"virtualServerStatus", 11, func(r *serviceRow) agentx.Value { return which(r.status.Alive > 0) }},
	{"virtualServerVirtualHost", 12, func(r *serviceRow) agentx.Value { return given(r.conf.VirtualHost) }},
	{"virtualServerPersist", 13, func(r *serviceRow) agentx.Value { return which(r.conf.Persistence > 0) }},
	{"virtualServerPersistTimeout", 14, func(r *serviceRow) agentx.Value {
		return when(r.conf.Persistence > 0, wholeSeconds(r.conf.Persistence))
	}},
	{"virtualServerPersistGranularity", 15, func(r *serviceRow) agentx.Value {
		mask := binary.BigEndian.AppendUint32(nil, cmp.Or(r.conf.Granularity, math.MaxUint32))
		return when(r.conf.Family == conf.IPv4, agentx.Octets(mask))
	}},
	{"virtualServerDelayLoop", 16, defaults(ofService, delayLoop)},
	{"virtualServerHaSuspend", 17, func(r *serviceRow) agentx.Value { return which(r.conf.HASuspend) }},
	{"virtualServerAlpha", 18, func(r *serviceRow) agentx.Value { return which(r.conf.Alpha) }},
	{"virtualServerOmega", 19, func(r *serviceRow) agentx.Value { return which(r.conf.Omega) }},
	{"virtualServerRealServersTotal", 20, func(r *serviceRow) agentx.Value { return unsigned(len(r.conf.RealServers)) }},
	{"virtualServerRealServersUp", 21, func(r *serviceRow) agentx.Value { return unsigned(r.status.Alive) }},
	{"virtualServerQuorum", 22, func(r *serviceRow) agentx.Value { return unsigned(r.conf.Quorum) }},
	{"virtualServerQuorumStatus", 23, func(r *serviceRow) agentx.Value { return which(r.status.Up) }},
	{"virtualServerQuorumUp", 24, func(r *serviceRow) agentx.Value { return command(&r.conf.QuorumUp) }},
	{"virtualServerQuorumDown", 25, func(r *serviceRow) agentx.Value { return command(&r.conf.QuorumDown) }},
	{"virtualServerHysteresis", 26, func(r *serviceRow) agentx.Value { return unsigned(r.conf.Hysteresis) }},
	{"virtualServerOPS", 37, func(r *serviceRow) agentx.Value { return which(r.conf.OnePacket) }},
	{"virtualServerPersistGranularity6", 51, func(r *serviceRow) agentx.Value {
		return when(r.conf.Family == conf.IPv6, unsigned(cmp.Or(r.conf.Granularity, 128)))
	}},
	{"virtualServerHashed", 52, func(r *serviceRow) agentx.Value { return which(r.conf.Hashed) }},
	{"virtualServerSHFallback", 53, flagOf("sh", flag1)},
	{"virtualServerSHPort", 54, flagOf("sh", flag2)},
	{"virtualServerSched3", 55, func(r *serviceRow) agentx.Value { return which(r.conf.Flag3) }},
	{"virtualServerActionWhenDown", 56, func(r *serviceRow) agentx.Value { return which(!r.conf.InhibitOnFail) }},
	{"virtualServerRetry", 57, defaults(ofService, retries)},
	{"virtualServerDelayBeforeRetry", 58, defaults(ofService, retryDelay)},
	{"virtualServerWarmup", 59, defaults(ofService, warmup)},
	{"virtualServerWeight", 60, func(r *serviceRow) agentx.Value { return integer(r.conf.Weight) }},
	{"virtualServerSmtpAlert", 61, func(r *serviceRow) agentx.Value { return which(r.conf.SMTPAlert) }},
	{"virtualServerMHFallback", 62, flagOf("mh", flag1)},
	{"virtualServerMHPort", 63, flagOf("mh", flag2)},
	{"virtualServerDelayLoopUsec", 64, defaults(ofService, delayLoopU)},
	{"virtualServerDelayBeforeRetrUsec", 65, defaults(ofService, retryDelayU)},
	{"virtualServerWarmupUsec", 66, defaults(ofService, warmupU)},
	{"virtualServerConnTimeoutUsec", 67, defaults(ofService, connTimeoutU)},
	{"virtualServerTunnelType", 68, func(r *serviceRow) agentx.Value { return tunnelType(&r.conf.Forward) }},
	{"virtualServerTunnelPort", 69, func(r *serviceRow) agentx.Value { return tunnelPort(&r.conf.Forward) }},
	{"virtualServerTunnelCsum", 70, func(r *serviceRow) agentx.Value { return tunnelChecksum(&r.conf.Forward) }},
	{"virtualServerName", 71, func(r *serviceRow) agentx.Value { return given(r.conf.SNMPName) }},
	{"virtualServerQuorumUpPath", 72, func(r *serviceRow) agentx.Value { return path(&r.conf.QuorumUp) }},
	{"virtualServerQuorumDownPath", 73, func(r *serviceRow) agentx.Value { return path(&r.conf.QuorumDown) }},
}, trafficColumns("virtualServer", func(r *serviceRow) *api.Traffic { return r.status.Traffic }, merge(
	numbers(27, "StatsConns", "StatsInPkts", "StatsOutPkts", "StatsInBytes", "StatsOutBytes", "RateCps", "RateInPPS", "RateOutPPS", "RateInBPS", "RateOutBPS"),
	numbers(38, "StatsConns64", "StatsInPkts64", "StatsOutPkts64", "RateCpsLow", "RateCpsHigh", "RateInPPSLow", "RateInPPSHigh",
		"RateOutPPSLow", "RateOutPPSHigh", "RateInBPSLow", "RateInBPSHigh", "RateOutBPSLow", "RateOutBPSHigh"),
	numbers(74, "RateCps64", "RateInPPS64", "RateOutPPS64", "RateInBPS64", "RateOutBPS64"),
))...))

func tunnelType(f *conf.Forward) agentx.Value {
	return when(f.Method == conf.ForwardTunnel, integer(f.Tunnel+1))
}

func tunnelPort(f *conf.Forward) agentx.Value {
	return when(f.Method == conf.ForwardTunnel && f.Tunnel == conf.TunnelGUE, unsigned(f.Port))
}

func tunnelChecksum(f *conf.Forward) agentx.Value {
	return when(f.Method == conf.ForwardTunnel && f.Tunnel != conf.TunnelIPIP, integer(f.Checksum+1))
}

// serverRow is a real server, or the sorry server of its service.
type serverRow struct {
	service *serviceRow
	conf    *conf.RealServer
	status  *api.RealServer
	sorry   bool
}

// real gives what only real servers have.
func real(value func(*serverRow) agentx.Value) func(*serverRow) agentx.Value {
	return func(r *serverRow) agentx.Value {
		if r.sorry {
			return none
		}
		return value(r)
	}
}

var serverColumns = byNumber(append([]column[*serverRow]{
	{"realServerType", 2, func(r *serverRow) agentx.Value { return which(!r.sorry) }},
	{"realServerAddrType", 3, func(r *serverRow) agentx.Value { return addressType(r.conf.Addr) }},
	{"realServerAddress", 4, func(r *serverRow) agentx.Value { return address(r.conf.Addr) }},
	{"realServerPort", 5, func(r *serverRow) agentx.Value { return unsigned(r.conf.Port) }},
	{"realServerStatus", 6, real(func(r *serverRow) agentx.Value { return which(r.status.Up) })},
	{"realServerWeight", 7, real(func(r *serverRow) agentx.Value { return integer(r.status.Weight) })},
	{"realServerUpperConnectionLimit", 8, real(func(r *serverRow) agentx.Value { return nonzero(r.conf.Upper) })},
	{"realServerLowerConnectionLimit", 9, real(func(r *serverRow) agentx.Value { return nonzero(r.conf.Lower) })},
	{"realServerActionWhenDown", 10, real(func(r *serverRow) agentx.Value { return which(!r.conf.InhibitOnFail) })},
	{"realServerNotifyUp", 11, real(func(r *serverRow) agentx.Value { return command(r.conf.NotifyUp) })},
	{"realServerNotifyDown", 12, real(func(r *serverRow) agentx.Value { return command(r.conf.NotifyDown) })},
	{"realServerFailedChecks", 13, real(func(r *serverRow) agentx.Value { return unsigned(r.status.Failed) })},
	{"realServerForwardingMethod", 40, func(r *serverRow) agentx.Value { return integer(r.conf.Forward.Method + 1) }},
	{"realServerVirtualHost", 41, real(func(r *serverRow) agentx.Value { return given(r.conf.VirtualHost) })},
	{"realServerAlpha", 42, func(r *serverRow) agentx.Value { return which(r.conf.Alpha) }},
	{"realServerRetry", 43, defaults(ofServer, retries)},
	{"realServerDelayBeforeRetry", 44, defaults(ofServer, retryDelay)},
	{"realServerWarmup", 45, defaults(ofServer, warmup)},
	{"realServerDelayLoop", 46, defaults(ofServer, delayLoop)},
	{"realServerSmtpAlert", 47, func(r *serverRow) agentx.Value { return which(r.conf.SMTPAlert) }},
	{"realServerDelayBeforeRetryUsec", 48, defaults(ofServer, retryDelayU)},
	{"realServerWarmupUsec", 49, defaults(ofServer, warmupU)},
	{"realServerDelayLoopUsec", 50, defaults(ofServer, delayLoopU)},
	{"realServerConnTimeoutUsec", 51, defaults(ofServer, connTimeoutU)},
	{"realServerTunnelType", 52, func(r *serverRow) agentx.Value { return tunnelType(&r.conf.Forward) }},
	{"realServerTunnelPort", 53, func(r *serverRow) agentx.Value { return tunnelPort(&r.conf.Forward) }},
	{"realServerTunnelCsum", 54, func(r *serverRow) agentx.Value { return tunnelChecksum(&r.conf.Forward) }},
	{"realServerName", 55, real(func(r *serverRow) agentx.Value { return given(r.conf.SNMPName) })},
	{"realServerNotifyUpPath", 56, real(func(r *serverRow) agentx.Value { return path(r.conf.NotifyUp) })},
	{"realServerNotifyDownPath", 57, real(func(r *serverRow) agentx.Value { return path(r.conf.NotifyDown) })},
	{"realServerNotRunCheckers", 63, real(func(r *serverRow) agentx.Value {
		n := 0
		for i := range r.status.Checks {
			if r.status.Checks[i].State == "unknown" {
				n++
			}
		}
		return unsigned(n)
	})},
}, trafficColumns("realServer", func(r *serverRow) *api.Traffic { return r.status.Traffic }, merge(
	numbers(14, "StatsConns", "StatsActiveConns", "StatsInactiveConns", "StatsPersistentConns", "StatsInPkts", "StatsOutPkts", "StatsInBytes",
		"StatsOutBytes", "RateCps", "RateInPPS", "RateOutPPS", "RateInBPS", "RateOutBPS", "StatsConns64", "StatsInPkts64", "StatsOutPkts64",
		"RateCpsLow", "RateCpsHigh", "RateInPPSLow", "RateInPPSHigh", "RateOutPPSLow", "RateOutPPSHigh", "RateInBPSLow", "RateInBPSHigh",
		"RateOutBPSLow", "RateOutBPSHigh"),
	numbers(58, "RateCps64", "RateInPPS64", "RateOutPPS64", "RateInBPS64", "RateOutBPS64"),
))...))

// syncDaemon gives a setting of lvs_sync_daemon, if there is one.
func syncDaemon(value func(*conf.SyncDaemon) agentx.Value) func(*State) agentx.Value {
	return func(s *State) agentx.Value {
		if d := s.Config.Global.LVS.Sync; d != nil {
			return value(d)
		}
		return none
	}
}

var syncColumns = []column[*State]{
	{"lvsSyncDaemonEnabled", 1, func(s *State) agentx.Value { return which(s.Config.Global.LVS.Sync != nil) }},
	{"lvsSyncDaemonInterface", 2, syncDaemon(func(d *conf.SyncDaemon) agentx.Value { return text(d.Interface) })},
	{"lvsSyncDaemonVrrpInstance", 3, syncDaemon(func(d *conf.SyncDaemon) agentx.Value { return given(d.Instance) })},
	{"lvsSyncDaemonSyncId", 4, syncDaemon(func(d *conf.SyncDaemon) agentx.Value { return when(d.ID >= 0, integer(d.ID)) })},
	{"lvsSyncDaemonMaxLen", 5, syncDaemon(func(d *conf.SyncDaemon) agentx.Value { return when(d.MaxLen > 0, integer(int(d.MaxLen))) })},
	{"lvsSyncDaemonPort", 6, syncDaemon(func(d *conf.SyncDaemon) agentx.Value { return when(d.Port > 0, integer(int(d.Port))) })},
	{"lvsSyncDaemonTTL", 7, syncDaemon(func(d *conf.SyncDaemon) agentx.Value { return when(d.TTL > 0, integer(d.TTL)) })},
	{"lvsSyncDaemonMcastGroupAddrType", 8, syncDaemon(func(d *conf.SyncDaemon) agentx.Value { return addressType(d.Group) })},
	{"lvsSyncDaemonMcastGroupAddrValue", 9, syncDaemon(func(d *conf.SyncDaemon) agentx.Value { return address(d.Group) })},
}

// timeout gives a timeout of connections, if it is configured.
func timeout(of func(*conf.LVS) time.Duration) func(*State) agentx.Value {
	return func(s *State) agentx.Value {
		d := of(&s.Config.Global.LVS)
		return when(d > 0, integer(int(d/time.Second)))
	}
}

var timeoutColumns = []column[*State]{
	{"lvsTimeoutTcp", 1, timeout(func(l *conf.LVS) time.Duration { return l.TCPTimeout })},
	{"lvsTimeoutTcpFin", 2, timeout(func(l *conf.LVS) time.Duration { return l.TCPFinTimeout })},
	{"lvsTimeoutUdp", 3, timeout(func(l *conf.LVS) time.Duration { return l.UDPTimeout })},
}
