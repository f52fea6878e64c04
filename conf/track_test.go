package conf

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

// trackables defines the objects that the tests track.
const trackables = `
vrrp_script s {
  script /nonexistent/x
  weight 10 reverse
}
vrrp_script plain {
  script "x"
}
track_file f {
  file /run/f
  weight 3 reverse
}
vrrp_track_process p {
  process nginx
  weight 5
}
`

func instanceText(name string, vrid int, words string) string {
	return fmt.Sprintf("vrrp_instance %s {\ninterface eth0\nvirtual_router_id %d\n%s\nvirtual_ipaddress {\n10.0.0.%d/24\n}\n}\n", name, vrid, words, vrid)
}

func codes(diags Diagnostics) string {
	var list []string
	for _, d := range diags {
		if d.Code != "unused-tracker" {
			list = append(list, d.Code)
		}
	}
	return strings.Join(list, " ")
}

func showTracks(list []Track) string {
	var out []string
	for _, t := range list {
		s := fmt.Sprint(t.Name, " ", t.Weight)
		if t.Reverse {
			s += " reverse"
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func TestTrackLines(t *testing.T) {
	for _, test := range []struct{ kind, lines, want, codes string }{
		{"track_script", "s", "s 10 reverse", ""},
		{"track_script", "s weight -20", "s -20 reverse", ""},
		{"track_script", "s weight -20 noreverse", "s -20", ""},
		{"track_script", "plain weight 0 reverse", "plain 0 reverse", ""},
		{"track_script", "s weight 254", "s 253 reverse", "track-weight"},
		{"track_script", "s weight -254", "s -253 reverse", "track-weight"},
		{"track_script", "s weight 255", "s 10 reverse", "out-of-range"},
		{"track_script", "s weight x", "s 10 reverse", "bad-number"},
		{"track_script", "s weight", "", "missing-argument"},
		{"track_script", "s reverse", "", "track-option"},
		{"track_script", "s weight 3 foo", "s 3 reverse", "track-option"},
		{"track_script", "s\nplain\ns weight 3", "s 10 reverse, plain 0", "tracked-twice"},
		{"track_script", "s plain", "", "track-option"},
		{"track_script", "nosuch", "", "no-tracker"},
		{"track_script", "f", "", "no-tracker"},
		{"track_file", "f", "f 3 reverse", ""},
		{"track_file", "f weight 0 noreverse", "f 0", ""},
		{"track_file", "f weight -254", "f -254 reverse", ""},
		{"track_process", "p", "p 5", ""},
		{"track_process", "p weight 254 reverse", "p 254 reverse", ""},
		{"track_interface", "eth1", "eth1 0", ""},
		{"track_interface", "eth1 weight -253 reverse", "eth1 -253 reverse", ""},
		{"track_interface", "eth1 weight 254", "eth1 253", "track-weight"},
		{"track_interface", "eth1 weight 5 noreverse", "eth1 5", "track-option"},
		{"track_interface", "eth0", "", "own-interface"},
		{"track_interface", "eth1\neth1", "eth1 0", "tracked-twice"},
		{"track_bfd", "b", "b -7 reverse", ""},
	} {
		block := test.kind + " {\n" + test.lines + "\n}"
		bfd := "bfd_instance b {\nneighbor_ip 10.0.0.99\nweight -7 reverse\n}\n"
		// The order of definition and use does not matter.
		for _, text := range []string{
			trackables + bfd + instanceText("V", 1, block),
			instanceText("V", 1, block) + trackables + bfd,
		} {
			cfg, diags := load(t, text, Options{})
			want := test.codes
			if got := showTracks(cfg.Instances[0].Track); got != test.want {
				t.Errorf("%s: tracks %q, want %q", block, got, test.want)
			}
			if got := strings.ReplaceAll(codes(diags), "script-missing", ""); strings.TrimSpace(got) != want {
				t.Errorf("%s: problems %q, want %q\n%s", block, got, want, list(diags))
			}
		}
	}
}

func TestScripts(t *testing.T) {
	show := func(s *Script) string {
		return fmt.Sprintf("%q %s:%s every %v for %v, %d %v %d/%d %v",
			s.Command.Args, s.Command.User, s.Command.Group, s.Interval, s.Timeout, s.Weight, s.Reverse, s.Rise, s.Fall, s.InitFail)
	}
	for _, test := range []struct{ words, want, codes string }{
		{"script x", `["x"] : every 1s for 1s, 0 false 1/1 false`, ""},
		{"script \"x 'y z' w\"", `["x" "y z" "w"] : every 1s for 1s, 0 false 1/1 false`, ""},
		{"script x y", `["x"] : every 1s for 1s, 0 false 1/1 false`, ""}, // the manual requires quotes
		{"script 'x'\\ y", `["x" "y"] : every 1s for 1s, 0 false 1/1 false`, ""},
		{"script x\nscript y\nuser u g", `["y"] u:g every 1s for 1s, 0 false 1/1 false`, ""},
		{"script x\ninterval 2.5\nrise 2\nfall 3\ninit_fail", `["x"] : every 2.5s for 2.5s, 0 false 2/3 true`, ""},
		{"script x\ninterval 0.005\ntimeout 0.25", `["x"] : every 5ms for 250ms, 0 false 1/1 false`, ""},
		{"script x\ninterval 0\ntimeout 0", `["x"] : every 1s for 1s, 0 false 1/1 false`, "out-of-range out-of-range"},
		{"script x\nweight 10 reverse\nweight 20", `["x"] : every 1s for 1s, 20 true 1/1 false`, ""},
		{"script x\nweight 300\nrise 0\nfall x", `["x"] : every 1s for 1s, 253 false 1/1 false`, "out-of-range out-of-range bad-number"},
		{"script x\nweight 6 foo", `["x"] : every 1s for 1s, 6 false 1/1 false`, "track-option"},
	} {
		cfg, diags := load(t, "vrrp_script s {\n"+test.words+"\n}\n"+instanceText("V", 1, "track_script {\ns\n}"), Options{})
		if got := codes(diags); got != test.codes {
			t.Errorf("%q: problems %q, want %q", test.words, got, test.codes)
		}
		if len(cfg.Scripts) != 1 {
			t.Errorf("%q: %d scripts", test.words, len(cfg.Scripts))
		} else if got := show(cfg.Scripts[0]); got != test.want {
			t.Errorf("%q gives %s, want %s", test.words, got, test.want)
		}
	}
	for _, words := range []string{"interval 3", `script ""`} {
		cfg, diags := load(t, "vrrp_script s {\n"+words+"\n}\n"+instanceText("V", 1, "track_script {\ns\n}"), Options{})
		if len(cfg.Scripts) != 0 || len(cfg.Instances[0].Track) != 0 || codes(diags) != "no-script" {
			t.Errorf("%q: scripts %v, problems %q", words, cfg.Scripts, codes(diags))
		}
	}
}

func TestTrackFiles(t *testing.T) {
	for _, test := range []struct{ words, want, codes string }{
		{"file /a", "/a 1 false off 0", ""},
		{"file '/a b' x", "/a b 1 false off 0", ""},
		{"file /a\nweight -254 reverse", "/a -254 true off 0", ""},
		{"file /a\nweight 300", "/a 1 false off 0", "out-of-range"},
		{"file /a\nfile /b\nweight 3\nweight 4", "/a 3 false off 0", "word-twice word-twice"},
		{"file /a\ninit_file", "/a 1 false create 0", ""},
		{"file /a\ninit_file -5", "/a 1 false create -5", ""},
		{"file /a\ninit_file overwrite", "/a 1 false overwrite 0", ""},
		{"file /a\ninit_file 7 overwrite", "/a 1 false overwrite 7", ""},
		{"file /a\ninit_file overwrite 7", "/a 1 false overwrite 7", ""},
		{"file /a\ninit_file x", "/a 1 false create 0", "bad-choice"},
		{"file /a\ninit_file 0x10", "/a 1 false create 0", "bad-number init-value"},
		{"file /a\ninit_file 99999999999", "/a 1 false create 0", "out-of-range init-value"},
	} {
		for _, block := range []string{"track_file", "vrrp_track_file"} {
			cfg, diags := load(t, block+" f {\n"+test.words+"\n}\n"+instanceText("V", 1, "track_file {\nf\n}"), Options{})
			if got := codes(diags); got != test.codes {
				t.Errorf("%q: problems %q, want %q", test.words, got, test.codes)
			}
			f := cfg.Files[0]
			if got := fmt.Sprint(f.Path, " ", f.Weight, f.Reverse, f.Init, f.InitValue); got != test.want {
				t.Errorf("%q gives %s, want %s", test.words, got, test.want)
			}
		}
	}
}

func TestTrackProcesses(t *testing.T) {
	for _, test := range []struct{ words, want, codes string }{
		{"process a", "a [] 1 false 1..-1 0s 0s", ""},
		{"process a b \"c d\"", "a [b c d] 0 true 1..-1 0s 0s", ""},
		{"process \"a b\"", "a b [] 1 false 1..-1 0s 0s", ""},
		{"process a\nparam_match", "a [] 0 true 1..-1 0s 0s", ""},
		{"process a\nparam_match initial", "a [] 2 true 1..-1 0s 0s", ""},
		{"param_match partial\nprocess a b", "a [b] 3 true 1..-1 0s 0s", ""},
		{"process a\nfull_command", "a [] 1 true 1..-1 0s 0s", ""},
		{"process a\nquorum 2\nquorum_max 3", "a [] 1 false 2..3 0s 0s", ""},
		{"process a\nquorum_max 0", "a [] 1 false 0..0 0s 0s", ""},
		{"process a\nquorum 3\nquorum_max 0", "a [] 1 false 3..-1 0s 0s", "quorum"},
		{"process a\nquorum_max 3\nquorum 5", "a [] 1 false 1..3 0s 0s", "quorum"},
		{"process a\nquorum 0", "a [] 1 false 1..-1 0s 0s", "out-of-range"},
		{"process a\ndelay 1.25\nfork_delay 2", "a [] 1 false 1..-1 2s 1.25s", ""},
		{"process a\nterminate_delay 0", "a [] 1 false 1..-1 0s 0s", "out-of-range"},
		{"process a\nprocess b\nweight 4\nweight 5", "a [] 1 false 1..-1 0s 0s", "word-twice word-twice"},
	} {
		cfg, diags := load(t, "vrrp_track_process p {\n"+test.words+"\n}\n"+instanceText("V", 1, "track_process {\np\n}"), Options{})
		if got := codes(diags); got != test.codes {
			t.Errorf("%q: problems %q, want %q", test.words, got, test.codes)
		}
		p := cfg.Processes[0]
		if got := fmt.Sprintf("%s %v %d %v %d..%d %v %v", p.Process, p.Params, p.Match, p.FullCommand, p.Quorum, p.QuorumMax, p.ForkDelay, p.TerminateDelay); got != test.want {
			t.Errorf("%q gives %s, want %s", test.words, got, test.want)
		}
	}
}

// TestOnlyTracked checks that only tracked objects are run, and of two with the same name
// the first.
func TestOnlyTracked(t *testing.T) {
	cfg, diags := load(t, `
vrrp_script a {
  script first
}
vrrp_script a {
  script second
}
vrrp_script idle {
  script idle
}
track_file idle {
  file /f
}
vrrp_track_process idle {
  process x
}
vrrp_sync_group G {
  group {
    V
    W
  }
  track_script {
    a weight 5
  }
}
`+instanceText("V", 1, "track_script {\na\n}")+instanceText("W", 2, ""), Options{})
	if len(cfg.Scripts) != 1 || cfg.Scripts[0].Command.Args[0] != "first" || len(cfg.Files)+len(cfg.Processes) != 0 {
		t.Errorf("scripts %v, files %v, processes %v", cfg.Scripts, cfg.Files, cfg.Processes)
	}
	if got := showTracks(cfg.Instances[0].Track) + ";" + showTracks(cfg.SyncGroups[0].Track); got != ";a 5" {
		t.Errorf("tracked: %q", got)
	}
	unused := 0
	for _, d := range diags {
		if d.Code == "unused-tracker" {
			unused++
		}
	}
	if unused != 3 || codes(diags) != "tracker-twice tracked-by-group" || diags.TestExitCode() != 0 {
		t.Errorf("%d unused, problems %q, exit code %d\n%s", unused, codes(diags), diags.TestExitCode(), list(diags))
	}
}

func TestNotify(t *testing.T) {
	const mail = "smtp_server 192.0.2.25\nnotification_email {\na@b.example\n}\n"
	show := func(n *Notify) string {
		if n == nil {
			return "nil"
		}
		var out []string
		for _, c := range []Command{n.Any, n.Master, n.Backup, n.Fault, n.Stop, n.Deleted, n.MasterRxLowerPri} {
			if c.Given() {
				out = append(out, fmt.Sprintf("%s(%s:%s)", strings.Join(c.Args, "|"), c.User, c.Group))
			}
		}
		for word, on := range map[string]bool{"deleted": n.SignalDeleted, "changes": n.PriorityChanges, "mail": n.SMTPAlert} {
			if on {
				out = append(out, word)
			}
		}
		return strings.Join(out, " ")
	}
	for _, test := range []struct{ global, group, words, instance, ofGroup, codes string }{
		{"", "", "", "nil", "nil", ""},
		{"", "", "notify x", "x(:)", "nil", ""},
		{"", "", "notify \"x 'a b' c\" u g z", "x|a b|c(u:g)", "nil", ""},
		{"", "", "notify_master x u\nnotify_backup y\nnotify_fault z\nnotify_stop w", "x(u:) y(:) z(:) w(:)", "nil", ""},
		{"", "", "notify_master x\nnotify_master y", "x(:)", "nil", "command-twice"},
		{"", "", "notify_master_rx_lower_pri x", "x(:)", "nil", ""},
		{"", "", `notify ""`, "nil", "nil", "empty-command"},
		{"", "", "notify_deleted", "deleted", "nil", ""},
		{"", "", "notify_deleted x", "x(:) deleted", "nil", ""},
		{"", "", "notify_deleted\nnotify_deleted x", "deleted", "nil", "command-twice"},
		{"", "notify x\nnotify_fault y\nnotify y", "", "nil", "x(:) y(:)", "command-twice"},

		{"vrrp_notify_priority_changes", "", "", "changes", "nil", ""},
		{"vrrp_notify_priority_changes", "", "notify_priority_changes off", "nil", "nil", ""},
		{"vrrp_notify_priority_changes", "notify_priority_changes off", "", "nil", "nil", ""},
		{"", "notify_priority_changes", "", "changes", "nil", ""},
		{"", "notify_priority_changes", "notify_priority_changes off", "nil", "nil", ""},

		{mail + "smtp_alert", "", "", "mail", "mail", ""},
		{mail + "smtp_alert\nsmtp_alert_vrrp off", "", "", "nil", "nil", ""},
		{mail + "smtp_alert off\nsmtp_alert_vrrp", "", "", "mail", "mail", ""},
		{mail + "smtp_alert", "", "smtp_alert off", "nil", "mail", ""},
		{mail, "smtp_alert", "", "nil", "mail", ""},
		{mail, "", "smtp_alert", "mail", "nil", ""},
		{"smtp_alert", "", "", "nil", "nil", ""},
		{"", "", "smtp_alert", "nil", "nil", "no-recipient"},
		{"smtp_server 192.0.2.25", "smtp_alert", "", "nil", "nil", "no-recipient"},
	} {
		text := "global_defs {\n" + test.global + "\n}\nvrrp_sync_group G {\ngroup {\nV\nW\n}\n" + test.group + "\n}\n" +
			instanceText("V", 1, test.words) + instanceText("W", 2, "")
		cfg, diags := load(t, text, Options{})
		got := [3]string{show(cfg.Instances[0].Notify), show(cfg.SyncGroups[0].Notify), codes(diags)}
		if want := [3]string{test.instance, test.ofGroup, test.codes}; got != want {
			t.Errorf("%q, %q, %q give %q, want %q\n%s", test.global, test.group, test.words, got, want, list(diags))
		}
	}
}

func TestGlobalScriptsAndMail(t *testing.T) {
	scripts := func(g *Global) string {
		return fmt.Sprint(g.Scripts, g.Startup.Args, g.Startup.User, g.StartupTimeout, g.Shutdown.Args, g.ShutdownTimeout)
	}
	fifo := func(g *Global) string {
		return fmt.Sprint(g.FIFO.Path, g.FIFO.User, g.FIFO.Group, g.FIFO.Script.Args, g.VRRPFIFO.Path, g.LVSFIFO.Path, g.StatesOnReload)
	}
	mail := func(g *Global) string {
		m := &g.Mail
		return fmt.Sprintf("%q %s %s:%d %s %v %v %v %s %d", m.To, m.From, m.Server, m.Port, m.HeloName, m.ConnectTimeout, m.NoFaults, m.STARTTLS, m.User, len(m.Password))
	}
	buffer := func(g *Global) string { return fmt.Sprint(g.ProcessRcvBuf, g.ProcessRcvBufForce) }
	for _, test := range []struct {
		words string
		show  func(*Global) string
		want  string
		codes string
	}{
		{"", scripts, "{  false false false} []10s [] 10s", ""},
		{"script_user u :g\nenable_script_security\nuse_symlink_paths\nset_supplementary_groups", scripts, "{u g true true true} []10s [] 10s", ""},
		{"use_symlink_paths off", scripts, "{  false false false} []10s [] 10s", ""},
		{"startup_script \"a b\" u\nstartup_script c\nstartup_script_timeout 3\nshutdown_script d\nshutdown_script_timeout 1000", scripts, "{  false false false} [a b]u3s [d] 16m40s", "command-twice"},
		{"shutdown_script_timeout 1001", scripts, "{  false false false} []10s [] 10s", "out-of-range"},

		{"notify_fifo /a u g\nnotify_fifo_script \"r x\"\nvrrp_notify_fifo /b\nlvs_notify_fifo /c\nfifo_write_vrrp_states_on_reload", fifo, "/aug[r x]/b/ctrue", ""},
		{"notify_fifo /a\nnotify_fifo /b", fifo, "/a[]false", "fifo-twice"},
		{"notify_fifo_script a\nnotify_fifo_script b", fifo, "[a]false", "command-twice"},

		{"", mail, `[]  :25  30s false false  0`, ""},
		{"smtp_server mail.example 587\nsmtp_helo_name h\nsmtp_connect_timeout 5\nno_email_faults\nnotification_email_from \"K <k@h>\"", mail, `[] K <k@h> mail.example:587 h 5s true false  0`, ""},
		{"smtp_server 192.0.2.1 0", mail, `[]  :25  30s false false  0`, "smtp-server out-of-range"},
		{"smtp_connect_timeout 0", mail, `[]  :25  1s false false  0`, "out-of-range"},
		{"smtp_starttls\nsmtp_auth user pass", mail, `[]  :25  30s false true user 4`, ""},
		{"smtp_auth user pass", mail, `[]  :25  30s false false user 4`, "clear-password"},
		{"smtp_auth user", mail, `[]  :25  30s false false  0`, "missing-argument"},
		{"notification_email {\na@b.example\nroot\n\"Jane Roe <j@r.example>\"\nJane Roe <j@r.example>\nc@d.example e@f.example\n}", mail, `["a@b.example" "root" "Jane Roe <j@r.example>" "Jane Roe <j@r.example>" "c@d.example" "e@f.example"]  :25  30s false false  0`, ""},
		{"notification_email {\na@\n}", mail, `["a@"]  :25  30s false false  0`, "mail-address"},
		{"notification_email_from a@b@c", mail, `[] a@b@c :25  30s false false  0`, "mail-address"},

		{"process_monitor_rcv_bufs 100000\nprocess_monitor_rcv_bufs_force", buffer, "100000 true", ""},
	} {
		cfg, diags := load(t, "global_defs {\n"+test.words+"\n}\n", Options{})
		if got := test.show(&cfg.Global); got != test.want {
			t.Errorf("%q gives %s, want %s", test.words, got, test.want)
		}
		if got := codes(diags); got != test.codes {
			t.Errorf("%q: problems %q, want %q\n%s", test.words, got, test.codes, list(diags))
		}
	}
}

func TestInterfaceSettings(t *testing.T) {
	in := instanceText("V", 1, "track_interface {\neth1\n}")
	for _, test := range []struct{ text, want, codes string }{
		{in, "[]", ""},
		{"linkbeat_use_polling\n" + in, "[eth0 auto 0s 0s eth1 auto 0s 0s]", ""},
		{"linkbeat_interfaces {\neth0 MII\neth1\n}\nlinkbeat_use_polling\n" + in, "[eth0 MII 0s 0s eth1 auto 0s 0s]", ""},
		{"linkbeat_interfaces {\neth0 ETHTOOL\neth1 IOCTL\n}\n", "[eth0 ETHTOOL 0s 0s eth1 IOCTL 0s 0s]", ""},
		{"linkbeat_interfaces {\neth0 mii\n}\n", "[eth0 auto 0s 0s]", "bad-choice"},
		{instanceText("V", 1, "linkbeat_use_polling"), "[eth0 auto 0s 0s]", "deprecated"},
		{"interface_up_down_delays {\neth1 1.5 2\neth2 3\n}\n", "[eth1 off 1.5s 2s eth2 off 3s 0s]", ""},
		{"interface_up_down_delays {\neth1 256\neth2 x 3\n}\n", "[eth1 off 0s 0s eth2 off 0s 3s]", "out-of-range bad-number"},
		{"interface_up_down_delays {\neth0 2 1.5\n}\n" + in, "[eth0 off 1.99609375s 1.5s]", "long-delay"},
	} {
		cfg, diags := load(t, test.text, Options{})
		var got []string
		for _, v := range cfg.Interfaces {
			got = append(got, fmt.Sprint(v.Name, " ", v.LinkBeat, v.DownDelay, v.UpDelay))
		}
		if s := fmt.Sprint(got); s != test.want {
			t.Errorf("%q gives %s, want %s", test.text, s, test.want)
		}
		if got := codes(diags); got != test.codes {
			t.Errorf("%q: problems %q, want %q", test.text, got, test.codes)
		}
	}
}

// TestWeightOutOfRange checks that a weight out of range becomes the nearest valid
// weight: 0 would make a failure a fault.
func TestWeightOutOfRange(t *testing.T) {
	for text, want := range map[string]int{
		"254": 253, "-254": -253, "-2.5": -2, "+300": 253, "abc": 0, "-": 0, "20x": 20, "-99999999999999999999": -253, "10": 10, "-300 reverse": -253,
	} {
		for block, limit := range map[string]int{"vrrp_script s {\nscript /bin/true\nweight %s\n}\n": 253, "vrrp_track_process s {\nprocess x\nweight %s\n}\n": 254} {
			kind := "track_script"
			if limit == 254 {
				kind = "track_process"
			}
			cfg, diags := load(t, "global_defs {\nenable_script_security\n}\n"+fmt.Sprintf(block, text)+instanceText("V", 1, kind+" {\ns\n}"), Options{})
			w := want
			if limit == 254 && max(w, -w) == 253 {
				w = max(-254, min(254, 254*w/253))
			}
			if got := cfg.Instances[0].Track[0]; got.Weight != w || got.Reverse != strings.HasSuffix(text, "reverse") {
				t.Errorf("weight %s of %s: %d, want %d\n%s", text, kind, got.Weight, w, list(diags))
			}
			if limit == 253 && (len(diags) == 0) != (text == "10") {
				t.Errorf("weight %s of %s: problems %s", text, kind, list(diags))
			}
		}
	}
}

func TestShellSyntax(t *testing.T) {
	for command, want := range map[string]string{
		`"/usr/bin/true && /usr/bin/false"`:        "shell-syntax",
		`"/usr/bin/test -f /x || exit 1"`:          "shell-syntax",
		`"/usr/bin/pgrep nginx > /dev/null 2>&1"`:  "shell-syntax",
		`"/usr/bin/pgrep nginx >/dev/null"`:        "shell-syntax",
		`"/usr/bin/pgrep nginx 2>/dev/null"`:       "shell-syntax",
		`"/usr/bin/echo a | /usr/bin/grep x"`:      "shell-syntax",
		"\"/usr/bin/echo `date`\"":                 "shell-syntax",
		`"/usr/bin/logger x; /usr/bin/true"`:       "shell-syntax",
		`"/usr/bin/echo $(date)"`:                  "shell-syntax",
		`"/usr/bin/sleep 1 &"`:                     "shell-syntax",
		`"/bin/sh -c 'a && b | c > /x; d $(e) &'"`: "",
		`"/usr/bin/awk '{ print $1 > 2 }' /x"`:     "",
		`"/usr/bin/test 1 -gt 2"`:                  "",
		`/usr/bin/true`:                            "",
		`"</dev/tcp/127.0.0.1/80"`:                 "",
	} {
		_, diags := load(t, "global_defs {\nenable_script_security\n}\n"+instanceText("V", 1, "notify_master "+command), Options{})
		if got := codes(diags); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
		for _, d := range diags {
			if !strings.Contains(d.Fix, "sh") {
				t.Errorf("%s: no remedy: %s", command, d)
			}
		}
	}
}

// runnable is a check of commands: their accounts and files exist.
func runnable(c Command, p ScriptPolicy) error {
	if name := cmp.Or(c.User, p.User); name != "" {
		if _, err := user.Lookup(name); err != nil {
			return err
		}
	}
	if group := cmp.Or(c.Group, p.Group); group != "" {
		if _, err := user.LookupGroup(group); err != nil {
			return err
		}
	}
	if len(c.Args) == 0 {
		return nil
	}
	_, err := exec.LookPath(c.Args[0])
	return err
}

// TestCheckCommand reads commands that can be run and commands that cannot. These are
// reported and stay in the configuration.
func TestCheckCommand(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	tracked := func(words string) string {
		return "vrrp_script s {\n" + words + "\n}\n" + instanceText("V", 1, "track_script {\ns\n}")
	}
	secure := "global_defs {\nenable_script_security\n}\n"
	nobody := "# there is no default user\n" + secure
	for _, test := range []struct {
		text, codes string
		exit        int
	}{
		{secure + tracked("script "+script), "", 0},
		{secure + tracked("script true"), "", 0},
		{tracked("script " + script), "script-security", 6},
		{tracked("script true"), "script-security", 6},
		{tracked("script /nonexistent/x"), "script-disabled", 5},
		{secure + tracked("script /nonexistent/x"), "script-disabled", 5},
		{secure + tracked("script true\nuser nosuchuser"), "script-disabled", 5},
		{secure + tracked("script true\nuser root nosuchgroup"), "script-disabled", 5},
		{tracked("script true\nuser nosuchuser"), "script-disabled", 5},
		{secure + "global_defs {\nscript_user nosuchuser\n}\n", "script-user", 5},
		{secure + "global_defs {\nscript_user nosuchuser\n}\n" + tracked("script true"), "script-user", 5},
		{secure + "global_defs {\nscript_user nosuchuser\n}\n" + tracked("script true\nuser root"), "script-user", 5},
		{secure + instanceText("V", 1, "notify /nonexistent/x\nnotify_master true nosuchuser"), "script-disabled script-disabled", 0},
		{instanceText("V", 1, "notify true"), "script-security", 6},
		{nobody + tracked("script true"), "script-user", 5},
		{nobody + tracked("script true\nuser root"), "", 0},
		{nobody + instanceText("V", 1, "notify true\nnotify_master true root"), "script-user", 5},
		{nobody + "global_defs {\nnotify_fifo /run/x\n}\n", "script-user", 5},
		{nobody + "global_defs {\nnotify_fifo /run/x root\n}\n", "", 0},
		{nobody + "global_defs {\nnotify_fifo /run/x nosuchuser\n}\n", "script-disabled", 0},
		{nobody + "global_defs {\nstartup_script true\n}\n", "script-user", 5},
		{nobody + instanceText("V", 1, ""), "", 0},
	} {
		checked := make(map[string]int)
		cfg, diags := load(t, test.text, Options{CheckCommand: func(c Command, p ScriptPolicy) error {
			checked[fmt.Sprint(c.Args, c.Pos, c.User)]++
			if p.Secure != strings.Contains(test.text, "enable_script_security") {
				return errors.New("another policy")
			}
			if c.User == "" && p.User == "" && strings.HasPrefix(test.text, nobody) {
				return errors.New("there is no default user")
			}
			return runnable(c, p)
		}})
		if got := codes(diags); got != test.codes || diags.TestExitCode() != test.exit || diags.Fatal() != 0 {
			t.Errorf("%s\nproblems %q, exit code %d, want %q and %d\n%s", test.text, got, diags.TestExitCode(), test.codes, test.exit, list(diags))
		}
		for command, n := range checked {
			if n != 1 {
				t.Errorf("%s was checked %d times", command, n)
			}
		}
		if strings.Contains(test.text, "vrrp_script") && (len(cfg.Scripts) != 1 || len(cfg.Instances[0].Track) != 1) {
			t.Errorf("%s\nthe script is not kept", test.text)
		}
	}
}

// TestAnswers makes the mistakes of tutorials. Each is reported with a remedy.
func TestAnswers(t *testing.T) {
	script := "vrrp_script chk {\nscript /nonexistent/check\n}\n"
	track := func(lines string) string { return instanceText("V", 1, "track_script {\n"+lines+"\n}") }
	for _, test := range []struct {
		name, text, code, answer string
		exit                     int
	}{
		{"a weight on a line of its own", script + track("chk\nweight 20"), "no-tracker", "write the weight on the line of the name", 5},
		{"the path of a defined script", script + track("/nonexistent/check"), "no-tracker", "write the name of the vrrp_script that runs it: chk", 5},
		{"the path of no script", track("/etc/check"), "no-tracker", "takes the name of a vrrp_script", 5},
		{"a misspelt script", script + track("chkk"), "no-tracker", `did you mean "chk"?`, 5},
		{"an undefined script", track("check_haproxy"), "no-tracker", "vrrp_script check_haproxy { … }", 5},
		{"two scripts on a line", script + track("chk chk"), "track-option", "one name per line", 5},
		{"a state in lower case", instanceText("V", 1, "state backup"), "bad-state", `did you mean "BACKUP"?`, 5},
		{"another state", instanceText("V", 1, "state ACTIVE"), "bad-state", "expected MASTER or BACKUP", 5},
		{"a script that nothing tracks", "vrrp_script chk {\nscript check\n}\n" + instanceText("V", 1, ""), "unused-tracker", "name it in track_script", 0},
		{"an address in two instances", instanceText("V", 1, "") + strings.Replace(instanceText("W", 2, ""), "10.0.0.2/24", "10.0.0.1/32", 1), "address-shared", "keep it in one of the two", 0},
		{"two addresses on a line", instanceText("V", 1, "virtual_ipaddress {\n10.0.0.8/24 10.0.0.9/24\n}"), "address-option", "one address per line", 5},
		{"statements behind a brace", "vrrp_instance V { state BACKUP interface eth0\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.1\n}\n}\n", "ignored-words", "one statement per line", 0},
		{"a comment in a word", instanceText("V", 1, "state BACKUP#x"), "glued-comment", "put a blank before it", 0},
		{"a password with a comment", instanceText("V", 1, "authentication {\nauth_type PASS\nauth_pass ab!cd\n}"), "glued-comment", `\!`, 0},
		{"curly quotes", instanceText("V", 1, "notify “/bin/x”"), "lookalike", `write '"'`, 0},
		{"a curly quote in a name", "router_id “x”\n", "unknown-keyword", "it belongs", 5},
		{"a curly quote in a keyword", "global_defs {\n“router_id” x\n}\n", "unknown-keyword", `U+201C); write '"'`, 5},
		{"a full-width digit", instanceText("V", 1, "priority １00"), "bad-number", "U+FF11); write '1'", 5},
		{"a typographic minus", script + track("chk weight −20"), "bad-number", "U+2212); write '-'", 5},
		{"a space that is none", instanceText("V", 1, "priority\u00a0100"), "unknown-keyword", "write ' '", 5},
	} {
		_, diags := load(t, test.text, Options{})
		found := false
		for _, d := range diags {
			found = found || d.Code == test.code && strings.Contains(d.Fix, test.answer)
		}
		if !found || diags.TestExitCode() != test.exit {
			t.Errorf("%s: exit code %d, want %d, and no %s with %q in\n%s", test.name, diags.TestExitCode(), test.exit, test.code, test.answer, list(diags))
		}
	}
	// Typographic quotation marks inside quotes are not reported.
	if _, diags := load(t, "global_defs {\nrouter_id \"„x“\"\n}\n", Options{}); len(diags) > 0 {
		t.Errorf("problems:\n%s", list(diags))
	}
}

// TestUmaskBits checks the bits of a umask by the names of the C library, including names
// for three bits.
func TestUmaskBits(t *testing.T) {
	for text, want := range map[string]uint32{
		"IXUSR|IRWXG|IRWXO":     0o177, // the manual's default
		"IXUSR | IRWXG | IRWXO": 0o177,
		"S_IRWXU|S_IRGRP":       0o740,
		"0x1f":                  0o037,
		"022":                   0o022,
	} {
		cfg, diags := load(t, "global_defs {\numask "+text+"\n}\n", Options{})
		if len(diags) > 0 || cfg.Global.Umask != want {
			t.Errorf("umask %s: %#o, want %#o\n%s", text, cfg.Global.Umask, want, list(diags))
		}
	}
}
