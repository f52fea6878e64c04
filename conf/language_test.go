package conf

import (
	"net/netip"
	"strings"
	"testing"
)

// TestAsUpstream checks lines that 2.4.3 accepts, warns about or corrects.
func TestAsUpstream(t *testing.T) {
	global := func(words string) string { return "global_defs {\n" + words + "\n}\n" }
	in := func(words string) string { return instanceText("V", 5, words) }
	group := func(entries string) string {
		return "virtual_server_group G {\n" + entries + "\n}\nvirtual_server group G {\nlvs_sched rr\nlvs_method DR\nprotocol TCP\nreal_server 10.1.1.5 80 {\nTCP_CHECK {\n}\n}\n}\n"
	}
	for _, tt := range []struct{ name, text, codes string }{
		{"a sign before a fraction", in("advert_int +1"), ""},
		{"a sign before a number", in("priority +100"), ""},
		{"two signs", in("priority +-100"), "bad-number"},
		{"a label as interface", strings.Replace(in(""), "eth0", "eth0:1", 1), "interface-label"},
		{"a label that is tracked", in("track_interface {\neth1:0\n}"), "interface-label"},
		{"a label behind dev", in("virtual_ipaddress_excluded {\n10.0.0.9 dev eth0:1\n}"), "interface-label"},
		{"a label with dynamic_interfaces", global("dynamic_interfaces") + strings.Replace(in(""), "eth0", "eth0:1", 1), "interface-label"},
		{"lo", strings.Replace(in(""), "eth0", "lo", 1), "loopback"},
		{"lo that is tracked", in("track_interface {\nlo\n}"), ""},
		{"dev twice", in("virtual_ipaddress_excluded {\n10.0.0.9 dev eth0 dev eth1\n}"), "word-twice"},
		{"included and excluded", in("virtual_ipaddress_excluded {\n10.0.0.5/24\n}"), "address-twice"},
		{"a label of IPv6", in("virtual_ipaddress_excluded {\nfe80::1 label eth0:1\n}"), "label-ipv6"},
		{"an owner with a weight", in("priority 255\ntrack_interface {\neth1 weight 5\n}"), "owner-weight"},
		{"an owner without", in("priority 255\ntrack_interface {\neth1\n}"), ""},
		{"AH and MASTER", in("state MASTER\npriority 100\nauthentication {\nauth_type AH\nauth_pass 1111\n}"), "master-ah"},
		{"PASS and MASTER", in("state MASTER\npriority 100\nauthentication {\nauth_type PASS\nauth_pass 1111\n}"), ""},
		{"words before a brace", "static_routes foo {\n10.0.0.0/8 via 10.1.1.1 dev eth1\n}\n", "block-words"},
		{"a route without an interface", in("virtual_routes {\n192.168.112.0/24 via 10.0.0.254\nblackhole 10.9.0.0/16\n}"), ""},
		{"mail server with a port behind a colon", global("smtp_server 192.0.2.1:25"), "smtp-server"},
		{"mail server by a broken number", global("smtp_server 999.1.1.1"), "smtp-server"},
		{"mail server by name", global("smtp_server mail.example.org 25"), ""},
		{"mail server in IPv6", global("smtp_server 2001:db8::25"), ""},
		{"CPUs that are there", global("vrrp_cpu_affinity 0 3"), ""},
		{"a CPU that is not", global("vrrp_cpu_affinity 4"), "out-of-range"},
		{"umask of the manual", global("umask IXUSR | IRWXG | IRWXO"), ""},
		{"umask without blanks", global("umask IXUSR|IRWXG|IRWXO"), ""},
		{"an open quote", in("notify_master '/bin/true a b"), "unterminated-quote"},
		{"an open quote within", in(`notify_master "/bin/true 'a b"`), "unterminated-quote"},
		{"instance twice", "instance a\ninstance b\n", "word-twice"},
		{"options of use_vmac", in("use_vmac v21 02:00:00:11:22 netlink_notify_msg group 5"), ""},
		{"a group without its name", in("use_vmac v21 group"), "missing-argument"},
		{"a group of addresses", group("10.1.1.1 80\n10.1.1.2 80"), ""},
		{"a group of marks", group("fwmark 3"), "fwmark-port"},
		{"a group of another port", group("10.1.1.1 8080"), "server-port"},
		{"a source that is here", in("unicast_src_ip 10.0.0.2\nunicast_peer {\n10.0.0.3\n}"), ""},
		{"a source that is not", in("unicast_src_ip 10.0.0.4\nunicast_peer {\n10.0.0.3\n}"), "source-missing"},
		{"a multicast source that is not", in("mcast_src_ip 10.0.0.4"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, diags := load(t, tt.text, Options{Interface: exists, CPUs: 4, HasAddress: func(a netip.Addr) bool { return a == netip.MustParseAddr("10.0.0.2") }})
			var got []string
			for _, c := range strings.Fields(codes(diags)) {
				if c != "script-security" && c != "script-missing" {
					got = append(got, c)
				}
			}
			if strings.Join(got, " ") != tt.codes {
				t.Errorf("got %q, want %q\n%s", got, tt.codes, list(diags))
			}
			if tt.name == "instance twice" && cfg.Global.InstanceName != "a" {
				t.Errorf("the instance is %q", cfg.Global.InstanceName)
			}
			if strings.HasPrefix(tt.name, "umask") && cfg.Global.Umask != 0o177 {
				t.Errorf("umask %#o", cfg.Global.Umask)
			}
			if tt.name == "options of use_vmac" {
				if l := cfg.Instances[0].Link; l.Name != "v21" || !l.NotifyMsg || l.Group != 5 || l.MAC != [6]byte{2, 0, 0, 0x11, 0x22, 5} {
					t.Errorf("%+v", l)
				}
			}
		})
	}
}

// TestCommandQuotes decodes the escapes of a command line once.
func TestCommandQuotes(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{`"/bin/echo ' spaces\\x20f\x69le ' '\"s p a c e \"' master"`, `/bin/echo| spaces\x20file |"s p a c e "|master`},
		{`"/bin/logger -t 'a\\b' stop"`, `/bin/logger|-t|a\b|stop`},
		{`"/bin/sh -c 'grep -q \"^state[ ]MASTER\" /tmp/x'"`, `/bin/sh|-c|grep -q "^state[ ]MASTER" /tmp/x`},
		{`/bin/true`, `/bin/true`},
	} {
		cfg, diags := load(t, instanceText("V", 5, "notify_stop "+tt.line), Options{})
		n := cfg.Instances[0].Notify
		if n == nil {
			t.Errorf("%s is no command\n%s", tt.line, list(diags))
		} else if got := strings.Join(n.Stop.Args, "|"); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.line, got, tt.want)
		}
	}
}
