package conf

import (
	"cmp"
	"net/mail"
	"strings"
	"time"
)

func mailWords() []*Keyword {
	recipients := (&block{path: "global_defs.notification_email"}).
		lines(addRecipients, &Keyword{Name: "ADDRESS", Args: "ADDR", Doc: "a mail address"}).
		filled("Warning - empty notification_email block")
	return []*Keyword{
		kw("notification_email", braced("{ ADDR... }"), "", "recipients of mails, one per line").holds(recipients).
			shows(shown(func(g *Global) *[]string { return &g.Mail.To })),
		kw("notification_email_from", word("ADDR").soft("emailfrom missing - ignoring"), "user@host", "sender of mails").
			sets(func(d *decoder, a *argument) {
				d.cfg.Global.Mail.From = d.intern(a.text)
				d.checkAddress(a.Statement, 1, a.text)
			}).fills(inGlobal(func(g *Global) *string { return &g.Mail.From })),
		kw("smtp_server", several("ADDR|HOST [PORT]"), "", "server that accepts the mails").sets(setMailServer).
			shows(shown(func(g *Global) *string { return &g.Mail.Server }), shown(func(g *Global) *int { return &g.Mail.Port }).argument(2)),
		switched("smtp_starttls", onOff(), "encrypt the connection to the mail server; its certificate must be valid", func(g *Global) *bool { return &g.Mail.STARTTLS }).own(),
		kw("smtp_auth", several("USER PASSWORD"), "", "account on the mail server").own().secret().sets(setMailAuth).
			shows(shown(func(g *Global) *string { return &g.Mail.User }), shown(func(g *Global) *Secret { return &g.Mail.Password }).argument(2)),
		text("smtp_helo_name", word("NAME").opt(), "local host name", "host name in the greeting to the mail server", func(g *Global) *string { return &g.Mail.HeloName }),
		kw("smtp_connect_timeout", number(0, 4294).as("SECS"), "30", "time limit for the connection to the mail server").
			fills(inGlobal(func(g *Global) *time.Duration { return &g.Mail.ConnectTimeout })).sets(setMailTimeout),
		kw("smtp_alert", onOff(), "unset", "whether mail is sent for all kinds of events").
			sets(func(d *decoder, a *argument) { d.global.alert.put(a.on) }),
		kw("smtp_alert_vrrp", onOff(), "unset", "whether VRRP sends mail").
			sets(func(d *decoder, a *argument) { d.global.alertVRRP.put(a.on) }),
		kw("smtp_alert_checker", onOff(), "unset", "whether health checks send mail").
			sets(func(d *decoder, a *argument) { d.global.alertChecker.put(a.on) }),
		switched("no_email_faults", bare(), "send no mail for FAULT", func(g *Global) *bool { return &g.Mail.NoFaults }),
		switched("no_checker_emails", onOff(), "send no mail for single health checks", func(g *Global) *bool { return &g.LVS.NoCheckMails }),
	}
}

// addRecipients reads a line of recipients. A display name need not be quoted.
func addRecipients(d *decoder, s *Statement) {
	m := &d.cfg.Global.Mail
	var words []string
	for _, w := range s.Words {
		words = append(words, w.Text)
	}
	line := strings.Join(words, " ")
	if _, err := mail.ParseAddress(line); err == nil {
		m.To = append(m.To, d.intern(line))
		return
	}
	for i, w := range words {
		d.checkAddress(s, i, w)
		m.To = append(m.To, d.intern(w))
	}
}

// checkAddress reports what no mail can be addressed with. A name without a
// host is one of the mail server.
func (d *decoder) checkAddress(s *Statement, word int, address string) {
	_, err := mail.ParseAddress(address)
	if err != nil && !strings.Contains(address, "@") {
		_, err = mail.ParseAddress(address + "@localhost")
	}
	if err == nil {
		return
	}
	d.report(s, word, Diagnostic{
		Severity: Warning, Class: ClassNone, Code: "mail-address",
		Message: "'" + printable(address) + "' is not a mail address: " + strings.TrimPrefix(err.Error(), "mail: "),
		Fix:     "write user@host.example or \"Name <user@host.example>\"",
	})
}

// setMailServer reads ADDR|HOST [PORT]. A name is looked up when mail is sent.
func setMailServer(d *decoder, a *argument) {
	port := 25
	if len(a.Words) > 2 {
		n, ok := d.number(a.Statement, 2, 1, 65535)
		if !ok {
			d.wrong(a.Statement, 1, "smtp-server", "Invalid smtp server %s %s", printable(a.text), printable(a.Words[2].Text))
			return
		}
		port = int(n)
	}
	server := a.text
	switch addr, err := plainAddr(server); {
	case err == nil:
		server = addr.String()
	case strings.Contains(server, "/"):
		addr, ok := d.single(a.Statement, 1, a.k.Name)
		if !ok {
			d.wrong(a.Statement, 1, "smtp-server", "Invalid smtp server %s %d", printable(server), port)
			return
		}
		server = addr.String()
	case strings.Contains(server, ":"), strings.Trim(server, "0123456789.") == "":
		// A port after a colon, or what was to be an IPv4 address.
		d.wrong(a.Statement, 1, "smtp-server", "Invalid smtp server %s %d", printable(server), port)
		return
	}
	d.cfg.Global.Mail.Server, d.cfg.Global.Mail.Port = d.intern(server), port
}

// setMailAuth reads USER PASSWORD. Messages show neither.
func setMailAuth(d *decoder, a *argument) {
	if len(a.Words) < 3 {
		d.wrong(a.Statement, 1, "missing-argument", "smtp_auth has no password; expected USER PASSWORD")
		return
	}
	m := &d.cfg.Global.Mail
	m.User, m.Password = d.intern(a.text), Secret(strings.Clone(a.Words[2].Text))
	d.global.mailAuth = a.Place(0)
}

func setMailTimeout(d *decoder, a *argument) {
	if a.n == 0 {
		d.wrong(a.Statement, 1, "out-of-range", "smtp_conect_timeout must be greater than 0, setting to 1")
	}
	d.cfg.Global.Mail.ConnectTimeout = time.Duration(max(a.n, 1)) * time.Second
}

// mail looks at how the words about mail go together.
func (d *decoder) mail() {
	if d.global.mailAuth.Known() && !d.cfg.Global.Mail.STARTTLS {
		d.reportAt(d.global.mailAuth, Diagnostic{
			Severity: Warning, Class: ClassNone, Code: "clear-password",
			Message: "smtp_auth sends the password in clear text", Fix: "write smtp_starttls",
		})
	}
}

// Complete returns m as mails are sent: with the sender and the name that the
// configuration leaves to the account and the host that send them. An empty user
// is an account without a name.
func (m Mail) Complete(user, host string) Mail {
	if m.From == "" {
		m.From = cmp.Or(user, "keepalived") + "@" + host
	}
	m.HeloName = cmp.Or(m.HeloName, host)
	return m
}
