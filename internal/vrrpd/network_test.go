package vrrpd

import (
	"net/netip"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/kernel"
)

func TestSource(t *testing.T) {
	addr := func(prefix string, flags uint32) kernel.Addr {
		return kernel.Addr{Link: 2, Prefix: netip.MustParsePrefix(prefix), Flags: flags}
	}
	virtual := func(prefixes ...string) func(kernel.Key) bool {
		return func(k kernel.Key) bool {
			for _, p := range prefixes {
				if k.Prefix == netip.MustParsePrefix(p) {
					return true
				}
			}
			return false
		}
	}
	for _, c := range []struct {
		name  string
		addrs []kernel.Addr
		ipv6  bool
		skip  func(kernel.Key) bool
		want  string
	}{
		{"first IPv4 address", []kernel.Addr{addr("10.0.0.1/24", 0), addr("10.0.1.1/24", 0)}, false, virtual(), "10.0.0.1"},
		{"secondary addresses are no choice", []kernel.Addr{addr("10.0.0.2/24", unix.IFA_F_SECONDARY), addr("10.0.1.1/24", 0)}, false, virtual(), "10.0.1.1"},
		{"virtual addresses are no choice", []kernel.Addr{addr("10.0.0.9/32", 0), addr("10.0.0.1/24", 0)}, false, virtual("10.0.0.9/32"), "10.0.0.1"},
		{"only a virtual address", []kernel.Addr{addr("10.0.0.9/32", 0)}, false, virtual("10.0.0.9/32"), "invalid IP"},
		{"link-local IPv6", []kernel.Addr{addr("2001:db8::1/64", 0), addr("fe80::1/64", 0)}, true, virtual(), "fe80::1"},
		{"tentative IPv6 waits", []kernel.Addr{addr("fe80::1/64", unix.IFA_F_TENTATIVE)}, true, virtual(), "invalid IP"},
		{"failed duplicate address detection", []kernel.Addr{addr("fe80::1/64", unix.IFA_F_DADFAILED|unix.IFA_F_PERMANENT), addr("fe80::2/64", 0)}, true, virtual(), "fe80::2"},
		{"families do not mix", []kernel.Addr{addr("10.0.0.1/24", 0)}, true, virtual(), "invalid IP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNetwork([]kernel.Link{{Index: 2, Name: "eth0"}}, c.addrs)
			if got := n.byName["eth0"].source(c.ipv6, c.skip).String(); got != c.want {
				t.Errorf("source is %s, want %s", got, c.want)
			}
		})
	}
}

// TestFormerNames checks that a link is found by its former names as long as it exists,
// and that the number of remembered names is bounded.
func TestFormerNames(t *testing.T) {
	n := newNetwork([]kernel.Link{{Index: 2, Name: "eth0"}, {Index: 3, Name: "eth1"}}, nil)
	for _, name := range []string{"a", "b"} {
		n.setLink(kernel.Link{Index: 2, Name: name})
	}
	if l := n.formerly["eth0"]; l == nil || l.Name != "b" {
		t.Errorf("eth0 is %v", l)
	}
	n.setLink(kernel.Link{Index: 3, Name: "eth0"}) // another link takes the name and is renamed
	n.setLink(kernel.Link{Index: 3, Name: "lan"})
	if l := n.formerly["eth0"]; l == nil || l.Name != "lan" {
		t.Errorf("eth0 is %v", l)
	}
	for i := range 100 {
		n.setLink(kernel.Link{Index: 2, Name: "passing" + strconv.Itoa(i)})
	}
	if len(n.formerly) != 2+formerNames || n.formerly["passing98"] == nil {
		t.Errorf("%d names are remembered: %v", len(n.formerly), n.formerly)
	}
	n.removeLink(2)
	n.removeLink(3)
	if len(n.formerly) != 0 {
		t.Errorf("names of removed links: %v", n.formerly)
	}
}

func TestLinkKeepsItsPlaceThroughRenameAndReturn(t *testing.T) {
	n := newNetwork([]kernel.Link{{Index: 2, Name: "eth0"}}, nil)
	n.setLink(kernel.Link{Index: 2, Name: "lan"})
	if n.byName["eth0"] != nil || n.byName["lan"] == nil || n.byName["lan"].Index != 2 {
		t.Errorf("after a rename: %v", n.byName)
	}
	// Another link takes the name before the first is reported as removed.
	n.setLink(kernel.Link{Index: 7, Name: "lan"})
	n.removeLink(2)
	if l := n.byName["lan"]; l == nil || l.Index != 7 {
		t.Errorf("lan is %+v, want index 7", l)
	}
}
