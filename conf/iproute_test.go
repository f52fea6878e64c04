package conf

import (
	"os"
	"path/filepath"
	"testing"
)

// TestNames looks up names in files like those of a machine with a routing daemon and
// entries of the administrator.
func TestNames(t *testing.T) {
	usr, etc := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{
		filepath.Join(usr, "rt_protos"):               "4 static\n16 dhcp\n77 ours\n",
		filepath.Join(usr, "rt_protos.d", "frr.conf"): "194 bgp\n196 static\n193 frr\n",
		filepath.Join(usr, "rt_tables"):               "100 blue\n101 red\n",
		filepath.Join(etc, "rt_tables"):               "# the administrator's\n200 blue\n300 blue\n254 main2\n0x12 hex\nx wrong\n",
		filepath.Join(usr, "rt_tables.d", "a.conf"):   "400 green\n401 black\n",
		filepath.Join(etc, "rt_tables.d", "a.conf"):   "500 green\n",
		filepath.Join(etc, "rt_tables.d", "b.conf"):   "600 green\n601 white\n",
		filepath.Join(etc, "protocols"):               "tcp 99 TCP\nfoo 200 FOO foofoo\n",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	n := names{usr: usr, etc: etc, protocols: filepath.Join(etc, "protocols")}
	const none = -1
	for _, tt := range []struct {
		kind, name string
		want       int
	}{
		{"rt_protos", "static", 4}, // not 196
		{"rt_protos", "bgp", 186},
		{"rt_protos", "frr", 193},
		{"rt_protos", "ours", 77},
		{"rt_protos", "99", 99},
		{"rt_protos", "nothing", none},
		{"rt_tables", "main", 254},
		{"rt_tables", "main2", 254}, // two names for one number
		{"rt_tables", "blue", 200},  // the administrator's file, and its first line for the name
		{"rt_tables", "red", none},  // it replaces the file of the system
		{"rt_tables", "hex", 18},
		{"rt_tables", "green", 500},
		{"rt_tables", "black", none},
		{"rt_tables", "white", 601},
		{"protocols", "tcp", 6},
		{"protocols", "foofoo", 200},
	} {
		got, ok := n.number(tt.kind, tt.name, 16)
		if v := int(got); ok && v != tt.want || !ok && tt.want != none {
			t.Errorf("%s %s: %d, %t, want %d", tt.kind, tt.name, got, ok, tt.want)
		}
	}
}

// TestNamesRoot checks that files are read below Options.Names only, and that no file
// changes a name that iproute2 defines itself.
func TestNamesRoot(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{"rt_protos": "196 static\n60 ours\n", "rt_tables": "7 main\n100 blue\n"} {
		path := filepath.Join(root, "etc", "iproute2", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	route := func(words, names string) *Route {
		c, diags := load(t, "static_routes {\n10.0.0.0/8 dev eth0 no_track "+words+"\n}\n", Options{Names: names})
		if len(c.StaticRoutes) == 0 {
			if diags.Count(Error) == 0 {
				t.Errorf("%s: left out without a word", words)
			}
			return nil
		}
		return &c.StaticRoutes[0]
	}
	for _, names := range []string{"", root} {
		r := route("protocol static table main", names)
		if r == nil || r.Protocol == nil || *r.Protocol != 4 || r.Table != 254 {
			t.Errorf("names in %q: protocol %d, %+v", names, *r.Protocol, r)
		}
	}
	if r := route("protocol ours table blue", root); r == nil || *r.Protocol != 60 || r.Table != 100 {
		t.Errorf("from the files: %+v", r)
	}
	if r := route("table blue", ""); r != nil && r.Table == 100 {
		t.Errorf("without a root: %+v", r)
	}
}
