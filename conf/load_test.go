package conf

import (
	"os"
	"path/filepath"
	"testing"
)

// load reads a configuration from a text.
func load(t *testing.T, text string, o Options) (*Config, Diagnostics) {
	t.Helper()
	cfg, diags := Load(write(t, text), o)
	return cfg, diags
}

// write writes a configuration file and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keepalived.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadTwoNodes(t *testing.T) {
	cfg, diags := load(t, `! comment
global_defs {
  router_id node1
}
vrrp_instance VI_1 {
  state MASTER   # first
  interface eth0
  virtual_router_id 51
  priority 150
  virtual_ipaddress { 192.168.0.10/24 dev eth0 label eth0:0 }
}
`, Options{})
	if len(diags) != 0 {
		t.Errorf("diagnostics: %v", diags)
	}
	in := cfg.Instances[0]
	if in.Name != "VI_1" || in.VRID != 51 || in.Priority != 150 || !in.Master || in.Addresses[0].Label != "eth0:0" {
		t.Errorf("instance: %+v", in)
	}
}
