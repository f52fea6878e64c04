package syntax

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

// IsIncludeCheck reports whether a word names a check of include lines; a sign may
// stand before it, and alone.
func IsIncludeCheck(word string) bool {
	name := strings.TrimLeft(word, "+-^")
	_, ok := checkNames[name]
	return ok || name == ""
}
