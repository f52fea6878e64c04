package test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// farm is a client, directors and servers. The client and the virtual addresses are on
// segment 0; segment 1 joins directors and servers.
type farm struct {
	*scene
	client    *lab.Node
	directors []*lab.Node
	servers   []*lab.Node
}

// gateway is the gateway of the servers for answers from their own addresses, as NAT
// needs it. Answers from a virtual address take the direct way.
type gateway struct{ v4, v6 netip.Addr }

// newFarm builds a farm. The servers have the virtual addresses too.
func newFarm(t *testing.T, g gateway, directors, servers int, virtual ...netip.Addr) *farm {
	t.Helper()
	names := []string{"client"}
	for i := range directors {
		names = append(names, fmt.Sprintf("lb%d", i+1))
	}
	for i := range servers {
		names = append(names, fmt.Sprintf("s%d", i+1))
	}
	s := newWideScene(t, 2, names...)
	f := &farm{scene: s, client: s.Nodes[0], directors: s.Nodes[1 : 1+directors], servers: s.Nodes[1+directors:]}
	for _, n := range f.directors {
		f.sysctl(n, map[string]string{"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"})
	}
	for _, n := range f.servers {
		f.sysctl(n, map[string]string{"ipv4/conf/all/arp_ignore": "1", "ipv4/conf/all/arp_announce": "2"})
		var plan strings.Builder
		for _, a := range virtual {
			fmt.Fprintf(&plan, "addr add %v dev lo\n", a)
		}
		fmt.Fprintf(&plan, "route add default via %v dev eth1 table 100\nroute add default via %v dev eth1 table 100\n", g.v4, g.v6)
		s.must(n.IPBatch(plan.String()))
		for _, rule := range [][]string{
			{"-4", n.Addr(1).String(), netip.PrefixFrom(n.Addr(0), 16).Masked().String()},
			{"-6", n.Addr6(1).String(), netip.PrefixFrom(n.Addr6(0), 64).Masked().String()},
		} {
			s.output(n, "ip", rule[0], "rule", "add", "from", rule[1], "to", rule[2], "lookup", "100")
		}
	}
	return f
}

// sysctl writes values to files below /proc/sys/net.
func (s *scene) sysctl(n *lab.Node, settings map[string]string) {
	s.Helper()
	s.must(n.Do(func() error {
		for name, value := range settings {
			if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0); err != nil {
				return err
			}
		}
		return nil
	}))
}

// serveLines answers each line that arrives at the port with the name of the node and the
// line, until the scene ends.
func (s *scene) serveLines(n *lab.Node, port uint16) {
	s.Helper()
	s.serve(n, port, func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if _, err := io.WriteString(c, n.Name+" "+line); err != nil {
				return
			}
		}
	})
}

// serve handles each connection to the port and closes it, until the scene ends.
func (s *scene) serve(n *lab.Node, port uint16, handle func(net.Conn)) {
	s.Helper()
	var l net.Listener
	s.must(n.Do(func() (err error) {
		l, err = net.Listen("tcp", fmt.Sprintf(":%d", port))
		return err
	}))
	s.Cleanup(func() { l.Close() })
	go acceptAll(l, handle)
}

// acceptAll handles each connection to l and closes it, until l is closed.
func acceptAll(l net.Listener, handle func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			handle(c)
		}()
	}
}

// serveDatagrams answers each datagram with the name of the node.
func (s *scene) serveDatagrams(n *lab.Node, at netip.AddrPort) {
	s.Helper()
	var c *net.UDPConn
	s.must(n.Do(func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		return err
	}))
	s.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 64)
		for {
			_, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			c.WriteToUDPAddrPort([]byte(n.Name), from)
		}
	}()
}

// serveSCTP sends the name of the node on each SCTP connection.
func (s *scene) serveSCTP(n *lab.Node, at netip.AddrPort) {
	s.Helper()
	var l net.Listener
	s.must(n.Do(func() error {
		f, err := socketSCTP(func(fd int) error {
			if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}); err != nil {
				return err
			}
			return unix.Listen(fd, 16)
		})
		if err != nil {
			return err
		}
		defer f.Close()
		l, err = net.FileListener(f)
		return err
	}))
	s.Cleanup(func() { l.Close() })
	go acceptAll(l, func(c net.Conn) { io.WriteString(c, n.Name) })
}

// askSCTP returns the name that a server of serveSCTP sends.
func (s *scene) askSCTP(n *lab.Node, to netip.AddrPort) (name string, err error) {
	var c net.Conn
	if err := n.Do(func() error {
		f, err := socketSCTP(func(fd int) error {
			wait := unix.NsecToTimeval(answerWait.Nanoseconds())
			if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait); err != nil {
				return err
			}
			return unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
		})
		if err != nil {
			return err
		}
		defer f.Close()
		c, err = net.FileConn(f)
		return err
	}); err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(answerWait)); err != nil {
		return "", err
	}
	text, err := io.ReadAll(c)
	return string(text), err
}

// socketSCTP makes an SCTP socket. Package net does not support SCTP, and takes a
// connection of one for TCP.
func socketSCTP(prepare func(fd int) error) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		return nil, fmt.Errorf("socket of SCTP: %w", err)
	}
	f := os.NewFile(uintptr(fd), "SCTP")
	if err := prepare(fd); err != nil {
		f.Close()
		return nil, fmt.Errorf("SCTP: %w", err)
	}
	return f, nil
}

// answerWait is how long a client waits for one answer. It is generous: no test
// measures how long an answer takes.
const answerWait = 30 * time.Second

// dial connects from an address of the node, or from the address that its kernel chooses.
// The connection waits answerWait for the first answer.
func (s *scene) dial(n *lab.Node, network string, from netip.Addr, to netip.AddrPort) (c net.Conn, err error) {
	d := net.Dialer{Timeout: answerWait}
	switch {
	case !from.IsValid():
	case network == "udp":
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	default:
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	err = n.Do(func() error {
		c, err = d.Dial(network, to.String())
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(answerWait))
}

// get makes a request to nginx and returns the name of the server that answered.
func (s *scene) get(n *lab.Node, from netip.Addr, to netip.AddrPort) (string, error) {
	c, err := s.dial(n, "tcp", from, to)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		return "", err
	}
	head, body, found := strings.Cut(string(answer), "\r\n\r\n")
	if !found || !strings.HasPrefix(head, "HTTP/1.1 200 ") {
		return "", fmt.Errorf("answer %q", answer)
	}
	return strings.TrimSpace(body), nil
}

// session is a TCP connection to serveLines.
type session struct {
	net.Conn
	reader *bufio.Reader
	lines  int
	server string // the server that answers
}

// open begins a session.
func (s *scene) open(n *lab.Node, to netip.AddrPort) *session {
	s.Helper()
	c, err := s.dial(n, "tcp", netip.Addr{}, to)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { c.Close() })
	e := &session{Conn: c, reader: bufio.NewReader(c)}
	s.must(e.echo())
	return e
}

// echo sends a line and waits for the answer of the same server.
func (e *session) echo() error {
	if err := e.SetDeadline(time.Now().Add(answerWait)); err != nil {
		return err
	}
	e.lines++
	if _, err := fmt.Fprintf(e, "line %d\n", e.lines); err != nil {
		return err
	}
	answer, err := e.reader.ReadString('\n')
	if err != nil {
		return fmt.Errorf("line %d: %w", e.lines, err)
	}
	server, line, _ := strings.Cut(answer, " ")
	if e.server == "" {
		e.server = server
	}
	if server != e.server || line != fmt.Sprintf("line %d\n", e.lines) {
		return fmt.Errorf("line %d to %s: answer %q", e.lines, e.server, answer)
	}
	return nil
}

// connections returns how many established connections to the virtual IPv4 address the
// director's kernel has.
func (f *farm) connections(director *lab.Node, to netip.AddrPort) int {
	f.Helper()
	n, virtual := 0, fmt.Sprintf(" %08X %04X ", to.Addr().As4(), to.Port())
	for line := range strings.Lines(f.proc(director, "ip_vs_conn")) {
		if strings.Contains(line, "ESTABLISHED") && strings.Contains(line, virtual) {
			n++
		}
	}
	return n
}

// weights returns the weights of all servers of all services of the director.
func (f *farm) weights(director *lab.Node) (all []int) {
	f.Helper()
	for line := range strings.Lines(f.proc(director, "ip_vs")) {
		var server, forward string
		var weight int
		if n, _ := fmt.Sscanf(line, "  -> %s %s %d", &server, &forward, &weight); n == 3 {
			all = append(all, weight)
		}
	}
	return all
}

// proc reads a file below /proc/net of the node.
func (s *scene) proc(n *lab.Node, name string) string {
	s.Helper()
	var text []byte
	s.must(n.Do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/" + name)
		return err
	}))
	return string(text)
}
