package checkd

import (
	"crypto/tls"
	"fmt"
	"log/slog"

	"keepalived-go/conf"
	"keepalived-go/conf/pcre"
	"keepalived-go/internal/checkd/attempt"
	"keepalived-go/internal/checkd/life"
	"keepalived-go/internal/linux/fwmark"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/named"
	"keepalived-go/internal/policy"
	"keepalived-go/lvs"
)

// A plan is what a configuration asks of this process: what the service engine
// gets, and how each check is done. It is made beside the loop, since programs and
// certificates are looked up for it.
type plan struct {
	conf     *conf.Config
	services *lvs.Config
	marks    map[policy.Mark]uint32 // that stand for groups, with nftables_ipvs
	marked   *fwmark.Table          // for which packets they do; nil: none
	// addresses watches those of this machine from now on; nil: no service depends on
	// them, or it is done already.
	addresses *addresses
	checks    []planned // that with lvs.CheckID n is at n-1
}

// planned is a check as the configuration has it.
type planned struct {
	policy.ServerCheck
	kind attempt.Kind // nil: it cannot be done
	why  string       // the reason for that
	life *life.Config // equal ones share one
}

// newPlan makes the plan of c; groups that have marks keep them.
func newPlan(c *conf.Config, marks map[policy.Mark]uint32) *plan {
	b := policy.ServiceConfig(c, marks)
	p := &plan{conf: c, services: b.Config, marks: b.Marks, marked: marksTable(c, b.Marked), checks: make([]planned, len(b.Checks))}
	var identity *tls.Config // of all SSL_GET
	service := ""            // its name, of the check before; those of a service share it
	lives := make(map[life.Config]*life.Config)
	shared := func(l life.Config) *life.Config {
		known := lives[l]
		if known == nil {
			known = new(life.Config)
			*known, lives[l] = l, known
		}
		return known
	}
	for i := range b.Checks {
		k := &p.checks[i]
		k.ServerCheck = b.Checks[i]
		if k.Check.Kind == conf.CheckSSL && identity == nil {
			identity = tlsConfig(c.TLSClient)
		}
		if i == 0 || k.Service != b.Checks[i-1].Service {
			service = k.Service.String()
		}
		kind, err := kindOf(&k.ServerCheck, service, c, identity)
		if err != nil {
			k.why, k.life = err.Error(), shared(life.Config{})
			slog.Error(fmt.Sprintf("%s of service %s is disabled, the server counts as up: %v", k.Check.Kind, k.Name(), err),
				"service", k.Service.String(), "server", k.Name())
			continue
		}
		k.kind, k.life = kind, shared(lifeOf(k.Check, kind))
	}
	return p
}

// tlsConfig is what SSL_GET shows to servers. A certificate that cannot be read is
// not shown.
func tlsConfig(c *conf.TLSClient) *tls.Config {
	var shows *tls.Certificate
	if c != nil {
		var err error
		if shows, err = named.Identity(c); err != nil {
			slog.Error(fmt.Sprintf("SSL: %v; checks show no certificate", err))
		}
	}
	return attempt.TLS(shows, true)
}

// lifeOf is how a check is repeated.
func lifeOf(c *conf.Check, kind attempt.Kind) life.Config {
	l := life.Config{
		DelayLoop: c.DelayLoop, Retry: c.Retry, DelayBeforeRetry: c.DelayBeforeRetry, Warmup: c.Warmup,
		Alpha: c.Alpha, Longest: kind.Longest(),
	}
	switch c.Kind {
	case conf.CheckHTTP, conf.CheckSSL:
		l.Pages, l.Remember, l.FastRecovery = len(c.HTTP.URLs), true, c.HTTP.FastRecovery
	case conf.CheckSMTP:
		l.PatientStart = true
	case conf.CheckMisc:
		l.FromStart = true
	case conf.CheckBFD, conf.CheckFile:
		l.Events = true
	}
	return l
}

// kindOf is how a check is done; service is the name of its service.
func kindOf(c *policy.ServerCheck, service string, all *conf.Config, identity *tls.Config) (attempt.Kind, error) {
	names := attempt.Names{Server: c.Name(), Service: service}
	k := c.Check
	to := (*attempt.Connection)(k.Connect)
	switch k.Kind {
	case conf.CheckTCP:
		return &attempt.TCP{Names: names, Connection: to}, nil
	case conf.CheckHTTP:
		return httpKind(names, to, k.HTTP, nil)
	case conf.CheckSSL:
		return httpKind(names, to, k.HTTP, identity)
	case conf.CheckSMTP:
		return &attempt.SMTP{Names: names, Connection: to, Helo: k.SMTP.Helo}, nil
	case conf.CheckDNS:
		return &attempt.DNS{Names: names, Connection: to, Type: k.DNS.Type, Name: k.DNS.Name}, nil
	case conf.CheckUDP:
		return &attempt.UDP{Names: names, Connection: to, Payload: k.UDP.Payload, RequireReply: k.UDP.RequireReply,
			Reply: k.UDP.Reply, Mask: k.UDP.ReplyMask, MinLength: k.UDP.MinLength, MaxLength: k.UDP.MaxLength}, nil
	case conf.CheckPing:
		return &attempt.Ping{Names: names, Connection: to}, nil
	case conf.CheckMisc:
		program, err := script.Resolve(k.Misc.Command, all.Global.Scripts)
		if err != nil {
			return nil, err
		}
		return &attempt.Misc{Names: names, Command: k.Misc.Command.Args[0], Program: program,
			Timeout: k.Misc.Timeout, Dynamic: k.Misc.Dynamic}, nil
	case conf.CheckBFD:
		return &attempt.BFD{Names: names, Session: k.BFD.Name}, nil
	case conf.CheckFile:
		return &attempt.File{Names: names, File: k.File.File, Weight: k.File.Weight, Reverse: k.File.Reverse}, nil
	}
	return nil, fmt.Errorf("unknown kind %d", k.Kind)
}

func httpKind(names attempt.Names, to *attempt.Connection, h *conf.HTTPCheck, identity *tls.Config) (attempt.Kind, error) {
	k := &attempt.HTTP{Names: names, Connection: to, TLS: identity, Protocol: protocolOf(h.Protocol), Pages: make([]attempt.Page, len(h.URLs))}
	for i := range h.URLs {
		u, p := &h.URLs[i], &k.Pages[i]
		*p = attempt.Page{Path: u.Path, Host: u.Host, Digest: u.Digest, TLSCompliant: u.TLSCompliant}
		for _, r := range u.Status {
			p.Status = append(p.Status, attempt.StatusRange{First: r.First, Last: r.Last})
		}
		if h.SNI {
			if p.SNI = h.SNIName; p.SNI == "" {
				p.SNI = u.Host
			}
		}
		if r := u.Regex; r != nil {
			pattern, err := pcre.Compile(r.Pattern, r.Options)
			if err != nil {
				return nil, fmt.Errorf("url %s: regex: %w", u.Path, err)
			}
			p.Regex = &attempt.Regex{Pattern: pattern, NoMatch: r.NoMatch, MinOffset: r.MinOffset, MaxOffset: r.MaxOffset}
		}
	}
	return k, nil
}

func protocolOf(p conf.HTTPProtocol) attempt.Protocol {
	switch p {
	case conf.HTTP10Close:
		return attempt.HTTP10Close
	case conf.HTTP11:
		return attempt.HTTP11
	}
	return attempt.HTTP10
}
