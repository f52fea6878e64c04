package checkd

import (
	"net/netip"
	"testing"

	"keepalived-go/lvs"
	"keepalived-go/lvs/ipvs"
)

// TestRows checks that each attribute of the engine is translated into the kernel's.
func TestRows(t *testing.T) {
	addr := netip.MustParseAddrPort("192.0.2.1:80")
	for _, tt := range []struct {
		e    lvs.Endpoint
		want ipvs.ServiceID
	}{
		{lvs.Endpoint{Protocol: lvs.TCP, Addr: addr}, ipvs.AddrService(ipvs.TCP, addr)},
		{lvs.Endpoint{Protocol: lvs.UDP, Addr: addr}, ipvs.AddrService(ipvs.UDP, addr)},
		{lvs.Endpoint{FWMark: 7, Family: lvs.IPv4}, ipvs.MarkService(7, ipvs.IPv4)},
		{lvs.Endpoint{FWMark: 7, Family: lvs.IPv6}, ipvs.MarkService(7, ipvs.IPv6)},
	} {
		if got := serviceIDOf(tt.e); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.e, got, tt.want)
		}
	}
	attributes := func(a lvs.DestinationAttributes) *lvs.Destination {
		return &lvs.Destination{Addr: addr, Weight: 3, DestinationAttributes: a}
	}
	row := func(f ipvs.Destination) ipvs.Destination {
		f.Addr, f.Weight = addr, 3
		return f
	}
	for _, tt := range []struct {
		d    *lvs.Destination
		want ipvs.Destination
	}{
		{attributes(lvs.DestinationAttributes{UpperThreshold: 9, LowerThreshold: 4}), row(ipvs.Destination{Forward: ipvs.Masquerade, Upper: 9, Lower: 4})},
		{attributes(lvs.DestinationAttributes{Method: lvs.Direct}), row(ipvs.Destination{Forward: ipvs.DirectRoute})},
		{attributes(lvs.DestinationAttributes{Method: lvs.Tunnel}), row(ipvs.Destination{Forward: ipvs.Tunnel})},
		{attributes(lvs.DestinationAttributes{Method: lvs.Tunnel, Tunnel: lvs.GUE, TunnelPort: 6080, Checksum: lvs.RemoteChecksum}),
			row(ipvs.Destination{Forward: ipvs.Tunnel, Tunnel: ipvs.TunnelOptions{Type: ipvs.GUE, Port: 6080, Checksum: ipvs.RemoteChecksum}})},
		{attributes(lvs.DestinationAttributes{Method: lvs.Tunnel, Tunnel: lvs.GRE, Checksum: lvs.Checksum}),
			row(ipvs.Destination{Forward: ipvs.Tunnel, Tunnel: ipvs.TunnelOptions{Type: ipvs.GRE, Checksum: ipvs.FullChecksum}})},
	} {
		if got := destinationOf(tt.d); got != tt.want {
			t.Errorf("%+v: %+v, want %+v", tt.d, got, tt.want)
		}
	}
	all := lvs.OnePacket | lvs.SchedFlag1 | lvs.SchedFlag2 | lvs.SchedFlag3
	if got, want := flagsOf(all), ipvs.OnePacket|ipvs.Sched1|ipvs.Sched2|ipvs.Sched3; got != want || flagsOf(0) != 0 {
		t.Errorf("flags %v, want %v", got, want)
	}
}

// TestQuorumMail checks that each reason for a change of quorum has the C daemon's
// sentence, and that the end of the process has none.
func TestQuorumMail(t *testing.T) {
	service := &lvs.Service{ID: lvs.ServiceID{Endpoint: lvs.Endpoint{Protocol: lvs.TCP, Addr: netip.MustParseAddrPort("192.0.2.1:80")}}}
	for _, tt := range []struct {
		up            bool
		reason        lvs.Reason
		subject, body string
	}{
		{true, lvs.ReasonStart, "Virtualserver [192.0.2.1]:tcp:80 - UP", "=> Starting with quorum up 2+1=3 <= 5 <="},
		{true, lvs.ReasonCheck, "Virtualserver [192.0.2.1]:tcp:80 - UP", "=> Gained quorum 2+1=3 <= 5 <="},
		{false, lvs.ReasonStart, "Virtualserver [192.0.2.1]:tcp:80 - DOWN", "=> Starting with quorum down 2-1=1 > 0 <="},
		{false, lvs.ReasonReload, "Virtualserver [192.0.2.1]:tcp:80 - DOWN", "=> Lost quorum 2-1=1 > 0 <="},
		{false, lvs.ReasonRemoved, "Virtualserver [192.0.2.1]:tcp:80 - DOWN", "=> Lost quorum 2-1=1 > 0 <="},
		{false, lvs.ReasonShutdown, "", ""},
	} {
		a := &lvs.Action{Kind: lvs.QuorumLost, Service: service, Reason: tt.reason, Sum: 0, Quorum: 2, Hysteresis: 1}
		if tt.up {
			a.Kind, a.Sum = lvs.QuorumGained, 5
		}
		m := quorumMail(a, tt.up)
		if m.Subject != tt.subject || m.Body != tt.body {
			t.Errorf("%+v: %q, %q", tt, m.Subject, m.Body)
		}
	}
}
