package conf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOneMistakeOneProblem makes one mistake in a good configuration, and checks that
// exactly this mistake is reported, at its place.
func TestOneMistakeOneProblem(t *testing.T) {
	const good = `
vrrp_script chk {
  script true
}
vrrp_instance VI_1 {
  interface eth0
  virtual_router_id 1
  authentication {
    auth_type PASS
    auth_pass secret
  }
  virtual_ipaddress {
    10.0.0.1
  }
  track_script {
    chk
  }
}
vrrp_instance VI_2 {
  interface eth0
  virtual_router_id 2
  unicast_src_ip 10.0.0.9
  unicast_peer {
    10.0.0.8
  }
  virtual_ipaddress {
    10.0.0.2
  }
}
vrrp_sync_group G {
  group {
    VI_1
    VI_2
  }
}
`
	if _, diags := load(t, good, Options{}); len(diags) > 0 {
		t.Fatalf("before any mistake:\n%s", list(diags))
	}
	for _, tt := range []struct{ name, old, new, want string }{
		{"an unknown block", "vrrp_script chk", "vrrp_scirpt chk", "2:1: unknown-keyword"},
		{"an unknown instance", "vrrp_instance VI_1", "vrrp_instence VI_1", "5:1: unknown-keyword"},
		{"an unknown word", "virtual_router_id 1", "virtual_router_ID 1", "7:3: unknown-keyword"},
		{"an unknown inner block", "virtual_ipaddress {\n    10.0.0.1", "virtual_ipadress {\n    10.0.0.1", "12:3: unknown-keyword"},
		{"no brace after the instance", "  }\n}\nvrrp_instance VI_2", "  }\nvrrp_instance VI_2", "5:1: missing-brace"},
		{"no brace after the script", "true\n}", "true\n", "2:1: missing-brace"},
		{"no brace after the addresses", "10.0.0.1\n  }", "10.0.0.1\n", "12:3: missing-brace"},
		{"no brace after the password", "secret\n  }", "secret\n", "8:3: missing-brace"},
		{"no brace at the end", "    VI_2\n  }\n}\n", "    VI_2\n  }\n", "30:1: missing-brace"},
		{"a brace too many", "interface eth0\n  virtual_router_id 1", "interface eth0\n}\n  virtual_router_id 1", "7:1: extra-brace"},
		{"a brace too many at the end", "    VI_2\n  }\n}\n", "    VI_2\n  }\n}\n}\n", "36:1: extra-brace"},
		{"an open quote", "interface eth0", "interface \"eth0", "6:13: unterminated-quote"},
		{"an open quote before a brace", "vrrp_script chk {", "vrrp_script \"chk {", "2:13: unterminated-quote"},
		{"an unreadable include", "vrrp_script chk {\n  script true\n}", "include nothing.conf", "2:9: include-nothing"},
		{"definitions in an unreadable include", "  virtual_router_id 1", "include nothing.conf\n  virtual_router_id $ID", "7:9: include-nothing"},
		{"a missing include that must exist", "vrrp_script chk {\n  script true\n}", "includem nothing.conf", "2:10: include-missing"},
		{"a wrong VRID", "virtual_router_id 1", "virtual_router_id 300", "7:21: out-of-range"},
		{"no VRID", "virtual_router_id 1", "", "5:1: no-vrid"},
		{"no interface", "interface eth0", "interface", "6:3: missing-argument"},
		{"no password", "auth_pass secret", "auth_pass", "10:5: missing-argument"},
		{"a wrong address", "10.0.0.1", "10.0.0.1111", "13:5: bad-address"},
		{"a wrong peer", "10.0.0.8", "10.0.0.888", "24:5: bad-address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(good, tt.old, tt.new, 1)
			if text == good {
				t.Fatal("the mistake changes nothing")
			}
			_, diags := load(t, text, Options{})
			var got []string
			for _, d := range diags {
				got = append(got, fmt.Sprintf("%d:%d: %s", d.Pos.Line, d.Pos.Column, d.Code))
			}
			if strings.Join(got, "\n") != tt.want {
				t.Errorf("want %s alone, got\n%s", tt.want, list(diags))
			}
		})
	}
}

// TestPointing finds the word that causes a problem of a whole instance, also in an
// included file.
func TestPointing(t *testing.T) {
	part := filepath.Join(t.TempDir(), "part.conf")
	if err := os.WriteFile(part, []byte("version 3\nadvert_int 1.004\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, diags := load(t, `
vrrp_instance A {
  interface eth0
  virtual_router_id 1
  include `+part+`
  virtual_ipaddress {
    10.0.0.1
  }
}
`, Options{})
	for _, d := range diags {
		if d.Code == "advert-int" {
			if d.Pos != (Pos{File: part, Line: 2, Column: 1}) || len(d.Chain) != 1 {
				t.Errorf("found at %v", d)
			}
			return
		}
	}
	t.Errorf("no advert-int in\n%s", list(diags))
}
