package test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
)

// TestCauseOfTakeover checks that the log, the data dump and the JSON dump give the same,
// correct reason for a take-over.
func TestCauseOfTakeover(t *testing.T) {
	t.Parallel()
	differs(t, "gives none")
	pass := func(word string) string {
		return fmt.Sprintf("authentication {\n    auth_type PASS\n    auth_pass %s\n}", word)
	}
	for _, c := range []struct {
		name           string
		a, b           instance
		reason, phrase string
	}{
		{"a wrong password", instance{Version: 2, More: pass("one")}.at(150), instance{Version: 2, More: pass("two")}.at(100),
			"adverts-rejected", "so far: wrong password"},
		{"another interval", instance{Version: 2}.at(150), instance{Version: 2, Interval: 2 * time.Second}.at(100),
			"adverts-rejected", "so far: another advertisement interval"},
		{"a worse master", instance{}.at(100), instance{}.at(150),
			"preempt", "has the lower priority 100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "a", "b")
			s.start("a", ours, config(c.a))
			s.awaitOwner(vip, 12*time.Second, "a")
			b := s.start("b", ours, config(c.b))
			if !s.Until(15*time.Second, func() bool { return s.Node("b").Has(vip) }) {
				t.Fatal("b is not master")
			}
			s.awaitLog(b, b.Started, "Entering MASTER STATE (", 5*time.Second)
			for _, line := range b.Log() {
				if strings.Contains(line.Text, "Entering MASTER STATE (") && !strings.Contains(line.Text, c.phrase) {
					t.Errorf("the log has %q, want %q", line.Text, c.phrase)
				}
			}
			s.dataWhen(b, "keepalived.data", " BACKUP -> MASTER ("+c.reason+"): ", c.phrase)
		})
	}
}

// TestFirewall checks that a refusal by a packet filter of the node itself is logged with
// the rule to add.
func TestFirewall(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Nft)
	differs(t, "does not name it")
	s := newScene(t, "a", "b")
	for _, rule := range []string{"add table ip t", "add chain ip t out { type filter hook output priority 0; }", "add rule ip t out ip protocol 112 drop"} {
		if out, err := s.Node("a").Run("nft", rule); err != nil {
			t.Fatalf("nft %s: %v\n%s", rule, err, out)
		}
	}
	a := s.start("a", ours, config(instance{}.at(150)))
	s.awaitLog(a, a.Started, "a firewall on this machine blocks it: allow IP protocol 112 (VRRP), in and out", 10*time.Second)
	// a yields to a better master, and takes over again when it is gone.
	b := s.start("b", ours, config(instance{}.at(200)))
	s.awaitOwner(vip, 5*time.Second, "b")
	s.must(b.Stop())
	s.awaitOwner(vip, 5*time.Second, "a")
	b = s.start("b", ours, config(instance{}.at(200)))
	s.awaitOwner(vip, 5*time.Second, "b")
	b.Kill()
	s.awaitLog(a, b.Started, "Entering MASTER STATE (no adverts are heard, and a firewall on this machine blocks", 10*time.Second)
}

// TestHindranceIsReported checks that a backup that could be master reports why it is not.
func TestHindranceIsReported(t *testing.T) {
	t.Parallel()
	differs(t, "does not say it")
	s := newScene(t, "a", "b")
	s.start("a", ours, config(instance{}.at(100)))
	s.awaitOwner(vip, 5*time.Second, "a")
	b := s.start("b", ours, config(instance{More: "nopreempt"}.at(150)))
	s.awaitLog(b, b.Started, "stays BACKUP: nopreempt leaves 10.0.0.1 master, with the lower priority 100", 5*time.Second)
	s.dataWhen(b, "keepalived.data", "Kept from MASTER by = nopreempt: 10.0.0.1 is master with priority 100")
	var all []struct {
		Why struct{ Reason, Why, Hindrance string }
	}
	s.must(json.Unmarshal(s.dumps(b).json, &all))
	if len(all) != 1 || !strings.HasPrefix(all[0].Why.Hindrance, "nopreempt") || all[0].Why.Reason != "start" {
		t.Errorf("the JSON dump has %+v", all)
	}
}

// TestPriorityCauses checks that each change of the priority is reported with its cause,
// including the way back and a reload.
func TestPriorityCauses(t *testing.T) {
	t.Parallel()
	differs(t, "does not say it")
	s := newScene(t, "a")
	s.write("a", "load", "0\n")
	file := s.path("a", "load")
	text := func(priority int) string {
		return trackFile("load", file, "weight 1") + config(instance{}.at(priority).tracks("file", "load"))
	}
	a := s.start("a", ours, text(100))
	s.awaitOwner(vip, 5*time.Second, "a")
	s.write("a", "load", "20\n")
	s.awaitLog(a, a.Started, "Changing effective priority from 100 to 120 (track_file load: ", 5*time.Second)
	s.write("a", "load", "0\n")
	s.awaitLog(a, a.Started, "Changing effective priority from 120 to 100 (track_file load: ", 5*time.Second)
	s.must(a.Reload(text(90)))
	s.awaitLog(a, a.Started, "Changing effective priority from 100 to 90 (reload", 5*time.Second)
}
