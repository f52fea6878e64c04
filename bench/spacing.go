package main

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"keepalived-go/internal/tool/lab"
)

// spacing records the adverts of 1 s masters for a minute.
func spacing(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	var out []sample
	for _, n := range []int{100, 500, 1000} {
		if b.quick && n == 500 {
			continue
		}
		routers := many(n, 200)
		d, err := l.Node("a").Start(p, config(routers...))
		if err != nil {
			return out, err
		}
		if _, err := allMaster(l, routers, d.Started); err != nil {
			return out, err
		}
		time.Sleep(2 * time.Second) // the first announcements are over
		l.Forget()
		from := time.Now()
		time.Sleep(b.span(time.Minute))
		mean, p99, worst := gaps(l, l.Node("a"), from, time.Now(), time.Second)
		d.Stop()
		l.Forget()
		name := fmt.Sprintf("%d instances: ", n)
		out = append(out,
			sample{What: name + "mean error", Unit: "ms", Value: ms(mean), Target: limit(0.02, "none (0.02 ms)")},
			sample{What: name + "99 % within", Unit: "ms", Value: ms(p99), Target: atMost(1)},
			sample{What: name + "worst", Unit: "ms", Value: ms(worst), Target: atMost(1)})
	}
	return out, nil
}

// gaps compares the intervals between each router's adverts with the configured interval:
// the mean difference, and the 99th percentile and maximum of its absolute value.
func gaps(l *lab.Lab, n *lab.Node, from, to time.Time, interval time.Duration) (mean, p99, worst time.Duration) {
	type key struct {
		segment int
		vrid    uint8
	}
	last := map[key]time.Time{}
	var errors []time.Duration
	var sum time.Duration
	for _, e := range l.Events(from, to, sentBy(n)) {
		k := key{e.Segment, e.VRID}
		if before, ok := last[k]; ok {
			d := e.Time.Sub(before) - interval
			sum += d
			errors = append(errors, d.Abs())
		}
		last[k] = e.Time
	}
	if len(errors) == 0 {
		return 0, 0, 0
	}
	slices.Sort(errors)
	return sum / time.Duration(len(errors)), errors[len(errors)*99/100], errors[len(errors)-1]
}

// load runs ten instances at 10 ms on both nodes beside six busy loops.
func load(_ *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	return beside(l, p, extraLoad{steady: time.Second, loops: 6})
}

// extraLoad is the load on a master besides its virtual routers.
type extraLoad struct {
	name   string        // prefix of the rows
	config string        // the additional configuration
	steady time.Duration // the time after which the load is complete
	loops  int           // busy loops, from then on
}

// beside runs ten instances at 10 ms on both nodes, with a load on the master. A backup
// that sends an advert has lost a live master.
func beside(l *lab.Lab, p lab.Program, extra extraLoad) ([]sample, error) {
	defer l.Forget()
	var high, low []router
	for i := range 10 {
		r := router{name: fmt.Sprintf("VI_%d", i), vrid: i + 1, priority: 200, version: 3, interval: 10 * time.Millisecond,
			vips: []netip.Addr{lab.SegmentAddr(0, 1000+i)}}
		high = append(high, r)
		r.priority = 100
		low = append(low, r)
	}
	a, other := l.Node("a"), l.Node("b")
	master, err := a.Start(p, config(high...)+extra.config)
	if err != nil {
		return nil, err
	}
	defer master.Stop()
	if _, err := allMaster(l, high, master.Started); err != nil {
		return nil, err
	}
	backup, err := other.Start(p, config(low...))
	if err != nil {
		return nil, err
	}
	defer backup.Stop()
	time.Sleep(extra.steady)
	endLoops, err := busyLoops(a, extra.loops)
	defer endLoops()
	if err != nil {
		return nil, err
	}
	from := time.Now()
	time.Sleep(12 * time.Second)
	to := time.Now()
	mean, p99, worst := gaps(l, a, from, to, 10*time.Millisecond)
	return []sample{
		{What: extra.name + "adverts of the backup in 12 s", Unit: "adverts", Value: float64(len(l.Events(from, to, sentBy(other)))), Target: limit(0, "none")},
		{What: extra.name + "spacing of the master: mean error", Unit: "ms", Value: ms(mean)},
		{What: extra.name + "spacing of the master: 99 % within", Unit: "ms", Value: ms(p99)},
		{What: extra.name + "spacing of the master: worst", Unit: "ms", Value: ms(worst)},
	}, nil
}

// busyLoops starts programs that take whatever processor they get, until end, which may be
// called again, is called.
func busyLoops(on *lab.Node, n int) (end func(), err error) {
	var loops []*lab.Daemon
	end = sync.OnceFunc(func() {
		for _, busy := range loops {
			busy.Kill()
		}
	})
	for range n {
		busy, err := on.StartWith(lab.Program{Name: "busy", Path: "/bin/sh"}, "-c", "while :; do :; done")
		if err != nil {
			return end, err
		}
		loops = append(loops, busy)
	}
	return end, nil
}

// allMaster waits until each router has sent an advert, and returns when the last of them
// sent its first one.
func allMaster(l *lab.Lab, routers []router, from time.Time) (time.Time, error) {
	type key struct {
		segment int
		vrid    uint8
	}
	seen := map[key]bool{}
	var last time.Time
	ok := l.Until(30*time.Second, func() bool {
		clear(seen)
		for _, e := range l.Events(from, time.Now(), func(e *lab.Event) bool { return e.Kind == lab.Advert }) {
			if k := (key{e.Segment, e.VRID}); !seen[k] {
				seen[k], last = true, e.Time
			}
		}
		return len(seen) == len(routers)
	})
	if !ok {
		return last, fmt.Errorf("%d of %d instances became master", len(seen), len(routers))
	}
	return last, nil
}
