package lab

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func newLab(t *testing.T, segments int, names ...string) *Lab {
	t.Helper()
	Need(t, Root)
	l, err := New(segments, names...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestNodesReachEachOtherUntilCut(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2, "a", "b")
	a, b := l.Node("a"), l.Node("b")
	ping := func(to fmt.Stringer) error {
		_, err := a.Run("ping", "-c3", "-i0.3", "-W1", to.String())
		return err
	}
	for k := range 2 {
		if err := ping(b.Addr(k)); err != nil {
			t.Errorf("segment %d: %v", k, err)
		}
		if err := ping(b.Addr6(k)); err != nil {
			t.Errorf("segment %d: %v", k, err)
		}
	}
	if err := b.Cut(0); err != nil {
		t.Fatal(err)
	}
	if ping(b.Addr(0)) == nil {
		t.Error("a cut node still answers")
	}
	if out, _ := b.Run("ip", "link", "show", "eth0"); !strings.Contains(out, "LOWER_UP") {
		t.Errorf("a cut node has lost its carrier: %s", out)
	}
	if err := b.Heal(0); err != nil {
		t.Fatal(err)
	}
	if err := ping(b.Addr(0)); err != nil {
		t.Errorf("after healing: %v", err)
	}
}

func TestTimelineRecordsFramesAndAddresses(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, "a", "b")
	a := l.Node("a")
	from := time.Now()
	vip := SegmentAddr(0, 1000)
	if err := a.IP("addr add " + vip.String() + "/16 dev eth0"); err != nil {
		t.Fatal(err)
	}
	e, ok := l.Wait(from, 2*time.Second, func(e *Event) bool { return e.Kind == AddrAdded && e.Addr == vip })
	if !ok || e.Node != a {
		t.Fatalf("address event: %v, %v", e, ok)
	}
	if !a.Has(vip) || l.Node("b").Has(vip) {
		t.Error("the address is on the wrong node")
	}
	// The kernel announces its addresses when the interface is set up.
	if _, err := a.Run("sh", "-c", "sysctl -qw net.ipv4.conf.eth0.arp_notify=1 && ip link set eth0 down && ip link set eth0 up"); err != nil {
		t.Fatal(err)
	}
	if _, ok := l.Wait(from, 2*time.Second, func(e *Event) bool { return e.Kind == Announce && e.Addr == vip && e.Node == a }); !ok {
		t.Error("gratuitous ARP not seen")
	}
	if n := len(l.Events(from, time.Now(), func(e *Event) bool { return e.Kind == Announce && e.Addr == vip })); n != 1 {
		t.Errorf("one frame recorded %d times", n)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	l := newLab(t, 1, "a")
	a := l.Node("a")
	d, err := a.Start(Program{Name: "sleep", Path: "/bin/sh"}, "")
	if err != nil {
		t.Fatal(err)
	}
	d.Wait(5 * time.Second) // sh refuses the flags
	s, err := a.StartWith(Program{Name: "sleep", Path: "/bin/sh"}, "-c", "sleep 100 & sleep 100")
	if err != nil {
		t.Fatal(err)
	}
	if !l.Until(2*time.Second, func() bool { return len(s.Pids()) == 3 }) {
		t.Fatalf("processes: %v", s.Pids())
	}
	pids := s.Pids()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !strings.Contains(string(b), ") Z ") {
			t.Errorf("process %d still runs: %s", pid, b)
		}
	}
	if _, err := os.Stat(l.Dir); !os.IsNotExist(err) {
		t.Errorf("directory: %v", err)
	}
}
