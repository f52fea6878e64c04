package vrrpd

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/firewall"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/kernel/kerneltest"
	"keepalived-go/internal/output/logging/logtest"
)

// refusing makes the virtual routers of c accept no packets. The first has addresses of
// both families, one of them link-local.
func refusing(c *conf.Config) *conf.Config {
	for _, i := range c.Instances {
		i.Accept = false
	}
	c.Global.Firewall.Priority = -1
	c.Instances[0].Excluded = []conf.Address{{Prefix: netip.MustParsePrefix("2001:db8::1/64")}, {Prefix: netip.MustParsePrefix("fe80::1/64")}}
	return c
}

func families(f *kerneltest.Firewall) (all []string) {
	for _, t := range f.Tables() {
		all = append(all, t.Text())
	}
	return all
}

var (
	bothTables = []string{"table ip keepalived", "table ip6 keepalived"}
	allDrops   = []string{"drop of 198.51.100.1", "drop of 2001:db8::1", "drop of fe80::1"}
)

// TestDropsMoveWithTheMaster checks that packets to an address are dropped before it is
// set until it is removed, and that the tables exist before.
func TestDropsMoveWithTheMaster(t *testing.T) {
	quiet(t)
	k, f := memoryKernel(), &kerneltest.Firewall{}
	early := 0
	f.Watch(func(kernel.Change) { early += len(k.Addrs()) - 1 })
	c := refusing(backups(1))
	d := startTestDaemonWith(t, c, Options{Host: k, Firewall: f})
	turnUntil(t, d, "tables", func() bool { return slices.Equal(families(f), bothTables) && d.addrs.idle() })
	if drops := f.Entries(); len(drops) != 0 {
		t.Errorf("a backup drops %q", drops)
	}
	arrive(k, d.routers[0], 0)
	turnUntil(t, d, "master", masters(d))
	if drops := f.Entries(); !slices.Equal(drops, allDrops) {
		t.Errorf("a master drops %q", drops)
	}
	for _, table := range f.Tables() {
		if want := (firewall.Settings{Name: "keepalived", Priority: -1}); table.Settings != want {
			t.Errorf("settings %+v, want %+v", table.Settings, want)
		}
	}
	arrive(k, d.routers[0], 200)
	turnUntil(t, d, "backup", func() bool { return !d.routers[0].held && d.addrs.idle() })
	if drops := f.Entries(); len(drops) != 0 || early != 0 {
		t.Errorf("a former master drops %q; %d addresses were there without", drops, early)
	}
	d.loop.Post(d.stop)
	turnUntil(t, d, "the end", func() bool { return d.stopping && d.addrs.idle() })
	if left := families(f); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestReloadOfDrops checks that a reload can change which packets are accepted and how
// packets are dropped without a change to an address.
func TestReloadOfDrops(t *testing.T) {
	quiet(t)
	k, f := memoryKernel(), &kerneltest.Firewall{}
	c := refusing(patient(owners(2)))
	c.Instances[1].Addresses = c.Instances[0].Addresses // both routers have the addresses: they are dropped for one of them
	c.Instances[1].Accept = true
	d := startTestDaemonWith(t, c, Options{Host: k, Firewall: f})
	turnUntil(t, d, "masters", masters(d))
	removed := 0
	f.Watch(func(c kernel.Change) {
		if c.Op == kernel.Remove {
			removed++
		}
	})
	addrs := k.Addrs()

	next := refusing(patient(owners(2)))
	next.Instances[1].Addresses = next.Instances[0].Addresses
	next.Global.Firewall = conf.Firewall{NFTables: "mine", Priority: 3, Counters: true}
	d.reloadNow(next)
	turnUntil(t, d, "the reload", d.addrs.idle)
	if got := f.Tables(); len(got) != 2 || got[0].Settings != (firewall.Settings{Name: "mine", Priority: 3, Counters: true}) || removed != 0 {
		t.Errorf("%d removals, tables %+v", removed, got)
	}
	next = patient(owners(2))
	next.Instances[1].Addresses, next.Instances[0].Excluded = next.Instances[0].Addresses, d.routers[0].conf.Excluded
	next.Instances[1].Accept = false
	d.reloadNow(next)
	turnUntil(t, d, "the second reload", d.addrs.idle)
	if drops := f.Entries(); !slices.Equal(drops, allDrops[:1]) || !slices.Equal(families(f), bothTables[:1]) {
		t.Errorf("drops %q in %q", drops, families(f))
	}
	next = patient(owners(2))
	next.Instances[1].Addresses, next.Instances[0].Excluded = next.Instances[0].Addresses, d.routers[0].conf.Excluded
	d.reloadNow(next)
	turnUntil(t, d, "the third reload", d.addrs.idle)
	if left := append(f.Entries(), families(f)...); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	if got := k.Addrs(); len(got) != len(addrs) {
		t.Errorf("addresses %v, before %v", got, addrs)
	}
	if n := len(d.addrs.entries.items) + len(d.addrs.tables.items); n != 0 {
		t.Errorf("%d items are remembered", n)
	}
}

// TestFirewallRefusesAndLoses checks that a refusal by the firewall is logged once for
// all its items and that they are requested again, while everything else continues, and
// that a table changed by another program is reported.
func TestFirewallRefusesAndLoses(t *testing.T) {
	log := logtest.Capture(t)
	k, f := memoryKernel(), &kerneltest.Firewall{}
	f.Refuse(errors.New("no such thing"))
	d := startTestDaemonWith(t, refusing(patient(owners(5))), Options{Host: k, Firewall: f})
	turnUntil(t, d, "masters", masters(d))
	turnUntil(t, d, "another attempt", func() bool { return d.addrs.begun > 2 })
	if n := strings.Count(log.String(), "firewall: no such thing"); n != 1 {
		t.Errorf("%d lines about the refusal in\n%s", n, log)
	}
	f.Refuse(nil)
	turnUntil(t, d, "drops", func() bool { return len(f.Entries()) == 7 && slices.Equal(families(f), bothTables) && d.addrs.idle() })
	turnUntil(t, d, "a line", func() bool { return strings.Contains(log.String(), "packets are dropped as configured") })
	f.Lose()
	turnUntil(t, d, "the tables again", func() bool { return slices.Equal(families(f), bothTables) })
	turnUntil(t, d, "a line", func() bool {
		return strings.Contains(log.String(), "firewall: table ip6 keepalived was changed by another program, and is restored")
	})
}

// TestLeftoverDrops checks that the successor of a killed process takes over its tables
// with their entries, and that a successor that drops nothing, or ends at once, removes
// them.
func TestLeftoverDrops(t *testing.T) {
	quiet(t)
	for _, next := range []*conf.Config{refusing(patient(owners(1))), patient(owners(1)), {}} {
		state := t.TempDir() + "/state"
		k, f := memoryKernel(), &kerneltest.Firewall{}
		c := refusing(patient(owners(1)))
		c.Global.Firewall.NFTables = "old"
		d := startTestDaemonWith(t, c, Options{Host: k, Firewall: f, StateFile: state})
		turnUntil(t, d, "master", masters(d))
		d.journal.close() // and no turn follows: nothing is removed, and the state file stays

		f.Restart()
		d = startTestDaemonWith(t, next, Options{Host: k, Firewall: f, StateFile: state})
		if got := f.Inherited(); len(got) != 2 || got[0].Name != "old" {
			t.Errorf("inherited %+v", got)
		}
		d.flush() // as after each start
		turnUntil(t, d, "the successor", func() bool { return len(next.Instances) == 0 || masters(d)() })
		want := bothTables
		if len(next.Instances) == 0 || next.Instances[0].Accept {
			want = nil
		}
		turnUntil(t, d, "its tables", func() bool { return slices.Equal(families(f), want) && d.addrs.idle() })
		if drops := f.Entries(); want != nil && !slices.Equal(drops, allDrops) {
			t.Errorf("it drops %q", drops)
		}
	}
}

// TestReportsOfMadeLinks checks that the membership reports of a macvlan are dropped from
// before it is up until it is removed.
func TestReportsOfMadeLinks(t *testing.T) {
	k := memoryKernel()
	virtually(t, k, vmacs(2), func(t *testing.T, d *daemon, _ *logtest.Log) {
		f := d.firewall.(*kerneltest.Firewall)
		names := []string{"vrrp.1", "vrrp.2"}
		unguarded := 0
		f.Watch(func(c kernel.Change) {
			for _, name := range names {
				if _, ok := c.Object.(*firewall.Entry); ok && strings.HasSuffix(c.Object.Text(), name) && linkNamed(k, name).Flags&unix.IFF_UP != 0 {
					unguarded++
				}
			}
		})
		turnUntil(t, d, "masters", calm(d))
		if got := f.Entries(); !slices.Equal(got, []string{"ip reports of vrrp.1", "ip reports of vrrp.2"}) {
			t.Errorf("entries %q", got)
		}
		if got := f.Tables(); len(got) != 1 || !got[0].VMACs || got[0].IPv6 {
			t.Errorf("tables %+v", got)
		}
		next := vmacs(2)
		next.Instances[1].Link = nil
		d.reloadNow(next)
		turnUntil(t, d, "the reload", calm(d))
		if got := f.Entries(); !slices.Equal(got, []string{"ip reports of vrrp.1"}) {
			t.Errorf("after a reload: entries %q", got)
		}
		d.stop()
		turnUntil(t, d, "the end", func() bool { return d.addrs.idle() && d.settings.idle() })
		if left := append(f.Entries(), families(f)...); len(left) != 0 || unguarded != 0 {
			t.Errorf("left behind: %q; %d changes while a macvlan was up", left, unguarded)
		}
	})
}
