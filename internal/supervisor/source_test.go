package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"weak"

	"keepalived-go/conf"
	"keepalived-go/conf/view"
)

// bigSource is the source of a configuration of more than a megabyte in two files, with
// secrets.
func bigSource(t *testing.T) loaded {
	t.Helper()
	dir := t.TempDir()
	var routers, servers strings.Builder
	fmt.Fprintf(&routers, "$NET=10.7\ninclude %s/servers\n", dir)
	for i := range 4000 {
		fmt.Fprintf(&routers, "vrrp_instance VI_%d {\n interface eth%d\n virtual_router_id %d\n authentication {\n auth_type PASS\n auth_pass s%07d\n }\n virtual_ipaddress {\n ${NET}.%d.%d\n }\n}\n",
			i, i/255, i%255+1, i*i%9999999, i/250, i%250+1)
	}
	for i := range 100 {
		fmt.Fprintf(&servers, "virtual_server 10.8.0.%d 80 {\n", i+1)
		for j := range 100 {
			fmt.Fprintf(&servers, " real_server 10.9.%d.%d 80 {\n  weight 1 # of %d\n  TCP_CHECK {\n   connect_timeout 3\n  }\n }\n", i, j+1, i*j)
		}
		servers.WriteString("}\n")
	}
	o := Options{Config: filepath.Join(dir, "k.conf")}
	for path, text := range map[string]string{o.Config: routers.String(), dir + "/servers": servers.String()} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := o.read(false, nil)
	if r.diagnostics.Count(conf.Error) > 0 || len(r.config.Instances) != 4000 || len(r.config.VirtualServers) != 100 {
		t.Fatal(r.errors(), len(r.config.Instances), len(r.config.VirtualServers))
	}
	return r
}

// TestSource packs a big configuration while others ask for its text: it is what it was, of
// the same statements, and those are gone.
func TestSource(t *testing.T) {
	was := bigSource(t)
	wholeWas, shownWas, err := view.Texts(was.tree)
	if err != nil || len(wholeWas) < 1<<20 || !strings.Contains(wholeWas, "/servers\n") {
		t.Fatalf("%d bytes: %v", len(wholeWas), err)
	}
	s := &source{tree: was.tree}
	first := weak.Make(was.tree[0])
	var each sync.WaitGroup
	each.Go(s.pack)
	for range 2 {
		each.Go(func() {
			if got, err := s.text(); err != nil || got != wholeWas {
				t.Errorf("%v: %d bytes, want %d", err, len(got), len(wholeWas))
			}
			if got, err := s.expanded(); err != nil || string(got) != shownWas || strings.Contains(string(got), "s0000000") {
				t.Errorf("%v: with stars %d bytes, want %d", err, len(got), len(shownWas))
			}
		})
	}
	each.Wait()
	if kept := len(s.whole) + len(s.shown); kept > len(wholeWas)/4 {
		t.Errorf("%d bytes are kept of %d", kept, len(wholeWas))
	}
	again := s.statements()
	if len(again) != len(was.tree) {
		t.Fatalf("%d statements, want %d", len(again), len(was.tree))
	}
	for i, st := range was.tree {
		if !st.Same(again[i]) {
			t.Fatalf("%v is another statement", st.Pos(0))
		}
	}
	was = loaded{}
	runtime.GC()
	if first.Value() != nil {
		t.Error("the statements are still in memory")
	}
	runtime.KeepAlive(s)
}

// TestSourceOfUnwritable checks that a configuration that cannot be written as text still
// answers which process a name belongs to, and why the rest cannot be answered.
func TestSourceOfUnwritable(t *testing.T) {
	o := Options{Config: filepath.Join(t.TempDir(), "k.conf")}
	long := strings.Repeat("x", 600)
	text := "$A=" + long + "\nglobal_defs {\n router_id ${A}${A}\n}\nvrrp_instance V {\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {\n 10.0.0.1\n }\n}\nvirtual_server 10.0.0.1 80 {\n}\n"
	if err := os.WriteFile(o.Config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := o.read(false, nil)
	s := &supervisor{source: &source{tree: r.tree}}
	for range 2 {
		for name, want := range map[string]string{"V": "vrrp", "10.0.0.1": "checkers"} {
			if got, err := s.roleOf(name); got != want || err != nil {
				t.Errorf("%s belongs to %s, %v, want %s", name, got, err, want)
			}
		}
		if _, err := s.source.text(); err == nil {
			t.Error("there is a text")
		}
		if _, err := s.source.expanded(); err == nil {
			t.Error("there is a text with stars")
		}
		if p, err := o.plan(s.source, false, &r); err == nil || !strings.Contains(err.Error(), "cannot be written on its own line") {
			t.Errorf("plan: %v %+v", err, p)
		}
	}
}
