package kernel

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/nl"
)

// RouteProto marks the routes and rules we set.
const RouteProto = unix.RTPROT_KEEPALIVED

// metric6 is the metric of an IPv6 route for which none is asked (IP6_RT_PRIO_USER).
const metric6 = 1024

// Route is a route as held by the kernel or as wished. Its slices are never changed.
type Route struct {
	Slot
	Type     uint8 // RTN_*
	Order    conf.RouteOrder
	Protocol uint8 // who set it; RouteProto is us
	Scope    uint8 // RT_SCOPE_*; IPv4 only

	From   netip.Prefix // IPv6 only; zero: any source
	Source netip.Addr   // preferred source address; zero: none
	Hops   []Hop        // none, one, or several that share the packets

	Expires                 uint32 // seconds, what is left of them in reports; IPv6 only; 0: never
	Metrics                 []conf.RouteMetric
	CongestionControl       string // empty: the system's
	CongestionControlLocked bool
	Preference              uint8 // as ICMPv6 writes it; IPv6 only
	TTLPropagate            *bool // nil: not asked for; the kernel does not report it

	key RouteKey
}

// Slot is a place in the routing tables. The kernel may hold several routes in one.
type Slot struct {
	Dst    netip.Prefix // its address is of the route's family
	Table  uint32
	Metric uint32
	TOS    uint8
}

// Hop is a way to a destination.
type Hop struct {
	Link   int        // index; 0 in a wish: the kernel chooses it by Via
	Via    netip.Addr // zero: directly connected
	Weight int        // 1 to 256; 0 is 1
	OnLink bool
	Realms uint32 // IPv4 only
	Encap  *conf.Encap
}

// RouteKey identifies a route as it is wished, with all that was asked for: of two
// that differ in anything, the kernel holds both, or refuses the second.
type RouteKey string

// Key returns the route's identity.
func (r *Route) Key() RouteKey {
	if r.key != "" {
		return r.key
	}
	return RouteKey(append(appendRoute(nil, r), byte(r.Order)))
}

// Sealed returns the route with its identity computed, which is then at hand. It must
// not be changed any more.
func (r Route) Sealed() Route {
	r.Slot = r.Slot.wish()
	r.key = ""
	r.key = r.Key()
	return r
}

// wish returns the slot in the form that the kernel reports.
func (s Slot) wish() Slot {
	s.Dst = s.Dst.Masked()
	if s.Metric == 0 && s.Dst.Addr().Is6() {
		s.Metric = metric6
	}
	return s
}

// Equal reports whether two routes ask for the same.
func (r *Route) Equal(other *Route) bool { return r.Key() == other.Key() }

// Compare reports whether the route is what want asks for. The kernel cannot turn one
// into the other in place without regard to who has set it.
func (r *Route) Compare(want *Route) (same, inPlace bool) {
	six := r.Dst.Addr().Is6()
	switch {
	case r.Slot != want.Slot.wish(), r.Type != want.Type, r.Protocol != want.Protocol,
		r.From.Masked() != want.From.Masked(), r.Source != want.Source,
		!six && r.Scope != want.Scope, six && r.Preference != want.Preference,
		(r.Expires != 0) != (want.Expires != 0), r.Expires > want.Expires,
		r.CongestionControl != want.CongestionControl,
		r.CongestionControlLocked != want.CongestionControlLocked,
		!slices.Equal(r.Metrics, want.Metrics):
		return false, false
	}
	if len(want.Hops) == 0 {
		return r.Type != unix.RTN_UNICAST || len(r.Hops) <= 1, false // "lo", of the kernel's choice
	}
	if len(r.Hops) != len(want.Hops) {
		return false, false
	}
	left := slices.Clone(r.Hops) // IPv6 reports them in any order
	for i := range want.Hops {
		at := slices.IndexFunc(left, func(h Hop) bool { return h.is(&want.Hops[i], len(want.Hops) > 1) })
		if at < 0 {
			return false, false
		}
		left = slices.Delete(left, at, at+1)
	}
	return true, false
}

// is reports whether a hop that is held is what want asks for.
func (h *Hop) is(want *Hop, weighed bool) bool {
	return (h.Link == want.Link || want.Link == 0) && h.Via == want.Via && h.OnLink == want.OnLink &&
		h.Realms == want.Realms && (!weighed || cmp.Or(h.Weight, 1) == cmp.Or(want.Weight, 1)) && sameEncap(h.Encap, want.Encap)
}

// sameEncap compares encapsulations. Flags that the kernel sets itself do not count.
func sameEncap(have, want *conf.Encap) bool {
	if have == nil || want == nil {
		return have == want
	}
	return have.Type == want.Type && slices.Equal(have.Labels, want.Labels) && have.ID == want.ID &&
		have.Src == want.Src && have.Dst == want.Dst && have.TOS == want.TOS && have.TTL == want.TTL &&
		have.Flags&want.Flags == want.Flags && have.Locator == want.Locator
}

// On reports whether the route leads over a link.
func (r *Route) On(link int) bool {
	return slices.ContainsFunc(r.Hops, func(h Hop) bool { return h.Link == link })
}

// What a decoder takes of one message: a route of the kernel has no more.
const maxHops = 1024

// DecodeRoute decodes the body of RTM_NEWROUTE or RTM_DELROUTE; it is false for a
// message that is no IPv4 or IPv6 route of a table.
func DecodeRoute(body []byte, names nl.Names) (Route, bool) {
	// struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
	if len(body) < unix.SizeofRtMsg {
		return Route{}, false
	}
	family, flags := body[0], native.Uint32(body[8:])
	if family != unix.AF_INET && family != unix.AF_INET6 || flags&unix.RTM_F_CLONED != 0 {
		return Route{}, false
	}
	r := Route{Type: body[7], Protocol: body[5], Scope: body[6]}
	r.Table, r.TOS = uint32(body[4]), body[3]
	dst := netip.IPv4Unspecified()
	if family == unix.AF_INET6 {
		dst, r.Scope = netip.IPv6Unspecified(), 0
	}
	var hop Hop
	var encap uint16
	var encapData []byte
	hop.OnLink = flags&unix.RTNH_F_ONLINK != 0
	for attrs := body[unix.SizeofRtMsg:]; ; {
		typ, v, rest, ok := nl.NextAttr(attrs)
		if !ok {
			break
		}
		attrs = rest
		switch typ {
		case unix.RTA_DST:
			dst = nl.IP(family, v)
		case unix.RTA_SRC:
			r.From = netip.PrefixFrom(nl.IP(family, v), int(body[2]))
		case unix.RTA_PREFSRC:
			r.Source = nl.IP(family, v)
		case unix.RTA_TABLE:
			r.Table = nl.Uint32(v)
		case unix.RTA_PRIORITY:
			r.Metric = nl.Uint32(v)
		case unix.RTA_METRICS:
			r.decodeMetrics(v, names)
		case unix.RTA_PREF:
			if len(v) > 0 && family == unix.AF_INET6 {
				r.Preference = v[0]
			}
		case unix.RTA_EXPIRES: // of a request; the kernel reports RTA_CACHEINFO
			r.Expires = nl.Uint32(v)
		case unix.RTA_CACHEINFO: // struct rta_cacheinfo: clntref, lastuse, expires …
			if len(v) >= 12 {
				const ticks = 100 // USER_HZ
				if left := int32(native.Uint32(v[8:])); left > 0 && family == unix.AF_INET6 {
					r.Expires = uint32((int64(left) + ticks - 1) / ticks)
				}
			}
		case unix.RTA_TTL_PROPAGATE:
			if len(v) > 0 {
				on := v[0] != 0
				r.TTLPropagate = &on
			}
		case unix.RTA_OIF:
			hop.Link = int(int32(nl.Uint32(v)))
		case unix.RTA_ENCAP_TYPE:
			encap = typeOf(v)
		case unix.RTA_ENCAP:
			encapData = v
		case unix.RTA_MULTIPATH:
			r.decodeHops(family, v)
		default:
			hop.decode(family, typ, v)
		}
	}
	hop.Encap = decodeEncap(encap, encapData)
	if len(r.Hops) == 0 && hop != (Hop{}) {
		r.Hops = []Hop{hop}
	}
	r.Dst = netip.PrefixFrom(dst, int(body[1]))
	return r, r.Dst.IsValid()
}

// decode takes an attribute that a route and each of several hops may have.
func (h *Hop) decode(family byte, typ uint16, v []byte) {
	switch typ {
	case unix.RTA_GATEWAY:
		h.Via = nl.IP(family, v)
	case unix.RTA_VIA: // struct rtvia: family, address
		if len(v) > 2 {
			h.Via = nl.IP(byte(native.Uint16(v)), v[2:])
		}
	case unix.RTA_FLOW:
		h.Realms = nl.Uint32(v)
	}
}

func typeOf(v []byte) uint16 {
	if len(v) < 2 {
		return 0
	}
	return native.Uint16(v)
}

func (r *Route) decodeHops(family byte, b []byte) {
	for len(b) >= unix.SizeofRtNexthop && len(r.Hops) < maxHops {
		// struct rtnexthop: len, flags, hops, ifindex
		n := int(native.Uint16(b))
		if n < unix.SizeofRtNexthop || n > len(b) {
			return
		}
		h := Hop{Link: int(int32(native.Uint32(b[4:]))), Weight: int(b[3]) + 1, OnLink: b[2]&unix.RTNH_F_ONLINK != 0}
		var encap uint16
		var data []byte
		for attrs := b[unix.SizeofRtNexthop:n]; ; {
			typ, v, rest, ok := nl.NextAttr(attrs)
			if !ok {
				break
			}
			attrs = rest
			switch typ {
			case unix.RTA_ENCAP_TYPE:
				encap = typeOf(v)
			case unix.RTA_ENCAP:
				data = v
			default:
				h.decode(family, typ, v)
			}
		}
		h.Encap = decodeEncap(encap, data)
		r.Hops = append(r.Hops, h)
		b = b[min((n+3)&^3, len(b)):]
	}
}

func (r *Route) decodeMetrics(b []byte, names nl.Names) {
	var locked uint32
	r.Metrics = nil
	for {
		typ, v, rest, ok := nl.NextAttr(b)
		if !ok {
			break
		}
		b = rest
		switch {
		case typ == unix.RTAX_LOCK:
			locked = nl.Uint32(v)
		case typ == unix.RTAX_CC_ALGO:
			r.CongestionControl = names.Of(v)
		case typ <= unix.RTAX_MAX && len(v) == 4 && len(r.Metrics) < unix.RTAX_MAX:
			m := conf.Metric(typ)
			r.Metrics = append(r.Metrics, conf.RouteMetric{Metric: m, Value: nl.Uint32(v) / unitsPerMilli(m)})
		}
	}
	for i := range r.Metrics {
		r.Metrics[i].Locked = locked&(1<<r.Metrics[i].Metric) != 0
	}
	slices.SortStableFunc(r.Metrics, func(a, b conf.RouteMetric) int { return cmp.Compare(a.Metric, b.Metric) })
	r.CongestionControlLocked = locked&(1<<unix.RTAX_CC_ALGO) != 0
}

// unitsPerMilli is how many of the kernel's units a millisecond has: 1 for all that is
// no time in others.
func unitsPerMilli(m conf.Metric) uint32 {
	switch m {
	case conf.MetricRTT:
		return 8
	case conf.MetricRTTVar:
		return 4
	}
	return 1
}

// The attributes of encapsulations that x/sys does not have (lwtunnel.h, ila.h). Those
// of IPv6 have the same numbers, but hop limit and traffic class for TTL and TOS.
const (
	lwtIPID, lwtIPDst, lwtIPSrc, lwtIPTTL, lwtIPTOS, lwtIPFlags = 1, 2, 3, 4, 5, 6
	ilaLocator                                                  = 1
)

const (
	maxLabels   = 30 // MAX_NEW_LABELS of the kernel
	labelShift  = 12
	bottomLabel = 1 << 8
)

// decodeEncap returns nil if there is none, or one that nothing here asks for.
func decodeEncap(typ uint16, b []byte) *conf.Encap {
	e := &conf.Encap{}
	family := byte(unix.AF_INET)
	switch typ {
	case unix.LWTUNNEL_ENCAP_MPLS:
	case unix.LWTUNNEL_ENCAP_IP:
		e.Type = conf.EncapIP
	case unix.LWTUNNEL_ENCAP_IP6:
		e.Type, family = conf.EncapIP6, unix.AF_INET6
	case unix.LWTUNNEL_ENCAP_ILA:
		e.Type = conf.EncapILA
	default:
		return nil
	}
	for {
		typ, v, rest, ok := nl.NextAttr(b)
		if !ok {
			return e
		}
		b = rest
		switch {
		case e.Type == conf.EncapMPLS && typ == unix.MPLS_IPTUNNEL_DST:
			for ; len(v) >= 4 && len(e.Labels) < maxLabels; v = v[4:] {
				e.Labels = append(e.Labels, binary.BigEndian.Uint32(v)>>labelShift)
			}
		case e.Type == conf.EncapMPLS:
		case e.Type == conf.EncapILA:
			if typ == ilaLocator && len(v) == 8 {
				e.Locator = binary.BigEndian.Uint64(v)
			}
		case typ == lwtIPID && len(v) == 8:
			e.ID = binary.BigEndian.Uint64(v)
		case typ == lwtIPDst:
			e.Dst = specified(nl.IP(family, v))
		case typ == lwtIPSrc:
			e.Src = specified(nl.IP(family, v))
		case typ == lwtIPTTL && len(v) == 1:
			e.TTL = v[0]
		case typ == lwtIPTOS && len(v) == 1:
			e.TOS = v[0]
		case typ == lwtIPFlags && len(v) == 2:
			e.Flags = binary.BigEndian.Uint16(v)
		}
	}
}

// specified returns the zero Addr for the unspecified address, as which the kernel
// reports one that was not given.
func specified(a netip.Addr) netip.Addr {
	if a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

// nested appends an attribute with the attributes that f appends.
func nested(b []byte, typ uint16, f func([]byte) []byte) []byte {
	start := len(b)
	b = native.AppendUint16(native.AppendUint16(b, 0), typ)
	b = f(b)
	native.PutUint16(b[start:], uint16(len(b)-start))
	return b
}

// appendRoute appends the body of RTM_NEWROUTE, which is also that of RTM_DELROUTE.
func appendRoute(b []byte, r *Route) []byte {
	slot := r.Slot.wish()
	dst := slot.Dst
	family, scope, flags := byte(unix.AF_INET), r.Scope, uint32(0)
	if dst.Addr().Is6() {
		family, scope = unix.AF_INET6, 0
	}
	if len(r.Hops) == 1 && r.Hops[0].OnLink {
		flags = unix.RTNH_F_ONLINK
	}
	table := byte(unix.RT_TABLE_UNSPEC)
	if slot.Table < 256 {
		table = byte(slot.Table)
	}
	b = append(b, family, byte(dst.Bits()), byte(max(0, r.From.Bits())), slot.TOS, table, r.Protocol, scope, r.Type)
	b = native.AppendUint32(b, flags)
	if dst.Bits() > 0 {
		b = nl.AppendIP(b, unix.RTA_DST, dst.Addr())
	}
	if r.From.IsValid() && r.From.Bits() > 0 {
		b = nl.AppendIP(b, unix.RTA_SRC, r.From.Masked().Addr())
	}
	b = nl.AppendUint32(b, unix.RTA_TABLE, slot.Table)
	if slot.Metric != 0 {
		b = nl.AppendUint32(b, unix.RTA_PRIORITY, slot.Metric)
	}
	if r.Source.IsValid() {
		b = nl.AppendIP(b, unix.RTA_PREFSRC, r.Source)
	}
	switch len(r.Hops) {
	case 0:
	case 1:
		if h := &r.Hops[0]; true {
			if h.Link != 0 {
				b = nl.AppendUint32(b, unix.RTA_OIF, uint32(h.Link))
			}
			b = h.append(b, family)
		}
	default:
		b = nested(b, unix.RTA_MULTIPATH, func(b []byte) []byte {
			for i := range r.Hops {
				h := &r.Hops[i]
				start, flags := len(b), byte(0)
				if h.OnLink {
					flags = unix.RTNH_F_ONLINK
				}
				b = append(b, 0, 0, flags, byte(max(h.Weight, 1)-1))
				b = native.AppendUint32(b, uint32(h.Link))
				b = h.append(b, family)
				native.PutUint16(b[start:], uint16(len(b)-start))
			}
			return b
		})
	}
	if r.Expires != 0 {
		b = nl.AppendUint32(b, unix.RTA_EXPIRES, r.Expires)
	}
	if r.Preference != 0 {
		b = nl.AppendAttr(b, unix.RTA_PREF, []byte{r.Preference})
	}
	if r.TTLPropagate != nil {
		on := byte(0)
		if *r.TTLPropagate {
			on = 1
		}
		b = nl.AppendAttr(b, unix.RTA_TTL_PROPAGATE, []byte{on})
	}
	if len(r.Metrics) > 0 || r.CongestionControl != "" {
		b = nested(b, unix.RTA_METRICS, r.appendMetrics)
	}
	return b
}

// append appends what a route and each of several hops may have.
func (h *Hop) append(b []byte, family byte) []byte {
	if h.Via.IsValid() {
		if h.Via.Is6() == (family == unix.AF_INET6) {
			b = nl.AppendIP(b, unix.RTA_GATEWAY, h.Via)
		} else {
			other := uint16(unix.AF_INET6)
			if h.Via.Is4() {
				other = unix.AF_INET
			}
			b = nl.AppendAttr(b, unix.RTA_VIA, append(native.AppendUint16(nil, other), h.Via.AsSlice()...))
		}
	}
	if h.Realms != 0 {
		b = nl.AppendUint32(b, unix.RTA_FLOW, h.Realms)
	}
	if h.Encap != nil {
		typ, f := appendEncap(h.Encap)
		b = nl.AppendAttr(b, unix.RTA_ENCAP_TYPE, native.AppendUint16(nil, typ))
		b = nested(b, unix.RTA_ENCAP|unix.NLA_F_NESTED, f)
	}
	return b
}

func (r *Route) appendMetrics(b []byte) []byte {
	locked := uint32(0)
	for _, m := range r.Metrics {
		if m.Locked {
			locked |= 1 << m.Metric
		}
		b = nl.AppendUint32(b, uint16(m.Metric), m.Value*unitsPerMilli(m.Metric))
	}
	if r.CongestionControl != "" {
		if r.CongestionControlLocked {
			locked |= 1 << unix.RTAX_CC_ALGO
		}
		b = nl.AppendString(b, unix.RTAX_CC_ALGO, r.CongestionControl)
	}
	if locked != 0 {
		b = nl.AppendUint32(b, unix.RTAX_LOCK, locked)
	}
	return b
}

// appendEncap returns the type of an encapsulation and what appends its attributes.
func appendEncap(e *conf.Encap) (typ uint16, f func([]byte) []byte) {
	switch e.Type {
	case conf.EncapMPLS:
		return unix.LWTUNNEL_ENCAP_MPLS, func(b []byte) []byte {
			return nested(b, unix.MPLS_IPTUNNEL_DST, func(b []byte) []byte {
				for i, label := range e.Labels {
					v := label << labelShift
					if i == len(e.Labels)-1 {
						v |= bottomLabel
					}
					b = binary.BigEndian.AppendUint32(b, v)
				}
				return b
			})
		}
	case conf.EncapILA:
		return unix.LWTUNNEL_ENCAP_ILA, func(b []byte) []byte {
			return nl.AppendAttr(b, ilaLocator, binary.BigEndian.AppendUint64(nil, e.Locator))
		}
	case conf.EncapIP6:
		typ = unix.LWTUNNEL_ENCAP_IP6
	default:
		typ = unix.LWTUNNEL_ENCAP_IP
	}
	return typ, func(b []byte) []byte {
		if e.ID != 0 {
			b = nl.AppendAttr(b, lwtIPID, binary.BigEndian.AppendUint64(nil, e.ID))
		}
		if e.Dst.IsValid() {
			b = nl.AppendIP(b, lwtIPDst, e.Dst)
		}
		if e.Src.IsValid() {
			b = nl.AppendIP(b, lwtIPSrc, e.Src)
		}
		if e.TTL != 0 {
			b = nl.AppendAttr(b, lwtIPTTL, []byte{e.TTL})
		}
		if e.TOS != 0 {
			b = nl.AppendAttr(b, lwtIPTOS, []byte{e.TOS})
		}
		if e.Flags != 0 {
			b = nl.AppendAttr(b, lwtIPFlags, binary.BigEndian.AppendUint16(nil, e.Flags))
		}
		return b
	}
}

// Kind is what kind of [Object] a route is.
func (*Route) Kind() string { return "route" }

// OnLink is the index of the route's link, 0 if it has none or several.
func (r *Route) OnLink() int {
	if len(r.Hops) != 1 {
		return 0
	}
	return r.Hops[0].Link
}

// Foreign reports whether the route does not have our mark.
func (r *Route) Foreign() bool { return r.Protocol != RouteProto }

// Encode appends the body of a request. Without NLM_F_EXCL the kernel refuses a route
// that is there just so, and sets one beside others in its slot.
func (r *Route) Encode(op Op, b []byte) ([]byte, nl.Request) {
	q := nl.Request{Type: unix.RTM_NEWROUTE, Flags: unix.NLM_F_CREATE, Quiet: true}
	switch {
	case op == Remove:
		q = nl.Request{Type: unix.RTM_DELROUTE}
	case r.Order == conf.RouteAppend:
		q.Flags |= unix.NLM_F_APPEND
	case r.Order == conf.RouteAdd:
		q.Flags |= unix.NLM_F_EXCL
	}
	if r.key != "" {
		return append(b, r.key[:len(r.key)-1]...), q
	}
	return appendRoute(b, r), q
}

// Held reads the routes that the kernel holds, of each protocol that is asked for.
func (*Route) Held(c *Conn) Finder {
	held := map[uint8]func(*Route) (*Route, bool){}
	return func(want Object) (Requested, bool) {
		w, ok := want.(*Route)
		if !ok {
			return nil, false
		}
		if held[w.Protocol] == nil {
			routes, _ := c.Routes(w.Protocol)
			held[w.Protocol] = RouteFinder(routes)
		}
		have, same := held[w.Protocol](w)
		if have == nil {
			return nil, false // not a nil *Route
		}
		return have, same
	}
}

// RouteFinder returns a function that finds the route in a list that is just as wanted,
// or else one in the same slot; nil if there is none.
func RouteFinder(held []Route) func(want *Route) (have *Route, same bool) {
	slots := make(map[Slot][]*Route, len(held))
	for i := range held {
		r := &held[i]
		slots[r.Slot] = append(slots[r.Slot], r)
	}
	return func(want *Route) (have *Route, same bool) {
		for _, r := range slots[want.Slot.wish()] {
			if same, _ := r.Compare(want); same {
				return r, true
			}
			have = r
		}
		return have, false
	}
}

// Gone reports whether the refusal of a removal means that the route or its link is
// gone.
func (*Route) Gone(refusal error) bool {
	return errors.Is(refusal, unix.ESRCH) || errors.Is(refusal, unix.ENODEV) || errors.Is(refusal, unix.ENOENT)
}

// Head is false: no route takes another along.
func (*Route) Head() (k RouteKey, ok bool) { return }

// Follows is false likewise.
func (*Route) Follows() (k RouteKey, ok bool) { return }

// Text prints the route's destination and what else the kernel finds it by.
func (r *Route) Text() string {
	words := []string{"route"}
	if r.Type != unix.RTN_UNICAST {
		words = append(words, conf.RouteType(r.Type).String())
	}
	if r.Dst.Bits() == 0 {
		words = append(words, "default")
	} else {
		words = append(words, r.Dst.String())
	}
	if r.TOS != 0 {
		words = append(words, "tos", fmt.Sprintf("%#x", r.TOS))
	}
	for i := range r.Hops {
		h := &r.Hops[i]
		if len(r.Hops) > 1 {
			words = append(words, "nexthop")
		}
		if h.Via.IsValid() {
			words = append(words, "via", h.Via.String())
		}
	}
	if r.Table != unix.RT_TABLE_MAIN {
		words = append(words, "table", strconv.FormatUint(uint64(r.Table), 10))
	}
	if r.Metric != 0 {
		words = append(words, "metric", strconv.FormatUint(uint64(r.Metric), 10))
	}
	return strings.Join(words, " ")
}

// Attributes prints what is asked for beyond that.
func (r *Route) Attributes() string {
	var words []string
	if r.Protocol != RouteProto {
		words = append(words, "proto", strconv.Itoa(int(r.Protocol)))
	}
	if r.Source.IsValid() {
		words = append(words, "src", r.Source.String())
	}
	if r.Scope != 0 {
		words = append(words, "scope", strconv.Itoa(int(r.Scope)))
	}
	for _, m := range r.Metrics {
		words = append(words, fmt.Sprintf("metric-%d", m.Metric), strconv.FormatUint(uint64(m.Value), 10))
	}
	if r.Expires != 0 {
		words = append(words, "expires", strconv.FormatUint(uint64(r.Expires), 10))
	}
	return strings.Join(words, " ")
}
