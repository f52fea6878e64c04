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
	id       uint64 // counted from 1 in the order of telling
	subject  string // without the identity of the router
	body     string
	date     time.Time
	attempts int
}

// alertFor words the mail that tells e; false for what is not told by mail.
func alertFor(e *Event, date time.Time) (alert, bool) {
	what, state := "VRRP Instance", e.state()
	if e.Group {
		what = "VRRP Group"
	}
	a := alert{date: date}
	switch {
	case !e.Kind.isState():
		return a, false
	case state == Stop.String():
		a.subject = fmt.Sprintf("%s %s - Stopping", what, e.Name)
		a.body = fmt.Sprintf("=> %s stopping <=", what)
	case state == Deleted.String():
		a.subject = fmt.Sprintf("%s %s - Deleted", what, e.Name)
		a.body = "=> VRRP Deleted at reload <="
	default:
		a.subject = fmt.Sprintf("%s %s - Entering %s state", what, e.Name, state)
		switch {
		case e.Group:
			a.body = fmt.Sprintf("=> All VRRP group instances are now in %s state <=", state)
		case state == Master.String():
			a.body = "=> VRRP Instance is now owning VRRP VIPs <="
		default:
			a.body = "=> VRRP Instance is no longer owning VRRP VIPs <="
		}
	}
	return a, true
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
	fmt.Fprintf(&b, "\n%s\n\n", a.body)
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
