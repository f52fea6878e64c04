package main

import (
	"fmt"
	"net/netip"
	"time"

	"keepalived-go/internal/tool/lab"
)

// scale starts many instances, and reads their use of resources once all are master.
func scale(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	var out []sample
	for _, n := range []int{100, 500, 1000, 4000} {
		routers := many(n, 100)
		d, err := l.Node("a").Start(p, config(routers...))
		if err != nil {
			return out, err
		}
		// Checking thousands of events repeatedly would take the CPU time that is
		// measured.
		time.Sleep(routers[0].masterDown() + time.Second)
		last, err := allMaster(l, routers, d.Started)
		if err != nil {
			d.Stop()
			return out, err
		}
		var all []netip.Addr
		for _, r := range routers {
			all = append(all, r.vips...)
		}
		start := lab.Event{Time: d.Started, Node: l.Node("a")}
		announced, err := lastOf(l, lab.Announce, start, all)
		if err != nil {
			d.Stop()
			return out, err
		}
		time.Sleep(6 * time.Second) // the second announcements are sent after 5 s
		before := d.Usage()
		watched := time.Now()
		time.Sleep(max(8*time.Second, b.span(20*time.Second)))
		after := d.Usage()
		percent := 100 * float64(after.CPU-before.CPU) / float64(time.Since(watched))
		d.Stop()
		l.Forget()
		name := fmt.Sprintf("%d instances: ", n)
		out = append(out,
			sample{What: name + "start until all master, beyond theory", Unit: "ms", Value: ms(last.Sub(d.Started) - routers[0].masterDown()), Target: atMost(1)},
			sample{What: name + "start until all addresses are announced, beyond theory", Unit: "ms", Value: ms(announced - routers[0].masterDown()), Target: atMost(1)},
			sample{What: name + "CPU as masters", Unit: "% of a core", Value: percent, Target: atMost(1)},
			sample{What: name + "resident memory, sum", Unit: "MiB", Value: mib(after.RSS), Target: atMost(1.5)},
			sample{What: name + "resident memory, shared pages split", Unit: "MiB", Value: mib(after.PSS)},
			sample{What: name + "processes", Unit: "", Value: float64(after.Processes)})
	}
	return out, nil
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// control stops and reloads a daemon of 500 masters.
func control(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	const n = 500
	a := l.Node("a")
	var reload, gone, exit, linger []float64
	for range b.rounds(5) {
		routers := many(n, 200)
		d, err := a.Start(p, config(routers...))
		if err != nil {
			return nil, err
		}
		if _, err := allMaster(l, routers, d.Started); err != nil {
			return nil, err
		}
		time.Sleep(time.Second)
		for i := range 5 {
			fresh := lab.SegmentAddr(0, 5000+i)
			routers[n/4].vips = []netip.Addr{fresh}
			if err := d.Configure(config(routers...)); err != nil {
				return nil, err
			}
			from := time.Now()
			if err := d.Signal(1); err != nil {
				return nil, err
			}
			e, ok := l.Wait(from, 10*time.Second, func(e *lab.Event) bool { return e.Kind == lab.AddrAdded && e.Addr == fresh })
			if !ok {
				return nil, fmt.Errorf("the reload had no effect")
			}
			reload = append(reload, ms(e.Time.Sub(from)))
			time.Sleep(300 * time.Millisecond)
		}
		from := time.Now()
		if err := d.Stop(); err != nil {
			return nil, err
		}
		ended := time.Now()
		last, ok := l.Last(func(e *lab.Event) bool { return e.Kind == lab.AddrRemoved })
		if !ok {
			return nil, fmt.Errorf("no address was removed")
		}
		gone = append(gone, ms(last.Time.Sub(from)))
		exit = append(exit, ms(ended.Sub(from)))
		linger = append(linger, ms(ended.Sub(last.Time)))
		l.Forget()
	}
	return []sample{
		summary("SIGHUP, one instance changed, until in the kernel", "ms", reload, atMost(1)),
		summary("SIGTERM until all addresses are gone", "ms", gone, none),
		summary("SIGTERM until exit", "ms", exit, none),
		summary("last removal until exit", "ms", linger, limit(50, "≤ 50 ms")),
	}, nil
}
