package notify

import (
	"fmt"
	"mime"
	"net/mail"
	"strings"
	"time"
)

// alert is a mail that waits to be sent.
type alert struct {
	Mail
	id       uint64 // counted from 1 in the order of the reports
	date     time.Time
	attempts int

	attempted func(error) // takes the result of the first attempt; nil: no caller waits for it
}

// attempt reports how the first attempt to deliver a has ended, to who waits for it.
func (a *alert) attempt(err error) {
	if a.attempted != nil {
		a.attempted(err)
		a.attempted = nil
	}
}

// message is a as it travels, with the ends of lines of this system.
func (a *alert) message(s *settings) string {
	to := make([]string, len(s.To))
	for i := range s.To {
		to[i] = headerAddress(s.To[i])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Date: %s\n", a.date.Format(time.RFC1123Z))
	fmt.Fprintf(&b, "From: %s\n", headerAddress(s.From))
	fmt.Fprintf(&b, "Subject: %s\n", headerText(s.title(a)))
	fmt.Fprint(&b, "X-Mailer: Keepalived\n")
	fmt.Fprintf(&b, "To: %s\n", strings.Join(to, ",\n "))
	fmt.Fprintf(&b, "\n%s\n\n", a.Body)
	return b.String()
}

// headerText is s as it may stand in a header: ASCII without line ends, other
// text as encoded words (RFC 2047).
func headerText(s string) string {
	if plain(s) {
		return s
	}
	words := mime.QEncoding.Encode("utf-8", strings.ToValidUTF8(s, "\uFFFD"))
	// Each encoded word has room for 75 bytes; what ends one line begins the next.
	return strings.ReplaceAll(words, "?= =?", "?=\n =?")
}

// headerAddress is an address as configured, its display name encoded where
// that is necessary.
func headerAddress(s string) string {
	if plain(s) {
		return s
	}
	if a, err := mail.ParseAddress(s); err == nil {
		return a.String()
	}
	return headerText(s)
}

// envelopeAddress is the bare address in what was configured, with a display
// name or without.
func envelopeAddress(s string) string {
	if a, err := mail.ParseAddress(s); err == nil {
		return a.Address
	}
	return strings.Map(func(r rune) rune { // such as user names; never a line end or a second argument
		if r <= ' ' || r == '<' || r == '>' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// plain reports that s is printable ASCII.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return (r < ' ' || r > '~') && r != '\t' })
}
