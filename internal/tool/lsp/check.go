package lsp

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/lint"
)

// Machine is what a check asks of the host it runs on. The zero value is a host
// about which nothing is known.
type Machine struct {
	Conf conf.Options // without Unsaved
	Host lint.Host
}

// findings are the problems of documents by their names.
type findings map[string][]diagnostic

// check finds what keepalived check finds in the open documents and in what they
// include. A document that another open one includes is read as its part.
func (v *view) check(machine func() Machine) findings {
	whole := make(map[string]conf.Diagnostics)
	part := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(v.open)) {
		if part[name] {
			continue
		}
		whole[name] = v.problems(name, func() Machine {
			m := machine()
			m.Conf.Unsaved = func(file string) (string, bool) {
				file = v.nameIn(file)
				b := v.open[file]
				if b == nil {
					return "", false
				}
				if file != name {
					part[file] = true
					delete(whole, file)
				}
				return b.text, true
			}
			return m
		})
	}
	found := make(findings)
	for name := range v.open {
		found[name] = []diagnostic{}
	}
	type key struct {
		name, code, message string
		at                  textRange
	}
	seen := make(map[key]bool)
	for _, name := range slices.Sorted(maps.Keys(whole)) {
		for _, p := range whole[name] {
			file := name
			if p.Pos.File != "" {
				file = v.nameIn(p.Pos.File)
			}
			d := v.diagnostic(p)
			// A part of two configurations has each problem once.
			if k := (key{file, d.Code, d.Message, d.Range}); !seen[k] {
				seen[k] = true
				found[file] = append(found[file], d)
			}
		}
	}
	return found
}

// problems are those of one configuration that no comment silences.
func (v *view) problems(name string, machine func() Machine) conf.Diagnostics {
	var config *conf.Config
	var found conf.Diagnostics
	m := machine()
	load := func() {
		config, found = conf.Load(name, m.Conf)
		if config != nil {
			found = append(found, lint.Check(config, m.Host)...)
		}
	}
	load()
	if config != nil && config.Global.NetNamespace != "" {
		m = machine()
		inside := func() error { load(); return nil }
		if kernel.InNetNS(config.Global.NetNamespace, inside) != nil {
			m.Conf.Interface, m.Conf.HasAddress, m.Host.Networks = nil, nil, nil // the host is unknown
			load()
		}
	}
	return lint.Silence(found, func(file string) (string, error) {
		d := v.document(v.nameIn(file))
		if d == nil {
			return "", os.ErrNotExist
		}
		return d.text, nil
	})
}

// linted are the codes of the lint.
var linted = func() map[string]bool {
	codes := make(map[string]bool)
	for c := range lint.Codes() {
		codes[c.Name] = true
	}
	return codes
}()

// Severities of diagnostics.
const (
	severityError = 1 + iota
	severityWarning
	severityInformation
)

func (v *view) diagnostic(p conf.Diagnostic) diagnostic {
	d := diagnostic{
		Range: v.rangeOf(p.Pos), Severity: severityError, Code: p.Code, Source: "keepalived", Message: p.Message, edit: p.Edit,
	}
	if linted[p.Code] {
		d.Source = "keepalived check"
	}
	switch p.Severity {
	case conf.Note:
		d.Severity = severityInformation
	case conf.Warning:
		d.Severity = severityWarning
	}
	if p.Fix != "" {
		d.Message += "; " + p.Fix
	}
	for _, f := range p.Chain {
		if f.Pos.File != "" {
			file := v.nameIn(f.Pos.File)
			d.Related = append(d.Related, related{location{v.uriOf(file), v.rangeOf(f.Pos)}, f.What})
		}
	}
	return d
}

// rangeOf is the word at a position, or the whole line.
func (v *view) rangeOf(at conf.Pos) textRange {
	d := v.document(v.nameIn(at.File))
	if d == nil || at.Line < 1 || at.Line > len(d.lines) {
		return textRange{}
	}
	line := at.Line - 1
	text := d.lines[line]
	if at.Column == 0 {
		return d.lineRange(line, 0, len(text))
	}
	from := min(at.Column-1, len(text))
	to := min(from+1, len(text))
	for w := range scan(text[from:], line) {
		if w.from == 0 {
			to = from + w.to
		}
		break
	}
	return d.lineRange(line, from, to)
}

// publish sends the findings, and an empty list for each file that has none any more.
func (s *server) publish(found findings) error {
	for name := range s.reported {
		if _, ok := found[name]; !ok {
			found[name] = []diagnostic{}
		}
	}
	s.reported = make(findings)
	v := s.view()
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if len(found[name]) > 0 {
			s.reported[name] = found[name]
		}
		if err := s.notify("textDocument/publishDiagnostics", publishParams{v.uriOf(name), found[name]}); err != nil {
			return err
		}
	}
	return nil
}

// actions are the corrections of the problems in a range that consist of another
// word. Where the text has changed since, the problem may be another.
func (s *server) actions(p actionParams) (any, error) {
	name := nameOf(p.Document.URI)
	b := s.open[name]
	if b == nil {
		return nil, notOpen(p.Document.URI)
	}
	list := []codeAction{}
	if len(p.Context.Only) > 0 && !slices.Contains(p.Context.Only, kindQuickFix) {
		return list, nil
	}
	for _, d := range s.reported[name] {
		e := d.edit
		if e.New == "" || wordEnd(e.New, 0) < len(e.New) || !d.Range.touches(p.Range) || b.textAt(d.Range) != e.Old {
			continue
		}
		a := codeAction{
			Title: fmt.Sprintf("Replace %s by %s", e.Old, e.New), Kind: kindQuickFix,
			Diagnostics: []diagnostic{d}, Preferred: true,
		}
		a.Edit.Changes = map[string][]textEdit{b.uri: {{d.Range, e.New}}}
		list = append(list, a)
	}
	return list, nil
}

// touches reports whether two ranges have a place in common, be it an end.
func (r textRange) touches(o textRange) bool {
	return !r.End.before(o.Start) && !o.End.before(r.Start)
}

func (p position) before(q position) bool {
	return p.Line < q.Line || p.Line == q.Line && p.Character < q.Character
}

// textAt is the text of a range within a line.
func (d *document) textAt(r textRange) string {
	if r.Start.Line != r.End.Line || r.Start.Line >= len(d.lines) {
		return ""
	}
	text := d.lines[r.Start.Line]
	from, to := fromUTF16(text, r.Start.Character), fromUTF16(text, r.End.Character)
	return text[from:max(from, to)]
}
