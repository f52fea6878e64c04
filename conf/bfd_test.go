package conf

import "testing"

// TestBFDInterface checks that a link-local address of a session can name its interface,
// and another address cannot.
func TestBFDInterface(t *testing.T) {
	for _, tt := range []struct {
		addr string
		ok   bool
	}{
		{"fe80::1%eth0", true}, {"fe80::1", true}, {"192.0.2.1", true},
		{"2001:db8::1%eth0", false}, {"192.0.2.1%eth0", false}, {"fe80::1%", false},
	} {
		path := write(t, "bfd_instance b {\nneighbor_ip "+tt.addr+"\n}\n")
		c, diags := Load(path, Options{})
		if got := len(c.BFDInstances) == 1; got != tt.ok {
			t.Errorf("%s: accepted %t, want %t\n%s", tt.addr, got, tt.ok, list(diags))
		} else if got && c.BFDInstances[0].Neighbor.String() != tt.addr {
			t.Errorf("%s is read as %v", tt.addr, c.BFDInstances[0].Neighbor)
		}
	}
}
