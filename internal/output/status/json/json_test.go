package json

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/statustest"
)

var update = flag.Bool("update", false, "record the dumps")

// TestVRRP: both layouts of the dump, byte for byte but for the line ends that the
// golden files have; -update records them.
func TestVRRP(t *testing.T) {
	c := statustest.Load(t)
	s := statustest.VRRP(t, c)
	for version := 1; version <= 2; version++ {
		c.Global.JSONVersion = version
		compare(t, fmt.Sprintf("version%d", version), VRRP(s))
	}
}

// TestLVS: the dump of virtual servers, likewise.
func TestLVS(t *testing.T) {
	compare(t, "check", LVS(statustest.LVS(t, statustest.LoadLVS(t))))
	compare(t, "check-configuration", LVS(status.Configured(statustest.LoadLVS(t))))
}

func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	if !json.Valid(got) {
		t.Fatalf("%s is no JSON:\n%s", name, got)
	}
	if bytes.Contains(got, []byte("secret")) {
		t.Errorf("%s shows a password", name)
	}
	golden := "testdata/" + name + ".golden"
	lines := string(bytes.ReplaceAll(got, []byte(`,"`), []byte(",\n\""))) + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(lines), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), lines); diff != "" {
		t.Errorf("%s (-want +got):\n%s", golden, diff)
	}
}

func TestNothing(t *testing.T) {
	c := statustest.Load(t)
	for version, want := range map[int]string{1: `[]`, 2: `{"vrrp":[],"track_process":[],"loop":{"turns":0,"longest_turn":0,"stalls":0,"latest_timer":0}}`} {
		c.Global.JSONVersion = version
		if got := string(VRRP(&status.VRRP{Conf: c})); got != want {
			t.Errorf("version %d: %s, want %s", version, got, want)
		}
	}
}
