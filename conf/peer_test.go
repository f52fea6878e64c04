package conf

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"keepalived-go/conf/syntax"
)

// TestPeersLost makes mistakes in unicast_peer: none of them may lead to multicast.
func TestPeersLost(t *testing.T) {
	for _, tt := range []struct{ name, words, want string }{
		{"a length", "unicast_peer {\n 10.0.0.2/24\n}", "unicast [10.0.0.2]"},
		{"a range", "unicast_peer {\n 10.0.0.2-5\n}", "unicast [10.0.0.2]"},
		{"a length that is none", "unicast_peer {\n 10.0.0.2/x\n}", "unicast [10.0.0.2]"},
		{"one of two is wrong", "unicast_peer {\n 10.0.0.2\n 10.0.0.333\n}", "unicast [10.0.0.2]"},
		{"a wrong option", "unicast_peer {\n 10.0.0.2 ttl 5\n}", "unicast [] bad"},
		{"a wrong address", "unicast_peer {\n 10.0.0.222222\n}", "unicast [] bad"},
		{"a name", "unicast_peer {\n node2\n}", "unicast [] bad"},
		{"another family", "unicast_peer {\n fe80::1\n}", "unicast [] bad"},
		{"another family than the source", "unicast_src_ip 10.0.0.1\nunicast_peer {\n fe80::1\n}", "unicast [] bad"},
		{"itself", "unicast_src_ip 10.0.0.1\nunicast_peer {\n 10.0.0.1\n}", "unicast [] bad"},
		{"no brace", "unicast_peer 10.0.0.2", "unicast [] bad"},
		{"no brace, wrong address", "unicast_peer\n", "unicast [] bad"},
		{"a misspelt block", "unicast_peers {\n 10.0.0.2\n}", "unicast [] bad"},
		{"an undefined parameter", "unicast_peer {\n $PEER\n}", "unicast [] bad"},
		{"a missing include", "unicast_peer {\n include nothing.conf\n}", "unicast [] bad"},
		{"a wrong list", "unicast_peer {\n ~LST(10.0.0.2) $P\n}", "unicast [] bad"},
		{"a wrong sequence", "unicast_peer {\n ~SEQ(I, 5, -1, 9) 10.0.0.$I\n}", "unicast [] bad"},
		{"a line that is too long", "unicast_peer {\n " + strings.Repeat(" ", 1100) + "10.0.0.2\n}", "unicast [] bad"},
		{"too many mistakes before", strings.Repeat("foo\n", 1200) + "unicast_peer {\n 10.0.0.999\n}", "unicast [] bad"},
		{"an empty block", "unicast_peer {\n}", "multicast unicast-no-peers"},
		{"lines of another node", "unicast_peer {\n @other 10.0.0.2\n}", "multicast unicast-no-peers"},
		{"a source alone", "unicast_src_ip 10.0.0.1", "multicast unicast-no-peers"},
		{"no mistake", "", "multicast"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, diags := load(t, "vrrp_instance VI_1 {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n 10.0.0.9\n}\n"+tt.words+"\n}\n", Options{ConfigID: "this"})
			in := cfg.Instances[0]
			got := "multicast"
			if in.Unicast {
				var peers []string
				for _, p := range in.Peers {
					peers = append(peers, p.Addr.String())
				}
				got = fmt.Sprint("unicast ", peers)
				if len(peers) == 0 && diags.TestExitCode() == 5 {
					got += " bad"
				}
				if len(peers) == 0 && !strings.Contains(list(diags), "FAULT") && len(diags) < syntax.MaxDiagnostics {
					t.Error("no problem reports that it stays in FAULT")
				}
			}
			for _, d := range diags {
				if d.Code == "unicast-no-peers" {
					got += " " + d.Code
				}
			}
			if got != tt.want {
				t.Errorf("got %q, want %q\n%.2000s", got, tt.want, list(diags))
			}
		})
	}
}

// TestSingleAddresses writes a length and a range after each single address of the
// language. Each is accepted, with a warning that changes no verdict.
func TestSingleAddresses(t *testing.T) {
	lines := map[string]string{ // by path, for words whose row in the schema has no address type
		"global_defs.lvs_sync_daemon":        "lvs_sync_daemon eth0 VI_1 group %s",
		"global_defs.smtp_server":            "smtp_server %s",
		"vrrp_instance.unicast_peer.ADDRESS": "%s",
		"virtual_server":                     "virtual_server %s 80 {",
		"virtual_server.sorry_server":        "sorry_server %s 80",
		"virtual_server.real_server":         "real_server %s 80 {",
	}
	n := 0
	each(func(k *Keyword, before, after string) {
		format := lines[k.Path()]
		if k.args.kind == argAddress {
			format = k.Name + " %s"
		}
		if format == "" {
			return
		}
		n++
		plain := "192.0.2.77"
		switch {
		case k.Name == "vrrp_mcast_group6":
			plain = "ff02::77"
		case strings.Contains(k.Name, "mcast_group") || k.Name == "mcast_dst_ip" || k.Name == "lvs_sync_daemon":
			plain = "224.0.0.77"
		}
		if k.block != nil {
			after = "}\n" + after
		}
		read := func(addr string) (*Config, Diagnostics) {
			return Load("keepalived.conf", Options{Unsaved: func(string) (string, bool) {
				return before + fmt.Sprintf(format, addr) + "\n" + after, true
			}})
		}
		good, none := read(plain)
		for _, suffix := range []string{"/24", "/", "/x", "-79", "-"} {
			cfg, diags := read(plain + suffix)
			if k.Path() == "global_defs.smtp_server" && suffix[0] == '-' {
				continue // the argument may be the name of a host
			}
			if strings.Count(codes(diags), "address-suffix") != 1 || diags.TestExitCode() != none.TestExitCode() {
				t.Errorf("%s with %s%s:\n%s", k.Path(), plain, suffix, list(diags))
			}
			if !reflect.DeepEqual(good, cfg) {
				t.Errorf("%s with %s%s is another configuration", k.Path(), plain, suffix)
			}
		}
	})
	if n < 16 {
		t.Errorf("only %d keywords", n)
	}
}
