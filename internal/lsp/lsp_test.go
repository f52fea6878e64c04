package lsp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata")

// TestSessions plays the scripts in testdata/*.txtar. The file "client" has one
// command per line:
//
//	open NAME [FILE]      didOpen of NAME, with the text of FILE or of NAME
//	change NAME FILE      didChange to the text of FILE
//	close NAME
//	ask METHOD NAME LINE:COLUMN   a request, both counted from 1, columns in characters
//	send JSON             a message as it stands; DIR is the URI of the directory
//
// The other files but "want" are in the directory. What the server says is
// compared with "want".
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
				if f.Name != "client" && !strings.HasPrefix(f.Name, "unsaved/") {
					if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			var in bytes.Buffer
			id := 0
			for line := range strings.Lines(texts["client"]) {
				send(t, &in, strings.TrimSpace(line), "file://"+dir, texts, &id)
			}
			var out bytes.Buffer
			status, err := Serve(&in, &out, "1.2.3")
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
		fmt.Fprintf(in, "Content-Length: %d\r\n\r\n%s", len(text), text)
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
	case "ask":
		*id++
		at := "1:1"
		if len(args) > 2 {
			at = args[2]
		}
		l, c, _ := strings.Cut(at, ":")
		ln, err1 := strconv.Atoi(l)
		col, err2 := strconv.Atoi(c)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		write(`{"id":%d,"method":"textDocument/%s","params":{"textDocument":{"uri":"%s/%s"},"position":{"line":%d,"character":%d}}}`,
			*id, args[0], dir, args[1], ln-1, col-1)
	case "send":
		write("%s", strings.ReplaceAll(rest, "DIR", dir))
	default:
		t.Fatalf("command %q", line)
	}
}

var (
	positions = regexp.MustCompile(`\{\s+"character": (\d+),\s+"line": (\d+)\s+\}`)
	ranges    = regexp.MustCompile(`\{\s+"end": (\d+:\d+),\s+"start": (\d+:\d+)\s+\}`)
)

// transcript is all messages of the server, one after the other, indented,
// with ranges as LINE:CHARACTER-LINE:CHARACTER.
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

// FuzzServe feeds messages after a good beginning. Whatever they are, the
// server answers or ends with an error.
func FuzzServe(f *testing.F) {
	f.Add("textDocument/hover", `{"textDocument":{"uri":"file:///x"},"position":{"line":0,"character":3}}`, "vrrp_instance A {\n}\n")
	f.Add("textDocument/completion", `{"textDocument":{"uri":"file:///x"},"position":{"line":-1,"character":-3}}`, "}{$A=\\\n")
	f.Add("textDocument/definition", `{"textDocument":{"uri":"file:///x"},"position":{"line":99,"character":99}}`, "include *\n${A")
	f.Add("textDocument/documentSymbol", `{"textDocument":{"uri":"file:///x"}}`, strings.Repeat("{", 100))
	f.Add("textDocument/formatting", `{"textDocument":{"uri":"file:///x"}}`, "a \"b")
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
		Serve(&in, &out, "")
		if n := strings.Count(transcript(t, &out), `"capabilities"`); n == 0 {
			t.Error("initialize has no answer")
		}
	})
}
