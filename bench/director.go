package main

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
	"keepalived-go/lvs/ipvs"
)

// services is a load balancer to be configured.
type services struct {
	n, each int
	check   string        // keyword of the check of each server; empty: none
	delay   time.Duration // delay_loop
	more    string        // additional lines of each service
	last    int           // weight of the last server; 0: 1
}

// serverPort is the port of real servers.
const serverPort = 8080

// virtual returns the address of a service. All virtual and real addresses are on the
// loopback interface of the node.
func virtual(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i / 250), byte(i%250 + 1)}), 80)
}

func (s services) real(i, j int) netip.AddrPort {
	k := i*s.each + j
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 2 + byte(k/62500), byte(k / 250 % 250), byte(k%250 + 1)}), serverPort)
}

func (s services) String() string {
	var b strings.Builder
	b.WriteString("global_defs {\n  router_id bench\n}\n")
	for i := range s.n {
		v := virtual(i)
		fmt.Fprintf(&b, "virtual_server %v %d {\n  lb_algo rr\n  lb_kind NAT\n  protocol TCP\n", v.Addr(), v.Port())
		if s.check != "" {
			fmt.Fprintf(&b, "  delay_loop %g\n  warmup %g\n  retry 0\n", s.delay.Seconds(), max(s.delay.Seconds(), 0.1))
		}
		b.WriteString(s.more)
		for j := range s.each {
			r, weight := s.real(i, j), 1
			if s.last != 0 && i == s.n-1 && j == s.each-1 {
				weight = s.last
			}
			fmt.Fprintf(&b, "  real_server %v %d {\n    weight %d\n", r.Addr(), r.Port(), weight)
			switch s.check {
			case "":
			case "TCP_CHECK":
				b.WriteString("    TCP_CHECK {\n      connect_timeout 3\n    }\n")
			default:
				fmt.Fprintf(&b, "    %s {\n      url {\n        path /\n        status_code 200\n      }\n      connect_timeout 3\n    }\n", s.check)
			}
			b.WriteString("  }\n")
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// director is a node with a load balancer in its kernel.
type director struct {
	*lab.Node
	l    *lab.Lab
	conn *ipvs.Conn
	err  error // of a reading of the table
}

// localAddresses adds the addresses of services and servers to the node.
func localAddresses(n *lab.Node) error {
	return n.IPBatch("addr add 10.1.0.1/16 dev lo\naddr add 10.2.0.1/15 dev lo\n")
}

func newDirector(l *lab.Lab) (*director, error) {
	d := &director{Node: l.Node("a"), l: l}
	d.IPBatch("addr del 10.1.0.1/16 dev lo\naddr del 10.2.0.1/15 dev lo\n") // left by a predecessor
	if err := localAddresses(d.Node); err != nil {
		return nil, err
	}
	err := d.Do(func() (err error) {
		d.conn, err = ipvs.Dial(ipvs.Options{})
		return err
	})
	return d, err
}

func (d *director) close() { d.conn.Close() }

// until waits until ok accepts the table, which it reads at an interval. It gives up
// after minutes in which the machine was not busy.
func (d *director) until(what string, every time.Duration, ok func() bool) (time.Time, error) {
	for patience := lab.NewPatience(2 * time.Minute); !ok(); time.Sleep(every) {
		if patience.Left() <= 0 {
			return time.Time{}, errors.Join(fmt.Errorf("not in time: %s", what), d.err)
		}
	}
	return time.Now(), nil
}

func (d *director) destinations(v netip.AddrPort) []ipvs.DestinationState {
	all, err := d.conn.Destinations(ipvs.AddrService(ipvs.TCP, v))
	if err != nil && !errors.Is(err, ipvs.ErrNoService) { // the service is not there yet
		d.err = err
	}
	return all
}

// full reports whether all of s is in the table. It checks the last service first, so
// that it costs little until then.
func (d *director) full(s services) bool {
	for i := s.n - 1; i >= 0; i-- {
		if len(d.destinations(virtual(i))) != s.each {
			return false
		}
	}
	return true
}

func (d *director) empty() bool {
	all, err := d.conn.Services()
	return err == nil && len(all) == 0
}

// lookEvery is the interval between readings of the table.
const lookEvery = 4 * time.Millisecond

// start starts p and waits until the table is full.
func (d *director) start(p lab.Program, s services) (*lab.Daemon, time.Duration, error) {
	k, err := d.Start(p, s.String(), "-C")
	if err != nil {
		return nil, 0, err
	}
	at, err := d.until("the table is full", lookEvery, func() bool { return d.full(s) })
	if err != nil {
		k.Kill()
		d.conn.Flush()
		return nil, 0, fmt.Errorf("%w\n%s", err, tail(k.LogText()))
	}
	return k, at.Sub(k.Started), nil
}

func tail(s string) string { return s[max(0, len(s)-2000):] }

// stop ends the program and waits until the table is empty.
func (d *director) stop(k *lab.Daemon) (time.Duration, error) {
	from := time.Now()
	if err := k.Signal(unix.SIGTERM); err != nil {
		return 0, err
	}
	at, err := d.until("the table is empty", lookEvery, func() bool { return d.empty() || !k.Running() })
	if err == nil {
		err = k.Wait(30 * time.Second)
	}
	if !d.empty() {
		d.conn.Flush()
		err = cmp.Or(err, fmt.Errorf("services are left behind\n%s", tail(k.LogText())))
	}
	return at.Sub(from), err
}

// abandon ends the program after an error, so that the next one finds an empty table.
func (d *director) abandon(k *lab.Daemon) {
	if k.Running() {
		k.Kill()
		d.conn.Flush()
	}
}

// kernelAlone fills and clears the table of s in one batch each.
func (d *director) kernelAlone(s services) (fill, clear time.Duration, err error) {
	var add, remove []ipvs.Change
	for i := range s.n {
		v := ipvs.Service{ServiceID: ipvs.AddrService(ipvs.TCP, virtual(i)), Scheduler: "rr"}
		add = append(add, ipvs.Change{Op: ipvs.Add, Service: v})
		remove = append(remove, ipvs.Change{Op: ipvs.Remove, Service: v})
		for j := range s.each {
			add = append(add, ipvs.Change{Op: ipvs.Add, Service: v, Destination: &ipvs.Destination{Addr: s.real(i, j), Weight: 1}})
		}
	}
	began := time.Now()
	errs := d.conn.Batch(add)
	fill = time.Since(began)
	began = time.Now()
	errs = append(errs, d.conn.Batch(remove)...)
	clear = time.Since(began)
	for _, e := range errs {
		if e != nil {
			return 0, 0, e
		}
	}
	return fill, clear, nil
}

// servers answer the checks, on all addresses of a node.
type servers struct {
	asked atomic.Int64 // connections so far
	stop  context.CancelFunc
}

// page is the response of a web server.
const page = "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n"

// everywhere is any address of a node.
var everywhere = netip.IPv4Unspecified()

// serve answers checks of a kind at an address. A server for TCP_CHECK closes the
// connection; one for HTTP_GET sends a page after the request.
func serve(n *lab.Node, check string, addr netip.Addr, port uint16) (*servers, error) {
	var fd int
	err := n.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		if check == "HTTP_GET" { // a connection is accepted once it has a request
			unix.SetsockoptInt(fd, unix.SOL_TCP, unix.TCP_DEFER_ACCEPT, 5)
		}
		if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: addr.As4(), Port: int(port)}); err != nil {
			return err
		}
		return unix.Listen(fd, 4096)
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &servers{stop: func() { cancel(); unix.Shutdown(fd, unix.SHUT_RD) }}
	one := func(c int) { unix.Close(c) }
	switch check {
	case "echo":
		one = func(c int) { go echo(c) }
	case "HTTP_GET":
		buf := make([]byte, 4096)
		answer := []byte(page)
		one = func(c int) {
			unix.Read(c, buf)
			unix.Write(c, answer)
			unix.Close(c)
		}
	case "SSL_GET":
		cert, err := certificate()
		if err != nil {
			return nil, err
		}
		cfg := &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true, MinVersion: tls.VersionTLS12,
			CurvePreferences: []tls.CurveID{tls.X25519}}
		one = func(c int) { go answerTLS(c, cfg) }
	}
	go func() {
		runtime.LockOSThread()
		for {
			c, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
			if ctx.Err() != nil {
				unix.Close(fd)
				return
			}
			if err == nil {
				s.asked.Add(1)
				one(c)
			}
		}
	}()
	return s, nil
}

// connection makes a connection from a descriptor.
func connection(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "connection")
	defer f.Close()
	return net.FileConn(f)
}

func echo(fd int) {
	if c, err := connection(fd); err == nil {
		defer c.Close()
		io.Copy(c, c)
	}
}

func answerTLS(fd int, cfg *tls.Config) {
	raw, err := connection(fd)
	if err != nil {
		return
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(10 * time.Second))
	c := tls.Server(raw, cfg)
	if _, err := c.Read(make([]byte, 4096)); err == nil {
		io.WriteString(c, page)
		c.CloseWrite()
		io.Copy(io.Discard, raw) // until the client has closed it
	}
}

func certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"bench"}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
