package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/nl"
)

// Rule is a rule of the routing policy as held by the kernel or as wished. It is a
// comparable value, and all of it is its identity.
type Rule struct {
	IPv6     bool
	Not      bool         // match the opposite
	From, To netip.Prefix // zero: any
	Priority uint32

	TOS            uint8
	FWMark, FWMask uint32 // FWMask 0: any mark
	Iif, Oif       string // names: the links need not exist
	TunnelID       uint64
	L3MDev         bool
	IPProto        uint8 // 0: any
	UIDs           Span
	SPort, DPort   Span
	Realms         uint32

	Action uint8 // FR_ACT_*
	Table  uint32
	Goto   uint32

	// Plus one, so that 0 is none.
	SuppressPrefixLength, SuppressGroup uint32

	Protocol uint8 // who set it; RouteProto is us
}

// Span is First to Last, if Set.
type Span struct {
	Set         bool
	First, Last uint32
}

// wish returns the rule in the form that the kernel reports.
func (r Rule) wish() Rule {
	for _, p := range []*netip.Prefix{&r.From, &r.To} {
		if *p = p.Masked(); p.Bits() <= 0 {
			*p = netip.Prefix{}
		}
	}
	r.FWMark &= r.FWMask
	return r
}

// Key returns the rule's identity.
func (r *Rule) Key() Rule { return r.wish() }

// Equal reports whether two rules are the same.
func (r *Rule) Equal(other *Rule) bool { return r.wish() == other.wish() }

// Compare reports that two rules with the same Key are the same.
func (r *Rule) Compare(want *Rule) (same, inPlace bool) { return r.Equal(want), false }

// On is false: the kernel keeps a rule without its link.
func (*Rule) On(link int) bool { return false }

// DecodeRule decodes the body of RTM_NEWRULE or RTM_DELRULE; it is false for what is
// no rule of IPv4 or IPv6.
func DecodeRule(body []byte, names nl.Names) (Rule, bool) {
	// struct fib_rule_hdr: family, dst_len, src_len, tos, table, res1, res2, action, flags
	if len(body) < unix.SizeofRtMsg {
		return Rule{}, false
	}
	family := body[0]
	if family != unix.AF_INET && family != unix.AF_INET6 {
		return Rule{}, false
	}
	r := Rule{
		IPv6: family == unix.AF_INET6, TOS: body[3], Table: uint32(body[4]), Action: body[7],
		Not: native.Uint32(body[8:])&unix.FIB_RULE_INVERT != 0,
	}
	for attrs := body[unix.SizeofRtMsg:]; ; {
		typ, v, rest, ok := nl.NextAttr(attrs)
		if !ok {
			break
		}
		attrs = rest
		switch typ {
		case unix.FRA_DST:
			r.To = netip.PrefixFrom(nl.IP(family, v), int(body[1]))
		case unix.FRA_SRC:
			r.From = netip.PrefixFrom(nl.IP(family, v), int(body[2]))
		case unix.FRA_IIFNAME:
			r.Iif = names.Of(v)
		case unix.FRA_OIFNAME:
			r.Oif = names.Of(v)
		case unix.FRA_GOTO:
			r.Goto = nl.Uint32(v)
		case unix.FRA_PRIORITY:
			r.Priority = nl.Uint32(v)
		case unix.FRA_FWMARK:
			r.FWMark = nl.Uint32(v)
		case unix.FRA_FWMASK:
			r.FWMask = nl.Uint32(v)
		case unix.FRA_FLOW:
			r.Realms = nl.Uint32(v)
		case unix.FRA_TUN_ID:
			if len(v) == 8 {
				r.TunnelID = binary.BigEndian.Uint64(v)
			}
		case unix.FRA_SUPPRESS_IFGROUP:
			r.SuppressGroup = nl.Uint32(v) + 1 // all ones: none
		case unix.FRA_SUPPRESS_PREFIXLEN:
			r.SuppressPrefixLength = nl.Uint32(v) + 1
		case unix.FRA_TABLE:
			r.Table = nl.Uint32(v)
		case unix.FRA_L3MDEV:
			r.L3MDev = len(v) > 0 && v[0] != 0
		case unix.FRA_UID_RANGE:
			if len(v) == 8 {
				r.UIDs = Span{true, native.Uint32(v), native.Uint32(v[4:])}
			}
		case unix.FRA_PROTOCOL:
			if len(v) > 0 {
				r.Protocol = v[0]
			}
		case unix.FRA_IP_PROTO:
			if len(v) > 0 {
				r.IPProto = v[0]
			}
		case unix.FRA_SPORT_RANGE:
			r.SPort = decodePorts(v)
		case unix.FRA_DPORT_RANGE:
			r.DPort = decodePorts(v)
		}
	}
	if r.Action != unix.FR_ACT_GOTO {
		r.Goto = 0
	}
	return r.wish(), true
}

func decodePorts(v []byte) Span {
	if len(v) != 4 {
		return Span{}
	}
	return Span{true, uint32(native.Uint16(v)), uint32(native.Uint16(v[2:]))}
}

// appendRule appends the body of RTM_NEWRULE, which is also that of RTM_DELRULE.
func appendRule(b []byte, rule *Rule) []byte {
	r := rule.wish()
	family, table, flags := byte(unix.AF_INET), byte(unix.RT_TABLE_UNSPEC), uint32(0)
	if r.IPv6 {
		family = unix.AF_INET6
	}
	if r.Table < 256 {
		table = byte(r.Table)
	}
	if r.Not {
		flags = unix.FIB_RULE_INVERT
	}
	b = append(b, family, byte(max(0, r.To.Bits())), byte(max(0, r.From.Bits())), r.TOS, table, 0, 0, r.Action)
	b = native.AppendUint32(b, flags)
	if r.To.IsValid() {
		b = nl.AppendIP(b, unix.FRA_DST, r.To.Addr())
	}
	if r.From.IsValid() {
		b = nl.AppendIP(b, unix.FRA_SRC, r.From.Addr())
	}
	if r.Iif != "" {
		b = nl.AppendString(b, unix.FRA_IIFNAME, r.Iif)
	}
	if r.Oif != "" {
		b = nl.AppendString(b, unix.FRA_OIFNAME, r.Oif)
	}
	b = nl.AppendUint32(b, unix.FRA_PRIORITY, r.Priority)
	for _, n := range []struct {
		typ   uint16
		v     uint32
		asked bool
	}{
		{unix.FRA_GOTO, r.Goto, r.Goto != 0},
		{unix.FRA_FWMARK, r.FWMark, r.FWMask != 0},
		{unix.FRA_FWMASK, r.FWMask, r.FWMask != 0},
		{unix.FRA_FLOW, r.Realms, r.Realms != 0},
		{unix.FRA_SUPPRESS_IFGROUP, r.SuppressGroup - 1, r.SuppressGroup != 0},
		{unix.FRA_SUPPRESS_PREFIXLEN, r.SuppressPrefixLength - 1, r.SuppressPrefixLength != 0},
		{unix.FRA_TABLE, r.Table, r.Table != 0},
	} {
		if n.asked {
			b = nl.AppendUint32(b, n.typ, n.v)
		}
	}
	if r.TunnelID != 0 {
		b = nl.AppendAttr(b, unix.FRA_TUN_ID, binary.BigEndian.AppendUint64(nil, r.TunnelID))
	}
	if r.L3MDev {
		b = nl.AppendAttr(b, unix.FRA_L3MDEV, []byte{1})
	}
	if r.UIDs.Set {
		b = nl.AppendAttr(b, unix.FRA_UID_RANGE, native.AppendUint32(native.AppendUint32(nil, r.UIDs.First), r.UIDs.Last))
	}
	if r.IPProto != 0 {
		b = nl.AppendAttr(b, unix.FRA_IP_PROTO, []byte{r.IPProto})
	}
	for _, p := range []struct {
		typ  uint16
		span Span
	}{{unix.FRA_SPORT_RANGE, r.SPort}, {unix.FRA_DPORT_RANGE, r.DPort}} {
		if p.span.Set {
			b = nl.AppendAttr(b, p.typ, native.AppendUint16(native.AppendUint16(nil, uint16(p.span.First)), uint16(p.span.Last)))
		}
	}
	return nl.AppendAttr(b, unix.FRA_PROTOCOL, []byte{r.Protocol})
}

// Kind is what kind of [Object] a rule is.
func (*Rule) Kind() string { return "rule" }

// OnLink is 0: a rule names its links.
func (*Rule) OnLink() int { return 0 }

// Foreign reports whether the rule does not have our mark.
func (r *Rule) Foreign() bool { return r.Protocol != RouteProto }

// Encode appends the body of a request.
func (r *Rule) Encode(op Op, b []byte) ([]byte, nl.Request) {
	q := nl.Request{Type: unix.RTM_NEWRULE, Flags: unix.NLM_F_CREATE | unix.NLM_F_EXCL, Quiet: true}
	if op == Remove {
		q = nl.Request{Type: unix.RTM_DELRULE}
	}
	return appendRule(b, r), q
}

// Held reads the rules that the kernel holds.
func (*Rule) Held(c *Conn) Finder {
	rules, _ := c.Rules()
	return NewFinder[Rule, Rule](rules)
}

// Gone reports whether the refusal of a removal means that the rule is gone.
func (*Rule) Gone(refusal error) bool {
	return errors.Is(refusal, unix.ENOENT) || errors.Is(refusal, unix.ESRCH)
}

// Head is false: no rule takes another along.
func (*Rule) Head() (k Rule, ok bool) { return }

// Follows is false likewise.
func (*Rule) Follows() (k Rule, ok bool) { return }

// Text prints the rule as ip(8) does.
func (r *Rule) Text() string {
	w := r.wish()
	words := []string{"rule"}
	add := func(asked bool, text ...string) {
		if asked {
			words = append(words, text...)
		}
	}
	number := func(v uint64) string { return strconv.FormatUint(v, 10) }
	span := func(s Span) string { return fmt.Sprintf("%d-%d", s.First, s.Last) }
	add(w.Not, "not")
	if w.From.IsValid() {
		add(true, "from", w.From.String())
	} else {
		add(true, "from", "all")
	}
	add(w.To.IsValid(), "to", w.To.String())
	add(w.TOS != 0, "tos", fmt.Sprintf("%#x", w.TOS))
	add(w.FWMask != 0, "fwmark", fmt.Sprintf("%#x/%#x", w.FWMark, w.FWMask))
	add(w.Iif != "", "iif", w.Iif)
	add(w.Oif != "", "oif", w.Oif)
	add(w.TunnelID != 0, "tunnel-id", number(w.TunnelID))
	add(w.UIDs.Set, "uidrange", span(w.UIDs))
	add(w.IPProto != 0, "ipproto", number(uint64(w.IPProto)))
	add(w.SPort.Set, "sport", span(w.SPort))
	add(w.DPort.Set, "dport", span(w.DPort))
	add(true, "priority", number(uint64(w.Priority)))
	switch {
	case w.L3MDev:
		add(true, "l3mdev")
	case w.Action == unix.FR_ACT_TO_TBL:
		add(true, "lookup", number(uint64(w.Table)))
	case w.Action == unix.FR_ACT_GOTO:
		add(true, "goto", number(uint64(w.Goto)))
	case w.Action == unix.FR_ACT_NOP:
		add(true, "nop")
	default:
		add(true, conf.RouteType(w.Action).String())
	}
	return strings.Join(words, " ")
}

// Attributes prints what does not choose packets.
func (r *Rule) Attributes() string {
	var words []string
	for _, n := range []struct {
		word string
		v    int64
	}{
		{"suppress_prefixlength", int64(r.SuppressPrefixLength) - 1},
		{"suppress_ifgroup", int64(r.SuppressGroup) - 1},
		{"realms", int64(r.Realms) - 1},
	} {
		if n.v < 0 {
			continue
		}
		if n.word == "realms" {
			words = append(words, fmt.Sprintf("realms %d/%d", r.Realms>>16, r.Realms&0xffff))
		} else {
			words = append(words, n.word, strconv.FormatInt(n.v, 10))
		}
	}
	if r.Protocol != RouteProto {
		words = append(words, "proto", strconv.Itoa(int(r.Protocol)))
	}
	return strings.Join(words, " ")
}
