package checkd

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/checkd/table"
	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/proc/link"
	"keepalived-go/lvs/ipvs/ipvstest"
)

// quiet returns a configuration of services whose checks have long intervals.
func quiet(services, servers int, more string) string {
	var b strings.Builder
	for i := range services {
		fmt.Fprintf(&b, "virtual_server 10.0.%d.%d 80 {\n    protocol TCP\n    warmup 3600\n    %s\n", i/250, i%250+1, more)
		for j := range servers {
			fmt.Fprintf(&b, "    real_server 10.1.%d.%d 80 {\n        weight %d\n        TCP_CHECK {\n        }\n        PING_CHECK {\n        }\n    }\n", j/250, j%250+1, j+1)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// taken takes a snapshot. It calls during while the snapshot is filled in.
func (p *process) taken(during func()) (s *status.LVS) {
	p.t.Helper()
	p.snapshot(func(out *status.LVS) { s = out })
	if during != nil {
		during()
	}
	p.until("the snapshot", func() bool { return s != nil })
	return s
}

// TestSnapshotInSlices checks that a snapshot is filled in many turns, each with only
// some services and checks, and that it has the state of the engine and the checks.
func TestSnapshotInSlices(t *testing.T) {
	logtest.Capture(t)
	p := start(t, quiet(8, 120, "quorum 100000"), nil)
	f := &filling{daemon: p.daemon, conf: p.daemon.conf, out: p.configured(p.daemon.conf)}
	f.list()
	const all = 8 * 120 * 2
	if len(f.checks) != all || len(p.checks) != all {
		t.Fatalf("%d checks of %d", len(f.checks), len(p.checks))
	}
	filled := func() (servers, checks int) {
		for i := range f.out.Services {
			for j := range f.out.Services[i].Servers {
				r := &f.out.Services[i].Servers[j]
				servers += min(r.Weight, 1)
				for k := range r.Checks {
					if r.Checks[k].Active {
						checks++
					}
				}
			}
		}
		return servers, checks
	}
	for _, step := range f.steps() {
		servers, checks := filled()
		step()
		s, c := filled()
		if s-servers >= 2*serversSlice || c-checks > checksSlice || s > servers && c > checks {
			t.Errorf("one step fills in %d servers and %d checks", s-servers, c-checks)
		}
	}
	if servers, checks := filled(); servers != all/2 || checks != all {
		t.Errorf("%d servers and %d checks are filled in", servers, checks)
	}

	s := p.taken(nil)
	if !s.Running || s.Conf != p.daemon.conf || len(s.Services) != 8 {
		t.Fatalf("running %t, %d services", s.Running, len(s.Services))
	}
	sum := int64(120 * 121 / 2)
	for i := range s.Services {
		v := &s.Services[i]
		if !v.Up || v.Quorum != sum || v.Sum != sum || v.Alive != 120 || v.Suspended || v.Since.IsZero() {
			t.Fatalf("%v: %+v", v.Conf, *v)
		}
		for j := range v.Servers {
			r := &v.Servers[j]
			if !r.Up || !r.InPool || r.Weight != j+1 || r.Failed != 0 || r.Since.IsZero() || len(r.Checks) != 2 {
				t.Fatalf("%s: %+v", v.Name(r), *r)
			}
			for k := range r.Checks {
				c := &r.Checks[k]
				if !c.Active || !c.Up || c.Known || c.Running || c.Attempts != 0 || !c.Last.At.IsZero() ||
					c.Next.Before(s.At) || c.Next.After(s.At.Add(2*time.Hour)) {
					t.Fatalf("%v of %s: %+v", c.Conf.Kind, v.Name(r), *c)
				}
			}
		}
	}
}

// TestSnapshotOfOneConfiguration checks that a configuration that arrives while a
// snapshot is filled restarts it: a snapshot never mixes two configurations.
func TestSnapshotOfOneConfiguration(t *testing.T) {
	logtest.Capture(t)
	p := start(t, quiet(8, 120, ""), nil)
	next := newPlan(read(t, quiet(3, 2, "")), nil)
	s := p.taken(func() { p.reload(next, nil) }) // before the snapshot is complete
	if s.Conf != p.daemon.conf || len(s.Services) != 3 || len(s.Services[2].Servers) != 2 {
		t.Fatalf("of another configuration: %d services", len(s.Services))
	}
	if r := &s.Services[2].Servers[1]; !r.Up || r.Weight != 2 || !r.Checks[1].Active {
		t.Errorf("%+v", *r)
	}
}

// TestSnapshotOfFailures checks that the results of checks, and their consequences, are
// in a snapshot.
func TestSnapshotOfFailures(t *testing.T) {
	logtest.Capture(t)
	file := filepath.Join(t.TempDir(), "load")
	if err := os.WriteFile(file, []byte("4"), 0o644); err != nil {
		t.Fatal(err)
	}
	up, down := serve(t), serve(t)
	down.close()
	p := start(t, "track_file load {\n    file "+file+"\n}\n"+virtual("",
		up.real("FILE_CHECK {\n            track_file load\n            weight 2\n        }\n        MISC_CHECK {\n            misc_path /nowhere/check\n        }"),
		down.real("")), nil)
	var s *status.LVS
	p.until("the checks have found it", func() bool {
		s = p.taken(nil)
		v := &s.Services[0]
		return v.Servers[0].Checks[2].Known && v.Servers[1].Checks[0].Known && v.Servers[0].Weight == 9
	})
	v := &s.Services[0]
	good, bad := &v.Servers[0], &v.Servers[1]
	if !v.Up || v.Alive != 1 || v.Sum != 9 || v.Suspended {
		t.Errorf("service: %+v", *v)
	}
	if !good.Up || good.Conf.Weight != 1 || bad.Up || bad.InPool || bad.Failed != 1 {
		t.Errorf("servers: %+v\n%+v", *good, *bad)
	}
	for i, c := range good.Checks {
		switch c.Conf.Kind.String() {
		case "FILE_CHECK":
			if c.Weight != 8 || !c.Last.OK || c.Last.At.IsZero() || c.Last.Took != 0 {
				t.Errorf("check %d: %+v", i, c)
			}
		case "MISC_CHECK":
			if c.Disabled == "" || c.Active || !c.Up {
				t.Errorf("check %d: %+v", i, c)
			}
		default:
			if !c.Active || !c.Last.OK || c.Attempts == 0 || c.Last.Took <= 0 {
				t.Errorf("check %d: %+v", i, c)
			}
		}
	}
	if c := &bad.Checks[0]; c.Up || c.Last.OK || c.Last.Reason == "" || c.Attempts == 0 || c.Silent != 0 {
		t.Errorf("the failed check: %+v", *c)
	}
	if s.Files[0].Number != 4 || s.Table.Services != 1 || s.Table.Unreachable != "" {
		t.Errorf("files %+v, table %+v", s.Files, s.Table)
	}
}

// TestSnapshotOfSuspension checks that the checks of a suspended service are not active,
// and have no next time.
func TestSnapshotOfSuspension(t *testing.T) {
	logtest.Capture(t)
	p := start(t, quiet(1, 1, "ha_suspend"), nil)
	v := p.taken(nil).Services[0]
	if c := v.Servers[0].Checks[0]; !v.Suspended || c.Active || !c.Next.IsZero() || !c.Up {
		t.Errorf("suspended %t, check %+v", v.Suspended, c)
	}
}

// TestDumpFiles checks that dumps are written into files with the configured names, and
// so are the data before and after a reload.
func TestDumpFiles(t *testing.T) {
	log := logtest.Capture(t)
	dir := t.TempDir()
	text := "global_defs {\n    json_dump_file " + dir + "/out.json\n    config_save_dir " + dir + "\n}\n" + quiet(1, 1, "")
	p := start(t, text, func(o *Options) { o.DumpDir = dir })
	p.dump(link.DumpData)
	p.dump(link.DumpJSON)
	confirmed := false
	p.daemon.reloadTo(read(t, text), func() { confirmed = true })
	saved := fmt.Sprintf("keepalived_check.%d.1.", os.Getpid())
	for name, want := range map[string]string{
		"keepalived_check.data": " VS VIP = 10.0.0.1, VPORT = 80\n",
		"out_check.json":        `"name":"[10.0.0.1]:tcp:80"`,
		saved + "pre":           "   quorum_state_up = 1\n",
		saved + "post":          "   quorum_state_up = 1\n",
	} {
		p.until(name, func() bool {
			b, err := os.ReadFile(filepath.Join(dir, name))
			return err == nil && strings.Contains(string(b), want)
		})
	}
	if !confirmed {
		t.Error("the reload was not confirmed")
	}
	if line := fmt.Sprintf("Printing checker data for process(%d) on signal", os.Getpid()); !log.InOrder(line) {
		t.Errorf("no line %q", line)
	}
}

// BenchmarkSnapshot fills snapshots of 10,000 checks. It reports the longest step, which
// may delay a timer.
func BenchmarkSnapshot(b *testing.B) {
	c, _ := conf.Load("k.conf", conf.Options{Unsaved: func(string) (string, bool) { return quiet(50, 100, ""), true }})
	d, err := newDaemon(Options{Dial: func() (table.Conn, error) { return ipvstest.New().Dial() }}, c)
	if err != nil {
		b.Fatal(err)
	}
	slog.SetDefault(slog.New(slog.DiscardHandler))
	d.begin(c)
	var longest time.Duration
	for b.Loop() {
		f := &filling{daemon: d, conf: d.conf, out: d.configured(d.conf)}
		f.list()
		for _, step := range f.steps() {
			begin := time.Now()
			step()
			longest = max(longest, time.Since(begin))
		}
	}
	b.ReportMetric(float64(longest.Microseconds()), "longest-µs")
}
