package test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/lab"
)

// dumped is what a daemon wrote on request.
type dumped struct {
	data, parent, stats string
	json                []byte
}

// dumps asks for all dumps and waits for them.
func (s *scene) dumps(d *lab.Daemon) (out dumped) {
	s.Helper()
	s.must(d.Signal(unix.SIGUSR1))
	s.must(d.Signal(unix.SIGUSR2))
	s.must(d.Signal(36))
	out.data = s.dumpFile(d, "keepalived.data", "\n Name = eth0\n")
	out.parent = s.dumpFile(d, "keepalived_parent.data", " umask = ")
	out.stats = s.dumpFile(d, "keepalived.stats", "Priority Zero:\n")
	out.json = []byte(s.dumpFile(d, "keepalived.json", "pri_zero_sent"))
	return out
}

// dumpFile waits until a file holds the text and does not grow any more: the C
// daemon writes some where readers see them.
func (s *scene) dumpFile(d *lab.Daemon, name, text string) string {
	s.Helper()
	path := filepath.Join(d.Dir, name)
	before, since := "", time.Now()
	if !s.Until(5*time.Second, func() bool {
		b, err := os.ReadFile(path)
		if now := string(b); err != nil || now != before {
			before, since = now, time.Now()
			return false
		}
		return strings.Contains(before, text) && time.Since(since) > 100*time.Millisecond
	}) {
		s.Fatalf("%s has no %q:\n%s", name, text, before)
	}
	return before
}

// TestDumpsAreThoseOfC: for configurations of all kinds, the dumps have the keys
// of the C daemon's with the same values, where there is no reason for others.
func TestDumpsAreThoseOfC(t *testing.T) {
	differs(t, "is what it is compared with")
	t.Parallel()
	const script = "vrrp_script %s {\n    script \"/usr/bin/%s\"\n    interval 1\n    timeout 1\n    %s\n}\n"
	secure := "enable_script_security\nscript_user root"
	in := instance{Version: 2}
	for _, c := range []struct {
		name   string
		config string
		await  string // a line of the log, of each program
		other  string // configuration of a second node, if there is one
	}{
		{name: "version 2", config: configWith("", in.at(100)), await: "(VI_1) Entering MASTER STATE"},
		{name: "version 3", config: configWith("", instance{Interval: 250 * time.Millisecond, VIPs: []string{vip.String(), vip2.String() + "/16 label eth0:x brd +"},
			Excluded: []string{"10.0.77.1/24 no_track"}, More: "nopreempt\ngarp_master_delay 1\ngarp_master_refresh 60\ngarp_lower_prio_repeat 2\nno_accept"}.at(100)),
			await: "(VI_1) Entering MASTER STATE"},
		{name: "IPv6", config: configWith("", instance{VIPs: []string{"fe80::77/64", vip6.String() + "/64 preferred_lft 30"}, More: "native_ipv6\npromote_secondaries"}.at(100)),
			await: "(VI_1) Entering MASTER STATE"},
		{name: "unicast", config: configWith("", instance{More: "unicast_src_ip 10.0.0.1\nunicast_ttl 64\ncheck_unicast_src\nunicast_peer {\n    10.0.0.2\n    10.0.0.3 min_ttl 10 max_ttl 200\n}\nhigher_prio_send_advert\nlower_prio_no_advert"}.at(100)),
			await: "(VI_1) Entering MASTER STATE"},
		{name: "authentication", config: configWith("",
			instance{Version: 2, Name: "PASS", VRID: 1, More: "authentication {\n    auth_type PASS\n    auth_pass secret\n}"}.at(100),
			instance{Version: 2, Name: "AH", VRID: 2, VIPs: []string{vip2.String()}, More: "authentication {\n    auth_type AH\n    auth_pass secret\n}\nskip_check_adv_addr\ndont_track_primary\ndebug 2"}.at(90)),
			await: "(AH) Entering MASTER STATE"},
		{name: "backup", config: configWith("", instance{Name: "V3", More: "preempt_delay 10"}.at(50), instance{Name: "V2", Version: 2, VRID: 5, VIPs: []string{vip2.String() + "/16"}}.at(50)),
			other: configWith("", instance{Name: "V3", State: "MASTER"}.at(150), instance{Name: "V2", Version: 2, VRID: 5, State: "MASTER", VIPs: []string{vip2.String() + "/16"}}.at(150)),
			await: "(V2) Entering BACKUP STATE"},
		{name: "sync group", config: configWith(secure, instance{Name: "A", VRID: 1}.at(100), instance{Name: "B", VRID: 2, VIPs: []string{vip2.String()}}.at(100)) +
			"vrrp_sync_group G {\n    group {\n        A\n        B\n    }\n    notify \"/usr/bin/true all\"\n    notify_master /usr/bin/true\n    notify_backup /usr/bin/true\n    notify_fault /usr/bin/true\n    notify_stop /usr/bin/true\n    sync_group_tracking_weight\n    track_interface {\n        lo weight 3\n    }\n}\n",
			await: "(B) Entering MASTER STATE"},
		{name: "scripts", config: configWith(secure) + fmt.Sprintf(script, "ok", "true", "weight 5\n    rise 2\n    fall 3") + fmt.Sprintf(script, "bad", "false a b", "weight -7") +
			fmt.Sprintf(script, "needed", "true", "user nobody nogroup") + instance{}.at(100).tracks("script", "ok\nbad weight -9\nneeded").String(),
			await: "(VI_1) Entering MASTER STATE"},
		{name: "files and processes", config: configWith("") + "track_file F {\n    file DIR/number\n    weight 2\n    init_file 3 overwrite\n}\n" +
			"vrrp_track_process P {\n    process no-such-process\n    weight -4\n    quorum 2\n    quorum_max 5\n    fork_delay 1.5\n    terminate_delay 2\n}\n" +
			"vrrp_track_process Q {\n    process no-such a b\n    param_match partial\n    full_command\n    weight -3\n}\n" +
			instance{}.at(100).tracks("file", "F weight 3").tracks("process", "P\nQ weight -8").String(),
			await: "(VI_1) Entering MASTER STATE"},
		{name: "notifications", config: configWith(secure+"\nnotification_email {\n    a@b.c\n    d@e.f\n}\nnotification_email_from me@here\nsmtp_server 127.0.0.1 2525\nsmtp_connect_timeout 3\nsmtp_helo_name hello\nsmtp_alert_vrrp off\nvrrp_notify_fifo DIR/fifo\nvrrp_notify_fifo_script /usr/bin/cat\nnotify_fifo DIR/other\nvrrp_notify_priority_changes\nfifo_write_vrrp_states_on_reload",
			instance{More: "notify \"/usr/bin/true 'a b'\"\nnotify_master /usr/bin/true\nnotify_backup /usr/bin/true\nnotify_fault /usr/bin/true\nnotify_stop /usr/bin/true\nnotify_deleted /usr/bin/true\nnotify_master_rx_lower_pri /usr/bin/true\nsmtp_alert off"}.at(100)),
			await: "(VI_1) Entering MASTER STATE"},
		{name: "routes and rules", config: configWith("", instance{More: "virtual_routes {\n    192.168.5.0/24 via 10.0.0.9 dev eth0 metric 5 mtu 1400\n    192.168.7.0/24 table 12 src 10.0.0.1 nexthop via 10.0.0.7 dev eth0 weight 2 nexthop via 10.0.0.8 dev eth0 weight 3\n}\nvirtual_rules {\n    from 10.0.0.100 table 10 priority 99\n    not to 192.168.1.0/24 lookup main priority 101\n}"}.at(100)) +
			"static_ipaddress {\n    10.0.88.1/24 dev eth0\n}\nstatic_routes {\n    192.168.77.0/24 via 10.0.0.9 dev eth0\n}\nstatic_rules {\n    from 10.9.9.0/24 table 100 priority 7\n}\n",
			await: "(VI_1) Entering MASTER STATE"},
		{name: "global_defs", config: configWith("vrrp_mcast_group4 224.0.0.19\nvrrp_mcast_group6 ff02::13\nvrrp_garp_master_delay 4\nvrrp_garp_master_repeat 6\nvrrp_garp_master_refresh 70\nvrrp_garp_master_refresh_repeat 2\nvrrp_garp_lower_prio_delay 8\nvrrp_garp_lower_prio_repeat 9\nvrrp_garp_interval 0.001\nvrrp_gna_interval 0.000002\nvrrp_down_timer_adverts 4\nvrrp_garp_extra_if 100\nvrrp_version 3\nvrrp_skip_check_adv_addr\nvrrp_higher_prio_send_advert\nvrrp_lower_prio_no_advert\nmax_auto_priority 20\nmin_auto_priority_delay 1000\nvrrp_priority -5\nvrrp_no_swap\nchecker_priority 3\nbfd_priority 4\nbfd_rlimit_rttime 5\nvrrp_rlimit_rttime 20000\nchecker_rlimit_rttime 7\nprocess_names\nvrrp_process_name vx\nvrrp_netlink_cmd_rcv_bufs 65536\nvrrp_netlink_monitor_rcv_bufs_force\nprocess_monitor_rcv_bufs 123456\nlvs_netlink_cmd_rcv_bufs 65537\nvrrp_rx_bufs_policy MTU\nvrrp_rx_bufs_multiplier 5\nlvs_flush\nlvs_flush_on_stop VS\nlvs_timeouts tcp 7200 tcpfin 120\nrs_init_notifies\nchecker_log_all_failures\ndynamic_interfaces allow_if_changes\ndisable_local_igmp\nnftables kt\nnftables_priority 7\nnftables_counters\nsmtp_alert\nsmtp_server 127.0.0.1 2525\nnotification_email {\n    a@b.c\n}\nsmtp_alert_checker off\nno_email_faults\nreload_check_config DIR/check.log\nreload_time_file DIR/time\nreload_repeat\nreload_file DIR/reading\nconfig_save_dir DIR/saved\ntmp_config_directory DIR\ndata_use_instance off\nvrrp_startup_delay 0.1\nlog_unknown_vrids\numask 0137\nsnmp_socket tcp:127.0.0.1:705\nscript_user nobody nogroup\ndbus_service_name org.example",
			instance{}.at(100)), await: "(VI_1) Entering MASTER STATE"},
		{name: "interfaces", config: configWith("", instance{More: "track_interface {\n    eth1 weight 10\n    lo weight 5 reverse\n}"}.at(100), instance{Name: "OTHER", Iface: "eth1", VRID: 9, VIPs: []string{"10.1.77.1/24"}, More: "strict_mode\nvirtual_ipaddress_excluded {\n}"}.at(100)) +
			"linkbeat_interfaces {\n    eth1 ETHTOOL\n}\ninterface_up_down_delays {\n    eth1 0.15 0.125\n}\ngarp_group {\n    garp_interval 0.5\n    gna_interval 0.25\n    interfaces {\n        eth0\n        eth1\n    }\n}\n",
			await: "(OTHER) Entering MASTER STATE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			mine, upstream := beside(t, 2, []string{"a", "b"}, func(s *scene, p lab.Program) dumped {
				if c.other != "" {
					s.start("b", p, c.other)
				}
				dir := s.Node("a").Dir
				d := s.start("a", p, strings.ReplaceAll(c.config, "DIR", dir))
				s.awaitLog(d, d.Started, c.await, 8*time.Second)
				// The adverts, addresses and results of the first moments.
				s.Until(1500*time.Millisecond, func() bool { return false })
				out := s.dumps(d)
				for _, text := range []*string{&out.data, &out.parent} {
					*text = strings.ReplaceAll(*text, dir, "DIR")
				}
				return out
			})
			if t.Failed() {
				return
			}
			compareText(t, "keepalived.data", mine.data, upstream.data)
			compareText(t, "keepalived_parent.data", mine.parent, upstream.parent)
			compareStats(t, mine.stats, upstream.stats)
			compareJSON(t, mine.json, upstream.json)
		})
	}
}

// reasons say why a line of a state dump is otherwise here: it matches what the
// C daemon has.
var reasons = []struct{ line, why string }{
	{` = \d+\.\d+ \(`, "a time"},
	{`^Interfaces/.*/(index|IPv6 address|MAC) = `, "the two run on different machines"},
	{`/Using src_ip = fe80`, "likewise"},
	{`^VRRP Topology/.*/Multicast address .*ifindex`, "likewise"},
	{`fd_(in|out)`, "likewise"},
	{`^Interfaces/.*/MAC broadcast = `, "is not asked for"},
	{`^Interfaces/.*/Seen up = `, "there is no such state: what an interface is now is all that counts"},
	{`^Interfaces/vrrp|nft`, "there is no firewall yet"},
	{`/Master router = `, "the C daemon shows what its memory holds before it has heard a master"},
	{`^VRRP Topology/.*/Password = `, "a secret"},
	{`realtime limit = 10000$`, "a Go program needs more time to start"},
	{` = 4294967295$`, "what is not set is shown as a number"},
	{`/no_checker_emails = `, "the word has no effect yet"},
	{`/No reload scheduled|/Reload scheduled`, "the parent knows"},
	{`^Gratuitous ARP delays/|^GARP delay group`, "groups are numbered; nothing waits for its turn"},
	{`^VRRP Topology/.*/(Read timeout|Last transition) = `, "a time"},
	{`^VRRP Scripts/.*/Result = `, "the C daemon counts only some results"},
	{`^VRRP Sockpool/`, "one socket where the C daemon has two"},
	{`^Global definitions/libnftnl`, "nftables is not a library here"},
}

var (
	sectionLine = regexp.MustCompile(`^-+< (.*) >-+$`)
	itemLine    = regexp.MustCompile(`^ ?(VRRP Instance|Name|VRRP Sync Group|VRRP Script|Track file|VRRP Track process|VRRP Track BFD|Static Track Group) = ([^,]*)`)
)

// keyed are the "key = value" lines of a state dump, each below its section and
// the thing it is about.
func keyed(text string) (lines []string) {
	section, item := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if m := sectionLine.FindStringSubmatch(line); m != nil {
			section, item = m[1], ""
			continue
		}
		if m := itemLine.FindStringSubmatch(line); m != nil && strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "  ") {
			item = m[2] + "/"
		}
		if strings.Contains(line, " = ") || strings.HasSuffix(line, " =") {
			lines = append(lines, section+"/"+item+strings.TrimSpace(line))
		}
	}
	return lines
}

// compareText wants each keyed line of upstream among ours, in its order, unless
// there is a reason.
func compareText(t *testing.T, name, mine, upstream string) {
	t.Helper()
	have := keyed(mine)
	at := 0
	for _, want := range keyed(upstream) {
		if i := slices.Index(have[at:], want); i >= 0 {
			at += i + 1
			continue
		}
		if !slices.ContainsFunc(reasons, func(r struct{ line, why string }) bool {
			return regexp.MustCompile(r.line).MatchString(want)
		}) {
			key, _, _ := strings.Cut(want, " = ")
			i := slices.IndexFunc(have, func(l string) bool { return strings.HasPrefix(l, key+" = ") })
			got := "nothing"
			if i >= 0 {
				got = have[i]
			}
			t.Errorf("%s: upstream has %q, ours %q", name, want, got)
		}
	}
}

// compareStats wants the names of upstream, in its order.
func compareStats(t *testing.T, mine, upstream string) {
	t.Helper()
	names := func(text string) (out []string) {
		for line := range strings.Lines(text) {
			name, _, _ := strings.Cut(line, ": ")
			out = append(out, strings.TrimRight(name, "\n"))
		}
		return out
	}
	have := names(mine)
	for _, want := range names(upstream) {
		i := slices.Index(have, want)
		if i < 0 {
			t.Errorf("keepalived.stats: no %q in\n%s", want, mine)
			return
		}
		have = have[i+1:]
	}
}

// compareJSON wants upstream's keys in upstream's order, with values of the same
// type and, where they are not of the moment, the same.
func compareJSON(t *testing.T, mine, upstream []byte) {
	t.Helper()
	type part = []struct {
		Data, Stats json.RawMessage
	}
	var a, b part
	if err := json.Unmarshal(mine, &a); err != nil {
		t.Fatalf("keepalived.json: %v\n%s", err, mine)
	}
	if err := json.Unmarshal(upstream, &b); err != nil {
		t.Fatalf("upstream's keepalived.json: %v\n%s", err, upstream)
	}
	if len(a) != len(b) {
		t.Fatalf("keepalived.json has %d instances, upstream's %d", len(a), len(b))
	}
	moment := []string{"last_transition", "auth_data", "master_priority"}
	for i := range b {
		for _, p := range []struct {
			name        string
			mine, other json.RawMessage
			values      bool
		}{{"data", a[i].Data, b[i].Data, true}, {"stats", a[i].Stats, b[i].Stats, false}} {
			have, want := members(t, p.mine), members(t, p.other)
			at := 0
			for _, w := range want {
				k := slices.IndexFunc(have[at:], func(m member) bool { return m.key == w.key })
				if k < 0 {
					t.Errorf("keepalived.json: %s of instance %d has no %q in its place", p.name, i, w.key)
					continue
				}
				at += k + 1
				got := have[at-1]
				switch {
				case fmt.Sprintf("%T", got.value) != fmt.Sprintf("%T", w.value):
					t.Errorf("keepalived.json: %q is %v, upstream's is %v", w.key, got.value, w.value)
				case p.values && !slices.Contains(moment, w.key) && fmt.Sprint(got.value) != strings.ReplaceAll(fmt.Sprint(w.value), " nftable_set", ""):
					t.Errorf("keepalived.json: %q is %v, upstream's is %v", w.key, got.value, w.value)
				}
			}
			if p.values && len(have) != len(want) {
				t.Errorf("keepalived.json: data of instance %d has %d keys, upstream's %d", i, len(have), len(want))
			}
		}
	}
}

type member struct {
	key   string
	value any
}

// members are the members of a JSON object in their order.
func members(t *testing.T, object []byte) (out []member) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(object)))
	d.Token() // {
	for d.More() {
		key, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		out = append(out, member{key.(string), v})
	}
	return out
}
