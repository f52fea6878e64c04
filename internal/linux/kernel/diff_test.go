package kernel

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func texts(plan []Change) []string {
	var s []string
	for _, c := range plan {
		s = append(s, c.Text("eth0"))
	}
	return s
}

func TestDiff(t *testing.T) {
	a := func(s string) Addr { return Addr{Link: 1, Prefix: netip.MustParsePrefix(s), Proto: AddrProto} }
	with := func(a Addr, f func(*Addr)) Addr { f(&a); return a }
	secondary := func(a *Addr) { a.Flags |= unix.IFA_F_SECONDARY }

	tests := []struct {
		name       string
		have, want []Addr
		plan       []string
	}{
		{
			name: "additions follow the order wanted",
			want: []Addr{a("192.0.2.2/32"), a("192.0.2.1/32"), a("2001:db8::1/128")},
			plan: []string{"add 192.0.2.2/32 dev eth0", "add 192.0.2.1/32 dev eth0", "add 2001:db8::1/128 dev eth0"},
		},
		{
			name: "removals go backwards",
			have: []Addr{a("192.0.2.1/24"), with(a("192.0.2.2/24"), secondary)},
			plan: []string{"remove 192.0.2.2/24 dev eth0", "remove 192.0.2.1/24 dev eth0"},
		},
		{
			name: "what is there is left alone",
			have: []Addr{with(a("192.0.2.1/24"), func(a *Addr) { a.Label = "eth0"; a.Flags = unix.IFA_F_PERMANENT })},
			want: []Addr{a("192.0.2.1/24")},
		},
		{
			name: "another prefix length is another address",
			have: []Addr{a("192.0.2.1/24")},
			want: []Addr{a("192.0.2.1/32")},
			plan: []string{"remove 192.0.2.1/24 dev eth0", "add 192.0.2.1/32 dev eth0"},
		},
		{
			name: "all removals come first",
			have: []Addr{a("192.0.2.1/32"), a("192.0.2.3/32")},
			want: []Addr{a("192.0.2.2/32"), a("192.0.2.3/32")},
			plan: []string{"remove 192.0.2.1/32 dev eth0", "add 192.0.2.2/32 dev eth0"},
		},
		{
			name: "a label cannot be changed in place",
			have: []Addr{with(a("192.0.2.1/32"), func(a *Addr) { a.Label = "eth0:1" })},
			want: []Addr{a("192.0.2.1/32")},
			plan: []string{"remove 192.0.2.1/32 dev eth0", "add 192.0.2.1/32 dev eth0"},
		},
		{
			name: "nor can a scope",
			have: []Addr{a("192.0.2.1/32")},
			want: []Addr{with(a("192.0.2.1/32"), func(a *Addr) { a.Scope = unix.RT_SCOPE_LINK })},
			plan: []string{"remove 192.0.2.1/32 dev eth0", "add 192.0.2.1/32 dev eth0 scope link"},
		},
		{
			name: "nor a broadcast address",
			have: []Addr{a("192.0.2.1/24")},
			want: []Addr{with(a("192.0.2.1/24"), func(a *Addr) { a.Broadcast = netip.MustParseAddr("192.0.2.255") })},
			plan: []string{"remove 192.0.2.1/24 dev eth0", "add 192.0.2.1/24 dev eth0 brd 192.0.2.255"},
		},
		{
			name: "IPv4 keeps its flags, IPv6 can change them",
			have: []Addr{a("192.0.2.1/32"), a("2001:db8::1/64")},
			want: []Addr{
				with(a("192.0.2.1/32"), func(a *Addr) { a.Flags = unix.IFA_F_NOPREFIXROUTE }),
				with(a("2001:db8::1/64"), func(a *Addr) { a.Flags = unix.IFA_F_NOPREFIXROUTE }),
			},
			plan: []string{
				"remove 192.0.2.1/32 dev eth0",
				"add 192.0.2.1/32 dev eth0 noprefixroute",
				"replace 2001:db8::1/64 dev eth0 noprefixroute",
			},
		},
		{
			name: "flags and scope that a family does not have do not count",
			have: []Addr{a("192.0.2.1/32"), a("2001:db8::1/64")},
			want: []Addr{
				with(a("192.0.2.1/32"), func(a *Addr) { a.Flags = unix.IFA_F_NODAD }),
				with(a("2001:db8::1/64"), func(a *Addr) { a.Scope = unix.RT_SCOPE_LINK; a.Label = "eth0:6" }),
			},
		},
		{
			name: "lifetimes are changed in place",
			have: []Addr{a("2001:db8::1/128")},
			want: []Addr{with(a("2001:db8::1/128"), func(a *Addr) { a.ValidLft = Forever })},
			plan: []string{"replace 2001:db8::1/128 dev eth0 preferred_lft 0"},
		},
		{
			name: "a lifetime that runs is not started again",
			have: []Addr{with(a("2001:db8::1/128"), func(a *Addr) { a.ValidLft, a.PreferredLft = Forever, 17 })},
			want: []Addr{with(a("2001:db8::1/128"), func(a *Addr) { a.ValidLft, a.PreferredLft = Forever, 60 })},
		},
		{
			name: "state is no difference",
			have: []Addr{with(a("2001:db8::1/128"), func(a *Addr) { a.Flags = unix.IFA_F_TENTATIVE | unix.IFA_F_DADFAILED })},
			want: []Addr{a("2001:db8::1/128")},
		},
		{
			name: "a peer's prefix length is the address's",
			have: []Addr{{Link: 1, Prefix: netip.MustParsePrefix("192.0.2.1/24"), Peer: netip.MustParsePrefix("192.0.2.2/24")}},
			want: []Addr{{Link: 1, Prefix: netip.MustParsePrefix("192.0.2.1/32"), Peer: netip.MustParsePrefix("192.0.2.2/24")}},
		},
		{
			name: "another peer",
			have: []Addr{{Link: 1, Prefix: netip.MustParsePrefix("192.0.2.1/32"), Peer: netip.MustParsePrefix("192.0.2.2/32")}},
			want: []Addr{{Link: 1, Prefix: netip.MustParsePrefix("192.0.2.1/32"), Peer: netip.MustParsePrefix("192.0.2.3/32")}},
			plan: []string{"remove 192.0.2.1 peer 192.0.2.2/32 dev eth0", "add 192.0.2.1 peer 192.0.2.3/32 dev eth0"},
		},
		{
			name: "the same address on two links is two addresses",
			have: []Addr{a("192.0.2.1/32")},
			want: []Addr{a("192.0.2.1/32"), {Link: 2, Prefix: netip.MustParsePrefix("192.0.2.1/32")}},
			plan: []string{"add 192.0.2.1/32 dev eth0"},
		},
		{
			name: "wanted twice is wanted once",
			want: []Addr{a("192.0.2.1/32"), with(a("192.0.2.1/32"), func(a *Addr) { a.Label = "eth0:1" })},
			plan: []string{"add 192.0.2.1/32 dev eth0"},
		},
		{
			name: "secondary addresses are set again when their primary goes",
			have: []Addr{a("192.0.2.1/24"), a("198.51.100.1/24"), with(a("192.0.2.2/24"), secondary), with(a("198.51.100.2/24"), secondary)},
			want: []Addr{a("192.0.2.2/24"), a("198.51.100.1/24"), a("198.51.100.2/24")},
			plan: []string{"remove 192.0.2.1/24 dev eth0", "add 192.0.2.2/24 dev eth0"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.plan, texts(DiffAddrs(tt.have, tt.want))); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestChangeText(t *testing.T) {
	c := Change{Add, &Addr{
		Link: 7, Prefix: netip.MustParsePrefix("2001:db8::1/64"), ValidLft: 100, PreferredLft: 50,
		Flags: unix.IFA_F_NODAD | unix.IFA_F_HOMEADDRESS | unix.IFA_F_MANAGETEMPADDR | unix.IFA_F_MCAUTOJOIN,
	}}
	const want = "add 2001:db8::1/64 dev #7 nodad home mngtmpaddr autojoin valid_lft 100 preferred_lft 50"
	if got := c.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// genAddr draws from so few values that addresses often collide, differ in one attribute
// only, or share a subnet.
func genAddr(links ...int) *rapid.Generator[Addr] {
	return rapid.Custom(func(t *rapid.T) Addr {
		a := Addr{Link: rapid.SampledFrom(links).Draw(t, "link"), Proto: AddrProto}
		if rapid.Bool().Draw(t, "v4") {
			a.Prefix = netip.PrefixFrom(
				netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(1, 6).Draw(t, "host"))}),
				rapid.SampledFrom([]int{24, 32}).Draw(t, "bits"))
			a.Label = rapid.SampledFrom([]string{"", "test0:1"}).Draw(t, "label")
			if a.Prefix.IsSingleIP() { // the kernel requires one scope per subnet
				a.Scope = rapid.SampledFrom([]uint8{unix.RT_SCOPE_UNIVERSE, unix.RT_SCOPE_LINK}).Draw(t, "scope")
			}
			a.Broadcast = rapid.SampledFrom([]netip.Addr{{}, netip.AddrFrom4([4]byte{192, 0, 2, 255})}).Draw(t, "broadcast")
			a.Flags = rapid.SampledFrom([]uint32{0, unix.IFA_F_NOPREFIXROUTE}).Draw(t, "flags")
		} else {
			ip := netip.MustParseAddr("2001:db8::").As16()
			ip[15] = byte(rapid.IntRange(1, 6).Draw(t, "host"))
			// One length per address: in the kernel it is not part of the identity.
			a.Prefix = netip.PrefixFrom(netip.AddrFrom16(ip), 64)
			for _, f := range []uint32{unix.IFA_F_NODAD, unix.IFA_F_HOMEADDRESS, unix.IFA_F_NOPREFIXROUTE} {
				a.Flags |= rapid.SampledFrom([]uint32{0, f}).Draw(t, "flag")
			}
		}
		if rapid.Bool().Draw(t, "lifetimes") {
			a.ValidLft = rapid.SampledFrom([]uint32{Forever, 5000}).Draw(t, "valid")
			a.PreferredLft = rapid.SampledFrom([]uint32{0, 4000, Forever}).Draw(t, "preferred")
			a.PreferredLft = min(a.PreferredLft, a.ValidLft)
		}
		return a
	})
}

// apply returns the addresses after a plan.
func apply(t rapid.TB, have []Addr, plan []Change) []Addr {
	held := slices.Clone(have)
	for _, c := range plan {
		addr := c.Object.(*Addr)
		i := slices.IndexFunc(held, func(a Addr) bool { return a.Key() == addr.Key() })
		switch c.Op {
		case Add:
			if i < 0 {
				held = append(held, *addr)
			} else if same, _ := held[i].Compare(addr); !same {
				t.Fatalf("%v: there with other attributes: %v", c, held[i])
			}
		case Remove:
			if i < 0 {
				t.Fatalf("%v: not there", c)
			}
			held = slices.Delete(held, i, i+1)
		case Replace:
			if i < 0 {
				t.Fatalf("%v: not there", c)
			}
			held[i] = *addr
		}
	}
	return held
}

func TestDiffReachesWhatIsWanted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have := rapid.SliceOfDistinct(genAddr(1, 2), Addr.Key).Draw(t, "have")
		for i := range have {
			if have[i].Prefix.Addr().Is4() && rapid.Bool().Draw(t, "secondary") {
				have[i].Flags |= unix.IFA_F_SECONDARY
			}
		}
		want := rapid.SliceOf(genAddr(1, 2)).Draw(t, "want")
		held := apply(t, have, DiffAddrs(have, want))
		if rest := DiffAddrs(held, want); len(rest) > 0 {
			t.Fatalf("left to do: %v", rest)
		}
		for _, a := range held {
			if !slices.ContainsFunc(want, func(w Addr) bool { return w.Key() == a.Key() }) {
				t.Fatalf("%v was left", a)
			}
		}
	})
}
