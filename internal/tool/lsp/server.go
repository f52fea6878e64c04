// Package lsp serves the configuration language to editors over the Language
// Server Protocol: what keepalived check finds while typing, corrections,
// completion, explanations, definitions, an outline and the layout.
package lsp

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"

	"keepalived-go/conf"
	"keepalived-go/conf/format"
)

// Options are what a server is made with. The zero value will do.
type Options struct {
	Version string // that clients get
	// Machine is asked before each check. If nil, nothing is known about
	// the host.
	Machine func() Machine
}

// server is the state of one connection. Requests are answered one by one, while
// a check runs beside them.
type server struct {
	Options
	out io.Writer

	initialized, down bool
	// open are the documents that the editor holds.
	open map[string]*buffer
	// reported are the problems that were published.
	reported findings

	// stale documents differ from those that were checked, or are checked now.
	stale    bool
	checking bool
	checked  chan findings
}

// arrival is the text of a message, or the end.
type arrival struct {
	text []byte
	err  error
}

// Serve answers requests until the editor sends exit or closes the connection;
// then what it sent last is still checked. The status is 0 if it asked for a
// shutdown before. A read of in that waits is left behind.
func Serve(in io.Reader, out io.Writer, o Options) (status int, err error) {
	if o.Machine == nil {
		o.Machine = func() Machine { return Machine{} }
	}
	s := &server{Options: o, out: out, open: make(map[string]*buffer), checked: make(chan findings, 1)}
	arrivals, ended := make(chan arrival), make(chan struct{})
	defer close(ended)
	go receive(in, arrivals, ended)
	for {
		s.check()
		if arrivals == nil && !s.checking {
			return s.status(), nil
		}
		select {
		case a := <-arrivals:
			switch {
			case errors.Is(a.err, io.EOF):
				arrivals = nil
				continue
			case a.err != nil:
				// Nobody knows where the next message begins.
				_ = s.answer(message{ID: null, Error: &rpcError{codeParse, a.err.Error()}})
				return 1, a.err
			}
			m, failed := parse(a.text)
			if failed != nil {
				err = s.answer(message{ID: m.ID, Error: failed})
			} else if m.Method == "exit" {
				return s.status(), nil
			} else {
				err = s.handle(m)
			}
		case found := <-s.checked:
			s.checking = false
			if !s.stale && !s.down {
				err = s.publish(found)
			}
		}
		if err != nil {
			return 1, err
		}
	}
}

// receive passes messages on until there are no more, or the server ends.
func receive(in io.Reader, to chan<- arrival, ended <-chan struct{}) {
	r := bufio.NewReader(in)
	for {
		text, err := readMessage(r)
		select {
		case to <- arrival{text, err}:
		case <-ended:
			return
		}
		if err != nil {
			return
		}
	}
}

// check begins a check if one is due. Outdated findings are not reported: while the user
// types, the next check is due already.
func (s *server) check() {
	if !s.stale || s.checking || s.down {
		return
	}
	s.stale, s.checking = false, true
	v := newView(maps.Clone(s.open))
	go func() { s.checked <- v.check(s.Machine) }()
}

func (s *server) view() *view { return newView(s.open) }

func (s *server) status() int {
	if s.down {
		return 0
	}
	return 1
}

// handle processes a message. The error is one of the connection.
func (s *server) handle(m received) error {
	if m.Method == "" {
		return nil // an answer, though nothing was asked
	}
	result, err := s.call(m)
	var failed *rpcError
	if err != nil && !errors.As(err, &failed) {
		failed = &rpcError{codeFailed, err.Error()}
	}
	switch {
	case m.ID != nil && failed != nil:
		return s.answer(message{ID: m.ID, Error: failed})
	case m.ID != nil && result == nil:
		return s.answer(message{ID: m.ID, Result: null})
	case m.ID != nil:
		return s.answer(message{ID: m.ID, Result: result})
	case failed != nil && s.initialized && !s.down:
		// A notification has no answer.
		return s.notify("window/logMessage", logParams{1, m.Method + ": " + failed.Message})
	}
	return nil
}

func (s *server) call(m received) (any, error) {
	switch {
	case m.Method == "initialize" && s.initialized:
		return nil, &rpcError{codeInvalidRequest, "initialize comes once"}
	case m.Method == "initialize" && m.ID != nil:
		s.initialized = true
		return s.capabilities(), nil
	case !s.initialized:
		return nil, &rpcError{codeNotInitialized, "initialize comes first"}
	case s.down:
		return nil, &rpcError{codeInvalidRequest, "after shutdown comes exit"}
	}
	switch m.Method {
	case "shutdown":
		s.down = m.ID != nil
		return nil, nil
	case "textDocument/didOpen":
		return with(m, func(p openParams) (any, error) { return nil, s.set(p.Document.URI, p.Document.Text) })
	case "textDocument/didChange":
		return with(m, s.change)
	case "textDocument/didSave":
		s.stale = true // what is not open may have changed too
		return nil, nil
	case "textDocument/didClose":
		return with(m, func(p positionParams) (any, error) {
			delete(s.open, nameOf(p.Document.URI))
			s.stale = true
			return nil, nil
		})
	case "textDocument/completion":
		return s.ask(m, func(v *view, name string, d *document, at place) any { return v.complete(name, d, at) })
	case "textDocument/hover":
		return s.ask(m, func(_ *view, _ string, d *document, at place) any { return explain(d, at) })
	case "textDocument/definition":
		return s.ask(m, func(v *view, name string, d *document, at place) any { return v.define(name, d, at) })
	case "textDocument/documentSymbol":
		return s.ask(m, func(_ *view, _ string, d *document, _ place) any { return outline(d, d.root) })
	case "textDocument/formatting":
		return with(m, s.format)
	case "textDocument/codeAction":
		return with(m, s.actions)
	}
	if m.ID == nil {
		return nil, nil
	}
	return nil, &rpcError{codeNoMethod, fmt.Sprintf("there is no method %q", m.Method)}
}

// with calls f with the parameters of a message.
func with[P any](m received, f func(P) (any, error)) (any, error) {
	var p P
	if err := json.Unmarshal(m.Params, &p); err != nil {
		return nil, &rpcError{codeInvalidParams, "the parameters are wrong: " + wrongJSON(err)}
	}
	return f(p)
}

// ask calls f with the place that a request is about.
func (s *server) ask(m received, f func(v *view, name string, d *document, at place) any) (any, error) {
	return with(m, func(p positionParams) (any, error) {
		if p.Position.Line < 0 || p.Position.Character < 0 {
			return nil, &rpcError{codeInvalidParams, "lines and characters count from 0"}
		}
		v, name := s.view(), nameOf(p.Document.URI)
		d := v.document(name)
		if d == nil {
			return nil, notOpen(p.Document.URI)
		}
		return f(v, name, d, d.place(p.Position)), nil
	})
}

func notOpen(uri string) error {
	return &rpcError{codeInvalidParams, cmp.Or(uri, "a document without uri") + " is not open"}
}

func (s *server) capabilities() serverCapabilities {
	var c serverCapabilities
	c.Capabilities.Sync.OpenClose, c.Capabilities.Sync.Change, c.Capabilities.Sync.Save = true, 1, true
	c.Capabilities.Actions.Kinds = []string{kindQuickFix}
	c.Capabilities.Completion.Triggers = []string{"$", " "}
	c.Capabilities.Hover, c.Capabilities.Definition, c.Capabilities.Symbols, c.Capabilities.Formatting = true, true, true, true
	c.Info.Name, c.Info.Version = "keepalived", s.Version
	return c
}

// set takes the text of a document.
func (s *server) set(uri string, text *string) error {
	name := nameOf(uri)
	room := left(s.open, name)
	switch {
	case uri == "" || text == nil:
		return &rpcError{codeInvalidParams, "a document has a uri and a text"}
	case len(uri)+len(*text) > room.text, room.size < 2:
		delete(s.open, name)
		s.stale = true
		return &rpcError{codeInvalidParams, fmt.Sprintf("%s is ignored: all open documents together are too large; close some", uri)}
	}
	s.open[name] = &buffer{uri, newDocument(*text, room.size/2)}
	s.stale = true
	return nil
}

// change takes the last one of several texts.
func (s *server) change(p changeParams) (any, error) {
	if s.open[nameOf(p.Document.URI)] == nil {
		return nil, notOpen(p.Document.URI)
	}
	for _, c := range p.Changes {
		if c.Range != nil || c.Text == nil {
			return nil, &rpcError{codeInvalidParams, "changes are whole texts"}
		}
	}
	if len(p.Changes) == 0 {
		return nil, nil
	}
	return nil, s.set(p.Document.URI, p.Changes[len(p.Changes)-1].Text)
}

func (s *server) notify(method string, params any) error {
	return s.answer(message{Method: method, Params: params})
}

func (s *server) answer(m message) error { return writeMessage(s.out, m) }

func (s *server) format(p positionParams) (any, error) {
	name := nameOf(p.Document.URI)
	b := s.open[name]
	if b == nil {
		return nil, notOpen(p.Document.URI)
	}
	text, err := format.Source(name, []byte(b.text), conf.Vocabulary())
	if err != nil {
		return nil, err
	}
	if string(text) == b.text {
		return []textEdit{}, nil
	}
	last := len(b.lines) - 1
	whole := textRange{End: b.lineRange(last, 0, len(b.lines[last])).End}
	return []textEdit{{whole, string(text)}}, nil
}
