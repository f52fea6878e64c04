package reference

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/conf"
	"keepalived-go/internal/tool/required"
)

var update = flag.Bool("update", false, "rewrite docs/reference and testdata/help")

// TestKeywords looks up every keyword of keepalived 2.4.3, by its path.
func TestKeywords(t *testing.T) {
	text, err := os.ReadFile("testdata/keywords.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for path := range strings.FieldsSeq(string(text)) {
		n++
		if _, ok := conf.Keywords()[path]; !ok {
			t.Errorf("the schema lacks %s", path)
		}
		var b strings.Builder
		if !Help(&b, path) {
			t.Errorf("keepalived help %s: %s", path, &b)
		}
	}
	if n < 614 {
		t.Errorf("only %d keywords", n)
	}
}

// TestPages compares docs/reference with the schema.
func TestPages(t *testing.T) {
	const dir = "../../../docs/reference"
	pages := Pages()
	old, err := filepath.Glob(dir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range old {
		if _, ok := pages[filepath.Base(path)]; ok {
			continue
		}
		if !*update {
			t.Errorf("%s is the page of no block; run go test -update", path)
		} else if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range pages {
		path := filepath.Join(dir, name)
		if *update {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is out of date; run go test -update (-want +got):\n%s", path, diff)
		}
	}
}

// TestLinks checks that every link between the pages has a target.
func TestLinks(t *testing.T) {
	pages := Pages()
	for name, text := range pages {
		for rest := text; ; {
			_, after, ok := strings.Cut(rest, "](")
			if !ok {
				break
			}
			target, _, _ := strings.Cut(after, ")")
			if _, ok := pages[target]; !ok {
				t.Errorf("%s links to %s, which is not there", name, target)
			}
			rest = after
		}
	}
}

func TestHelp(t *testing.T) {
	for name, words := range map[string][]string{
		"word":         {"advert_int"},
		"many":         {"priority"},
		"block":        {"vrrp_script"},
		"path":         {"vrrp_script.weight"},
		"part-of-path": {"HTTP_GET.url.status_code"},
		"old":          {"vmac_garp_intvl"},
		"entry":        {"virtual_ipaddress.ADDRESS"},
		"unknown":      {"prioriti", "virtual_ip", "vrrp_instance.nosuch", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			for _, word := range words {
				if found := Help(&got, word); found != (name != "unknown") {
					t.Errorf("Help(%q) = %v", word, found)
				}
			}
			path := "testdata/help/" + name + ".txt"
			if *update {
				if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestMan formats the manual page and checks that groff finds no fault.
func TestMan(t *testing.T) {
	var page bytes.Buffer
	Man(&page, "2.4.3-go", "2026-11-22")
	for _, want := range []string{`\fBvirtual_router_id\fR N`, ".SH vrrp_instance", ".SS vrrp_instance.authentication", ".BR static_routes.ROUTE ."} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	mustRender(t, page.Bytes())
}

// mustRender fails the test if groff or, if installed, mandoc reports a problem.
func mustRender(t *testing.T, page []byte) {
	t.Helper()
	path, err := exec.LookPath("groff")
	if err != nil {
		required.Missing(t, err)
	}
	cmd := exec.Command(path, "-man", "-ww", "-Tutf8", "-z")
	cmd.Stdin = bytes.NewReader(page)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("groff: %v\n%s", err, out)
	}
	if path, err := exec.LookPath("mandoc"); err == nil {
		cmd := exec.Command(path, "-T", "lint", "-W", "warning")
		cmd.Stdin = bytes.NewReader(page)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("mandoc: %v\n%s", err, out)
		}
	}
}
