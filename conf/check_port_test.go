package conf

import "testing"

// TestCheckPort checks that a check uses the port in the file, whatever the port of the
// server becomes.
func TestCheckPort(t *testing.T) {
	for _, test := range []struct {
		service, kind, server, words string
		port, check                  uint16
	}{
		{"fwmark 9", "DR", "10.0.0.1 8081", "", 0, 8081},
		{"fwmark 9", "TUN", "10.0.0.1 8081", "", 0, 8081},
		{"fwmark 9", "NAT", "10.0.0.1 8081", "", 8081, 8081},
		{"fwmark 9", "DR", "10.0.0.1", "connect_port 7", 0, 7},
		{"192.0.2.1 80", "DR", "10.0.0.1 8081", "", 80, 8081},
		{"192.0.2.1 80", "DR", "10.0.0.1 8081", "connect_port 7", 80, 7},
		{"192.0.2.1 80", "DR", "10.0.0.1", "", 80, 80},
		{"192.0.2.1 80", "NAT", "10.0.0.1", "", 80, 80},
		{"192.0.2.1 80", "NAT", "10.0.0.1 8081", "", 8081, 8081},
	} {
		c, diags := load(t, "virtual_server "+test.service+" {\nlb_algo rr\nprotocol TCP\nlb_kind "+test.kind+
			"\nreal_server "+test.server+" {\nTCP_CHECK {\n"+test.words+"\n}\n}\n}\n", Options{})
		if len(c.VirtualServers) != 1 || len(c.VirtualServers[0].RealServers) != 1 {
			t.Errorf("%+v: no server: %v", test, diags)
			continue
		}
		s := c.VirtualServers[0].RealServers[0]
		if s.Port != test.port || s.Checks[0].Connect.Port != test.check {
			t.Errorf("%+v: the server has port %d, the check %d", test, s.Port, s.Checks[0].Connect.Port)
		}
	}
}
