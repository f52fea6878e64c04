package attempt

import (
	"bytes"
	"io"
	"iter"
	"unicode/utf8"

	"keepalived-go/conf/pcre"
)

// Regex is what a body must match.
type Regex struct {
	Pattern *pcre.Pattern
	NoMatch bool // it must not match (regex_no_match)
	// MinOffset and MaxOffset are where a match may begin, in bytes from the start
	// of the body (regex_min_offset, default 0; regex_max_offset, -1: anywhere).
	MinOffset, MaxOffset int
}

// search looks for a match in a body that comes in pieces. What fits into
// keepMost is kept and searched at its end, which is fast. Of a longer body
// nothing is kept: the matcher reads characters, and is put to sleep where there
// is none yet.
type search struct {
	regex *Regex
	kept  []byte // the body so far, while it is kept

	next  func() (struct{}, bool) // the matcher; nil: it has not begun
	stop  func()
	piece []byte
	carry []byte // beginning of a character that the next piece ends
	end   bool   // no piece follows

	skip  int // bytes that the matcher does not get, before the first
	taken int // bytes that it has read
	line  int // offset of the first newline; -1: none yet

	done  bool
	found bool
}

const keepMost = 32 << 10

func newSearch(r *Regex) *search { return &search{regex: r, skip: r.context(), line: -1} }

// context is how many bytes before the first match the matcher does not need.
func (r *Regex) context() int { return max(0, r.MinOffset-1) }

// run is the matcher of a body that is not kept.
func (s *search) run(yield func(struct{}) bool) {
	in := &searchReader{search: s, yield: yield}
	var loc []int
	if s.regex.MinOffset > 0 {
		loc = group1(s.regex.Pattern.Later.FindReaderSubmatchIndex(in))
	} else {
		loc = s.regex.Pattern.Anywhere.FindReaderIndex(in)
	}
	s.judge(loc, s.end)
}

// whole searches a body that is kept. It reports false if that has bytes that
// stand for other characters.
func (s *search) whole() bool {
	p := s.regex.Pattern
	if !p.UTF && bytes.IndexFunc(s.kept, func(r rune) bool { return r >= 0x80 }) >= 0 {
		return false
	}
	body := s.kept[min(s.skip, len(s.kept)):]
	var loc []int
	if s.regex.MinOffset > 0 {
		loc = group1(p.Later.FindSubmatchIndex(body))
	} else {
		loc = p.Anywhere.FindIndex(body)
	}
	s.taken = len(body)
	if i := bytes.IndexByte(body, '\n'); i >= 0 {
		s.line = s.regex.context() + i
	}
	s.judge(loc, true)
	return true
}

// group1 is where the first group has matched.
func group1(loc []int) []int {
	if loc == nil {
		return nil
	}
	return loc[2:4]
}

// judge takes up the place of the first match; nil: there is none. end means that
// the matcher has seen all of the body.
func (s *search) judge(loc []int, end bool) {
	if loc == nil {
		return
	}
	begin := s.regex.context() + loc[0]
	p := s.regex.Pattern
	switch {
	case s.regex.MaxOffset >= 0 && begin > s.regex.MaxOffset,
		p.FirstLine && s.line >= 0 && begin > s.line,
		// Behind the newline that ends the body no line begins.
		p.Lines && end && begin > 0 && begin == s.regex.context()+s.taken && s.line >= 0:
	default:
		s.found = true
	}
}

// feed takes up a piece.
func (s *search) feed(p []byte) {
	switch {
	case s.done:
	case s.next != nil:
		s.pass(p)
	case len(s.kept)+len(p) <= keepMost:
		s.kept = append(s.kept, p...)
	default:
		s.stream()
		s.pass(p)
	}
}

// stream begins to search without keeping the body.
func (s *search) stream() {
	s.next, s.stop = iter.Pull(s.run)
	kept := s.kept
	s.kept = nil
	s.pass(kept)
}

// pass hands a piece to the matcher.
func (s *search) pass(p []byte) {
	n := min(s.skip, len(p))
	s.skip -= n
	if s.piece = p[n:]; len(s.piece) > 0 && !s.done {
		s.step()
	}
	s.piece = nil
}

func (s *search) step() {
	if _, more := s.next(); !more {
		s.done = true
	}
}

// good ends the search and reports whether the body is as wanted.
func (s *search) good() bool {
	if !s.done && (s.next != nil || !s.whole()) {
		if s.next == nil {
			s.stream()
		}
		s.end = true
		if !s.done {
			s.step()
		}
	}
	s.close()
	return s.found != s.regex.NoMatch
}

// close frees the matcher.
func (s *search) close() {
	if s.stop != nil {
		s.stop()
	}
	s.done = true
}

// searchReader is where the matcher reads.
type searchReader struct {
	*search
	yield func(struct{}) bool
}

// ReadRune returns the next character; io.EOF after the last one.
func (r *searchReader) ReadRune() (rune, int, error) {
	for len(r.piece) == 0 || r.regex.Pattern.UTF && !utf8.FullRune(r.piece) {
		if r.end {
			break
		}
		// What is left is the beginning of a character.
		r.carry = append(r.carry[:0], r.piece...)
		r.piece = nil
		if !r.yield(struct{}{}) {
			r.end = true
			break
		}
		if len(r.carry) > 0 {
			r.piece = append(r.carry, r.piece...)
			r.carry = nil
		}
	}
	if len(r.piece) == 0 {
		if len(r.carry) == 0 {
			return 0, 0, io.EOF
		}
		r.piece, r.carry = r.carry, nil
	}
	c, n := pcre.Byte(r.piece[0]), 1
	if r.regex.Pattern.UTF {
		c, n = utf8.DecodeRune(r.piece)
	}
	r.piece = r.piece[n:]
	if c == '\n' && r.line < 0 {
		r.line = r.regex.context() + r.taken
	}
	r.taken += n
	return c, n, nil
}
