package checkd

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/lvs"
)

// addresses is what this machine has of addresses: services with ha_suspend have
// their checks suspended while it has none of theirs.
type addresses struct {
	monitor *kernel.Monitor
	conn    *kernel.Conn
	first   []kernel.Addr                      // the addresses at the start, until they are taken up
	links   map[netip.Addr]map[kernel.Key]bool // where each address is
}

// watchAddresses begins to watch the addresses of this machine, if a service of p
// depends on them and watched is false. It waits for the kernel, and so does not
// belong to the loop, which takes up what p gets by it.
func (d *daemon) watchAddresses(p *plan, watched bool) {
	suspending := slices.ContainsFunc(p.services.Services, func(s lvs.Service) bool { return s.HASuspend })
	if !suspending || watched {
		return
	}
	a, err := d.openAddresses(&p.conf.Global.LVS)
	if err != nil {
		slog.Error(fmt.Sprintf("watch addresses: %v; checks with ha_suspend do not run", err))
		return
	}
	p.addresses = a
}

func (d *daemon) openAddresses(g *conf.LVS) (*addresses, error) {
	a := &addresses{links: make(map[netip.Addr]map[kernel.Key]bool)}
	var err error
	if a.conn, err = kernel.DialOn(d.Host, g.NetlinkCmdRcvBuf, g.NetlinkCmdRcvBufForce); err != nil {
		return nil, err
	}
	// Watch first, list then: no change falls between the two.
	a.monitor, err = kernel.WatchOn(d.Host, g.NetlinkMonitorRcvBuf, g.NetlinkMonitorRcvBufForce, nil, func(events []kernel.Event) {
		d.hearAddresses(a, events)
	})
	if err != nil {
		a.conn.Close()
		return nil, err
	}
	a.first, err = a.conn.Addrs()
	switch {
	case errors.Is(err, kernel.ErrInterrupted):
		a.monitor.Remind(rereadAfter)
	case err != nil:
		a.close()
		return nil, err
	}
	return a, nil
}

// takeAddresses takes up what a plan has begun to watch. Events that came meanwhile
// may be older or newer than the list: another one, in their order, follows at once.
func (d *daemon) takeAddresses(a *addresses) {
	if a == nil {
		return
	}
	for i := range a.first {
		d.setAddress(a, a.first[i].Key(), true)
	}
	a.first = nil
	d.addresses = a
	for ip := range a.links {
		d.addressChanged(ip, true)
	}
	a.monitor.Remind(0)
}

// rereadAfter is how long after a list that was interrupted another is made.
const rereadAfter = time.Second

// hearAddresses carries events of the kernel into the loop. It runs on the
// goroutine of the monitor.
func (d *daemon) hearAddresses(a *addresses, events []kernel.Event) {
	type change struct {
		key     kernel.Key
		present bool
	}
	var changes []change
	reread := false
	for i := range events {
		switch e := &events[i]; e.Kind {
		case kernel.AddrNew:
			changes = append(changes, change{e.Addr.Key(), true})
		case kernel.AddrGone:
			changes = append(changes, change{e.Addr.Key(), false})
		case kernel.LinkGone:
			index := e.Link.Index
			d.loop.Post(func() { d.dropLink(a, index) })
		case kernel.Overrun, kernel.Reminder:
			reread = true
		}
	}
	if reread {
		all, err := a.conn.Addrs()
		if err != nil {
			if !errors.Is(err, kernel.ErrInterrupted) {
				slog.Warn(fmt.Sprintf("read the addresses of this machine: %v", err))
			}
			a.monitor.Remind(rereadAfter)
		}
		whole := err == nil
		d.loop.Post(func() { d.replaceAddresses(a, all, whole) })
		return
	}
	if len(changes) > 0 {
		d.loop.Post(func() {
			for _, c := range changes {
				d.setAddress(a, c.key, c.present)
			}
		})
	}
}

// setAddress notes that an address is on a link or not, and informs the engine if the
// machine has it now or has it no longer, once a is taken up.
func (d *daemon) setAddress(a *addresses, k kernel.Key, present bool) {
	ip := k.Prefix.Addr()
	on := a.links[ip]
	was := len(on) > 0
	switch {
	case present && on == nil:
		a.links[ip] = map[kernel.Key]bool{k: true}
	case present:
		on[k] = true
	default:
		if delete(on, k); len(on) == 0 {
			delete(a.links, ip)
		}
	}
	if is := len(a.links[ip]) > 0; is != was && d.addresses == a {
		d.addressChanged(ip, is)
	}
}

// dropLink notes that a link is gone, and its addresses with it.
func (d *daemon) dropLink(a *addresses, index int) {
	for _, on := range a.links {
		for k := range on {
			if k.Link == index {
				d.setAddress(a, k, false)
			}
		}
	}
}

// replaceAddresses takes up a list of the addresses. One that is not whole may
// lack some.
func (d *daemon) replaceAddresses(a *addresses, all []kernel.Addr, whole bool) {
	listed := make(map[kernel.Key]bool, len(all))
	for i := range all {
		k := all[i].Key()
		listed[k] = true
		d.setAddress(a, k, true)
	}
	if !whole {
		return
	}
	for _, on := range a.links {
		for k := range on {
			if !listed[k] {
				d.setAddress(a, k, false)
			}
		}
	}
}

func (a *addresses) close() {
	a.monitor.Close()
	a.conn.Close()
}
