package conf

import (
	"strings"

	"keepalived-go/conf/syntax"
)

// consequences are what later problems may follow from. A problem that follows
// from a reported one is not listed; its verdict counts.
type consequences struct {
	// word is the word of vrrp_instance that is being read.
	word string
	// vague are names that something misspelt or refused would have defined.
	vague map[string]reason
}

// noteReason remembers a mistake in an instance.
func (d *decoder) noteReason(s Severity, r reason) {
	if d.inst == nil || s < Error {
		return
	}
	if d.word == "unicast_peer" {
		d.inst.meant = true // even if the list of problems is full
	}
	d.inst.blame(d.word, r)
}

// blame notes the first mistake in a word of the instance.
func (in *instance) blame(word string, r reason) {
	if r == 0 {
		return
	}
	if in.mistakes == nil {
		in.mistakes = make(map[string]reason)
	}
	if in.mistakes[word] == 0 {
		in.mistakes[word] = r
	}
}

// mayDefine notes the name of a statement that was not understood.
func (d *decoder) mayDefine(s *Statement) {
	if s.HasBlock && len(s.Words) > 1 {
		d.notDefined(d.intern(s.Words[1].Text), d.diags.Last())
	}
}

func (d *decoder) notDefined(name string, r reason) {
	if r == 0 {
		return
	}
	if d.vague == nil {
		d.vague = make(map[string]reason)
	}
	d.vague[name] = r
}

// whyMissing is the problem because of which a name is not defined, or 0.
func (d *decoder) whyMissing(name string) reason {
	if r := d.vague[name]; r != 0 {
		return r
	}
	return d.diags.Incomplete()
}

// needsWord are the words of an instance whose mistake explains a problem.
var needsWord = map[string]string{
	"no-vrid":           "virtual_router_id",
	"unknown-interface": "interface",
	"no-password":       "authentication",
	"no-address":        "virtual_ipaddress",
	"strict-no-address": "virtual_ipaddress",
	"preempt-delay":     "state",
	"nopreempt-master":  "state",
}

// undefined is the parameter that a word still contains after expansion.
func undefined(s *Statement, word int) string {
	text := s.Words[min(word, len(s.Words)-1)].Text
	i := strings.IndexByte(text, '$')
	if i < 0 {
		return ""
	}
	if name, _, n := syntax.Parameter(text[i:]); n > 0 {
		return "$" + name
	}
	if syntax.ParameterBraces(text[i:]) > 0 {
		return "$" + text[i+2:i+2+syntax.NameLen(text[i+2:])]
	}
	return ""
}
