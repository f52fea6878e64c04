package conf

import (
	"slices"
	"sync"

	"keepalived-go/conf/syntax"
)

// What package syntax has, under the names that belong to a configuration too.
type (
	Statement   = syntax.Statement
	Token       = syntax.Token
	Pos         = syntax.Pos
	Frame       = syntax.Frame
	Diagnostic  = syntax.Diagnostic
	Diagnostics = syntax.Diagnostics
	Severity    = syntax.Severity
	Class       = syntax.Class
	Edit        = syntax.Edit

	place  = syntax.Place
	reason = syntax.Reason
)

const (
	Note    = syntax.Note
	Warning = syntax.Warning
	Error   = syntax.Error
	Fatal   = syntax.Fatal

	ClassNone            = syntax.ClassNone
	ClassCannotRun       = syntax.ClassCannotRun
	ClassOrdinary        = syntax.ClassOrdinary
	ClassWarning         = syntax.ClassWarning
	ClassDeprecated      = syntax.ClassDeprecated
	ClassSecurity        = syntax.ClassSecurity
	ClassMissingArgument = syntax.ClassMissingArgument
	ClassMissingFile     = syntax.ClassMissingFile

	CodeUnclosed = syntax.CodeUnclosed
	MaxFile      = syntax.MaxFile
)

// Vocabulary is the words of the schema, for a reader of syntax.
func Vocabulary() syntax.Vocabulary { return words{root()} }

// words are the words of a block, where the syntax depends on them.
type words struct{ *block }

func (v words) Knows(word string) bool { return v.words[word] != nil }

func (v words) Block(word string) syntax.Vocabulary {
	if k := v.words[word]; k != nil && k.block != nil {
		return words{k.block}
	}
	return nil
}

func (words) SetsChecks(word string) bool { return slices.Contains(includeChecks(), word) }

func (words) SeedsRandom(word string) bool { return slices.Contains(randomSeeds(), word) }

// includeChecks and randomSeeds are the words whose rows declare it. The reader asks for
// each line: a list of one is compared faster than a map is.
var (
	includeChecks = sync.OnceValue(func() []string { return declared(func(k *Keyword) bool { return k.checks }) })
	randomSeeds   = sync.OnceValue(func() []string { return declared(func(k *Keyword) bool { return k.seeds }) })
)

func declared(by func(*Keyword) bool) (found []string) {
	for k := range Schema() {
		if by(&k) && !slices.Contains(found, k.Name) {
			found = append(found, k.Name)
		}
	}
	return found
}

func (words) LacksValue(list []string) bool {
	v, _ := (*block)(nil).named(list, nil)
	return v.waits
}
