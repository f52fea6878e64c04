package test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// readmeBlock returns the first code block in a section of the README.
func readmeBlock(t *testing.T, section string) string {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "\n## "+section+"\n")
	_, rest, begins := strings.Cut(rest, "\n```\n")
	code, _, ends := strings.Cut(rest, "```\n")
	if !found || !begins || !ends {
		t.Fatalf("README.md has no code in %q", section)
	}
	return code
}

// testReadme checks what the README describes of the load balancer, word for word: client
// and servers are on different networks, with the director in between.
func testReadme(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := newWideScene(t, 2, "director", "client", "one", "two")
	director, client := s.Node("director"), s.Node("client")
	s.must(director.IP("addr add 192.0.2.10/32 dev eth1"))
	s.must(client.IPBatch("link set eth0 down\nroute add default via 10.1.0.1\n"))
	var servers []net.Listener
	for i, name := range []string{"one", "two"} {
		n, address := s.Node(name), fmt.Sprintf("10.0.0.2%d", i+1)
		s.must(n.IPBatch("link set eth1 down\naddr add " + address + "/16 dev eth0\nroute add default via 10.0.0.1\n"))
		s.must(n.Do(func() error {
			l, err := net.Listen("tcp", address+":80")
			servers = append(servers, l)
			return err
		}))
		s.Cleanup(func() { servers[i].Close() })
		go http.Serve(servers[i], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name) }))
	}

	config := readmeBlock(t, "A load balancer in five lines")
	file := filepath.Join(director.Dir, "readme.conf")
	s.must(os.WriteFile(file, []byte(config), 0o644))
	if report, _ := director.Run(ours.Path, "check", file); !strings.Contains(report, "ip_forward") {
		t.Errorf("nothing about a machine that does not forward:\n%s", report)
	}
	s.output(director, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	if report, err := director.Run(ours.Path, "check", file); err != nil || strings.Contains(report, "ip_forward") {
		t.Errorf("%v\n%s", err, report)
	}

	d := s.start("director", ours, config)
	filled := func(table string) bool {
		for _, line := range []string{"TCP  192.0.2.10:80 rr", "-> 10.0.0.21:80 ", "-> 10.0.0.22:80 "} {
			if !strings.Contains(table, line) {
				return false
			}
		}
		return true
	}
	if !s.Until(10*time.Second, func() bool { return d.Logged(d.Started, "Gained quorum") }) ||
		!s.Until(10*time.Second, func() bool { return filled(s.output(director, "ipvsadm", "-Ln")) }) {
		t.Fatal("the virtual server is not there")
	}
	answer := func() string { return s.output(client, "curl", "-sS", "--max-time", "20", "http://192.0.2.10/") }
	if a, b, c := answer(), answer(), answer(); a == b || a != c || a+b != "onetwo" && a+b != "twoone" {
		t.Errorf("the answers are from %s, %s, %s", a, b, c)
	}

	if !nightly() { // the file has no delay_loop: checks run every minute
		s.must(d.Reload(strings.Replace(config, "{\n", "{\ndelay_loop 1\n", 1)))
	}
	s.must(servers[1].Close())
	if !s.Until(90*time.Second, func() bool {
		return d.Logged(d.Started, "Removing service [10.0.0.22]:tcp:80 from VS [192.0.2.10]:tcp:80")
	}) {
		t.Fatal("the server that died is still there")
	}
	for range 4 {
		if from := answer(); from != "one" {
			t.Errorf("an answer from %q", from)
		}
	}
	s.must(d.Signal(unix.SIGTERM))
	s.must(d.Wait(10 * time.Second))
	if left := s.output(director, "ipvsadm", "-Sn"); left != "" {
		t.Errorf("left behind: %s", left)
	}
}
