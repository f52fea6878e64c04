package lvs

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
)

// large returns a configuration of services with a number of servers each, with one check
// each.
func large(services, servers int) *Config {
	address := func(net byte, i int) netip.Addr {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], uint32(net)<<24|uint32(i))
		return netip.AddrFrom4(a)
	}
	c := &Config{Services: make([]Service, services)}
	id := CheckID(0)
	for i := range c.Services {
		v := &c.Services[i]
		v.ID = ServiceID{Endpoint: Endpoint{Protocol: TCP, Addr: netip.AddrPortFrom(address(10, i), 80)}}
		v.Quorum = 2
		v.Sorry = &RealServer{Addr: netip.AddrPortFrom(address(12, i), 80), Weight: 1}
		v.Servers = make([]RealServer, servers)
		for j := range v.Servers {
			v.Servers[j] = RealServer{
				Addr: netip.AddrPortFrom(address(11, i*servers+j), 80), Weight: 1,
				Checks: []Check{{ID: id, Key: "TCP_CHECK"}},
			}
			id++
		}
	}
	return c
}

func TestResultsDoNotAllocate(t *testing.T) {
	e := New()
	out := e.Step(0, Event{Kind: Configure, Config: large(100, 16)}, nil)
	for range e.Changes() {
	}
	for _, test := range []struct {
		name string
		f    func()
	}{
		{"that change nothing", func() {
			for id := range CheckID(1600) {
				out = e.Step(0, Event{Kind: CheckResult, Check: id, Up: true}, out[:0])
				if len(out) > 0 {
					t.Fatal(out)
				}
			}
		}},
		{"that take a whole pool out and back", func() {
			for _, up := range []bool{false, true} {
				for id := range CheckID(16) {
					out = e.Step(0, Event{Kind: CheckResult, Check: id, Up: up}, out[:0])
				}
			}
		}},
		{"with their changes of the table", func() {
			for _, up := range []bool{false, true} {
				out = e.Step(0, Event{Kind: CheckResult, Check: 3, Up: up}, out[:0])
				n := 0
				for en := range e.Changes() {
					n += len(en.Destinations)
				}
				if want := map[bool]int{false: 15, true: 16}[up]; n != want {
					t.Fatal(n)
				}
			}
		}},
	} {
		test.f()
		if n := testing.AllocsPerRun(20, test.f); n > 0 {
			t.Errorf("results %s: %v allocations", test.name, n)
		}
	}
}

// TestWorkIsLinear counts the services in the table that are computed for a result, one,
// and for a configuration without a change, none.
func TestWorkIsLinear(t *testing.T) {
	e := New()
	c := large(2500, 16)
	e.Step(0, Event{Kind: Configure, Config: c}, nil)
	count := func() (n int) {
		for range e.Changes() {
			n++
		}
		return n
	}
	if n := count(); n != 2500 {
		t.Errorf("start: %d entries", n)
	}
	e.Step(0, Event{Kind: CheckResult, Check: 17}, nil)
	if n := count(); n != 1 {
		t.Errorf("a result: %d entries", n)
	}
	again := large(2500, 16)
	out := e.Step(0, Event{Kind: Configure, Config: again}, nil)
	if n := count(); n != 0 || len(out) != 0 {
		t.Errorf("the same configuration: %d entries, %v", n, out)
	}
	changed := large(2500, 16)
	changed.Services[7].Servers[3].Weight = 9
	out = e.Step(0, Event{Kind: Configure, Config: changed}, nil)
	if n := count(); n != 1 || len(out) != 1 {
		t.Errorf("one weight: %d entries, %v", n, out)
	}
}

// BenchmarkResult measures a result among 10,000 servers.
func BenchmarkResult(b *testing.B) {
	for _, changes := range []bool{false, true} {
		b.Run(fmt.Sprintf("changes=%t", changes), func(b *testing.B) {
			e := New()
			out := e.Step(0, Event{Kind: Configure, Config: large(625, 16)}, nil)
			for range e.Changes() {
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				ev := Event{Kind: CheckResult, Check: CheckID(i % 10000), Up: !changes || i/10000%2 == 1}
				out = e.Step(0, ev, out[:0])
				if e.Changed() {
					for range e.Changes() {
					}
				}
				i++
			}
		})
	}
}

// BenchmarkConfigure measures a start and a reload of 2,500 services with 16 servers
// each.
func BenchmarkConfigure(b *testing.B) {
	c := large(2500, 16)
	b.Run("start", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e := New()
			e.Step(0, Event{Kind: Configure, Config: c}, nil)
			for range e.Changes() {
			}
		}
	})
	b.Run("reload", func(b *testing.B) {
		e := New()
		e.Step(0, Event{Kind: Configure, Config: c}, nil)
		b.ReportAllocs()
		for b.Loop() {
			e.Step(0, Event{Kind: Configure, Config: c}, nil)
			for range e.Changes() {
			}
		}
	})
}
