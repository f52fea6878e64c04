package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/tool/lab"
)

// bulk makes a node master of very many addresses, with a backup.
func bulk(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	var out []sample
	for _, c := range []struct {
		addresses int
		interval  time.Duration
		rounds    int
		refuses   bool // packets to the addresses are dropped
	}{{1000, 100 * time.Millisecond, 5, false}, {4000, 100 * time.Millisecond, 5, false}, {1000, 10 * time.Millisecond, 5, false}, {1000, 100 * time.Millisecond, 5, true}} {
		var set, announced, gap, backupAdverts, batch, floor []float64
		for range b.rounds(c.rounds) {
			r, err := bulkRound(l, p, c.addresses, c.interval, c.refuses)
			if err != nil {
				return out, fmt.Errorf("%d addresses at %v: %w", c.addresses, c.interval, err)
			}
			set, announced, gap = append(set, ms(r.set)), append(announced, ms(r.announced)), append(gap, ms(r.gap))
			backupAdverts = append(backupAdverts, float64(r.backupAdverts))
			d, err := ipBatch(l, addresses(c.addresses))
			if err != nil {
				return out, err
			}
			batch = append(batch, ms(d))
			if d, err = kernelAlone(l, addresses(c.addresses)); err != nil {
				return out, err
			}
			floor = append(floor, ms(d))
		}
		name := fmt.Sprintf("%d at %g s: ", c.addresses, c.interval.Seconds())
		if c.refuses {
			name = fmt.Sprintf("%d at %g s with no_accept: ", c.addresses, c.interval.Seconds())
		}
		interval := ms(c.interval)
		if interval >= 100 {
			half := none
			if c.addresses == 1000 && !c.refuses {
				half = atMost(0.5)
			}
			yardstick := summary(name+"ip -batch sets the same addresses", "ms", batch, none)
			out = append(out,
				summary(name+"first advert until all are in the kernel", "ms", set, half),
				yardstick,
				summary(name+"the kernel takes for them in one batch, with nothing else to do", "ms", floor, none),
				sample{What: name + "the same as a multiple of ip -batch", Unit: "×", Value: summary("", "", set, none).Value / yardstick.Value, Target: limit(1.3, "≤ 1.3")},
				summary(name+"first advert until each was announced", "ms", announced, atMost(1)))
		}
		out = append(out,
			summary(name+"longest silence of the master", "ms", gap, limit(1.5*interval, fmt.Sprintf("≤ %g ms", 1.5*interval))),
			summary(name+"adverts of the backup", "adverts", backupAdverts, limit(0, "none")))
	}
	return out, nil
}

type bulkResult struct {
	set, announced, gap time.Duration
	backupAdverts       int
}

func bulkRound(l *lab.Lab, p lab.Program, n int, interval time.Duration, refuses bool) (r bulkResult, err error) {
	defer l.Forget()
	vips := addresses(n)
	high := router{name: "VI_1", vrid: 51, priority: 150, version: 3, interval: interval, vips: vips}
	if refuses {
		high.more = "no_accept\n"
	}
	r.gap, r.backupAdverts, err = masterWhile(l, p, high, func(first lab.Event) (time.Time, error) {
		// The second set of announcements is sent 5 s after the first.
		end := first.Time.Add(7 * time.Second)
		time.Sleep(time.Until(end))
		if r.set, err = lastOf(l, lab.AddrAdded, first, vips); err != nil {
			return end, err
		}
		r.announced, err = lastOf(l, lab.Announce, first, vips)
		return end, err
	})
	return r, err
}

// lastOf returns how long after the first advert the last of the addresses had an event
// of that kind on the same node.
func lastOf(l *lab.Lab, kind lab.Kind, first lab.Event, vips []netip.Addr) (time.Duration, error) {
	wanted := make(map[netip.Addr]bool, len(vips))
	for _, v := range vips {
		wanted[v] = true
	}
	var last time.Time
	missing := 0
	complete := l.Until(20*time.Second, func() bool {
		seen := make(map[netip.Addr]bool, len(vips))
		for _, e := range l.Events(first.Time, time.Now(), func(e *lab.Event) bool { return e.Kind == kind && e.Node == first.Node && wanted[e.Addr] }) {
			if !seen[e.Addr] {
				seen[e.Addr], last = true, e.Time
			}
		}
		missing = len(vips) - len(seen)
		return missing == 0
	})
	if !complete {
		return 0, fmt.Errorf("%d of %d addresses missing (kind %d)", missing, len(vips), kind)
	}
	return last.Sub(first.Time), nil
}

// masterWhile makes node a master, with a backup in node b, and calls until with its
// first advert. It reports the longest interval without an advert from then to the time
// that until returns, and how many adverts the backup has sent by then.
func masterWhile(l *lab.Lab, p lab.Program, high router, until func(first lab.Event) (time.Time, error)) (gap time.Duration, backupAdverts int, err error) {
	a, b := l.Node("a"), l.Node("b")
	low := high
	low.priority = 100
	began := time.Now()
	master, err := a.Start(p, config(high))
	if err != nil {
		return 0, 0, err
	}
	defer master.Stop()
	// The backup starts a little later: started together, the two are so close that
	// sometimes both become master at first.
	time.Sleep(2 * high.interval)
	backup, err := b.Start(p, config(low))
	if err != nil {
		return 0, 0, err
	}
	defer backup.Stop()

	first, ok := l.Wait(began, 10*time.Second, sentBy(a))
	if !ok {
		return 0, 0, fmt.Errorf("no master")
	}
	end, err := until(first)
	if err != nil {
		return 0, 0, err
	}
	previous := first.Time
	for _, e := range l.Events(first.Time, end, sentBy(a)) {
		gap = max(gap, e.Time.Sub(previous))
		previous = e.Time
	}
	gap = max(gap, end.Sub(previous)) // no advert until the end: it became backup
	return gap, len(l.Events(first.Time, end, sentBy(b))), nil
}

// kernelAlone returns how long the kernel takes for the same addresses in one batch, on a
// link that is otherwise unused, with only the watcher receiving events: a lower bound
// for any program.
func kernelAlone(l *lab.Lab, vips []netip.Addr) (time.Duration, error) {
	defer l.Forget()
	a := l.Node("a")
	var exec *kernel.Executor
	done := make(chan struct{}, 1)
	changes := make([]kernel.Change, 0, len(vips))
	err := a.Do(func() error {
		link, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		for _, v := range vips {
			changes = append(changes, kernel.Change{Op: kernel.Add, Object: &kernel.Addr{Link: link.Index, Prefix: netip.PrefixFrom(v, v.BitLen())}})
		}
		conn, err := kernel.Dial(0, false)
		if err == nil {
			exec = kernel.NewExecutor(conn, nil, func(c kernel.Completion) {
				if c.Last {
					done <- struct{}{}
				}
			})
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	defer exec.Close()
	began := time.Now()
	exec.Submit(1, changes)
	<-done
	last, ok := l.Wait(began, 10*time.Second, func(e *lab.Event) bool { return e.Kind == lab.AddrAdded && e.Addr == vips[len(vips)-1] })
	if !ok {
		return 0, fmt.Errorf("one batch: the last address did not appear")
	}
	for i := range changes {
		changes[i].Op = kernel.Remove
	}
	exec.Submit(2, changes)
	<-done
	return last.Time.Sub(began), nil
}

// ipBatch returns how long ip(8) takes for the same addresses in one batch.
func ipBatch(l *lab.Lab, vips []netip.Addr) (time.Duration, error) {
	defer l.Forget()
	a := l.Node("a")
	var add, del strings.Builder
	for _, v := range vips {
		fmt.Fprintf(&add, "addr add %v/32 dev eth0\n", v)
		fmt.Fprintf(&del, "addr del %v/32 dev eth0\n", v)
	}
	began := time.Now()
	if err := a.IPBatch(add.String()); err != nil {
		return 0, err
	}
	last, ok := l.Wait(began, 10*time.Second, func(e *lab.Event) bool { return e.Kind == lab.AddrAdded && e.Addr == vips[len(vips)-1] })
	if !ok {
		return 0, fmt.Errorf("ip -batch: the last address did not appear")
	}
	return last.Time.Sub(began), a.IPBatch(del.String())
}
