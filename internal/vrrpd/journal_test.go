package vrrpd

import (
	"errors"
	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/proc/statefile"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/firewall"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/tool/lab"
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
		out = append(out, &router{engine: vrrp.New(policy.EngineConfig(c)), conf: c})
	}
	return out
}

func TestSuccessorReadsJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	routers := journalRouters()
	j := newJournal(path)
	j.replace(routers, nil, nil, &predecessor{})
	want := vrrp.Snapshot{State: vrrp.Master, Priority: 100, LastAdvert: 5 * time.Second,
		AdvertDeadline: 6 * time.Second, MasterInterval: time.Second, IPID: 77, AHSequence: 1 << 31, HMACSequence: 1 << 63}
	routers[0].record.write(want)
	j.close() // leaves the file as a killed process does

	before, err := readJournal(path)
	snaps, addrs := before.engines, before.addrs
	if err != nil {
		t.Fatal(err)
	}
	if got := snaps[policy.Identity(routers[0].conf)]; got == nil || *got != want {
		t.Errorf("the successor of web reads %+v, want %+v", got, want)
	}
	if got := snaps[policy.Identity(routers[1].conf)]; got == nil || got.State != vrrp.Init {
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
	j := newJournal(path)
	j.replace(journalRouters(), nil, nil, &predecessor{})
	j.remove()
	before, err := readJournal(path)
	snaps, addrs := before.engines, before.addrs
	if len(snaps) != 0 || len(addrs) != 0 || err != nil {
		t.Errorf("after a clean stop: %v, %v, %v; want nothing", snaps, addrs, err)
	}
}

func TestJournalRefusesWhatOthersCouldWrite(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	j := newJournal(real)
	j.replace(journalRouters(), nil, nil, &predecessor{})
	j.close()
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if _, err := readJournal(link); err == nil {
		t.Error("a symbolic link was followed")
	}
	if err := os.Chmod(real, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := readJournal(real); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a file that everybody can write: %v, want an error with the remedy", err)
	}
}

func TestJournalOfAnotherBootIsIgnored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	j := newJournal(path)
	j.replace(journalRouters(), nil, nil, &predecessor{})
	j.close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, err := parseJournal(b, "another boot")
	snaps, addrs := before.engines, before.addrs
	if len(snaps) != 0 || len(addrs) != 0 || err != nil {
		t.Errorf("of another boot: %v, %v, %v; want nothing", snaps, addrs, err)
	}
}

// FuzzParseJournal checks that any state file is either refused or read, without a panic.
func FuzzParseJournal(f *testing.F) {
	path := filepath.Join(f.TempDir(), "state")
	j := newJournal(path)
	j.replace(journalRouters(), nil, []firewall.Table{{IPv6: true, Settings: firewall.Settings{Name: "x", Priority: -1}}}, &predecessor{})
	j.close()
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:headerSize+3])
	f.Add([]byte(journalMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		before, err := parseJournal(b, statefile.BootID())
		snaps, addrs := before.engines, before.addrs
		if err != nil && (snaps != nil || addrs != nil) {
			t.Errorf("refused (%v) and used: %v, %v", err, snaps, addrs)
		}
	})
}

// tmpfs mounts a file system of one mebibyte.
func tmpfs(t *testing.T) string {
	t.Helper()
	lab.Need(t, lab.Root)
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// fill fills the file system of a directory.
func fill(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{64 << 10, 4 << 10, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
}

// TestJournalInHostileDirectory checks that notes continue whatever happens to the run
// directory, that a loss is logged, at most twice, and that the file is written again
// once that is possible.
func TestJournalInHostileDirectory(t *testing.T) {
	const lost = "peers will notice"
	for _, tt := range []struct {
		name   string
		before func(t *testing.T, dir, path string) // before the first writing
		after  func(t *testing.T, dir, path string)
		logs   string
		whole  bool // the successor reads the last note
	}{
		{name: "full from the start", before: func(t *testing.T, dir, _ string) { fill(t, dir) }, logs: lost},
		{name: "full later", after: func(t *testing.T, dir, _ string) { fill(t, dir) }, whole: true},
		{name: "read-only", before: func(t *testing.T, dir, _ string) {
			if err := unix.Mount("none", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
		}, logs: lost},
		{name: "gone", before: func(t *testing.T, dir, _ string) {
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				t.Fatal(err)
			}
			os.Remove(dir)
		}, logs: lost},
		{name: "a directory", before: func(t *testing.T, _, path string) { os.MkdirAll(path+"/x", 0o755) }, logs: lost},
		{name: "a FIFO", before: func(t *testing.T, _, path string) { unix.Mkfifo(path, 0o600) }, whole: true},
		{name: "a link", before: func(t *testing.T, dir, path string) {
			os.WriteFile(dir+"/victim", []byte("precious"), 0o600)
			os.Symlink(dir+"/victim", path)
			os.Symlink(dir+"/victim", path+".new")
		}, after: func(t *testing.T, dir, _ string) {
			if b, err := os.ReadFile(dir + "/victim"); string(b) != "precious" {
				t.Errorf("a link was followed: %q, %v", b, err)
			}
		}, whole: true},
		{name: "truncated by others", after: func(t *testing.T, _, path string) { os.Truncate(path, 0) }, whole: true},
		{name: "removed by others", after: func(t *testing.T, _, path string) { os.Remove(path) }, whole: true},
		{name: "replaced by others", after: func(t *testing.T, _, path string) {
			os.Remove(path)
			unix.Mkfifo(path, 0o600)
		}, whole: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := tmpfs(t)
			path := filepath.Join(dir, "state")
			log := logtest.Capture(t)
			if tt.before != nil {
				tt.before(t, dir, path)
			}
			readJournal(path) // neither hangs nor panics
			routers := journalRouters()
			j := newJournal(path)
			j.replace(routers, nil, nil, &predecessor{})
			j.await()
			if tt.after != nil {
				tt.after(t, dir, path)
			}
			want := vrrp.Snapshot{State: vrrp.Master, Priority: 100, AHSequence: 7}
			for range 3 {
				routers[0].record.write(want)
				j.kick()
			}
			j.close()
			if n := log.Count(lost); (n > 0) != (tt.logs != "") || n > 2 {
				t.Errorf("the loss is logged %d times:\n%s", n, log.String())
			}
			left, err := readJournal(path)
			if got := left.engines[policy.Identity(routers[0].conf)]; tt.whole && (err != nil || got == nil || *got != want) {
				t.Errorf("the successor reads %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

// TestJournalNeverWaitsForWriter checks that the loop continues while writing to the
// directory hangs.
func TestJournalNeverWaitsForWriter(t *testing.T) {
	routers := journalRouters()
	j := &journal{wake: make(chan struct{}, 1)} // without a goroutine that writes
	j.replace(routers, nil, nil, &predecessor{})
	if n := testing.AllocsPerRun(1000, func() {
		for _, r := range routers {
			r.note()
		}
		j.kick()
	}); n != 0 {
		t.Errorf("noting allocates %v times", n)
	}
}

// BenchmarkNote measures what an advert costs the loop for the state file.
func BenchmarkNote(b *testing.B) {
	routers := journalRouters()
	j := newJournal(filepath.Join(b.TempDir(), "state"))
	j.replace(routers, nil, nil, &predecessor{})
	defer j.close()
	b.ReportAllocs()
	for b.Loop() {
		routers[0].note()
		j.kick()
	}
}
