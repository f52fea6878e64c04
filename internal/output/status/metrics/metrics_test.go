package metrics

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/api/apitest"
	"keepalived-go/internal/output/status/statustest"
	"keepalived-go/vrrp"
)

var update = flag.Bool("update", false, "record the metrics")

func text(t *testing.T, s *api.Status) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestMetrics checks all metrics of a daemon, which -update records.
func TestMetrics(t *testing.T) {
	got := text(t, apitest.Daemon(t))
	statustest.Golden(t, *update, "testdata/metrics.txt", got)
	families := read(t, got)
	for _, f := range Families() {
		if !slices.Contains(families, f.Name) {
			t.Errorf("the daemon of this test has no %s", f.Name)
		}
	}
}

// TestMetricsPassPromtool checks that Prometheus itself finds nothing wrong with the
// metrics.
func TestMetricsPassPromtool(t *testing.T) {
	promtool(t, strings.NewReader(text(t, apitest.Daemon(t))), "check", "metrics")
}

// TestStale checks that a process that does not answer has only the metric for that.
func TestStale(t *testing.T) {
	s := apitest.Daemon(t)
	s.VRRP.Stale, s.LVS.Stale, s.BFD.Stale = "it does not run", "it does not run", "it does not run"
	got := text(t, s)
	for line := range strings.Lines(got) {
		if name, _, _ := strings.Cut(line, "{"); strings.Contains(line, "{") && !strings.HasPrefix(name, "keepalived_process_") && name != "keepalived_build_info" {
			t.Errorf("a series of a process that does not answer: %s", line)
		}
	}
	for _, line := range []string{"keepalived_up 0\n", `keepalived_process_stale{process="vrrp"} 1`, `keepalived_process_stale{process="bfd"} 1`} {
		if !strings.Contains(got, line) {
			t.Errorf("without the line %q", line)
		}
	}
	for _, c := range []struct {
		up      string
		process api.Process
		vrrp    *api.VRRP
	}{
		{"1", api.Process{Wanted: true, PID: 8, Serves: true}, &api.VRRP{}},
		{"1", api.Process{}, nil},
		{"0", api.Process{Wanted: true}, &api.VRRP{}},
		{"0", api.Process{Wanted: true, PID: 8}, &api.VRRP{}},
		{"0", api.Process{Wanted: true, PID: 8, Serves: true}, nil},
		{"0", api.Process{Wanted: true, PID: 8, Serves: true}, &api.VRRP{Snapshot: api.Snapshot{Stale: "it hangs"}}},
	} {
		c.process.Name = "vrrp"
		if got := text(t, &api.Status{Processes: []api.Process{c.process}, VRRP: c.vrrp}); !strings.Contains(got, "keepalived_up "+c.up+"\n") {
			t.Errorf("%+v is not up=%s:\n%s", c, c.up, got)
		}
	}
}

// TestForeignText checks that no text of the model can break a line, and that no series
// occurs twice.
func TestForeignText(t *testing.T) {
	s := &api.Status{LVS: &api.LVS{Running: true, Services: []api.VirtualServer{
		{Name: "a\\b\"c\nd\xff\u00e9"}, {Name: "a\\b\"c\nd\xff\u00e9"},
	}}}
	got := text(t, s)
	read(t, got)
	const want = `keepalived_virtual_server_up{virtual_server="a\\b\"c\nd` + "\ufffd\u00e9" + `"} 0` + "\n"
	if strings.Count(got, want) != 1 {
		t.Errorf("without one line %q\n%s", want, got)
	}
}

// failing is a writer that accepts n bytes.
type failing struct{ n int }

var errFull = errors.New("full")

func (f *failing) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriteError(t *testing.T) {
	if err := Write(&failing{n: 100}, apitest.Daemon(t)); !errors.Is(err, errFull) {
		t.Errorf("Write: %v", err)
	}
}

var (
	nameRule  = regexp.MustCompile(`^keepalived_[a-z0-9_]+$`)
	lineRule  = regexp.MustCompile(`^([a-z0-9_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+)\})? ([-+0-9.e]+)$`)
	labelRule = regexp.MustCompile(`([a-z_]+)="`)
)

// read reads metrics by the rules of the format and of good names, and returns the
// families.
func read(t *testing.T, text string) (families []string) {
	t.Helper()
	if !strings.HasSuffix(text, "\n") {
		t.Error("the last line has no end")
	}
	var help, kind string
	seen := map[string]bool{}
	for n, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		fail := func(what string) { t.Helper(); t.Errorf("line %d: %s: %s", n+1, what, line) }
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			var words string
			help, words, _ = strings.Cut(rest, " ")
			if kind = ""; slices.Contains(families, help) || !nameRule.MatchString(help) || !strings.HasSuffix(words, ".") || strings.Contains(words, "\\") {
				fail("a family that was there, or a bad name or help")
			}
			families = append(families, help)
			continue
		}
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			var name string
			name, kind, _ = strings.Cut(rest, " ")
			total := strings.HasSuffix(name, "_total")
			if name != help || !slices.Contains([]string{"counter", "gauge", "untyped"}, kind) || (kind == "counter") != total {
				fail("a type without its help, or not that of the name")
			}
			continue
		}
		m := lineRule.FindStringSubmatch(line)
		if m == nil || m[1] != help || kind == "" {
			fail("no sample of the family")
			continue
		}
		series := m[1] + "{" + m[2] + "}"
		if _, err := strconv.ParseFloat(m[3], 64); err != nil || seen[series] {
			fail("a bad value, or a series that was there")
		}
		seen[series] = true
		var labels []string
		for _, l := range labelRule.FindAllStringSubmatch(m[2], -1) {
			if slices.Contains(labels, l[1]) {
				fail("a label twice")
			}
			labels = append(labels, l[1])
		}
	}
	return families
}

// TestExporters checks the metrics of the exporters, with their labels.
func TestExporters(t *testing.T) {
	want := map[string]string{
		"keepalived_up": "gauge", "keepalived_vrrp_state": "gauge iname intf vrid ip_address", "keepalived_vrrp_excluded_state": "gauge iname intf vrid ip_address",
		"keepalived_script_status": "gauge name", "keepalived_script_state": "gauge name",
	}
	for _, name := range strings.Fields(`advertisements_received advertisements_sent become_master release_master packet_length_errors
		advertisements_interval_errors ip_ttl_errors invalid_type_received address_list_errors authentication_invalid authentication_mismatch
		authentication_failure priority_zero_received priority_zero_sent`) {
		want["keepalived_"+name+"_total"] = "counter iname intf vrid"
	}
	for _, name := range strings.Fields(`advert_rcvd advert_sent become_master release_master packet_len_err advert_interval_err ip_ttl_err
		invalid_type_rcvd addr_list_err invalid_authtype authtype_mismatch auth_failure pri_zero_rcvd pri_zero_sent`) {
		want["keepalived_vrrp_"+name] = "untyped name intf vrid state"
	}
	for _, f := range Families() {
		if w, ok := want[f.Name]; ok {
			if got := strings.Join(append([]string{f.Type}, f.Labels...), " "); got != w {
				t.Errorf("%s is %s, want %s", f.Name, got, w)
			}
			delete(want, f.Name)
		}
	}
	for name := range want {
		t.Errorf("without %s", name)
	}
	stats := map[string]bool{}
	for name := range new(vrrp.Stats).All() {
		stats[name] = true
	}
	for _, c := range counters {
		if !stats[c.name] {
			t.Errorf("the engine does not count %s", c.name)
		}
	}
}

// BenchmarkWrite writes the metrics of many virtual routers and checks.
func BenchmarkWrite(b *testing.B) {
	s := &api.Status{VRRP: &api.VRRP{Running: true}, LVS: &api.LVS{Running: true}}
	for i := range 4000 {
		s.VRRP.Instances = append(s.VRRP.Instances, api.Instance{Name: fmt.Sprint("VI_", i), Interface: "eth0", VRID: uint8(i), State: "MASTER", Addresses: make([]api.Address, 1)})
	}
	for i := range 10000 {
		s.LVS.Services = append(s.LVS.Services, api.VirtualServer{Name: fmt.Sprint("vs", i), Servers: []api.RealServer{{Name: "rs", Checks: make([]api.Check, 1)}}})
	}
	for b.Loop() {
		if err := Write(io.Discard, s); err != nil {
			b.Fatal(err)
		}
	}
}
