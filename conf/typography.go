package conf

import (
	"fmt"
	"unicode/utf8"
)

// typography reports what a statement probably does not mean as it is read,
// although it can be read: characters of an editor that looks after quotation
// marks, and statements after another one.
func (d *decoder) typography(s *Statement, b *block, k *Keyword) {
	for i := range s.Words {
		hint := lookalike(&s.Words[i])
		if hint == "" || i == 0 && k == nil && b.entry == nil {
			continue // an unknown word is reported with the hint
		}
		d.report(s, i, Diagnostic{
			Severity: Warning, Class: ClassNone, Code: "lookalike",
			Message: "a word in the line of " + printable(s.Keyword()) + " is used as written", // it may be a password
		})
	}
	if k == nil {
		return
	}
	most := 2
	switch k.args.kind {
	case argBlock, argNamed, argWords, argWeight, argCommand:
		return
	case argNone:
		most = 1
	}
	for i := most; i < len(s.Words); i++ {
		if word := s.Words[i].Text; !s.Words[i].Quoted && b.words[word] != nil {
			d.report(s, i, Diagnostic{
				Severity: Warning, Class: ClassNone, Code: "ignored-words",
				Message: fmt.Sprintf("'%s' after %s is ignored", word, k.Name),
				Fix:     "write one statement per line",
			})
			return
		}
	}
}

// lookalike is what to write instead of the first character of a word that
// looks like one of the language but is not.
func lookalike(w *Token) string {
	if w.Quoted {
		return ""
	}
	for i := 0; i < len(w.Text); i++ {
		if w.Text[i] < utf8.RuneSelf {
			continue
		}
		for _, r := range w.Text[i:] {
			if plain := ascii(r); plain != 0 {
				return fmt.Sprintf("it contains %q (%U); write %q", r, r, plain)
			}
		}
		return ""
	}
	return ""
}

// ascii is the character of the language that r looks like, or 0.
func ascii(r rune) rune {
	switch {
	case r == 0x2018, r == 0x2019, r == 0x201a, r == 0x201b, r == 0x2032, r == 0x2039, r == 0x203a:
		return '\''
	case r == 0x201c, r == 0x201d, r == 0x201e, r == 0x201f, r == 0x2033, r == 0xab, r == 0xbb:
		return '"'
	case 0x2010 <= r && r <= 0x2015, r == 0x2212:
		return '-'
	case r == 0xa0, 0x2000 <= r && r <= 0x200f, r == 0x202f, r == 0x205f, r == 0x2060, r == 0x3000, r == 0xfeff:
		return ' '
	case 0xff01 <= r && r <= 0xff5e: // full width
		return r - 0xff01 + '!'
	}
	return 0
}
