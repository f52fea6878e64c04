package checkd

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"keepalived-go/internal/linux/kernel"
	"keepalived-go/lvs"
)

// addresses is what this machine has of addresses: services with ha_suspend have
// their checks suspended while it has none of theirs.
type addresses struct {
	monitor *kernel.Monitor
	conn    *kernel.Conn
	links   map[netip.Addr]map[kernel.Key]bool // where each address is
}

// watchAddresses begins to watch the addresses of this machine, if a service
// depends on them, and gives the engine the addresses that it has. It continues until
// the end.
func (d *daemon) watchAddresses(c *lvs.Config) error {
	suspending := slices.ContainsFunc(c.Services, func(s lvs.Service) bool { return s.HASuspend })
	if !suspending || d.addresses != nil {
		return nil
	}
	g := &d.conf.Global.LVS
	a := &addresses{links: make(map[netip.Addr]map[kernel.Key]bool)}
	var err error
	if a.conn, err = kernel.DialOn(d.Host, g.NetlinkCmdRcvBuf, g.NetlinkCmdRcvBufForce); err != nil {
		return err
	}
	// Watch first, list then: no change falls between the two.
	a.monitor, err = kernel.WatchOn(d.Host, g.NetlinkMonitorRcvBuf, g.NetlinkMonitorRcvBufForce, nil, func(events []kernel.Event) {
		d.hearAddresses(a, events)
	})
	if err != nil {
		a.conn.Close()
		return err
	}
	d.addresses = a
	all, err := a.conn.Addrs()
	if err != nil && !errors.Is(err, kernel.ErrInterrupted) {
		return err
	}
	if err != nil {
		a.monitor.Remind(rereadAfter)
	}
	for i := range all {
		d.setAddress(all[i].Key(), true)
	}
	return nil
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
			d.loop.Post(func() { d.dropLink(index) })
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
		d.loop.Post(func() { d.replaceAddresses(all, whole) })
		return
	}
	if len(changes) > 0 {
		d.loop.Post(func() {
			for _, c := range changes {
				d.setAddress(c.key, c.present)
			}
		})
	}
}

// setAddress notes that an address is on a link or not, and informs the engine if
// the machine has it now or has it no longer.
func (d *daemon) setAddress(k kernel.Key, present bool) {
	ip := k.Prefix.Addr()
	on := d.addresses.links[ip]
	was := len(on) > 0
	switch {
	case present && on == nil:
		d.addresses.links[ip] = map[kernel.Key]bool{k: true}
	case present:
		on[k] = true
	default:
		if delete(on, k); len(on) == 0 {
			delete(d.addresses.links, ip)
		}
	}
	if is := len(d.addresses.links[ip]) > 0; is != was {
		d.addressChanged(ip, is)
	}
}

// dropLink notes that a link is gone, and its addresses with it.
func (d *daemon) dropLink(index int) {
	for _, on := range d.addresses.links {
		for k := range on {
			if k.Link == index {
				d.setAddress(k, false)
			}
		}
	}
}

// replaceAddresses takes up a list of the addresses. One that is not whole may
// lack some.
func (d *daemon) replaceAddresses(all []kernel.Addr, whole bool) {
	listed := make(map[kernel.Key]bool, len(all))
	for i := range all {
		k := all[i].Key()
		listed[k] = true
		d.setAddress(k, true)
	}
	if !whole {
		return
	}
	for _, on := range d.addresses.links {
		for k := range on {
			if !listed[k] {
				d.setAddress(k, false)
			}
		}
	}
}

func (a *addresses) close() {
	a.monitor.Close()
	a.conn.Close()
}
