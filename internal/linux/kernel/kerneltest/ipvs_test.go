package kerneltest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/internal/tool/lab/uml"
	"keepalived-go/internal/tool/lab/uml/umltest"
	"keepalived-go/lvs/ipvs"
	"keepalived-go/lvs/ipvs/ipvstest"
)

func TestIPVS(t *testing.T) {
	k := New()
	if _, err := kernel.DialIPVS(k); err == nil {
		t.Error("a kernel without IPVS was dialled")
	}
	k.IPVS = ipvstest.New()
	testIPVS(t, k)
	k.IPVS.SetLoaded(false)
	if _, err := kernel.DialIPVS(k); !errors.Is(err, ipvs.ErrNoModule) {
		t.Errorf("without the module: %v", err)
	}
}

func TestKernel(t *testing.T) {
	umltest.Run(t, uml.Machine{Modules: []string{"ip_vs"}}, func(t *testing.T) {
		t.Run("IPVS", func(t *testing.T) { testIPVS(t, kernel.Machine) })
	})
}

func ours(id ipvs.ServiceID) bool { return id.Addr.Port() != 7 }

// The table of virtual services is compared, changed and found as every kind of
// objects is. Entries of others stay.
func testIPVS(t *testing.T, h kernel.Host) {
	conn, err := kernel.DialIPVS(h)
	if err != nil {
		t.Fatal(err)
	}
	outcome := make(chan kernel.Completion, 1)
	other, err := kernel.DialIPVS(h)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	executor := kernel.NewExecutor(conn, loop.NewChannelWaker(), func(c kernel.Completion) { outcome <- c })
	defer executor.Close()
	carryOut := func(changes ...kernel.Change) (errs []error, found []kernel.Found) {
		executor.Submit(1, changes)
		for {
			c := <-outcome
			if c.Errs == nil {
				c.Errs = make([]error, len(c.Changes))
			}
			if c.Found == nil {
				c.Found = make([]kernel.Found, len(c.Changes))
			}
			errs, found = append(errs, c.Errs...), append(found, c.Found...)
			if c.Last {
				return errs, found
			}
		}
	}
	read := func() []kernel.IPVS {
		all, err := other.IPVS(ours)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	service := func(host, port int) ipvs.Service {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(host)}), uint16(port))
		return ipvs.Service{ServiceID: ipvs.AddrService(ipvs.TCP, addr), Scheduler: "rr"}
	}
	entry := func(s ipvs.Service, host int) *kernel.IPVS {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(host)}), 80)
		return &kernel.IPVS{Service: s, Destination: ipvs.Destination{Addr: addr, Weight: 1}}
	}

	foreign, web := kernel.IPVS{Service: service(1, 7)}, kernel.IPVS{Service: service(1, 80)}
	strange := foreign
	strange.Service.Scheduler = "wlc"
	late := entry(service(9, 80), 1)
	errs, found := carryOut(
		kernel.Change{Op: kernel.Add, Object: &foreign}, kernel.Change{Op: kernel.Add, Object: entry(foreign.Service, 1)},
		kernel.Change{Op: kernel.Add, Object: &foreign},                                                // there just so
		kernel.Change{Op: kernel.Add, Object: &strange},                                                // there otherwise
		kernel.Change{Op: kernel.Remove, Object: &web}, kernel.Change{Op: kernel.Remove, Object: late}, // gone
		kernel.Change{Op: kernel.Add, Object: late}, kernel.Change{Op: kernel.Replace, Object: &web}, // no service
		kernel.Change{Op: kernel.Remove, Object: entry(foreign.Service, 9)}, // gone
	)
	if want := []kernel.Found{0, 0, kernel.FoundThere, 0, 0, 0, 0, 0, 0}; !slices.Equal(found, want) {
		t.Errorf("found %v, want %v", found, want)
	}
	want := []string{"", "", "", "add service tcp 192.0.2.1:7: it is there with scheduler rr: file exists", "", "",
		"add server 198.51.100.1:80 of tcp 192.0.2.9:80: no such process", "replace service tcp 192.0.2.1:80: no such process", ""}
	for i, err := range errs {
		if text := fmt.Sprint(err); text != want[i] && (err != nil || want[i] != "") {
			t.Errorf("change %d: %q, want %q", i, text, want[i])
		}
	}
	if !errors.Is(errs[3], unix.EEXIST) {
		t.Errorf("%v is not EEXIST", errs[3])
	}

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for round := range 50 {
		var want []kernel.IPVS
		for host := range 1 + r.IntN(6) {
			s := service(host, 80)
			s.Scheduler = []string{"rr", "wlc", "sh"}[r.IntN(3)]
			s.Timeout = uint32(r.IntN(2) * 60)
			s.Flags = ipvs.Flags(r.IntN(2)) * ipvs.Sched2
			want = append(want, kernel.IPVS{Service: s})
			for i := range r.IntN(60) {
				e := entry(s, i)
				e.Destination.Weight = uint32(r.IntN(2))
				e.Destination.Forward = []ipvs.Forward{ipvs.Masquerade, ipvs.Tunnel, ipvs.DirectRoute}[r.IntN(3)]
				want = append(want, *e)
			}
		}
		if round == 49 {
			want = nil
		}
		plan := kernel.DiffIPVS(read(), want)
		if errs, _ := carryOut(plan...); errors.Join(errs...) != nil {
			t.Fatal(errors.Join(errs...))
		}
		if rest := kernel.DiffIPVS(read(), want); len(rest) > 0 {
			t.Fatalf("round %d: left to do: %v", round, rest)
		}
	}
	all, err := other.IPVS(nil)
	if err != nil || len(all) != 2 || all[0].Service != foreign.Service.Normal() {
		t.Errorf("of others is left %+v, %v", all, err)
	}
}

// The plan names what it changes, and no destination that goes with its service.
func TestPlanOfIPVS(t *testing.T) {
	a, b := ipvs.AddrService(ipvs.TCP, netip.MustParseAddrPort("192.0.2.1:80")), ipvs.MarkService(7, ipvs.IPv6)
	server := func(id ipvs.ServiceID, addr string, d ipvs.Destination) kernel.IPVS {
		d.Addr = netip.MustParseAddrPort(addr)
		return kernel.IPVS{Service: ipvs.Service{ServiceID: id}, Destination: d}
	}
	have := []kernel.IPVS{
		{Service: ipvs.Service{ServiceID: a, Scheduler: "rr"}},
		server(a, "198.51.100.1:80", ipvs.Destination{Weight: 1}), server(a, "198.51.100.2:80", ipvs.Destination{}),
		{Service: ipvs.Service{ServiceID: b, Scheduler: "rr"}}, server(b, "[2001:db8::1]:0", ipvs.Destination{}),
	}
	want := []kernel.IPVS{
		{Service: ipvs.Service{ServiceID: a, Scheduler: "sh", Flags: ipvs.OnePacket | ipvs.Sched2, Timeout: 60, Mask: 0xffffff00, Engine: "sip"}},
		server(a, "198.51.100.1:80", ipvs.Destination{Weight: 2, Upper: 9, Lower: 3}),
		server(a, "198.51.100.3:80", ipvs.Destination{Forward: ipvs.Tunnel, Tunnel: ipvs.TunnelOptions{Type: ipvs.GUE, Port: 6080, Checksum: ipvs.FullChecksum}}),
	}
	var got []string
	for _, c := range kernel.DiffIPVS(have, want) {
		got = append(got, c.String())
	}
	text := []string{
		"remove service fwmark 7 IPv6",
		"remove server 198.51.100.2:80 of tcp 192.0.2.1:80",
		"replace service tcp 192.0.2.1:80 scheduler sh ops flag-2 persistent 60 mask 255.255.255.0 engine sip",
		"replace server 198.51.100.1:80 of tcp 192.0.2.1:80 masquerade weight 2 connections at most 9 again below 3",
		"add server 198.51.100.3:80 of tcp 192.0.2.1:80 tunnel weight 0 gue port 6080 csum",
	}
	if !slices.Equal(got, text) {
		t.Errorf("plan\n%q\nwant\n%q", got, text)
	}
}
