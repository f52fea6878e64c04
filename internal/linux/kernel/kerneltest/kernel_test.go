package kerneltest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/tool/lab"
)

// run carries out one change and returns its outcome as text.
func run(t *testing.T, h kernel.Host, c kernel.Change) string {
	t.Helper()
	conn, err := kernel.DialOn(h, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	outcome := ""
	e := kernel.NewExecutor(conn, nil, func(done kernel.Completion) {
		outcome = fmt.Sprint(errors.Join(done.Errs...), done.Found)
	})
	e.Submit(1, []kernel.Change{c})
	e.Close()
	return outcome
}

// held lists the objects of a host on a link, except those that a kernel sets itself.
func held(t *testing.T, h kernel.Host, link int) []string {
	t.Helper()
	conn, err := kernel.DialOn(h, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	addrs, err := conn.Addrs()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, a := range addrs {
		if a.Link == link && !a.Prefix.Addr().IsLinkLocalUnicast() {
			all = append(all, fmt.Sprintf("%v %v %v secondary=%v by %d", a.Key().Prefix, a.Text(), a.Attributes(), a.Flags&unix.IFA_F_SECONDARY != 0, a.Proto))
		}
	}
	slices.Sort(all)
	return all
}

// namespace moves the test into a new network namespace, and returns the index of its
// link test0.
func namespace(t *testing.T) int {
	t.Helper()
	lab.Need(t, lab.Root)
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"link add test0 type veth peer name peer0", "link set test0 up", "link set peer0 up"} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", args, err, out)
		}
	}
	ifi, err := net.InterfaceByName("test0")
	if err != nil {
		t.Fatal(err)
	}
	return ifi.Index
}

// TestLikeTheRealKernel checks that the kernel in memory accepts, refuses and removes
// what a real one does.
func TestLikeTheRealKernel(t *testing.T) {
	index := namespace(t)
	k := New(Ethernet(index, "test0"))
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for i := range 300 {
		a := &kernel.Addr{Link: index, Proto: kernel.AddrProto}
		if host := byte(1 + random.IntN(4)); random.IntN(3) > 0 {
			a.Prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, host}), []int{24, 32}[random.IntN(2)])
			a.Label = []string{"", "test0:1"}[random.IntN(2)]
		} else {
			a.Prefix = netip.PrefixFrom(netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", host)), 64)
			a.Flags = unix.IFA_F_NODAD
		}
		c := kernel.Change{Op: []kernel.Op{kernel.Add, kernel.Add, kernel.Remove}[random.IntN(3)], Object: a}
		want, got := run(t, kernel.Machine, c), run(t, k, c)
		if want != got {
			t.Fatalf("change %d, %v:\nthe kernel      %s\nthat in memory  %s", i, c, want, got)
		}
		if want, got := held(t, kernel.Machine, index), held(t, k, index); !slices.Equal(want, got) {
			t.Fatalf("after change %d, %v:\nthe kernel      %q\nthat in memory  %q", i, c, want, got)
		}
	}
}

// removal makes a host remove a made link that is up and has an address, and returns the
// reports of the removal.
func removal(t *testing.T, h kernel.Host, base int) []string {
	t.Helper()
	events := make(chan kernel.Event, 1024)
	mon, err := kernel.WatchOn(h, 0, false, nil, func(batch []kernel.Event) {
		for _, e := range batch {
			events <- e
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer mon.Close()
	next := func() kernel.Event {
		select {
		case e := <-events:
			return e
		case <-time.After(10 * time.Second):
			t.Fatal("no event")
		}
		return kernel.Event{}
	}
	change := func(c kernel.Change) {
		if outcome := run(t, h, c); !strings.HasPrefix(outcome, "<nil>") {
			t.Fatalf("%v: %s", c, outcome)
		}
	}
	l := &kernel.MadeLink{Name: "made0", Base: base, Type: kernel.KindMACVLAN, HardwareAddr: [6]byte{2, 1, 2, 3, 4, 5}, MTU: 1500, Removal: 4711}
	change(kernel.Change{Op: kernel.Add, Object: l})
	for l.Index == 0 {
		if e := next(); e.Kind == kernel.LinkNew && e.Link.Name == l.Name {
			l.Index = e.Link.Index
		}
	}
	up := *l
	up.Up = true
	change(kernel.Change{Op: kernel.Replace, Object: &up})
	a := &kernel.Addr{Link: l.Index, Prefix: netip.MustParsePrefix("198.51.100.1/24"), Proto: kernel.AddrProto}
	change(kernel.Change{Op: kernel.Add, Object: a})
	for e := next(); e.Kind != kernel.AddrNew || e.Addr.Key() != a.Key(); e = next() {
	}
	change(kernel.Change{Op: kernel.Remove, Object: l})
	change(kernel.Change{Op: kernel.Remove, Object: kernel.LinkGroup(l.Removal)})
	var all []string
	for {
		e := next()
		switch {
		case e.Kind == kernel.LinkNew && e.Link.Index == l.Index:
			all = append(all, fmt.Sprintf("link up=%v", e.Link.Flags&unix.IFF_UP != 0))
		case e.Kind == kernel.AddrGone && e.Addr.Key() == a.Key():
			all = append(all, "address gone")
		case e.Kind == kernel.LinkGone && e.Link.Index == l.Index:
			return append(slices.Compact(all), "link gone")
		}
	}
}

// TestRemovalLikeTheRealKernel checks that the kernel in memory reports the end of a link
// in the order of a real one: the link goes down, then its addresses are removed.
func TestRemovalLikeTheRealKernel(t *testing.T) {
	index := namespace(t)
	want, got := removal(t, kernel.Machine, index), removal(t, New(Ethernet(index, "test0")), index)
	if !slices.Equal(want, got) {
		t.Errorf("the kernel      %q\nthat in memory  %q", want, got)
	}
}
