package checkd

import (
	"log/slog"
	"net/netip"
	"slices"

	"keepalived-go/internal/output/status"
	"keepalived-go/lvs"
	"keepalived-go/lvs/ipvs"
)

// placesOf are where a service is in the kernel's table.
func placesOf(s *lvs.Service) (ids []ipvs.ServiceID) {
	for _, e := range s.Places() {
		ids = append(ids, serviceIDOf(e))
	}
	return ids
}

// count fills in what the kernel counts of the services with places. It waits for the kernel, so it is for a goroutine
// beside the loop.
func (f *filling) count() {
	all := slices.Concat(f.places...)
	if len(all) == 0 {
		return
	}
	snmp := &f.conf.Global.SNMP
	services, servers, err := f.counters.Read(all, snmp.VirtualServerAge, snmp.RealServerAge)
	if err != nil {
		slog.Debug("IPVS: read counters: " + err.Error())
	}
	for i := range f.out.Services {
		v := &f.out.Services[i]
		for _, id := range f.places[i] {
			stats, there := services[id]
			if !there {
				continue
			}
			sum(&v.Traffic, &stats)
			port := func(a netip.AddrPort) netip.AddrPort { // see lvs.RealServer
				if a.Port() == 0 {
					return netip.AddrPortFrom(a.Addr(), id.Addr.Port())
				}
				return a
			}
			add := func(to **status.Traffic, a netip.AddrPort) {
				if d, there := servers[id][port(a)]; there {
					sum(to, &d.Stats)
					(*to).Active += uint64(d.Connections.Active)
					(*to).Inactive += uint64(d.Connections.Inactive)
					(*to).Persistent += uint64(d.Connections.Persistent)
				}
			}
			for k := range v.Servers {
				c := v.Servers[k].Conf
				add(&v.Servers[k].Traffic, netip.AddrPortFrom(c.Addr, c.Port))
			}
			if c := v.Conf.Sorry; c != nil {
				add(&v.SorryTraffic, netip.AddrPortFrom(c.Addr, c.Port))
			}
		}
	}
}

// sum adds counters to those of t, which is made for the first ones.
func sum(t **status.Traffic, s *ipvs.Stats) {
	if *t == nil {
		*t = &status.Traffic{}
	}
	out := *t
	for _, v := range []struct {
		to *uint64
		n  uint64
	}{
		{&out.Connections, s.Connections}, {&out.InPackets, s.InPackets}, {&out.OutPackets, s.OutPackets},
		{&out.InBytes, s.InBytes}, {&out.OutBytes, s.OutBytes}, {&out.ConnectionRate, s.ConnectionRate},
		{&out.InPacketRate, s.InPacketRate}, {&out.OutPacketRate, s.OutPacketRate},
		{&out.InByteRate, s.InByteRate}, {&out.OutByteRate, s.OutByteRate},
	} {
		*v.to += v.n
	}
}
