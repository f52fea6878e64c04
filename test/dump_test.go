package test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// dumped is the contents of all dumps of a daemon.
type dumped struct {
	data, parent, stats string
	json                []byte
}

// dumps requests all dumps and waits for them.
func (s *scene) dumps(d *lab.Daemon) (out dumped) {
	s.Helper()
	for _, name := range []string{"keepalived.data", "keepalived_parent.data", "keepalived.stats", "keepalived.json"} {
		os.Remove(filepath.Join(d.Dir, name))
	}
	s.must(d.Signal(unix.SIGUSR1))
	s.must(d.Signal(unix.SIGUSR2))
	out.data = s.dumpFile(d, "keepalived.data", "\n Name = eth0\n")
	out.parent = s.dumpFile(d, "keepalived_parent.data", " umask = ")
	out.stats = s.dumpFile(d, "keepalived.stats", "Priority Zero:\n")
	s.must(d.Signal(36)) // after the others, so that its counters are later
	out.json = []byte(s.dumpFile(d, "keepalived.json", "pri_zero_sent"))
	return out
}

// dumpsIn requests dumps until they show all virtual routers in a state, and each script
// with a result and not running.
func (s *scene) dumpsIn(d *lab.Daemon, state string) (out dumped) {
	s.Helper()
	inState := regexp.MustCompile(`(?m)^ VRRP Instance = .*\n(?:   .*\n)*?   State = (.*)$`)
	settled := func() bool {
		for _, m := range inState.FindAllStringSubmatch(out.data, -1) {
			if m[1] != state {
				return false
			}
		}
		return !strings.Contains(out.data, "   State = running\n") && !strings.Contains(out.data, "   Init state = INIT\n")
	}
	if !s.Until(15*time.Second, func() bool {
		out = s.dumps(d)
		return settled() && strings.Count(string(out.json), fmt.Sprintf(`"state":%d,`, slices.Index(routerStates, state))) == strings.Count(string(out.json), `"iname":`)
	}) {
		s.Fatalf("not everything comes to rest in state %s:\n%s\n%s", state, out.data, out.json)
	}
	return out
}

// dumpFile waits until a file contains the text and does not grow: the C daemon writes
// some dumps in place.
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

// TestDumpsAreThoseOfC checks, for configurations of all kinds, that the dumps have the
// keys of the C daemon's dumps with the same values, except for the listed differences.
func TestDumpsAreThoseOfC(t *testing.T) {
	differs(t, "is what it is compared with")
	t.Parallel()
	const script = "vrrp_script %s {\n    script \"/usr/bin/%s\"\n    interval 1\n    timeout 1\n    %s\n}\n"
	secure := "enable_script_security\nscript_user root"
	in := instance{Version: 2}
	cases := []struct {
		name   string
		config string
		await  string // a line of the log of both programs
		other  string // configuration of a second node, if there is one
		state  string // of all virtual routers when the dumps are taken; empty: MASTER
	}{
		{name: "version 2", config: configWith("", in.at(100)), await: "(VI_1) Entering MASTER STATE"},
		{name: "version 3", config: configWith("", instance{Interval: 250 * time.Millisecond, VIPs: []string{vip.String(), vip2.String() + "/16 label eth0:x brd +", "10.0.66.1/24 peer 10.0.66.2 brd +"},
			Excluded: []string{"10.0.77.1/24 no_track"}, More: "nopreempt\ngarp_master_delay 1\ngarp_master_refresh 60\ngarp_lower_prio_repeat 2\nno_accept"}.at(100)),
			await: "(VI_1) Entering MASTER STATE"},
		{name: "IPv6", config: configWith("", instance{VIPs: []string{"fe80::77/64", vip6.String() + "/64 preferred_lft 30"}, More: "native_ipv6\npromote_secondaries"}.at(100)),
			await: "(VI_1) Entering MASTER STATE"},
		{name: "unicast", config: configWith("", instance{More: "unicast_src_ip 10.0.0.1\nunicast_ttl 64\ncheck_unicast_src\nunicast_peer {\n    10.0.0.2\n    10.0.0.3 min_ttl 10 max_ttl 200\n}\nhigher_prio_send_advert\nlower_prio_no_advert"}.at(100)),
			await: "(VI_1) Entering MASTER STATE"},
		{name: "unicast, checked by all", config: configWith("vrrp_check_unicast_src", instance{Name: "CHECKED", More: "unicast_peer {\n    10.0.0.2\n}"}.at(100)),
			await: "(CHECKED) Entering MASTER STATE"},
		{name: "authentication", config: configWith("",
			instance{Version: 2, Name: "PASS", VRID: 1, More: "authentication {\n    auth_type PASS\n    auth_pass secret\n}"}.at(100),
			instance{Version: 2, Name: "AH", VRID: 2, VIPs: []string{vip2.String()}, More: "authentication {\n    auth_type AH\n    auth_pass secret\n}\nskip_check_adv_addr\ndont_track_primary\ndebug 2"}.at(90)),
			await: "(AH) Entering MASTER STATE"},
		{name: "backup", config: configWith("", instance{Name: "V3", More: "preempt_delay 10"}.at(50), instance{Name: "V2", Version: 2, VRID: 5, VIPs: []string{vip2.String() + "/16"}}.at(50)),
			other: configWith("", instance{Name: "V3", State: "MASTER"}.at(150), instance{Name: "V2", Version: 2, VRID: 5, State: "MASTER", VIPs: []string{vip2.String() + "/16"}}.at(150)),
			await: "(V2) Entering BACKUP STATE", state: "BACKUP"},
		{name: "fault", config: configWith(secure) + "track_file F {\n    file DIR/none\n    weight 0\n    init_file -5\n}\n" + fmt.Sprintf(script, "bad", "false", "") +
			instance{Name: "S", VRID: 3, State: "MASTER", VIPs: []string{"10.0.3.241"}}.at(80).tracks("file", "F").String() +
			instance{Name: "T", VRID: 4, VIPs: []string{"10.0.3.242"}}.at(80).tracks("script", "bad").String() +
			instance{Name: "U", VRID: 5, Iface: "eth1", VIPs: []string{"10.0.3.243"}, More: "unicast_src_ip 10.9.9.9\nunicast_peer {\n    10.1.0.2\n}"}.at(80).String(),
			await: "(U) Entering FAULT STATE", state: "FAULT"},
		{name: "as found", config: configWith(secure) + "vrrp_script a {\n    script true\n    interval 1\n    timeout 1\n    weight 1\n}\nvrrp_script b {\n    script \"/bin/true a  b 'c d'\"\n    interval 1\n    timeout 1\n    weight 2\n}\nvrrp_script c {\n    script /usr//bin/../bin/true\n    interval 1\n    timeout 1\n    weight 3\n}\n" +
			instance{VIPs: []string{"fe80::77/64", "fd00::106/64 -nodad home noprefixroute no_track", "fd00::107/64 scope site preferred_lft 0", "fd00::108"},
				Excluded: []string{"10.0.3.232/16 preferred_lft 100", "10.0.3.233/16 preferred_lft 0 -nodad home", "10.0.3.234 scope link"},
				More:     "preempt_delay 1.5\nnotify \"true x\"\nnotify_master /bin/true\nnotify_backup \"/usr//bin/../bin/true y\"\nnotify_fault true"}.at(100).tracks("script", "a\nb\nc").String(),
			await: "(VI_1) Entering MASTER STATE"},
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
		{name: "routes and rules", config: configWith("", instance{More: "virtual_routes {\n    192.168.5.0/24 via 10.0.0.9 dev eth0 metric 5 mtu 1400\n    192.168.6.0/24 via 10.0.0.9 dev eth0 no_track\n    192.168.7.0/24 table 12 src 10.0.0.1 nexthop via 10.0.0.7 dev eth0 weight 2 nexthop via 10.0.0.8 dev eth0 weight 3\n}\nvirtual_rules {\n    from 10.0.0.100 table 10 priority 99\n    not to 192.168.1.0/24 lookup main priority 101\n    from 10.0.0.101 table 10\n    from 10.0.0.102 table 10 no_track\n}"}.at(100)) +
			"static_ipaddress {\n    10.0.88.1/24 dev eth0\n}\nstatic_routes {\n    192.168.77.0/24 via 10.0.0.9 dev eth0\n}\nstatic_rules {\n    from 10.9.9.0/24 table 100 priority 7\n    from 10.9.8.0/24 table 100\n}\n",
			await: "(VI_1) Entering MASTER STATE"},
		{name: "global_defs", config: configWith("vrrp_mcast_group4 224.0.0.19\nvrrp_mcast_group6 ff02::13\nvrrp_garp_master_delay 4\nvrrp_garp_master_repeat 6\nvrrp_garp_master_refresh 70\nvrrp_garp_master_refresh_repeat 2\nvrrp_garp_lower_prio_delay 8\nvrrp_garp_lower_prio_repeat 9\nvrrp_garp_interval 0.001\nvrrp_gna_interval 0.000002\nvrrp_down_timer_adverts 4\nvrrp_garp_extra_if 100\nvrrp_version 3\nvrrp_skip_check_adv_addr\nvrrp_higher_prio_send_advert\nvrrp_lower_prio_no_advert\nmax_auto_priority -1\nmin_auto_priority_delay 1000\nvrrp_rt_priority 3\nvrrp_no_swap\nchecker_priority 3\nbfd_priority 4\nbfd_rlimit_rttime 5\nvrrp_rlimit_rttime 2000000\nchecker_rlimit_rttime 7\nprocess_names\nvrrp_process_name vx\nvrrp_netlink_cmd_rcv_bufs 65536\nvrrp_netlink_monitor_rcv_bufs_force\nprocess_monitor_rcv_bufs 123456\nlvs_netlink_cmd_rcv_bufs 65537\nvrrp_rx_bufs_policy MTU\nvrrp_rx_bufs_multiplier 5\nlvs_flush\nlvs_flush_on_stop VS\nlvs_timeouts tcp 7200 tcpfin 120\nrs_init_notifies\nchecker_log_all_failures\ndynamic_interfaces allow_if_changes\ndisable_local_igmp\nnftables kt\nnftables_priority 7\nnftables_counters\nsmtp_alert\nsmtp_server 127.0.0.1 2525\nnotification_email {\n    a@b.c\n}\nsmtp_alert_checker off\nno_email_faults\nreload_check_config DIR/check.log\nreload_time_file DIR/time\nreload_repeat\nreload_file DIR/reading\nconfig_save_dir DIR/saved\ntmp_config_directory DIR\ndata_use_instance off\nvrrp_startup_delay 0.1\nlog_unknown_vrids\numask 0137\nsnmp_socket tcp:127.0.0.1:705\nscript_user nobody nogroup\ndbus_service_name org.example",
			instance{}.at(100)), await: "(VI_1) Entering MASTER STATE"},
		{name: "processes and scripts", config: configWith("router_id x\nscript_user root\nenable_script_security\nstartup_script /usr/bin/true\nstartup_script_timeout 5\nshutdown_script \"/usr/bin/true a\"\nvrrp_priority -3\nvrrp_cpu_affinity 0\nchecker_cpu_affinity 0 1\nchecker_no_swap\nbfd_no_swap\nchecker_rt_priority 4\nbfd_rt_priority 5\nbfd_cpu_affinity 1\nchecker_process_name c\nbfd_process_name b\nvmac_prefix vr\nlvs_notify_fifo DIR/lvs\nvrrp_rx_bufs_policy 5000\nvrrp_min_garp\nvrrp_check_unicast_src\nnftables_ipvs kv\nnftables_ipvs_priority 3\nenable_traps\nrandom_seed 7",
			instance{More: "mcast_dst_ip 224.0.0.50\nmcast_src_ip 10.0.0.1\ntrack_src_ip\naccept\ngarp_extra_if all 30\ndown_timer_adverts 5\ngarp_master_repeat 2\ngarp_master_refresh_repeat 3\ngarp_lower_prio_delay 7\nnotify_priority_changes"}.at(100)),
			await: "(VI_1) Entering MASTER STATE"},
		{name: "corrected values", config: configWith("", instance{Version: 2, Name: "A", State: "MASTER", VRID: 1, More: "advert_int 1.5\nnopreempt\ngarp_master_repeat 0\ngarp_master_delay 0\ntrack_interface {\n    lo weight 254\n}"}.at(0)),
			await: "(A) Entering MASTER STATE"},
		{name: "strict mode", config: configWith("vrrp_strict", instance{Version: 2, Name: "A", State: "MASTER", VRID: 1, More: "accept\npreempt_delay 5\nhigher_prio_send_advert on\nlower_prio_no_advert off\ngarp_lower_prio_repeat 3"}.at(120),
			instance{Name: "B", VRID: 2, VIPs: []string{vip2.String()}, More: "advert_int 2\nnopreempt\npreempt_delay 5\nauthentication {\n    auth_type PASS\n    auth_pass secret\n}"}.at(255)),
			await: "(A) Entering MASTER STATE"},
		{name: "VMAC", config: configWith("vmac_addr_prefix vipa", instance{More: "use_vmac\nuse_vmac_addr", VIPs: []string{vip.String() + "/16", "10.1.77.1/24 dev eth1"}}.at(100), instance{Name: "B", VRID: 52, More: "use_vmac v\nvmac_xmit_base", VIPs: []string{vip2.String() + "/16"}}.at(100)),
			await: "(B) Entering MASTER STATE"},
		{name: "interfaces", config: configWith("", instance{More: "track_interface {\n    eth1 weight 10\n    lo weight 5 reverse\n}"}.at(100), instance{Name: "OTHER", Iface: "eth1", VRID: 9, VIPs: []string{"10.1.77.1/24"}, More: "strict_mode\nvirtual_ipaddress_excluded {\n}"}.at(100)) +
			"linkbeat_interfaces {\n    eth1 ETHTOOL\n}\ninterface_up_down_delays {\n    eth1 0.15 0.125\n}\ngarp_group {\n    garp_interval 0.5\n    gna_interval 0.25\n    interfaces {\n        eth0\n        eth1\n    }\n}\n",
			await: "(OTHER) Entering MASTER STATE"},
	}
	var reasons dumpDifferences
	t.Cleanup(func() { reasons.unused(t, len(cases)) })
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			mine, upstream := beside(t, 2, []string{"a", "b"}, func(s *scene, p lab.Program) dumped {
				if c.other != "" {
					s.start("b", p, c.other)
				}
				dir := s.Node("a").Dir
				d := s.start("a", p, strings.ReplaceAll(c.config, "DIR", dir))
				s.awaitLog(d, d.Started, c.await, 8*time.Second)
				// Wait for the adverts, addresses and results after the start.
				s.Watch(time.Now(), 1500*time.Millisecond, func(*lab.Event) bool { return false })
				out := s.dumpsIn(d, cmp.Or(c.state, "MASTER"))
				for _, text := range []*string{&out.data, &out.parent} {
					*text = strings.ReplaceAll(*text, dir, "DIR")
				}
				return out
			})
			if t.Failed() {
				return
			}
			reasons.compare(t, "keepalived.data", mine.data, upstream.data)
			reasons.compare(t, "keepalived_parent.data", mine.parent, upstream.parent)
			reasons.cases.Add(1)
			compareStats(t, mine.stats, upstream.stats)
			if strings.Contains(mine.data+mine.parent+string(mine.json), "secret") {
				t.Error("a password is in a dump")
			}
			compareJSON(t, mine.json, upstream.json)
			sameLayout(t, mine.data, upstream.data)
			readAlike(t, mine, upstream)
		})
	}
}

// knownDifferences lists lines of the C daemon's state dumps that differ here, with the reason.
var knownDifferences = []struct{ line, why string }{
	{`^(VRRP Topology|Interfaces)/.* = \d+\.\d+ \(`, "a time"},
	{`^Interfaces/.*/(index|IPv6 address|MAC) = `, "the two run on different machines"},
	{`/Using src_ip = fe80|/Multicast address .*ifindex`, "likewise"},
	{`fd_(in|out)`, "likewise, and there is one socket where the C daemon has two"},
	{`^Interfaces/.*/MAC broadcast = `, "is not asked for"},
	{`^Interfaces/.*/Seen up = `, "there is no such state: what an interface is now is all that counts"},
	{`/Master router = `, "the C daemon shows what its memory holds before it has heard a master"},
	{`/CHECKED/Check unicast src : no$`, "vrrp_check_unicast_src holds for the instance"},
	{`^VRRP Topology/.*/Password = `, "a secret"},
	{`realtime limit = 10000$`, "a Go program needs more time to start"},
	{` = 4294967295$`, "what is not set is shown as a number"},
	{`/no_checker_emails = `, "the word has no effect yet"},
	{`/GN?ARP next time|^GARP delay group`, "groups are numbered; nothing waits for its turn"},
	{`^Global definitions/Gratuitous ARP refresh repeat = 0$`, "vrrp_min_garp: a refresh with no announcement would be none"},
	{`^Global definitions/.* CPU Affinity =`, "the C daemon does not show CPU 0"},
	{`^Global definitions/Shutdown script = .* uid:gid \d+:\d+ timeout`, "the comma is there as in the line of startup_script"},
	{`/libnftnl version`, "there is no such library"},
	{`/No reload scheduled$`, "only the parent knows"},
	{`/Flags:$`, "the C daemon has flags that it does not name"},
	{`^Interfaces/.*/(Reset|Original|rp_filter|Not IPv6 forwarding)`, "what it changed in the kernel is put back by comparing, not from memory"},
	{`^Interfaces/.*/Gratuitous ARP aggregation group`, "groups are numbered"},
	{`^Interfaces/eth0/AH, weight 255$`, "dont_track_primary: nothing is tracked"},
	{`^VRRP Sockpool/.* vrid `, "the order of arrival at a socket"},
	{`^VRRP Scripts/.*/VRRP instances :$`, "named as for the other trackers: Tracking instances"},
	{`/B/Master down timer = 1 usecs$`, "the C daemon shows what its memory holds while master"},
	{`^Global definitions/nftables (table name = keepalived|base chain priority = -1|don't force use ifindex.*)$`, "a firewall that nobody has asked for is not there yet"},
}

// dumpDifferences compares state dumps, and records which of the listed differences occurred.
type dumpDifferences struct {
	used  sync.Map
	cases atomic.Int32
}

// unused fails for a listed difference that did not occur, if all cases have been run.
func (r *dumpDifferences) unused(t *testing.T, cases int) {
	if int(r.cases.Load()) < cases {
		return
	}
	for _, o := range knownDifferences {
		if _, ok := r.used.Load(o.line); !ok {
			t.Errorf("no dump has a line like %q that differs", o.line)
		}
	}
}

var (
	// onlyHere is what the C daemon has done for an address.
	onlyHere    = regexp.MustCompile(`( set)?( nftable_set)?$`)
	sectionLine = regexp.MustCompile(`^-+< (.*) >-+$`)
	itemLine    = regexp.MustCompile(`^ ?(VRRP Instance|Name|VRRP Sync Group|VRRP Script|Track file|VRRP Track process|VRRP Track BFD|Static Track Group) = ([^,]*)`)
)

// keyed returns the lines of a state dump, each with its section and its object.
func keyed(text string) (lines []string) {
	section, item := "", ""
	for line := range strings.Lines(text) {
		line = onlyHere.ReplaceAllString(strings.TrimRight(line, "\n"), "")
		if m := sectionLine.FindStringSubmatch(line); m != nil {
			section, item = m[1], ""
			continue
		}
		if m := itemLine.FindStringSubmatch(line); m != nil && strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "  ") {
			item = m[2] + "/"
		}
		if line != "" {
			lines = append(lines, section+"/"+item+strings.TrimSpace(line))
		}
	}
	return lines
}

// compare checks that each keyed line of upstream is among ours, in the same order, or a
// listed difference.
func (r *dumpDifferences) compare(t *testing.T, name, mine, upstream string) {
	t.Helper()
	have := keyed(mine)
	at := 0
lines:
	for _, want := range keyed(upstream) {
		if i := slices.Index(have[at:], want); i >= 0 {
			at += i + 1
			continue
		}
		for _, o := range knownDifferences {
			if regexp.MustCompile(o.line).MatchString(want) {
				r.used.Store(o.line, true)
				continue lines
			}
		}
		key, _, _ := strings.Cut(want, " = ")
		got := "nothing"
		if i := slices.IndexFunc(have, func(l string) bool { return strings.HasPrefix(l, key+" = ") }); i >= 0 {
			got = have[i]
		}
		t.Errorf("%s: upstream has %q, ours %q", name, want, got)
	}
}

// compareStats checks that ours has the names of upstream, in the same order.
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

// compareJSON checks that ours has upstream's keys in the same order, with values of the
// same type and, unless they change from moment to moment, the same values.
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
	later := []string{"track_process"} // the C daemon has these keys after 2.2.7
	for i := range b {
		for _, p := range []struct {
			name        string
			mine, other json.RawMessage
			values      bool
		}{{"data", a[i].Data, b[i].Data, true}, {"stats", a[i].Stats, b[i].Stats, false}} {
			have, want := members(t, p.mine), members(t, p.other)
			have = slices.DeleteFunc(have, func(m member) bool { return slices.Contains(later, m.key) })
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
				case kindOf(got.value) != kindOf(w.value):
					t.Errorf("keepalived.json: %q is %v, %s, upstream's is %v, %s", w.key, got.value, kindOf(got.value), w.value, kindOf(w.value))
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

// kindOf distinguishes the types of JSON, and integers among numbers: programs decode
// them into types of their languages.
func kindOf(v any) string {
	if n, ok := v.(json.Number); ok {
		if _, err := n.Int64(); err == nil {
			return "an integer"
		}
		return "a number with a fraction"
	}
	return fmt.Sprintf("a %T", v)
}

type member struct {
	key   string
	value any
}

// members returns the members of a JSON object in order.
func members(t *testing.T, object []byte) (out []member) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(object)))
	d.UseNumber()
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

// dataWhen waits until a state dump that was begun after another one has contained all the texts
// does so, too: a dump is made in slices, and what is ahead of a text may be older.
func (s *scene) dataWhen(d *lab.Daemon, name string, texts ...string) string {
	s.Helper()
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(d.Dir, name)
	}
	missing := func(data string) []string {
		return slices.DeleteFunc(slices.Clone(texts), func(text string) bool { return strings.Contains(data, text) })
	}
	data, before := "", false
	if !s.Until(8*time.Second, func() bool {
		os.Remove(path)
		s.must(d.Signal(unix.SIGUSR1))
		if !s.Until(2*time.Second, func() bool { _, err := os.Stat(path); return err == nil }) {
			return false
		}
		b, err := os.ReadFile(path) // the file is complete, because it is renamed into place
		data = string(b)
		again := before
		before = err == nil && len(missing(data)) == 0
		return again && before
	}) {
		s.Fatalf("%s does not say %q:\n%s", name, missing(data), data)
	}
	return data
}

// TestDumpHasReasons checks that the state dump has the trackers with their last results,
// the calculation of the priority, the history, the results of notifications, and what is
// disabled or unsent.
func TestDumpHasReasons(t *testing.T) {
	differs(t, "has no such sections")
	t.Parallel()
	s := newScene(t, "a", "b")
	check := s.script("a", "check", `test ! -e "$0.fail"`)
	recorder, _ := s.recorder("a", "recorded")
	a := s.start("a", ours, configWith("smtp_server 127.0.0.1\nnotification_email {\n    a@b.c\n}\nstate_dump_file "+s.path("a", "state")+"\nvrrp_notify_fifo "+s.path("a", "fifo"))+
		"vrrp_script chk {\n    script "+check+"\n    interval 1\n    weight -20\n}\n"+
		"vrrp_script gone {\n    script /not/there\n    interval 1\n    weight 5\n}\n"+
		instance{More: "notify_master " + recorder + "\nnotify_backup /not/there/either\nsmtp_alert"}.at(100).tracks("script", "chk\ngone").String())
	s.awaitOwner(vip, 3*time.Second, "a")
	s.start("b", ours, config(instance{VRID: 99, VIPs: []string{vip2.String()}}.at(90))) // a foreign router
	s.awaitOwner(vip2, 3*time.Second, "b")
	s.write("a", "check.fail", "")
	data := s.dataWhen(a, s.path("a", "state"),
		"------< Reasons >------\n Reasons of VI_1\n   Faults = none\n   Arithmetic = 100 - 20 (track_script chk: exited with status 1) = 80\n",
		"     track_script chk weight -20, down: exited with status 1",
		"     track_script gone weight 5, disabled: /not",
		" INIT -> BACKUP (start)\n", " BACKUP -> MASTER (no-master): no master has been heard for ",
		"------< Notifications >------\n", "   Last = notify_master "+recorder+": exited with status 0, ",
		" FIFO = ", "   Written = 2\n", " Mail = 127.0.0.1\n", "   Waiting = 2\n   Sent = 0\n",
		"------< Disabled scripts >------\n", "vrrp_script gone = '/not/there', ", "notify_backup of VI_1 = /not/there/either, disabled: ",
		"------< Packets that reached no instance >------\n  vrid_err = ",
	)
	if own, theirs := strings.Index(data, "------< Reasons"), strings.Index(data, "------< Interfaces"); own < theirs {
		t.Error("our sections are not behind those of the C daemon")
	}
	// Exporters find the instance and the scripts, once each.
	byName, err := byInstance(data)
	if in := byName["VI_1"]; err != nil || len(byName) != 1 || in.State != 2 || in.Want != 2 || in.Interface != "eth0" || in.VRID != 51 || len(in.Addresses) != 1 {
		t.Errorf("an exporter reads %+v, %v", in, err)
	}
	if list, err := inOrder(data); err != nil || len(list) != 1 || list[0].Name != "VI_1" {
		t.Errorf("an exporter reads %+v, %v", list, err)
	}
	if scripts := readScripts(data); len(scripts) != 2 || scripts[0].Name != "chk" || scripts[0].Status != "BAD" || scripts[1].Name != "gone" {
		t.Errorf("an exporter reads %+v", scripts)
	}
	shown, own, _ := strings.Cut(data, "------< Reasons >------\n")
	_, keys := layout(shown)
	ownBegins(t, own, keys)
	s.dataWhen(a, s.path("a", "state_parent"), "------< Global definitions >------\n")
}

// TestDumpConfiguration checks that -d logs the configuration at the start, and after a
// reload the one in force.
func TestDumpConfiguration(t *testing.T) {
	differs(t, "is not asked")
	t.Parallel()
	s := newScene(t, "a")
	in := instance{}.at(100)
	a := s.start("a", ours, config(in)+"bfd_instance peer {\n    neighbor_ip 10.0.0.9\n}\n", "-d")
	s.awaitOwner(vip, 3*time.Second, "a")
	for _, line := range []string{
		"------< Global definitions >------", " Router ID = lab", "------< BFD Topology >------", "   Neighbor IP = 10.0.0.9",
		"------< VRRP Topology >------", " VRRP Instance = VI_1", "   Wantstate = BACKUP", "   Priority = 100", " Name = eth0",
	} {
		s.awaitLog(a, a.Started, line, 3*time.Second)
	}
	if a.Logged(a.Started, "   Last transition = ") {
		t.Error("there is a state before anything has begun")
	}
	from := time.Now()
	s.must(a.Reload(config(in.at(90))))
	s.awaitLog(a, from, "   Priority = 90", 3*time.Second)
	s.awaitLog(a, from, "   State = MASTER", 3*time.Second)
}

// TestJSONVersion2 checks that version 2 has the same instances, and the tracked
// processes.
func TestJSONVersion2(t *testing.T) {
	differs(t, "does not know the word before 2.3")
	t.Parallel()
	s := newScene(t, "a")
	a := s.start("a", ours, configWith("json_version 2\njson_dump_file "+s.path("a", "out.json"))+
		"vrrp_track_process P {\n    process no-such a b\n    param_match initial\n    quorum 2\n    quorum_max 4\n    weight -3\n    fork_delay 1.5\n    terminate_delay 2\n    full_command\n}\n"+
		instance{}.at(100).tracks("process", "P").String())
	s.awaitOwner(vip, 3*time.Second, "a")
	s.must(a.Signal(36))
	var out struct {
		VRRP []struct {
			Data struct {
				Name     string   `json:"iname"`
				Priority int      `json:"effective_priority"`
				State    int      `json:"state"`
				Tracked  []string `json:"track_process"`
			}
			Stats map[string]int
		}
		Processes json.RawMessage `json:"track_process"`
	}
	var text []byte
	if !s.Until(3*time.Second, func() bool {
		var err error
		text, err = os.ReadFile(s.path("a", "out.json"))
		return err == nil
	}) {
		t.Fatal("there is no dump")
	}
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(out.VRRP) != 1 || out.VRRP[0].Data.Name != "VI_1" || out.VRRP[0].Data.Priority != 97 || out.VRRP[0].Data.State != 2 || out.VRRP[0].Stats["become_master"] != 1 || !slices.Equal(out.VRRP[0].Data.Tracked, []string{"P"}) {
		t.Errorf("vrrp: %+v", out.VRRP)
	}
	want := `[{"process":"no-such","parameters":"a b","param_match":"initial","min_processes":2,"max_processes":4,"current_processes":0,` +
		`"have_quorum":false,"weight":-3,"terminate_delay":2,"fork_delay":1.5,"fork_delay_timer_running":false,"terminate_delay_timer_running":false,"full_command":true}]`
	if string(out.Processes) != want {
		t.Errorf("track_process:\n%s\nwant\n%s", out.Processes, want)
	}
}

// TestDumpsOfMany checks that the dumps of hundreds of virtual routers are complete, that
// adverts continue meanwhile, and that statistics are cleared only after they were
// written.
func TestDumpsOfMany(t *testing.T) {
	differs(t, "is silent for a while")
	t.Parallel()
	s := newScene(t, "a")
	const n = 250
	var all []instance
	for i := range n {
		all = append(all, instance{Name: fmt.Sprintf("VI_%d", i), VRID: i + 1, VIPs: []string{lab.SegmentAddr(0, 2000+i).String()}}.at(100))
	}
	a := s.start("a", ours, config(all...))
	s.awaitOwner(lab.SegmentAddr(0, 2000+n-1), 5*time.Second, "a")
	from := time.Now()
	for range 3 {
		data := s.dataWhen(a, "keepalived.data", "------< Reasons >------")
		if got := strings.Count(data, "   State = MASTER\n"); got != n {
			t.Errorf("%d of %d virtual routers are in the dump", got, n)
		}
	}
	s.must(a.Signal(63))
	stats := s.dumpFile(a, "keepalived.stats", fmt.Sprintf("VRRP Instance: VI_%d\n", n-1))
	if got := strings.Count(stats, "  Became master: 1\n"); got != n {
		t.Errorf("%d of %d virtual routers became master", got, n)
	}
	s.must(os.Remove(filepath.Join(a.Dir, "keepalived.stats")))
	s.must(a.Signal(unix.SIGUSR2))
	stats = s.dumpFile(a, "keepalived.stats", fmt.Sprintf("VRRP Instance: VI_%d\n", n-1))
	if got := strings.Count(stats, "  Became master: 0\n"); got != n {
		t.Errorf("%d of %d statistics were cleared", got, n)
	}
	s.neverQuiet("a", from, time.Now(), instance{}.interval()*5/2)
}

// TestReloadKeepsData checks that config_save_dir has the data before and after a reload.
func TestReloadKeepsData(t *testing.T) {
	differs(t, "needs a directory that is there")
	t.Parallel()
	s := newScene(t, "a")
	saved := "config_save_dir " + s.path("a", "saved")
	a := s.start("a", ours, configWith(saved, instance{}.at(100)))
	s.awaitOwner(vip, 3*time.Second, "a")
	s.must(a.Reload(configWith(saved, instance{}.at(90))))
	name := fmt.Sprintf("saved/keepalived_vrrp.%d.1.", a.VRRPPid())
	for end, priority := range map[string]int{"pre": 100, "post": 90} {
		var text []byte
		if !s.Until(3*time.Second, func() bool {
			var err error
			text, err = os.ReadFile(s.path("a", name+end))
			return err == nil
		}) {
			t.Errorf("there is no %s%s", name, end)
		}
		if !strings.Contains(string(text), fmt.Sprintf("   Priority = %d\n", priority)) {
			t.Errorf("%s%s does not have priority %d", name, end, priority)
		}
	}
	s.awaitOwner(vip, time.Second, "a")
}
