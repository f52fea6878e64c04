package track

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/tool/lab"
)

func TestBeats(t *testing.T) {
	lab.Need(t, lab.Root)
	log := logtest.Capture(t)
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	must(t, unix.Unshare(unix.CLONE_NEWNET))
	ip := func(args string) string {
		t.Helper()
		out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
		if err != nil {
			t.Fatalf("ip %s: %v\n%s", args, err, out)
		}
		return string(out)
	}
	ip("link add v0 type veth peer name v1")
	ip("link set v0 up")
	ip("link set v1 up")
	// The kernel reports a change by IFF_RUNNING with a delay.
	for n := 0; !strings.Contains(ip("link show v1"), "state UP"); n++ {
		if n == 1000 {
			t.Fatal("v1 does not come up")
		}
		time.Sleep(10 * time.Millisecond)
	}

	b := newBeats(nil)
	c := &conf.Config{Interfaces: []conf.InterfaceSettings{
		{Name: "v0", LinkBeat: conf.LinkBeatAuto},
		{Name: "v1", LinkBeat: conf.LinkBeatIoctl},
		{Name: "w0", LinkBeat: conf.LinkBeatMII},
		{Name: "lo"}, // not polled
		{Name: "name-longer-than-any", LinkBeat: conf.LinkBeatAuto},
	}}
	status := make(map[string]policy.Status)
	expect := func(when string, updates []Update, want map[string]bool, details map[string]string) {
		t.Helper()
		missing := ""
		for range 1000 {
			for _, u := range updates {
				status[u.Name] = u.Status
				if _, ok := want[u.Name]; !ok {
					t.Errorf("%s: reported %+v", when, u)
				}
			}
			missing = ""
			for name, up := range want {
				if s := status[name]; !s.Known || s.Up != up || !strings.Contains(s.Cause.Detail, details[name]) {
					missing = fmt.Sprintf("%s is %+v, want up %v, %s", name, s, up, details[name])
				}
			}
			if missing == "" {
				return
			}
			time.Sleep(10 * time.Millisecond)
			updates = b.poll()
		}
		t.Fatalf("%s: %s", when, missing)
	}
	expect("at first", b.configure(c),
		map[string]bool{"v0": true, "v1": true, "w0": false, "name-longer-than-any": false},
		map[string]string{"v0": "carrier by ETHTOOL", "v1": "carrier by IOCTL", "w0": "no such device"})
	defer func() { must(t, os.NewFile(uintptr(b.fd), "").Close()) }()
	ip("link set v1 down")
	expect("one end is down", b.poll(),
		map[string]bool{"v0": false, "v1": false},
		map[string]string{"v0": "no carrier by ETHTOOL", "v1": "no carrier by IOCTL"})
	ip("link add w0 type veth peer name w1")
	ip("link set w0 up")
	ip("link set w1 up")
	expect("an interface appeared", b.poll(), map[string]bool{"w0": true}, map[string]string{"w0": "carrier by ETHTOOL"})
	equalLines(t, slices.Sorted(slices.Values(log.Take())), []string{
		"Linkbeat reports v0 down",
		"Linkbeat reports v1 down",
		"Linkbeat reports w0 up",
		"linkbeat: w0 does not support MII, using ETHTOOL",
	})
	ip("link del w0")
	expect("it went", b.poll(), map[string]bool{"w0": false}, map[string]string{"w0": "no such device"})
	expect("nothing happened", b.poll(), nil, nil)
	if u := b.configure(new(conf.Config)); len(u) != 0 || len(b.all) != 0 {
		t.Errorf("nothing is polled, but %+v", u)
	}
}
