package lsp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/script"
	"keepalived-go/lint"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata")

// TestSessions plays the scripts in testdata/*.txtar. The file "client" has one
// command per line:
//
//	open NAME [FILE]      didOpen of NAME, with the text of FILE or of NAME
//	change NAME FILE      didChange to the text of FILE
//	close NAME
//	save NAME
//	ask METHOD NAME LINE:COLUMN   a request, both counted from 1, columns in characters
//	act NAME LINE:COLUMN          the request for code actions there
//	send JSON             a message as it stands; DIR is the URI of the directory
//	bytes JSON            the same, with \xHH for bytes
//
// A file "machine" describes the host, see machineOf. The other files except "want"
// are in the directory. The messages of the server are compared with "want".
func TestSessions(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no sessions: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			texts := make(map[string]string)
			var kept []txtar.File
			for _, f := range archive.Files {
				texts[f.Name] = string(f.Data)
				if f.Name == "want" {
					continue
				}
				kept = append(kept, f)
				if f.Name != "client" && f.Name != "machine" && !strings.HasPrefix(f.Name, "unsaved/") {
					if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			var out bytes.Buffer
			var status int
			synctest.Test(t, func(t *testing.T) {
				in, client := io.Pipe()
				go func() {
					status, err = Serve(in, &out, Options{"1.2.3", func() Machine { return machineOf(texts) }})
					in.Close()
				}()
				id := 0
				for line := range strings.Lines(texts["client"]) {
					send(t, client, strings.TrimSpace(line), "file://"+dir, texts, &id)
					synctest.Wait() // for the answers, and for the findings of a check
				}
				client.Close()
			})
			got := strings.ReplaceAll(transcript(t, &out), dir, "DIR") + fmt.Sprintf("status %d, error %v\n", status, err)
			if *update {
				archive.Files = append(kept, txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(texts["want"], got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// send writes the message of one command.
func send(t *testing.T, in io.Writer, line, dir string, texts map[string]string, id *int) {
	t.Helper()
	command, rest, _ := strings.Cut(line, " ")
	args := strings.Fields(rest)
	write := func(format string, a ...any) {
		text := fmt.Sprintf(format, a...)
		if _, err := fmt.Fprintf(in, "Content-Length: %d\r\n\r\n%s", len(text), text); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	quoted := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	switch command {
	case "", "#":
	case "open":
		write(`{"method":"textDocument/didOpen","params":{"textDocument":{"uri":"%s/%s","languageId":"keepalived","version":1,"text":%s}}}`,
			dir, args[0], quoted(texts[args[len(args)-1]]))
	case "change":
		write(`{"method":"textDocument/didChange","params":{"textDocument":{"uri":"%s/%s"},"contentChanges":[{"text":%s}]}}`,
			dir, args[0], quoted(texts[args[1]]))
	case "close":
		write(`{"method":"textDocument/didClose","params":{"textDocument":{"uri":"%s/%s"}}}`, dir, args[0])
	case "save":
		write(`{"method":"textDocument/didSave","params":{"textDocument":{"uri":"%s/%s"}}}`, dir, args[0])
	case "ask":
		*id++
		at := "1:1"
		if len(args) > 2 {
			at = args[2]
		}
		write(`{"id":%d,"method":"textDocument/%s","params":{"textDocument":{"uri":"%s/%s"},"position":%s}}`,
			*id, args[0], dir, args[1], positionOf(t, at))
	case "act":
		*id++
		at := positionOf(t, args[1])
		write(`{"id":%d,"method":"textDocument/codeAction","params":{"textDocument":{"uri":"%s/%s"},"range":{"start":%s,"end":%s},"context":{"diagnostics":[]}}}`,
			*id, dir, args[0], at, at)
	case "send":
		write("%s", strings.ReplaceAll(rest, "DIR", dir))
	case "bytes":
		text := regexp.MustCompile(`\\x[0-9a-f]{2}`).ReplaceAllStringFunc(rest, func(hex string) string {
			n, err := strconv.ParseUint(hex[2:], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			return string([]byte{byte(n)})
		})
		write("%s", strings.ReplaceAll(text, "DIR", dir))
	default:
		t.Fatalf("command %q", line)
	}
}

// positionOf returns LINE:COLUMN as a position of the protocol.
func positionOf(t *testing.T, at string) string {
	t.Helper()
	l, c, _ := strings.Cut(at, ":")
	line, err1 := strconv.Atoi(l)
	column, err2 := strconv.Atoi(c)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"line":%d,"character":%d}`, line-1, column-1)
}

// machineOf returns the host that a file "machine" describes: "interface NAME PREFIX" is
// an interface with an address, "script PATH" an existing program. Without the file
// nothing is known about the host.
func machineOf(texts map[string]string) Machine {
	described, ok := texts["machine"]
	if !ok {
		return Machine{}
	}
	prefixes := make(map[string][]netip.Prefix)
	programs := make(map[string]bool)
	for line := range strings.Lines(described) {
		switch w := strings.Fields(line); w[0] {
		case "interface":
			prefixes[w[1]] = append(prefixes[w[1]], netip.MustParsePrefix(w[2]))
		case "script":
			programs[w[1]] = true
		}
	}
	command := func(c conf.Command, _ conf.ScriptPolicy) error {
		if len(c.Args) == 0 || programs[c.Args[0]] {
			return nil
		}
		return fmt.Errorf("%s does not exist", c.Args[0])
	}
	return Machine{
		Conf: conf.Options{Interface: func(name string) bool { return prefixes[name] != nil }, CheckCommand: command},
		Host: lint.Host{Networks: func(name string) []netip.Prefix { return prefixes[name] }, CheckCommand: command},
	}
}

var (
	positions = regexp.MustCompile(`\{\s+"character": (\d+),\s+"line": (\d+)\s+\}`)
	ranges    = regexp.MustCompile(`\{\s+"end": (\d+:\d+),\s+"start": (\d+:\d+)\s+\}`)
)

// transcript returns all messages of the server, one after the other, indented, with
// ranges as LINE:CHARACTER-LINE:CHARACTER.
func transcript(t *testing.T, out io.Reader) string {
	t.Helper()
	var b strings.Builder
	for r := bufio.NewReader(out); ; {
		text, err := readMessage(r)
		if errors.Is(err, io.EOF) {
			return ranges.ReplaceAllString(positions.ReplaceAllString(b.String(), "$2:$1"), "$2-$1")
		}
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		enc := json.NewEncoder(&b)
		enc.SetIndent("", " ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFraming(t *testing.T) {
	for _, tt := range []struct{ in, want, err string }{
		{"Content-Length: 2\r\n\r\n{}", "{}", ""},
		{"content-length:2\nX-Other: y\n\n{}", "{}", ""},
		{"", "", "EOF"},
		{"Content-Length: 5\r\n\r\n{}", "", "read a message of 5 bytes: unexpected EOF"},
		{"Content-Length: x\r\n\r\n{}", "", `Content-Length "x" is not a number of bytes up to 67108864`},
		{"Content-Length: -1\r\n\r\n", "", `Content-Length "-1" is not a number of bytes up to 67108864`},
		{"Content-Length: 99999999999\r\n\r\n", "", `Content-Length "99999999999" is not a number of bytes up to 67108864`},
		{"X: y\r\n\r\n{}", "", "a message has no Content-Length"},
		{"Content-Length: 2", "", "read a header: unexpected EOF"},
		{strings.Repeat("x", 5000), "", "read a header: bufio: buffer full"},
	} {
		got, err := readMessage(bufio.NewReader(strings.NewReader(tt.in)))
		message := ""
		if err != nil {
			message = err.Error()
		}
		if string(got) != tt.want || message != tt.err {
			t.Errorf("%.40q: %q, %q; want %q, %q", tt.in, got, message, tt.want, tt.err)
		}
	}
}

func TestUTF16(t *testing.T) {
	const line = "a日\U0001f600b"
	for _, tt := range []struct{ at, character int }{{0, 0}, {1, 1}, {4, 2}, {8, 4}, {9, 5}} {
		if got := toUTF16(line, tt.at); got != tt.character {
			t.Errorf("byte %d is character %d, want %d", tt.at, got, tt.character)
		}
		if got := fromUTF16(line, tt.character); got != tt.at {
			t.Errorf("character %d is byte %d, want %d", tt.character, got, tt.at)
		}
	}
}

// TestBrokenFraming checks that the connection ends, after an answer with the reason.
func TestBrokenFraming(t *testing.T) {
	for _, in := range []string{
		"nonsense\r\n\r\n{}",
		"Content-Length: -5\r\n\r\n{}",
		"Content-Length: 18446744073709551616\r\n\r\n{}",
		"Content-Length: 67108865\r\n\r\n{}",
		"Content-Length: 67108864\r\n\r\n{}",
		"Content-Length: 3\r\n\r\n{}",
		"Content-Length: " + strings.Repeat("0", 1<<20),
		strings.Repeat("\x00", 1<<20),
	} {
		var out bytes.Buffer
		status, err := Serve(strings.NewReader(in), &out, Options{})
		if answer := transcript(t, &out); status != 1 || err == nil || !strings.Contains(answer, "-32700") {
			t.Errorf("%.40q: status %d, error %v, answer %q; want 1, an error and a parse error", in, status, err, answer)
		}
	}
}

// TestBusy checks that requests are answered while a check runs, and that its findings
// are not reported if the text has changed meanwhile.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checks, asked := 0, make(chan struct{})
		in, client := io.Pipe()
		var out bytes.Buffer
		go Serve(in, &out, Options{Machine: func() Machine {
			checks++
			<-asked
			return Machine{}
		}})
		id := 0
		texts := map[string]string{"first": "first\n", "second": "second\n", "third": "third\n"}
		say := func(line string) string {
			send(t, client, line, "file:///nosuch", texts, &id)
			synctest.Wait()
			return transcript(t, &out)
		}
		finish := func() string {
			asked <- struct{}{}
			synctest.Wait()
			return transcript(t, &out)
		}
		say(`send {"id":0,"method":"initialize"}`)
		say("open x first")
		say("change x second")
		if got := say("change x third"); got != "" {
			t.Errorf("a change during a check is answered with %s", got)
		}
		if got := say("ask hover x 1:1"); !strings.Contains(got, `"id": 1`) {
			t.Errorf("a question during a check is answered with %q", got)
		}
		if got := finish(); got != "" {
			t.Errorf("of an old text this was reported: %s", got)
		}
		if got := finish(); !strings.Contains(got, "'third'") || strings.Contains(got, "'second'") {
			t.Errorf("of the new text this was reported: %s", got)
		}
		if checks != 2 {
			t.Errorf("%d checks for 3 texts, 2 of which came during the first; want 2", checks)
		}
		client.Close()
	})
}

// TestLarge opens texts that are meant to exhaust the memory.
func TestLarge(t *testing.T) {
	for name, text := range map[string]string{
		"braces":  strings.Repeat("{}", 4<<20),
		"words":   strings.Repeat("a ", 4<<20),
		"lines":   strings.Repeat("\n", 8<<20),
		"deep":    strings.Repeat("{", 4<<20),
		"open":    strings.Repeat("${", 4<<20),
		"nothing": strings.Repeat("\x00", 8<<20),
	} {
		t.Run(name, func(t *testing.T) {
			d := newDocument(text, 1000)
			if d.size > 1000 {
				t.Errorf("the document has %d lines and tokens; want 1000 at most", d.size)
			}
			d.place(position{0, 1 << 30})
			outline(d, d.root)
		})
	}
	s := &server{open: make(map[string]*buffer)}
	text := strings.Repeat("# nothing\n", 3<<20)
	if err := s.set("file:///a", &text); err != nil {
		t.Errorf("30 MB: %v", err)
	}
	if err := s.set("file:///a", &text); err != nil {
		t.Errorf("30 MB in the place of as much: %v", err)
	}
	if err := s.set("file:///b", &text); err != nil {
		t.Errorf("60 MB: %v", err)
	}
	if err := s.set("file:///c", &text); err == nil || len(s.open) != 2 {
		t.Errorf("90 MB: no error, %d documents open; want 2", len(s.open))
	}
	if room := left(s.open, ""); room.size < 0 {
		t.Errorf("%d lines and tokens more than are allowed", -room.size)
	}
}

// BenchmarkChange measures a change in a file of 10,000 lines: until the next message is
// read, and until the file is checked.
func BenchmarkChange(b *testing.B) {
	var text strings.Builder
	for i := range 625 {
		fmt.Fprintf(&text, "vrrp_script chk_%d {\n    script \"/bin/true %d\"\n    interval 2\n}\n", i, i)
		fmt.Fprintf(&text, "vrrp_instance VI_%d {\n    interface eth0.%d\n    virtual_router_id %d\n    priority 100\n", i, i/200, i%200+1)
		fmt.Fprintf(&text, "    virtual_ipaddress {\n        10.0.%d.%d/24\n        10.1.%d.%d/25\n    }\n", i/200, i%200+1, i/200, i%200+1)
		fmt.Fprintf(&text, "    track_script {\n        chk_%d\n    }\n}\n", i)
	}
	if n := strings.Count(text.String(), "\n"); n != 10000 {
		b.Fatalf("%d lines", n)
	}
	change, err := json.Marshal(map[string]any{
		"method": "textDocument/didChange",
		"params": map[string]any{
			"textDocument":   map[string]any{"uri": "file:///nosuch/x"},
			"contentChanges": []any{map[string]any{"text": text.String()}},
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	machine := func() Machine {
		return Machine{Conf: conf.Options{CheckCommand: script.Check}, Host: lint.Host{CheckCommand: script.Check}}
	}
	s := &server{out: io.Discard, initialized: true, open: map[string]*buffer{"/nosuch/x": {}}}
	b.Run("message", func(b *testing.B) {
		for b.Loop() {
			m, failed := parse(change)
			if err := s.handle(m); failed != nil || err != nil {
				b.Fatal(failed, err)
			}
		}
	})
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			if found := s.view().check(machine); len(found["/nosuch/x"]) == 0 {
				b.Fatal("nothing is found")
			}
		}
	})
}

// FuzzConnection checks for any bytes that each answer is a message, and that an error is
// reported.
func FuzzConnection(f *testing.F) {
	const initialize = "Content-Length: 30\r\n\r\n{\"id\":1,\"method\":\"initialize\"}"
	for _, seed := range []string{
		"", "{}", "Content-Length: 2\r\n\r\n{}", "Content-Length: 99\r\n\r\n{}", "Content-Length: -1\n\n",
		initialize, initialize + initialize,
		initialize + "Content-Length: 28\n\n{\"id\":2,\"method\":\"shutdown\"}Content-Length: 17\n\n{\"method\":\"exit\"}",
		initialize + "Content-Length: 96\n\n{\"method\":\"textDocument/didOpen\",\"params\":{\"textDocument\":{\"uri\":\"untitled:x\",\"text\":\"a\\u0000{\"}}}",
		"content-length: 4\r\nContent-Type: x\r\n\r\nnull",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if bytes.Contains(in, []byte("include")) {
			return // other files of this machine are not meant
		}
		var out bytes.Buffer
		_, err := Serve(bytes.NewReader(in), &out, Options{})
		if got := transcript(t, &out); err != nil && !strings.Contains(got, "-32700") {
			t.Errorf("error %v and answers %q", err, got)
		}
	})
}

// FuzzServe checks that the server answers any message after a valid beginning, or ends
// with an error.
func FuzzServe(f *testing.F) {
	f.Add("textDocument/hover", `{"textDocument":{"uri":"file:///x"},"position":{"line":0,"character":3}}`, "vrrp_instance A {\n}\n")
	f.Add("textDocument/completion", `{"textDocument":{"uri":"file:///x"},"position":{"line":-1,"character":-3}}`, "}{$A=\\\n")
	f.Add("textDocument/definition", `{"textDocument":{"uri":"file:///x"},"position":{"line":99,"character":99}}`, "include *\n${A")
	f.Add("textDocument/documentSymbol", `{"textDocument":{"uri":"file:///x"}}`, strings.Repeat("{", 100))
	f.Add("textDocument/formatting", `{"textDocument":{"uri":"file:///x"}}`, "a \"b")
	f.Add("textDocument/codeAction", `{"textDocument":{"uri":"file:///x"},"range":{"start":{"line":1,"character":9},"end":{"line":-1}}}`, "vrrp_instnce A {\n}\n")
	f.Add("textDocument/didChange", `{"textDocument":{"uri":"file:///x"},"contentChanges":[{}]}`, "~SEQ(A,1,2) x\r\n")
	f.Fuzz(func(t *testing.T, method, params, text string) {
		if strings.Contains(text, "include") || len(text) > 1000 {
			return // other files of this machine are not meant
		}
		var in bytes.Buffer
		for _, m := range []map[string]any{
			{"id": 1, "method": "initialize", "params": map[string]any{}},
			{"method": "textDocument/didOpen", "params": map[string]any{"textDocument": map[string]any{"uri": "file:///x", "text": text}}},
			{"id": 2, "method": method, "params": json.RawMessage(params)},
			{"id": 3, "method": "shutdown"},
		} {
			b, err := json.Marshal(m)
			if err != nil {
				b = []byte(params)
			}
			fmt.Fprintf(&in, "Content-Length: %d\r\n\r\n%s", len(b), b)
		}
		var out bytes.Buffer
		Serve(&in, &out, Options{})
		if n := strings.Count(transcript(t, &out), `"capabilities"`); n == 0 {
			t.Error("initialize has no answer")
		}
	})
}
