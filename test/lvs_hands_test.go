package test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"keepalived-go/internal/tool/lab"
)

// drained checks that a connection to a server that drains continues, also when the
// health-check process dies, that new connections go to the others, and that drain --wait
// returns when the connection has ended.
func drained(f *farm, d *lab.Daemon, c *trafficCase) {
	f.Helper()
	conn, err := f.dial(f.client, "tcp", netip.Addr{}, c.to)
	f.must(err)
	defer conn.Close()
	ask := func() string {
		f.Helper()
		f.must(conn.SetDeadline(time.Now().Add(answerWait)))
		_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		f.must(err)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		f.must(err)
		defer answer.Body.Close()
		name, err := io.ReadAll(answer.Body)
		f.must(err)
		return strings.TrimSpace(string(name))
	}
	name := ask()
	at := slices.IndexFunc(f.servers, func(n *lab.Node) bool { return n.Name == name })
	if at < 0 {
		f.Fatalf("%q answers", name)
	}
	server := fmt.Sprintf("%v %s:%d", c.to, fmt.Sprintf(c.server, 3+at), serverPort)
	others := func() {
		f.Helper()
		for range len(f.servers) {
			if got, err := f.get(f.client, netip.Addr{}, c.to); err != nil || got == name {
				f.Errorf("%q answers a new connection, %v", got, err)
			}
		}
	}
	f.prints(d, 0, "drain --reason disk "+server, " gets no new connections until it is released.\n1 connection is left.\n")
	others()
	old := checkersPid(d)
	f.must(syscall.Kill(old, syscall.SIGKILL))
	f.prints(d, 0, "servers", " drains ", "An operator has stopped new connections to "+server, ": disk; keepalived release "+server+" ends that. 1 connection is left.")
	others()
	if got := ask(); got != name || checkersPid(d) == old {
		f.Errorf("%s answers the old connection, which was to %s; the process is %d, and was %d", got, name, checkersPid(d), old)
	}
	ended := make(chan string, 1)
	go func() {
		text, status := f.runVerb(d, "drain", "--wait", server)
		ended <- fmt.Sprint(status, " ", text)
	}()
	f.must(conn.Close())
	if got := <-ended; !strings.HasPrefix(got, "0 ") || !strings.HasSuffix(got, "\n0 connections are left.\n") {
		f.Error(got)
	}
	f.prints(d, 0, "release "+server, "drain of "+server+" is released.")
	if !f.Until(5*time.Second, func() bool { return !slices.Contains(f.weights(f.directors[0]), 0) }) {
		f.Errorf("weights %v", f.weights(f.directors[0]))
	}
}
