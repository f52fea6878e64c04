package dump

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/logging/logtest"
)

// TestFiles checks which files each process writes, with and without keywords in the
// configuration.
func TestFiles(t *testing.T) {
	plain, instance := conf.Global{}, conf.Global{DataUseInst: true}
	named := conf.Global{
		DataUseInst: true, StateDumpFile: "/run/x/state.txt", StatsDumpFile: "/run/x/stats", JSONDumpFile: "/run/x.d/out.json",
		ConfigSaveDir: "/var/saved",
	}
	saved := func(process, when string) string {
		return fmt.Sprintf("/var/saved/keepalived_%s.%d.3.%s", process, os.Getpid(), when)
	}
	for _, tt := range []struct {
		process           string
		g                 *conf.Global
		data, stats, json string
		pre               string
	}{
		{"", &plain, "/tmp/keepalived.data", "/tmp/keepalived.stats", "/tmp/keepalived.json", ""},
		{"_check", &plain, "/tmp/keepalived_check.data", "/tmp/keepalived_check.stats", "/tmp/keepalived_check.json", ""},
		{"", &instance, "/tmp/keepalived.ns_one.data", "/tmp/keepalived.stats", "/tmp/keepalived.json", ""},
		{"_check", &instance, "/tmp/keepalived_check.ns_one.data", "/tmp/keepalived_check.stats", "/tmp/keepalived_check.json", ""},
		{"_parent", &instance, "/tmp/keepalived_parent.ns_one.data", "/tmp/keepalived_parent.stats", "/tmp/keepalived_parent.json", ""},
		{"", &named, "/run/x/state.txt", "/run/x/stats", "/run/x.d/out.json", saved("vrrp", "pre")},
		{"_check", &named, "/run/x/state_check.txt", "/run/x/stats_check", "/run/x.d/out_check.json", saved("check", "pre")},
	} {
		f := Files{Process: tt.process, Dir: "/tmp", Namespace: "ns", Instance: "one"}
		for what, got := range map[string][2]string{
			"data": {f.Data(tt.g), tt.data}, "stats": {f.Stats(tt.g), tt.stats}, "json": {f.JSON(tt.g), tt.json},
			"saved": {f.Reload(tt.g, 3, "pre"), tt.pre},
		} {
			if got[0] != got[1] {
				t.Errorf("%s of process %q: %s, want %s", what, tt.process, got[0], got[1])
			}
		}
	}
}

// TestSave checks that the view is made and written in another goroutine, and that a
// failure is logged.
func TestSave(t *testing.T) {
	log := logtest.Capture(t)
	path := filepath.Join(t.TempDir(), "dump")
	free := make(chan struct{})
	Save(path, Text(func() []byte {
		<-free
		return []byte("text")
	}))
	close(free) // Save has returned before the view was made
	await := func(what string, f func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("not within 30 s: " + what)
			}
		}
	}
	await("the file", func() bool {
		b, err := os.ReadFile(path)
		return err == nil && string(b) == "text"
	})
	missing := filepath.Join(t.TempDir(), "none", "dump")
	Save(missing, Text(func() []byte { return nil }))
	await("the error", func() bool { return strings.Contains(log.String(), "write "+missing+": ") })
	Save(path, func(w *bufio.Writer) error {
		w.WriteString("half")
		w.Flush()
		panic("a fault in the view")
	})
	await("the fault", func() bool { return strings.Contains(log.String(), path+" is not written: ") })
	if b, err := os.ReadFile(path); string(b) != "text" || err != nil {
		t.Errorf("the file has %q, %v", b, err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); len(left) != 1 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
