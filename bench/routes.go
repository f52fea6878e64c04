package main

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/nl"
	"keepalived-go/internal/tool/lab"
)

// routes makes a node master of 10,000 routes, with a backup.
func routes(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	const n, interval = 10000, 100 * time.Millisecond
	var set, gap, backupAdverts, batch []float64
	for range b.rounds(5) {
		var took time.Duration
		high := router{name: "VI_1", vrid: 51, priority: 150, version: 3, interval: interval, vips: []netip.Addr{lab.SegmentAddr(0, 1000)},
			more: "virtual_routes {\n" + manyRoutes("", n) + "}\n"}
		added, err := countRoutes(l.Node("a"), n)
		if err != nil {
			return nil, err
		}
		silence, others, err := masterWhile(l, p, high, func(first lab.Event) (time.Time, error) {
			select {
			case last, ok := <-added:
				if !ok {
					return last, fmt.Errorf("events about routes were lost")
				}
				took = last.Sub(first.Time)
				time.Sleep(5 * interval)
				return time.Now(), nil
			case <-time.After(20 * time.Second):
				return time.Time{}, fmt.Errorf("not all routes were set")
			}
		})
		l.Forget()
		if err != nil {
			return nil, err
		}
		set, gap, backupAdverts = append(set, ms(took)), append(gap, ms(silence)), append(backupAdverts, float64(others))
		d, err := routeBatch(l.Node("a"), n)
		if err != nil {
			return nil, err
		}
		batch = append(batch, ms(d))
	}
	stormy, err := storm(b, l, p)
	if err != nil {
		return nil, err
	}
	yardstick := summary("ip -batch sets the same routes", "ms", batch, none)
	return append([]sample{
		summary("first advert until all are in the kernel", "ms", set, none),
		yardstick,
		{What: "the same as a multiple of ip -batch", Unit: "×", Value: summary("", "", set, none).Value / yardstick.Value, Target: limit(1.3, "≤ 1.3")},
		summary("longest silence of the master", "ms", gap, limit(1.5*ms(interval), "≤ 150 ms")),
		summary("adverts of the backup", "adverts", backupAdverts, limit(0, "none")),
	}, stormy...), nil
}

// storm adds, replaces and deletes routes as fast as another program can beside a master
// at 10 ms.
func storm(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	const n, interval = 500, 10 * time.Millisecond
	var gap, backupAdverts, pace []float64
	lines := manyRoutes("route add table 99 ", n) + manyRoutes("route replace mtu 1400 table 99 ", n) + manyRoutes("route del table 99 ", n)
	for range b.rounds(5) {
		high := router{name: "VI_1", vrid: 51, priority: 150, version: 3, interval: interval, vips: []netip.Addr{lab.SegmentAddr(0, 1000)},
			more: "virtual_routes {\n  10.101.0.0/16 via 10.0.0.77 dev eth0\n}\n"}
		silence, others, err := masterWhile(l, p, high, func(first lab.Event) (time.Time, error) {
			changes := 0
			for end := first.Time.Add(5 * time.Second); time.Now().Before(end); changes += 3 * n {
				if err := first.Node.IPBatch(lines); err != nil {
					return time.Time{}, err
				}
			}
			end := time.Now()
			pace = append(pace, float64(changes)/end.Sub(first.Time).Seconds())
			return end, nil
		})
		l.Forget()
		if err != nil {
			return nil, err
		}
		gap, backupAdverts = append(gap, ms(silence)), append(backupAdverts, float64(others))
	}
	return []sample{
		summary("routes that another program changes beside a master at 10 ms", "a second", pace, atLeast(5000)),
		summary("… longest silence of the master", "ms", gap, none),
		summary("… adverts of the backup", "adverts", backupAdverts, limit(0, "none")),
	}, nil
}

// benchRoutes is the network of the routes.
var benchRoutes = netip.MustParsePrefix("100.64.0.0/10")

// manyRoutes returns n lines, each with a different route after the words.
func manyRoutes(words string, n int) string {
	var b strings.Builder
	a := benchRoutes.Addr()
	for range n {
		fmt.Fprintf(&b, "%s%v/32 via 10.0.0.77 dev eth0\n", words, a)
		a = a.Next()
	}
	return b.String()
}

// countRoutes returns a channel for the time of the kernel's report of the n-th route
// that is added in the node from now on. The channel is closed without a time if reports
// are lost.
func countRoutes(node *lab.Node, n int) (<-chan time.Time, error) {
	var socket *nl.KernelSocket
	if err := node.Do(func() (err error) {
		socket, err = nl.Open(unix.NETLINK_ROUTE, nl.Options{ReceiveBuffer: 64 << 20, Force: true, Groups: []uint32{unix.RTNLGRP_IPV4_ROUTE}})
		return err
	}); err != nil {
		return nil, err
	}
	at := make(chan time.Time, 1)
	go func() {
		events := nl.NewEvents(socket, 64, 1<<10)
		defer events.Close()
		defer close(at)
		for n > 0 {
			if err := events.Read(func(m nl.Message) {
				if r, ok := kernel.DecodeRoute(m.Body, nl.Names{}); ok && m.Type == unix.RTM_NEWROUTE && benchRoutes.Contains(r.Dst.Addr()) {
					n--
				}
			}); err != nil {
				return
			}
		}
		at <- time.Now()
	}()
	return at, nil
}

// routeBatch returns how long ip(8) takes for the same routes in one batch.
func routeBatch(node *lab.Node, n int) (time.Duration, error) {
	added, err := countRoutes(node, n)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := node.IPBatch(manyRoutes("route add proto 18 ", n)); err != nil {
		return 0, err
	}
	last, ok := <-added
	if !ok {
		return 0, fmt.Errorf("events about routes were lost")
	}
	return last.Sub(began), node.IP("route flush proto 18")
}
