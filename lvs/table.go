package lvs

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
)

// Entry is what the kernel's table shall hold at one endpoint.
type Entry struct {
	Endpoint Endpoint
	// Gone: it shall hold nothing there any more. No other field counts.
	Gone         bool
	Service      *Service
	Attributes   Attributes
	Destinations []Destination // in the order of the configuration; none twice
}

// Destination is a server in an [Entry].
type Destination struct {
	Addr   netip.AddrPort
	Weight uint32
	DestinationAttributes
}

// Changes gives the entries that may differ from what was given before, first the
// ones that are gone. What is not given has not changed. An Entry is valid until
// the next one. A loop that ends early continues the next time, with the same
// service. Step must not be called inside the loop.
func (e *Engine) Changes() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		for len(e.lost) > 0 {
			ep := e.lost[0]
			e.lost = e.lost[1:]
			if e.owner[ep] != nil {
				continue
			}
			e.entry = Entry{Endpoint: ep, Gone: true, Destinations: e.entry.Destinations[:0]}
			if !yield(&e.entry) {
				return
			}
		}
		e.lost = nil
		for i, v := range e.changed {
			if !v.gone && !e.entries(v, yield) {
				e.changed = e.changed[i:]
				return
			}
			v.dirty = false
		}
		clear(e.changed)
		e.changed = e.changed[:0]
	}
}

// Changed reports whether Changes has something to give.
func (e *Engine) Changed() bool { return len(e.changed)+len(e.lost) > 0 }

// All gives all entries, in the order of the configuration. An Entry is valid
// until the next one. What Changes has still to give stays as it is.
func (e *Engine) All() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		for _, v := range e.services {
			if !e.entries(v, yield) {
				return
			}
		}
	}
}

// entries gives what a service has in the table.
func (e *Engine) entries(v *service, yield func(*Entry) bool) bool {
	for _, ep := range v.endpoints {
		if e.owner[ep] != v {
			continue
		}
		e.entry = Entry{
			Endpoint: ep, Service: v.cfg, Attributes: v.cfg.Attributes,
			Destinations: v.destinations(ep, e.entry.Destinations[:0]),
		}
		if !yield(&e.entry) {
			return false
		}
	}
	return true
}

// destinations appends the servers of an endpoint.
func (v *service) destinations(ep Endpoint, out []Destination) []Destination {
	var sorry Destination
	if r := v.cfg.Sorry; r != nil && r.fits(ep) {
		sorry = r.destination(ep, 0)
		if !v.up {
			sorry.Weight = uint32(bound(int64(r.Weight)))
		}
		if v.up && !r.Inhibit {
			sorry = Destination{}
		}
	}
	for _, s := range v.servers {
		weight := int64(0)
		if s.inPool() {
			weight = s.weight
		} else if !s.cfg.Inhibit && !s.drains() {
			continue
		}
		if !s.cfg.fits(ep) {
			continue
		}
		d := s.cfg.destination(ep, weight)
		switch twin := s.find(out, d.Addr); {
		case d.Addr == sorry.Addr && !v.up: // the sorry server is in charge
		case d.Addr == sorry.Addr:
			sorry, out = Destination{}, append(out, d)
		case twin == nil:
			out = append(out, d)
		case twin.Weight < d.Weight:
			*twin = d
		}
	}
	if sorry.Addr.IsValid() {
		out = append(out, sorry)
	}
	return out
}

// find returns the destination of another server that has the same address.
func (s *server) find(out []Destination, a netip.AddrPort) *Destination {
	if s.twin {
		for i := range out {
			if out[i].Addr == a {
				return &out[i]
			}
		}
	}
	return nil
}

// findTwins marks the servers that can be the same destination as another one,
// because their port is that of the endpoint.
func (v *service) findTwins() {
	if !slices.ContainsFunc(v.servers, func(s *server) bool { return s.cfg.follows() }) {
		for _, s := range v.servers {
			s.twin = false
		}
		return
	}
	type users struct{ all, follow int }
	at := make(map[netip.Addr]users, len(v.servers))
	for _, s := range v.servers {
		u := at[s.cfg.Addr.Addr()]
		u.all++
		if s.cfg.follows() {
			u.follow++
		}
		at[s.cfg.Addr.Addr()] = u
	}
	for _, s := range v.servers {
		u := at[s.cfg.Addr.Addr()]
		s.twin = u.all > 1 && u.follow > 0
	}
}

// follows reports whether the server's port is that of the endpoint.
func (r *RealServer) follows() bool {
	return r.Addr.Port() == 0 || r.Attributes.Method == Direct || r.Attributes.Method == Tunnel
}

// fits reports whether the kernel can have the server behind an endpoint: only
// tunnels cross families.
func (r *RealServer) fits(ep Endpoint) bool {
	family := IPv6
	if r.Addr.Addr().Is4() {
		family = IPv4
	}
	return family == ep.AF() || r.Attributes.Method == Tunnel
}

func (r *RealServer) destination(ep Endpoint, weight int64) Destination {
	d := Destination{Addr: r.Addr, Weight: uint32(weight), DestinationAttributes: r.Attributes}
	if r.follows() {
		d.Addr = netip.AddrPortFrom(r.Addr.Addr(), ep.Addr.Port())
	}
	d.LowerThreshold = min(d.LowerThreshold, d.UpperThreshold)
	return d
}

// compare orders endpoints: marks after addresses.
func (e Endpoint) compare(o Endpoint) int {
	return cmp.Or(
		cmp.Compare(e.FWMark, o.FWMark),
		cmp.Compare(e.Family, o.Family),
		e.Addr.Compare(o.Addr),
		cmp.Compare(e.Protocol, o.Protocol),
	)
}
