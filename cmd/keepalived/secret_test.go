package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keepalived-go/conf"
	"keepalived-go/conf/view"
	dump "keepalived-go/internal/output/status/text"
	"keepalived-go/internal/tool/lsp"
	"keepalived-go/internal/tool/report"
	"keepalived-go/lint"
)

// secrets lists the secrets of the files that are mutated. No word of the language
// resembles them.
var secrets = []string{"qzqzqzq1", "wvwvwvwvwvwvwvwvwvwvwvwvwvwvwvw2", "hxhxhxh3", "ujujuju4"}

// secretFiles lists files with every kind of secret, each in its block.
var secretFiles = []string{`$PW=` + secrets[0] + `
global_defs {
    router_id LVS
    smtp_server 192.0.2.25
    smtp_auth account ` + secrets[2] + `
    notification_email {
        admin@example.org
    }
}
SSL {
    password ` + secrets[3] + `
    key /etc/ssl/key.pem
}
vrrp_instance VI_1 {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 100
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass $PW
    }
    virtual_ipaddress {
        192.0.2.10/24
    }
}
`, `vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    authentication {
        auth_type PASS
        auth_pass ` + secrets[0] + ` # of both
    }
    virtual_ipaddress {
        192.0.2.10/24
    }
}
vrrp_instance VI_2 {
    version 3
    interface eth0
    virtual_router_id 52
    auth_hmac {
        key 1 ` + secrets[1] + `
        active_key 1
        mode enforce
    }
    virtual_ipaddress {
        192.0.2.11/24
    }
}
`, `$AUTH=authentication {\
    auth_type PASS\
    auth_pass ` + secrets[0] + `\
}
vrrp_instance VI_1 { interface eth0
    virtual_router_id 51
    priority abc
    $AUTH
    virtual_ipaddress { 192.0.2.10/24 }
}
`}

// mutations yields texts that differ from one by one mistake: a character added, removed,
// replaced or exchanged; a word removed or doubled; a line likewise, or exchanged with
// the one above it.
func mutations(text string, yield func(string)) {
	yield(text)
	inside := make([]bool, len(text)+1) // of a secret: a broken one is another secret
	for _, s := range secrets {
		for at := 0; ; {
			n := strings.Index(text[at:], s)
			if n < 0 {
				break
			}
			for i := at + n + 1; i < at+n+len(s); i++ {
				inside[i] = true
			}
			at += n + len(s)
		}
	}
	for i := range len(text) {
		if inside[i] {
			continue
		}
		for _, c := range []string{" ", "\n", "{", "}", `"`, "#", "!", "=", ":", "$", "@", "~", `\`, "'", "x", "1", "\t", "\x00", "\u00a0"} {
			yield(text[:i] + c + text[i:])
			if !inside[i+1] {
				yield(text[:i] + c + text[i+1:])
			}
		}
		if inside[i+1] {
			continue
		}
		yield(text[:i] + text[i+1:])
		if i+2 <= len(text) && !inside[i+2] {
			yield(text[:i] + text[i+1:i+2] + text[i:i+1] + text[i+2:])
		}
	}
	lines := strings.SplitAfter(text, "\n")
	for i, l := range lines {
		without := strings.Join(lines[:i], "")
		rest := strings.Join(lines[i+1:], "")
		yield(without + rest)
		yield(without + l + l + rest)
		if i > 0 {
			yield(strings.Join(lines[:i-1], "") + l + lines[i-1] + rest)
		}
		words := strings.Fields(l)
		for j := range words {
			for _, other := range [][]string{
				append(append([]string{}, words[:j]...), words[j+1:]...),
				append(append([]string{}, words[:j+1]...), words[j:]...),
				append(append(append([]string{}, words[:j]...), "word"), words[j:]...),
				append(append(append([]string{}, words[:j]...), "\n"), words[j:]...),
			} {
				yield(without + strings.Join(other, " ") + "\n" + rest)
			}
		}
	}
}

// outputs returns everything that the program prints about a file. The output of
// keepalived fmt is the file itself.
func outputs(name, text string, withEditor bool) map[string]string {
	out := make(map[string]string)
	o := conf.Options{
		Interface:    func(string) bool { return false },
		CheckCommand: func(c conf.Command, _ conf.ScriptPolicy) error { return fmt.Errorf("no %v", c) },
		Unsaved:      func(n string) (string, bool) { return text, n == name },
		Env:          func(string) (string, bool) { return "", false },
	}
	var tree []*conf.Statement
	o.Statement = func(s *conf.Statement) { tree = append(tree, s) }
	cfg, found := conf.Load(name, o)
	if cfg != nil {
		found = append(found, lint.Check(cfg, lint.Host{})...)
		out["--effective"] = view.Text(view.Effective(cfg, tree))
		other, _ := conf.Load(name, conf.Options{Unsaved: func(string) (string, bool) { return "", true }})
		out["--diff"] = view.Diff(view.Effective(cfg, tree), view.Effective(other, nil)) + view.Diff(view.Effective(other, nil), view.Effective(cfg, tree))
		b, err := json.Marshal(cfg)
		out["--json"] = string(b)
		if err != nil {
			panic(err)
		}
		out["%+v"] = fmt.Sprintf("%+v %#v", cfg, cfg.Global)
		for _, in := range cfg.Instances {
			out["%+v"] += fmt.Sprintf("%+v", *in)
		}
		var t dump.Writer
		dump.Global(&t, &cfg.Global, dump.Process{}, &dump.Accounts{})
		out["dump"] = fmt.Sprint(&t)
	}
	var log strings.Builder
	for _, d := range found {
		fmt.Fprintln(&log, d)
	}
	out["log"] = log.String()
	for i, format := range report.Formats {
		var b bytes.Buffer
		if err := report.Write(&b, found, report.Options{Format: report.Format(i), Codes: true, Read: func(string) (string, error) { return text, nil }}); err != nil {
			panic(err) // into a buffer
		}
		out["report as "+format] = b.String()
	}
	// A diagnostic may be at any line.
	var every conf.Diagnostics
	for i := range strings.Count(text, "\n") {
		every = append(every, conf.Diagnostic{Pos: conf.Pos{File: name, Line: i + 1, Column: 1}})
	}
	var b bytes.Buffer
	if err := report.Write(&b, every, report.Options{Read: func(string) (string, error) { return text, nil }}); err != nil {
		panic(err)
	}
	out["every line"] = b.String()
	expanded, err := view.Expanded(tree)
	out["--expanded"] = expanded + fmt.Sprint(err)
	if withEditor {
		var in, answers bytes.Buffer
		for _, m := range []map[string]any{
			{"id": 1, "method": "initialize", "params": map[string]any{}},
			{"method": "textDocument/didOpen", "params": map[string]any{"textDocument": map[string]any{"uri": "file://" + name, "text": text}}},
			{"id": 3, "method": "shutdown"},
		} {
			b, _ := json.Marshal(m)
			fmt.Fprintf(&in, "Content-Length: %d\r\n\r\n%s", len(b), b)
		}
		_, _ = lsp.Serve(&in, &answers, lsp.Options{})
		out["lsp"] = answers.String()
	}
	return out
}

// TestSecretsStaySecret writes files with passwords and typical mistakes, and checks that
// the passwords are in no output.
func TestSecretsStaySecret(t *testing.T) {
	name := filepath.Join(t.TempDir(), "keepalived.conf")
	every := 31 // of the mutations; make nightly tests them all, which takes minutes
	if os.Getenv("KEEPALIVED_NIGHTLY") == "1" {
		every = 1
	}
	first := rand.IntN(every) // different ones each time
	n, failed := 0, 0
	for _, text := range secretFiles {
		mutations(text, func(text string) {
			n++
			if failed > 20 || n%every != first {
				return
			}
			for what, out := range outputs(name, text, n%(every*10) == first) {
				for _, s := range secrets {
					if at := strings.Index(out, s); at >= 0 {
						failed++
						t.Errorf("%s shows a secret: …%q…\n%s", what, out[max(0, at-80):min(len(out), at+len(s)+20)], around(text, s))
						break
					}
				}
			}
		})
	}
	t.Logf("%d files, every %dth from the %dth", n, every, first)
}

// around returns the lines near a secret.
func around(text, secret string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.Contains(l, secret) {
			return strings.Join(lines[max(0, i-3):min(len(lines), i+3)], "\n")
		}
	}
	return text
}
