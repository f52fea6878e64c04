package conf

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// TestNamed reads configurations that name what is not there. Each is reported at the word
// that names it, with a remedy, and stays in the configuration.
func TestNamed(t *testing.T) {
	global := func(words string) string { return "global_defs {\n" + words + "\n}\n" }
	servers := func(check string) string {
		return "virtual_server 10.0.0.1 443 {\nprotocol TCP\nlb_algo rr\nlb_kind NAT\nreal_server 10.0.0.2 443 {\n" + check + "\n}\n}\n"
	}
	const page = "http_listen 8443\nhttp_tls_cert /etc/cert\nhttp_tls_key /etc/key"
	const get, ssl = "SSL_GET {\nurl {\npath /\nstatus_code 200\n}\n}", "SSL {\npassword hunter2\nca /etc/ca\ncertificate /etc/cert\nkey /etc/key\n}\n"
	pair := func(word string) Named {
		err := &Unusable{Word: word, Path: "/etc/" + word, Err: errors.New("it is wrong"), Fix: "mend it"}
		return Named{Certificate: func(*HTTP) error { return err }, Identity: func(*TLSClient) error { return err }}
	}
	hidden := pair("http_tls_key")
	hidden.Certificate = func(*HTTP) error {
		return &Unusable{Word: "http_tls_key", Path: "/etc/key", Err: fs.ErrPermission, Fix: "mend it", Unseen: true}
	}
	groups := Named{Group: func(name string) error {
		if name == "staff" {
			return nil
		}
		return &Unusable{Err: fmt.Errorf("there is no group %q", name)}
	}}
	there := []string{"/", "/there", "/var/run/x"}
	dirs := Named{Directory: func(path string) error {
		switch {
		case slices.Contains(there, path):
			return nil
		case path == "/file":
			return &Unusable{Path: path, Err: errors.New("not a directory")}
		}
		return &Unusable{Path: path, Err: fs.ErrNotExist}
	}}
	space := Named{Namespace: func(name string) error {
		if name == "there" {
			return nil
		}
		return &Unusable{Path: "/run/netns/" + name, Err: fs.ErrNotExist}
	}}
	for _, test := range []struct {
		text string
		look Named
		want string // position and text of each problem
		exit int
	}{
		{global(page), pair("http_tls_key"), "4:14: warning: http_tls_key /etc/http_tls_key: it is wrong - http_listen serves nobody meanwhile; mend it", 0},
		{global(page), pair("http_tls_cert"), "3:15: warning: http_tls_cert /etc/http_tls_cert: it is wrong - http_listen serves nobody meanwhile; mend it", 0},
		{global(page), hidden, "4:14: note: http_tls_key /etc/key could not be looked at: permission denied; do this as root, as the daemon does", 0},
		{global(page), Named{}, "", 0},
		{global("http_listen 8080"), pair("http_tls_key"), "", 0},
		{global("http_tls_cert /etc/cert\nhttp_tls_key /etc/key"), pair("http_tls_key"), "", 0},

		{ssl + servers(get), pair("key"), "5:5: warning: SSL key /etc/key: it is wrong - SSL_GET shows no certificate; mend it", 0},
		{servers(get) + ssl, pair("ca"), "16:4: warning: SSL ca /etc/ca: it is wrong - SSL_GET shows no certificate; mend it", 0},
		{ssl + servers("TCP_CHECK { }"), pair("key"), "", 0},
		{servers(get), pair("key"), "", 0},

		{global("control_admin_group staf"), groups, `2:21: warning: control_admin_group: there is no group "staf" - only root may have something changed; ` +
			"write the name of a group that exists, or create it: groupadd --system staf", 0},
		{global("control_group staf\ncontrol_admin_group staff"), groups, `2:15: warning: control_group: there is no group "staf" - its members may not ask; ` +
			"write the name of a group that exists, or create it: groupadd --system staf", 0},
		{global("control_group keepalived"), groups, "", 0},
		{global("router_id a"), groups, "", 0},
		{global("control_group staf\nno_control_socket"), groups, "", 0},

		{global("config_save_dir /there/new\ntmp_config_directory /there/"), dirs, "", 0},
		{global("config_save_dir /a/b/"), dirs, "2:17: error: config_save_dir /a: file does not exist - no configuration is saved; create it first: mkdir -p /a", 5},
		{global("config_save_dir /file"), dirs, "2:17: error: config_save_dir /file: not a directory - no configuration is saved; write the path of a directory", 5},
		{global("tmp_config_directory /a"), dirs, "2:22: warning: tmp_config_directory /a: file does not exist - the configuration is kept in memory; create it first: mkdir -p /a", 0},
		{global("reload_check_config /a/x"), dirs, "2:21: warning: reload_check_config /a: file does not exist - the findings of a reload are not written; create it first: mkdir -p /a", 0},
		{global("reload_check_config\nreload_file"), dirs, "2:1: warning: reload_check_config /dev: file does not exist - the findings of a reload are not written; create it first: mkdir -p /dev", 0},
		{global("reload_file /a/x"), dirs, "2:13: warning: reload_file /a: file does not exist - it does not show when the configuration is being read; create it first: mkdir -p /a", 0},
		{global("reload_time_file /a/x"), dirs, "2:18: warning: reload_time_file /a: file does not exist - it is looked for at a reload only; create it first: mkdir -p /a", 0},
		{global("state_dump_file /x\nstats_dump_file /there/x\njson_dump_file x"), dirs, "", 0},
		{global("state_dump_file /a/x"), dirs, "2:17: warning: state_dump_file /a: file does not exist - the state is not written; create it first: mkdir -p /a", 0},
		{global("json_dump_file_location /a/x"), dirs, "2:25: warning: json_dump_file /a: file does not exist - the JSON dump is not written; create it first: mkdir -p /a", 0},
		{global("notify_fifo /run/keepalived/x root"), dirs, "", 0},
		{global("lvs_notify_fifo /a/x root"), dirs, "2:17: warning: lvs_notify_fifo /a: file does not exist - nothing is written to it; create it first: mkdir -p /a", 0},

		{"net_namespace_ipvs red\n" + servers(""), space, "1:20: warning: net_namespace_ipvs /run/netns/red: file does not exist - no virtual server works without it; create it first: ip netns add red", 0},
		{"net_namespace_ipvs red\nnet_namespace red\n" + servers(""), space, "", 0},
		{"net_namespace_ipvs there\n" + servers(""), space, "", 0},
		{"net_namespace_ipvs\n" + servers(""), space, "", 0},
		{"net_namespace_ipvs red\n", space, "", 0},
	} {
		c, diags := load(t, test.text, Options{Named: test.look})
		var got []string
		for _, d := range diags {
			got = append(got, fmt.Sprintf("%d:%d: %v: %s; %s", d.Pos.Line, d.Pos.Column, d.Severity, d.Message, d.Fix))
		}
		if text := strings.Join(got, "\n"); text != test.want || diags.TestExitCode() != test.exit || diags.Fatal() != 0 {
			t.Errorf("%s\n%s\nexit code %d, want %d and\n%s", test.text, text, diags.TestExitCode(), test.exit, test.want)
		}
		without, _ := load(t, test.text, Options{})
		if c.Path = without.Path; strings.Contains(test.text, "http_listen") && c.Global.Control != without.Global.Control {
			t.Errorf("%s\nit changes the configuration: %+v", test.text, c.Global.Control)
		}
	}
}
