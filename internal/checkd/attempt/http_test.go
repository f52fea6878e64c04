package attempt

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/checkd/life"
)

func sum(body string) string {
	h := md5.Sum([]byte(body))
	return hex.EncodeToString(h[:])
}

// sends answers a request with text, in pieces of n bytes, and then closes the connection
// properly.
func sends(text string, n int) func(*net.TCPConn) {
	return func(c *net.TCPConn) { sendTo(c, text, n); c.CloseWrite(); c.Read(make([]byte, 1)) }
}

func sendTo(c net.Conn, text string, n int) {
	c.Read(make([]byte, 4096))
	for len(text) > 0 {
		k := min(n, len(text))
		if _, err := c.Write([]byte(text[:k])); err != nil {
			return
		}
		text = text[k:]
	}
}

const okHead = "HTTP/1.0 200 OK\r\nServer: x\r\n"

// pour writes the same bytes without end, after a prefix.
func pour(begin, again string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		sendTo(c, begin, 1<<20)
		for {
			if _, err := c.Write([]byte(again)); err != nil {
				return
			}
		}
	}
}

// httpCases lists answers of a server and the results for HTTP_GET, and for SSL_GET with
// the same answers within TLS.
var httpCases = []struct {
	name   string
	answer string
	piece  int
	page   Page
	want   string
}{
	{"good", okHead + "\r\nhello", 1 << 20, Page{}, ""},
	{"byte by byte", okHead + "Content-Length: 5\r\n\r\nhello", 1, Page{Digest: sum("hello"), Regex: &Regex{Pattern: must("^hello$"), MaxOffset: -1}}, ""},
	{"digest without a length", okHead + "\r\nhello", 3, Page{Digest: sum("hello")}, ""},
	{"digest in capitals", okHead + "\r\nhello", 3, Page{Digest: strings.ToUpper(sum("hello"))}, ""},
	{"digest of the announced length alone", okHead + "CONTENT-LENGTH:  5 \r\n\r\nhello world", 4, Page{Digest: sum("hello")}, ""},
	{"digest of nothing", okHead + "Content-Length: 0\r\n\r\n", 100, Page{Digest: sum("")}, ""},
	{"digest of chunks as they are", okHead + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 7, Page{Digest: sum("5\r\nhello\r\n0\r\n\r\n")}, ""},
	{"other digest", okHead + "\r\nHello", 3, Page{Digest: sum("hello")}, "MD5 digest error to server [10.0.0.1]:tcp:80. (" + sum("Hello") + ")"},
	{"short body", okHead + "Content-Length: 500\r\n\r\nhello", 100, Page{}, ""},
	{"no body", okHead + "\r\n", 100, Page{}, ""},
	{"404", "HTTP/1.1 404 Not Found\r\n\r\nhello", 100, Page{}, "HTTP status code error to server [10.0.0.1]:tcp:80. (status 404)"},
	{"404 wanted", "HTTP/1.1 404 Not Found\r\n\r\nhello", 100, Page{Status: []StatusRange{{200, 200}, {400, 404}}}, ""},
	{"200 not wanted", okHead + "\r\nhello", 100, Page{Status: []StatusRange{{201, 204}}}, "HTTP status code error to server"},
	{"299", "HTTP/1.0 299 x\r\n\r\n", 100, Page{}, ""},
	{"redirect", "HTTP/1.0 302 x\r\nLocation: http://127.0.0.1/\r\n\r\n", 100, Page{}, "HTTP status code error to server [10.0.0.1]:tcp:80. (status 302)"},
	{"status before digest", "HTTP/1.0 500 x\r\n\r\n", 100, Page{Digest: sum("hello")}, "HTTP status code error"},
	{"digest before regex", okHead + "\r\nhello", 100, Page{Digest: sum("x"), Regex: &Regex{Pattern: must("x"), MaxOffset: -1}}, "MD5 digest error"},
	{"regex", okHead + "\r\nhello", 2, Page{Regex: &Regex{Pattern: must("l{2}"), MaxOffset: -1}}, ""},
	{"regex in the header", okHead + "\r\nhello", 2, Page{Path: "/r", Regex: &Regex{Pattern: must("Server"), MaxOffset: -1}}, "Regex match failed server [10.0.0.1]:tcp:80. (url /r)"},
	{"regex not to match", okHead + "\r\nhello", 2, Page{Regex: &Regex{Pattern: must("hello"), MaxOffset: -1, NoMatch: true}}, "Regex match failed server"},
	{"regex in a long body", okHead + "\r\n" + strings.Repeat("x", 3*keepMost) + "hello", 1 << 14, Page{Regex: &Regex{Pattern: must("hello$"), MaxOffset: -1}}, ""},
	{"no data", "", 1, Page{}, "Read, no data received from  server [10.0.0.1]:tcp:80."},
	{"half a header", okHead, 5, Page{}, "Read, no data received from  server"},
	{"bare newlines", "HTTP/1.0 200 OK\n\nhello", 5, Page{}, "Read, no data received from  server"},
	{"no HTTP", "SSH-2.0-OpenSSH\r\n\r\n", 5, Page{}, "HTTP status code error to server [10.0.0.1]:tcp:80. (status 0)"},
	{"no number", "HTTP/1.0 2x0 OK\r\n\r\n", 5, Page{}, "HTTP status code error to server"},
	{"four digits", "HTTP/1.0 2000 OK\r\n\r\n", 5, Page{}, "HTTP status code error to server"},
	{"status alone", "HTTP/1.0 200\r\n\r\n", 5, Page{}, ""},
	{"a length that is none", okHead + "Content-Length: -5\r\nContent-Length: x\r\n\r\nhello", 5, Page{Digest: sum("hello")}, ""},
	{"a length beyond all", okHead + "Content-Length: 99999999999999999999999\r\n\r\nhello", 5, Page{Digest: sum("hello")}, ""},
	{"a long header", okHead + "X: " + strings.Repeat("x", 20000) + "\r\n\r\nhello", 1000, Page{Digest: sum("hello")}, ""},
	{"a header that is too long", okHead + "X: " + strings.Repeat("x", mostHeader) + "\r\n\r\nhello", 1000, Page{}, "Read, no data received from  server [10.0.0.1]:tcp:80. (the header is longer than 64 KiB)"},
}

func TestHTTP(t *testing.T) {
	for _, test := range httpCases {
		t.Run(test.name, func(t *testing.T) {
			page := test.page
			if page.Path == "" {
				page.Path = "/x"
			}
			want(t, attempt(t, &HTTP{Names: names, Connection: at(serve(t, sends(test.answer, test.piece))), Pages: []Page{page}}), test.want)
		})
	}
}

// TestHTTPFaults checks servers that violate the protocol.
func TestHTTPFaults(t *testing.T) {
	silent := func(begin string) Connection {
		c := serve(t, func(c *net.TCPConn) { sendTo(c, begin, 100); c.Read(make([]byte, 1)) })
		c.Timeout = 3 * short
		return c
	}
	plain := Page{Path: "/"}
	digest := Page{Path: "/", Digest: sum("hello")}
	for _, test := range []struct {
		name string
		c    Connection
		page Page
		want string
	}{
		{"refuses", refusing, plain, "Connection failed server [10.0.0.1]:tcp:80. (connection refused)"},
		{"full backlog", full(t), plain, "Timeout connecting server [10.0.0.1]:tcp:80."},
		{"accepts and is silent", silent(""), plain, "Timeout WEB read server [10.0.0.1]:tcp:80."},
		{"silent in the header", silent(okHead), plain, "Timeout WEB read server [10.0.0.1]:tcp:80."},
		{"silent in the body", silent(okHead + "Content-Length: 6\r\n\r\nhello"), plain, "Timeout WEB read server [10.0.0.1]:tcp:80."},
		{"sends all and keeps the connection", silent(okHead + "Content-Length: 5\r\n\r\nhello"), digest, ""},
		{"resets at once", serve(t, func(c *net.TCPConn) { c.SetLinger(0) }), plain, ""},
		{"resets in the body", serve(t, func(c *net.TCPConn) {
			sendTo(c, okHead+"Content-Length: 500\r\n\r\nhello", 100)
			c.SetLinger(0)
		}), plain, "HTTP read error from server [10.0.0.1]:tcp:80. (connection reset by peer)"},
		{"resets behind the body", serve(t, func(c *net.TCPConn) {
			sendTo(c, okHead+"Content-Length: 5\r\n\r\nhello", 100)
			c.SetLinger(0)
		}), digest, ""},
		{"endless header", serve(t, pour("HTTP/1.0 200 OK\r\n", "X: y\r\n")), plain, "Read, no data received from  server [10.0.0.1]:tcp:80. (the header is longer"},
		{"endless line", serve(t, pour("", "xxxxxxxxxxxxxxxx")), plain, "Read, no data received from  server [10.0.0.1]:tcp:80. (the header is longer"},
		{"endless body", serve(t, pour(okHead+"\r\n", strings.Repeat("x", 1<<16))), digest, "HTTP read error from server [10.0.0.1]:tcp:80. (the body is longer than 64 MiB)"},
		{"endless body of a small length", serve(t, pour(okHead+"Content-Length: 5\r\n\r\nhello", strings.Repeat("x", 1<<16))), digest, "HTTP read error from server [10.0.0.1]:tcp:80. (the body is longer than 64 MiB)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := attempt(t, &HTTP{Names: names, Connection: &test.c, Pages: []Page{test.page}})
			if test.name == "resets at once" { // depends on which event is processed first
				if got.OK || got.Void {
					t.Errorf("%+v", got)
				}
				return
			}
			want(t, got, test.want)
		})
	}
}

// TestHTTPNeverSilent checks that an attempt ends although the server sends a byte every
// second.
func TestHTTPNeverSilent(t *testing.T) {
	l := newTestLoop(t)
	l.perEvent = 50 * time.Millisecond
	c := serve(t, func(c *net.TCPConn) {
		sendTo(c, okHead+"\r\n", 1<<10)
		for {
			if _, err := c.Write([]byte("x")); err != nil {
				return
			}
		}
	})
	c.Timeout = 2 * time.Second
	got := l.run(t, NewEnv(l, nil), &HTTP{Names: names, Connection: &c, Pages: []Page{{Path: "/"}}}, 0)
	want(t, got, "Timeout WEB read server [10.0.0.1]:tcp:80. (")
	if l.clock < time.Minute || l.clock > 2*time.Minute {
		t.Errorf("ended after %v", l.clock)
	}
}

func TestHTTPRequest(t *testing.T) {
	for _, test := range []struct {
		k    HTTP
		p    Page
		want string
	}{
		{HTTP{}, Page{Path: "/x"}, "GET /x HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: 10.9.0.2:80\r\n\r\n"},
		{HTTP{Protocol: HTTP10Close}, Page{Path: "/x"}, "GET /x HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\nHost: 10.9.0.2:80\r\n\r\n"},
		{HTTP{Protocol: HTTP11}, Page{Path: "/x", Host: "www.example.com"}, "GET /x HTTP/1.1\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\nHost: www.example.com\r\n\r\n"},
		{HTTP{Connection: &Connection{Addr: netip.MustParseAddr("fe80::1%eth0"), Port: 8080}}, Page{Path: "/"}, "GET / HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: [fe80::1]:8080\r\n\r\n"},
	} {
		k := test.k
		if k.Connection == nil {
			k.Connection = &Connection{Addr: netip.MustParseAddr("10.9.0.2"), Port: 80}
		}
		if got := string(k.request(&test.p, nil)); got != test.want {
			t.Errorf("got %q\nwant %q", got, test.want)
		}
	}
}

func TestHTTPPagesAndWords(t *testing.T) {
	c := serve(t, func(c *net.TCPConn) {
		buf := make([]byte, 4096)
		n, _ := c.Read(buf)
		status := "200 OK"
		if bytes.HasPrefix(buf[:n], []byte("GET /bad ")) {
			status = "500 x"
		}
		fmt.Fprintf(c, "HTTP/1.0 %s\r\n\r\n", status)
	})
	k := &HTTP{Names: names, Connection: &c, Pages: []Page{{Path: "/good"}, {Path: "/bad"}}}
	l := newTestLoop(t)
	env := NewEnv(l, nil)
	good, bad := l.run(t, env, k, 0), l.run(t, env, k, 1)
	want(t, good, "")
	want(t, bad, "HTTP status code error")
	if good.Reason != "HTTP status code success to [10.0.0.1]:tcp:80 url(/good)" {
		t.Error(good.Reason)
	}
}

// certificate is a certificate with its key, and its PEM form.
type certificate struct {
	pair tls.Certificate
	pem  []byte
	key  *ecdsa.PrivateKey
}

func makeCertificate(tb testing.TB, name string, until time.Time) certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Unix(0, 0), NotAfter: until, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	return certificate{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key}
}

// serveTLS is serve within TLS.
func serveTLS(tb testing.TB, cfg *tls.Config, f func(c *tls.Conn)) Connection {
	return serve(tb, func(c *net.TCPConn) {
		s := tls.Server(c, cfg)
		if s.Handshake() == nil {
			f(s)
		}
	})
}

func TestSSL(t *testing.T) {
	cert := makeCertificate(t, "www.example.com", time.Now().Add(time.Hour))
	server := &tls.Config{Certificates: []tls.Certificate{cert.pair}}
	client := TLS(nil, false)
	for _, test := range httpCases {
		if len(test.answer) > 1000 && test.piece < 10000 {
			continue // one TLS record per piece: slow, and the same code
		}
		t.Run(test.name, func(t *testing.T) {
			c := serveTLS(t, server, func(s *tls.Conn) { sendTo(s, test.answer, test.piece); s.CloseWrite(); s.Read(make([]byte, 1)) })
			page := test.page
			page.TLSCompliant = true
			if page.Path == "" {
				page.Path = "/x"
			}
			want(t, attempt(t, &HTTP{Names: names, Connection: &c, TLS: client, Pages: []Page{page}}), test.want)
		})
	}
}

func TestSSLFaults(t *testing.T) {
	good := makeCertificate(t, "www.example.com", time.Now().Add(time.Hour))
	expired := makeCertificate(t, "elsewhere.example", time.Unix(1000, 0))
	clientCert := makeCertificate(t, "client", time.Now().Add(time.Hour))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(clientCert.pem)
	hello := func(s *tls.Conn) { sendTo(s, okHead+"\r\nhello", 100); s.CloseWrite(); s.Read(make([]byte, 1)) }
	cut := func(s *tls.Conn) { // ends the connection without close_notify
		sendTo(s, okHead+"\r\nhello", 100)
		s.NetConn().(*net.TCPConn).CloseWrite()
		s.NetConn().Read(make([]byte, 1))
	}
	stays := func(s *tls.Conn) { sendTo(s, okHead+"Content-Length: 5\r\n\r\nhello", 100); s.Read(make([]byte, 1)) }
	with := func(edit func(c *tls.Config)) *tls.Config {
		cfg := &tls.Config{Certificates: []tls.Certificate{good.pair}}
		edit(cfg)
		return cfg
	}
	quick := func(c Connection) Connection { c.Timeout = 3 * short; return c }
	old := with(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })
	mutual := with(func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, pool })
	plain, shows := TLS(nil, false), TLS(&clientCert.pair, false)
	page := Page{Path: "/", Digest: sum("hello")}
	compliant := page
	compliant.TLSCompliant = true
	for _, test := range []struct {
		name   string
		c      Connection
		client *tls.Config
		page   Page
		want   string
	}{
		{"good", serveTLS(t, with(func(*tls.Config) {}), hello), plain, compliant, ""},
		{"expired, another name", serveTLS(t, &tls.Config{Certificates: []tls.Certificate{expired.pair}}, hello), plain, page, ""},
		{"no notice of the end", serveTLS(t, with(func(*tls.Config) {}), cut), plain, page, ""},
		{"no notice of the end, where it is demanded", serveTLS(t, with(func(*tls.Config) {}), cut), plain, compliant, "HTTP read error from server [10.0.0.1]:tcp:80. (TLS: the connection ended without"},
		{"keeps the connection", quick(serveTLS(t, with(func(*tls.Config) {}), stays)), plain, page, ""},
		{"keeps the connection, where its end is demanded", quick(serveTLS(t, with(func(*tls.Config) {}), stays)), plain, compliant, "Timeout WEB read server"},
		{"demands a certificate", serveTLS(t, mutual, hello), shows, page, ""},
		{"demands a certificate in vain", serveTLS(t, mutual, hello), plain, page, "Read, no data received from  server [10.0.0.1]:tcp:80. (remote error: tls: certificate required)"},
		{"old versions", serveTLS(t, old, hello), plain, page, "Read, no data received from  server [10.0.0.1]:tcp:80. (TLS: "},
		{"old versions allowed", serveTLS(t, old, hello), TLS(nil, true), page, ""},
		{"no TLS", serve(t, sends(okHead+"\r\nhello", 100)), plain, page, "Read, no data received from  server [10.0.0.1]:tcp:80. (TLS: tls: first record"},
		{"garbage", serve(t, pour("", "\x16\x03\x01\xff\xff")), plain, page, "Read, no data received from  server"},
		{"closes", serve(t, func(*net.TCPConn) {}), plain, page, "Read, no data received from  server"},
		{"silent", quick(serve(t, hangs)), plain, page, "Timeout WEB read server [10.0.0.1]:tcp:80."},
		{"refuses", refusing, plain, page, "Connection failed server"},
		{"endless body", serveTLS(t, with(func(*tls.Config) {}), func(s *tls.Conn) {
			sendTo(s, okHead+"\r\n", 100)
			for b := make([]byte, 1<<14); ; {
				if _, err := s.Write(b); err != nil {
					return
				}
			}
		}), plain, page, "HTTP read error from server [10.0.0.1]:tcp:80. (the body is longer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			want(t, attempt(t, &HTTP{Names: names, Connection: &test.c, TLS: test.client, Pages: []Page{test.page}}), test.want)
		})
	}
	t.Run("names", func(t *testing.T) {
		named := make(chan string, 1)
		cfg := with(func(c *tls.Config) {
			c.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) { named <- h.ServerName; return nil, nil }
		})
		c := serveTLS(t, cfg, hello)
		for _, sni := range []string{"", "www.example.com"} {
			p := page
			p.SNI = sni
			want(t, attempt(t, &HTTP{Names: names, Connection: &c, TLS: TLS(nil, false), Pages: []Page{p}}), "")
			if got := <-named; got != sni {
				t.Errorf("named %q, want %q", got, sni)
			}
		}
	})
}

// TestSessionsEnd checks that TLS sessions with servers that never answer all end, and so
// does that of an attempt that is dropped.
func TestSessionsEnd(t *testing.T) {
	l := newTestLoop(t)
	env := NewEnv(l, nil)
	c := serve(t, hangs)
	c.Timeout = short
	k := &HTTP{Names: names, Connection: &c, TLS: TLS(nil, false), Pages: []Page{{Path: "/"}}}
	left := 0
	for i := range 10 {
		left++
		a := env.Begin(k, 0, func(r life.Result) {
			left--
			want(t, r, "Timeout WEB read server")
		})
		if i == 5 {
			a.Drop()
			left--
		}
	}
	for end := time.Now().Add(time.Minute); left > 0 && time.Now().Before(end); {
		l.turn(10 * time.Millisecond)
	}
	if left != 0 {
		t.Errorf("%d attempts do not end", left)
	}
}

// FuzzResponse reads a response in two pieces. It checks that the result does not depend
// on the place of the cut, and that memory is bounded.
func FuzzResponse(f *testing.F) {
	for _, test := range httpCases {
		if len(test.answer) < 1000 {
			f.Add([]byte(test.answer), 10)
		}
	}
	f.Fuzz(func(t *testing.T, p []byte, cut int) {
		cut = max(0, min(cut, len(p)))
		page := Page{Digest: "x", Regex: &Regex{Pattern: must("a.c"), MaxOffset: -1}}
		whole, parts := page.expect(), page.expect()
		defer whole.close()
		defer parts.close()
		err := whole.feed(p)
		err2 := parts.feed(p[:cut])
		if err2 == nil {
			err2 = parts.feed(p[cut:])
		}
		if err != err2 {
			t.Fatalf("%v, cut at %d %v", err, cut, err2)
		}
		if err != nil {
			return
		}
		if whole.whole != parts.whole || whole.status != parts.status || whole.length != parts.length || whole.body != parts.body ||
			whole.sum() != parts.sum() || whole.complete() != parts.complete() || whole.search.good() != parts.search.good() {
			t.Fatalf("%q cut at %d: %+v, whole %+v", p, cut, parts, whole)
		}
		if whole.status < 0 || whole.status > 999 || len(whole.header) > mostHeader+len(p) {
			t.Errorf("status %d, %d bytes of a header", whole.status, len(whole.header))
		}
	})
}
