package vrrpd

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"keepalived-go/internal/linux/kernel"
)

// busy is a kernel whose tables change during every listing.
type busy struct {
	err error
}

func (b busy) Links() ([]kernel.Link, error) {
	return []kernel.Link{{Index: 2, Name: "eth0", IPv4: true}}, b.err
}

func (b busy) Addrs() ([]kernel.Addr, error) {
	return []kernel.Addr{addr4("192.0.2.1/24"), addr4("192.0.2.1/24")}, b.err
}

func (b busy) Routes(uint8) ([]kernel.Route, error) { return nil, b.err }
func (b busy) Rules() ([]kernel.Rule, error)        { return nil, b.err }

func addr4(s string) kernel.Addr { return kernel.Addr{Link: 2, Prefix: netip.MustParsePrefix(s)} }

// TestInterruptedReading checks that an incomplete reading is used as far as it goes,
// without taking anything as removed, and that only an error other than an interruption
// is returned.
func TestInterruptedReading(t *testing.T) {
	n := newNetwork([]kernel.Link{{Index: 2, Name: "eth0"}, {Index: 3, Name: "eth1"}}, []kernel.Addr{addr4("192.0.2.9/24")})
	r, err := readKernel(busy{fmt.Errorf("list: %w", kernel.ErrInterrupted)})
	if err != nil || r.complete() {
		t.Fatalf("%+v, %v; want an incomplete reading", r, err)
	}
	if events := n.changes(r); len(events) != 1 || events[0].Kind != kernel.AddrNew || events[0].Addr != addr4("192.0.2.1/24") {
		t.Errorf("an interrupted reading amounts to %+v, want one new address", events)
	}
	if r, err = readKernel(busy{}); err != nil || !r.complete() {
		t.Fatalf("%+v, %v; want a complete reading", r, err)
	}
	var gone []string
	for _, e := range n.changes(r) {
		switch e.Kind {
		case kernel.LinkGone:
			gone = append(gone, e.Link.Name)
		case kernel.AddrGone:
			gone = append(gone, e.Addr.Prefix.String())
		}
	}
	if fmt.Sprint(gone) != "[eth1 192.0.2.9/24]" {
		t.Errorf("a complete reading shows that %v are gone", gone)
	}
	refused := errors.New("refused")
	if _, err = readKernel(busy{refused}); !errors.Is(err, refused) {
		t.Errorf("error %v, want %v", err, refused)
	}
}

// TestOverrunsDoNotEndTheLoop checks that lost events, however often they occur, are
// followed by readings, and that the loop continues and has the current state in the end.
func TestOverrunsDoNotEndTheLoop(t *testing.T) {
	d := newTestDaemon(t, owners(1))
	quiet(t)
	ip(t, "addr add 203.0.113.7/32 dev eth0")
	for range 5 {
		d.deliverEvents([]kernel.Event{{Kind: kernel.Overrun}, {Kind: kernel.Overrun}})
	}
	d.deliverEvents([]kernel.Event{{Kind: kernel.Reminder}})
	l := d.net.byName["eth0"]
	for end := time.Now().Add(30 * time.Second); ; d.turn() {
		if _, ok := l.addrs[kernel.Key{Link: l.Index, Prefix: netip.MustParsePrefix("203.0.113.7/32")}]; ok && d.routers[0].vips[0].present {
			break
		}
		if time.Now().After(end) || d.err != nil {
			t.Fatalf("the loop does not have the current state: %v", d.err)
		}
	}
}

// TestEndOfLoopGivesAddressesUp checks that a loop that fails removes its addresses.
func TestEndOfLoopGivesAddressesUp(t *testing.T) {
	d := newTestDaemon(t, owners(3))
	quiet(t)
	for _, r := range d.routers {
		for end := time.Now().Add(30 * time.Second); !r.vips[0].present; d.turn() {
			if time.Now().After(end) {
				t.Fatal("no master")
			}
		}
	}
	d.err = errors.New("wait for events: bad file descriptor")
	d.giveUp()
	d.exec.Close()
	if got := virtualOn(t); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
	for _, r := range d.routers {
		if n := r.engine.Stats().PriorityZeroSent; n != 1 {
			t.Errorf("%s sent %d adverts of priority 0, want 1", r.conf.Name, n)
		}
	}
}
