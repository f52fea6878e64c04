package vrrpd

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"keepalived-go/conf"
)

// sharing is a configuration of three virtual routers with addresses of both
// families, of which neighbours share some.
func sharing() *conf.Config {
	c := &conf.Config{}
	for i := range 3 {
		r := &conf.VRRPInstance{
			GARP: &conf.GARP{},
			Name: fmt.Sprintf("VI_%d", i), Interface: "eth0", Family: conf.IPv4, Version: 3, VRID: uint8(i + 1),
			Priority: 100, AdvertInterval: 10 * time.Second, DownTimerAdverts: 3, TTL: 255,
			Group: netip.MustParseAddr("224.0.0.18"),
		}
		for k := range 6 {
			ip := netip.AddrFrom4([4]byte{198, 51, 100, byte(i*4 + k + 1)})
			r.Addresses = append(r.Addresses, conf.Address{Prefix: netip.PrefixFrom(ip, 32), PreferredLft: ^uint32(0)})
			ip6 := netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", i*4+k+1))
			r.Excluded = append(r.Excluded, conf.Address{Prefix: netip.PrefixFrom(ip6, 64), NoDAD: true, PreferredLft: ^uint32(0)})
		}
		c.Instances = append(c.Instances, r)
	}
	return c
}

// settle turns the loop until the kernel has carried out everything.
func settle(t testing.TB, d *daemon) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !d.addrs.idle(); d.turn() {
		if time.Now().After(end) {
			t.Fatal("the kernel has not carried out everything within 10 s")
		}
	}
}

// virtualOn lists the virtual addresses the kernel has on eth0.
func virtualOn(t testing.TB) []string {
	var out []string
	for line := range strings.Lines(ip(t, "-o addr show dev eth0")) {
		if a := strings.Fields(line)[3]; strings.HasPrefix(a, "198.51.100.") || strings.HasPrefix(a, "2001:db8:") {
			out = append(out, a)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// However holding and releasing follow each other, waited for or not, the
// kernel ends with what is held, and our own removals are never taken for those
// of somebody else.
func TestKernelHasWhatIsHeld(t *testing.T) {
	d := newTestDaemonWith(t, sharing(), true)
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })

	random := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		for range random.IntN(4) {
			d.hold(d.routers[random.IntN(3)], random.IntN(2) == 0)
			if random.IntN(2) == 0 {
				d.addrs.flush(random.IntN(2) == 0)
			}
		}
		d.addrs.flush(random.IntN(2) == 0)
		if random.IntN(3) > 0 {
			continue // go on while the kernel is at it
		}
		settle(t, d)
		var want []string
		for _, r := range d.routers {
			if r.held {
				for i := range r.vips {
					want = append(want, r.address(i).Prefix.String())
				}
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		if got := virtualOn(t); !slices.Equal(got, want) {
			t.Fatalf("round %d: the kernel has\n%v\nwant\n%v", round, got, want)
		}
	}
	for _, r := range d.routers {
		d.hold(r, false)
	}
	d.addrs.flush(false)
	settle(t, d)
	// The events of the last removals.
	for _, v := range d.addrs.vips {
		for end := time.Now().Add(5 * time.Second); v.removals > 0; d.turn() {
			if time.Now().After(end) {
				t.Fatalf("%v: %d removals without an event", v.key.Prefix, v.removals)
			}
		}
	}
	if strings.Contains(log.String(), "removed from") {
		t.Errorf("own removals were taken for those of others:\n%s", log.String())
	}
}

// An address that somebody else removes is noticed, and set again with the
// next holding.
func TestForeignRemovalIsNoticed(t *testing.T) {
	d := newTestDaemonWith(t, sharing(), true)
	d.hold(d.routers[0], true)
	d.addrs.flush(false)
	settle(t, d)
	v := d.routers[0].vips[0]
	ip(t, "addr del "+v.key.Prefix.String()+" dev eth0")
	for end := time.Now().Add(5 * time.Second); v.told; d.turn() {
		if time.Now().After(end) {
			t.Fatal("the removal was not noticed within 5 s")
		}
	}
	d.hold(d.routers[0], false)
	d.addrs.flush(false)
	d.hold(d.routers[0], true)
	d.addrs.flush(false)
	settle(t, d)
	if got := virtualOn(t); !slices.Contains(got, v.key.Prefix.String()) {
		t.Errorf("%v was not set again: %v", v.key.Prefix, got)
	}
}
