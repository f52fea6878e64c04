package checkd

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"keepalived-go/internal/output/logging/logtest"
)

// TestGate checks, for any sequence of calls at a gate, that it never exceeds its limit,
// that none waits in vain, and that those who wait enter in order of arrival, except for
// those that retreat, which are first.
func TestGate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := gate{limit: rapid.IntRange(1, 4).Draw(t, "limit")}
		all := make([]check, 12)
		in, waiting := map[*check]bool{}, []*check(nil)
		retreated := 0 // of the waiting ones, before all others
		admit := func(c *check) {
			if len(waiting) == 0 || waiting[0] != c {
				t.Fatal("not the first that waits is let in")
			}
			waiting, in[c] = waiting[1:], true
			retreated = max(0, retreated-1)
		}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			c := &all[rapid.IntRange(0, len(all)-1).Draw(t, "check")]
			switch {
			case in[c] && rapid.Bool().Draw(t, "short"):
				if g.retreat(c) {
					delete(in, c)
					waiting = append([]*check{c}, waiting...)
					retreated++
				} else if len(in) > 1 {
					t.Fatal("it may not retreat")
				}
			case in[c]:
				delete(in, c)
				g.leave(admit)
			case c.place != nil:
				g.withdraw(c)
				for i := range waiting {
					if waiting[i] == c {
						waiting = append(waiting[:i:i], waiting[i+1:]...)
						break
					}
				}
			case g.enter(c):
				if len(waiting) > 0 {
					t.Fatal("it is let in before those that wait")
				}
				in[c] = true
			default:
				waiting = append(waiting, c)
			}
			if len(in) > g.limit || len(in) != g.inside || len(waiting) != g.waiting.Len() {
				t.Fatalf("%d inside, %d wait, of %d; want %d and %d", g.inside, g.waiting.Len(), g.limit, len(in), len(waiting))
			}
			if len(waiting) > 0 && len(in) == 0 {
				t.Fatal("no check is inside that could let the others in")
			}
		}
	})
}

// TestGateRecovers checks that after a shortage as many as before enter again, though
// some are always waiting.
func TestGateRecovers(t *testing.T) {
	g := gate{limit: 8}
	all := make([]check, 100)
	inside := []*check{}
	for i := range all {
		if g.enter(&all[i]) {
			inside = append(inside, &all[i])
		}
	}
	for len(inside) > 1 {
		g.retreat(inside[0])
		inside = inside[1:]
	}
	for range 10 {
		g.leave(func(c *check) { inside = append(inside, c) })
		inside = inside[1:]
	}
	if g.inside != g.limit {
		t.Errorf("%d inside of %d", g.inside, g.limit)
	}
}

func TestMostAttempts(t *testing.T) {
	for _, c := range []struct {
		files uint64
		open  int
		want  int
	}{
		{1024, 24, 750}, {64, 24, 30}, {24, 24, 1}, {8, 24, 1}, {unix.RLIM_INFINITY, 24, 805306350},
	} {
		if got := mostAttempts(c.files, c.open); got != c.want {
			t.Errorf("%d files, %d open: %d attempts, want %d", c.files, c.open, got, c.want)
		}
	}
}

// silent is a server that accepts connections and sends nothing.
func silent(t *testing.T) *server {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &server{t, l}
}

// slow returns the block of a server for which each attempt takes 50 ms.
func (s *server) slow(keyword string) string {
	return strings.NewReplacer("TCP_CHECK", keyword, "connect_timeout 5", "connect_timeout 0.05\n            url {\n                path /\n            }").Replace(s.real(""))
}

// attempts returns the smallest and the largest number of attempts of a check.
func (p *process) attempts() (least, most uint64) {
	least = 1 << 60
	for _, c := range p.checks {
		n := c.life.State().Number
		if c.place != nil {
			n-- // it waits for this attempt
		}
		least, most = min(least, n), max(most, n)
	}
	return least, most
}

// TestAttemptsAreBounded checks that with a limit of attempts all checks run, equally
// often, and that long waits are reported.
func TestAttemptsAreBounded(t *testing.T) {
	for _, kind := range []string{"HTTP_GET", "SSL_GET"} {
		t.Run(kind, func(t *testing.T) {
			log := logtest.Capture(t)
			var servers []string
			for range 9 {
				servers = append(servers, silent(t).slow(kind))
			}
			p := start(t, virtual("", servers...), nil)
			p.gates[0].limit, p.gates[1].limit = 2, 3
			limit := 3
			if kind == "SSL_GET" {
				limit = 2
			}
			reported := false
			p.until("some rounds", func() bool {
				running, waiting := 0, 0
				for _, c := range p.checks {
					if c.attempt != nil {
						running++
					}
					if c.place != nil {
						waiting++
					}
				}
				if running > limit || waiting > 0 && running < limit {
					t.Fatalf("%d attempts at a time, %d wait, of %d", running, waiting, limit)
				}
				if waiting > 0 && !reported {
					reported = true
					p.lookForSilent(p.loop.Now() + time.Hour)
				}
				least, most := p.attempts()
				if most > least+2 {
					t.Fatalf("one check has made %d attempts, another one %d", most, least)
				}
				return least >= 4
			})
			want := fmt.Sprintf("of %s has not run for 1h0m0s: it waits until one of %d attempts has ended", vs, limit)
			if !strings.Contains(strings.Join(log.Lines(), "\n"), want) {
				t.Errorf("no line %q in %q", want, log.Lines())
			}
			p.reloadTo("global_defs {\n}\n") // while some attempts are running and others wait
			if p.gates[0].inside+p.gates[1].inside+p.gates[0].waiting.Len()+p.gates[1].waiting.Len() != 0 {
				t.Errorf("behind the gates are %d and %d, %d and %d wait", p.gates[0].inside, p.gates[1].inside, p.gates[0].waiting.Len(), p.gates[1].waiting.Len())
			}
		})
	}
}

// TestShortOfDescriptors checks that servers do not fail for lack of descriptors:
// attempts wait for descriptors of others, all checks run, and when there are more
// descriptors no check is left behind.
func TestShortOfDescriptors(t *testing.T) {
	log := logtest.Capture(t)
	var servers []string
	for range 6 {
		servers = append(servers, serve(t).real(""))
	}
	for range 3 {
		servers = append(servers, silent(t).slow("HTTP_GET"))
	}
	p := start(t, virtual("", servers...), nil)
	p.until("first results", func() bool { least, _ := p.attempts(); return least > 1 })

	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	most, err := unix.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(most)
	most += 4
	// The servers are in this process too, and use its descriptors.
	set := func(most uint64) {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: limit.Max}); err != nil {
			t.Fatal(err)
		}
	}
	restore := func() { set(limit.Cur) }
	defer restore()
	waited := false
	round := uint64(0)
	p.until("attempts that wait", func() bool {
		for _, c := range p.checks {
			waited = waited || c.place != nil
		}
		least, _ := p.attempts()
		// Some of the descriptors in use may have been closed: one less for each round in
		// which no attempt had to wait.
		if !waited && least > round {
			most, round = most-1, least
			set(uint64(most))
		}
		return waited && least > round+5
	})
	restore()
	p.until("more attempts", func() bool { least, _ := p.attempts(); return least > round+10 })
	for i, c := range p.checks[:6] {
		if !c.life.Up() {
			t.Errorf("server %d is down", i)
		}
	}
	for _, line := range log.Lines() {
		if strings.HasPrefix(line, "TCP_CHECK on") {
			t.Error(line)
		}
	}
}
