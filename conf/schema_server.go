package conf

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// servers is what is read of virtual servers until all is read.
type servers struct {
	list   []*virtualServer
	groups []*serverGroup

	// What is being filled.
	vs    *virtualServer
	rs    *realServer
	check *check
	url   *url
	group *serverGroup

	times    shared[checkTimes]
	timing   shared[CheckTiming]
	defaults shared[CheckDefaults]

	regexes map[string]error // what each pattern with its options lacks
}

// shared holds one copy of each value. Ten thousand servers are configured in a
// few ways.
type shared[T comparable] map[T]*T

func (s *shared[T]) of(v T) *T {
	if *s == nil {
		*s = make(shared[T])
	}
	p := (*s)[v]
	if p == nil {
		p = new(T)
		*p = v
		(*s)[v] = p
	}
	return p
}

// share is of for a value that may not be there.
func (s *shared[T]) share(p *T) *T {
	if p == nil {
		return nil
	}
	return s.of(*p)
}

// made is what *p points to, made when a word asks for it: most have none.
func made[T any](p **T) *T {
	if *p == nil {
		*p = new(T)
	}
	return *p
}

// checkTime is a word about the repetition of checks: a time, or the number of retry.
type checkTime int

const (
	retryTime checkTime = iota
	beforeTime
	warmupTime
	loopTime
	timeoutTime
	checkTimeWords
)

var checkTimeNames = [checkTimeWords]string{"retry", "delay_before_retry", "warmup", "delay_loop", "connect_timeout"}

// checkTimes are the values that a service, a real server or a check gives these words:
// nanoseconds, or the number.
type checkTimes [checkTimeWords]opt[int64]

// inherit is t, the values of a block, with those that its words inherit from outer.
func (t *checkTimes) inherit(b *block, outer checkTimes) (own checkTimes) {
	if t != nil {
		own = *t
	}
	for i, name := range checkTimeNames {
		if k := b.words[name]; k == nil || k.Outer {
			own[i].inherit(outer[i])
		}
	}
	return own
}

// of is a value: the one given, that of the word from which the word of a service takes
// it, or the default of that word; def if that depends on the kind of the check.
func (t *checkTimes) of(i checkTime, def int64) int64 {
	if t[i].set {
		return t[i].v
	}
	k := root().words["virtual_server"].block.words[checkTimeNames[i]]
	for _, path := range k.From {
		name := path[strings.LastIndexByte(path, '.')+1:]
		return t.of(checkTime(slices.Index(checkTimeNames[:], name)), def)
	}
	switch v := k.Value.(type) {
	case int64:
		return v
	case time.Duration:
		return int64(v)
	}
	return def
}

// period is of for a time.
func (t *checkTimes) period(i checkTime, def time.Duration) time.Duration {
	return time.Duration(t.of(i, int64(def)))
}

func (t *checkTimes) defaults() CheckDefaults {
	return CheckDefaults{
		ConnectTimeout: t.period(timeoutTime, 0), DelayLoop: t.period(loopTime, 0),
		Retry: int(t[retryTime].or(-1)), DelayBeforeRetry: time.Duration(t[beforeTime].or(-1)), Warmup: time.Duration(t[warmupTime].or(-1)),
	}
}

// virtualServer is a VirtualServer while its defaults are not known yet.
type virtualServer struct {
	*VirtualServer
	at    place
	times checkTimes

	forward, sorryForward opt[Forward]
	smtpAlert             opt[bool]
	given                 written // words of the block
	real                  []*realServer
	checks                []*check // of all of them
	sorryAt               place
}

// realServer is a RealServer likewise.
type realServer struct {
	RealServer
	at    place
	times *checkTimes // nil: no settings; shared once its block is read

	port      opt[uint16]
	forward   opt[Forward]
	smtpAlert opt[bool]
	given     written  // words of the block
	checks    [2]int32 // its part of those of the virtual server
}

type serverGroup struct {
	*ServerGroup
	at place
}

func virtualServerGroupBlock() *block {
	b := vocabulary("virtual_server_group",
		kw("fwmark", several("N [inet|inet6]"), "", "packets with this firewall mark").sets(setGroupMark),
	).lines(groupAddress, &Keyword{
		Name: "ADDRESS", Args: "ADDR[-LAST|-ADDR|/LEN] [PORT]", Range: "port 0 to 65535", Initial: plain("port 0, which is every port"),
		Doc: "an address or a range of addresses, one per line",
	})
	b.open = func(d *decoder, s *Statement) bool {
		d.servers.group = &serverGroup{&ServerGroup{Name: d.intern(s.Words[1].Text), Pos: d.pos(s)}, s.Place(0)}
		return true
	}
	b.close = closeServerGroup
	return b
}

func setGroupMark(d *decoder, a *argument) {
	g := d.servers.group
	n, ok := d.number(a.Statement, 1, 0, 1<<32-1)
	if !ok {
		return
	}
	e := GroupEntry{FWMark: uint32(n)}
	if len(a.Words) > 2 {
		if e.Family, ok = parseFamily(a.Words[2].Text); !ok {
			d.wrong(a.Statement, 2, "bad-choice", "(%s): fwmark '%s' family %s unknown - ignoring; expected inet or inet6", printable(g.Name), a.text, printable(a.Words[2].Text))
			return
		}
	}
	g.Entries = append(g.Entries, e)
}

func parseFamily(s string) (Family, bool) {
	switch s {
	case "inet":
		return IPv4, true
	case "inet6":
		return IPv6, true
	}
	return 0, false
}

// groupAddress takes a line of addresses. The end of a range is an address, the
// last byte of an IPv4 address or the last 16 bits of an IPv6 address.
func groupAddress(d *decoder, s *Statement) {
	text := s.Words[0].Text
	skip := func(format string) {
		d.wrong(s, 0, "bad-address", format+" - skipping", printable(text))
	}
	e := GroupEntry{}
	if addr, length, ok := strings.Cut(text, "/"); ok {
		first, err := plainAddr(addr)
		bits, bad := strconv.ParseUint(length, 10, 8)
		switch {
		case err != nil:
			skip("Invalid virtual server group IP address %s")
			return
		case bad != nil || bits == 0 || int(bits) > first.BitLen():
			skip("Invalid netmask - %s")
			return
		}
		prefix := netip.PrefixFrom(first, int(bits))
		if prefix.Masked().Addr() != first {
			skip("Address mask bits not empty - %s")
			return
		}
		e.First, e.Last = first, lastOf(prefix)
	} else {
		from, to, ranged := strings.Cut(text, "-")
		first, err := plainAddr(from)
		if err != nil {
			skip("Invalid virtual server group IP address %s")
			return
		}
		e.First, e.Last = first, first
		if ranged {
			if e.Last, ok = rangeEnd(first, to); !ok {
				skip("Invalid range end %s")
				return
			}
			if e.Last.Less(first) || e.Last == first && !strings.ContainsAny(to, ".:") {
				skip("Address range end is not greater than address range start - %s")
				return
			}
		}
	}
	e.Family = familyOf(e.First)
	port, ok := d.port(s, 1)
	if !ok {
		return
	}
	e.Port = port.v
	d.servers.group.Entries = append(d.servers.group.Entries, e)
}

// plainAddr reads an address without a zone.
func plainAddr(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	if err == nil && (addr.Zone() != "" || addr.Is4In6()) {
		return netip.Addr{}, strconv.ErrSyntax
	}
	return addr, err
}

// rangeEnd is the end of a range of addresses.
func rangeEnd(first netip.Addr, s string) (netip.Addr, bool) {
	if end, err := plainAddr(s); err == nil {
		return end, end.Is4() == first.Is4()
	}
	if first.Is4() {
		n, err := strconv.ParseUint(s, 10, 8)
		b := first.As4()
		b[3] = byte(n)
		return netip.AddrFrom4(b), err == nil
	}
	n, err := strconv.ParseUint(s, 16, 16)
	b := first.As16()
	b[14], b[15] = byte(n>>8), byte(n)
	return netip.AddrFrom16(b), err == nil
}

// lastOf is the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

func closeServerGroup(d *decoder, s *Statement) {
	g := d.servers.group
	d.servers.group = nil
	if len(g.Entries) == 0 {
		d.report(s, 0, Diagnostic{
			Severity: Warning, Class: ClassOrdinary, Code: "empty-block",
			Message: "virtual server group " + printable(g.Name) + " has no entries - removing",
		})
		return
	}
	v4, v6, bare := g.families()
	if v4 && v6 && bare {
		d.report(s, 0, Diagnostic{
			Severity: Error, Class: ClassOrdinary, Code: "group-family",
			Message: "virtual server group " + printable(g.Name) + " cannot have IPv4, IPv6 and fwmark without family - removing",
			Fix:     "write inet or inet6 after the number of each fwmark",
		})
		return
	}
	d.servers.groups = append(d.servers.groups, g)
}

// families reports which families the entries have; bare is a mark without one.
func (g *ServerGroup) families() (v4, v6, bare bool) {
	for i := range g.Entries {
		switch g.Entries[i].Family {
		case IPv4:
			v4 = true
		case IPv6:
			v6 = true
		default:
			bare = true
		}
	}
	return
}

// pos is where a statement begins, fit to be kept.
func (d *decoder) pos(s *Statement) Pos {
	p := s.Pos(0)
	p.File = d.intern(p.File)
	return p
}

// port reads an optional port; 0 is every port.
func (d *decoder) port(s *Statement, word int) (opt[uint16], bool) {
	var port opt[uint16]
	if len(s.Words) <= word || s.Words[word].Text == "0" {
		return port, true
	}
	n, ok := d.number(s, word, 1, 65535)
	port.put(uint16(n))
	return port, ok
}

// endpoint reads IP [PORT].
func (d *decoder) endpoint(s *Statement, what string) (addr netip.Addr, port opt[uint16], ok bool) {
	addr, ok = d.single(s, 1, s.Keyword())
	if !ok {
		d.wrong(s, 1, "bad-address", "Invalid %s ip address %s - skipping", what, printable(s.Words[1].Text))
		return addr, port, false
	}
	port, ok = d.port(s, 2)
	return addr, port, ok
}

const forwarding = "NAT|DR|TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]"

// schedulers are those of IPVS.
var schedulers = []string{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "mh", "dh", "fo", "ovf", "sed", "nq", "twos"}

func scheduler() args { return oneOf(schedulers...) }
func method() args    { return oneOf("NAT", "DR", "TUN").as(forwarding) }

// forward reads NAT, DR or TUN with its options.
func (d *decoder) forward(a *argument) (f Forward, ok bool) {
	f.Method = ForwardMethod(slices.Index(a.k.args.choices, a.text))
	bad := func(i int, format string, args ...any) (Forward, bool) {
		d.wrong(a.Statement, i, "bad-method", format, args...)
		return f, false
	}
	sum := 0
	for i := 2; i < len(a.Words); i++ {
		switch option := a.Words[i].Text; option {
		case "type", "port":
			i++
			if i == len(a.Words) {
				return bad(i, "%s of %s has no value; expected %s", option, a.k.Name, forwarding)
			}
			if option == "type" {
				n := slices.Index([]string{"ipip", "gue", "gre"}, a.Words[i].Text)
				if n < 0 || f.Method != ForwardTunnel {
					return bad(i, "Unknown tunnel type %s for %s; expected %s", printable(a.Words[i].Text), a.k.Name, forwarding)
				}
				f.Tunnel = TunnelType(n)
				continue
			}
			n, valid := d.number(a.Statement, i, 1, 65535)
			if !valid {
				return f, false
			}
			f.Port = uint16(n)
		case "nocsum", "csum", "remcsum":
			f.Checksum, sum = TunnelChecksum(slices.Index([]string{"nocsum", "csum", "remcsum"}, option)), i
		default:
			return bad(i, "Unknown option %s of %s; expected %s", printable(option), a.k.Name, forwarding)
		}
	}
	switch {
	case (f.Tunnel == TunnelGUE) != (f.Port != 0):
		return bad(1, "gue tunnels require port, otherwise cannot have port.")
	case f.Tunnel == TunnelIPIP && f.Checksum != NoChecksum:
		return bad(sum, "ipip tunnels do not support checksum option.")
	case f.Tunnel == TunnelGRE && f.Checksum == RemoteChecksum:
		return bad(sum, "gre tunnels do not support remote checksum option.")
	}
	return f, true
}

// longest is a period beyond which nothing is meant, in seconds.
const longest = 9e9

// timerWords may be given for a service, a real server or a check; fewest is the
// smallest number of retries.
func timerWords(def Initial, fewest int64, times func(*decoder) *checkTimes, f timeFields) []*Keyword {
	inherit := func(own Initial) Initial {
		if def.Default != "" {
			return def
		}
		return own
	}
	period := func(i checkTime, min float64, own Initial, doc string) *Keyword {
		return timeWord(i, min, longest, inherit(own), doc, times, f)
	}
	return []*Keyword{
		kw(checkTimeNames[retryTime], number(fewest, 1<<32-1), inherit(depends("1; 3 of DNS_CHECK, 0 of MISC_CHECK")), "number of failures in a row, minus one, that takes a real server out").
			sets(func(d *decoder, a *argument) { times(d)[retryTime].put(a.n) }).shows(f[retryTime]),
		period(beforeTime, 0, depends("1; 3 of HTTP_GET and SSL_GET, delay_loop of DNS_CHECK"), "time between two attempts while the check fails"),
		period(warmupTime, 0, sibling("delay_loop"), "longest random delay before the first check"),
		period(loopTime, 0.000001, plain("60"), "time between two checks"),
	}
}

// timeFields are where the model has the times of a service, a real server or a
// check.
type timeFields [checkTimeWords]Field

// defaultTimes are those of a service or a real server.
func defaultTimes[S any](at func(*S) *CheckDefaults) timeFields {
	return timeFields{
		retryTime:   shown(func(s *S) *int { return &at(s).Retry }),
		beforeTime:  shown(func(s *S) *time.Duration { return &at(s).DelayBeforeRetry }),
		warmupTime:  shown(func(s *S) *time.Duration { return &at(s).Warmup }),
		loopTime:    shown(func(s *S) *time.Duration { return &at(s).DelayLoop }),
		timeoutTime: shown(func(s *S) *time.Duration { return &at(s).ConnectTimeout }),
	}
}

// timeWord is one of the words, for a time from min to most seconds.
func timeWord(i checkTime, min, most float64, def Initial, doc string, times func(*decoder) *checkTimes, f timeFields) *Keyword {
	return kw(checkTimeNames[i], seconds(min, most), def, doc).
		sets(func(d *decoder, a *argument) { times(d)[i].put(int64(a.d)) }).shows(f[i])
}

func timeoutWord(def Initial, f timeFields, times func(*decoder) *checkTimes) *Keyword {
	return timeWord(timeoutTime, 0.000001, 4294.967295, def, "time limit for a connection", times, f)
}

func virtualServerBlock() *block {
	flag := func(name, doc string, field func(*VirtualServer) *bool) *Keyword {
		return kw(name, bare(), "off", doc).fills(inService(field))
	}
	// schedulerFlag is a flag of the schedulers whose names begin with of.
	schedulerFlag := func(name, of, doc string, field func(*VirtualServer) *bool) *Keyword {
		return kw(name, bare(), "off", doc).sets(func(d *decoder, a *argument) {
			if vs := d.servers.vs; of != "" && vs.Scheduler != of {
				d.wrong(a.Statement, 0, "scheduler-flag", "%s only applies to %s scheduler - ignoring; it stands after lb_algo %s", name, of, of)
				return
			}
			*field(d.servers.vs.VirtualServer) = true
		}).shows(shown(field))
	}
	flag1 := func(v *VirtualServer) *bool { return &v.Flag1 }
	flag2 := func(v *VirtualServer) *bool { return &v.Flag2 }
	algorithm := inService(func(v *VirtualServer) *string { return &v.Scheduler })
	setMethod := func(d *decoder, a *argument) {
		if f, ok := d.forward(a); ok {
			d.servers.vs.forward.put(f)
		}
	}
	times, fields := func(d *decoder) *checkTimes { return &d.servers.vs.times }, defaultTimes(func(v *VirtualServer) *CheckDefaults { return v.Defaults })
	forward := shown(func(v *VirtualServer) *Forward { return &v.Forward })
	b := vocabulary("virtual_server",
		kw("ip_family", oneOf("inet", "inet6"), "that of the real servers", "address family of a firewall mark").sets(setServiceFamily).
			shows(shown(func(v *VirtualServer) *Family { return &v.Family }).argument(0)),
		timeoutWord(plain("5"), fields, times),
		flag("inhibit_on_failure", "set the weight of failed real servers to 0 instead of removing them", func(v *VirtualServer) *bool { return &v.InhibitOnFail }),
		kw("lb_algo", scheduler(), "wlc", "scheduler: how connections are distributed to the real servers").fills(algorithm),
		kw("lvs_sched", scheduler(), "wlc", "the same as lb_algo").fills(algorithm),
		schedulerFlag("hashed", "sh", "sh: the flag that the kernel calls hashed", func(v *VirtualServer) *bool { return &v.Hashed }),
		flag("ops", "schedule each UDP packet separately", func(v *VirtualServer) *bool { return &v.OnePacket }),
		schedulerFlag("flag-1", "", "first flag of the scheduler", flag1),
		schedulerFlag("flag-2", "", "second flag of the scheduler", flag2),
		schedulerFlag("flag-3", "", "third flag of the scheduler", func(v *VirtualServer) *bool { return &v.Flag3 }),
		schedulerFlag("sh-port", "sh", "sh: include the port in the hash", flag2),
		schedulerFlag("sh-fallback", "sh", "sh: use another server if the chosen one is unavailable", flag1),
		schedulerFlag("mh-port", "mh", "mh: include the port in the hash", flag2),
		schedulerFlag("mh-fallback", "mh", "mh: use another server if the chosen one is unavailable", flag1),
		kw("lb_kind", method(), "NAT", "forwarding method to real servers").sets(setMethod).shows(forward),
		kw("lvs_method", method(), "NAT", "the same as lb_kind").sets(setMethod).shows(forward),
		kw("persistence_engine", word("NAME"), "none", "persistence engine, such as sip").
			fills(inService(func(v *VirtualServer) *string { return &v.PersistenceEngine })),
		kw("persistence_timeout", number(1, 2678400).as("SECS").opt(), depends("off; 360 without a number"), "how long a client stays with its real server").
			sets(func(d *decoder, a *argument) {
				d.servers.vs.Persistence = defaultPersistence
				if a.given() {
					d.servers.vs.Persistence = time.Duration(a.n) * time.Second
				}
			}).shows(shown(func(v *VirtualServer) *time.Duration { return &v.Persistence })),
		kw("persistence_granularity", word("MASK|LEN"), "one address", "treat clients of one network as one client").sets(setGranularity).
			shows(shown(func(v *VirtualServer) *uint32 { return &v.Granularity }).argument(0)),
		kw("protocol", word("TCP|UDP|SCTP"), "UDP, with an error message", "protocol of the service").sets(setProtocol).shows(shown(func(v *VirtualServer) *Protocol { return &v.Protocol })),
		flag("ha_suspend", "suspend checks while the address is not on this node", func(v *VirtualServer) *bool { return &v.HASuspend }),
		kw("smtp_alert", onOff(), global("smtp_alert_checker").as("smtp_alert_checker, else off"), "send mail when the service or a real server goes up or down").
			sets(func(d *decoder, a *argument) { d.servers.vs.smtpAlert.put(a.on) }).shows(shown(func(v *VirtualServer) *bool { return &v.SMTPAlert })),
		kw("virtualhost", word("NAME").soft("virtual server virtualhost missing"), "", "host name for HTTP checks").
			fills(inService(func(v *VirtualServer) *string { return &v.VirtualHost })),
		snmpName("virtual server", inService(func(v *VirtualServer) *string { return &v.SNMPName })),
		flag("alpha", "real servers are down until a check succeeds", func(v *VirtualServer) *bool { return &v.Alpha }),
		flag("omega", "send notifications for all real servers at shutdown", func(v *VirtualServer) *bool { return &v.Omega }),
		commandOnce("quorum_up", "command when enough real servers are up", func(d *decoder) *Command { return &d.servers.vs.QuorumUp }).shows(shown(func(v *VirtualServer) *Command { return &v.QuorumUp })),
		commandOnce("quorum_down", "command when too few real servers are up", func(d *decoder) *Command { return &d.servers.vs.QuorumDown }).shows(shown(func(v *VirtualServer) *Command { return &v.QuorumDown })),
		kw("quorum", number(1, 1<<32-1), "1", "lowest sum of the weights of working real servers with which the service is up").
			fills(inService(func(v *VirtualServer) *uint32 { return &v.Quorum })),
		kw("hysteresis", number(0, 1<<32-1), "0", "how far the sum of weights must exceed or fall below the quorum to change the state").
			fills(inService(func(v *VirtualServer) *uint32 { return &v.Hysteresis })),
		kw("weight", number(0, 1<<31-1), "1", "weight of real servers that do not set one").
			fills(inService(func(v *VirtualServer) *int { return &v.Weight })),
		kw("sorry_server", several("IP [PORT]"), "", "server that is used while there are too few real servers").sets(setSorryServer).
			shows(shown(func(v *VirtualServer) *netip.Addr { return &v.Sorry.Addr }), shown(func(v *VirtualServer) *uint16 { return &v.Sorry.Port }).argument(2)),
		kw("sorry_server_inhibit", bare(), "off", "like inhibit_on_failure, for the sorry server").sets(func(d *decoder, a *argument) {
			if vs := d.servers.vs; vs.Sorry != nil {
				vs.Sorry.InhibitOnFail = true
				return
			}
			d.wrong(a.Statement, 0, "no-sorry-server", "Ignoring sorry_server inhibit used before or without sorry_server")
		}).shows(shown(func(v *VirtualServer) *bool { return &v.Sorry.InhibitOnFail })),
		kw("sorry_server_lvs_method", method(), sibling("lb_kind"), "forwarding method to the sorry server").sets(func(d *decoder, a *argument) {
			if d.servers.vs.Sorry == nil {
				d.wrong(a.Statement, 0, "no-sorry-server", "sorry_server forwarding used without sorry_server; it stands before this line")
				return
			}
			if f, ok := d.forward(a); ok {
				d.servers.vs.sorryForward.put(f)
			}
		}).shows(shown(func(v *VirtualServer) *Forward { return &v.Sorry.Forward })),
		kw("real_server", several("IP [PORT] {}"), "", "a server of the service").holds(realServerBlock()),
	)
	b.add(timerWords(Initial{}, 1, times, fields)...)
	b.given = func(d *decoder) *written { return &d.servers.vs.given }
	b.open = openVirtualServer
	b.close = func(d *decoder, s *Statement) {
		d.servers.list = append(d.servers.list, d.servers.vs)
		d.servers.vs = nil
	}
	return b
}

// defaultPersistence is what the kernel's tools take without a number.
const defaultPersistence = 360 * time.Second

func snmpName(of string, f field) *Keyword {
	message := of + " snmp_name missing or extra parameters"
	return kw("snmp_name", word("NAME").soft(message), "", "name in SNMP tables").sets(func(d *decoder, a *argument) {
		if len(a.Words) != 2 {
			d.wrong(a.Statement, 2, "extra-argument", "%s", message)
			return
		}
		*f.of(d).(*string) = d.intern(a.text)
	}).fills(f)
}

// commandOnce declares a command of which the first stays.
func commandOnce(name, doc string, field func(*decoder) *Command) *Keyword {
	return kw(name, cmd(), "", doc).sets(func(d *decoder, a *argument) {
		what := fmt.Sprintf("(%s) %s script", d.servers.vs, name)
		d.keep(field(d), a, what, what+" already specified - ignoring "+firstOf(d, a))
	})
}

// command is the argument CMD [USER [GROUP]]. The command line is one word for
// the file and several for the system.
func (a *argument) command(d *decoder) Command {
	if len(a.cmd) == 0 {
		return Command{}
	}
	c := Command{Args: a.line, Pos: d.pos(a.Statement)}
	if len(a.cmd) > 1 {
		c.User = d.intern(a.cmd[1])
	}
	if len(a.cmd) > 2 {
		c.Group = d.intern(a.cmd[2])
	}
	return c
}

func setServiceFamily(d *decoder, a *argument) {
	vs := d.servers.vs
	family, _ := parseFamily(a.text)
	if vs.Family != 0 && vs.Family != family {
		d.wrong(a.Statement, 1, "family", "Virtual server specified family %s conflicts with server family", a.text)
		return
	}
	vs.Family = family
}

// setGranularity reads an IPv4 mask, or a prefix length.
func setGranularity(d *decoder, a *argument) {
	vs := d.servers.vs
	if vs.Persistence == 0 {
		vs.Persistence = defaultPersistence
	}
	if mask, err := netip.ParseAddr(a.text); err == nil && mask.Is4() && vs.Family != IPv6 {
		b := mask.As4()
		vs.Granularity = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		vs.Family = IPv4
		return
	}
	n, err := strconv.ParseUint(a.text, 10, 8)
	switch {
	case err != nil || n == 0 || n > 128 || vs.Family == IPv4 && n > 32:
		family := "IPv6"
		if vs.Family == IPv4 {
			family = "IPv4"
		}
		d.wrong(a.Statement, 1, "bad-mask", "Invalid %s persistence_granularity specified - %s", family, printable(a.text))
	case vs.Family == IPv4:
		vs.Granularity = ^uint32(0) << (32 - n)
	default:
		vs.Granularity = uint32(n)
		vs.Family = IPv6
	}
}

func setProtocol(d *decoder, a *argument) {
	switch strings.ToUpper(a.text) {
	case "TCP":
		d.servers.vs.Protocol = TCP
	case "UDP":
		d.servers.vs.Protocol = UDP
	case "SCTP":
		d.servers.vs.Protocol = SCTP
	default:
		d.wrong(a.Statement, 1, "bad-choice", "Unknown protocol %s - ignoring; expected TCP, UDP or SCTP", printable(a.text))
	}
}

func setSorryServer(d *decoder, a *argument) {
	addr, port, ok := d.endpoint(a.Statement, "sorry server")
	if !ok {
		return
	}
	vs := d.servers.vs
	vs.Sorry = &SorryServer{Addr: addr, Port: port.or(vs.Port)}
	vs.sorryAt = a.Place(1)
}

func openVirtualServer(d *decoder, s *Statement) bool {
	d.cfg.HasVirtualServers = true
	vs := &virtualServer{VirtualServer: &VirtualServer{Pos: d.pos(s)}, at: s.Place(0)}
	switch kind := s.Words[1].Text; {
	case (kind == "fwmark" || kind == "group") && len(s.Words) < 3:
		d.wrong(s, 1, "missing-argument", "virtual_server %s has no value - skipping", kind)
		return false
	case kind == "fwmark":
		n, ok := d.number(s, 2, 1, 1<<32-1)
		if !ok {
			return false
		}
		vs.FWMark = uint32(n)
	case kind == "group":
		vs.Group = d.intern(s.Words[2].Text)
	default:
		addr, port, ok := d.endpoint(s, "virtual server")
		if !ok {
			return false
		}
		vs.Addr, vs.Port, vs.Family = addr, port.v, familyOf(addr)
	}
	d.servers.vs = vs
	return true
}

func hasWord(list []*Statement, word string) bool {
	for _, s := range list {
		if s.Keyword() == word {
			return true
		}
	}
	return false
}

func realServerBlock() *block {
	const path = "virtual_server.real_server"
	threshold := func(name, doc string, field func(*RealServer) *uint32) *Keyword {
		return kw(name, number(0, 1<<32-1), "0", doc).fills(inServer(field))
	}
	toggle := func(name string, doc string, field func(*RealServer) *bool) *Keyword {
		return kw(name, onOff(), outer("of the service"), doc).fills(inServer(field))
	}
	times, fields := func(d *decoder) *checkTimes { return made(&d.servers.rs.times) }, defaultTimes(func(r *RealServer) *CheckDefaults { return r.Defaults })
	b := vocabulary(path,
		kw("weight", number(0, 1<<31-1), outer("of the service"), "relative share of the connections; 0: no new ones").
			fills(inServer(func(v *RealServer) *int { return &v.Weight })),
		kw("lvs_method", method(), outer("of the service"), "forwarding method to the real server").sets(func(d *decoder, a *argument) {
			if f, ok := d.forward(a); ok {
				d.servers.rs.forward.put(f)
			}
		}).shows(shown(func(v *RealServer) *Forward { return &v.Forward })),
		threshold("uthreshold", "number of connections above which the server gets no new ones; 0: no limit", func(r *RealServer) *uint32 { return &r.Upper }),
		threshold("lthreshold", "number of connections below which the server gets new ones again", func(r *RealServer) *uint32 { return &r.Lower }),
		toggle("inhibit_on_failure", "set the weight to 0 on failure instead of removing the server", func(r *RealServer) *bool { return &r.InhibitOnFail }),
		commandOnce("notify_up", "command when the real server comes up", func(d *decoder) *Command { return made(&d.servers.rs.NotifyUp) }).shows(shown(func(v *RealServer) *Command { return v.NotifyUp })),
		commandOnce("notify_down", "command when the real server goes down", func(d *decoder) *Command { return made(&d.servers.rs.NotifyDown) }).shows(shown(func(v *RealServer) *Command { return v.NotifyDown })),
		toggle("alpha", "the real server is down until a check succeeds", func(r *RealServer) *bool { return &r.Alpha }),
		timeoutWord(outer("of the service"), fields, times),
		kw("smtp_alert", onOff(), global("smtp_alert_checker").as("smtp_alert_checker, else on"), "send mail when the service or a real server goes up or down").
			sets(func(d *decoder, a *argument) { d.servers.rs.smtpAlert.put(a.on) }).shows(shown(func(v *RealServer) *bool { return &v.SMTPAlert })),
		kw("virtualhost", word("NAME").soft("real server virtualhost missing"), outer("of the service"), "host name for HTTP checks").
			sets(func(d *decoder, a *argument) { d.servers.rs.VirtualHost = d.intern(a.text) }).shows(shown(func(v *RealServer) *string { return &v.VirtualHost })),
		snmpName("real server", inServer(func(v *RealServer) *string { return &v.SNMPName })),
	)
	b.add(timerWords(outer("of the service"), 1, times, fields)...)
	b.add(checkWords(path)...)
	b.given = func(d *decoder) *written { return &d.servers.rs.given }
	b.open = func(d *decoder, s *Statement) bool {
		addr, port, ok := d.endpoint(s, "real server")
		if ok {
			d.servers.rs = &realServer{RealServer: RealServer{Pos: d.pos(s), Addr: addr}, at: s.Place(0), port: port}
			d.servers.rs.checks[0] = int32(len(d.servers.vs.checks))
		}
		return ok
	}
	b.close = func(d *decoder, s *Statement) {
		rs := d.servers.rs
		d.servers.rs = nil
		rs.times = d.servers.times.share(rs.times)
		rs.checks[1] = int32(len(d.servers.vs.checks))
		rs.NotifyUp, rs.NotifyDown = rs.NotifyUp.orNil(), rs.NotifyDown.orNil()
		d.servers.vs.real = append(d.servers.vs.real, rs)
	}
	return b
}

func sslBlock() *block {
	upstream := strings.NewReplacer("certificate", "certfile", "ca", "cafile", "key", "keyfile")
	replaces := func(d *decoder, a *argument, have bool) {
		if have {
			d.wrong(a.Statement, 0, "ssl-twice", "SSL %s already specified - replacing", upstream.Replace(a.k.Name))
		}
	}
	path := func(name, doc string, field func(*TLSClient) *string) *Keyword {
		return kw(name, word("PATH").soft("SSL "+upstream.Replace(name)+" missing"), "", doc).
			sets(func(d *decoder, a *argument) {
				v := field(d.cfg.TLSClient)
				replaces(d, a, *v != "")
				*v = d.intern(a.text)
			}).fills(inTLS(field)).place()
	}
	b := vocabulary("SSL",
		kw("password", word("STRING").soft("SSL password missing"), "", "password of the key file").secret().
			sets(func(d *decoder, a *argument) {
				replaces(d, a, d.cfg.TLSClient.Password != "")
				d.cfg.TLSClient.Password = Secret(strings.Clone(a.text))
			}).fills(inTLS(func(v *TLSClient) *Secret { return &v.Password })),
		path("ca", "file with the trusted CA certificates", func(t *TLSClient) *string { return &t.CA }),
		path("certificate", "file with the client certificate", func(t *TLSClient) *string { return &t.Certificate }),
		path("key", "file with the key of the client certificate", func(t *TLSClient) *string { return &t.Key }),
	)
	b.open = func(d *decoder, s *Statement) bool {
		if d.cfg.TLSClient != nil {
			d.wrong(s, 0, "ssl-twice", "SSL context already specified - replacing")
		}
		d.cfg.TLSClient = &TLSClient{}
		return true
	}
	return b
}
