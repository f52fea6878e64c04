package ipvs

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/internal/linux/nl"
)

// FuzzDecodeMessage checks that any message of a kernel can be decoded, and that decoded
// values are the same after encoding and decoding.
func FuzzDecodeMessage(f *testing.F) {
	s := &ServiceState{Service: Service{ServiceID: AddrService(TCP, netip.MustParseAddrPort("192.0.2.1:80")), Scheduler: "sh", Flags: Sched1, Timeout: 7, Engine: "sip"}}
	d := &DestinationState{Destination: Destination{Addr: netip.MustParseAddrPort("[2001:db8::1]:80"), Forward: Tunnel, Tunnel: TunnelOptions{GUE, 6080, FullChecksum}}}
	for _, m := range []Message{
		{Command: NewService, Service: s, Whole: true, State: true},
		{Command: NewDest, Service: s, Destination: d, Whole: true, State: true},
		{Command: NewDaemon, Daemon: &Daemon{Role: Master, Interface: "eth0", Group: netip.MustParseAddr("ff02::1"), TTL: 1}},
		{Command: SetConfig, Timeouts: &Timeouts{1, 2, 3}},
		{Command: SetInfo, Info: &Info{0x010201, 4096}},
	} {
		f.Add(m.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		first, ok := DecodeMessage(b)
		if !ok {
			return
		}
		_ = first.String()
		first.Whole, first.State = true, true
		written := first.Append(nil)
		second, ok := DecodeMessage(written)
		if !ok {
			t.Fatalf("%x is not decoded, but %x was", written, b)
		}
		second.Whole, second.State = true, true
		if again := second.Append(nil); !bytes.Equal(written, again) {
			t.Errorf("written %x, then %x", written, again)
		}
	})
}

// TestOldStatistics checks the statistics of kernels before 4.1, which have 32 bits only.
func TestOldStatistics(t *testing.T) {
	nest, at := begin([]byte{byte(NewService), 1, 0, 0}, attrService)
	nest = appendUint16(nest, svcFamily, uint16(IPv4))
	nest = appendAddr(nest, svcAddr, netip.MustParseAddr("192.0.2.1"))
	stats := nl.AppendUint32(nil, 1, 5)
	stats = nl.AppendAttr(stats, 4, native.AppendUint64(nil, 1<<40))
	nest = nl.AppendAttr(nest, svcStats, stats)
	m, ok := DecodeMessage(finish(nest, at))
	if want := (Stats{Connections: 5, InBytes: 1 << 40}); !ok || m.Service.Stats != want {
		t.Errorf("got %+v, %v, want %+v", m.Service, ok, want)
	}
}

func TestMessageString(t *testing.T) {
	s := &ServiceState{Service: Service{ServiceID: MarkService(7, IPv6)}}
	d := &DestinationState{Destination: Destination{Addr: netip.MustParseAddrPort("192.0.2.2:80")}}
	var got []string
	for _, m := range []Message{
		{Command: NewService, Service: s}, {Command: SetDest, Service: s, Destination: d}, {Command: DelService, Service: s},
		{Command: GetDest, Service: s}, {Command: GetService}, {Command: Zero, Service: s}, {Command: Zero}, {Command: Flush},
		{Command: SetConfig, Timeouts: &Timeouts{}}, {Command: GetConfig}, {Command: GetInfo}, {Command: GetDaemon},
		{Command: NewDaemon, Daemon: &Daemon{Role: Backup}},
	} {
		got = append(got, m.String())
	}
	want := []string{
		"add service fwmark 7 IPv6", "change destination 192.0.2.2:80 of fwmark 7 IPv6", "remove service fwmark 7 IPv6",
		"read destinations of fwmark 7 IPv6", "read services", "zero the counters of fwmark 7 IPv6", "zero the counters", "flush the table of services",
		"set timeouts", "read timeouts", "read the version", "read synchronisation daemons",
		"start backup synchronisation daemon",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
