package lint

import (
	"slices"
	"strings"

	"keepalived-go/conf"
	"keepalived-go/conf/syntax"
)

// Silence returns the problems that no comment wants to be ignored. read gives
// the text of a file.
//
//	nopreempt              # keepalived: ignore weight-and-nopreempt
//
//	# keepalived: ignore script-slow, script-timeout
//	vrrp_script nightly {
//
//	# keepalived: ignore-file prefix-length
//
// The first form is for its line, the second for the next line that is no
// comment, the last for the whole file, wherever it stands there. Everything
// this package finds can be ignored, and of the problems of [conf.Load] those
// that are no errors.
func Silence(ds conf.Diagnostics, read func(name string) (string, error)) (kept conf.Diagnostics) {
	files := make(map[string]*wishes)
	for _, d := range ds {
		w, ok := files[d.Pos.File]
		if !ok {
			w = &wishes{}
			if text, err := read(d.Pos.File); err == nil {
				w = readWishes(text)
			}
			files[d.Pos.File] = w
		}
		if silenceable(&d) && (slices.Contains(w.file, d.Code) || slices.Contains(w.lines[d.Pos.Line], d.Code)) {
			continue
		}
		kept = append(kept, d)
	}
	return kept
}

func silenceable(d *conf.Diagnostic) bool {
	if _, own := severities[d.Code]; own {
		return true
	}
	return d.Severity <= conf.Warning && d.Exit == 0
}

// wishes are the codes that a file wants to be ignored.
type wishes struct {
	file  []string
	lines map[int][]string // by line, from 1
}

func readWishes(text string) *wishes {
	w := &wishes{lines: make(map[int][]string)}
	var next []string // for the next line that is no comment
	n := 0
	for line := range strings.Lines(text) {
		n++
		comment := syntax.Comment(strings.TrimRight(line, "\r\n"))
		codes, whole := wish(comment)
		if whole {
			w.file = append(w.file, codes...)
			codes = nil
		}
		if comment != "" && strings.HasPrefix(strings.TrimLeft(line, " \t"), comment) {
			next = append(next, codes...)
			continue
		}
		if codes = append(next, codes...); len(codes) > 0 {
			w.lines[n] = codes
		}
		next = nil
	}
	return w
}

// wish reads the codes of a comment, and whether they are for the whole file.
func wish(comment string) (codes []string, whole bool) {
	rest, ok := strings.CutPrefix(strings.TrimLeft(comment, "#! \t"), "keepalived:")
	if !ok {
		return nil, false
	}
	words := strings.FieldsFunc(rest, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' })
	switch {
	case len(words) == 0:
		return nil, false
	case words[0] == "ignore":
		return words[1:], false
	case words[0] == "ignore-file":
		return words[1:], true
	}
	return nil, false
}
