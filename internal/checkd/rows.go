package checkd

import (
	"keepalived-go/internal/checkd/table"
	"keepalived-go/lvs"
	"keepalived-go/lvs/ipvs"
)

// fewEntries is how many services and destinations the kernel's table compares, and
// changes, in some hundred microseconds.
const fewEntries = 128

// flush hands the entries that have changed to the kernel's table.
func (d *daemon) flush() {
	if rows, _ := d.changes(); rows != nil {
		d.table.Set(rows)
	}
}

// flushNow ends a turn. The kernel has few entries before it returns: a thread to wake
// takes longer than the kernel does. If the kernel takes its time, the loop turns
// meanwhile.
func (d *daemon) flushNow() {
	rows, entries := d.changes()
	switch {
	case rows == nil:
	case entries > fewEntries:
		d.table.Set(rows)
	default:
		d.loop.Aside(func() { d.table.SetNow(rows) }, func() bool {
			d.turn()
			return d.running()
		})
	}
}

// changes are the rows of the entries that have changed since it was called last, and
// how many services and destinations they have; nil: none.
func (d *daemon) changes() (rows []table.Row, entries int) {
	if !d.engine.Changed() {
		return nil, 0
	}
	for e := range d.engine.Changes() {
		rows = append(rows, rowOf(e))
		entries += 1 + len(e.Destinations)
	}
	d.stateChanged()
	return rows, entries
}

// rowOf translates an entry for the kernel.
func rowOf(e *lvs.Entry) table.Row {
	r := table.Row{Service: ipvs.Service{ServiceID: serviceIDOf(e.Endpoint)}, Gone: e.Gone}
	if e.Gone {
		return r
	}
	a := &e.Attributes
	r.Service.Scheduler = a.Scheduler
	r.Service.Flags = flagsOf(a.Flags)
	r.Service.Timeout = a.Persistence
	r.Service.Engine = a.PersistenceEngine
	r.Service.Mask = a.Granularity4
	if e.Endpoint.AF() == lvs.IPv6 {
		r.Service.Mask = uint32(a.Granularity6)
	}
	r.Destinations = make([]ipvs.Destination, len(e.Destinations))
	for i := range e.Destinations {
		r.Destinations[i] = destinationOf(&e.Destinations[i])
	}
	return r
}

func serviceIDOf(e lvs.Endpoint) ipvs.ServiceID {
	if e.FWMark != 0 {
		family := ipvs.IPv4
		if e.AF() == lvs.IPv6 {
			family = ipvs.IPv6
		}
		return ipvs.MarkService(e.FWMark, family)
	}
	return ipvs.AddrService(ipvs.Protocol(e.Protocol), e.Addr)
}

func flagsOf(f lvs.ServiceFlags) (out ipvs.Flags) {
	for _, x := range []struct {
		from lvs.ServiceFlags
		to   ipvs.Flags
	}{{lvs.OnePacket, ipvs.OnePacket}, {lvs.SchedFlag1, ipvs.Sched1}, {lvs.SchedFlag2, ipvs.Sched2}, {lvs.SchedFlag3, ipvs.Sched3}} {
		if f&x.from != 0 {
			out |= x.to
		}
	}
	return out
}

func destinationOf(d *lvs.Destination) ipvs.Destination {
	out := ipvs.Destination{Addr: d.Addr, Weight: d.Weight, Upper: d.UpperThreshold, Lower: d.LowerThreshold}
	switch d.Method {
	case lvs.Direct:
		out.Forward = ipvs.DirectRoute
	case lvs.Tunnel:
		out.Forward = ipvs.Tunnel
		out.Tunnel = ipvs.TunnelOptions{Port: d.TunnelPort}
		switch d.DestinationAttributes.Tunnel {
		case lvs.GUE:
			out.Tunnel.Type = ipvs.GUE
		case lvs.GRE:
			out.Tunnel.Type = ipvs.GRE
		}
		switch d.Checksum {
		case lvs.Checksum:
			out.Tunnel.Checksum = ipvs.FullChecksum
		case lvs.RemoteChecksum:
			out.Tunnel.Checksum = ipvs.RemoteChecksum
		}
	default:
		out.Forward = ipvs.Masquerade
	}
	return out
}
