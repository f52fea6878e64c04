package lsp

import (
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"keepalived-go/internal/readfile"
)

// buffer is a document that the editor holds.
type buffer struct {
	uri string
	*document
}

// view is what one request or check sees: the documents that the editor holds,
// and the files as it finds them. It does not change, but reads on.
type view struct {
	// open are the documents that the editor holds, by name: a path, or the
	// URI of what is no file.
	open map[string]*buffer
	// files are the documents that are not open.
	files map[string]*document
	budget
}

// budget is what documents may still take. One takes half of the lines and
// tokens that are left, at most.
type budget struct {
	text int // bytes
	size int // lines and tokens
}

// newView is a view of the open documents.
func newView(open map[string]*buffer) *view {
	return &view{open: open, files: make(map[string]*document), budget: left(open, "")}
}

// left is the memory that a document may take beside the other open documents. An editor
// with a 10,000-line file needs 300 kB and 40,000.
func left(open map[string]*buffer, but string) budget {
	b := budget{text: 64 << 20, size: 1 << 20}
	for name, d := range open {
		if name != but {
			b.text -= len(d.uri) + len(d.text)
			b.size -= d.size
		}
	}
	return b
}

// nameOf is the path of a file's URI, or the URI itself.
func nameOf(uri string) string {
	if u, err := url.Parse(uri); err == nil && u.Scheme == "file" && u.Path != "" {
		return filepath.Clean(u.Path)
	}
	return uri
}

func (v *view) uriOf(name string) string {
	if b := v.open[name]; b != nil {
		return b.uri
	}
	return (&url.URL{Scheme: "file", Path: name}).String()
}

// nameIn is the name in the view of a file that an include line names.
func (v *view) nameIn(file string) string {
	if v.open[file] == nil {
		if path, err := filepath.Abs(file); err == nil {
			return path
		}
	}
	return file
}

// document is the text of an open document, or of a file; nil if there is none.
func (v *view) document(name string) *document {
	if b := v.open[name]; b != nil {
		return b.document
	}
	d, ok := v.files[name]
	if !ok {
		d = v.read(name)
		v.files[name] = d
	}
	return d
}

func (v *view) read(name string) *document {
	info, err := os.Stat(name)
	// What the kernel makes up is empty before it is read, and may wait for news.
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 || info.Size() > int64(v.text) {
		return nil
	}
	text, err := readfile.Head(name, int64(v.text))
	if err != nil {
		return nil
	}
	d := newDocument(string(text), v.size/2)
	v.text -= len(text)
	v.size -= d.size
	return d
}

// included are the files that a document includes. Patterns that lead through
// half of the file system are not followed.
func included(name string, d *document) []string {
	var names []string
	for _, w := range d.includes[:min(len(d.includes), maxReach)] {
		path := w.text
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(name), path)
		}
		wide := 0
		for part := range strings.SplitSeq(path, "/") {
			if strings.ContainsAny(part, "*?[") {
				wide++
			}
		}
		if wide <= 2 {
			found, _ := filepath.Glob(path)
			names = append(names, found...)
		}
	}
	return names
}

// maxReach bounds how many files are followed.
const maxReach = 1000

// reach is a document and all it includes, then the other open ones: a part of
// a configuration is often open beside the file that includes it.
func (v *view) reach(name string) []string {
	names := []string{name}
	add := func(list []string) {
		for _, n := range list {
			if len(names) < maxReach && !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	follow := func(from int) {
		for i := from; i < len(names); i++ {
			if d := v.document(names[i]); d != nil {
				add(included(names[i], d))
			}
		}
	}
	follow(0)
	n := len(names)
	add(slices.Sorted(maps.Keys(v.open)))
	follow(n)
	return names
}
