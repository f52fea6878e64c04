// Package lsp serves the configuration language to editors over the Language
// Server Protocol: problems while typing, completion, explanations,
// definitions, an outline and the layout.
package lsp

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"keepalived-go/conf"
	"keepalived-go/conf/format"
)

// server is the state of one connection. Requests are answered one by one.
type server struct {
	out     io.Writer
	version string

	initialized, down bool
	// open are the documents that the editor holds, by name: a path, or the
	// URI of what is no file.
	open map[string]*buffer
	// told are the names for which problems were published.
	told map[string]bool
	// files are the documents that are not open, as this request found them.
	files map[string]*document
}

// buffer is a text that the editor holds.
type buffer struct {
	uri  string
	text string
	doc  *document
}

// Serve answers requests until the editor says exit or closes the connection.
// The status is 0 if it asked for a shutdown before.
func Serve(in io.Reader, out io.Writer, version string) (status int, err error) {
	s := &server{out: out, version: version, open: make(map[string]*buffer), told: make(map[string]bool)}
	r := bufio.NewReader(in)
	for {
		text, err := readMessage(r)
		if errors.Is(err, io.EOF) {
			return s.status(), nil
		}
		if err != nil {
			return 1, err
		}
		var m message
		if err := json.Unmarshal(text, &m); err != nil {
			err := writeMessage(out, message{ID: null, Error: &rpcError{codeParse, "the message is no JSON object of a request: " + err.Error()}})
			if err != nil {
				return 1, err
			}
			continue
		}
		if m.Method == "exit" {
			return s.status(), nil
		}
		if err := s.handle(m); err != nil {
			return 1, err
		}
	}
}

func (s *server) status() int {
	if s.down {
		return 0
	}
	return 1
}

// handle answers one request, or follows one notification. An error is one of
// the connection.
func (s *server) handle(m message) error {
	if m.Method == "" {
		return nil // an answer; nothing was asked
	}
	result, err := s.call(m)
	if m.ID == nil {
		var failed *rpcError
		if errors.As(err, &failed) {
			return nil // nobody waits for an answer
		}
		return err
	}
	answer := message{ID: m.ID, Result: result}
	if err != nil {
		failed := &rpcError{Code: codeFailed, Message: err.Error()}
		errors.As(err, &failed)
		answer.Result, answer.Error = nil, failed
	} else if result == nil {
		answer.Result = null
	}
	return writeMessage(s.out, answer)
}

func (s *server) call(m message) (any, error) {
	s.files = make(map[string]*document)
	switch {
	case m.Method == "initialize":
		s.initialized = true
		return s.capabilities(), nil
	case !s.initialized:
		return nil, &rpcError{codeNotInitialized, "initialize comes first"}
	case s.down:
		return nil, &rpcError{codeInvalidRequest, "after shutdown comes exit"}
	}
	switch m.Method {
	case "shutdown":
		s.down = true
		return nil, nil
	case "textDocument/didOpen":
		return nil, with(m, func(p openParams) error { return s.set(p.Document.URI, p.Document.Text) })
	case "textDocument/didChange":
		return nil, with(m, func(p changeParams) error {
			if len(p.Changes) == 0 {
				return nil
			}
			last := p.Changes[len(p.Changes)-1]
			if last.Range != nil {
				return &rpcError{codeInvalidParams, "changes are whole texts"}
			}
			return s.set(p.Document.URI, last.Text)
		})
	case "textDocument/didClose":
		return nil, with(m, func(p positionParams) error {
			delete(s.open, nameOf(p.Document.URI))
			return s.publish()
		})
	case "textDocument/completion":
		return ask(s, m, func(name string, d *document, at place) any { return s.complete(name, d, at) })
	case "textDocument/hover":
		return ask(s, m, func(_ string, d *document, at place) any { return explain(d, at) })
	case "textDocument/definition":
		return ask(s, m, func(name string, d *document, at place) any { return s.define(name, d, at) })
	case "textDocument/documentSymbol":
		return ask(s, m, func(_ string, d *document, _ place) any { return outline(d, d.root) })
	case "textDocument/formatting":
		var p positionParams
		if err := json.Unmarshal(m.Params, &p); err != nil {
			return nil, &rpcError{codeInvalidParams, err.Error()}
		}
		return s.format(nameOf(p.Document.URI))
	}
	if strings.HasPrefix(m.Method, "$/") || m.ID == nil {
		return nil, nil
	}
	return nil, &rpcError{codeNoMethod, fmt.Sprintf("there is no method %q", m.Method)}
}

// with calls f with the parameters of a notification.
func with[P any](m message, f func(P) error) error {
	var p P
	if err := json.Unmarshal(m.Params, &p); err != nil {
		return &rpcError{codeInvalidParams, err.Error()}
	}
	return f(p)
}

// ask calls f with the place that a request is about.
func ask(s *server, m message, f func(name string, d *document, at place) any) (any, error) {
	var p positionParams
	if err := json.Unmarshal(m.Params, &p); err != nil {
		return nil, &rpcError{codeInvalidParams, err.Error()}
	}
	name := nameOf(p.Document.URI)
	d := s.document(name)
	if d == nil {
		return nil, &rpcError{codeInvalidParams, p.Document.URI + " is not open"}
	}
	return f(name, d, d.place(p.Position)), nil
}

func (s *server) capabilities() serverCapabilities {
	var c serverCapabilities
	c.Capabilities.Sync.OpenClose, c.Capabilities.Sync.Change = true, 1
	c.Capabilities.Completion.Triggers = []string{"$", " "}
	c.Capabilities.Hover, c.Capabilities.Definition, c.Capabilities.Symbols, c.Capabilities.Formatting = true, true, true, true
	c.Info.Name, c.Info.Version = "keepalived", s.version
	return c
}

// nameOf is the path of a file's URI, or the URI itself.
func nameOf(uri string) string {
	if u, err := url.Parse(uri); err == nil && u.Scheme == "file" && u.Path != "" {
		return filepath.Clean(u.Path)
	}
	return uri
}

func (s *server) uriOf(name string) string {
	if b := s.open[name]; b != nil {
		return b.uri
	}
	return (&url.URL{Scheme: "file", Path: name}).String()
}

// set takes the text of a document.
func (s *server) set(uri, text string) error {
	s.open[nameOf(uri)] = &buffer{uri: uri, text: text, doc: newDocument(text)}
	return s.publish()
}

// maxFile bounds a file that is read for its definitions.
const maxFile = 16 << 20

// document is the text of an open document, or of a file; nil if there is none.
func (s *server) document(name string) *document {
	if b := s.open[name]; b != nil {
		return b.doc
	}
	d, ok := s.files[name]
	if !ok {
		d = readDocument(name)
		s.files[name] = d
	}
	return d
}

func readDocument(name string) *document {
	if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	return newDocument(string(text))
}

// included are the files that a document includes.
func included(name string, d *document) []string {
	var names []string
	for _, w := range d.includes {
		path := w.text
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(name), path)
		}
		found, _ := filepath.Glob(path)
		names = append(names, found...)
	}
	return names
}

// maxReach bounds how many files are followed.
const maxReach = 1000

// reach is a document and all it includes, then the other open ones: a part of
// a configuration is often open beside the file that includes it.
func (s *server) reach(name string) []string {
	names := []string{name}
	add := func(list []string) {
		for _, n := range list {
			if len(names) < maxReach && !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	follow := func(from int) {
		for i := from; i < len(names); i++ {
			if d := s.document(names[i]); d != nil {
				add(included(names[i], d))
			}
		}
	}
	follow(0)
	n := len(names)
	add(slices.Sorted(maps.Keys(s.open)))
	follow(n)
	return names
}

// publish tells the problems of all open documents. A document that another
// open one includes is read as its part.
func (s *server) publish() error {
	part := make(map[string]bool)
	for name, b := range s.open {
		for _, n := range included(name, b.doc) {
			if n != name {
				part[n] = true
			}
		}
	}
	found := make(map[string][]diagnostic)
	for _, name := range slices.Sorted(maps.Keys(s.open)) {
		found[name] = append([]diagnostic{}, found[name]...)
		if part[name] {
			continue
		}
		_, ds := conf.Load(name, conf.Options{Unsaved: func(name string) (string, bool) {
			b := s.open[name]
			if b == nil {
				return "", false
			}
			return b.text, true
		}})
		for _, d := range ds {
			file := d.Pos.File
			if file == "" {
				file = name
			}
			found[file] = append(found[file], s.diagnostic(d))
		}
	}
	for name := range s.told {
		if _, ok := found[name]; !ok {
			found[name] = []diagnostic{}
		}
	}
	s.told = make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if len(found[name]) > 0 {
			s.told[name] = true
		}
		if err := s.notify("textDocument/publishDiagnostics", publishParams{s.uriOf(name), found[name]}); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) notify(method string, params any) error {
	text, err := json.Marshal(params)
	if err != nil {
		return err
	}
	return writeMessage(s.out, message{Method: method, Params: text})
}

func (s *server) diagnostic(d conf.Diagnostic) diagnostic {
	out := diagnostic{
		Range: s.rangeOf(d.Pos), Severity: 1, Code: d.Code, Source: "keepalived", Message: d.Message,
	}
	switch d.Severity {
	case conf.Note:
		out.Severity = 3
	case conf.Warning:
		out.Severity = 2
	}
	if d.Fix != "" {
		out.Message += "; " + d.Fix
	}
	for _, f := range d.Chain {
		if f.Pos.File != "" {
			out.Related = append(out.Related, related{location{s.uriOf(f.Pos.File), s.rangeOf(f.Pos)}, f.What})
		}
	}
	return out
}

// rangeOf is the word at a position, or the whole line.
func (s *server) rangeOf(at conf.Pos) textRange {
	d := s.document(at.File)
	if d == nil || at.Line < 1 || at.Line > len(d.lines) {
		return textRange{}
	}
	line := at.Line - 1
	text := d.lines[line]
	from := min(max(at.Column-1, 0), len(text))
	if at.Column == 0 {
		return d.lineRange(line, 0, len(text))
	}
	for _, w := range scan(text, line) {
		if w.from <= from && from < w.to {
			return d.lineRange(line, from, w.to)
		}
	}
	return d.lineRange(line, from, min(from+1, len(text)))
}

func (s *server) format(name string) (any, error) {
	b := s.open[name]
	if b == nil {
		return nil, &rpcError{codeInvalidParams, name + " is not open"}
	}
	text, err := format.Source(name, []byte(b.text))
	if err != nil {
		return nil, err
	}
	if string(text) == b.text {
		return []textEdit{}, nil
	}
	last := len(b.doc.lines) - 1
	whole := textRange{End: b.doc.lineRange(last, 0, len(b.doc.lines[last])).End}
	return []textEdit{{whole, string(text)}}, nil
}
