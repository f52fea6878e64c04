package checkd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/output/status/text"
	"keepalived-go/internal/tool/lab"
	"keepalived-go/internal/tool/lab/uml"
	"keepalived-go/internal/tool/lab/uml/umltest"
)

// TestDataAsC checks, on a real load balancer, that the data dump has the sections, lines
// and values of the C daemon's for the same file: services that have their quorum, that
// have lost it to a sorry server and that wait for their first success; servers that are
// up, down, inhibited and without weight.
func TestDataAsC(t *testing.T) {
	umltest.Run(t, uml.Machine{Modules: []string{"ip_vs", "ip_vs_rr", "ip_vs_wlc"}, Timeout: 2 * time.Minute}, func(t *testing.T) {
		lab.Need(t, lab.Peer)
		logtest.Capture(t)
		up, down := serve(t), serve(t)
		down.close()
		u, d := up.addr().Port(), down.addr().Port()
		server := func(port uint16, weight int, more string) string {
			return fmt.Sprintf("    real_server 127.0.0.1 %d {\n        weight %d\n        %s\n        TCP_CHECK {\n            connect_timeout 5\n        }\n    }\n", port, weight, more)
		}
		service := func(name, more string, servers ...string) string {
			return "virtual_server " + name + " {\n    lb_algo rr\n    lb_kind NAT\n    delay_loop 1\n    warmup 0\n    delay_before_retry 1\n" + more + "\n" + strings.Join(servers, "") + "}\n"
		}
		config := "virtual_server_group w {\n    10.0.0.1 80\n    10.0.0.2-4 81\n    fwmark 3\n}\n" +
			service("group w", "    protocol TCP\n    quorum 2\n    hysteresis 1", server(u, 3, ""), server(d, 5, "inhibit_on_failure")) +
			service("10.0.1.1 80", "    protocol TCP\n    sorry_server 127.0.0.9 80", server(d, 2, "")) +
			service("10.0.1.2 80", "    protocol TCP\n    alpha", server(u, 1, ""), server(d, 1, "")) +
			service("10.0.1.3 53", "    protocol UDP\n    omega\n    ha_suspend", server(u, 0, ""), server(u+1, 4, "MISC_CHECK {\n            misc_path \"/usr/bin/test 1 = 2\"\n        }")) +
			"virtual_server fwmark 9 {\n    lb_algo wlc\n    lb_kind DR\n    persistence_timeout 50\n    real_server 10.9.0.1 {\n        weight 2\n    }\n}\n"
		const checks, suspended = 8, 3
		decided := func(dump string) bool {
			complete := strings.Count(dump, "Keepalive method = ") == checks // the last line of each
			return complete && strings.Count(dump, "Has run = yes") == checks-suspended && judged(dump, u, "1") && judged(dump, d, "0")
		}
		want := dataOfC(t, config, decided)

		c := read(t, config)
		daemon, err := newDaemon(Options{}, c)
		if err != nil {
			t.Fatal(err)
		}
		daemon.begin(c)
		p := &process{daemon: daemon, t: t}
		defer p.stop()
		var got string
		p.until("all checks have run", func() bool {
			s := p.taken(nil)
			got = string(text.LVS(s))
			return decided(got) && s.Table.Waiting == 0
		})
		if n := len(compared(want)); n < 200 {
			t.Errorf("only %d lines are compared", n)
		}
		if diff := cmp.Diff(compared(want), compared(got)); diff != "" {
			t.Errorf("data (-the C daemon +ours):\n%s", diff)
		}
	})
}

// aliveOf matches the port of a real server in a data dump, and whether it is alive.
var aliveOf = regexp.MustCompile(`(?s)RPORT = (\d+),.*?\n   alive = (\d)`)

// judged reports whether the real servers of a port have their final state. A check that
// has run once may have attempts left before it fails.
func judged(dump string, port uint16, alive string) bool {
	for _, m := range aliveOf.FindAllStringSubmatch(dump, -1) {
		if m[1] == fmt.Sprint(port) && m[2] != alive {
			return false
		}
	}
	return true
}

// dataOfC runs the C daemon until done accepts its data dump.
func dataOfC(t *testing.T, config string, done func(dump string) bool) string {
	dir := t.TempDir()
	file := filepath.Join(dir, "k.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(lab.C().Path, "-n", "-l", "-G", "-C", "-f", file, "-p", filepath.Join(dir, "pid"), "-c", filepath.Join(dir, "checkers"))
	c.Env = append(os.Environ(), "TMPDIR="+dir)
	var log strings.Builder
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		c.Process.Signal(syscall.SIGTERM)
		c.Wait()
	}()
	last := ""
	for patience := lab.NewPatience(30 * time.Second); patience.Left() > 0; time.Sleep(500 * time.Millisecond) {
		if strings.Contains(last, "------< Health checkers >------") && done(last) {
			return last
		}
		if _, err := os.Stat(filepath.Join(dir, "checkers")); err == nil {
			c.Process.Signal(syscall.SIGUSR1)
		}
		b, _ := os.ReadFile(filepath.Join(dir, "keepalived_check.data")) // not written yet
		last = string(b)
	}
	t.Fatalf("the C daemon's data are not as expected:\n%s", last)
	return ""
}

// notOurs matches lines of the C daemon that have no meaning here, or a different one:
// its own bookkeeping, and retries that it counts as spent before the first attempt.
var notOurs = regexp.MustCompile(`^ +(System is compiled|reloaded = |previous effective|Default delay|Retries iterations = |timeout = |Last ran = |Last status = )`)

// compared returns the lines about virtual servers and checks that both daemons have.
func compared(dump string) (lines []string) {
	_, dump, _ = strings.Cut(dump, "------< LVS Topology >------\n")
	dump, _, _ = strings.Cut(dump, "------< Reasons >------\n")
	for line := range strings.Lines(dump) {
		if !notOurs.MatchString(line) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}
