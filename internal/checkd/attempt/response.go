package attempt

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

const (
	mostHeader = 64 << 10 // longest header of a response
	mostBody   = 64 << 20 // longest body
)

var (
	errHeaderLong = fmt.Errorf("the header is longer than %d KiB", mostHeader>>10)
	errBodyLong   = fmt.Errorf("the body is longer than %d MiB", mostBody>>20)
)

// response reads an HTTP response as it comes, and keeps nothing of the body.
type response struct {
	header []byte // as far as it has come, while it is not complete
	whole  bool   // the header is complete

	status int   // 0: the first line has none
	length int64 // Content-Length; -1: none
	body   int64 // bytes of the body so far

	digest hash.Hash // nil: not wanted
	search *search   // nil: not wanted

	// see is handed what comes, for who wants to look at it.
	see func(header, body []byte)
}

var endOfHeader = []byte("\r\n\r\n")

// feed takes up bytes. After an error nothing more is of use.
func (r *response) feed(p []byte) error {
	if !r.whole {
		var err error
		if p, err = r.feedHeader(p); err != nil || !r.whole {
			return err
		}
	}
	before := r.body
	r.body += int64(len(p))
	if r.length >= 0 { // what follows the announced length is not part of the body
		p = p[:min(int64(len(p)), max(0, r.length-before))]
	}
	if r.digest != nil {
		r.digest.Write(p)
	}
	if r.search != nil {
		r.search.feed(p)
	}
	if r.see != nil && len(p) > 0 {
		r.see(nil, p)
	}
	if r.body > mostBody {
		return errBodyLong
	}
	return nil
}

// feedHeader takes up bytes of the header, and returns the bytes after it.
func (r *response) feedHeader(p []byte) (rest []byte, err error) {
	known := len(r.header)
	all := p
	if known > 0 {
		r.header = append(r.header, p...)
		all = r.header
	}
	i := bytes.Index(all[max(0, known-3):], endOfHeader)
	if i < 0 {
		if len(all) > mostHeader {
			return nil, errHeaderLong
		}
		if known == 0 {
			r.header = append(make([]byte, 0, max(512, len(p))), p...)
		}
		return nil, nil
	}
	end := max(0, known-3) + i + len(endOfHeader)
	if end > mostHeader {
		return nil, errHeaderLong
	}
	r.whole = true
	r.readHeader(all[:end])
	if r.see != nil {
		r.see(all[:end], nil)
	}
	r.header = nil
	return all[end:], nil
}

// readHeader finds the status, three digits after the first blank, and the
// length of the body.
func (r *response) readHeader(h []byte) {
	r.length = -1
	line, rest, _ := bytes.Cut(h, endOfHeader[:2])
	if _, code, ok := bytes.Cut(line, []byte(" ")); ok && len(code) >= 3 && (len(code) == 3 || code[3] < '0' || code[3] > '9') {
		if n, err := strconv.ParseUint(string(code[:3]), 10, 16); err == nil {
			r.status = int(n)
		}
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, endOfHeader[:2])
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !bytes.EqualFold(name, []byte("content-length")) {
			continue
		}
		if n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 63); err == nil {
			r.length = int64(n)
		}
	}
}

// complete reports whether all of the announced body is there.
func (r *response) complete() bool { return r.whole && r.length >= 0 && r.body >= r.length }

// close frees what the response holds.
func (r *response) close() {
	if r.search != nil {
		r.search.close()
	}
}

// sum is the digest of the body.
func (r *response) sum() string { return hex.EncodeToString(r.digest.Sum(nil)) }

// StatusRange is good status codes, First to Last.
type StatusRange struct{ First, Last uint16 }

// Page is what is fetched, and what to make of the answer.
type Page struct {
	Path   string
	Host   string        // virtualhost: of the url, else the check, the servers; empty: address and port
	Digest string        // MD5 of the body, 32 hexadecimal digits; empty: not checked
	Status []StatusRange // status_code; none: 200 to 299
	Regex  *Regex        // nil: not checked
	// SNI is the name in the TLS handshake: sni_name, else Host, with enable_sni;
	// empty: none.
	SNI string
	// TLSCompliant demands a proper end of the TLS session (tls_compliant).
	TLSCompliant bool
}

// expect returns a response to p.
func (p *Page) expect() *response {
	r := new(response)
	if p.Digest != "" {
		r.digest = md5.New()
	}
	if p.Regex != nil {
		r.search = newSearch(p.Regex)
	}
	return r
}

// goodStatus reports whether a status code is one of those wanted.
func (p *Page) goodStatus(code int) bool {
	if len(p.Status) == 0 {
		return code >= 200 && code <= 299
	}
	for _, s := range p.Status {
		if code >= int(s.First) && code <= int(s.Last) {
			return true
		}
	}
	return false
}

// Sentences about a response, to be followed by the server.
const (
	noData      = "Read, no data received from  server"
	wrongStatus = "HTTP status code error to server"
	wrongDigest = "MD5 digest error to server"
	wrongBody   = "Regex match failed server"
)

// judge returns what is wrong with a response that has ended, and the detail;
// empty: nothing.
func (p *Page) judge(r *response) (what, detail string) {
	switch {
	case !r.whole:
		return noData, fmt.Sprintf("%d bytes without the end of a header", len(r.header))
	case !p.goodStatus(r.status):
		return wrongStatus, fmt.Sprintf("status %d", r.status)
	case p.Digest != "" && !strings.EqualFold(r.sum(), p.Digest):
		return wrongDigest, r.sum()
	case p.Regex != nil && !r.search.good():
		return wrongBody, "url " + p.Path
	}
	return "", ""
}
