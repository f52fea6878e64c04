package vrrpd

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"keepalived-go/conf"
	"keepalived-go/internal/engine"
	"keepalived-go/vrrp"
)

func journalRouters() []*router {
	web := &conf.VRRPInstance{GARP: &conf.GARP{}, Name: "web", Interface: "eth0", Family: conf.IPv4, Version: 2, VRID: 51, Priority: 100,
		AdvertInterval: time.Second,
		Addresses:      []conf.Address{{Prefix: netip.MustParsePrefix("192.0.2.10/24")}},
		Excluded:       []conf.Address{{Prefix: netip.MustParsePrefix("192.0.2.11/32"), Interface: "eth1"}}}
	six := &conf.VRRPInstance{GARP: &conf.GARP{}, Name: "six", Interface: "eth0", Family: conf.IPv6, Version: 3, VRID: 51, Priority: 100,
		AdvertInterval: time.Second,
		Addresses:      []conf.Address{{Prefix: netip.MustParsePrefix("2001:db8::10/64")}}}
	var out []*router
	for _, c := range []*conf.VRRPInstance{web, six} {
		out = append(out, &router{engine: vrrp.New(engine.Config(c)), conf: c, heapIndex: -1})
	}
	return out
}

func TestJournalTellsSuccessor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	routers := journalRouters()
	j, err := createJournal(path, routers)
	if err != nil {
		t.Fatal(err)
	}
	want := vrrp.Snapshot{State: vrrp.Master, Priority: 100, LastAdvert: 5 * time.Second,
		AdvertDeadline: 6 * time.Second, MasterInterval: time.Second, IPID: 77, AHSequence: 1 << 31, HMACSequence: 1 << 63}
	routers[0].record.write(0, want)
	j.close() // as a killed process leaves it

	snaps, addrs, err := readJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := snaps[identity(routers[0].conf)]; got == nil || *got != want {
		t.Errorf("the successor of web reads %+v, want %+v", got, want)
	}
	if got := snaps[identity(routers[1].conf)]; got == nil || got.State != vrrp.Init {
		t.Errorf("the successor of six reads %+v, want state INIT", got)
	}
	wantAddrs := []journalAddr{
		{"eth0", netip.MustParsePrefix("192.0.2.10/24"), false},
		{"eth1", netip.MustParsePrefix("192.0.2.11/32"), false},
		{"eth0", netip.MustParsePrefix("2001:db8::10/64"), false},
	}
	if diff := cmp.Diff(wantAddrs, addrs, cmp.AllowUnexported(journalAddr{}), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("state file: %v, %v; want mode 0600", st, err)
	}
}

func TestJournalOfCleanStopIsGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	j, err := createJournal(path, journalRouters())
	if err != nil {
		t.Fatal(err)
	}
	j.remove()
	snaps, addrs, err := readJournal(path)
	if len(snaps) != 0 || len(addrs) != 0 || err != nil {
		t.Errorf("after a clean stop: %v, %v, %v; want nothing", snaps, addrs, err)
	}
}

func TestJournalRefusesWhatOthersCouldWrite(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	j, err := createJournal(real, journalRouters())
	if err != nil {
		t.Fatal(err)
	}
	j.close()
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readJournal(link); err == nil {
		t.Error("a symbolic link was followed")
	}
	if err := os.Chmod(real, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readJournal(real); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a file that everybody can write: %v, want an error with the remedy", err)
	}
}

func TestJournalOfAnotherBootSaysNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	j, err := createJournal(path, journalRouters())
	if err != nil {
		t.Fatal(err)
	}
	j.close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	snaps, addrs, err := parseJournal(b, []byte("another boot"))
	if len(snaps) != 0 || len(addrs) != 0 || err != nil {
		t.Errorf("of another boot: %v, %v, %v; want nothing", snaps, addrs, err)
	}
}

// No bytes in the state file can do more than be refused.
func FuzzParseJournal(f *testing.F) {
	path := filepath.Join(f.TempDir(), "state")
	j, err := createJournal(path, journalRouters())
	if err != nil {
		f.Fatal(err)
	}
	j.close()
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:headerSize+3])
	f.Add([]byte(journalMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		snaps, addrs, err := parseJournal(b, bootID())
		if err != nil && (snaps != nil || addrs != nil) {
			t.Errorf("refused (%v) and used: %v, %v", err, snaps, addrs)
		}
	})
}
