package conf

import (
	"strings"
	"testing"
)

// TestServiceWithoutEffect checks that a service that is defined a second time is left
// out, and so is a persistence engine without persistence, and that both are reported.
func TestServiceWithoutEffect(t *testing.T) {
	const body = " {\n    protocol TCP\n    lb_algo rr\n    lb_kind NAT\n    persistence_engine sip\n    real_server 10.0.0.2 80 {\n    }\n}\n"
	for _, tt := range []struct {
		name, file string
		services   int
		codes      string
	}{
		{"once", "virtual_server 10.0.0.1 80" + body, 1, "engine-alone"},
		{"twice", strings.Repeat("virtual_server 10.0.0.1 80"+body, 2), 1, "engine-alone engine-alone service-twice"},
		{"another port", "virtual_server 10.0.0.1 80" + body + "virtual_server 10.0.0.1 81" + body, 2, "engine-alone engine-alone"},
		{"another protocol", "virtual_server 10.0.0.1 80" + body + strings.ReplaceAll("virtual_server 10.0.0.1 80"+body, "TCP", "UDP"), 2, "engine-alone engine-alone"},
		{"another family", "virtual_server fwmark 3 {\nlb_algo rr\nlb_kind NAT\nreal_server 10.0.0.2 80 {\n}\n}\n" + "virtual_server fwmark 3 {\nip_family inet6\nlb_algo rr\nlb_kind NAT\nreal_server 2001:db8::2 80 {\n}\n}\n", 2, ""},
		{"persistent", "virtual_server 10.0.0.1 80" + strings.Replace(body, "persistence_engine", "persistence_timeout 9\n    persistence_engine", 1), 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, diagnostics := load(t, tt.file, Options{})
			var codes []string
			for _, d := range diagnostics {
				codes = append(codes, d.Code)
			}
			if got := strings.Join(codes, " "); got != tt.codes || len(c.VirtualServers) != tt.services {
				t.Errorf("%d services, %q; want %d, %q", len(c.VirtualServers), got, tt.services, tt.codes)
			}
			for _, vs := range c.VirtualServers {
				if vs.PersistenceEngine != "" && vs.Persistence == 0 {
					t.Errorf("%v has an engine without persistence", vs)
				}
			}
		})
	}
}
