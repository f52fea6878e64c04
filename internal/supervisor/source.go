package supervisor

import (
	"sync"

	"keepalived-go/conf"
	"keepalived-go/conf/view"
	"keepalived-go/internal/packed"
)

// source is the text of a configuration, compressed. The statements of a long one take a
// hundred times as much memory, and it is hardly ever asked for: pack makes it once a start or
// a reload is over, or who needs it first. Its methods may run beside each other.
type source struct {
	once sync.Once
	// tree is what it is made of. It stays if that cannot be written as text.
	tree         []*conf.Statement
	whole, shown packed.Text // as view.Texts has them
	err          error
}

// pack keeps the text in the place of the statements.
func (s *source) pack() {
	s.once.Do(func() {
		var whole, shown string
		if whole, shown, s.err = view.Texts(s.tree); s.err == nil {
			s.whole, s.shown, s.tree = packed.Of(whole), packed.Of(shown), nil
		}
	})
}

// text returns it with the secrets: who reads it gets the same configuration.
func (s *source) text() (string, error) {
	s.pack()
	if s.err != nil {
		return "", s.err
	}
	text, err := s.whole.Open()
	return string(text), err
}

// expanded returns it with stars for secrets.
func (s *source) expanded() ([]byte, error) {
	s.pack()
	if s.err != nil {
		return nil, s.err
	}
	return s.shown.Open()
}

// statements returns the outermost ones.
func (s *source) statements() []*conf.Statement {
	text, err := s.text()
	if err != nil {
		return s.tree
	}
	// What is wrong in it was reported when it was read.
	list, _ := conf.Parse("", conf.Options{Unsaved: func(string) (string, bool) { return text, true }})
	return list
}
