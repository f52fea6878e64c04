package umltest

import (
	"fmt"
	"strings"
	"testing"
)

// result is the output of a test in the machine and its verdict. The result without a
// name holds the tests of the top level and the output that belongs to no test.
type result struct {
	name     string // the last element of the name
	parent   *result
	children []*result
	output   strings.Builder
	began    bool
	verdict  string // PASS, FAIL, SKIP; empty: the test did not end
	took     string // as the testing package has it: (1.23s)

	current *result // of the result without a name: the test that prints
}

// child returns the result of a test below r, by its name relative to r.
func (r *result) child(name string) *result {
	for part := range strings.SplitSeq(name, "/") {
		var found *result
		for _, c := range r.children {
			if c.name == part {
				found = c
			}
		}
		if found == nil {
			found = &result{name: part, parent: r}
			r.children = append(r.children, found)
		}
		r = found
	}
	return r
}

// mark precedes the lines of the testing package itself (-test.v=test2json).
const mark = "\x16"

// read reads a line of the output of a test binary with -test.v=test2json.
func (r *result) read(line string) {
	if r.current == nil {
		r.current = r
	}
	// Output of a test without a newline comes before the mark.
	text, frame, framed := strings.Cut(line, mark)
	if text = strings.TrimRight(text, " "); !framed || text != "" {
		fmt.Fprintln(&r.current.output, text)
	}
	if !framed {
		return
	}
	for _, event := range []string{"=== RUN ", "=== CONT ", "=== NAME ", "=== PAUSE ", "--- PASS: ", "--- FAIL: ", "--- SKIP: "} {
		rest, ok := strings.CutPrefix(frame, event)
		if !ok {
			continue
		}
		name, took, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if name == "" {
			r.current = r
			return
		}
		r.current = r.child(name)
		r.current.began = true
		if verdict, ok := strings.CutPrefix(event, "--- "); ok {
			r.current.verdict, r.current.took = strings.TrimSuffix(verdict, ": "), took
		}
		return
	}
	if strings.HasPrefix(frame, "=== ") || strings.HasPrefix(frame, "--- ") {
		return
	}
	fmt.Fprintln(&r.current.output, frame) // such as "PASS" and "FAIL" at the end
}

// report reports r as the result of t, and the results below it as subtests. It returns
// false if there was no such test.
func (r *result) report(t *testing.T) bool {
	for _, c := range r.children {
		t.Run(c.name, func(t *testing.T) { c.report(t) })
	}
	fmt.Fprint(t.Output(), r.output.String())
	if r.took != "" {
		fmt.Fprintln(t.Output(), "in the machine:", r.took)
	}
	switch r.verdict {
	case "PASS":
	case "SKIP":
		t.SkipNow()
	case "FAIL":
		t.Fail()
	default:
		if r.began {
			t.Error("did not end")
		}
	}
	return r.began
}
