package text

import (
	"bufio"
	"context"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/tool/lab"
	"keepalived-go/internal/tool/required"
)

// The files in conf/testdata/dump have, next to each .conf, the part of the C daemon's
// dump of its data that effectiveLines has too.

// TestEffectiveAsDumped compares effective values with the recorded dumps.
func TestEffectiveAsDumped(t *testing.T) {
	lab.Need(t, lab.Users) // the files name other users
	eachDump(t, func(t *testing.T, path string, cfg *conf.Config) {
		want, err := os.ReadFile(strings.TrimSuffix(path, ".conf") + ".dump")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(effectiveLines(cfg), "\n")); diff != "" {
			t.Errorf("%s (-the C daemon +ours):\n%s", path, diff)
		}
	})
}

// TestDumpsAgainstC compares the recorded dumps with those of an installed keepalived;
// -update records them.
func TestDumpsAgainstC(t *testing.T) {
	lab.Need(t, lab.Users, lab.Peer)
	inNamespace(t)
	program := lab.C().Path
	shim := filepath.Join(t.TempDir(), "ipvs.so")
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-o", shim, "../../../../conf/testdata/dump/ipvs.c").CombinedOutput(); err != nil {
		required.Missing(t, "cc: ", err, "\n", string(out))
	}
	eachDump(t, func(t *testing.T, path string, cfg *conf.Config) {
		got := selected(dump(t, program, shim, path, cfg))
		recorded := strings.TrimSuffix(path, ".conf") + ".dump"
		if *update {
			if err := os.WriteFile(recorded, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		want, err := os.ReadFile(recorded)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
			t.Errorf("%s (-recorded +the C daemon):\n%s", path, diff)
		}
	})
}

// inNamespace moves the test into a network namespace with the two interfaces that the
// files name.
func inNamespace(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // the thread keeps the namespace and ends with this goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"link set lo up", "link add eth0 type veth peer name eth1", "link set eth0 up", "link set eth1 up",
		"addr add 10.7.0.1/24 dev eth0",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", args, err, out)
		}
	}
}

func exists(name string) bool { return name == "eth0" || name == "eth1" || name == "lo" }

var update = flag.Bool("update", false, "record what the C daemon says")

func eachDump(t *testing.T, f func(t *testing.T, path string, cfg *conf.Config)) {
	files, err := filepath.Glob("../../../../conf/testdata/dump/*.conf")
	if err != nil || len(files) < 12 {
		t.Fatalf("%d files, want at least 12: %v", len(files), err)
	}
	for _, path := range files {
		cfg, diags := conf.Load(path, conf.Options{Interface: exists, Names: "../../../../conf/testdata/names"})
		if diags.Fatal() != 0 {
			t.Errorf("%s: cannot run:\n%s", path, diags)
			continue
		}
		f(t, path, cfg)
	}
}

// dump runs the C daemon until its data are written.
func dump(t *testing.T, program, shim, path string, cfg *conf.Config) string {
	dir := t.TempDir()
	args := []string{"-d", "-n", "-l", "-G", "-f", path}
	for flag, name := range map[string]string{"-p": "parent", "-r": "vrrp", "-c": "checkers", "-b": "bfd"} {
		args = append(args, flag, filepath.Join(dir, name))
	}
	// The last line of each process follows its data.
	last, times := "Name = lo", 1
	switch {
	case cfg.HasVirtualServers:
		args, last = append(args, "-C"), "Activating BFD healthchecker"
	case cfg.HasBFD:
		last, times = "send event to checker process", len(cfg.BFDInstances)
	default:
		args = append(args, "-P")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+shim)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		cmd.Wait()
		w.Close()
	}()
	var out strings.Builder
	for lines := bufio.NewScanner(r); lines.Scan(); {
		out.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), last) {
			if times--; times == 0 {
				cancel()
			}
		}
	}
	if times > 0 {
		t.Fatalf("%s: the C daemon did not write its data:\n%s", path, &out)
	}
	return out.String()
}

var (
	stamp = regexp.MustCompile(`^\w{3} \w{3} +\d+ [\d:]+ \d{4}: `)
	// shown are the lines that effectiveLines writes too.
	shown = regexp.MustCompile(`^ +(VS (VIP|FWMARK|GROUP) = |VirtualHost = |SNMP name = |Address family = |connection timeout = |delay_loop = |lvs_sched = |` +
		`Hashed = |[sm]h-(port|fallback) = |flag-\d = |One packet sched|persistence |Quorum (up|down) notify|RS (up|down) notify|Using HA suspend|` +
		`protocol = |alpha is |omega is |Retry |Warmup = |Inhibit on |quorum = |Using smtp notification = |` +
		`(default )?forwarding method = |sorry server = |RIP = |Alpha |connection limit|Delay loop = |\[[^ ]+ -> |FWM [^ ]+ -> |Retries = |Delay before retry = |` +
		`Log all failures = |Enable SNI |Fast recovery |script = |dynamic = |uid:gid = |Regex = |Regex no match|Tracked |Track file = |` +
		`Connection$|Dest = |Bind |Mark = |Timeout = |Keepalive method = |Checked url = |digest = |\d{3}(-\d{3})?$|Virtual host = |` +
		`Payload |Require reply = |M(in|ax) reply length|Reply data |helo = |Type = |Name = |` +
		`Neighbor IP = |Source IP = |Required min|Desired |Detection mult|TTL = |max_hops = |passive = |send event|BFD Instance = |` +
		`Virtual Server Group = |VIP( Range)? = |FWMARK = |LVS (TCP|syncd|mcast|flush)|nftables |ipvs nftables|` +
		`(Checker|BFD) (process|don|realtime)|VMAC (address )?prefix|DBus |SNMP socket|` +
		`Use (VMAC|IPVLAN)|MAC = .*using|Kernel rx|Gratuitous ARP for each secondary [iV]|Static Track Group|VI_\d$)|` +
		`^     ((prepend|append|add|from|not|inet6) |[\d.:a-f]+(/\d+)? (dev|brd))`)
	installed = regexp.MustCompile(` (set|\[[^]]*\])$`)
	made      = regexp.MustCompile(` dev \S+@`) // the interface on which use_vmac sets the address
	// extent matches the heading of a part of a dump.
	extent = regexp.MustCompile(`^-+< (.*) >-+$`)
)

// selected returns the lines of a dump that effectiveLines has too.
func selected(dump string) string {
	var b strings.Builder
	part := ""
	seen := make(map[string]int) // the parent writes some parts too, before or after
	for line := range strings.Lines(dump) {
		line = stamp.ReplaceAllString(strings.TrimRight(line, "\n"), "")
		if m := extent.FindStringSubmatch(line); m != nil {
			part = m[1]
			seen[part]++
		}
		if seen[part] > 1 {
			continue
		}
		switch part {
		case "", "Interfaces":
			continue
		case "VRRP Topology":
			if !vrrpShown.MatchString(line) {
				continue
			}
		case "Global definitions":
			if !globalShown.MatchString(line) {
				continue
			}
		default:
			if globalShown.MatchString(line) {
				continue
			}
		}
		if shown.MatchString(line) {
			line = made.ReplaceAllString(line, " dev ")
			b.WriteString(installed.ReplaceAllString(line, "") + "\n")
		}
	}
	return b.String()
}

var (
	globalShown = regexp.MustCompile(`^ (LVS|nftables|ipvs nftables|Checker|BFD (process|don|realtime)|VMAC|DBus|SNMP socket|Gratuitous ARP for)`)
	vrrpShown   = regexp.MustCompile(`^ +(Use (VMAC|IPVLAN)|MAC = .*using|Kernel rx|(prepend|append|add|from|not|inet6) |[\d.:a-f]+(/\d+)? (dev|brd))`)
)

// effectiveLines returns the lines of a configuration that are compared.
func effectiveLines(c *conf.Config) string {
	var t Writer
	Global(&t, &c.Global, Process{}, &Accounts{Policy: c.Global.Scripts})
	BFD(&t, c)
	servers := &lvsData{LVS: status.Configured(c), accounts: Accounts{Policy: c.Global.Scripts}}
	servers.topology()
	servers.trackedFiles()
	t.b.Write(servers.Bytes())
	Static(&t, c)
	t.Section("VRRP Topology")
	for _, in := range c.Instances {
		Link(&t, in, linkNameOf(in, c.Global.VMACPrefix), true)
		if in.RxBuf != 0 {
			t.Line("   Kernel rx buffer size = %d", in.RxBuf)
		}
		for _, list := range [][]conf.Address{in.Addresses, in.Excluded} {
			for i := range list {
				t.Line("     %s", Address(&list[i], list[i].Interface))
			}
		}
		Routing(&t, in.Routing)
	}
	return selected(ours.Replace(string(t.Bytes())))
}

// ours replaces what differs here, with reasons.
var ours = strings.NewReplacer(
	// A Go program needs more than 10 ms to start.
	" realtime limit = 1000000\n", " realtime limit = 10000\n",
	// The C daemon gives two timeouts the same name.
	" LVS UDP timeout", " LVS TCP timeout",
)
