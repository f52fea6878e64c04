package conf

import "strings"

var checkNames = map[string]includeCheck{
	"readable":       checkReadable,
	"read":           checkReadable,
	"match":          checkMatch,
	"wildcard_match": checkWildcardMatch,
	"brace_match":    checkBraceMatch,
}

// setChecks applies an include_check line: words replace the checks in force,
// with + they are added and with - or ^ taken away; no words mean all.
func (p *pipeline) setChecks(line string) {
	fields := strings.Fields(line)
	if len(fields) == 1 {
		p.checks = checkAll
		return
	}
	if c := fields[1][0]; c != '+' && c != '-' && c != '^' {
		p.checks = 0
	}
	for _, word := range fields[1:] {
		remove := word[0] == '-' || word[0] == '^'
		check := checkNames[strings.TrimLeft(word, "+-^")]
		if remove {
			p.checks &^= check
		} else {
			p.checks |= check
		}
	}
}

// checkIncludeWords reports what setChecks does not know.
func checkIncludeWords(d *decoder, a *argument) {
	for i, w := range a.Words[1:] {
		name := strings.TrimLeft(w.Text, "+-^")
		if _, ok := checkNames[name]; !ok && name != "" {
			d.wrong(a.Statement, i+1, "bad-choice", "Unknown include_check option '%s'; expected readable, match, wildcard_match or brace_match", printable(name))
		}
	}
}
