package syntax

import (
	"errors"
	"fmt"
	"path/filepath"
)

// Options are what a file is read with. The zero value will do.
type Options struct {
	// ConfigID is compared with @id; the first label of the host name if empty.
	ConfigID string
	// AllChecks applies all include checks from the start.
	AllChecks bool
	// Env looks up environment variables for ${_ENV NAME}; os.LookupEnv if nil.
	Env func(string) (string, bool)
	// Unsaved is the text to read instead of that of a file, as an editor holds
	// it; ok is false for any other file. If nil, there is none.
	Unsaved func(name string) (text string, ok bool)
	// Vocabulary is that of the outermost level. If nil, no word is known.
	Vocabulary Vocabulary
}

// Read reads a file and the files that it includes, and hands over each outermost
// statement as soon as it is complete, expanded but not interpreted. The problems
// go to g; ok is false if the file cannot be read.
func Read(path string, o Options, g *Collector, emit func(*Statement)) (ok bool) {
	p := newPipeline(o, g, emit)
	if err := p.readFile(path, row{}); err != nil {
		problem := Diagnostic{
			Pos: Pos{File: path}, Severity: Fatal, Class: ClassMissingFile, Exit: 6, Code: "no-file",
			Message: fmt.Sprintf("Config files missing '%s': %v", path, err),
			Fix:     "name an existing file with -f",
		}
		if u := (*unusable)(nil); errors.As(err, &u) {
			problem = u.problem(path)
		}
		g.Add(problem)
		return false
	}
	p.finish()
	return true
}

// Parse reads a file and the files that it includes, and yields the outermost
// statements in order, expanded but not interpreted.
func Parse(path string, o Options) ([]*Statement, Diagnostics) {
	g := &Collector{}
	var tree []*Statement
	Read(path, o, g, func(s *Statement) { tree = append(tree, s) })
	return tree, g.Sorted()
}

// ParseText reads the text of a file called name as it stands, alone: an include
// line is a statement of its word and its pattern, a parameter that the text does
// not define stands for itself, ${_RANDOM} is its minimum, a sequence ends after
// 64 steps and, without Options.Env, an environment variable has its name as
// value.
func ParseText(name, text string, o Options) ([]*Statement, Diagnostics) {
	if o.Env == nil {
		o.Env = func(name string) (string, bool) { return name, true }
	}
	g := &Collector{}
	var tree []*Statement
	p := newPipeline(o, g, func(s *Statement) { tree = append(tree, s) })
	p.alone = true
	g.files[name] = 0
	content := pieces{text}
	if err := content.usable(); err != nil {
		g.Add(err.problem(name))
		return nil, g.Sorted()
	}
	p.readLines(&file{name: name, dir: filepath.Dir(name)}, content)
	p.finish()
	return tree, g.Sorted()
}
