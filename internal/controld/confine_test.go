package controld

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/proc/link"
)

// envRun is the directory of the process that runs in a test; it is confined from then on.
const envRun = "CONTROLD_TEST_RUN"

// TestRun checks that the process serves when it has given its rights away, that it takes up
// a reload with the same settings and ends after one with others, and that it records that
// the daemon stops.
func TestRun(t *testing.T) {
	covered := ""
	if f := flag.Lookup("test.gocoverdir"); f != nil {
		covered = f.Value.String()
	}
	if dir := os.Getenv(envRun); dir != "" {
		conn, err := link.New(os.NewFile(3, "link"))
		if err != nil {
			t.Fatal(err)
		}
		// It may write its log, and with it what of the code it has covered.
		log := filepath.Join(dir, "log")
		if covered != "" {
			log = filepath.Join(covered, "log")
		}
		if err := Run(Options{Link: conn, Socket: filepath.Join(dir, "socket"), History: filepath.Join(dir, "history"), LogFile: log}); err != nil {
			t.Fatal(err)
		}
		return
	}
	settings := &conf.Config{Global: conf.Global{Control: conf.Control{Group: "no-such-group"}}}
	for name, last := range map[string]link.Message{
		"stop":           {Kind: link.Stop},
		"other settings": {Kind: link.Configure, Config: &conf.Config{}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			parent, file, err := link.Pair()
			if err != nil {
				t.Fatal(err)
			}
			defer parent.Close()
			args := []string{"-test.run=^TestRun$", "-test.timeout=2m"}
			if covered != "" {
				args = append(args, "-test.gocoverdir="+covered)
			}
			var out bytes.Buffer
			cmd := exec.Command("/proc/self/exe", args...)
			cmd.Env, cmd.ExtraFiles = append(os.Environ(), envRun+"="+dir, "TMPDIR="+dir), []*os.File{file}
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := false
			defer func() {
				if !ended {
					cmd.Process.Kill()
					cmd.Wait()
				}
				if t.Failed() {
					t.Logf("%s", &out)
				}
			}()
			file.Close()
			parent.SetDeadline(time.Now().Add(time.Minute))
			heard := make(chan link.Kind, 64)
			go answer(parent, heard)
			expect := func(want link.Kind) {
				t.Helper()
				for kind := range heard {
					if kind == want {
						return
					}
				}
				t.Fatalf("no message %d", want)
			}
			send := func(m link.Message) {
				t.Helper()
				if err := parent.Send(m); err != nil {
					t.Fatal(err)
				}
			}
			send(link.Message{Kind: link.Configure, Config: settings})
			expect(link.Started)

			for request, want := range map[string]string{"GET /v1/status": `"host":"node-1"`, "POST /v1/reload": `"reloads":3`} {
				c, err := net.Dial("unix", filepath.Join(dir, "socket"))
				if err != nil {
					t.Fatal(err)
				}
				c.SetDeadline(time.Now().Add(time.Minute))
				io.WriteString(c, request+" HTTP/1.0\r\n\r\n")
				if b, err := io.ReadAll(c); err != nil || !strings.Contains(string(b), want) {
					t.Errorf("%s: %.200q %v, want %s", request, b, err, want)
				}
				c.Close()
			}
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
				if !strings.Contains(string(b), want) {
					t.Errorf("not %q", want)
				}
			}
			send(link.Message{Kind: link.Configure, Config: settings})
			expect(link.Reloaded)
			send(last)
			err = cmd.Wait()
			if ended = true; err != nil {
				t.Error(err)
			}
			b, err = os.ReadFile(filepath.Join(dir, "history"))
			if stops := strings.Contains(string(b), `"to":"stopping"`); err != nil || stops != (last.Kind == link.Stop) {
				t.Errorf("history: %v, %s", err, b)
			}
			if _, err := os.Lstat(filepath.Join(dir, "socket")); err == nil {
				t.Error("the socket is left")
			}
		})
	}
}

// answer answers as the parent does, and reports what else it hears.
func answer(parent *link.Conn, heard chan<- link.Kind) {
	defer close(heard)
	for {
		m, err := parent.Receive()
		if err != nil {
			return
		}
		switch m.Kind {
		case link.Ask:
			body, err := json.Marshal(api.Status{Version: api.Version, Node: api.Node{Host: "node-1"}})
			if err != nil {
				body = nil
			}
			err = parent.Send(link.Snapshot(m.Question.ID, link.Text(body)))
			if err != nil {
				return
			}
		case link.Act:
			o := &link.Outcome{ID: m.Order.ID, Result: act.Answer(api.Configuration{Reloads: 3}, nil)}
			if err := parent.Send(link.Message{Kind: link.Done, Outcome: o}); err != nil {
				return
			}
		case link.Started, link.Reloaded:
			heard <- m.Kind
		}
	}
}
