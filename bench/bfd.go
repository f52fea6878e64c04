package main

import (
	"encoding/json"
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

// frr returns the configuration of the end on own for bfdd of FRR.
func (s sessions) frr(own, other *lab.Node) string {
	var b strings.Builder
	b.WriteString("bfd\n")
	for i := range s.n {
		fmt.Fprintf(&b, " peer %v local-address %v\n  receive-interval %d\n  transmit-interval %d\n  detect-multiplier %d\n exit\n",
			s.address(other, i), s.address(own, i), s.interval.Milliseconds(), s.interval.Milliseconds(), s.multiplier)
	}
	b.WriteString("exit\n")
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

// end is one end of the sessions: a program that speaks BFD on one node.
type end struct {
	*lab.Daemon
	stop  func()
	up    func() (n int, last time.Time, err error) // how many sessions are up; last: since when, if that is known
	downs func() (int, error)                       // how often a session that was up has gone down
}

// bfdSessions measures many sessions between two daemons of a program, first on an idle
// machine, then beside six busy loops, and, for ours, the same with FRR and a takeover that a
// session hastens.
func bfdSessions(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	many := []sessions{{1000, 50 * time.Millisecond, 5}, {100, 10 * time.Millisecond, 5}}
	var out []sample
	for _, s := range many {
		rows, err := manySessions(b, l, s, "", func(own, other *lab.Node) (*end, error) { return keepalivedEnd(p, s, own, other) })
		if out = append(out, rows...); err != nil {
			return out, err
		}
	}
	if p.IsC() {
		return out, nil // a session does not shorten the takeovers of the C daemon
	}
	if lab.Has(lab.FRR) {
		for _, s := range many {
			rows, err := manySessions(b, l, s, "bfdd of FRR: ", func(own, other *lab.Node) (*end, error) { return frrEnd(s, own, other) })
			if out = append(out, rows...); err != nil {
				return out, err
			}
		}
	}
	rows, err := hastenedTakeover(b, l, p)
	return append(out, rows...), err
}

func keepalivedEnd(p lab.Program, s sessions, own, other *lab.Node) (*end, error) {
	d, err := own.Start(p, s.config(own, other))
	if err != nil {
		return nil, err
	}
	return &end{
		Daemon: d,
		stop:   func() { d.Stop() },
		up: func() (n int, last time.Time, err error) {
			all := d.LinesWith(time.Time{}, "Entering Up state")
			if n = len(all); n > 0 {
				last = all[n-1].Time
			}
			return n, last, nil
		},
		downs: func() (int, error) { return len(d.LinesWith(time.Time{}, "Entering Down state")), nil },
	}, nil
}

func frrEnd(s sessions, own, other *lab.Node) (*end, error) {
	f, err := own.StartFRR("bfdd", s.frr(own, other), "--bfdctl", "bfdd.sock")
	if err != nil {
		return nil, err
	}
	show := func(what string, into any) error {
		out, err := f.Show(what)
		if err == nil {
			err = json.Unmarshal([]byte(out), into)
		}
		return err
	}
	return &end{
		Daemon: f.Daemon,
		stop:   f.Stop,
		up: func() (n int, _ time.Time, _ error) {
			var peers []struct{ Status string }
			err := show("bfd peers json", &peers)
			for _, p := range peers {
				if p.Status == "up" {
					n++
				}
			}
			return n, time.Time{}, err
		},
		downs: func() (n int, _ error) {
			var peers []struct {
				Downs int `json:"session-down"`
			}
			err := show("bfd peers counters json", &peers)
			for _, p := range peers {
				n += p.Downs
			}
			return n, err
		},
	}, nil
}

// manySessions measures s between the ends that start starts. of says whose they are.
func manySessions(b *bench, l *lab.Lab, s sessions, of string, start func(own, other *lab.Node) (*end, error)) ([]sample, error) {
	x, y := l.Node("a"), l.Node("b")
	for _, ends := range [][2]*lab.Node{{x, y}, {y, x}} {
		remove, err := s.prepare(ends[0], ends[1])
		if err != nil {
			return nil, err
		}
		defer remove()
	}
	first, err := start(x, y)
	if err != nil {
		return nil, err
	}
	defer first.stop()
	second, err := start(y, x)
	if err != nil {
		return nil, err
	}
	defer second.stop()
	n, last := 0, time.Time{}
	if !l.Until(time.Minute, func() bool { n, last, err = first.up(); return err != nil || n >= s.n }) || err != nil {
		return nil, errors.Join(fmt.Errorf("%d of %d sessions are up", n, s.n), err)
	}
	name := fmt.Sprintf("%s%d sessions at %v: ", of, s.n, s.interval)
	var out []sample
	if !last.IsZero() {
		out = append(out, sample{What: name + "all are up after", Unit: "s", Value: last.Sub(second.Started).Seconds()})
	}
	earlier := 0 // downs, as those before the ends had agreed on their timers
	for _, e := range []*end{first, second} {
		n, err := e.downs()
		if err != nil {
			return out, err
		}
		earlier += n
	}

	span := b.span(20 * time.Second)
	from, before := time.Now(), first.Usage()
	time.Sleep(span) // the time that is measured
	usage := first.Usage()
	out = append(out,
		sample{What: name + "CPU of one end", Unit: "% of a core", Value: 100 * (usage.CPU - before.CPU).Seconds() / time.Since(from).Seconds(), Target: atMost(1)},
		sample{What: name + "memory of one end", Unit: "MiB", Value: mib(usage.PSS), Target: none})
	endLoops, err := busyLoops(x, 6)
	defer endLoops()
	if err != nil {
		return out, err
	}
	time.Sleep(span)
	endLoops()
	downs := -earlier
	for _, e := range []*end{first, second} {
		n, err := e.downs()
		if err != nil {
			return out, err
		}
		downs += n
	}
	out = append(out, sample{What: name + "false downs, half of the time beside six busy loops", Unit: "sessions", Value: float64(downs), Target: limit(0, "none")})
	row, err := detection(l, s, first, second)
	if err != nil {
		return out, err
	}
	row.What = name + row.What
	out = append(out, row)
	if of != "" { // the targets are for ours
		for i := range out {
			out[i].Target = none
		}
	}
	return out, nil
}

// detection kills one end, and measures how long after the detection time the other one
// announces the end of each session: from the last packet that it received of it to the first
// one that says Down.
func detection(l *lab.Lab, s sessions, first, second *end) (sample, error) {
	packets, err := watchBFD(first.Node)
	if err != nil {
		return sample{}, err
	}
	defer packets.close()
	if !l.Until(20*time.Second, func() bool { return packets.known() >= s.n }) {
		return sample{}, fmt.Errorf("%d of %d neighbours were heard", packets.known(), s.n)
	}
	second.Kill()
	if !l.Until(20*time.Second, func() bool { return packets.over() >= s.n }) {
		return sample{}, fmt.Errorf("the end of %d of %d sessions was announced", packets.over(), s.n)
	}
	var late []float64
	for _, wait := range packets.silences() {
		late = append(late, ms(wait-s.detection()))
	}
	return summary("from the last packet to the first that says Down, beyond the detection time", "ms", late, medianAtMost(1, "ms")), nil
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
