package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"keepalived-go/internal/checkd/attempt"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/tool/getopt"
)

// hasher is keepalived genhash.
type hasher struct {
	http               attempt.HTTP
	page               attempt.Page
	tls, sni           bool
	verbose, help      bool
	server, port, path bool // given
}

func (h *hasher) flags() []getopt.Flag {
	on := func(b *bool) func(string) error {
		return func(string) error { *b = true; return nil }
	}
	number := func(most uint64, set func(uint64)) func(string) error {
		return func(s string) error {
			n, err := strconv.ParseUint(s, 0, 64)
			if err != nil || n > most {
				return fmt.Errorf("%q is not a number from 0 to %d", s, most)
			}
			set(n)
			return nil
		}
	}
	return []getopt.Flag{
		{Long: "use-ssl", Short: 'S', Set: on(&h.tls), Help: "Use TLS"},
		{Long: "use-sni", Short: 'I', Set: on(&h.sni), Help: "Send the virtual host in the TLS handshake"},
		{Long: "server", Short: 's', Arg: getopt.Required, Value: "ADDRESS", Help: "Address of the server", Set: func(s string) (err error) {
			if h.http.Addr, err = netip.ParseAddr(s); err != nil {
				return fmt.Errorf("server should be an IP, not %s", s)
			}
			h.server = true
			return nil
		}},
		{Long: "port", Short: 'p', Arg: getopt.Required, Value: "PORT", Help: "Port of the server",
			Set: number(65535, func(n uint64) { h.http.Port, h.port = uint16(n), n != 0 })},
		{Long: "url", Short: 'u', Arg: getopt.Required, Value: "PATH", Help: "Path of the page", Set: func(s string) error {
			h.page.Path, h.path = s, s != ""
			return plainWord(s)
		}},
		{Long: "use-virtualhost", Short: 'V', Arg: getopt.Required, Value: "HOST", Help: "Host name to send with the request", Set: func(s string) error {
			h.page.Host = s
			return plainWord(s)
		}},
		{Long: "verbose", Short: 'v', Set: on(&h.verbose), Help: "Print the header and the body too"},
		{Long: "fwmark", Short: 'm', Arg: getopt.Required, Value: "MARK", Help: "Mark of the packets sent",
			Set: number(1<<32-1, func(n uint64) { h.http.FWMark = uint32(n) })},
		{Long: "protocol", Short: 'P', Arg: getopt.Required, Value: "VERSION", Help: "Version of HTTP: 1.0, 1.0c (with Connection: close) or 1.1",
			Choices: []string{"1.0", "1.0c", "1.1"}, Set: func(s string) error {
				switch strings.ToLower(s) {
				case "1.0":
					h.http.Protocol = attempt.HTTP10
				case "1.0c":
					h.http.Protocol = attempt.HTTP10Close
				case "1.1":
					h.http.Protocol = attempt.HTTP11
				default:
					return fmt.Errorf("invalid HTTP protocol version '%s'; expected 1.0, 1.0c or 1.1", s)
				}
				return nil
			}},
		{Long: "timeout", Short: 't', Arg: getopt.Required, Value: "SECONDS", Help: "Longest wait for the server (default 5)",
			Set: number(86400, func(n uint64) { h.http.Timeout = time.Duration(max(1, n)) * time.Second })},
		{Long: "help", Short: 'h', Set: on(&h.help), Help: "Print this text and exit"},
	}
}

// plainWord refuses what would end a line of the request.
func plainWord(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return fmt.Errorf("%q has a blank or a control character", s)
	}
	return nil
}

func genhash(args []string) int {
	h := hasher{http: attempt.HTTP{Connection: &attempt.Connection{Timeout: 5 * time.Second}}}
	flags := h.flags()
	operands, err := getopt.Parse(flags, args)
	switch {
	case err != nil:
	case h.help:
		genhashUsage(os.Stdout, flags)
		return proc.ExitOK
	case len(operands) > 0:
		err = fmt.Errorf("unexpected argument: %s", operands[0])
	case !h.server || !h.port || !h.path:
		err = errors.New("-s ADDRESS, -p PORT and -u PATH are needed")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "keepalived genhash: %v\n\n", err)
		genhashUsage(os.Stderr, flags)
		return proc.ExitFatal
	}
	if err := h.run(os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "keepalived genhash: %v\n", err)
		return proc.ExitFatal
	}
	return proc.ExitOK
}

func genhashUsage(w io.Writer, flags []getopt.Flag) {
	fmt.Fprintln(w, "Usage: keepalived genhash [OPTION...] -s ADDRESS -p PORT -u PATH")
	fmt.Fprintln(w, "Prints the MD5 digest of a page, for digest of HTTP_GET and SSL_GET.")
	getopt.Usage(w, flags)
}

// run fetches the page and prints its digest, in the format of the C daemon.
func (h *hasher) run(w io.Writer) error {
	if h.tls {
		h.http.TLS = attempt.TLS(nil, true)
		if h.sni {
			h.page.SNI = h.page.Host
		}
	}
	h.http.Pages = []attempt.Page{h.page}
	if !h.verbose {
		sum, err := h.http.Digest(nil)
		if err == nil {
			fmt.Fprintln(w, sum)
		}
		return err
	}
	began := time.Now()
	title := func(s string) { fmt.Fprintf(w, "-----------------------[%s]-----------------------\n", s) }
	body := dumper{w: w}
	sum, err := h.http.Digest(func(header, piece []byte) {
		if header == nil {
			body.write(piece)
			return
		}
		title("    HTTP Header Buffer    ")
		head := dumper{w: w}
		head.write(header)
		head.end()
		title(" HTTP Header Ascii Buffer ")
		fmt.Fprintf(w, "%s\n", bytes.Map(func(r rune) rune {
			if r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f {
				return '.' // nothing that a terminal obeys
			}
			return r
		}, header))
		title("        HTML Buffer        ")
	})
	if err != nil {
		return err
	}
	body.end()
	raw, _ := hex.DecodeString(sum)
	fmt.Fprintln(w)
	title("    HTML hash resulting    ")
	hash := dumper{w: w}
	hash.write(raw)
	hash.end()
	title(" HTML hash final resulting ")
	fmt.Fprintf(w, "%s\n\nGlobal response time for [%s] = %d usecs\n", sum, h.page.Path, time.Since(began).Microseconds())
	return nil
}

// dumper prints bytes as lines of 16.
type dumper struct {
	w      io.Writer
	offset int
	line   []byte // that is not full yet
}

func (d *dumper) write(p []byte) {
	for len(p) > 0 {
		n := min(16-len(d.line), len(p))
		d.line = append(d.line, p[:n]...)
		if p = p[n:]; len(d.line) == 16 {
			d.end()
		}
	}
}

// end prints the last line.
func (d *dumper) end() {
	if len(d.line) == 0 {
		return
	}
	fmt.Fprintf(d.w, "%04d  ", d.offset)
	text := []byte("                ")
	for i := range 16 {
		if i == 8 {
			io.WriteString(d.w, "- ")
		}
		if i >= len(d.line) {
			io.WriteString(d.w, "   ")
			continue
		}
		fmt.Fprintf(d.w, "%02x ", d.line[i])
		if text[i] = d.line[i]; text[i] < ' ' || text[i] > '~' {
			text[i] = '.'
		}
	}
	fmt.Fprintf(d.w, "  %s\n", text)
	d.offset += len(d.line)
	d.line = d.line[:0]
}
