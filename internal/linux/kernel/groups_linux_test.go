package kernel

import (
	"maps"
	"net/netip"
	"testing"
)

func TestParseGroups(t *testing.T) {
	const igmp = "Idx\tDevice    : Count Querier\tReporter\n" +
		"1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n" +
		"12\teth0      :     2      V3\n\t\t\t\t120000E0     1 0:00000000\t\t0\n\t\t\t\t010000E0     1 0:00000000\t\t0\n"
	const igmp6 = "1    lo              ff020000000000000000000000000001     1 0000000C 0\n" +
		"12   eth0            ff020000000000000000000000000012     1 00000004 0\n\nnonsense\n"
	if native.Uint16([]byte{1, 0}) == 1 { // the file has the numbers of a little-endian machine
		want := map[Group]bool{
			{1, netip.MustParseAddr("224.0.0.1")}: true, {12, netip.MustParseAddr("224.0.0.18")}: true, {12, netip.MustParseAddr("224.0.0.1")}: true,
		}
		if got := parseGroups4(igmp); !maps.Equal(got, want) {
			t.Errorf("IPv4: %v", got)
		}
	}
	want := map[Group]bool{{1, netip.MustParseAddr("ff02::1")}: true, {12, netip.MustParseAddr("ff02::12")}: true}
	if got := parseGroups6(igmp6); !maps.Equal(got, want) {
		t.Errorf("IPv6: %v", got)
	}
}
