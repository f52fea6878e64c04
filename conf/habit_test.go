package conf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestSyntaxOfOtherLanguages checks that text in the syntax of another language is reported with what to
// write instead, once, without consequential problems. The exit codes are those of the C
// daemon.
func TestSyntaxOfOtherLanguages(t *testing.T) {
	const head = "vrrp_instance V {\ninterface eth0\nvirtual_router_id 1\n"
	const vip = "virtual_ipaddress {\n192.0.2.1\n}\n"
	instance := func(words string) string { return head + vip + words + "\n}\n" }
	address := func(line string) string { return head + "virtual_ipaddress {\n192.0.2.1\n" + line + "\n}\n}\n" }
	const (
		comment = "begin the comment with # or !"
		assign  = "write a blank and the value after the keyword"
		define  = "define it on a line above with $"
		commas  = "write one per line, without commas"
	)
	for _, tt := range []struct {
		text string
		want []string // LINE: part of the remedy
		exit int
	}{
		// Parameters.
		{address("${VIP}"), []string{"6: " + define + "VIP=VALUE"}, 5},
		{address("${VIP}/24 dev ${DEV}"), []string{"6: " + define + "VIP", "6: " + define + "DEV"}, 5},
		{"vrrp_instance V {\ninterface eth0\nvirtual_router_id ${VRID:-51}\n" + vip + "}\n",
			[]string{"3: write $VRID=VALUE on a line above, and ${VRID} here: only a shell knows defaults in the braces"}, 5},
		{"vrrp_instance V {\ninterface ${IF}\nvirtual_router_id 1\n" + vip + "track_interface {\n${IF}\n}\n}\n", []string{"2: " + define + "IF"}, 5},
		{instance("priority $PRIO"), []string{"7: the parameter $PRIO is not defined"}, 5},
		{instance("priority ${P-1}\nadvert_int ${A=1}\n"), []string{"7: write $P=", "8: write $A="}, 5},
		{"$P=100\n" + instance("priority ${P}"), nil, 0},

		// Comments.
		{"// a\n; b\n-- c\n/* d */\n" + instance("priority 100"), []string{"1: " + comment}, 5},
		{instance("// nopreempt\n-- nopreempt\n;nopreempt"), []string{"7: " + comment}, 5},
		{address("192.0.2.2 // the second one"), []string{"6: " + comment}, 5},
		{address("// 192.0.2.2\n/* 192.0.2.3 */"), []string{"6: " + comment}, 5},
		{"/*\n * a\n any prose\n more prose\n*/\n" + instance("foo"), []string{"1: " + comment, "12: "}, 5},
		{instance("virtual_router_id 2;"), []string{"7: remove the ;, since a statement ends at the end of the line"}, 5},

		// Values.
		{instance("priority=100"), []string{"7: " + assign}, 5},
		{instance("priority =100"), []string{"7: " + assign}, 5},
		{instance("priority = 100"), []string{"7: " + assign}, 5},
		{instance("priority: 100"), []string{"7: " + assign}, 5},
		{instance("priority : 100"), []string{"7: " + assign}, 5},
		{head + "unicast_peer {\n2001:db8::1/64\neth0:1\n}\nvirtual_ipaddress {\nfe80::1/200\nfe80::g\n}\n}\n", // values, not keywords
			[]string{"5: write 2001:db8::1", "6: write an address such as", "9: write a length", "10: write an address such as"}, 5},
		{instance("track_interface {\neth1:0\neth2:0 weight 300\n}"), []string{"8: eth1:0 can only be the label of an address; write eth1", "9: eth2:0 can only be", "9: write a value within the range"}, 5},
		{instance("state = MASTER"), []string{"7: " + assign}, 5},
		{instance("authentication {\nauth_type PASS\nauth_pass = 1111\n}"), []string{"9: " + assign}, 0},
		{"global_defs {\nrouter_id = a\n}\n", []string{"2: " + assign}, 0},
		{"global_defs {\nrouter_id \"=\"\n}\n", nil, 0},
		{instance("nopreempt false"), []string{"7: remove the line to switch it off"}, 0},
		{instance("dont_track_primary off"), []string{"7: remove the line to switch it off"}, 0},
		{instance("use_vmac false"), []string{"7: remove the line to have no such interface"}, 0},
		{"global_defs {\nvrrp_garp_interval 0\nvrrp_gna_interval 0\n}\n", []string{"2: remove it: without it, vrrp_garp_interval is 0", "3: remove it"}, 5},
		{instance("state MASTER\npriority 150\npreempt_delay 10"), []string{"9: write state BACKUP"}, 5},
		{instance("priority 255\npreempt_delay 10"), []string{"8: remove preempt_delay"}, 5},

		// Addresses.
		{address("192.0.2.2, 192.0.2.3"), []string{"6: " + commas}, 5},
		{address("192.0.2.2,192.0.2.3"), []string{"6: " + commas}, 5},
		{address("192.0.2.2/24,192.0.2.3/24"), []string{"6: " + commas}, 5},
		{address("192.0.2.2,"), []string{"6: " + commas}, 5},
		{address("192.0.2.2 192.0.2.3"), []string{"6: write one address per line"}, 5},
		{address("192.0.2.2 /24"), []string{"6: write 192.0.2.2/24 without a blank"}, 5},
		{address("192.0.2.2 / 24"), []string{"6: write 192.0.2.2/24 without a blank"}, 5},
		{address("192.0.2.2/255.255.255.0"), []string{"6: write 192.0.2.2/24"}, 5},
		{address("192.0.2.2/255.255.254.0 dev eth0"), []string{"6: write 192.0.2.2/23"}, 5},
		{address("192.0.2.2 255.255.255.0"), []string{"6: write 192.0.2.2/24"}, 5},
		{address("192.0.2.2 netmask 255.255.255.128"), []string{"6: write 192.0.2.2/25"}, 5},
		{address("192.0.2.2/33"), []string{"6: write a length from 0 to 32"}, 5},
		{instance("unicast_peer {\n192.0.2.2, 192.0.2.3\n}"), []string{"8: " + commas}, 5},
		{instance("unicast_peer {\n192.0.2.2 192.0.2.3\n}"), []string{"8: write one address per line"}, 5},
		{instance("") + "vrrp_sync_group G {\ngroup {\nV, W\n}\n}\n", []string{"9: separate the names by blanks, without commas"}, 5},

		// Words.
		{"global_defs {\nlvs_id a\n}\n", []string{"2: write router_id instead"}, 5},
		{instance("mcast src ip 192.0.2.3"), []string{"7: write mcast_src_ip, with underscores"}, 5},
		{instance("virtual router id 3"), []string{"7: write virtual_router_id, with underscores"}, 5},
		{"virtual_server 192.0.2.1 80 {\nprotocol TCP\nlb_algo rr\nlb_kind NAT\nnb_get_retry 3\nreal_server 192.0.2.2 80 {\n}\n}\n", []string{"5: write retry instead"}, 5},

		// Interfaces: each is named once.
		{"vrrp_instance V {\ninterface eht0\nvirtual_router_id 1\nvirtual_ipaddress {\n192.0.2.1 dev eht0\n192.0.2.2 dev eht0\n}\ntrack_interface {\neth9\n}\n}\n",
			[]string{`2: did you mean "eth0"?`, `9: did you mean "eth0"?`}, 5},
		{instance("track_interface {\neth1\nweight 20\n}\ntrack_interface {\nweight 20\n}"), []string{"9: write the weight on the line of the name"}, 5},
	} {
		_, diags := load(t, tt.text, Options{Interface: exists, Interfaces: func() []string { return []string{"eth0", "bond7"} }})
		ok := len(diags) == len(tt.want)
		for i := range min(len(diags), len(tt.want)) {
			line, fix, _ := strings.Cut(tt.want[i], ": ")
			ok = ok && fmt.Sprint(diags[i].Pos.Line) == line && strings.Contains(diags[i].Fix, fix)
		}
		if !ok {
			t.Errorf("%s\nwant %q, got\n%s", tt.text, tt.want, list(diags))
		}
		if code := diags.TestExitCode(); code != tt.exit {
			t.Errorf("%s\nexit code %d, want %d:\n%s", tt.text, code, tt.exit, list(diags))
		}
	}
}

// TestWeightAlone checks that the remedy is the same in each kind of track block.
func TestWeightAlone(t *testing.T) {
	const trackers = "vrrp_script s {\nscript /bin/true\n}\ntrack_file s {\nfile /f\n}\nvrrp_track_process s {\nprocess p\n}\nbfd_instance s {\nneighbor_ip 192.0.2.9\n}\n"
	for _, block := range []string{"track_script", "track_file", "track_process", "track_bfd", "track_interface"} {
		for _, defs := range []string{"", "global_defs {\ndynamic_interfaces\n}\n"} {
			name := "s"
			if block == "track_interface" {
				name = "eth1"
			}
			_, diags := load(t, defs+trackers+instanceText("V", 1, block+" {\n"+name+"\nweight -20\n}"), Options{
				Interface: exists, CheckCommand: func(Command, ScriptPolicy) error { return nil },
			})
			diags = slices.DeleteFunc(diags, func(d Diagnostic) bool {
				return d.Severity < Warning || d.Code == "script-security" || d.Code == "unused-tracker"
			})
			if len(diags) != 1 || !strings.HasPrefix(diags[0].Fix, weightAlone) {
				t.Errorf("%s %q:\n%s", block, defs, list(diags))
			}
		}
	}
}

// TestUnquotedCommand checks that words after a command are its user and group.
func TestUnquotedCommand(t *testing.T) {
	check := func(c Command, p ScriptPolicy) error {
		switch {
		case c.User != "" && c.User != "nobody":
			return errors.New("there is no user " + c.User + "; try: useradd --system " + c.User)
		case len(c.Args) > 0 && c.Args[0] == "/gone":
			return errors.New("/gone does not exist; try: make it")
		}
		return nil
	}
	for words, want := range map[string]string{
		"notify_master /bin/echo MASTER V":     "put the command and its arguments in quotes",
		"notify /bin/echo -n":                  "put the command and its arguments in quotes",
		"notify_fault /bin/echo a b c":         "put the command and its arguments in quotes",
		"notify_backup /gone nobody":           "try: make it",
		"notify_backup = /bin/echo":            "write a blank and the command after the keyword",
		"notify_stop \"/bin/echo MASTER\"":     "",
		"notify_stop \"/bin/echo a b\" nobody": "",
	} {
		_, diags := load(t, instanceText("V", 1, words), Options{CheckCommand: func(c Command, p ScriptPolicy) error {
			if len(c.Args) > 0 && c.Args[0] == "=" {
				return errors.New("= is in no directory")
			}
			return check(c, p)
		}})
		i := slices.IndexFunc(diags, func(d Diagnostic) bool { return d.Code == "script-disabled" })
		switch {
		case i < 0 && want == "":
		case i < 0 || want == "" || !strings.HasPrefix(diags[i].Fix, want):
			t.Errorf("%s: want %q in\n%s", words, want, list(diags))
		case strings.HasPrefix(want, "put") && strings.Contains(diags[i].String(), "useradd"):
			t.Errorf("%s: makes a user of an argument: %v", words, diags[i])
		}
	}
}

// passing is the error of a look-up that failed for lack of descriptors.
type passing struct{}

func (passing) Error() string { return "open /: too many open files" }
func (passing) Passes() bool  { return true }

// TestScriptNotLookedUp checks that a script that could not be looked up is reported
// neither as missing nor as disabled.
func TestScriptNotLookedUp(t *testing.T) {
	_, diags := load(t, "vrrp_script s {\nscript /bin/true\n}\n"+instanceText("V", 1, "track_script {\ns\n}"),
		Options{CheckCommand: func(Command, ScriptPolicy) error { return passing{} }})
	i := slices.IndexFunc(diags, func(d Diagnostic) bool { return d.Code == "script-disabled" })
	if i < 0 || diags[i].Severity != Warning || diags[i].Class != ClassNone || strings.Contains(diags[i].Message, "Disabling") {
		t.Errorf("%+v", diags)
	}
}
