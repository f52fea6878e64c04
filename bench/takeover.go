package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"keepalived-go/internal/tool/lab"
)

// takeover kills the master with all its processes and measures the backup.
func takeover(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	var out []sample
	for _, c := range []struct {
		version  int
		interval time.Duration
		rounds   int
	}{{2, time.Second, 10}, {3, 100 * time.Millisecond, 20}, {3, 10 * time.Millisecond, 20}} {
		vip := lab.SegmentAddr(0, 1000)
		high := router{name: "VI_1", vrid: 51, priority: 150, version: c.version, interval: c.interval, vips: []netip.Addr{vip}}
		low := high
		low.priority = 100
		var advert, address, announced []float64
		backup, err := l.Node("b").Start(p, config(low))
		if err != nil {
			return out, err
		}
		for range b.rounds(c.rounds) {
			times, err := killMaster(l, p, high, low)
			if err != nil {
				return out, fmt.Errorf("v%d at %v: %w", c.version, c.interval, err)
			}
			advert, address, announced = append(advert, ms(times[0])), append(address, ms(times[1])), append(announced, ms(times[2]))
		}
		backup.Stop()
		name := fmt.Sprintf("v%d at %g s: ", c.version, c.interval.Seconds())
		out = append(out,
			summary(name+"first advert", "ms", advert, atMost(1)),
			summary(name+"address in the kernel", "ms", address, atMost(1)),
			summary(name+"first gratuitous ARP", "ms", announced, atMost(1)))
		l.Forget()
	}
	return out, nil
}

// killMaster starts a master on a, kills it, and returns how long after
// Master_Down_Interval, which began with its last advert, b sent its first advert, had
// the address, and announced it.
func killMaster(l *lab.Lab, p lab.Program, high, low router) ([3]time.Duration, error) {
	var none [3]time.Duration
	a, b := l.Node("a"), l.Node("b")
	vip := high.vips[0]
	master, err := a.Start(p, config(high))
	if err != nil {
		return none, err
	}
	if !l.Until(10*time.Second, func() bool { return a.Has(vip) && !b.Has(vip) }) {
		return none, errors.New("the master did not take the address")
	}
	from := time.Now().Add(2 * low.interval)
	if _, ok := l.Wait(from, 5*time.Second, sentBy(a)); !ok {
		return none, errors.New("the master is silent")
	}
	killed := master.Kill()
	if err := a.IP(fmt.Sprintf("addr del %v/32 dev eth0", vip)); err != nil {
		return none, err
	}
	wait := low.masterDown() + 5*time.Second
	first, ok := l.Wait(killed, wait, sentBy(b))
	if !ok {
		return none, errors.New("no takeover")
	}
	last, _ := l.Last(func(e *lab.Event) bool { return sentBy(a)(e) && e.Time.Before(first.Time) })
	due := last.Time.Add(low.masterDown())
	added, ok := l.Wait(killed, wait, func(e *lab.Event) bool { return e.Kind == lab.AddrAdded && e.Node == b && e.Addr == vip })
	if !ok {
		return none, errors.New("the backup did not take the address")
	}
	arp, ok := l.Wait(killed, wait, func(e *lab.Event) bool { return e.Kind == lab.Announce && e.Node == b && e.Addr == vip })
	if !ok {
		return none, errors.New("the backup did not announce the address")
	}
	return [3]time.Duration{first.Time.Sub(due), added.Time.Sub(due), arp.Time.Sub(due)}, nil
}

// sentBy matches the node's adverts.
func sentBy(n *lab.Node) func(*lab.Event) bool {
	return func(e *lab.Event) bool { return e.Kind == lab.Advert && e.Node == n }
}
