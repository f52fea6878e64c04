package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"keepalived-go/conf/pcre"
	"keepalived-go/conf/syntax"
)

// check is a Check while its defaults are not known yet.
type check struct {
	Check
	at    place
	times *checkTimes // nil: no settings; shared once its block is read

	port  opt[uint16]
	given written // words of the block
	words *block
	*kindWords
}

// kindWords are words that only some kinds of checks have. It is nil for the
// others.
type kindWords struct {
	tls         opt[bool]
	host        string // virtualhost
	urls        []*url
	hosts       []*check // host blocks
	outer       *check   // of a host block
	script      place    // of misc_path
	file        opt[int]
	fileReverse opt[bool]
}

type url struct {
	URL
	regex              Regex
	regexAt, optionsAt place // of regex and regex_options
	tls                opt[bool]
}

func current(d *decoder) *check { return d.servers.check }

// checkWords are the kinds of health checks of a real server.
func checkWords(path string) []*Keyword {
	checkKeyword := func(kind CheckKind, doc string, words ...[]*Keyword) *Keyword {
		b := vocabulary(path + "." + kind.String())
		for _, w := range words {
			b.add(w...)
		}
		b.open = func(d *decoder, s *Statement) bool {
			d.servers.check = newCheck(b, kind, d.pos(s), s.Place(0))
			return true
		}
		b.given = func(d *decoder) *written { return &current(d).given }
		b.close = closeCheck
		return kw(kind.String(), braced("{}"), "", doc).holds(b)
	}
	http := func(kind CheckKind, doc string) *Keyword {
		sub := path + "." + kind.String()
		return checkKeyword(kind, doc, connectWords(), repeatWords(), httpWords(sub, kind == CheckSSL)).requires("url", "HTTP/SSL_GET checker has no urls specified - ignoring")
	}
	return []*Keyword{
		checkKeyword(CheckTCP, "check that a TCP connection opens", connectWords(), repeatWords()),
		http(CheckHTTP, "fetch pages and check the answers"),
		http(CheckSSL, "fetch pages over TLS and check the answers"),
		checkKeyword(CheckSMTP, "check that a mail server answers", connectWords(), repeatWords(), []*Keyword{
			kw("helo_name", word("NAME").soft("SMTP_CHECK helo name missing"), literal("smtpchecker.keepalived.org"), "host name in the greeting").
				fills(inCheck(func(v *Check) *string { return &v.SMTP.Helo })),
			kw("host", braced("{}"), "", "address to connect to, old notation").alias("the keywords outside host").holds(hostBlock(path + ".SMTP_CHECK.host")),
		}),
		checkKeyword(CheckDNS, "query a name server", connectWords(), repeatWords(), []*Keyword{
			kw("type", word(strings.Join(dnsTypes, "|")), literal("SOA"), "record type to query").fills(inCheck(func(v *Check) *string { return &v.DNS.Type })).sets(setDNSType),
			kw("name", word("NAME"), ".", "name to query").sets(setDNSName).shows(shown(func(v *Check) *string { return &v.DNS.Name })),
		}),
		checkKeyword(CheckMisc, "run a command and check its exit status", repeatWords(), []*Keyword{
			kw("misc_path", cmd().as("CMD").soft("misc_path has no command"), "", "the command; required").
				sets(func(d *decoder, a *argument) {
					c := current(d)
					user, group := c.Misc.Command.User, c.Misc.Command.Group
					c.Misc.Command = a.command(d)
					c.Misc.Command.User, c.Misc.Command.Group = user, group
					c.script = a.Place(1)
				}).shows(shown(func(v *Check) *Command { return &v.Misc.Command })),
			kw("misc_timeout", number(0, 4294967).as("SECS"), sibling("delay_loop"), "how long the command may take").
				sets(func(d *decoder, a *argument) { current(d).Misc.Timeout = time.Duration(a.n) * time.Second }).shows(shown(func(v *Check) *time.Duration { return &v.Misc.Timeout })),
			kw("misc_dynamic", bare(), "off", "an exit status from 2 to 255 sets the weight to that status minus 2").
				fills(inCheck(func(v *Check) *bool { return &v.Misc.Dynamic })),
			kw("user", several("USER [GROUP]").soft("No user specified for misc checker script"), global("script_user"), "user that runs the command").
				sets(func(d *decoder, a *argument) {
					c := &current(d).Misc.Command
					c.User, c.Group = d.intern(a.text), ""
					if len(a.Words) > 2 {
						c.Group = d.intern(a.Words[2].Text)
					}
				}),
		}).requires("misc_path", "No script path has been specified for MISC_CHECKER - skipping"),
		checkKeyword(CheckBFD, "use the state of a BFD session", []*Keyword{
			kw("name", word("BFD_INSTANCE").soft("BFD_CHECK - No or too many names specified - skipping checker"), "", "the session; required").
				sets(func(d *decoder, a *argument) { current(d).BFD.Name = d.intern(a.text) }).
				fills(inCheck(func(v *Check) *string { return &v.BFD.Name })),
			alphaWord(),
		}).requires("name", "No name has been specified for BFD_CHECKER - skipping"),
		checkKeyword(CheckUDP, "send a datagram and, if required, wait for an answer", connectWords(), repeatWords(), udpWords()),
		checkKeyword(CheckPing, "check that the server answers pings", connectWords(), repeatWords()),
		checkKeyword(CheckFile, "use the value of a tracked file", []*Keyword{
			kw("track_file", word("NAME"), "", "the track_file block whose value counts; required").
				fills(inCheck(func(v *Check) *string { return &v.File.File })),
			kw("weight", weight(-1<<31+1, 1<<31-1).soft("track file weight missing"), outer("of the file"), "factor for the number in the file").sets(setFileWeight).
				shows(shown(func(v *Check) *int { return &v.File.Weight }), shown(func(v *Check) *bool { return &v.File.Reverse }).argument(0)),
		}).requires("track_file", "FILE_CHECK has no track_file specified - ignoring"),
	}
}

// requires is needs for the block of a keyword.
func (k *Keyword) requires(word, message string) *Keyword {
	k.block.needs(word, message)
	return k
}

func newCheck(words *block, kind CheckKind, pos Pos, at place) *check {
	c := &check{Check: Check{Kind: kind, Pos: pos}, at: at, words: words}
	switch kind {
	case CheckHTTP, CheckSSL, CheckSMTP, CheckMisc, CheckFile:
		c.kindWords = &kindWords{}
	}
	switch kind {
	case CheckMisc:
		c.Misc = &MiscCheck{}
		return c
	case CheckFile:
		c.File = &FileCheck{}
		return c
	case CheckBFD:
		c.BFD = &BFDCheck{}
		return c
	case CheckHTTP, CheckSSL:
		c.HTTP = &HTTPCheck{}
	case CheckSMTP:
		c.SMTP = &SMTPCheck{}
	case CheckDNS:
		c.DNS = &DNSCheck{}
	case CheckUDP:
		c.UDP = &UDPCheck{}
	}
	c.Connect = &Connection{}
	return c
}

// closeCheck keeps a check that can do something. What it lacks has been
// reported.
func closeCheck(d *decoder, s *Statement) {
	c := current(d)
	d.servers.check = nil
	c.times = d.servers.times.share(c.times)
	switch {
	case c.HTTP != nil && len(c.urls) == 0,
		c.Misc != nil && !c.Misc.Command.Given(),
		c.BFD != nil && c.BFD.Name == "",
		c.File != nil && c.File.File == "":
		return
	}
	if c.Misc != nil {
		what := fmt.Sprintf("(%s) misc_path script", d.servers.vs)
		d.scripts.used = append(d.scripts.used, commandUse{at: c.script, what: what, cmd: c.Misc.Command})
	}
	if c.UDP != nil && c.UDP.MinLength > c.UDP.MaxLength {
		d.wrong(s, 0, "reply-length", "UDP_CHECK min_reply length %d > max_reply_length %d - will always fail", c.UDP.MinLength, c.UDP.MaxLength)
	}
	checks := &d.servers.vs.checks
	if c.Kind != CheckSMTP || len(c.hosts) == 0 {
		*checks = append(*checks, c)
		return
	}
	for _, host := range c.hosts {
		one := *c
		one.Connect, one.port = host.Connect, host.port
		one.times = d.servers.times.of(host.times.inherit(host.words, c.times.inherit(c.words, checkTimes{})))
		*checks = append(*checks, &one)
	}
}

// hostBlock holds the words about the connection once more. Each such block
// makes a check of its own.
func hostBlock(path string) *block {
	b := vocabulary(path, connectWords()...)
	b.open = func(d *decoder, s *Statement) bool {
		outer := current(d)
		d.servers.check = newCheck(b, CheckSMTP, outer.Pos, s.Place(0))
		d.servers.check.outer = outer
		return true
	}
	b.close = func(d *decoder, s *Statement) {
		host := current(d)
		host.outer.hosts = append(host.outer.hosts, host)
		d.servers.check = host.outer
	}
	return b
}

// connectWords set where a check connects, and from where.
func connectWords() []*Keyword {
	return []*Keyword{
		kw("connect_ip", address(), "the real server", "address to connect to").fills(inCheck(func(v *Check) *netip.Addr { return &v.Connect.Addr })),
		kw("connect_port", number(1, 65535).as("PORT"), "that of the real server, as written", "port to connect to").
			sets(func(d *decoder, a *argument) { current(d).port.put(uint16(a.n)) }).shows(shown(func(v *Check) *uint16 { return &v.Connect.Port })),
		kw("bindto", address(), "any", "source address of the connection").fills(inCheck(func(v *Check) *netip.Addr { return &v.Connect.Bind })),
		kw("bind_port", number(1, 65535).as("PORT"), "any", "source port of the connection").
			fills(inCheck(func(v *Check) *uint16 { return &v.Connect.BindPort })),
		kw("bind_if", word("IFNAME"), "any", "interface of the connection").
			fills(inCheck(func(v *Check) *string { return &v.Connect.BindIf })),
		timeoutWord(outer("of the real server"), checkFields, func(d *decoder) *checkTimes { return made(&current(d).times) }),
		kw("fwmark", number(0, 1<<32-1), "0", "firewall mark of sent packets").
			fills(inCheck(func(v *Check) *uint32 { return &v.Connect.FWMark })),
	}
}

// checkFields are where the model has the times of a check.
var checkFields = timeFields{
	retryTime:   shown(func(v *Check) *int { return &v.Retry }),
	beforeTime:  shown(func(v *Check) *time.Duration { return &v.DelayBeforeRetry }),
	warmupTime:  shown(func(v *Check) *time.Duration { return &v.Warmup }),
	loopTime:    shown(func(v *Check) *time.Duration { return &v.DelayLoop }),
	timeoutTime: shown(func(v *Check) *time.Duration { return &v.Connect.Timeout }),
}

func alphaWord() *Keyword {
	return kw("alpha", onOff(), outer("of the real server"), "the real server is down until the check has succeeded once").
		fills(inCheck(func(v *Check) *bool { return &v.Alpha }))
}

func repeatWords() []*Keyword {
	return append(timerWords(outer("of the real server"), 0, func(d *decoder) *checkTimes { return made(&current(d).times) }, checkFields),
		alphaWord(),
		kw("log_all_failures", onOff(), global("checker_log_all_failures"), "log every failed attempt until the check is down").
			fills(inCheck(func(v *Check) *bool { return &v.LogAllFailures })),
	)
}

// setFileWeight reads N [reverse|noreverse].
func setFileWeight(d *decoder, a *argument) {
	c := current(d)
	c.file.put(int(a.n))
	if len(a.Words) > 2 {
		switch option := a.Words[2].Text; option {
		case "reverse", "noreverse":
			c.fileReverse.put(option == "reverse")
		default:
			d.wrong(a.Statement, 2, "track-option", "unknown track file weight option %s - ignoring; expected reverse or noreverse", printable(option))
		}
	}
}

var dnsTypes = []string{"A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG", "DNSKEY"}

func setDNSType(d *decoder, a *argument) {
	name := strings.ToUpper(a.text)
	if !slices.Contains(dnsTypes, name) {
		d.wrong(a.Statement, 1, "bad-choice", "Unknown DNS check type %s - ignoring; expected %s", printable(a.text), strings.Join(dnsTypes, ", "))
		return
	}
	current(d).DNS.Type = d.intern(name)
}

// setDNSName checks that the name can be put into a question: labels of 1 to 63
// bytes, 253 together.
func setDNSName(d *decoder, a *argument) {
	name := strings.TrimSuffix(a.text, ".")
	if name == "" {
		current(d).DNS.Name = ""
		return
	}
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			d.wrong(a.Statement, 1, "dns-name", "DNS_CHECK name '%s' has empty label - ignoring", printable(a.text))
			return
		case len(label) > 63 || len(name) > 253:
			d.wrong(a.Statement, 1, "dns-name", "DNS_CHECK name '%s' is too long - ignoring; labels have at most 63 bytes, names 253", printable(a.text))
			return
		}
	}
	if current(d).DNS.Name != "" {
		d.wrong(a.Statement, 0, "word-twice", "DNS_CHECK name already specified - ignoring")
		return
	}
	current(d).DNS.Name = d.intern(name)
}

func udpWords() []*Keyword {
	length := func(name, def, doc string, field func(*UDPCheck) *int) *Keyword {
		return kw(name, number(0, 65535), def, doc).fills(inCheck(func(c *Check) *int { return field(c.UDP) }))
	}
	return []*Keyword{
		kw("payload", several("HEX...").soft("UDP_CHECK payload requires a payload"), "a text", "payload to send, in hexadecimal").sets(func(d *decoder, a *argument) {
			payload, mask, ok := parseHex(a.Words[1:])
			if !ok || mask != nil {
				d.wrong(a.Statement, 1, "bad-hex", "Invalid hex string for UDP_CHECK payload")
				return
			}
			current(d).UDP.Payload = payload
		}).shows(shown(func(v *Check) *[]byte { return &v.UDP.Payload })),
		kw("require_reply", several("[HEX...]").opt(), "off", "require an answer, and optionally its bytes in hexadecimal; x stands for any digit").sets(func(d *decoder, a *argument) {
			u := current(d).UDP
			u.RequireReply = true
			if reply, mask, ok := parseHex(a.Words[1:]); ok {
				u.Reply, u.ReplyMask = reply, mask
			} else {
				d.wrong(a.Statement, 1, "bad-hex", "Invalid hex string for UDP_CHECK reply")
			}
		}).shows(
			shown(func(v *Check) *bool { return &v.UDP.RequireReply }).argument(0),
			shown(func(v *Check) *[]byte { return &v.UDP.Reply }).argument(0),
			shown(func(v *Check) *[]byte { return &v.UDP.ReplyMask }).argument(2),
		),
		length("min_reply_length", "0", "shortest valid answer", func(u *UDPCheck) *int { return &u.MinLength }),
		length("max_reply_length", "255", "longest valid answer", func(u *UDPCheck) *int { return &u.MaxLength }),
	}
}

// parseHex reads words of hexadecimal digits, two to a byte; the last of an odd
// number is a byte of its own. mask has the bits of digits that are not x; it is
// nil if there is no x.
func parseHex(words []Token) (value, mask []byte, ok bool) {
	wild := false
	for _, w := range words {
		for s := w.Text; s != ""; {
			n := min(2, len(s))
			var v, m byte
			for _, c := range []byte(s[:n]) {
				digit := syntax.HexDigit(c)
				v, m = v<<4, m<<4|15
				switch {
				case digit >= 0:
					v |= byte(digit)
				case c == 'x' || c == 'X':
					wild = true
					m &^= 15
				default:
					return nil, nil, false
				}
			}
			if n == 1 {
				m |= 0xf0
			}
			value, mask = append(value, v), append(mask, m)
			s = s[n:]
		}
	}
	if !wild {
		mask = nil
	}
	return value, mask, true
}

// httpWords set what is fetched; tls adds those of SSL_GET.
func httpWords(path string, tls bool) []*Keyword {
	page := func(d *decoder) *url { return d.servers.url }
	offset := func(name, def, doc string, field func(*Regex) *int) *Keyword {
		return kw(name, number(0, 1<<31-1), def, doc).
			sets(func(d *decoder, a *argument) { *field(&page(d).regex) = int(a.n) }).
			shows(shown(func(u *URL) *int { return field(u.Regex) }))
	}
	words := vocabulary(path+".url",
		kw("path", word("PATH"), "", "path of the page; required").
			fills(inURL(func(v *URL) *string { return &v.Path })),
		kw("digest", word("HEX"), "", "MD5 sum of the body, 32 digits").fills(inURL(func(v *URL) *string { return &v.Digest })).sets(setDigest),
		kw("status_code", several("N[-N]..."), "200-299", "accepted status codes, 100 to 599").sets(setStatus).
			shows(shown(func(v *URL) *[]StatusRange { return &v.Status })),
		kw("virtualhost", word("NAME").soft("HTTP_GET url virtualhost missing"), outer("of the check"), "host name in the request").
			sets(func(d *decoder, a *argument) { page(d).Host = d.intern(a.text) }).shows(shown(func(v *URL) *string { return &v.Host })),
		kw("regex", cmd().as("PATTERN"), "", "pattern that the body must match").sets(func(d *decoder, a *argument) {
			if len(a.cmd) > 0 {
				page(d).regex.Pattern = d.intern(a.cmd[0])
				page(d).regexAt = a.Place(1)
			}
		}).shows(shown(func(v *URL) *string { return &v.Regex.Pattern })),
		kw("regex_no_match", bare(), "off", "require that the body does not match").
			sets(func(d *decoder, a *argument) { page(d).regex.NoMatch = true }).shows(shown(func(v *URL) *bool { return &v.Regex.NoMatch })),
		kw("regex_options", several(strings.Join(pcre.Options, "|")), "", "options of the pattern").sets(setRegexOptions).
			shows(shown(func(v *URL) *[]string { return &v.Regex.Options })),
		kw("regex_stack", several("START MAX"), "", "working memory of PCRE2; understood and not needed: matching here has no stack").sets(setRegexStack).
			shows(shown(func(v *URL) *uint { return &v.Regex.StackStart }), shown(func(v *URL) *uint { return &v.Regex.StackMax }).argument(2)),
		offset("regex_min_offset", "0", "first position at which a match may begin", func(r *Regex) *int { return &r.MinOffset }),
		offset("regex_max_offset", "unlimited", "last position at which a match may begin", func(r *Regex) *int { return &r.MaxOffset }),
	)
	compliant := func(def Initial, field func(*decoder) *opt[bool]) *Keyword {
		return kw("tls_compliant", onOff(), def, "require that the TLS session is closed properly").newer().
			sets(func(d *decoder, a *argument) { field(d).put(a.on) }).shows(shown(func(v *URL) *bool { return &v.TLSCompliant }))
	}
	if tls {
		words.add(compliant(outer("of the check"), func(d *decoder) *opt[bool] { return &page(d).tls }))
	}
	words.open = func(d *decoder, s *Statement) bool {
		d.servers.url = &url{regex: Regex{MaxOffset: -1}}
		return true
	}
	words.close = closeURL
	words.needs("path", "HTTP/SSL_GET checker url has no path - ignoring")
	list := []*Keyword{
		kw("nb_get_retry", number(0, 1<<32-1), "", "old name of retry").gone("retry").
			sets(func(d *decoder, a *argument) { made(&current(d).times)[retryTime].put(a.n) }).shows(checkFields[retryTime]),
		kw("virtualhost", word("NAME").soft("HTTP_GET virtualhost name missing"), outer("of the real server"), "host name in the request").
			sets(func(d *decoder, a *argument) { current(d).host = d.intern(a.text) }),
		kw("http_protocol", word("1.0|1.0C|1.1").soft("Missing http_protocol version"), "1.0", "HTTP version; C requests that the server closes the connection").
			sets(setHTTPProtocol).shows(shown(func(v *Check) *HTTPProtocol { return &v.HTTP.Protocol })),
		kw("enable_sni", onOff(), "off", "send the host name in the TLS handshake").
			fills(inCheck(func(v *Check) *bool { return &v.HTTP.SNI })),
		kw("sni_name", word("NAME"), sibling("virtualhost"), "host name in the TLS handshake").newer().
			sets(func(d *decoder, a *argument) { current(d).HTTP.SNIName = d.intern(a.text) }).shows(shown(func(v *Check) *string { return &v.HTTP.SNIName })),
		kw("fast_recovery", onOff(), "off", "fetch all pages without a delay while recovering").
			fills(inCheck(func(v *Check) *bool { return &v.HTTP.FastRecovery })),
		kw("url", braced("{}"), "", "a page; required, repeatable").holds(words),
	}
	if tls {
		list = append(list, compliant(plain("off"), func(d *decoder) *opt[bool] { return &current(d).tls }))
	}
	return list
}

func setHTTPProtocol(d *decoder, a *argument) {
	h := current(d).HTTP
	switch a.text {
	case "1.0":
		h.Protocol = HTTP10
	case "1.0C", "1.0c":
		h.Protocol = HTTP10Close
	case "1.1":
		h.Protocol = HTTP11
	default:
		d.wrong(a.Statement, 1, "bad-choice", "Invalid http_protocol version %s; expected 1.0, 1.0C or 1.1", printable(a.text))
	}
}

func setDigest(d *decoder, a *argument) {
	_, mask, ok := parseHex(a.Words[1:2])
	switch {
	case len(a.text) != 32:
		d.wrong(a.Statement, 1, "bad-digest", "digest '%s' character length should be 32 rather than %d", printable(a.text), len(a.text))
	case !ok || mask != nil:
		d.wrong(a.Statement, 1, "bad-digest", "digest '%s' is not hexadecimal", printable(a.text))
	default:
		if d.servers.url.Digest != "" {
			d.wrong(a.Statement, 1, "word-twice", "Digest '%s' is a duplicate", printable(a.text))
			return
		}
		d.servers.url.Digest = d.intern(strings.ToLower(a.text))
	}
}

func setStatus(d *decoder, a *argument) {
	code := func(s string) (uint16, bool) {
		n, err := strconv.ParseUint(s, 10, 16)
		return uint16(n), err == nil && n >= 100 && n <= 599
	}
	u := d.servers.url
	for i, w := range a.Words[1:] {
		from, to, ranged := strings.Cut(w.Text, "-")
		first, ok := code(from)
		last := first
		if ok && ranged {
			last, ok = code(to)
		}
		if !ok || last < first {
			d.wrong(a.Statement, i+1, "bad-status", "Invalid HTTP_GET status code '%s'; expected numbers and ranges from 100 to 599", printable(w.Text))
			continue
		}
		u.Status = append(u.Status, StatusRange{first, last})
	}
}

// setRegexOptions takes the options it knows. The C daemon does not report
// others in a test.
func setRegexOptions(d *decoder, a *argument) {
	r := &d.servers.url.regex
	d.servers.url.optionsAt = a.Place(0)
	for i, w := range a.Words[1:] {
		if !slices.Contains(pcre.Options, w.Text) {
			d.report(a.Statement, i+1, Diagnostic{
				Severity: Warning, Class: ClassNone, Code: "regex-option",
				Message: "unknown regex option " + printable(w.Text) + " - ignoring", Fix: "options are " + strings.Join(pcre.Options, ", "),
			})
			continue
		}
		r.Options = append(r.Options, d.intern(w.Text))
	}
}

func setRegexStack(d *decoder, a *argument) {
	r := &d.servers.url.regex
	var n [2]uint
	for i := range n {
		if len(a.Words) > i+1 {
			v, err := strconv.ParseUint(a.Words[i+1].Text, 10, 31)
			if err == nil && v > 0 {
				n[i] = uint(v)
			}
		}
	}
	if n[0] == 0 || n[1] < n[0] {
		d.report(a.Statement, 1, Diagnostic{
			Severity: Warning, Class: ClassNone, Code: "regex-stack",
			Message: "regex_stack needs two numbers, the first not above the second - ignoring",
		})
		return
	}
	r.StackStart, r.StackMax = n[0], n[1]
}

func closeURL(d *decoder, s *Statement) {
	u := d.servers.url
	d.servers.url = nil
	if u.Path == "" {
		return
	}
	if u.regex.Pattern != "" {
		u.Regex = &u.regex
		d.checkRegex(u)
	}
	if len(u.Status) == 0 {
		u.Status = []StatusRange{{200, 299}}
	}
	c := current(d)
	c.urls = append(c.urls, u)
}

// checkRegex reports a pattern that no check can use.
func (d *decoder) checkRegex(u *url) {
	key := u.regex.Pattern + "\x00" + strings.Join(u.regex.Options, " ")
	err, known := d.servers.regexes[key]
	if !known {
		_, err = pcre.Compile(u.regex.Pattern, u.regex.Options)
		if d.servers.regexes == nil {
			d.servers.regexes = make(map[string]error)
		}
		d.servers.regexes[key] = err
	}
	if err == nil {
		return
	}
	at := u.regexAt
	if e := (*pcre.Error)(nil); errors.As(err, &e) && e.Column == 0 {
		at = u.optionsAt
	}
	d.reportAt(at, Diagnostic{
		Severity: Error, Class: ClassOrdinary, Code: "bad-regex",
		Message: fmt.Sprintf("regex cannot be used, so the %v is disabled: %v", current(d).Kind, err), Fix: "write the pattern without it",
	})
}
