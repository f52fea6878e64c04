package vrrpd

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/kernel/kerneltest"
)

// TestLinksAgreeWithKernel checks for any changes by other programs to links, addresses
// and settings, with reloads and crashes in between: in the end the kernel has the state
// that a fresh start would have made, and after the stop the state from before.
func TestLinksAgreeWithKernel(t *testing.T) {
	quiet(t)
	random := rand.New(rand.NewPCG(newSeed(t), 1))
	rounds := 4
	if os.Getenv("KEEPALIVED_NIGHTLY") == "1" {
		rounds = 100
	}
	for round := range rounds {
		k, state := memoryKernel(), filepath.Join(t.TempDir(), "state")
		k.SetLink(kerneltest.Ethernet(3, "eth1"))
		k.SetAddr(kernel.Addr{Link: 3, Prefix: netip.MustParsePrefix("192.0.2.3/24")})
		if _, err := k.SetSysctl("2", "net", "ipv4", "conf", "all", "rp_filter"); err != nil {
			t.Fatal(err)
		}
		next := 1000                  // greater than the indexes of the links that the kernel makes
		wish := func() *conf.Config { // three virtual routers, each with a link, another one, or none
			c := vmacs(3)
			for n, in := range c.Instances {
				in.AdvertInterval = 10 * time.Second
				switch random.IntN(5) {
				case 0:
					in.Link = nil
				case 1:
					in.Link.Name = "named" + strconv.Itoa(n)
				case 2:
					in.Link.TransmitBase = true
				case 3:
					in.Link.AddressVMACs = true
					in.Addresses = append(in.Addresses, conf.Address{
						Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(n + 1)}), 32), Interface: "eth1"})
				}
			}
			return c
		}
		c := wish()
		d := startTestDaemonWith(t, c, Options{Host: k, StateFile: state})
		var done []string
		settled := func() {
			t.Helper()
			what := ""
			defer func() {
				if t.Failed() {
					t.Log(what)
				}
			}()
			turnUntil(t, d, fmt.Sprintf("round %d: %v", round, done), func() bool {
				what = disagreement(d, k, c)
				return what == "" && calm(d)()
			})
		}
		for range 1 + random.IntN(8) {
			made := slices.DeleteFunc(k.Links(), func(l kernel.Link) bool { return l.Base == 0 })
			var what string
			switch n := random.IntN(11); {
			case n < 2 && len(made) > 0:
				l := made[random.IntN(len(made))]
				what = "delete " + l.Name
				k.RemoveLink(l.Index)
			case n == 2 && len(made) > 0:
				l := made[random.IntN(len(made))]
				what = "down and up " + l.Name
				l.Flags &^= unix.IFF_UP
				k.SetLink(l)
				l.Flags |= unix.IFF_UP
				k.SetLink(l)
			case n == 3:
				what = "replace eth0"
				k.RemoveLink(linkNamed(k, "eth0").Index)
				next += 1000
				k.SetLink(kerneltest.Ethernet(next, "eth0"))
				k.SetAddr(kernel.Addr{Link: next, Prefix: netip.MustParsePrefix("192.0.2.1/24")})
			case n < 6:
				what = "reload"
				c = wish()
				d.loop.Post(func() { d.reloadNow(c) })
			case n == 6:
				what = "lose events"
				k.LoseEvents(func() {
					for _, l := range made {
						k.RemoveLink(l.Index)
					}
				})
			case n == 7:
				what = "MTU of eth0"
				l := linkNamed(k, "eth0")
				l.MTU = 1400 + random.IntN(200)
				k.SetLink(l)
			case n == 8:
				what = "sysctl"
				if _, err := k.SetSysctl("7", "net", "ipv4", "conf", "eth0", "arp_ignore"); err != nil {
					t.Fatal(err)
				}
			case n == 9:
				if all := k.Addrs(); all[len(all)-1].Proto == kernel.AddrProto {
					a := all[len(all)-1]
					what = "remove " + a.Prefix.String()
					k.RemoveAddr(a.Link, a.Prefix)
				}
			default:
				what = "crash"
				// Leftovers of a predecessor are known until its successor has started.
				settled()
				d.journal.close()
				c = wish()
				d = startTestDaemonWith(t, c, Options{Host: k, StateFile: state})
			}
			done = append(done, what)
			for range random.IntN(4) {
				d.loop.Post(func() {})
				d.turn()
			}
		}
		d.loop.Post(func() { d.verifySettings(0) }) // as every ten seconds
		settled()
		d.loop.Post(d.stop)
		turnUntil(t, d, "the end", func() bool { return d.stopping && d.addrs.idle() && d.settings.idle() })
		if links, addrs := k.Links(), k.Addrs(); len(links) != 2 || len(addrs) != 2 {
			t.Fatalf("round %d: %v: left: %v %v", round, done, links, addrs)
		}
		was := map[string]string{"all/rp_filter": "2", "eth1/rp_filter": "0", "eth1/arp_filter": "0"}
		if !slices.Contains(done, "replace eth0") { // the setting may have been changed before it was read
			was["eth0/rp_filter"] = "0"
			if !slices.Contains(done, "sysctl") { // the setting may have been changed before the first reading
				was["eth0/arp_ignore"] = "0"
			}
		}
		for name, want := range was {
			if got := value(t, k, "net/ipv4/conf/"+name); got != want {
				t.Fatalf("round %d: %v: %s is %s, want %s", round, done, name, got, want)
			}
		}
	}
}

// disagreement returns the first difference between the links, addresses and settings of
// the kernel and those that a fresh start with the configuration would make; empty: there
// is none.
func disagreement(d *daemon, k *kerneltest.Kernel, c *conf.Config) string {
	if len(d.routers) != len(c.Instances) {
		return "another configuration"
	}
	links, addrs := 2, 2
	for _, r := range d.routers {
		links += len(r.made)
		addrs += len(r.vips)
		for _, m := range r.made {
			l, base := linkNamed(k, m.spec.Name), linkNamed(k, m.spec.Base)
			if l.Base != base.Index || l.HardwareAddr != m.spec.MAC || l.Flags&unix.IFF_UP == 0 || l.MTU != base.MTU || l.Alias != kernel.LinkAlias {
				return fmt.Sprintf("link %+v, base %+v, known as %+v, fault %v", l, base, m.item, r.whyFault())
			}
		}
		for i, v := range r.vips {
			place := r.addressPlace(r.address(i))
			if v == nil || !k.Has(linkNamed(k, place).Index, v.key.Prefix) {
				return fmt.Sprintf("address %v on %s, known as %+v, fault %v, state %v", r.address(i).Prefix, place, v, r.whyFault(), r.engine.State())
			}
		}
	}
	for _, w := range d.wantedSettings() {
		if now, err := k.ReadSysctl(strings.Split(w.name, "/")...); err != nil || now != d.settings.value(w) {
			return fmt.Sprintf("sysctl %s is %s", w.name, now)
		}
	}
	if len(k.Links()) != links || len(k.Addrs()) != addrs {
		return fmt.Sprintf("%v %v", k.Links(), k.Addrs())
	}
	return ""
}
