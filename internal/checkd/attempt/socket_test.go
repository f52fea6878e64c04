package attempt

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"keepalived-go/conf/pcre"
	"keepalived-go/internal/checkd/life"
	"keepalived-go/internal/tool/required"
)

func hangs(c *net.TCPConn) { c.Read(make([]byte, 1<<16)); c.Read(make([]byte, 1)) }

func TestTCP(t *testing.T) {
	for _, test := range []struct {
		name string
		c    Connection
		want string
	}{
		{"accepts", serve(t, hangs), ""},
		{"refuses", refusing, "TCP connection to [10.0.0.1]:tcp:80 failed. (connection refused)"},
		{"full backlog", full(t), "TCP connection to [10.0.0.1]:tcp:80 failed. (timeout)"},
		{"no route", Connection{Addr: netip.MustParseAddr("::ffff:255.255.255.255"), Port: 1, Timeout: patient}, "TCP connection to [10.0.0.1]:tcp:80 failed. ("},
	} {
		t.Run(test.name, func(t *testing.T) { want(t, attempt(t, &TCP{names, &test.c}), test.want) })
	}
}

// TestBound checks the source address of attempts.
func TestBound(t *testing.T) {
	from := make(chan string, 1)
	c := serve(t, func(c *net.TCPConn) { from <- c.RemoteAddr().String() })
	c.Bind = netip.MustParseAddr("127.0.0.7")
	c.BindIf = "lo"
	want(t, attempt(t, &TCP{names, &c}), "")
	if got := <-from; !strings.HasPrefix(got, "127.0.0.7:") {
		t.Errorf("connected from %s", got)
	}
	free, err := net.Listen("tcp", "127.0.0.7:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	taken := uint16(free.Addr().(*net.TCPAddr).Port)
	c.BindPort = taken
	for range 2 { // the port is available again at once
		want(t, attempt(t, &TCP{names, &c}), "")
		if got := <-from; got != netip.AddrPortFrom(c.Bind, taken).String() {
			t.Errorf("connected from %s", got)
		}
	}
}

// TestConnectedToItself checks sockets that connect to their own address and port.
func TestConnectedToItself(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "::1"} {
		c := refusing
		c.Addr = netip.MustParseAddr(addr)
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.Addr, 0)))
		if err != nil {
			t.Fatal(err)
		}
		c.Port = l.Addr().(*net.TCPAddr).AddrPort().Port()
		l.Close()
		c.Bind, c.BindPort = c.Addr, c.Port
		for _, kind := range []Kind{&TCP{names, &c}, &UDP{Names: names, Connection: &c}, &SMTP{names, &c, "me"}, &DNS{names, &c, "A", "x"},
			&HTTP{Names: names, Connection: &c, Pages: []Page{{Path: "/"}}}} {
			if got := attempt(t, kind); got.OK || got.Void || !strings.Contains(got.Reason, "connection refused") {
				t.Errorf("%T, %s: %+v", kind, addr, got)
			}
		}
	}
}

// TestVoid checks attempts that fail because of the own host.
func TestVoid(t *testing.T) {
	c := refusing
	elsewhere, noIf := c, c
	elsewhere.Bind = netip.MustParseAddr("192.0.2.77")
	noIf.BindIf = "no-such-if"
	for _, kind := range []Kind{
		&TCP{names, &elsewhere}, &TCP{names, &noIf}, &UDP{Names: names, Connection: &elsewhere}, &DNS{names, &noIf, "A", "x"},
		&Ping{names, &elsewhere}, &SMTP{names, &noIf, "me"}, &HTTP{Names: names, Connection: &elsewhere, Pages: []Page{{Path: "/"}}},
	} {
		if got := attempt(t, kind); !got.Void || got.Reason == "" {
			t.Errorf("%T: %+v", kind, got)
		}
	}
}

// TestNoDescriptors checks that a lack of descriptors is not taken for a failure of the
// server.
func TestNoDescriptors(t *testing.T) {
	l := newTestLoop(t)
	env := NewEnv(l, nil)
	c := serve(t, hangs)
	var held []int
	var limit unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	low := limit
	low.Cur = uint64(descriptors(t) + 20)
	unix.Setrlimit(unix.RLIMIT_NOFILE, &low)
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	for {
		fd, err := unix.Dup(0)
		if err != nil {
			break
		}
		held = append(held, fd)
	}
	got := l.run(t, env, &TCP{names, &c}, 0)
	for _, fd := range held {
		unix.Close(fd)
	}
	if !got.Void || !strings.Contains(got.Reason, "too many open files") {
		t.Errorf("%+v", got)
	}
	want(t, l.run(t, env, &TCP{names, &c}, 0), "")
}

func TestUDP(t *testing.T) {
	reply := func(p ...string) Connection {
		return serveUDP(t, func([]byte) (all [][]byte) {
			for _, one := range p {
				all = append(all, []byte(one))
			}
			return all
		})
	}
	silent := reply()
	silent.Timeout = short
	base := func(c Connection) *UDP { return &UDP{Names: names, Connection: &c, MaxLength: 255} }
	needs := func(c Connection, reply, mask string) *UDP {
		u := base(c)
		u.RequireReply, u.Reply = true, []byte(reply)
		if mask != "" {
			u.Mask = []byte(mask)
		}
		return u
	}
	long := needs(reply(strings.Repeat("x", 300)), "", "")
	longer := needs(reply(strings.Repeat("x", 60000)), "", "")
	longer.MaxLength = 60000
	tooShort := needs(reply("ab"), "", "")
	tooShort.MinLength = 3
	const mismatch = "UDP check to [10.0.0.1]:tcp:80 reply data mismatch."
	closed := refusing
	for _, test := range []struct {
		name string
		kind *UDP
		want string
	}{
		{"silence", base(silent), ""},
		{"any answer", base(reply("x")), ""},
		{"closed port", base(closed), "UDP connection to [10.0.0.1]:tcp:80 failed. (connection refused)"},
		{"silence where an answer is needed", needs(silent, "", ""), "UDP connection to [10.0.0.1]:tcp:80 failed. (no reply)"},
		{"the answer", needs(reply("pong!"), "pong", ""), ""},
		{"a shorter answer", needs(reply("po"), "pong", ""), ""},
		{"another answer", needs(reply("ping"), "pong", ""), mismatch},
		{"another answer under the mask", needs(reply("ping"), "pong", "\xff\x00\xff\xff"), ""},
		{"too long", long, mismatch},
		{"as long as allowed", longer, ""},
		{"too short", tooShort, mismatch},
	} {
		t.Run(test.name, func(t *testing.T) { want(t, attempt(t, test.kind), test.want) })
	}
	t.Run("payload", func(t *testing.T) {
		got := make(chan string, 2)
		c := serveUDP(t, func(p []byte) [][]byte { got <- string(p); return [][]byte{{1}} })
		k := base(c)
		want(t, attempt(t, k), "")
		k.Payload = []byte{0, 1, 2}
		want(t, attempt(t, k), "")
		if a, b := <-got, <-got; !strings.HasPrefix(a, "keepalived check - keep") || b != "\x00\x01\x02" {
			t.Errorf("%q, %q", a, b)
		}
	})
}

func TestPing(t *testing.T) {
	if os.Getuid() != 0 {
		required.Missing(t, "root")
	}
	for _, addr := range []string{"127.0.0.1", "::1"} {
		t.Run(addr, func(t *testing.T) {
			c := Connection{Addr: netip.MustParseAddr(addr), Timeout: patient}
			want(t, attempt(t, &Ping{names, &c}), "")
		})
	}
	c := Connection{Addr: netip.MustParseAddr("127.0.0.1"), Timeout: short}
	// No answer arrives if a rule of the host drops the request: here to a foreign
	// address, on loopback.
	c.Addr, c.BindIf = netip.MustParseAddr("192.0.2.1"), "lo"
	got := attempt(t, &Ping{names, &c})
	if got.OK || got.Void {
		t.Errorf("%+v", got)
	}
	t.Run("raw", func(t *testing.T) {
		// The range of groups is per namespace: a new one allows none.
		if os.Getenv("ATTEMPT_RAW") == "1" {
			if err := exec.Command("ip", "link", "set", "lo", "up").Run(); err != nil {
				t.Fatal(err)
			}
			if _, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP); err != unix.EACCES {
				t.Fatalf("an ICMP socket without privileges: %v", err)
			}
			for _, addr := range []string{"127.0.0.1", "::1"} {
				want(t, attempt(t, &Ping{names, &Connection{Addr: netip.MustParseAddr(addr), Timeout: patient}}), "")
			}
			return
		}
		c := exec.Command("unshare", "-n", os.Args[0], "-test.run", "TestPing/raw", "-test.v")
		c.Env = append(os.Environ(), "ATTEMPT_RAW=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// TestPingAnswers checks replies to requests of other programs.
func TestPingAnswers(t *testing.T) {
	header := append([]byte{0x46}, make([]byte, 23)...) // with an option
	for _, test := range []struct {
		name string
		raw  bool
		edit func(p []byte) []byte
		want bool
	}{
		{"the reply", false, func(p []byte) []byte { return p }, true},
		{"other identifier, which the kernel chose", false, func(p []byte) []byte { p[5]++; return p }, true},
		{"other sequence", false, func(p []byte) []byte { p[7]++; return p }, false},
		{"other payload", false, func(p []byte) []byte { p[20]++; return p }, false},
		{"request", false, func(p []byte) []byte { p[0] = echoRequest4; return p }, false},
		{"shorter", false, func(p []byte) []byte { return p[:7] }, false},
		{"empty", false, func(p []byte) []byte { return nil }, false},
		{"raw", true, func(p []byte) []byte { return append(header, p...) }, true},
		{"raw, other identifier", true, func(p []byte) []byte { p[5]++; return append(header, p...) }, false},
		{"raw, only a header", true, func(p []byte) []byte { return header }, false},
		{"raw, less than a header", true, func(p []byte) []byte { return header[:19] }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &pingRun{request: echo(echoRequest4, 7, 8), raw: test.raw}
			reply := echo(echoRequest4, 7, 8)
			reply[0] = echoReply4
			if got := r.answers(test.edit(reply)); got != test.want {
				t.Errorf("answers: %v", got)
			}
		})
	}
	if got := checksum([]byte{0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7}); got != ^uint16(0xddf2) { // RFC 1071
		t.Errorf("checksum %x", got)
	}
}

// dnsAnswer makes an answer from a question.
func dnsAnswer(edit func(h *dnsmessage.Header, q []dnsmessage.Question) []dnsmessage.Question) func(p []byte) [][]byte {
	return func(p []byte) [][]byte {
		var m dnsmessage.Message
		if err := m.Unpack(p); err != nil {
			return nil
		}
		m.Response = true
		m.Questions = edit(&m.Header, m.Questions)
		out, err := m.Pack()
		if err != nil {
			return nil
		}
		return [][]byte{out}
	}
}

func TestDNS(t *testing.T) {
	type edit = func(h *dnsmessage.Header, q []dnsmessage.Question) []dnsmessage.Question
	quick := func(c Connection) Connection { c.Timeout = short; return c }
	answer := func(e edit) Connection { return serveUDP(t, dnsAnswer(e)) }
	good := dnsAnswer(func(h *dnsmessage.Header, q []dnsmessage.Question) []dnsmessage.Question { return q })
	foreign := dnsAnswer(func(h *dnsmessage.Header, q []dnsmessage.Question) []dnsmessage.Question { h.ID++; return q })
	garbage := func([]byte) [][]byte { return [][]byte{{1, 2, 3}, []byte(strings.Repeat("\xff", 1000)), {}} }
	for _, test := range []struct {
		name string
		c    Connection
		want string
	}{
		{"an empty answer", serveUDP(t, good), ""},
		{"rcode", answer(func(h *dnsmessage.Header, q []dnsmessage.Question) []dnsmessage.Question {
			h.RCode = 2
			return q
		}), "read error occurred. (rcode = 2)"},
		{"rcode without the question", answer(func(h *dnsmessage.Header, q []dnsmessage.Question) []dnsmessage.Question {
			h.RCode = 1
			return nil
		}), "read error occurred. (rcode = 1)"},
		{"the name in other letters", answer(func(h *dnsmessage.Header, q []dnsmessage.Question) []dnsmessage.Question {
			q[0].Name = dnsmessage.MustNewName("WWW.example.COM.")
			return q
		}), ""},
		{"closed port", refusing, "failed to read socket; errno 111 (Connection refused)"},
		{"silence", quick(serveUDP(t, func([]byte) [][]byte { return nil })), "read timeout from socket"},
		{"someone else's id", quick(serveUDP(t, foreign)), "read timeout from socket"},
		{"someone else's id, then ours", serveUDP(t, func(p []byte) [][]byte { return append(append(garbage(p), foreign(p)...), good(p)...) }), ""},
		{"a question back", quick(serveUDP(t, func(p []byte) [][]byte { return [][]byte{p} })), "read timeout from socket"},
		{"another question", quick(answer(func(h *dnsmessage.Header, q []dnsmessage.Question) []dnsmessage.Question {
			q[0].Type = dnsmessage.TypeMX
			return q
		})), "read timeout from socket"},
		{"no question", quick(answer(func(h *dnsmessage.Header, q []dnsmessage.Question) []dnsmessage.Question { return nil })), "read timeout from socket"},
		{"garbage", quick(serveUDP(t, garbage)), "read timeout from socket"},
		{"a flood of garbage", serveUDP(t, func(p []byte) (all [][]byte) {
			for range 100 {
				all = append(all, []byte{1, 2, 3})
			}
			return all
		}), "read error occurred. (64 datagrams"},
	} {
		t.Run(test.name, func(t *testing.T) { want(t, attempt(t, &DNS{names, &test.c, "A", "www.example.com"}), test.want) })
	}
}

func TestDNSQuery(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, test := range []struct {
		name, kind, want string // name of the question; "": an error
	}{
		{"", "SOA", "."}, {".", "SOA", "."}, {"example.org", "A", "example.org."}, {"example.org.", "RRSIG", "example.org."},
		{"a..b", "A", ""}, {".a", "A", ""}, {"a..", "A", ""}, {long + "a.b", "A", ""}, {long, "DNSKEY", long + "."},
		{strings.Repeat(long+".", 4), "A", ""}, {"x", "HINFO", ""},
	} {
		r := &dnsRun{DNS: &DNS{Type: test.kind, Name: test.name}, id: 0x1234}
		p, err := r.query()
		if test.want == "" {
			if err == nil {
				t.Errorf("%q %s: asked", test.name, test.kind)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q %s: %v", test.name, test.kind, err)
			continue
		}
		var m dnsmessage.Message
		if err := m.Unpack(p); err != nil || m.ID != 0x1234 || !m.RecursionDesired || m.Response || len(m.Questions) != 1 ||
			m.Questions[0].Name.String() != test.want || m.Questions[0].Class != dnsmessage.ClassINET || m.Questions[0].Type != dnsTypes[test.kind] {
			t.Errorf("%q %s: %+v %v", test.name, test.kind, m, err)
		}
	}
}

func FuzzDNSAnswer(f *testing.F) {
	r := &dnsRun{DNS: &DNS{Type: "A", Name: "example.org"}, id: 0x1234}
	query, err := r.query()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(query)
	f.Add(dnsAnswer(func(h *dnsmessage.Header, q []dnsmessage.Question) []dnsmessage.Question { return q })(query)[0])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		if _, ours := r.answer(p); ours && (len(p) < 12 || p[0] != 0x12 || p[1] != 0x34 || p[2]&0x80 == 0) {
			t.Errorf("% x is an answer", p)
		}
	})
}

func TestSMTP(t *testing.T) {
	// talk sends a line at each step, after reading one from the second on.
	talk := func(lines ...string) Connection {
		return serve(t, func(c *net.TCPConn) {
			buf := make([]byte, 512)
			for i, line := range lines {
				if i > 0 {
					if _, err := c.Read(buf); err != nil {
						return
					}
				}
				for _, b := range []byte(line) { // as slowly as a server can
					c.Write([]byte{b})
				}
			}
			c.CloseWrite()
			c.Read(buf)
		})
	}
	hang := serve(t, hangs)
	hang.Timeout = short
	for _, test := range []struct {
		name string
		c    Connection
		want string
	}{
		{"good", talk("220 hello\r\n", "250 hi\r\n", "221 bye\r\n"), ""},
		{"codes alone, bare newlines", talk("220\n", "250\n", "x\n"), ""},
		{"several lines", talk("220-a\r\n220-b\r\n220 c\r\n", "250-x\r\n250 y\r\n", "221 bye\r\n"), ""},
		{"any answer to QUIT", talk("220 hello\r\n", "250 hi\r\n", "500 what?\r\n"), ""},
		{"garbage for QUIT", talk("220 hello\r\n", "250 hi\r\n", "\x00\xff\r\n"), ""},
		{"no service", talk("554 no\r\n"), "Bad greeting banner from server [127.0.0.1]:"},
		{"no greeting", talk("SSH-2.0-x\r\n"), "Bad greeting banner from server [127.0.0.1]:"},
		{"codes differ", talk("220-a\r\n250 b\r\n"), "Bad greeting banner from server [127.0.0.1]:"},
		{"an endless line", talk("220 " + strings.Repeat("x", smtpMost) + "\r\n"), "Bad greeting banner from server [127.0.0.1]:"},
		{"endless lines", talk(strings.Repeat("220-x\r\n", smtpMost/7+1)), "Bad greeting banner from server [127.0.0.1]:"},
		{"HELO refused", talk("220 a\r\n", "501 no\r\n"), "Bad HELO response from server [127.0.0.1]:"},
		{"closes at once", talk(), "Remote host [127.0.0.1]:"},
		{"closes in mid-line", talk("22"), "Remote host [127.0.0.1]:"},
		{"closes before QUIT", talk("220 a\r\n", "250 b\r\n"), "Remote host [127.0.0.1]:"},
		{"sends nothing", hang, "Read timeout from server [127.0.0.1]:"},
		{"refuses", refusing, "Could not connect to server [127.0.0.1]:"},
		{"full backlog", full(t), "Connection timeout to server [127.0.0.1]:"},
	} {
		t.Run(test.name, func(t *testing.T) { want(t, attempt(t, &SMTP{names, &test.c, "me.example"}), test.want) })
	}
	// The reset may arrive before or after the connection is first read.
	resets := serve(t, func(c *net.TCPConn) { c.Write([]byte("220 a\r\n")); c.Read(make([]byte, 100)); c.SetLinger(0) })
	if r := attempt(t, &SMTP{names, &resets, "me.example"}); r.OK || r.Void || !strings.Contains(r.Reason, "connection reset by peer") {
		t.Errorf("a server that resets: %+v", r)
	}
	said := make(chan string, 3)
	c := serve(t, func(c *net.TCPConn) {
		buf := make([]byte, 512)
		for _, line := range []string{"220 a\r\n", "250 b\r\n", "221 c\r\n"} {
			c.Write([]byte(line))
			n, _ := c.Read(buf)
			said <- string(buf[:n])
		}
	})
	want(t, attempt(t, &SMTP{names, &c, "me.example"}), "")
	if a, b := <-said, <-said; a != "HELO me.example\r\n" || b != "QUIT\r\n" {
		t.Errorf("results %q, %q", a, b)
	}
}

// FuzzSMTPReply reads replies in two pieces. It checks that the result does not depend on
// the place of the cut, and that memory is bounded.
func FuzzSMTPReply(f *testing.F) {
	f.Add([]byte("220-a\r\n220 b\r\n250 c"), 5)
	f.Add([]byte("xyz\r\n"), 0)
	f.Fuzz(func(t *testing.T, p []byte, cut int) {
		cut = max(0, min(cut, len(p)))
		var whole, parts smtpReply
		rest, done, err := whole.feed(p)
		rest2, done2, err2 := parts.feed(p[:cut])
		if !done2 && err2 == nil {
			rest2, done2, err2 = parts.feed(p[cut:])
		} else {
			rest2 = append(append([]byte(nil), rest2...), p[cut:]...)
		}
		if done != done2 || (err == nil) != (err2 == nil) || done && string(rest) != string(rest2) || whole.code != parts.code {
			t.Errorf("%q cut at %d: %v %v %q, whole %v %v %q", p, cut, done2, err2, rest2, done, err, rest)
		}
		if len(whole.line) > smtpLine {
			t.Errorf("%d bytes of a line", len(whole.line))
		}
		if done && (whole.code < 0 || whole.code > 999) {
			t.Errorf("code %d", whole.code)
		}
	})
}

func TestDropFreesEverything(t *testing.T) {
	l := newTestLoop(t)
	env := NewEnv(l, nil)
	hang := serve(t, hangs)
	for _, k := range []Kind{&TCP{names, at(full(t))}, &UDP{Names: names, Connection: at(serveUDP(t, func([]byte) [][]byte { return nil }))}, &SMTP{names, &hang, "x"},
		&HTTP{Names: names, Connection: &hang, Pages: []Page{{Path: "/", Regex: &Regex{Pattern: must("x"), MaxOffset: -1}}}}} {
		a := env.Begin(k, 0, func(life.Result) { t.Errorf("%T: a result after the drop", k) })
		for range 3 {
			l.turn(short / 4)
		}
		a.Drop()
		a.Drop()
		a.Expire(life.Never - 1)
		l.turn(short / 4)
		if n := len(l.handlers); n != 1 {
			t.Errorf("%T: %d watched", k, n-1)
		}
	}
}

func must(pattern string, options ...string) *pcre.Pattern {
	p, err := pcre.Compile(pattern, options)
	if err != nil {
		panic(err)
	}
	return p
}
