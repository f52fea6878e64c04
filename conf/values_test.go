package conf

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestEffectiveValues reads words of an instance, and checks the resulting values and the
// codes of the reported problems.
func TestEffectiveValues(t *testing.T) {
	const strict = "strict_mode\n"
	owner := "state MASTER\npriority 255\n"
	priority := func(in *VRRPInstance) string { return fmt.Sprint(in.Priority, in.Master) }
	advert := func(in *VRRPInstance) string { return fmt.Sprint(in.Version, in.AdvertInterval) }
	preempt := func(in *VRRPInstance) string { return fmt.Sprint(in.NoPreempt, in.PreemptDelay) }
	auth := func(in *VRRPInstance) string { return fmt.Sprint(in.Auth.Type, len(in.Auth.Password)) }
	garp := func(in *VRRPInstance) string {
		g := in.GARP
		return fmt.Sprint(g.Repeat, g.Delay, g.Refresh, g.RefreshRepeat, g.LowerRepeat, g.LowerDelay)
	}
	accept := func(in *VRRPInstance) string { return fmt.Sprint(in.Accept) }
	const pass = "authentication {\nauth_type PASS\nauth_pass secret12\n}\n"
	tests := []struct {
		words string
		show  func(*VRRPInstance) string
		want  string
		codes string
	}{
		{"", priority, "100 false", ""},
		{"state MASTER\n", priority, "255 true", ""},
		{"state MASTER\npriority 150\n", priority, "150 true", ""},
		{"state MASTER\npriority x\n", priority, "100 true", "bad-number"},
		{"priority 255\n", priority, "255 true", ""},
		{"state BACKUP\npriority 255\n", priority, "255 false", ""},
		{"priority 0\n", priority, "100 false", "out-of-range"},
		{strict + "state MASTER\npriority 150\n", priority, "150 false", "strict-state"},
		{strict + "state BACKUP\npriority 255\n", priority, "255 true", "strict-state"},

		{"", advert, "2 1s", ""},
		{"advert_int 0.5\n", advert, "2 1s", "advert-int"},
		{"advert_int 1.6\n", advert, "2 2s", "advert-int"},
		{"advert_int 300\n", advert, "2 1s", "out-of-range"},
		{"version 3\nadvert_int 0.01\n", advert, "3 10ms", ""},
		{"version 3\nadvert_int 0.015\n", advert, "3 20ms", "advert-int"},
		{"version 3\nadvert_int 50\n", advert, "3 40.95s", "advert-int"},
		{"version 4\n", advert, "2 1s", "out-of-range"},

		{"nopreempt\npreempt_delay 3\n", preempt, "true 0s", "preempt-delay"},
		{"preempt_delay 3.5\n", preempt, "false 3.5s", ""},
		{"state MASTER\npriority 150\nnopreempt\n", preempt, "false 0s", "nopreempt-master"},
		{owner + "nopreempt\n", preempt, "false 0s", "nopreempt-owner"},
		{owner + "preempt_delay 3\n", preempt, "false 0s", "preempt-delay"},
		{strict + "preempt_delay 3\n", preempt, "false 0s", "strict-preempt-delay"},
		{"nopreempt\npreempt\n", preempt, "false 0s", ""},

		{pass, auth, "PASS 8", ""},
		{strings.Replace(pass, "12", "123", 1), auth, "PASS 8", "long-password"},
		{strings.Replace(pass, "PASS", "AH", 1), auth, "AH 8", ""},
		{strings.Replace(pass, "PASS", "FOO", 1), auth, "none 0", "bad-choice"},
		{"authentication {\nauth_pass x\n}\n", auth, "none 0", ""},
		{"authentication {\nauth_type AH\n}\n", auth, "none 0", "no-password"},
		{"version 3\n" + pass, auth, "none 0", "auth-v3"},
		{strict + pass, auth, "none 0", "strict-auth"},

		{"", garp, "5 5s 0s 1 5 5s", ""},
		{"garp_master_repeat 0\n", garp, "1 5s 0s 1 5 5s", "out-of-range"},
		{"garp_master_delay 2\ngarp_master_repeat 3\n", garp, "3 2s 0s 1 5 5s", ""},
		{"garp_lower_prio_repeat 0\n", garp, "5 5s 0s 1 0 5s", ""},
		{strict, garp, "5 5s 0s 1 0 0s", ""},
		{strict + "garp_lower_prio_repeat 2\n", garp, "5 5s 0s 1 0 0s", "strict-garp"},

		{"", accept, "true", ""},
		{"no_accept\n", accept, "false", ""},
		{"no_accept\n" + owner, accept, "true", ""},
		{strict, accept, "false", ""},
		{strict + owner, accept, "true", ""},
		{strict + "accept\n", accept, "false", "strict-accept"},
		{strict + "version 3\naccept\n", accept, "true", ""},
		{"strict_mode off\n", accept, "true", ""},

		{"skip_check_adv_addr\n", func(in *VRRPInstance) string { return fmt.Sprint(in.SkipCheckAdvertAddresses) }, "true", ""},
		{"skip_check_adv_addr off\n", func(in *VRRPInstance) string { return fmt.Sprint(in.SkipCheckAdvertAddresses) }, "false", ""},
		{strict + "down_timer_adverts 5\n", func(in *VRRPInstance) string { return fmt.Sprint(in.DownTimerAdverts) }, "3", "strict-down-timer"},
		{strict + "lower_prio_no_advert off\n", func(in *VRRPInstance) string { return fmt.Sprint(in.LowerPriorityNoAdvert) }, "true", "strict-lower-prio"},
		{strict + "higher_prio_send_advert\n", func(in *VRRPInstance) string { return fmt.Sprint(in.HigherPrioritySendAdvert) }, "false", "strict-higher-prio"},
		{strict + owner, func(in *VRRPInstance) string { return fmt.Sprint(in.OwnerIgnoreAdverts) }, "true", ""},
		{"owner_ignore_adverts\n", func(in *VRRPInstance) string { return fmt.Sprint(in.OwnerIgnoreAdverts) }, "false", "owner-ignore"},
		{"timer_expired_backup\n", func(in *VRRPInstance) string { return fmt.Sprint(in.TimerExpiredBackup) }, "0", "timer-expired"},
		{"timer_expired_backup 4\nnopreempt\n", func(in *VRRPInstance) string { return fmt.Sprint(in.TimerExpiredBackup) }, "4", ""},
		{"unicast_ttl 9\n", func(in *VRRPInstance) string { return fmt.Sprint(in.TTL, in.Unicast, in.Group) }, "255 false 224.0.0.18", "unicast-no-peers"},
		{"unicast_ttl 9\nunicast_fault_no_peer\n", func(in *VRRPInstance) string { return fmt.Sprint(in.TTL, in.Unicast, in.Group) }, "9 true invalid IP", ""},
	}
	for _, test := range tests {
		text := "vrrp_instance V {\ninterface eth0\nvirtual_router_id 1\n" + test.words + "virtual_ipaddress {\n10.0.0.1/24\n}\n}\n"
		cfg, diags := load(t, text, Options{})
		var codes []string
		for _, d := range diags {
			codes = append(codes, d.Code)
		}
		if got := strings.Join(codes, " "); got != test.codes {
			t.Errorf("%q: problems %q, want %q", test.words, got, test.codes)
		}
		if len(cfg.Instances) != 1 {
			t.Errorf("%q: no instance", test.words)
			continue
		}
		if got := test.show(cfg.Instances[0]); got != test.want {
			t.Errorf("%q gives %s, want %s", test.words, got, test.want)
		}
	}
}

func TestTooManyAddresses(t *testing.T) {
	for _, test := range []struct {
		line        string
		kept, moved int
	}{
		{"~SEQ(A,0,1) ~SEQ(B,1,150) 10.0.${A}.${B}", 255, 45},
		{"~SEQ(B,1,100) fe80::${B}", 100, 0}, // the daemon knows the MTU
	} {
		cfg, diags := load(t, "vrrp_instance V {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n"+test.line+"\n}\n}\n", Options{})
		in := cfg.Instances[0]
		if len(in.Addresses) != test.kept || len(in.Excluded) != test.moved || !hasCode(diags, "many-addresses") {
			t.Errorf("%s: %d addresses, %d excluded, want %d and %d\n%s", test.line, len(in.Addresses), len(in.Excluded), test.kept, test.moved, list(diags))
		}
	}
}

func TestFatal(t *testing.T) {
	instance := func(name, words string) string {
		return "vrrp_instance " + name + " {\ninterface eth0\n" + words + "\nvirtual_ipaddress {\n10.0.0.1\n}\n}\n"
	}
	for _, test := range []struct {
		name, text string
		test, run  int
	}{
		{"good", instance("A", "virtual_router_id 1"), 0, 0},
		{"corrected", instance("A", "virtual_router_id 1\npriority 0"), 5, 0},
		{"no VRID", instance("A", ""), 5, 2},
		{"VRID twice", instance("A", "virtual_router_id 1") + instance("B", "virtual_router_id 1"), 5, 2},
		{"missing argument", instance("A", "virtual_router_id 1\npriority"), 2, 2},
		{"missing interface", instance("A", "virtual_router_id 1\ninterface nosuch"), 5, 2},
		{"missing dynamic interface", instance("A", "virtual_router_id 1\ninterface nosuch") + "global_defs {\ndynamic_interfaces\n}\n", 0, 0},
		{"unknown polled interface", "linkbeat_interfaces {\nnosuch\n}\n", 4, 0},
		{"missing include", "includem none\n", 6, 6},
	} {
		_, diags := load(t, test.text, Options{Interface: exists})
		if diags.TestExitCode() != test.test || diags.Fatal() != test.run {
			t.Errorf("%s: test %d, run %d, want %d and %d\n%s", test.name, diags.TestExitCode(), diags.Fatal(), test.test, test.run, list(diags))
		}
	}
}

// TestGob sends a configuration as the parent sends it to its children.
func TestGob(t *testing.T) {
	cfg, diags := Load("testdata/golden/sync-group.conf", Options{})
	if cfg == nil {
		t.Fatal(diags)
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(cfg); err != nil {
		t.Fatal(err)
	}
	var got Config
	if err := gob.NewDecoder(&buf).Decode(&got); err != nil {
		t.Fatal(err)
	}
	same := cmp.Comparer(func(a, b Secret) bool { return a == b })
	equal := []cmp.Option{cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), same}
	if diff := cmp.Diff(*cfg, got, equal...); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(got.Instances[0].HMAC.Keys[1]) != 32 {
		t.Errorf("the keys did not arrive")
	}
}

// TestSecrets looks for passwords where they must not appear.
func TestSecrets(t *testing.T) {
	cfg, diags := load(t, `global_defs {
  smtp_auth user topsecret0 {
  }
  smtp_auth topsecret5
  smtp_auth user “topsecret6”
  smtp_auth user topsecret7#8
}
vrrp_instance V {
  interface eth0
  virtual_router_id 1
  authentication {
    auth_type PASS
    auth_pass topsecret1
  }
  auth_hmac {
    key 1 topsecret2
    key 2 hex:topsecret3
    key 300 topsecret4
  }
  virtual_ipaddress {
    10.0.0.1
  }
}
SSL {
  password topsecret5
}
`, Options{})
	dump, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"diagnostics": list(diags), "json": string(dump),
		"formatting": fmt.Sprintf("%v %+v %#v %q %x", cfg.Instances[0].Auth, cfg.Instances[0].Auth, cfg.Instances[0].Auth, cfg.Instances[0].Auth, cfg.Instances[0].Auth.Password),
	} {
		if strings.Contains(text, "topsec") {
			t.Errorf("a password in %s:\n%s", what, text)
		}
	}
	if len(diags) < 4 {
		t.Errorf("problems:\n%s", list(diags))
	}
}
