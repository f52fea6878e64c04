package conf

import (
	"fmt"
	"net/netip"
	"strings"
)

func pageWords() []*Keyword {
	file := func(name, doc string, field func(*HTTP) *string) *Keyword {
		return text(name, word("FILE"), "", doc, func(g *Global) *string { return field(&g.Control.HTTP) }).own().place()
	}
	return []*Keyword{
		kw("http_listen", word("[ADDR:]PORT"), "", "show the state over HTTP, for browsers too, at this address and port; without an address on this machine only; on other addresses only with TLS and a token").own().
			sets(setHTTPListen).shows(shown(func(g *Global) *string { return &g.Control.HTTP.Listen })),
		file("http_tls_cert", "certificate of http_listen and those of its issuers, PEM; read again when it is renewed", func(h *HTTP) *string { return &h.Cert }),
		file("http_tls_key", "private key of the certificate, PEM", func(h *HTTP) *string { return &h.Key }),
		kw("http_token", word("VALUE"), "", "what clients of http_listen show as a bearer token or as password, 16 to 128 bytes: text, hex:DIGITS or file:PATH").own().secret().
			sets(setHTTPToken).shows(shown(func(g *Global) *Secret { return &g.Control.HTTP.Token })),
	}
}

// setHTTPListen reads ADDR:PORT, or PORT alone for the loopback address.
func setHTTPListen(d *decoder, a *argument) {
	at := a.text
	if !strings.Contains(at, ":") {
		at = "127.0.0.1:" + at
	}
	addr, err := netip.ParseAddrPort(at)
	if err != nil || addr.Port() == 0 {
		d.wrong(a.Statement, 1, "http-address", "%s is not an address and a port", printable(a.text))
		return
	}
	d.cfg.Global.Control.HTTP.Listen = addr.String()
	d.global.httpAt = a.Place(0)
}

// The length of a token, in bytes.
const leastToken, mostToken = 16, 128

// setHTTPToken reads the token. Messages never show it. Without the one that was meant
// nothing is shown to anyone.
func setHTTPToken(d *decoder, a *argument) {
	token, exposed, err := d.keyValue(a.Statement, 1, a.text)
	d.global.httpShut = true
	switch {
	case err != nil:
		d.wrong(a.Statement, 1, "http-token", "http_token: %v", err)
	case len(token) < leastToken || len(token) > mostToken:
		d.wrong(a.Statement, 1, "http-token", "http_token has %d bytes; expected %d to %d", len(token), leastToken, mostToken)
	case !exposed:
		d.global.httpShut = false
		d.cfg.Global.Control.HTTP.Token = Secret(token)
	}
}

// http decides whether the state is shown over TCP.
func (d *decoder) http() {
	c := &d.cfg.Global.Control
	h := &c.HTTP
	if h.Listen == "" {
		return
	}
	refuse := func(severity Severity, code, fix, format string, args ...any) {
		d.reportAt(d.global.httpAt, Diagnostic{
			Severity: severity, Class: ClassOrdinary, Code: code, Message: fmt.Sprintf(format, args...) + " - ignoring http_listen", Fix: fix,
		})
		h.Listen = ""
	}
	addr := netip.MustParseAddrPort(h.Listen).Addr()
	var missing []string
	for _, word := range []struct{ name, value string }{{"http_tls_cert", h.Cert}, {"http_tls_key", h.Key}, {"http_token", string(h.Token)}} {
		if word.value == "" {
			missing = append(missing, word.name)
		}
	}
	switch {
	case c.Off:
		refuse(Warning, "http-alone", "remove no_control_socket", "with no_control_socket there is no process that serves http_listen")
	case d.global.httpShut:
		h.Listen = "" // why has been reported
	case (h.Cert == "") != (h.Key == ""):
		refuse(Error, "http-tls", "write both http_tls_cert and http_tls_key, or none", "http_tls_cert and http_tls_key belong together")
	case !addr.IsLoopback() && len(missing) > 0:
		refuse(Error, "http-open", "write "+strings.Join(missing, ", ")+", or listen on 127.0.0.1",
			"other machines reach http_listen %s, which lacks %s", h.Listen, strings.Join(missing, ", "))
	}
}
