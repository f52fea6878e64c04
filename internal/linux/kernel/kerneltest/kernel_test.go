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

// held lists what a host holds on a link, but for what a kernel sets itself.
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

// The kernel in memory holds, refuses and drops what a real one does.
func TestLikeTheRealKernel(t *testing.T) {
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
	k := New(Ethernet(ifi.Index, "test0"))
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for i := range 300 {
		a := &kernel.Addr{Link: ifi.Index, Proto: kernel.AddrProto}
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
		if want, got := held(t, kernel.Machine, ifi.Index), held(t, k, ifi.Index); !slices.Equal(want, got) {
			t.Fatalf("after change %d, %v:\nthe kernel      %q\nthat in memory  %q", i, c, want, got)
		}
	}
}
