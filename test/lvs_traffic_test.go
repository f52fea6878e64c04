package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/tool/lab"
)

// testTraffic checks that requests of a client reach the servers by each forwarding
// method, and are distributed as the scheduler specifies.
func testTraffic(t *testing.T) {
	cases := []trafficCase{
		{name: "NAT rr", algo: "rr", kind: "NAT"},
		{name: "NAT wrr", algo: "wrr", kind: "NAT"},
		{name: "NAT to another port", algo: "rr", kind: "NAT", port: 8080},
		{name: "NAT IPv6", algo: "rr", kind: "NAT", virtual: "fd00::1:%d", server: "fd00:1::%d"},
		{name: "NAT SCTP", algo: "rr", kind: "NAT", sctp: true},
		{name: "NAT UDP", algo: "rr", kind: "NAT", udp: true},
		{name: "NAT persistent", algo: "rr", kind: "NAT", persistent: true},
		{name: "DR rr", algo: "rr", kind: "DR"},
		{name: "DR wrr IPv6", algo: "wrr", kind: "DR", virtual: "fd00::1:%d", server: "fd00:1::%d"},
		{name: "DR UDP ops", algo: "wrr", kind: "DR\nops", udp: true},
		{name: "DR fwmark", algo: "rr", kind: "DR", mark: 9},
		{name: "DR persistent", algo: "rr", kind: "DR", persistent: true},
		{name: "TUN ipip", algo: "rr", kind: "TUN"},
		{name: "TUN gre", algo: "rr", kind: "TUN type gre"},
		{name: "TUN gue", algo: "wrr", kind: "TUN type gue port 6080"},
		{name: "TUN gue csum", algo: "rr", kind: "TUN type gue port 6080 csum"},
		{name: "TUN gue remcsum", algo: "rr", kind: "TUN type gue port 6080 remcsum"},
		{name: "TUN IPv6", algo: "rr", kind: "TUN", virtual: "fd00::1:%d", server: "fd00:1::%d"},
		{name: "TUN IPv6 in IPv4", algo: "rr", kind: "TUN", virtual: "fd00::1:%d"},
		{name: "TUN IPv4 in IPv6", algo: "rr", kind: "TUN", server: "fd00:1::%d"},
	}
	var config, marks strings.Builder
	var virtual []netip.Addr
	for i := range cases {
		c := &cases[i]
		c.number(i + 1)
		virtual = append(virtual, c.to.Addr())
		config.WriteString(c.config())
		if c.mark > 0 {
			fmt.Fprintf(&marks, "filter add dev eth0 parent ffff: protocol ip u32 match ip dst %v/32 action skbedit mark %d\n", c.to.Addr(), c.mark)
		}
	}

	f := newFarm(t, gateway{lab.SegmentAddr(1, 2), lab.SegmentAddr6(1, 2)}, 1, 3, virtual...)
	director := f.directors[0]
	var plan strings.Builder
	for _, a := range virtual {
		fmt.Fprintf(&plan, "addr add %v dev eth0\n", a)
	}
	f.must(director.IPBatch(plan.String()))
	f.must(f.client.IP(fmt.Sprintf("addr add %v/16 dev eth0", otherClient)))
	// The kernel of User-Mode Linux has no packet filter for nft(8).
	f.write(director.Name, "marks", "qdisc add dev eth0 ingress\n"+marks.String())
	f.output(director, "tc", "-batch", f.path(director.Name, "marks"))
	for _, n := range f.servers {
		f.nginx(n.Name)
		decapsulate(f.scene, n)
		f.serveDatagrams(n, netip.AddrPortFrom(n.Addr(1), serverPort))
		f.serveSCTP(n, netip.AddrPortFrom(n.Addr(1), serverPort))
		for i := range cases {
			if c := &cases[i]; c.udp {
				f.serveDatagrams(n, c.to)
			}
		}
	}
	d := f.start(director.Name, ours, config.String(), "-C")
	if !f.Until(20*time.Second, func() bool { return strings.Count(d.LogText(), "Adding service") == 3*len(cases) }) ||
		!f.Until(10*time.Second, func() bool { return len(f.weights(director)) == 3*len(cases) }) {
		t.Fatal("not all servers are up")
	}
	for i := range cases {
		t.Run(cases[i].name, func(t *testing.T) { cases[i].run(t, f, d) })
	}
	counted(f.scene, d, len(cases))
	drained(f, d, &cases[0])
}

// counted checks that the state has the counters of the kernel: for each service as many
// connections as for its servers together, and more than none.
func counted(s *scene, d *lab.Daemon, services int) {
	s.Helper()
	why := "no answer"
	all := func() bool {
		text, _ := s.runVerb(d, "status", "-o", "json")
		var state api.Status
		if err := json.Unmarshal([]byte(text), &state); err != nil || state.LVS == nil || len(state.LVS.Services) != services {
			return false
		}
		for i := range state.LVS.Services {
			v, sum := &state.LVS.Services[i], uint64(0)
			for k := range v.Servers {
				if c := v.Servers[k].Traffic; c != nil {
					sum += c.Connections
				}
			}
			if v.Traffic == nil || sum == 0 || v.Traffic.Connections != sum {
				why = fmt.Sprintf("%s: %+v, its servers have %d connections", v.Name, v.Traffic, sum)
				return false
			}
		}
		return true
	}
	if !s.Until(20*time.Second, all) {
		s.Error(why)
	}
}

// trafficCase is a virtual server and the share of each of its three servers. Servers of
// wrr have the weights 1, 2 and 3.
type trafficCase struct {
	name, algo, kind string
	virtual, server  string // addresses with a number; empty: of IPv4
	port             uint16 // of the virtual server; 0: that of the servers
	udp, sctp        bool
	persistent       bool
	mark             int // clients reach the service by this mark

	to netip.AddrPort
}

const (
	serverPort = 80 // of nginx and of the servers for UDP
	rounds     = 2  // of the scheduler
)

// otherClient is a second address of the client.
var otherClient = addr("10.0.9.9")

func (c *trafficCase) number(i int) {
	if c.virtual == "" {
		c.virtual = "10.0.1.%d"
	}
	if c.server == "" {
		c.server = "10.1.0.%d"
	}
	if c.port == 0 {
		c.port = serverPort
	}
	c.to = netip.AddrPortFrom(addr(fmt.Sprintf(c.virtual, i)), c.port)
}

func (c *trafficCase) config() string {
	lines := []string{"lb_algo " + c.algo, "lb_kind " + c.kind, "delay_loop 1"}
	address, protocol, check := fmt.Sprint(c.to.Addr(), " ", c.to.Port()), "protocol TCP", "HTTP_GET {\nurl {\npath /\nstatus_code 200\n}\n}"
	if c.udp {
		protocol, check = "protocol UDP", "UDP_CHECK {\npayload hello\nrequire_reply s\nmin_reply_length 2\n}"
	}
	if c.sctp { // the check uses the web server at the same TCP port
		protocol = "protocol SCTP"
	}
	if c.mark > 0 {
		address, protocol = fmt.Sprint("fwmark ", c.mark), ""
	}
	if c.persistent {
		lines = append(lines, "persistence_timeout 60")
	}
	lines = append(lines, protocol)
	for h := range 3 {
		lines = append(lines, server(fmt.Sprintf(c.server, 3+h)+fmt.Sprint(" ", serverPort), fmt.Sprint("weight ", c.weight(h)), "alpha", check))
	}
	return virtual(address, lines...)
}

func (c *trafficCase) weight(h int) int {
	if c.algo == "wrr" {
		return h + 1
	}
	return 1
}

// run sends whole rounds of requests, so that the initial position of the scheduler does
// not matter.
func (c *trafficCase) run(t *testing.T, f *farm, d *lab.Daemon) {
	var total int
	want := map[string]int{}
	for h, n := range f.servers {
		want[n.Name] = rounds * c.weight(h)
		total += want[n.Name]
	}
	ask, end := c.asker(t, f)
	defer end()
	got := map[string]int{}
	for range total {
		name, err := ask(netip.Addr{})
		if err != nil {
			t.Fatalf("after %v: %v", got, err)
		}
		got[name]++
	}
	if !c.persistent {
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("answers %v, want %v; servers removed meanwhile: %v\n%s\n%s", got, want, strings.Contains(d.LogText(), "Removing service"),
				f.output(f.directors[0], "ipvsadm", "-Ln", "--stats"), f.output(f.directors[0], "ipvsadm", "-Lnc"))
		}
		return
	}
	if len(got) != 1 {
		t.Errorf("answers to one client %v, want those of one server", got)
	}
	switch name, err := ask(otherClient); {
	case err != nil:
		t.Error(err)
	case got[name] > 0:
		t.Errorf("another client gets %s, too, where the next server is due", name)
	}
}

// asker returns a function that sends a request and returns the name of the server.
// One-packet scheduling is tested with datagrams of one socket.
func (c *trafficCase) asker(t *testing.T, f *farm) (ask func(from netip.Addr) (string, error), end func()) {
	if c.sctp {
		return func(netip.Addr) (string, error) { return f.askSCTP(f.client, c.to) }, func() {}
	}
	if !c.udp {
		return func(from netip.Addr) (string, error) { return f.get(f.client, from, c.to) }, func() {}
	}
	ops := strings.Contains(c.kind, "ops")
	var conn net.Conn
	return func(from netip.Addr) (_ string, err error) {
			if conn == nil || !ops {
				if conn != nil {
					conn.Close()
				}
				if conn, err = f.dial(f.client, "udp", from, c.to); err != nil {
					return "", err
				}
			}
			if _, err := io.WriteString(conn, "hello"); err != nil {
				return "", err
			}
			b := make([]byte, 64)
			n, err := conn.Read(b)
			return string(b[:n]), err
		}, func() {
			if conn != nil {
				conn.Close()
			}
		}
}

// decapsulate makes the node accept packets of each kind of tunnel.
func decapsulate(s *scene, n *lab.Node) {
	s.Helper()
	s.output(n, "ip", "-6", "tunnel", "change", "ip6tnl0", "mode", "any")
	s.must(n.IPBatch("link set tunl0 up\nlink set gre0 up\nlink set sit0 up\nlink set ip6tnl0 up\nfou add port 6080 gue\n"))
}
