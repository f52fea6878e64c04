package conf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sequenceText is the example of the manual: 8 × 32 × 254 virtual routers from one nested
// sequence.
const sequenceText = `
$VI=\
track_file offset.${IF}.${NUM}.${ID} { \
  file "${_PWD}/files/${IF}.${NUM}.${ID}" \
  weight -100 \
} \
vrrp_instance vrrp.${IF}.${NUM}.${ID} { \
  interface bond${IF}.${NUM} \
  use_vmac vrrp.${IF}.${NUM}.${ID} \
  virtual_router_id ${ID} \
  priority 130 \
  virtual_ipaddress { \
    10.${IF}.${NUM}.${ID}/24 \
  } \
  track_file { \
    offset.${IF}.${NUM}.${ID} \
  } \
}
~SEQ(IF,0,7) ~SEQ(NUM,0,31) ~SEQ(ID,1,254) $VI
`

func instancesText(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `vrrp_instance VI_%d {
  state BACKUP
  interface eth%d
  virtual_router_id %d
  priority 100
  advert_int 1
  authentication {
    auth_type PASS
    auth_pass abcd
  }
  virtual_ipaddress {
    10.%d.%d.%d/24
  }
}
`, i, i/250, i%250+1, i>>16, i>>8&255, i&255)
	}
	return b.String()
}

func realServersText(n int) string {
	var b strings.Builder
	for i := range n {
		if i%100 == 0 {
			if i > 0 {
				b.WriteString("}\n")
			}
			fmt.Fprintf(&b, "virtual_server 10.0.%d.%d 80 {\n  lb_algo rr\n  lb_kind NAT\n  protocol TCP\n", i/100>>8, i/100&255)
		}
		fmt.Fprintf(&b, "  real_server 10.1.%d.%d 80 {\n    weight 1\n    TCP_CHECK {\n      connect_timeout 3\n    }\n  }\n", i>>8, i&255)
	}
	b.WriteString("}\n")
	return b.String()
}

func benchmarkLoad(b *testing.B, text string) {
	path := filepath.Join(b.TempDir(), "keepalived.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, diags := Load(path, Options{}); diags.TestExitCode() != 0 {
			b.Fatal(list(diags))
		}
	}
}

func BenchmarkLoadSequence65024(b *testing.B)    { benchmarkLoad(b, sequenceText) }
func BenchmarkLoadInstances1000(b *testing.B)    { benchmarkLoad(b, instancesText(1000)) }
func BenchmarkLoadInstances10000(b *testing.B)   { benchmarkLoad(b, instancesText(10000)) }
func BenchmarkLoadInstances40000(b *testing.B)   { benchmarkLoad(b, instancesText(40000)) }
func BenchmarkLoadRealServers10000(b *testing.B) { benchmarkLoad(b, realServersText(10000)) }
