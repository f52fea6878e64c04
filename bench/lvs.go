package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
	"keepalived-go/internal/tool/lab/uml"
	"keepalived-go/lvs/ipvs"
)

// balancer is the machine of the parts that need a load balancer in the kernel.
var balancer = uml.Machine{Modules: []string{"ip_vs", "ip_vs_rr", "nlmon", "veth", "bridge"}, Memory: 1024, Timeout: time.Hour}

// tables fills, changes and clears large tables. Each program, and each round, has a network of
// its own: the kernel looks through what was removed from a table within two minutes.
func tables(b *bench, _ *lab.Lab, p lab.Program) ([]sample, error) {
	var out []sample
	for _, s := range []services{{n: 100, each: 100}, {n: 2500, each: 16}} {
		factor, rounds := 0.3, b.rounds(3)
		if s.n > 1000 {
			factor, rounds = 0.5, 1 // this takes the C daemon minutes
		}
		var start, change, stop, again, fill, clear []float64
		for range rounds {
			err := inFreshNetwork(func(d *director) error {
				f, c, err := d.kernelAlone(s)
				fill, clear = append(fill, ms(f)), append(clear, ms(c))
				return err
			})
			if err != nil {
				return out, fmt.Errorf("one batch: %w", err)
			}
		}
		name := fmt.Sprintf("%d × %d: ", s.n, s.each)
		median := func(rounds []float64) float64 { return summary("", "", rounds, none).Value }
		report := func(what string, rounds []float64, t target) {
			if len(rounds) > 0 { // else it has not come that far
				out = append(out, summary(name+what, "ms", rounds, t))
			}
		}
		var err error
		for range rounds {
			err = inFreshNetwork(func(d *director) error {
				k, took, err := d.start(p, s)
				if err != nil {
					return err
				}
				start = append(start, ms(took))
				if took, err = d.reloadOne(k, s); err != nil {
					d.abandon(k)
					return err
				}
				change = append(change, ms(took))
				if took, err = d.stop(k); err != nil {
					return err
				}
				stop = append(stop, ms(took))
				if k, took, err = d.start(p, s); err != nil {
					return err
				}
				again = append(again, ms(took))
				_, err = d.stop(k)
				return err
			})
			if err != nil {
				break
			}
		}
		report("start until the table is full", start, orKernel(factor, median(fill)))
		report("the kernel alone, in one batch", fill, none)
		report("SIGHUP with one weight changed until it is in the table", change, atMost(0.5))
		report("SIGTERM until the table is empty", stop, orKernel(factor, median(clear)))
		report("the kernel alone, in one batch of removals", clear, none)
		report("start again at once until the table is full", again, atMost(1))
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// inFreshNetwork calls f with a director whose kernel has had no table before.
func inFreshNetwork(f func(d *director) error) error {
	l, err := lab.New(1, "a")
	if err != nil {
		return err
	}
	defer l.Close()
	d, err := newDirector(l)
	if err != nil {
		return err
	}
	defer d.close()
	return f(d)
}

// orKernel requires at most factor times upstream's median or, if that is more, 1.3 times
// what the kernel needs in one batch.
func orKernel(factor, kernel float64) target {
	return target{fmt.Sprintf("≤ %g ×, or 1.3 × kernel", factor), func(o, u sample) bool {
		return o.Value <= max(factor*u.Value, 1.3*kernel)
	}, false}
}

// reloadOne changes the weight of the last server, and waits until the table has it.
func (d *director) reloadOne(k *lab.Daemon, s services) (time.Duration, error) {
	s.last = 7
	if err := k.Configure(s.String()); err != nil {
		return 0, err
	}
	from := time.Now()
	if err := k.Signal(unix.SIGHUP); err != nil {
		return 0, err
	}
	at, err := d.until("the changed weight", lookEvery, func() bool {
		return slices.ContainsFunc(d.destinations(virtual(s.n-1)), func(e ipvs.DestinationState) bool { return e.Weight == 7 })
	})
	return at.Sub(from), err
}

// checking compares the cost of checks.
func checking(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	d, err := newDirector(l)
	if err != nil {
		return nil, err
	}
	defer d.close()
	var out []sample
	for _, check := range []string{"TCP_CHECK", "HTTP_GET", "SSL_GET"} {
		s := services{n: 10, each: 50, check: check, delay: time.Second}
		if check == "SSL_GET" {
			s.n = 2 // the one processor of the machine is the server's too
		}
		cost, err := d.costOf(b, p, s)
		if err != nil {
			return out, err
		}
		out = append(out, sample{What: fmt.Sprintf("CPU of a %s and its server, %d at 1 s", check, s.n*s.each), Unit: "ms", Value: cost, Target: atMost(1)})
	}
	s := services{n: 100, each: 100, check: "TCP_CHECK", delay: 10 * time.Second}
	answering, err := serve(d.Node, s.check, everywhere, serverPort)
	if err != nil {
		return out, err
	}
	defer answering.stop()
	k, _, err := d.start(p, s)
	if err != nil {
		return out, err
	}
	defer d.abandon(k)
	time.Sleep(25 * time.Second) // each check has run, and the memory of the start was returned
	u := k.Usage()
	if _, err := d.stop(k); err != nil {
		return out, err
	}
	return append(out,
		sample{What: "10,000 real servers with a TCP_CHECK: resident memory, sum", Unit: "MiB", Value: mib(u.RSS), Target: atMost(1.2)},
		sample{What: "10,000 real servers with a TCP_CHECK: shared pages split", Unit: "MiB", Value: mib(u.PSS)}), nil
}

// costOf returns the CPU time of a check and of the server that answers, in milliseconds.
func (d *director) costOf(b *bench, p lab.Program, s services) (float64, error) {
	answering, err := serve(d.Node, s.check, everywhere, serverPort)
	if err != nil {
		return 0, err
	}
	defer answering.stop()
	machine, err := newSpare()
	if err != nil {
		return 0, err
	}
	defer machine.close()
	k, _, err := d.start(p, s)
	if err != nil {
		return 0, err
	}
	defer d.abandon(k)
	time.Sleep(4 * time.Second) // all checks have begun
	asked := answering.asked.Load()
	used := machine.taken(max(8*time.Second, b.span(20*time.Second)))
	n := answering.asked.Load() - asked
	if _, err := d.stop(k); err != nil {
		return 0, err
	}
	if least := int64(s.n * s.each * 5); n < least {
		return 0, fmt.Errorf("%s: %d checks, expected at least %d", s.check, n, least)
	}
	return ms(used) / float64(n), nil
}

// reaction measures how soon a result is in the table.
func reaction(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	d, err := newDirector(l)
	if err != nil {
		return nil, err
	}
	defer d.close()
	s := services{n: 1, each: 2, check: "TCP_CHECK", delay: 200 * time.Millisecond}
	other, err := serve(d.Node, s.check, s.real(0, 0).Addr(), serverPort)
	if err != nil {
		return nil, err
	}
	defer other.stop()
	victim := s.real(0, 1).Addr()
	server, err := serve(d.Node, s.check, victim, serverPort)
	if err != nil {
		return nil, err
	}
	defer func() { server.stop() }()
	answers, err := watchSegments(d.Node, sentFrom(victim))
	if err != nil {
		return nil, err
	}
	defer answers.close()
	changes, err := watchTable(d.Node)
	if err != nil {
		return nil, err
	}
	defer func() {
		changes.close()
		d.IPBatch("link del nlmon0\n")
	}()
	k, _, err := d.start(p, s)
	if err != nil {
		return nil, err
	}
	defer d.abandon(k)
	time.Sleep(2 * time.Second)
	var gone, back []float64
	for i := range b.rounds(20) {
		for _, up := range []bool{false, true} {
			time.Sleep(time.Duration(300+17*i) * time.Millisecond)
			want, flags, from := 1, uint8(rst), time.Now()
			if up {
				want, flags = 2, syn|ack
				server, err = serve(d.Node, s.check, victim, serverPort)
			} else {
				server.stop()
			}
			if err != nil {
				return nil, err
			}
			at, err := changes.next(from)
			if err != nil {
				return nil, err
			}
			time.Sleep(100 * time.Millisecond) // everything sent until then has been read
			if n := len(d.destinations(virtual(0))); n != want {
				return nil, fmt.Errorf("%d servers are in the table after the change, want %d", n, want)
			}
			last, ok := answers.last(flags, at)
			if !ok {
				return nil, fmt.Errorf("no answer of %v was seen", victim)
			}
			if up {
				back = append(back, ms(at.Sub(last)))
			} else {
				gone = append(gone, ms(at.Sub(last)))
			}
		}
	}
	if _, err := d.stop(k); err != nil {
		return nil, err
	}
	return []sample{
		summary("refused connection until the server has left the table", "ms", gone, atMost(1)),
		summary("answered connection until the server is back in the table", "ms", back, atMost(1)),
	}, nil
}

// keeping counts connections through the load balancer that break when the configuration
// is read again, and when the health-check process is killed.
func keeping(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	d, err := newDirector(l)
	if err != nil {
		return nil, err
	}
	defer d.close()
	s := services{n: 1, each: 10, check: "TCP_CHECK", delay: time.Second}
	server, err := serve(d.Node, "echo", everywhere, serverPort)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	k, _, err := d.start(p, s)
	if err != nil {
		return nil, err
	}
	defer d.abandon(k)
	var clients []net.Conn
	const n = 200
	for range n {
		var c net.Conn
		if err := d.Do(func() (err error) {
			c, err = net.DialTimeout("tcp4", virtual(0).String(), 5*time.Second)
			return err
		}); err != nil {
			return nil, fmt.Errorf("through the load balancer: %w", err)
		}
		defer c.Close()
		clients = append(clients, c)
	}
	// broken returns how many connections do not answer, of ten attempts. All have the
	// same seconds to answer.
	broken := func() (lost float64) {
		buf := make([]byte, 1)
		for range 10 {
			end := time.Now().Add(10 * time.Second)
			for _, c := range clients {
				c.SetDeadline(end)
				c.Write(buf) // an error here makes the answer fail, too
			}
			clients = slices.DeleteFunc(clients, func(c net.Conn) bool {
				_, err := io.ReadFull(c, buf)
				if err != nil {
					lost++
				}
				return err != nil
			})
			time.Sleep(200 * time.Millisecond)
		}
		return lost
	}
	if lost := broken(); lost > 0 {
		return nil, fmt.Errorf("%g of %d connections do not work", lost, n)
	}
	if _, err := d.reloadOne(k, s); err != nil {
		return nil, err
	}
	reload := broken()
	pid, err := checkersPid(k)
	if err != nil {
		return nil, err
	}
	unix.Kill(pid, unix.SIGKILL)
	killed := broken()
	if len(d.destinations(virtual(0))) != s.each {
		return nil, fmt.Errorf("the table is not as before")
	}
	for _, c := range clients {
		c.Close()
	}
	if _, err := d.stop(k); err != nil {
		return nil, err
	}
	return []sample{
		{What: fmt.Sprintf("connections of %d lost by a reload", n), Unit: "connections", Value: reload, Target: limit(0, "none")},
		{What: fmt.Sprintf("connections of %d lost by SIGKILL of the check process", n), Unit: "connections", Value: killed, Target: limit(0, "none")},
	}, nil
}

func checkersPid(k *lab.Daemon) (int, error) {
	b, err := os.ReadFile(filepath.Join(k.Dir, "checkers.pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}
