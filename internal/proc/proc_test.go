package proc

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
)

func TestOnlyAKnownRoleIsRun(t *testing.T) {
	if _, ok := RunChild(nil); ok {
		t.Error("a process that was not started as a child has a role")
	}
	t.Setenv(envChild, "stranger")
	if code, ok := RunChild([]*Role{{Name: "vrrp"}}); !ok || code != ExitFatal {
		t.Errorf("exit code %d, %v; want %d", code, ok, ExitFatal)
	}
	if _, set := os.LookupEnv(envChild); set {
		t.Error("programs would inherit the role")
	}
}

// TestProcessName checks that a process has the name that its own keyword gives it,
// otherwise that of process_names.
func TestProcessName(t *testing.T) {
	r := Role{Suffix: "_vrrp", Of: func(c *conf.Config) Share { return Share{Units: len(c.Instances), Config: c} },
		Named: func(g *conf.Global) string { return g.VRRPProcessName }}
	for _, test := range []struct {
		global conf.Global
		want   string
	}{
		{conf.Global{}, "keepalived"},
		{conf.Global{ProcessNames: true}, "keepalived_vrrp"},
		{conf.Global{VRRPProcessName: "mine"}, "mine"},
		{conf.Global{ProcessNames: true, VRRPProcessName: "mine"}, "mine"},
		{conf.Global{CheckerProcessName: "other"}, "keepalived"},
	} {
		c := &conf.Config{Global: test.global, Instances: make([]*conf.VRRPInstance, 2)}
		if s := r.Share(c); s.ProcessName != test.want || s.Units != 2 || s.Config != c {
			t.Errorf("%+v: name %q of %d units, want %q", test.global, s.ProcessName, s.Units, test.want)
		}
	}
}

func TestMissing(t *testing.T) {
	needed := []Capability{{Bit: unix.CAP_NET_ADMIN, Name: "CAP_NET_ADMIN"}, {Bit: unix.CAP_NET_RAW, Name: "CAP_NET_RAW"},
		{Bit: unix.CAP_PERFMON, Name: "CAP_PERFMON"}} // beyond the first 32
	runtime.LockOSThread() // the capabilities of the thread end with it
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		t.Fatal(err)
	}
	all := data
	for _, drop := range []string{"", "CAP_NET_RAW", "CAP_PERFMON", "CAP_NET_ADMIN CAP_NET_RAW"} {
		data = all
		var want []string
		for _, c := range needed {
			if strings.Contains(drop, c.Name) {
				data[c.Bit/32].Effective &^= 1 << (c.Bit % 32)
			}
			if data[c.Bit/32].Effective&(1<<(c.Bit%32)) == 0 {
				want = append(want, c.Name)
			}
		}
		if err := unix.Capset(&head, &data[0]); err != nil {
			t.Fatal(err)
		}
		missing, err := Missing(needed)
		if got := Names(missing); err != nil || got != strings.Join(want, " ") {
			t.Errorf("without %q: %q, %v; want %q", drop, got, err, want)
		}
	}
}

// TestReadCrash checks that the kept part of a crash trace is bounded, and that the
// writer is never blocked.
func TestReadCrash(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for range 64 {
			w.Write(make([]byte, maxTrace/8))
		}
		w.Close()
	}()
	if got := len(ReadCrash(r)); got != maxTrace {
		t.Errorf("%d bytes kept, want %d", got, maxTrace)
	}
}
