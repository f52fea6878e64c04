package attempt

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/checkd/life"
)

// Protocol is http_protocol.
type Protocol uint8

const (
	HTTP10      Protocol = iota // HTTP/1.0 (default)
	HTTP10Close                 // HTTP/1.0 with Connection: close (1.0C, 1.0c)
	HTTP11                      // HTTP/1.1 with Connection: close
)

// HTTP is HTTP_GET, and with TLS SSL_GET: the server is good if it sends the
// page that is expected. Each page is an attempt of its own. Redirects are not
// followed, and transfer codings not decoded: what is on the wire counts.
type HTTP struct {
	Names
	*Connection
	TLS      *tls.Config // nil: HTTP_GET; see TLS
	Protocol Protocol
	Pages    []Page // at least one
}

// Bounds of one attempt, besides those of the response. The timeout of the
// connection is for silence; an attempt that is never silent ends as well.
const (
	leastLongest = time.Minute
	timesLongest = 12 // timeouts
)

// Longest is the end of the patience with a server that is never silent.
func (k *HTTP) Longest() time.Duration { return max(leastLongest, timesLongest*k.Timeout) }

// httpRun is one attempt.
type httpRun struct {
	*HTTP
	page      *Page
	connected bool
	unsent    []byte // of the request
	response  *response
	end       time.Duration // of the time for all of it

	// Of SSL_GET, once it is connected.
	file *os.File
}

func (k *HTTP) begin(a *Attempt, page int) {
	run := &httpRun{HTTP: k, page: &k.Pages[page], end: a.start + k.Longest()}
	a.run = run
	k.connect(a, run.refused)
}

func (r *httpRun) refused(err error) string {
	return "Error connecting server " + r.Server + why(err)
}

// request is what is sent for a page.
func (k *HTTP) request(p *Page, b []byte) []byte {
	b = append(append(b, "GET "...), p.Path...)
	if k.Protocol == HTTP11 {
		b = append(b, " HTTP/1.1\r\n"...)
	} else {
		b = append(b, " HTTP/1.0\r\n"...)
	}
	b = append(b, "User-Agent: KeepAliveClient\r\n"...)
	if k.Protocol != HTTP10 {
		b = append(b, "Connection: close\r\n"...)
	}
	b = append(b, "Host: "...)
	switch addr := k.Addr.Unmap().WithZone(""); {
	case p.Host != "":
		b = append(b, p.Host...)
	case addr.Is4():
		b = strconv.AppendUint(append(addr.AppendTo(b), ':'), uint64(k.Port), 10)
	default:
		b = append(addr.AppendTo(append(b, '[')), "]:"...)
		b = strconv.AppendUint(b, uint64(k.Port), 10)
	}
	return append(b, "\r\n\r\n"...)
}

func (r *httpRun) ready(a *Attempt, events uint32) {
	if !r.connected {
		if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			if err := sockErr(a.fd); err != nil {
				a.fail("Connection failed server " + r.Server + "." + why(err))
				return
			}
		}
		if events&evWrite == 0 {
			return
		}
		r.connected = true
		if r.TLS != nil {
			r.handOver(a)
			return
		}
		r.response = r.page.expect()
		r.unsent = r.request(r.page, a.env.buf[:0])
		r.more(a)
	}
	if r.unsent != nil && (!r.send(a) || events&evRead == 0) {
		return
	}
	r.read(a)
}

// more gives the attempt time for another bit of news.
func (r *httpRun) more(a *Attempt) { a.deadline = min(a.env.loop.Now()+r.Timeout, r.end) }

// send writes what has not been sent, and reports whether that was all.
func (r *httpRun) send(a *Attempt) bool {
	n, err := unix.Write(a.fd, r.unsent)
	switch {
	case err == nil && n == len(r.unsent):
		r.unsent = nil
		return true
	case err == nil || err == unix.EAGAIN || err == unix.EINTR:
		r.unsent = append([]byte(nil), r.unsent[max(0, n):]...) // out of the buffer of all
		if err == unix.EINTR {
			a.again(evNews)
		}
	default:
		a.fail("Cannot send get request to " + r.Server + why(err))
	}
	return false
}

// Reads of one turn: others are waiting. A pattern costs much more than a sum.
const (
	readTurns  = 4
	searchRead = 16 << 10
)

func (r *httpRun) read(a *Attempt) {
	buf, turns := a.env.buf, readTurns
	if r.response.search != nil {
		buf, turns = buf[:searchRead], 2
	}
	for range turns {
		n, err := unix.Read(a.fd, buf)
		switch {
		case err == unix.EAGAIN:
			return
		case err == unix.EINTR:
		case err != nil || n == 0:
			r.finish(a, err)
			return
		default:
			r.more(a)
			if err := r.response.feed(buf[:n]); err != nil {
				a.finish(r.result(r.response, err))
				return
			}
		}
	}
	a.again(evNews)
}

// finish judges what has come until the end of the connection.
func (r *httpRun) finish(a *Attempt, err error) {
	a.reset = err != nil // else both sides have ended in order
	a.finish(r.result(r.response, err))
}

// result makes a result of a response that has ended, or of the error that has
// ended it.
func (r *httpRun) result(got *response, err error) life.Result {
	what, detail := "", ""
	switch {
	case errors.Is(err, errSilent):
		what = "Timeout WEB read server"
	case err == errHeaderLong || err != nil && !got.whole:
		what, detail = noData, err.Error()
	case err == errBodyLong || err != nil && !got.complete():
		what, detail = "HTTP read error from server", err.Error()
	default:
		what, detail = r.page.judge(got)
	}
	if what == "" {
		return life.Result{OK: true, Reason: r.success()}
	}
	if detail != "" {
		detail = " (" + detail + ")"
	}
	return life.Result{Reason: what + " " + r.Server + "." + detail}
}

// success is the line that is logged while a check is down.
func (r *httpRun) success() string {
	what := "HTTP status code success"
	switch {
	case r.page.Regex != nil:
		what = "Regex match success"
	case r.page.Digest != "":
		what = "MD5 digest success"
	}
	return what + " to " + r.Server + " url(" + r.page.Path + ")"
}

func (r *httpRun) expire(a *Attempt) {
	late := a.env.loop.Now() >= r.end
	switch {
	case !r.connected:
		a.fail("Timeout connecting server " + r.Server + ".")
	case r.response == nil: // a worker has it
		a.fail("Timeout WEB read server " + r.Server + ".")
	case r.response.complete():
		// A server that keeps the connection open has said all the same.
		a.finish(r.result(r.response, nil))
	case late:
		a.fail(fmt.Sprintf("Timeout WEB read server %s. (%d bytes in %v are no end)", r.Server, r.response.body, r.Longest()))
	default:
		a.fail("Timeout WEB read server " + r.Server + ".")
	}
}

// drop frees what the attempt holds besides its descriptor.
func (r *httpRun) drop(*Attempt) {
	if r.TLS == nil && r.response != nil {
		r.response.close()
	}
	if r.file != nil {
		reset(r.file)
		r.file.Close() // wakes the worker
	}
}

func (k *HTTP) line(v *life.Verdict) string {
	if v.OK {
		return fmt.Sprintf("Remote Web server %s succeed on service.", k.Server)
	}
	what, tries := "HTTP_CHECK", ""
	if k.TLS != nil {
		what = "SSL_CHECK"
	}
	if v.Allowed > 0 { // also at the first failure ever, which has no retries
		tries = fmt.Sprintf(" after %d retries", v.Allowed)
	}
	return sentence(v, fmt.Sprintf("%s on service %s failed%s.", what, k.Server, tries))
}

// Mail is in the words of the C daemon.
func (k *HTTP) Mail(v *life.Verdict) string {
	if v.Up {
		return "=> CHECK succeed on service <="
	}
	return "=> CHECK failed on service : HTTP/SSL request failed <="
}
