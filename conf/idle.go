package conf

import (
	"fmt"
	"slices"
	"strings"
)

// NoEffect is the code of the warning about words that have no effect in this
// version.
const NoEffect = "no-effect"

// idleOwner is an outermost block or statement.
type idleOwner struct {
	keyword, name string
	at            place
}

// idleBlock is an outermost block, and what in it has no effect in this version.
type idleBlock struct {
	idleOwner
	words []string // the block's own keyword where all of it has none
	first place    // of the first of them
	more  int      // further blocks that are reported together with this one
}

// idleAlone is how many blocks of one keyword that lack the effect of the same
// words are reported one by one. A file may have thousands.
const idleAlone = 10

// wait notes the use of a word without effect.
func (d *decoder) wait(word string, s *Statement) {
	if d.muted > 0 {
		return
	}
	owner := idleOwner{keyword: d.intern(d.outer.Keyword()), at: d.outer.Place(0)}
	if len(d.outer.Words) > 1 && d.outer.HasBlock {
		var names []string
		for _, w := range d.outer.Words[1:min(len(d.outer.Words), 4)] {
			names = append(names, printable(w.Text))
		}
		owner.name = d.intern(strings.Join(names, " "))
	}
	b := d.idleOf[owner]
	if b == nil {
		if d.idleOf == nil {
			d.idleOf = make(map[idleOwner]*idleBlock)
		}
		b = &idleBlock{idleOwner: owner, first: s.Place(0)}
		d.idleOf[owner] = b
		d.idle = append(d.idle, b)
	}
	if !slices.Contains(b.words, word) {
		b.words = append(b.words, d.intern(word))
	}
}

// reportIdle reports what has no effect: one warning for each block. It does not
// influence the exit code of a test, which is that of the C daemon.
func (d *decoder) reportIdle() {
	type kind struct{ keyword, words string }
	alike := make(map[kind][]*idleBlock)
	var shown []*idleBlock
	for _, b := range d.idle {
		k := kind{b.keyword, strings.Join(b.words, " ")}
		list := alike[k]
		same := slices.IndexFunc(list, func(o *idleBlock) bool { return o.first.Pos() == b.first.Pos() })
		if same < 0 && len(list) == idleAlone {
			same = idleAlone - 1
		}
		if same >= 0 {
			list[same].more++
			continue
		}
		alike[k] = append(alike[k], b)
		shown = append(shown, b)
	}
	for _, b := range shown {
		d.reportAt(b.first, Diagnostic{Severity: Warning, Class: ClassNone, Code: NoEffect, Message: b.message()})
	}
}

func (b *idleBlock) message() string {
	owner := b.keyword
	if b.name != "" {
		owner += " " + b.name
	}
	if b.more > 0 {
		owner += fmt.Sprintf(" and %d more", b.more)
	}
	if len(b.words) == 1 && b.words[0] == b.keyword {
		if b.more > 0 {
			return owner + " have no effect in this version"
		}
		return owner + " has no effect in this version"
	}
	last := len(b.words) - 1
	list, verb := b.words[last], " has no effect in this version"
	if last > 0 {
		list, verb = strings.Join(b.words[:last], ", ")+" and "+list, " have no effect in this version"
	}
	return owner + ": " + list + verb
}
