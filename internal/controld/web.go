package controld

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/named"
)

const (
	// maxWeb is how many connections over TCP are open at a time; others wait, and take no
	// place of those of the socket.
	maxWeb = 64
	// renewal is how often a certificate is looked for at most.
	renewal = time.Second
)

// web serves reading and the page over TCP (http_listen).
type web struct {
	conf     conf.HTTP
	listener net.Listener
	http     http.Server
}

// listenTCP opens the listener. The address need not be on this machine yet: it may be a
// virtual one.
func listenTCP(c *conf.HTTP) (*web, error) {
	free := net.ListenConfig{Control: func(network, _ string, raw syscall.RawConn) error {
		level, option := unix.SOL_IP, unix.IP_FREEBIND
		if network == "tcp6" {
			level, option = unix.SOL_IPV6, unix.IPV6_FREEBIND
		}
		var err error
		failed := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, 1) })
		return errors.Join(failed, err)
	}}
	l, err := free.Listen(context.Background(), "tcp", c.Listen)
	if err != nil {
		return nil, err
	}
	return &web{conf: *c, listener: netutil.LimitListener(l, maxWeb)}, nil
}

// files are the directories of the files that it reads, and of those that they link to.
func files(c *conf.HTTP) (dirs []string) {
	for _, name := range []string{c.Cert, c.Key} {
		if name == "" {
			continue
		}
		dirs = append(dirs, filepath.Dir(name))
		if real, err := filepath.EvalSymlinks(name); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	return dirs
}

// serve begins to serve.
func (s *web) serve(h http.Handler) {
	limit(&s.http, s.guard(h))
	s.http.Protocols = new(http.Protocols)
	s.http.Protocols.SetHTTP1(true)
	if s.conf.Cert == "" {
		slog.Info("The state is shown at http://" + s.conf.Listen + "/")
		go s.http.Serve(s.listener)
		return
	}
	certificate := certificate{files: s.conf}
	if _, err := certificate.get(nil); err == nil {
		slog.Info("The state is shown at https://" + s.conf.Listen + "/")
	} // if not, that is logged, and it is tried again
	s.http.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate.get}
	go s.http.ServeTLS(s.listener, "", "")
}

// close ends the server.
func (s *web) close() { s.http.Close() }

// headers keep a browser from running, or giving away, what is not of the page.
var headers = map[string]string{
	"Content-Security-Policy":      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cache-Control":                "no-store",
}

// guard lets through what reads, and who may read.
func (s *web) guard(h http.Handler) http.Handler {
	local := netip.MustParseAddrPort(s.conf.Listen).Addr().IsLoopback()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			refuse(w, http.StatusMethodNotAllowed, "over TCP nothing is changed; use the control socket")
		case local && !ownHost(r.Host):
			refuse(w, http.StatusMisdirectedRequest, fmt.Sprintf("%q is not a name of this machine; write localhost or its address", r.Host))
		case !s.knows(r):
			w.Header().Set("WWW-Authenticate", `Basic realm="keepalived", charset="UTF-8"`)
			refuse(w, http.StatusUnauthorized, "show the token of http_token, as a bearer token or as password")
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// ownHost reports whether a browser that asks for a host has come by a name that nobody
// else can give to this address: localhost, or an address itself. Otherwise a foreign page
// could read the answers under its own name (DNS rebinding).
func ownHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	_, err := netip.ParseAddr(host)
	return err == nil || strings.EqualFold(host, "localhost")
}

// knows reports whether a request shows the token. It takes as long for a wrong one.
func (s *web) knows(r *http.Request) bool {
	if s.conf.Token == "" {
		return true
	}
	_, shown, ok := r.BasicAuth()
	if !ok {
		shown, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	got, want := sha256.Sum256([]byte(shown)), sha256.Sum256([]byte(s.conf.Token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// certificate is that of the server, which others renew in its files.
type certificate struct {
	files conf.HTTP

	mu      sync.Mutex
	current *tls.Certificate
	stamps  [2]time.Time // of the files of which current is, or of which none could be made
	looked  time.Time
	err     error
}

// get returns the certificate. If that in the files is not usable, the last one is.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= renewal {
		c.looked = now
		c.renew()
	}
	if c.current == nil {
		return nil, c.err
	}
	return c.current, nil
}

// renew takes up what is in the files, if that is other than before.
func (c *certificate) renew() {
	stamps := [2]time.Time{changed(c.files.Cert), changed(c.files.Key)}
	if stamps == c.stamps && (c.current != nil || c.err != nil) {
		return
	}
	c.stamps = stamps
	pair, err := named.Certificate(&c.files)
	if c.err = err; err != nil {
		slog.Error(err.Error())
		return
	}
	c.current = pair
}

// changed is when a file was; zero: it is not there.
func changed(name string) (at time.Time) {
	if info, err := os.Stat(name); err == nil {
		at = info.ModTime()
	}
	return at
}
