package attempt

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/checkd/life"
)

// handOver gives a connected socket to a goroutine, the worker, which talks TLS and
// the rest on it.
func (r *httpRun) handOver(a *Attempt) {
	fd := a.yield()
	r.file = os.NewFile(uintptr(fd), "connection")
	a.deadline = life.Never // the session has its own
	loop, file := a.env.loop, r.file
	go func() {
		// The worker touches neither a nor r, but for what never changes.
		response := r.page.expect()
		orderly, err := r.session(file, response)
		result := r.result(response, err)
		response.close()
		if !orderly {
			reset(file)
		}
		file.Close()
		loop.Post(func() {
			r.file = nil
			a.finish(result)
		})
	}()
}

// readSize is how much of a response is read at a time: a TLS record at most.
const readSize = 16 << 10

// buffers are for sessions to read into.
var buffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// errSilent is the end of the patience with a server.
var errSilent = errors.New("timeout")

// session sends the request and reads the response, both within TLS unless it is
// nil, and waits meanwhile. It reports whether the server has ended the connection in order.
func (r *httpRun) session(file *os.File, response *response) (orderly bool, err error) {
	end := time.Now().Add(r.Longest())
	patience := func() {
		at := time.Now().Add(r.Timeout)
		if at.After(end) {
			at = end
		}
		file.SetDeadline(at)
	}
	raw := &socket{File: file}
	var conn io.ReadWriter = raw
	patience()
	if r.TLS != nil {
		cfg := r.TLS.Clone()
		cfg.ServerName = r.page.SNI
		within := tls.Client(raw, cfg)
		if err := within.Handshake(); err != nil {
			return false, fmt.Errorf("TLS: %w", silent(err))
		}
		conn = within
	}
	if _, err := conn.Write(r.request(r.page, nil)); err != nil {
		return false, silent(err)
	}
	buf := buffers.Get().(*[readSize]byte)
	defer buffers.Put(buf)
	for {
		patience()
		n, err := conn.Read(buf[:])
		if n > 0 {
			if err := response.feed(buf[:n]); err != nil {
				return false, err
			}
		}
		switch {
		case err == nil:
		case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
			if r.page.TLSCompliant && (raw.ended || err != io.EOF) {
				return false, errors.New("TLS: the connection ended without the notice of its end")
			}
			return true, nil
		case silent(err) == errSilent && response.complete() && !r.page.TLSCompliant:
			return false, nil
		default:
			return false, silent(err)
		}
		if time.Now().After(end) {
			return false, errSilent
		}
	}
}

// socket is a connected descriptor as a net.Conn.
type socket struct {
	*os.File
	ended bool // the other side has ended the connection below TLS
}

func (s *socket) Read(p []byte) (int, error) {
	n, err := s.File.Read(p)
	s.ended = s.ended || err == io.EOF
	return n, err
}

func (*socket) LocalAddr() net.Addr  { return &net.TCPAddr{} }
func (*socket) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// reset has the connection closed with RST.
func reset(file *os.File) {
	if raw, err := file.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &abort)
		})
	}
}

// silent is errSilent for the error of a deadline.
func silent(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSilent
	}
	return err
}

// TLS makes the configuration of the client of SSL_GET, which shows servers a certificate if
// it has one. Nothing of what a server shows is verified: expired, wrongly named and
// self-signed certificates are good. oldVersions allows TLS 1.0 and 1.1 and the cipher suites
// of their time.
func TLS(shows *tls.Certificate, oldVersions bool) *tls.Config {
	cfg := &tls.Config{
		InsecureSkipVerify: true,
		MinVersion:         tls.VersionTLS12,
		// What a session costs is measured with each attempt.
		SessionTicketsDisabled: true,
		// Nothing of a check is worth recording for the day when these can be broken. A third of
		// the CPU of a session is saved without the hybrid ones, and the first message stays
		// short enough for every server.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
	}
	if oldVersions {
		cfg.MinVersion = tls.VersionTLS10
		for _, list := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
			for _, suite := range list {
				cfg.CipherSuites = append(cfg.CipherSuites, suite.ID)
			}
		}
	}
	if shows != nil {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return shows, nil }
	}
	return cfg
}
