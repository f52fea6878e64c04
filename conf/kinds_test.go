package conf

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"keepalived-go/internal/tool/required"
)

var updateKinds = flag.Bool("update-kinds", false, "write testdata/oracle/kinds.txt anew: our verdicts, and with the C daemon at hand its own")

// beside holds the lines that a block needs to be without a problem, by path. A line that
// begins with the tested keyword is left out.
var beside = map[string]string{
	"": "global_defs {\nscript_user root\nenable_script_security\n}\n",

	"vrrp_instance":                "interface eth0\nvirtual_router_id 51\nvirtual_ipaddress { 192.0.2.10/24 }\n",
	"vrrp_instance.authentication": "auth_type PASS\nauth_pass secret\n",
	"vrrp_instance.auth_hmac":      "key 1 0123456789abcdef0123456789abcdef\nactive_key 1\n",
	"vrrp_sync_group":              "group { VI_1 VI_2 }\n",
	"vrrp_script":                  "script /bin/sh\n",
	"vrrp_track_process":           "process nginx\n",
	"track_file":                   "file /run/x\n",
	"vrrp_track_file":              "file /run/x\n",
	"bfd_instance":                 "neighbor_ip 192.0.2.3\n",
	"garp_group":                   "garp_interval 0.1\ninterface eth0\n",
	"track_group":                  "group { VI_1 }\n",

	"virtual_server":                          "lvs_sched rr\nlvs_method NAT\nprotocol TCP\nreal_server 192.0.2.21 80 { TCP_CHECK { } }\n",
	"virtual_server.real_server":              "TCP_CHECK { }\n",
	"virtual_server.real_server.HTTP_GET":     "url { path / }\n",
	"virtual_server.real_server.SSL_GET":      "url { path / }\n",
	"virtual_server.real_server.HTTP_GET.url": "path /\n",
	"virtual_server.real_server.SSL_GET.url":  "path /\n",
	"virtual_server.real_server.MISC_CHECK":   "misc_path /bin/sh\n",
	"virtual_server.real_server.FILE_CHECK":   "track_file f\n",
	"virtual_server.real_server.BFD_CHECK":    "name b\n",
}

// aroundKind holds the definitions to which a block refers.
var aroundKind = map[string]string{
	"virtual_server":  "track_file f {\nfile /run/x\n}\nbfd_instance b {\nneighbor_ip 192.0.2.3\n}\n",
	"vrrp_sync_group": "vrrp_instance VI_1 {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress { 192.0.2.1 }\n}\nvrrp_instance VI_2 {\ninterface eth0\nvirtual_router_id 2\nvirtual_ipaddress { 192.0.2.2 }\n}\n",
	"track_group":     "vrrp_instance VI_1 {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress { 192.0.2.1 }\n}\n",
}

// besideWord holds the keywords that another keyword needs next to it.
var besideWord = map[string]string{
	"vrrp_instance.unicast_src_ip":       "unicast_peer { 192.0.2.3 }\n",
	"vrrp_instance.unicast_ttl":          "unicast_peer { 192.0.2.3 }\n",
	"vrrp_instance.check_unicast_src":    "unicast_peer { 192.0.2.3 }\n",
	"vrrp_instance.old_unicast_checksum": "unicast_peer { 192.0.2.3 }\n",
	"vrrp_instance.timer_expired_backup": "nopreempt\n",
	"vrrp_instance.owner_ignore_adverts": "priority 255\n",
	"vrrp_instance.vmac_xmit_base":       "use_vmac\n",
	"vrrp_instance.use_ipvlan":           "mcast_src_ip 192.0.2.2\n",
}

// kindArgument holds arguments without a problem, where the example is not suitable.
var kindArgument = map[string]string{
	"global_defs.script_user":                          "root",
	"vrrp_script.user":                                 "root",
	"vrrp_script.script":                               "/bin/sh",
	"virtual_server.quorum":                            "1",
	"vrrp_instance.virtual_ipaddress_excluded.ADDRESS": "192.0.2.99/24 dev eth0",
	"vrrp_sync_group.group.INSTANCE":                   "VI_1 VI_2",
	"track_group.group.INSTANCE":                       "VI_1",
}

// kinds lists the mistakes that a statement can have.
var kinds = []struct {
	name string
	of   func(k *Keyword, name, arg string) string // "": not for this keyword
}{
	{"as-is", func(k *Keyword, name, arg string) string { return name + arg }},
	{"missing", func(k *Keyword, name, arg string) string {
		if arg == "" {
			return ""
		}
		return name
	}},
	{"surplus", func(k *Keyword, name, arg string) string { return name + arg + " xyzzy" }},
	{"twice", func(k *Keyword, name, arg string) string {
		if k.block != nil {
			return ""
		}
		return name + arg + "\n" + name + arg
	}},
	{"both", func(k *Keyword, name, arg string) string { // the old name and the new one
		if k.block != nil || !k.sibling(k.Successor) {
			return ""
		}
		return name + arg + "\n" + k.Successor + arg
	}},
	{"word", func(k *Keyword, name, arg string) string { return name + " xyzzy" }},
	{"empty", func(k *Keyword, name, arg string) string { return name + ` ""` }},
	{"plus", numbers(func(n string) string { return "+" + n })},
	{"minus", numbers(func(n string) string { return "-" + n })},
	{"fraction", numbers(func(n string) string { return strings.SplitN(n, ".", 2)[0] + ".5" })},
	{"precise", numbers(func(n string) string { return strings.SplitN(n, ".", 2)[0] + ".123456789" })},
	{"huge", numbers(func(n string) string { return "99999999999999999999" })},
	{"large", numbers(func(n string) string { return "4294967296" })},
	{"zero", numbers(func(n string) string { return "0" })},
	{"zeros", numbers(func(n string) string { return "00" + n })},
	{"hex", numbers(func(n string) string { return "0x10" })},
	{"trailing", numbers(func(n string) string { return n + "x" })},
	{"comma", numbers(func(n string) string { return n + "," })},
}

// sibling reports whether the block of k has the other keyword.
func (k *Keyword) sibling(other string) bool {
	found := false
	var walk func(b *block)
	walk = func(b *block) {
		found = found || b.path == k.Block && b.words[other] != nil
		for _, k := range b.order {
			if k.block != nil {
				walk(k.block)
			}
		}
	}
	walk(root())
	return found
}

// numbers applies change to an argument that begins with a number.
func numbers(change func(string) string) func(k *Keyword, name, arg string) string {
	return func(k *Keyword, name, arg string) string {
		first, rest, _ := strings.Cut(strings.TrimSpace(arg), " ")
		if _, err := strconv.ParseFloat(first, 64); err != nil || k.args.kind == argNone || strings.Contains(first, "/") {
			return ""
		}
		return name + " " + change(first) + " " + rest
	}
}

// kindCase is one keyword with one mistake.
type kindCase struct {
	k          *Keyword
	path, kind string
	text       string
}

// kindCases returns all cases, in the order of the schema.
func kindCases() []kindCase {
	var out []kindCase
	var walk func(b *block, before, after string)
	walk = func(b *block, before, after string) {
		for _, k := range b.order {
			if k.option || strings.HasPrefix(k.Name, "include") && k.Name != "include_check" {
				continue
			}
			var others strings.Builder
			for line := range strings.Lines(beside[b.path]) {
				if strings.Fields(line)[0] != k.Name || b.path == "" {
					others.WriteString(line)
				}
			}
			before := before + others.String()
			if b.path == "" {
				before += aroundKind[k.Name]
			}
			name, arg := k.Name, k.exampleArgument()
			if k.entry {
				name, arg, _ = strings.Cut(arg, " ")
			}
			if v, ok := kindArgument[k.Path()]; ok {
				arg = v
				if k.entry {
					name, arg, _ = strings.Cut(v, " ")
				}
			}
			before += besideWord[k.Path()]
			if strings.HasPrefix(arg, "/etc/keepalived/") && k.args.kind == argCommand {
				arg = "/bin/sh"
			}
			if arg != "" {
				arg = " " + arg
			}
			if k.args.kind == argNone && !k.entry {
				arg = ""
			}
			body := ""
			if k.block != nil {
				body = " {\n" + beside[k.Path()] + "}"
				if k.block.entry != nil {
					for _, e := range k.block.order {
						if v := kindArgument[e.Path()]; e.entry && v != "" {
							body = " {\n" + v + "\n}"
						} else if e.entry {
							body = " {\n" + e.Example() + "\n}"
						}
					}
				}
			}
			for _, kind := range kinds {
				if statement := kind.of(k, name, arg); statement != "" {
					out = append(out, kindCase{k, k.Path(), kind.name, before + statement + body + "\n" + after})
				}
			}
			if k.block != nil {
				walk(k.block, before+name+arg+" {\n", "}\n"+after)
			}
		}
	}
	walk(root(), "", "")
	return out
}

// kindReasons lists the reasons for verdicts that differ from the installed C daemon's,
// by path and kind. Either may be empty.
var kindReasons = []struct{ path, kind, reason string }{
	{"global_defs.vrrp_iptables", "", "the C daemon at hand is built without iptables"},
	{"global_defs.include_check", "", "readable is the word of the manual, read that of the C daemon"},
	{"", "empty", "an empty word is neither a number, a boolean nor a name"},
	{"global_defs.vrrp_strict", "word", "a boolean is a boolean"},
	{"global_defs.vrrp_skip_check_adv_addr", "word", "a boolean is a boolean"},
	{"global_defs.smtp_server", "word", "names are looked up when mail is sent"},
	{"global_defs.startup_script", "surplus", "users are judged where commands are, which the test leaves out"},
	{"global_defs.shutdown_script", "surplus", "users are judged where commands are, which the test leaves out"},
	{"static_routes.ROUTE", "", "2.4.3 takes a route without an interface"},
	{"vrrp_instance.virtual_routes.ROUTE", "", "2.4.3 takes a route without an interface"},
	{"vrrp_script.script", "word", "a command that is not found is judged where commands are"},
	{"vrrp_script.interval", "fraction", "2.4.3 takes fractions"},
	{"vrrp_script.timeout", "fraction", "2.4.3 takes fractions"},
	{"virtual_server_group", "surplus", "2.2.7 ends with a riddle"},
	{"virtual_server.sorry_server_lvs_method", "missing", "2.2.7 looks for sorry_server first"},
	{"virtual_server.real_server.MISC_CHECK.user", "", "users are judged where commands are, which the test leaves out"},
	{"vrrp_instance.virtual_ipaddress.ADDRESS", "twice", "2.4.3 reports a repeated address, 2.2.7 does not"},
	{"vrrp_instance.virtual_ipaddress_excluded.ADDRESS", "twice", "2.4.3 reports a repeated address, 2.2.7 does not"},
	{"virtual_server.real_server.HTTP_GET.url.regex_min_offset", "", "2.2.7 takes whatever stands behind the words about patterns"},
	{"virtual_server.real_server.HTTP_GET.url.regex_max_offset", "", "2.2.7 takes whatever stands behind the words about patterns"},
	{"virtual_server.real_server.HTTP_GET.url.regex", "", "2.2.7 takes whatever stands behind the words about patterns"},
	{"virtual_server.real_server.HTTP_GET.url.regex_options", "", "2.2.7 takes whatever stands behind the words about patterns"},
	{"virtual_server.real_server.HTTP_GET.url.regex_stack", "", "2.2.7 takes whatever stands behind the words about patterns"},
	{"virtual_server.real_server.HTTP_GET.url.status_code", "", "2.2.7 goes on without the argument"},
	{"virtual_server.real_server.SSL_GET.url.regex_min_offset", "", "2.2.7 takes whatever stands behind the words about patterns"},
	{"virtual_server.real_server.SSL_GET.url.regex_max_offset", "", "2.2.7 takes whatever stands behind the words about patterns"},
	{"virtual_server.real_server.SSL_GET.url.regex", "", "2.2.7 takes whatever stands behind the words about patterns"},
	{"virtual_server.real_server.SSL_GET.url.regex_options", "", "2.2.7 takes whatever stands behind the words about patterns"},
	{"virtual_server.real_server.SSL_GET.url.regex_stack", "", "2.2.7 takes whatever stands behind the words about patterns"},
	{"virtual_server.real_server.SSL_GET.url.status_code", "", "2.2.7 goes on without the argument"},
	{"bfd_instance", "missing", "2.2.7 crashes"},
	{"garp_group.interfaces", "", "2.2.7 takes the first interface for a keyword without its argument"},
	{"vrrp_instance.unicast_peer.ADDRESS", "twice", "2.4.3 reports a repeated peer, 2.2.7 does not"},
}

func (c *kindCase) reason() string {
	for _, r := range kindReasons {
		if (r.path == "" || r.path == c.path || strings.HasPrefix(c.path, r.path+".")) && (r.kind == "" || r.kind == c.kind) {
			return r.reason
		}
	}
	return ""
}

// known reports whether version 2.2.7, the installed daemon, has the word.
func (c *kindCase) known() bool { return c.k.Since == "" }

func kindOptions() Options {
	return Options{Interface: exists, CheckCommand: runnable, CPUs: 2}
}

// verdict returns our verdict.
func (c *kindCase) verdict() (int, Diagnostics) {
	o := kindOptions()
	o.Unsaved = func(string) (string, bool) { return c.text, true }
	_, diags := Load("keepalived.conf", o)
	return diags.TestExitCode(), diags
}

const kindsFile = "testdata/oracle/kinds.txt"

// recordedKinds reads the verdicts in testdata/oracle/kinds.txt by path and kind. Its
// lines are "path kind=OURS kind=OURS/THEIRS …".
func recordedKinds(t *testing.T) map[string]verdict {
	t.Helper()
	data, err := os.ReadFile(kindsFile)
	if err != nil && !*updateKinds {
		t.Fatal(err)
	}
	out := make(map[string]verdict)
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		for _, w := range words[1:] {
			kind, codes, _ := strings.Cut(w, "=")
			ours, theirs, differs := strings.Cut(codes, "/")
			var v verdict
			if v.ours, err = strconv.Atoi(ours); err != nil {
				t.Fatalf("%s: %q: %v", kindsFile, line, err)
			}
			v.theirs = v.ours
			if differs {
				if v.theirs, err = strconv.Atoi(theirs); err != nil {
					t.Fatalf("%s: %q: %v", kindsFile, line, err)
				}
			}
			out[words[0]+" "+kind] = v
		}
	}
	return out
}

// writeKinds writes the verdicts.
func writeKinds(t *testing.T, cases []kindCase, verdicts map[string]verdict) {
	t.Helper()
	var b strings.Builder
	b.WriteString("# What a configuration test says of each keyword with something wrong about it: the\n# exit status, and behind a / that of the C daemon 2.2.7 where it is another one.\n# Written by go test -update-kinds.\n")
	path := ""
	for _, c := range cases {
		if c.path != path {
			if path != "" {
				b.WriteByte('\n')
			}
			path = c.path
			b.WriteString(path)
		}
		v := verdicts[c.path+" "+c.kind]
		fmt.Fprintf(&b, " %s=%d", c.kind, v.ours)
		if v.theirs != v.ours {
			fmt.Fprintf(&b, "/%d", v.theirs)
		}
	}
	b.WriteByte('\n')
	if err := os.WriteFile(kindsFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestKinds compares our verdict on every keyword, with each kind of mistake, with the
// recorded verdict. If it differs from that of the C daemon, there must be a reason. With
// -v it prints a table of the reasons.
func TestKinds(t *testing.T) {
	cases, recorded := kindCases(), recordedKinds(t)
	if len(cases) < 5000 {
		t.Errorf("only %d cases", len(cases))
	}
	table := make(map[string][]string) // by reason
	for _, c := range cases {
		key := c.path + " " + c.kind
		got, diags := c.verdict()
		want, ok := recorded[key]
		if *updateKinds {
			want.ours = got
			if !ok || !c.known() {
				want.theirs = got
			}
			recorded[key] = want
		} else if !ok || got != want.ours {
			t.Errorf("%s: status %d, recorded %d, %t\n%s\n%s", key, got, want.ours, ok, c.text, list(diags))
		}
		if got != want.theirs {
			reason := c.reason()
			if reason == "" {
				t.Errorf("%s: status %d, the C daemon has %d, and there is no reason\n%s\n%s", key, got, want.theirs, c.text, list(diags))
			}
			table[reason] = append(table[reason], fmt.Sprintf("%s: %d, C %d", key, got, want.theirs))
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(table)) {
		t.Logf("%s\n\t%s", reason, strings.Join(table[reason], "\n\t"))
	}
	if *updateKinds {
		writeKinds(t, cases, recorded)
	}
}

// TestKindsAgainstC compares with an installed keepalived: all cases with -update-kinds,
// otherwise every fortieth.
func TestKindsAgainstC(t *testing.T) {
	t.Parallel() // the C daemon sleeps more than it computes
	if testing.Short() {
		required.Excluded(t, "it starts another program some hundred times")
	}
	program := oracle(t)
	cases, recorded := kindCases(), recordedKinds(t)
	dir := t.TempDir()
	runs := newRunsOfC(program)
	var mu sync.Mutex // guards recorded
	for i, c := range cases {
		if !c.known() || !*updateKinds && i%40 != 0 {
			continue
		}
		path := filepath.Join(dir, strconv.Itoa(i)+".conf")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		runs.run(t, path, func(theirs int, out string) {
			mu.Lock()
			defer mu.Unlock()
			key := c.path + " " + c.kind
			v := recorded[key]
			if !*updateKinds && theirs != v.theirs {
				t.Errorf("%s: the C daemon has %d, recorded %d\n%s\n%s", key, theirs, v.theirs, c.text, out)
			}
			v.theirs = theirs
			recorded[key] = v
		})
	}
	runs.wait()
	if *updateKinds {
		writeKinds(t, cases, recorded)
	}
}
