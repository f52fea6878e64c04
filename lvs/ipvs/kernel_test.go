package ipvs_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab/uml"
	"keepalived-go/internal/tool/lab/uml/umltest"
	"keepalived-go/lvs/ipvs"
	"keepalived-go/lvs/ipvs/ipvstest"
)

var machine = uml.Machine{Modules: []string{"dummy"}}

// TestKernel checks the properties of the kernel in memory with a real one.
func TestKernel(t *testing.T) {
	umltest.Run(t, machine, func(t *testing.T) {
		command(t, "ip", "link", "add", "eth0", "type", "dummy")
		command(t, "ip", "link", "set", "eth0", "up")
		command(t, "ip", "addr", "add", "203.0.113.1/24", "dev", "eth0")
		t.Run("Module", testModule)
		t.Run("Conformance", func(t *testing.T) { conformance(t, dial(t)) })
		t.Run("Ipvsadm", testIpvsadm)
		t.Run("Random", testRandom)
		t.Run("NetNS", testNetNS)
		t.Run("Permission", testPermission)
	})
}

func command(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func dial(t testing.TB) *ipvs.Conn {
	t.Helper()
	c, err := ipvs.Dial(ipvs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func testModule(t *testing.T) {
	// Kernels that know the module's alias load it when the family is requested.
	const loader = "/proc/sys/kernel/modprobe"
	path, err := os.ReadFile(loader)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(loader, []byte("/bin/false"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := ipvs.Dial(ipvs.Options{}); !errors.Is(err, ipvs.ErrNoModule) {
		t.Errorf("before the module is loaded: %v", err)
	}
	if err := os.WriteFile(loader, path, 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := ipvs.LoadModule(ctx); err != nil {
		t.Fatal(err)
	}
	dial(t)
}

// testIpvsadm checks that ipvsadm shows what we set, and that we read what ipvsadm sets.
func testIpvsadm(t *testing.T) {
	c := dial(t)
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	var changes []ipvs.Change
	for _, s := range services[:8] { // ipvsadm 1.31 does not accept its own "-f -1"
		changes = append(changes, add(s)...)
	}
	real := slices.Clone(destinations)
	real[5].Upper, real[5].Lower = 0, 0 // -S does not print them
	changes = append(changes, add(services[0], real...)...)
	if errs := c.Batch(changes); errs != nil {
		t.Fatal(errors.Join(errs...))
	}
	saved := command(t, "ipvsadm", "-Sn")
	want := strings.Fields(strings.ReplaceAll(`
-A_-f_7_-s_nq
-A_-f_7_-6_-s_fo
-A_-t_192.0.2.1:80_-s_wlc
-a_-t_192.0.2.1:80_-r_198.51.100.1:8080_-m_-w_1
-a_-t_192.0.2.1:80_-r_198.51.100.2:80_-g_-w_0
-a_-t_192.0.2.1:80_-r_198.51.100.3:80_-i_-w_2147483647_--tun-type_ipip
-a_-t_192.0.2.1:80_-r_198.51.100.4:80_-i_-w_10_--tun-type_gue_--tun-port_6080_--tun-remcsum
-a_-t_192.0.2.1:80_-r_198.51.100.5:80_-i_-w_10_--tun-type_gre_--tun-csum
-a_-t_192.0.2.1:80_-r_198.51.100.6:0_-m_-w_5
-a_-t_192.0.2.1:80_-r_[2001:db8::9]:80_-i_-w_5_--tun-type_ipip
-A_-t_192.0.2.2:0_-s_sh_-p_50_-M_255.255.255.0_-b_sh-fallback,sh-port
-A_-t_[2001:db8::1]:443_-s_wrr_-p_10_-M_64_-b_flag-3
-A_-u_192.0.2.1:80_-s_rr_-o
-A_-u_192.0.2.3:5060_-s_mh_-p_60_--pe_sip_-b_mh-port
-A_--sctp-service_192.0.2.1:80_-s_lc_-p_360
`, "\\\n", ""))
	got := strings.Split(strings.TrimSpace(saved), "\n")
	for i := range got {
		got[i] = strings.ReplaceAll(strings.TrimSpace(got[i]), " ", "_")
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("ipvsadm -Sn shows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	before := read(t, c)
	command(t, "ipvsadm", "-C")
	restore := exec.Command("ipvsadm", "-R")
	restore.Stdin = strings.NewReader(saved)
	if out, err := restore.CombinedOutput(); err != nil {
		t.Fatalf("ipvsadm -R: %v\n%s", err, out)
	}
	if after := read(t, c); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("after ipvsadm -R there is\n%v\nbefore there was\n%v", after, before)
	}
}

// testRandom checks that a real kernel and one in memory answer each change alike, and
// have the same contents afterwards.
func testRandom(t *testing.T) {
	real := dial(t)
	memory, err := ipvstest.New().Dial()
	if err != nil {
		t.Fatal(err)
	}
	if err := real.Flush(); err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for round := range 20 {
		var changes []ipvs.Change
		for range 100 {
			id, s := services[r.IntN(4)+r.IntN(2)*4].ServiceID, services[r.IntN(len(services))]
			s.ServiceID = id
			if id.AddressFamily() == ipvs.IPv6 && s.Mask > 128 || s.Mask == 64 {
				s.Mask = 0
			}
			c := ipvs.Change{Op: ipvs.Op(r.IntN(3)), Service: s}
			if r.IntN(4) > 0 {
				d := destinations[r.IntN(len(destinations))]
				d.Addr = destinations[r.IntN(len(destinations))].Addr
				d.Lower = uint32(r.IntN(2) * r.IntN(200))
				c.Op, c.Destination = ipvs.Op(max(0, r.IntN(5)-2)), &d
			}
			changes = append(changes, c)
		}
		want, got := real.Batch(changes), memory.Batch(changes)
		for i := range changes {
			var w, g error
			if want != nil {
				w = want[i]
			}
			if got != nil {
				g = got[i]
			}
			if fmt.Sprint(w) != fmt.Sprint(g) {
				t.Errorf("round %d, %v %+v:\nthe kernel     %v\nthat in memory %v", round, &changes[i], changes[i].Destination, w, g)
			}
		}
		if want, got := fmt.Sprint(read(t, real)), fmt.Sprint(read(t, memory)); want != got {
			t.Fatalf("after round %d\nthe kernel     %s\nthat in memory %s", round, want, got)
		}
	}
}

// testNetNS checks that a connection belongs to the namespace for which it was opened.
func testNetNS(t *testing.T) {
	command(t, "ip", "netns", "add", "other")
	ns, err := os.Open("/run/netns/other")
	if err != nil {
		t.Fatal(err)
	}
	there, err := ipvs.Dial(ipvs.Options{NetNS: int(ns.Fd())})
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	ns.Close()
	here := dial(t)
	check(t, "add", append(slices.Clone([]error{here.Flush()}), there.Apply(add(services[0])[0])), nil, nil)
	if got := read(t, here); len(got) != 0 {
		t.Errorf("here is %v", got)
	}
	if got := command(t, "ip", "netns", "exec", "other", "ipvsadm", "-Sn"); got != "-A -t 192.0.2.1:80 -s wlc\n" {
		t.Errorf("there is %q", got)
	}
}

// testPermission checks the error without the permission to change the table.
func testPermission(t *testing.T) {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends without its capabilities
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		if err := unix.Capset(&header, &make([]unix.CapUserData, 2)[0]); err != nil {
			done <- err
			return
		}
		c, err := ipvs.Dial(ipvs.Options{})
		if err == nil {
			err = c.Flush()
			c.Close()
		}
		done <- err
	}()
	if err := <-done; !errors.Is(err, os.ErrPermission) || !strings.HasPrefix(err.Error(), "flush the table of services: ") {
		t.Errorf("without capabilities: %v", err)
	}
}

// BenchmarkTable fills an empty table with 100 services of 100 destinations each and
// clears it, and does the same with ipvsadm.
func BenchmarkTable(b *testing.B) {
	umltest.Bench(b, uml.Machine{Modules: []string{"ip_vs", "ip_vs_rr"}, Timeout: 3 * time.Minute}, func(b *testing.B) {
		c := dial(b)
		var fill, clear []ipvs.Change
		var restore strings.Builder
		for i := range 100 {
			s := ipvs.Service{ServiceID: ipvs.AddrService(ipvs.TCP, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 80)), Scheduler: "rr"}
			fill = append(fill, ipvs.Change{Service: s})
			clear = append(clear, ipvs.Change{Op: ipvs.Remove, Service: s})
			fmt.Fprintf(&restore, "-A -t %v -s rr\n", s.Addr)
			for j := range 100 {
				d := ipvs.Destination{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i), byte(j)}), 80), Weight: 1}
				fill = append(fill, ipvs.Change{Service: s, Destination: &d})
				fmt.Fprintf(&restore, "-a -t %v -r %v -m -w 1\n", s.Addr, d.Addr)
			}
		}
		var t [4][]time.Duration
		took := func(i int, f func() error) {
			begin := time.Now()
			if err := f(); err != nil {
				b.Fatal(err)
			}
			t[i] = append(t[i], time.Since(begin))
		}
		for b.Loop() {
			took(0, func() error { return errors.Join(c.Batch(fill)...) })
			took(1, func() error { return errors.Join(c.Batch(clear)...) })
		}
		// Only once: each line of its input costs ipvsadm several requests.
		took(2, func() error {
			c := exec.Command("ipvsadm", "-R")
			c.Stdin = strings.NewReader(restore.String())
			return c.Run()
		})
		took(3, func() error { return exec.Command("ipvsadm", "-C").Run() })
		for i, name := range []string{"fill-ms", "clear-ms", "ipvsadm-fill-ms", "ipvsadm-clear-ms"} {
			slices.Sort(t[i])
			b.ReportMetric(float64(t[i][len(t[i])/2].Microseconds())/1000, name)
		}
	})
}
