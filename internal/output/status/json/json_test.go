package json

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/statustest"
	"keepalived-go/vrrp"
)

var update = flag.Bool("update", false, "record the dumps")

// TestVRRP checks both layouts of the dump, byte for byte except for the line ends in the
// golden files, which -update records.
func TestVRRP(t *testing.T) {
	c := statustest.Load(t)
	s := statustest.VRRP(t, c)
	for version := 1; version <= 2; version++ {
		c.Global.JSONVersion = version
		compare(t, fmt.Sprintf("version%d", version), VRRP(s))
	}
}

// TestLVS checks the dump of virtual servers in the same way.
func TestLVS(t *testing.T) {
	compare(t, "check", LVS(statustest.LVS(t, statustest.LoadLVS(t))))
	compare(t, "check-configuration", LVS(status.Configured(statustest.LoadLVS(t))))
}

// TestEachWordIsShown checks that each value of an enumeration of the language and of the
// engines is different in the dump.
func TestEachWordIsShown(t *testing.T) {
	s := statustest.VRRP(t, statustest.Load(t))
	s.Conf.Global.JSONVersion = 2
	for _, in := range s.Conf.Instances {
		in.Track = nil // the C daemon's lists have no files; "why" has trackers of each kind
	}
	servers := statustest.LVS(t, statustest.LoadLVS(t))
	statustest.Words(t, map[string]statustest.View{
		"vrrp":  {Conf: s.Conf, Dump: func() []byte { return VRRP(s) }},
		"check": {Conf: servers.Conf, Dump: func() []byte { return LVS(servers) }},
	}, reflect.TypeFor[conf.AuthType](), reflect.TypeFor[conf.ParamMatch](), reflect.TypeFor[conf.CheckKind]())

	i := slices.IndexFunc(s.Instances, func(i status.Instance) bool { return len(i.History) > 0 && len(i.Trackers) > 0 })
	if i < 0 {
		t.Fatal("no instance has a history and trackers")
	}
	in := &s.Instances[i]
	differ := func(kind string, words int, set func(n int)) {
		dumps := map[string]bool{}
		for n := range words {
			set(n)
			dumps[string(VRRP(s))] = true
		}
		if words < 2 || len(dumps) != words {
			t.Errorf("%d dumps for the %d values of a %s", len(dumps), words, kind)
		}
	}
	// The first number without a name follows the last value.
	reasons := 0
	for vrrp.Reason(reasons).String() != strconv.Itoa(reasons) {
		reasons++
	}
	last := &in.History[len(in.History)-1]
	differ("reason", reasons, func(n int) { last.Reason = vrrp.Reason(n) })
	differ("state", int(vrrp.Stopped)+1, func(n int) { in.State = vrrp.State(n) })
	kinds := conf.Names(reflect.TypeFor[conf.TrackKind]())
	differ("tracker", len(kinds), func(n int) { in.Trackers[0].Kind = conf.TrackKind(n) })
}

func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	if !json.Valid(got) {
		t.Fatalf("%s is no JSON:\n%s", name, got)
	}
	if bytes.Contains(got, []byte("secret")) {
		t.Errorf("%s shows a password", name)
	}
	// One line for each value keeps differences short.
	statustest.Golden(t, *update, "testdata/"+name+".golden", string(bytes.ReplaceAll(got, []byte(`,"`), []byte(",\n\"")))+"\n")
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
