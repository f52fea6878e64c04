package test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
)

// TestShortages checks that a shortage of the machine is not taken for a failure of the
// checked servers, and delays no advert.
func TestShortages(t *testing.T) {
	differs(t, "ends without a load balancer in the kernel")
	t.Parallel()
	const slow = 20 // servers whose checks, together, need more than the machine has
	for _, test := range []struct {
		name    string
		prepare string            // before the daemon starts
		sysctl  map[string]string // of its node
		silent  int               // servers that accept connections and do not answer
	}{
		{name: "descriptors", prepare: "ulimit -n 64", silent: 80},
		{name: "ports", sysctl: map[string]string{"ipv4/ip_local_port_range": "50000\t50003"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "a", "b")
			n := s.Node("a")
			var answered atomic.Int64
			s.serve(n, 7, func(c net.Conn) {
				c.Read(make([]byte, 4096))
				time.Sleep(100 * time.Millisecond) // the check uses resources that others then lack
				io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\n")
				answered.Add(1)
			})
			s.serve(n, 9, func(c net.Conn) { c.Read(make([]byte, 4096)); c.Read(make([]byte, 1)) })
			if test.sysctl != nil {
				s.sysctl(n, test.sysctl)
			}
			in := instance{Interval: 500 * time.Millisecond}
			config := config(in.at(150))
			checked := func(network, port, timeout, count int) {
				for i := range count {
					config += virtual(fmt.Sprintf("10.0.%d.%d 80", network, i), "protocol TCP", "lb_algo rr", "lb_kind NAT", "delay_loop 0.2", "warmup 0", "retry 0",
						server(fmt.Sprint("127.0.0.1 ", port), fmt.Sprintf("HTTP_GET {\nconnect_timeout %d\nurl {\npath /\nstatus_code 200\n}\n}", timeout)))
				}
			}
			checked(200, 7, 30, slow)
			checked(201, 9, 1, test.silent)
			program := lab.Program{Name: ours.Name, Path: s.script("a", "short", test.prepare+"\nexec "+ours.Path+` "$@"`)}
			a := s.start("a", program, config)
			s.awaitOwner(vip, 10*time.Second, "a")
			s.start("b", ours, strings.ReplaceAll(configWith("", in.at(100)), "lab", "b"))
			found := func() int { return strings.Count(a.LogText(), "HTTP_CHECK on service [127.0.0.1]:tcp:9 failed") }
			if !s.Until(60*time.Second, func() bool { return answered.Load() >= 5*slow && found() >= test.silent }) {
				t.Errorf("%d answers, %d silent servers found", answered.Load(), found())
			}
			if a.Logged(a.Started, "[127.0.0.1]:tcp:7 failed") || a.Logged(a.Started, "Removing service [127.0.0.1]:tcp:7") {
				t.Error("a server is blamed")
			}
			s.silent(a.Started, time.Now(), "b")
			s.must(a.Stop())
		})
	}
}
