package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"pgregory.net/rapid"
)

// TestKernelReachesWhatIsWanted checks that the real kernel behaves as the model: the
// plan from any state to what is wanted leads there, at once and without an error.
func TestKernelReachesWhatIsWanted(t *testing.T) {
	newNetNS(t)
	ip(t, "link add test0 type veth peer name peer0")
	ip(t, "link set test0 up")
	test0 := link(t, "test0")
	c := dial(t)
	reported := make(chan Completion, 100)
	requests, err := Dial(0, false)
	if err != nil {
		t.Fatal(err)
	}
	e := NewExecutor(requests, nil, func(c Completion) { reported <- c })
	defer e.Close()
	id := uint64(0)
	reach := func(rt *rapid.T, want []Addr) {
		plan := DiffAddrs(addrsOf(t, c, test0), want)
		id++
		e.Submit(id, plan)
		for done := range reported {
			for i, err := range done.Errs {
				if err != nil {
					rt.Fatalf("%v: %v", done.Changes[i], err)
				}
			}
			if done.Last {
				break
			}
		}
		held := addrsOf(t, c, test0)
		if rest := DiffAddrs(held, want); len(rest) > 0 {
			rt.Fatalf("plan %q\nheld %+v\nleft to do %q", texts(plan), held, texts(rest))
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		first := rapid.SliceOf(genAddr(test0)).Draw(rt, "first")
		second := rapid.SliceOf(genAddr(test0)).Draw(rt, "second")
		reach(rt, first)
		reach(rt, second)
		reach(rt, nil)
	})
}

func TestExecutorErrors(t *testing.T) {
	newNetNS(t)
	ip(t, "link add test0 type veth peer name peer0")
	ip(t, "addr add 192.0.2.1/24 dev test0")
	ip(t, "addr add 192.0.2.2/32 dev test0 label test0:2")
	test0 := link(t, "test0")
	a := func(s string) *Addr { return &Addr{Link: test0, Prefix: prefix(s), Proto: AddrProto} }
	noLink := a("192.0.2.9/32")
	noLink.Link = 99
	tests := []struct {
		name   string
		change Change
		errno  error
		text   string // text in the error; empty: success
	}{
		{"added", Change{Add, a("192.0.2.3/32")}, nil, ""},
		{"added, though somebody has set just that", Change{Add, a("192.0.2.1/24")}, nil, ""},
		{"there with another label", Change{Add, a("192.0.2.2/32")}, unix.EEXIST,
			"add 192.0.2.2/32 to test0: it is there with label test0:2: ipv4: Address already assigned: file exists"},
		{"removed, though not there", Change{Remove, a("192.0.2.8/32")}, nil, ""},
		{"removed, though the link is gone", Change{Remove, noLink}, nil, ""},
		{"no such link", Change{Add, noLink}, unix.ENODEV,
			"add 192.0.2.9/32 to #99: ipv4: Device not found: no such device"},
		{"removed from the others' midst", Change{Remove, a("192.0.2.3/32")}, nil, ""},
	}
	// All in one chunk: a refusal does not affect the other changes.
	var plan []Change
	for _, tt := range tests {
		plan = append(plan, tt.change)
	}
	c, err := Dial(0, false)
	if err != nil {
		t.Fatal(err)
	}
	var got []Completion
	e := NewExecutor(c, nil, func(c Completion) { got = append(got, c) })
	e.Submit(7, plan)
	e.Close()
	if len(got) != 1 || got[0].ID != 7 || !got[0].Last || len(got[0].Errs) != len(plan) {
		t.Fatalf("completions: %+v", got)
	}
	for i, tt := range tests {
		err := got[0].Errs[i]
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != tt.text || !errors.Is(err, tt.errno) {
			t.Errorf("%s:\ngot  %q (%v)\nwant %q (%v)", tt.name, text, errors.Unwrap(err), tt.text, tt.errno)
		}
	}
	if out := ip(t, "-o addr show dev test0"); strings.Contains(out, "192.0.2.3") {
		t.Errorf("192.0.2.3 was not removed:\n%s", out)
	}
}

func TestExecutorKeepsOrderAcrossPlans(t *testing.T) {
	newNetNS(t)
	ip(t, "link add test0 type veth peer name peer0")
	test0 := link(t, "test0")
	c, err := Dial(0, false)
	if err != nil {
		t.Fatal(err)
	}
	var addrs []Addr
	for i := range 3*chunkSize + 5 {
		addrs = append(addrs, Addr{
			Link: test0, Proto: AddrProto,
			Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32),
		})
	}
	var order []string
	changes := map[uint64]int{}
	e := NewExecutor(c, nil, func(c Completion) {
		if c.Errs != nil {
			t.Errorf("plan %d: %v", c.ID, errors.Join(c.Errs...))
		}
		changes[c.ID] += len(c.Changes)
		if c.Last {
			order = append(order, fmt.Sprintf("%d:%d", c.ID, changes[c.ID]))
		}
	})
	for id := range uint64(40) { // adds and removes the same first address repeatedly
		plan := DiffAddrs(nil, addrs[:1])
		if id%2 == 1 {
			plan = DiffAddrs(addrs[:1], nil)
		}
		e.Submit(id, plan)
	}
	e.Submit(40, nil)
	e.Submit(41, DiffAddrs(nil, addrs))
	e.Submit(42, DiffAddrs(addrs, nil))
	e.Close()

	var want []string
	for id := range 40 {
		want = append(want, fmt.Sprintf("%d:1", id))
	}
	want = append(want, "40:0", fmt.Sprintf("41:%d", len(addrs)), fmt.Sprintf("42:%d", len(addrs)))
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("plans completed (-want +got):\n%s", diff)
	}
	if left := addrsOf(t, dial(t), test0); len(left) != 0 {
		t.Errorf("%d addresses are left", len(left))
	}
}

// TestExecutorLetsGo checks that the objects of a plan are forgotten when it is carried out.
func TestExecutorLetsGo(t *testing.T) {
	newNetNS(t)
	ip(t, "link add test0 type veth peer name peer0")
	test0 := link(t, "test0")
	requests, err := Dial(0, false)
	if err != nil {
		t.Fatal(err)
	}
	last := make(chan struct{})
	e := NewExecutor(requests, nil, func(c Completion) {
		if c.Last {
			close(last)
		}
	})
	defer e.Close()
	var objects []weak.Pointer[Addr]
	func() {
		var plan []Change
		for i := range chunkSize + 2 {
			a := &Addr{Link: test0, Prefix: prefix(fmt.Sprintf("192.0.2.%d/32", i+1)), Proto: AddrProto}
			plan = append(plan, Change{Add, a})
			objects = append(objects, weak.Make(a))
		}
		e.Submit(1, plan)
	}()
	<-last
	kept := func() (n int) {
		runtime.GC()
		for _, o := range objects {
			if o.Value() != nil {
				n++
			}
		}
		return n
	}
	for end := time.Now().Add(15 * time.Second); kept() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d objects are still in memory", kept(), len(objects))
		}
	}
}

func TestDumps(t *testing.T) {
	newNetNS(t)
	ip(t, "link add eth0.10 address 02:00:00:00:00:01 mtu 1400 type veth peer name peer0")
	ip(t, "link add br0 type bridge")
	ip(t, "link set eth0.10 master br0 up")
	ip(t, "link set peer0 up")
	ip(t, "addr add 192.0.2.1/24 brd 192.0.2.255 dev peer0")
	ip(t, "addr add 198.51.100.1 peer 198.51.100.2/30 dev peer0 label peer0:x scope link")
	ip(t, "addr add 2001:db8::1/64 dev peer0 nodad home preferred_lft 0")
	c := dial(t)
	var got Link
	for end := time.Now().Add(20 * time.Second); !got.Up() && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		links, err := c.Links() // the kernel sees the carrier of a link in its own time
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(links, func(l Link) bool { return l.Name == "eth0.10" })
		if i < 0 {
			t.Fatalf("eth0.10 is not among %+v", links)
		}
		got = links[i]
	}
	if !got.Up() || !got.CanMulticast() || got.NoARP() || got.Loopback() {
		t.Errorf("flags %#x", got.Flags)
	}
	got.Flags = 0
	want := Link{
		Index: link(t, "eth0.10"), Name: "eth0.10", HardwareAddr: [6]byte{2, 0, 0, 0, 0, 1}, MTU: 1400,
		Master: link(t, "br0"), Kind: "veth", Base: link(t, "peer0"), IPv4: true, IPv6: true,
	}
	if got != want {
		t.Errorf("link:\ngot  %+v\nwant %+v", got, want)
	}

	all, err := c.Addrs()
	if err != nil {
		t.Fatal(err)
	}
	var addrs []Addr
	for _, a := range all {
		if a.Link == link(t, "peer0") && !a.Prefix.Addr().IsLinkLocalUnicast() {
			addrs = append(addrs, a)
		}
	}
	peer0 := link(t, "peer0")
	wantAddrs := []Addr{
		{Link: peer0, Prefix: prefix("192.0.2.1/24"), Broadcast: netip.MustParseAddr("192.0.2.255"), Label: "peer0",
			Flags: unix.IFA_F_PERMANENT, ValidLft: Forever, PreferredLft: Forever},
		{Link: peer0, Prefix: prefix("198.51.100.1/30"), Peer: prefix("198.51.100.2/30"), Label: "peer0:x",
			Scope: unix.RT_SCOPE_LINK, Flags: unix.IFA_F_PERMANENT, ValidLft: Forever, PreferredLft: Forever},
		{Link: peer0, Prefix: prefix("2001:db8::1/64"),
			Flags:    unix.IFA_F_PERMANENT | unix.IFA_F_NODAD | unix.IFA_F_HOMEADDRESS | unix.IFA_F_DEPRECATED,
			ValidLft: Forever},
	}
	byPrefix := func(a, b Addr) int { return strings.Compare(a.Prefix.String(), b.Prefix.String()) }
	slices.SortFunc(addrs, byPrefix)
	slices.SortFunc(wantAddrs, byPrefix)
	for i := range max(len(addrs), len(wantAddrs)) {
		if i >= len(addrs) || i >= len(wantAddrs) || addrs[i] != wantAddrs[i] {
			t.Fatalf("addresses:\ngot  %+v\nwant %+v", addrs, wantAddrs)
		}
	}
}

// TestPromoteSecondaries checks that addresses of other programs in the same subnet stay
// when promote_secondaries is set and our primary one is removed.
func TestPromoteSecondaries(t *testing.T) {
	newNetNS(t)
	ip(t, "link add eth0.10 type veth peer name peer0")
	if changed, err := SetSysctl("1", "net", "ipv4", "conf", "eth0.10", "promote_secondaries"); err != nil || !changed {
		t.Fatalf("changed %v, error %v", changed, err)
	}
	if changed, err := SetSysctl("1", "net", "ipv4", "conf", "eth0.10", "promote_secondaries"); err != nil || changed {
		t.Fatalf("again: changed %v, error %v", changed, err)
	}
	ours := []Addr{{Link: link(t, "eth0.10"), Prefix: prefix("192.0.2.1/24"), Proto: AddrProto}}
	if errs := execute(t, DiffAddrs(nil, ours)); errs != nil {
		t.Fatal(errs)
	}
	ip(t, "addr add 192.0.2.2/24 dev eth0.10")
	if errs := execute(t, DiffAddrs(ours, nil)); errs != nil {
		t.Fatal(errs)
	}
	if out := ip(t, "-o addr show dev eth0.10"); !strings.Contains(out, "192.0.2.2/24") || strings.Contains(out, "192.0.2.1/24") {
		t.Errorf("addresses left:\n%s", out)
	}
	if _, err := SetSysctl("1", "net", "ipv4", "conf", "../all", "forwarding"); err == nil {
		t.Error("a path that climbs was taken")
	}
	if _, err := SetSysctl("1", "net", "ipv4", "conf", "nosuch", "forwarding"); err == nil {
		t.Error("a sysctl of a link that does not exist was set")
	}
}
