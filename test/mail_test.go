package test

import (
	"bufio"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
)

// mailServer is a mail server on 127.0.0.1:25 of a node.
type mailServer struct {
	mu        sync.Mutex
	mails     []string // the client's side of each finished conversation
	addressed int      // conversations begun
}

// mailServer starts a mail server; serve talks to one client.
func (s *scene) mailServer(node string, serve func(m *mailServer, c net.Conn)) *mailServer {
	s.Helper()
	m := new(mailServer)
	var l net.Listener
	s.must(s.Node(node).Do(func() (err error) {
		l, err = net.Listen("tcp", "127.0.0.1:25")
		return err
	}))
	s.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			m.mu.Lock()
			m.addressed++
			m.mu.Unlock()
			s.Cleanup(func() { c.Close() })
			go serve(m, c)
		}
	}()
	return m
}

// accept accepts a mail.
func accept(m *mailServer, c net.Conn) {
	defer c.Close()
	var said strings.Builder
	in := bufio.NewScanner(c)
	fmt.Fprint(c, "220 mail.example ESMTP\r\n")
	for data := false; in.Scan(); {
		line := in.Text()
		fmt.Fprintln(&said, line)
		switch {
		case data && line != ".":
		case data:
			data = false
			fmt.Fprint(c, "250 queued\r\n")
		case line == "DATA":
			data = true
			fmt.Fprint(c, "354 go on\r\n")
		case line == "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			m.mu.Lock()
			m.mails = append(m.mails, said.String())
			m.mu.Unlock()
			return
		default:
			fmt.Fprint(c, "250 ok\r\n")
		}
	}
}

// has reports whether a mail with that subject has arrived.
func (m *mailServer) has(subject string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.mails, func(mail string) bool { return strings.Contains(mail, subject+"\n") })
}

// text returns all mails, one after the other.
func (m *mailServer) text() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.mails, "\n")
}

func (m *mailServer) conversations() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.addressed
}

const mailGlobal = `notification_email {
    ops@example.com
    night@example.com
}
notification_email_from keepalived@example.com
smtp_server 127.0.0.1
smtp_helo_name node.example.com
smtp_alert`

// TestMails checks that mails are, except for the date, those that upstream sends.
func TestMails(t *testing.T) {
	t.Parallel()
	date := regexp.MustCompile(`(?m)^Date: .*$`)
	folding := regexp.MustCompile(`\n +`) // folded header lines, which are equivalent
	mine, upstream := beside(t, 1, []string{"a"}, func(s *scene, p lab.Program) []string {
		m := s.mailServer("a", accept)
		await := func(subject string) {
			s.Helper()
			if !s.Until(5*time.Second, func() bool { return m.has("Subject: [lab] VRRP " + subject) }) {
				m.mu.Lock()
				defer m.mu.Unlock()
				s.Fatalf("no mail %q; there are %q", subject, m.mails)
			}
		}
		group := "vrrp_sync_group G1 {\n    group {\n        VI_1\n    }\n    smtp_alert\n}\n"
		one := instance{}.at(150)
		two := instance{Name: "VI_2", VRID: 52, VIPs: []string{vip2.String()}}.at(100)
		three := instance{Name: "VI_3", VRID: 53, VIPs: []string{"10.0.9.9"}, More: "notify_deleted"}.at(100)
		d := s.start("a", p, group+configWith(mailGlobal, one, two, three))
		await("Group G1 - Entering MASTER state")
		await("Instance VI_1 - Entering MASTER state")
		await("Instance VI_2 - Entering MASTER state")
		await("Instance VI_3 - Entering MASTER state")
		s.must(s.Node("a").Unplug(0))
		await("Group G1 - Entering FAULT state") // a reload of the C daemon drops mails that are on their way
		await("Instance VI_1 - Entering FAULT state")
		await("Instance VI_2 - Entering FAULT state")
		await("Instance VI_3 - Entering FAULT state")
		s.must(d.Reload(group + configWith(mailGlobal, one, two)))
		await("Instance VI_3 - Deleted")
		if !underC && p.Name == "ours" { // upstream ends before it has sent this
			s.must(d.Stop())
			await("Instance VI_2 - Stopping")
			await("Group G1 - Stopping")
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		var all []string
		for _, mail := range m.mails {
			if !date.MatchString(mail) {
				s.Errorf("no date: %q", mail)
			}
			if strings.Contains(mail, " - Stopping") {
				continue
			}
			mail = folding.ReplaceAllString(date.ReplaceAllString(mail, "Date: some day"), " ")
			all = append(all, strings.ReplaceAll(mail, "\n", "⏎"))
		}
		slices.Sort(all) // upstream's mails arrive in the order of its connections
		return all
	})
	if !t.Failed() {
		sameLines(t, "mails", mine, upstream)
	}
}

// TestMailServerTrouble checks that addresses move as usual, and that the daemon ends in
// time, whatever the mail server does.
func TestMailServerTrouble(t *testing.T) {
	t.Parallel()
	for name, serve := range map[string]func(*mailServer, net.Conn){
		"silent": func(*mailServer, net.Conn) {},
		"refuses": func(_ *mailServer, c net.Conn) {
			defer c.Close()
			fmt.Fprint(c, "220 mail.example ESMTP\r\n")
			for in := bufio.NewScanner(c); in.Scan(); {
				fmt.Fprint(c, "554 no\r\n")
			}
		},
		"closes": func(_ *mailServer, c net.Conn) {
			defer c.Close()
			in := bufio.NewScanner(c)
			fmt.Fprint(c, "220 mail.example ESMTP\r\n")
			for in.Scan() && in.Text() != "DATA" {
				fmt.Fprint(c, "250 ok\r\n")
			}
			fmt.Fprint(c, "354 go")
		},
		"is not there": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "a", "b")
			var m *mailServer
			if serve != nil {
				m = s.mailServer("a", serve)
			}
			a := s.start("a", ours, configWith(mailGlobal, instance{}.at(150)))
			s.awaitOwner(vip, 4*time.Second, "a")
			s.start("b", ours, config(instance{}.at(100)))
			if m != nil && !s.Until(3*time.Second, func() bool { return m.conversations() > 0 }) {
				t.Error("no mail was tried")
			}
			for range 2 {
				s.must(s.Node("a").Unplug(0))
				s.awaitOwner(vip, 3*time.Second, "b")
				s.must(s.Node("a").Plug(0))
				s.awaitOwner(vip, 3*time.Second, "a")
			}
			s.must(a.Stop())
			s.awaitOwner(vip, time.Second, "b")
		})
	}
}
