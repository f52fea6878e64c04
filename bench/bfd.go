package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"keepalived-go/internal/tool/lab"
)

// sessions is n BFD sessions between the nodes a and b, each with different addresses at
// both ends: the C daemon has one session for each neighbour.
type sessions struct {
	n          int
	interval   time.Duration
	multiplier int
}

// address returns the address of session i on a node.
func (sessions) address(n *lab.Node, i int) netip.Addr { return lab.SegmentAddr(0, 2000*(n.Index+1)+i) }

// config returns the configuration of the end on own.
func (s sessions) config(own, other *lab.Node) string {
	var b strings.Builder
	b.WriteString(config())
	for i := range s.n {
		fmt.Fprintf(&b, "bfd_instance B_%d {\n  neighbor_ip %v\n  source_ip %v\n  min_tx %d\n  min_rx %d\n  multiplier %d\n}\n",
			i, s.address(other, i), s.address(own, i), s.interval.Milliseconds(), s.interval.Milliseconds(), s.multiplier)
	}
	return b.String()
}

// prepare adds the addresses of own, and static neighbour entries for those of other: the
// neighbour tables of all namespaces together can learn a thousand. remove undoes that.
func (s sessions) prepare(own, other *lab.Node) (remove func(), err error) {
	mac, err := other.Run("ip", "-br", "link", "show", "eth0") // eth0@if7 UP 02:… <…>
	fields := strings.Fields(mac)
	if err != nil || len(fields) < 3 {
		return nil, fmt.Errorf("hardware address of %s: %w: %s", other.Name, err, mac)
	}
	var add, del strings.Builder
	for i := range s.n {
		fmt.Fprintf(&add, "addr add %v/16 dev eth0\nneigh add %v lladdr %s dev eth0 nud permanent\n", s.address(own, i), s.address(other, i), fields[2])
		fmt.Fprintf(&del, "addr del %v/16 dev eth0\nneigh del %v dev eth0\n", s.address(own, i), s.address(other, i))
	}
	return func() { own.IPBatch(del.String()) }, own.IPBatch(add.String())
}

// detection returns the detection time of an end.
func (s sessions) detection() time.Duration { return time.Duration(s.multiplier) * s.interval }

// bfdSessions measures many sessions between two daemons, first on an idle machine, then
// beside six busy loops, and, for ours, a takeover that a session hastens.
func bfdSessions(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	var out []sample
	for _, s := range []sessions{{1000, 50 * time.Millisecond, 5}, {100, 10 * time.Millisecond, 5}} {
		rows, err := manySessions(b, l, p, s)
		if out = append(out, rows...); err != nil {
			return out, err
		}
	}
	if p.IsC() {
		return out, nil // a session does not shorten the takeovers of the C daemon
	}
	rows, err := hastenedTakeover(b, l, p)
	return append(out, rows...), err
}

func manySessions(b *bench, l *lab.Lab, p lab.Program, s sessions) ([]sample, error) {
	x, y := l.Node("a"), l.Node("b")
	for _, ends := range [][2]*lab.Node{{x, y}, {y, x}} {
		remove, err := s.prepare(ends[0], ends[1])
		if err != nil {
			return nil, err
		}
		defer remove()
	}
	first, err := x.Start(p, s.config(x, y))
	if err != nil {
		return nil, err
	}
	defer first.Stop()
	second, err := y.Start(p, s.config(y, x))
	if err != nil {
		return nil, err
	}
	defer second.Stop()
	const up, down = "Entering Up state", "Entering Down state"
	if !l.Until(time.Minute, func() bool { return len(first.LinesWith(time.Time{}, up)) >= s.n }) {
		return nil, fmt.Errorf("%d of %d sessions are up", len(first.LinesWith(time.Time{}, up)), s.n)
	}
	name := fmt.Sprintf("%d sessions at %v: ", s.n, s.interval)
	all := first.LinesWith(time.Time{}, up)
	out := []sample{{What: name + "all are up after", Unit: "s", Value: all[len(all)-1].Time.Sub(second.Started).Seconds()}}

	span := b.span(20 * time.Second)
	from, before := time.Now(), first.Usage()
	time.Sleep(span) // the time that is measured
	usage := first.Usage()
	out = append(out,
		sample{What: name + "CPU of one end", Unit: "% of a core", Value: 100 * (usage.CPU - before.CPU).Seconds() / time.Since(from).Seconds(), Target: atMost(1)},
		sample{What: name + "memory of one end", Unit: "MiB", Value: mib(usage.PSS), Target: none})
	for range 6 {
		busy, err := x.StartWith(lab.Program{Name: "busy", Path: "/bin/sh"}, "-c", "while :; do :; done")
		if err != nil {
			return out, err
		}
		defer busy.Kill()
	}
	time.Sleep(span)
	return append(out, sample{What: name + "false downs, half of the time beside six busy loops", Unit: "sessions",
		Value: float64(len(first.LinesWith(from, down)) + len(second.LinesWith(from, down))), Target: limit(0, "none")}), nil
}

// hastenedTakeover kills a master whose backup has a session with it (bfd_peer), while
// adverts are sent every second.
func hastenedTakeover(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	x, y := l.Node("a"), l.Node("b")
	s := sessions{1, 10 * time.Millisecond, 3}
	end := func(own, other *lab.Node, r router) string {
		text := config(r)
		at := strings.LastIndexByte(text, '}')
		return fmt.Sprintf("bfd_instance B {\n  neighbor_ip %v\n  source_ip %v\n  min_tx 10\n  min_rx 10\n  multiplier %d\n}\n%s  bfd_peer B\n%s",
			other.Addr(0), own.Addr(0), s.multiplier, text[:at], text[at:])
	}
	high := router{name: "VI_1", vrid: 51, priority: 150, version: 3, interval: time.Second, vips: []netip.Addr{lab.SegmentAddr(0, 1000)}}
	low := high
	low.priority = 100
	backup, err := y.Start(p, end(y, x, low))
	if err != nil {
		return nil, err
	}
	defer backup.Stop()
	skew := s.detection() * time.Duration(256-low.priority) / 256
	var late []float64
	for range b.rounds(20) {
		from := time.Now()
		master, err := x.Start(p, end(x, y, high))
		if err != nil {
			return nil, err
		}
		ready := func() bool {
			return x.Has(high.vips[0]) && !y.Has(high.vips[0]) && backup.Logged(from, "(B) Entering Up state")
		}
		if !l.Until(20*time.Second, ready) {
			return nil, errors.New("the master did not take the address, or its session is not up")
		}
		if _, ok := l.Wait(time.Now(), 5*time.Second, sentBy(x)); !ok { // the backup has the hardware address of the master
			return nil, errors.New("the master is silent")
		}
		killed := master.Kill()
		if err := x.IP(fmt.Sprintf("addr del %v/32 dev eth0", high.vips[0])); err != nil {
			return nil, err
		}
		first, ok := l.Wait(killed, 5*time.Second, sentBy(y))
		if !ok {
			return nil, errors.New("no takeover")
		}
		late = append(late, ms(first.Time.Sub(killed)-s.detection()-skew))
	}
	return []sample{summary("takeover by bfd_peer, 3 × 10 ms: first advert after the power cut, beyond detection time and skew", "ms", late, limit(2, "≤ 2 ms"))}, nil
}
