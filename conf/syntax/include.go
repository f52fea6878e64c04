package syntax

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"keepalived-go/internal/readfile"
)

// includeCheck is what include_check, -e or the letter of includeX demand of an
// include line.
type includeCheck uint8

const (
	checkReadable      includeCheck = 1 << iota // every file found can be read
	checkMatch                                  // a name without wildcards exists
	checkWildcardMatch                          // a pattern matches something
	checkBraceMatch                             // each alternative of braces matches something

	checkAll = checkReadable | checkMatch | checkWildcardMatch | checkBraceMatch
)

var includeWords = map[string]includeCheck{
	"include":  0,
	"includer": checkReadable,
	"includem": checkReadable | checkMatch,
	"includew": checkReadable | checkMatch | checkWildcardMatch,
	"includeb": checkReadable | checkBraceMatch,
	"includea": checkAll,
}

// includeLine recognises an include line; pattern is the rest of it. Any one
// letter may follow the word.
func includeLine(s string) (word, pattern string) {
	rest, ok := strings.CutPrefix(s, "include")
	if !ok || rest == "" {
		return "", ""
	}
	if !Blank(rest[0]) && rest[0] != '"' {
		if 'a' <= rest[0] && rest[0] <= 'z' {
			rest = rest[1:]
		}
		if rest == "" || !Blank(rest[0]) {
			return "", ""
		}
	}
	word = s[:len(s)-len(rest)]
	return word, strings.TrimLeft(rest, Blanks)
}

func (f *file) absolute() string {
	if dir, err := filepath.Abs(f.dir); err == nil {
		return dir
	}
	return f.dir
}

// include reads the files an include line names; at is where the pattern begins.
func (p *pipeline) include(from *file, l line, word string, at int) {
	checks, known := includeWords[word]
	if !known {
		checks = checkReadable
		p.report(l, 0, Diagnostic{
			Severity: Warning, Class: ClassOrdinary, Code: "include-word",
			Message: fmt.Sprintf("Unknown include type '%s'", word), Fix: "includer is used",
		})
	}
	checks |= p.checks
	pattern, err := p.expandText(l, at, len(l.text))
	if err != nil {
		p.halt(l, "endless-definition", "%v", err)
		return
	}
	pattern = strings.Trim(pattern, `"`)
	if p.depth >= maxDepth {
		p.halt(l, "include-depth", "files include each other more than %d deep", maxDepth)
		return
	}
	found, reported := 0, false
	for _, alternative := range braces(pattern) {
		if !p.count(l, nameWork+len(alternative)) {
			return
		}
		path := alternative
		if !filepath.IsAbs(path) {
			path = filepath.Join(from.dir, path)
		}
		names, _ := filepath.Glob(path)
		wild := strings.ContainsAny(alternative, `*?[`)
		if len(names) == 0 {
			needed := checkMatch
			if wild {
				needed = checkWildcardMatch
			}
			if alternative != pattern {
				needed |= checkBraceMatch
			}
			if checks&needed != 0 {
				p.missing(l, at, alternative)
				reported = true
			}
			continue
		}
		found += len(names)
		for _, name := range names {
			p.includeFile(l, at, name, checks)
		}
	}
	if found == 0 && !reported {
		p.diags.incomplete = p.report(l, at, Diagnostic{
			Severity: Warning, Class: ClassNone, Code: "include-nothing",
			Message: fmt.Sprintf("Config files missing '%s'", pattern),
			Fix:     "no file matches; names are relative to the directory of this file",
		})
	}
}

func (p *pipeline) missing(l line, at int, name string) {
	p.diags.incomplete = p.report(l, at, Diagnostic{
		Severity: Fatal, Class: ClassMissingFile, Exit: 6, Code: "include-missing",
		Message: fmt.Sprintf("Config files missing '%s'", name),
		Fix:     "an include check requires that it exists and can be read",
	})
}

func (p *pipeline) includeFile(l line, at int, name string, checks includeCheck) {
	if err := p.readFile(name, l.row); err != nil {
		if errors.Is(err, errNotPlain) {
			p.diags.incomplete = p.report(l, at, Diagnostic{
				Severity: Warning, Class: ClassNone, Code: "include-skip",
				Message: fmt.Sprintf("%s is not a regular non-executable file - skipping", name),
				Fix:     "name only regular files, and remove their execute permission: chmod a-x",
			})
			return
		}
		class, exit, severity := ClassNone, 0, Warning
		if checks&checkReadable != 0 {
			class, exit, severity = ClassMissingFile, 6, Fatal
		}
		remedy := "make it readable for the user that runs keepalived"
		if u := (*unusable)(nil); errors.As(err, &u) {
			remedy = u.remedy
			if class == ClassNone {
				class, severity = ClassOrdinary, Error
			}
		}
		p.diags.incomplete = p.report(l, at, Diagnostic{
			Severity: severity, Class: class, Exit: exit, Code: "include-unreadable",
			Message: fmt.Sprintf("include %s: %v", name, err), Fix: remedy,
		})
	}
}

var (
	errNotPlain       = errors.New("not a regular non-executable file")
	errEndless        = &unusable{readfile.Endless, readfile.EndlessRemedy}
	errIncludesItself = &unusable{"the file includes itself", "remove this line, or the include line in a file between"}
)

// mainPatience is how long the main file may keep its reader waiting: what writes
// a pipe may have to work for it.
const mainPatience = 5 * time.Second

// fileID identifies a file, under whatever name it is read.
type fileID struct{ device, inode uint64 }

// readFile passes the lines of a file on. from is the include line, none for the
// main file, which may also be a pipe.
func (p *pipeline) readFile(name string, from row) error {
	text, id, err := p.contents(name, from.origin != nil)
	if err != nil {
		return err
	}
	for _, open := range p.ids {
		if open == id && id != (fileID{}) {
			return errIncludesItself
		}
	}
	if _, ok := p.diags.files[name]; !ok {
		p.diags.files[name] = len(p.diags.files)
	}
	p.ids = append(p.ids, id)
	p.readLines(&file{name: name, dir: filepath.Dir(name), from: from}, text)
	p.ids = p.ids[:len(p.ids)-1]
	return nil
}

const byteOrderMark = "\ufeff"

// readLines passes the lines of a file on whose text is known.
func (p *pipeline) readLines(opened *file, text pieces) {
	p.open = append(p.open, opened)
	from := &origin{file: opened}
	level := p.checks
	if text.begins(byteOrderMark) {
		text[0] = text[0][len(byteOrderMark):]
		p.report(line{row: row{from, 1}}, 0, Diagnostic{
			Severity: Warning, Class: ClassOrdinary, Code: "bom",
			Message: "the byte order mark at the beginning of the file is skipped", Fix: "save it as UTF-8 without a byte order mark",
		})
	}
	p.depth++
	p.run(&fileLines{origin: from, rest: text})
	p.depth--
	p.checks = level
	p.open = p.open[:len(p.open)-1]
}

// contents is the text of a file and what distinguishes it from others.
func (p *pipeline) contents(name string, included bool) (text pieces, id fileID, err error) {
	if p.Unsaved != nil {
		if unsaved, ok := p.Unsaved(name); ok {
			var st syscall.Stat_t
			if syscall.Stat(name, &st) == nil {
				id = fileID{uint64(st.Dev), st.Ino}
			}
			text = pieces{unsaved}
			if u := text.usable(); u != nil {
				return nil, id, u
			}
			return text, id, nil
		}
	}
	patience := mainPatience
	if included {
		patience = readfile.Patience
	}
	f, err := readfile.Open(name, patience)
	if err != nil {
		return nil, id, readfile.Cause(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, id, readfile.Cause(err)
	}
	if info.IsDir() || included && (!info.Mode().IsRegular() || info.Mode().Perm()&0o111 != 0) {
		return nil, id, errNotPlain
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		id = fileID{uint64(st.Dev), st.Ino}
	}
	text, err = readText(f)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, id, errEndless
	}
	if err != nil {
		return nil, id, readfile.Cause(err)
	}
	if u := text.usable(); u != nil {
		return nil, id, u
	}
	return text, id, nil
}

// maxAlternatives bounds what one pattern with braces may expand to.
const maxAlternatives = 4096

// braces expands {a,b} alternatives, nested ones too, from left to right.
func braces(pattern string) []string {
	out := []string{pattern}
	for i := 0; i < len(out); {
		open, end, commas := braceGroup(out[i])
		if open < 0 || len(out)+len(commas) > maxAlternatives {
			i++
			continue
		}
		s := out[i]
		var alternatives []string
		start := open + 1
		for _, c := range append(commas, end) {
			alternatives = append(alternatives, s[:open]+s[start:c]+s[end+1:])
			start = c + 1
		}
		out = append(out[:i], append(alternatives, out[i+1:]...)...)
	}
	return out
}

// braceGroup finds the first complete {…} and its own commas.
func braceGroup(s string) (open, end int, commas []int) {
	open = strings.IndexByte(s, '{')
	if open < 0 {
		return -1, 0, nil
	}
	depth := 0
	for i := open; i < len(s); i++ {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return open, i, commas
			}
		case ',':
			if depth == 1 {
				commas = append(commas, i)
			}
		}
	}
	return -1, 0, nil
}
