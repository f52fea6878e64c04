package report

import (
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"keepalived-go/conf"
)

// Document is a report in JSON.
type Document struct {
	Diagnostics []Problem `json:"diagnostics"`
	// TestExitCode is that of keepalived -t.
	TestExitCode int `json:"test_exit_code"`
	// StartExitCode is the status with which a daemon refuses to run; 0: it runs.
	StartExitCode int `json:"start_exit_code"`
}

// Problem is one problem. Lines and columns count from 1, columns in bytes; 0
// is unknown.
type Problem struct {
	Place
	Severity string `json:"severity"` // note, warning, error or fatal
	Code     string `json:"code"`
	Message  string `json:"message"`
	Fix      string `json:"fix,omitempty"`
	Chain    []Step `json:"chain,omitempty"`
	Repeated int    `json:"repeated,omitempty"`
}

// Place is where something stands.
type Place struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// Step is one step from the place of a problem to the main file.
type Step struct {
	What string `json:"what"`
	Place
}

// NewDocument is a report in JSON, for callers that add more to the same object.
func NewDocument(ds conf.Diagnostics) Document {
	doc := Document{Diagnostics: []Problem{}, TestExitCode: ds.TestExitCode(), StartExitCode: ds.Fatal()}
	for _, d := range ds {
		p := Problem{
			Place: Place(d.Pos), Severity: d.Severity.String(), Code: d.Code,
			Message: d.Message, Fix: d.Fix, Repeated: d.Repeated,
		}
		for _, f := range d.Chain {
			p.Chain = append(p.Chain, Step{f.What, Place(f.Pos)})
		}
		doc.Diagnostics = append(doc.Diagnostics, p)
	}
	return doc
}

// EncodeJSON writes v as this package writes its reports.
func EncodeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// The part of SARIF 2.1.0 that is needed, named as in the standard (OASIS,
// sections 3.13 to 3.49).
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool struct {
			Driver sarifDriver `json:"driver"`
		} `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID string `json:"id"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
		Related   []sarifLocation `json:"relatedLocations,omitempty"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
		Message  *sarifText    `json:"message,omitempty"`
	}
	sarifPhysical struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region *sarifRegion `json:"region,omitempty"`
	}
	sarifRegion struct {
		Line   int `json:"startLine"`
		Column int `json:"startColumn,omitempty"`
	}
)

func writeSARIF(w io.Writer, ds conf.Diagnostics, files *sources, version string) error {
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	driver := &run.Tool.Driver
	driver.Name, driver.Version, driver.Rules = "keepalived", version, []sarifRule{}
	rules := make(map[string]int)
	for _, d := range ds {
		i, ok := rules[d.Code]
		if !ok {
			i = len(driver.Rules)
			rules[d.Code] = i
			driver.Rules = append(driver.Rules, sarifRule{d.Code})
		}
		r := sarifResult{RuleID: d.Code, RuleIndex: i, Level: level(d.Severity), Message: sarifText{sentence(d)}}
		if d.Pos.File != "" {
			r.Locations = []sarifLocation{{Physical: files.physical(d.Pos)}}
		}
		for _, f := range d.Chain {
			if f.Pos.File != "" {
				r.Related = append(r.Related, sarifLocation{files.physical(f.Pos), &sarifText{f.What}})
			}
		}
		run.Results = append(run.Results, r)
	}
	return EncodeJSON(w, sarifLog{
		Schema:  "https://json.schemastore.org/sarif-2.1.0.json",
		Version: "2.1.0",
		Runs:    []sarifRun{run},
	})
}

// sentence is the message with what to do.
func sentence(d conf.Diagnostic) string {
	if d.Fix == "" {
		return d.Message
	}
	return d.Message + "; " + d.Fix
}

func level(s conf.Severity) string {
	switch s {
	case conf.Note:
		return "note"
	case conf.Warning:
		return "warning"
	}
	return "error"
}

func (s *sources) physical(at conf.Pos) sarifPhysical {
	var p sarifPhysical
	u := url.URL{Path: filepath.ToSlash(at.File)}
	if filepath.IsAbs(at.File) {
		u.Scheme = "file"
	}
	p.Artifact.URI = strings.TrimPrefix(u.String(), "./")
	if at.Line > 0 {
		p.Region = &sarifRegion{Line: at.Line, Column: s.runeColumn(at)}
	}
	return p
}

// runeColumn is a column counted in characters instead of bytes.
func (s *sources) runeColumn(at conf.Pos) int {
	if line, ok := s.line(at); ok && at.Column > 0 {
		return utf8.RuneCountInString(line[:min(at.Column-1, len(line))]) + 1
	}
	return at.Column
}
