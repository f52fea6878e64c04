package session

import (
	"bytes"
	"testing"

	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/link/linktest"
	"keepalived-go/internal/proc/loop"
)

// A snapshot of many parts arrives whole, and what the loop reports meanwhile passes
// between them: none of it is lost.
func TestAnswer(t *testing.T) {
	parent, child := linktest.Pair(t)
	l, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := Begin(child, l, Orders{Stop: func() {}})
	snapshot := bytes.Repeat([]byte("0123456789abcdef"), 200*link.PartSize/16)
	go s.Answer(7, snapshot)
	answer := link.Assembly{ID: 7}
	alive, asked := 0, 0
	for whole := false; !whole; {
		m, err := parent.Receive()
		if err != nil {
			t.Fatal(err)
		}
		switch m.Kind {
		case link.Answer:
			if whole, err = answer.Add(m.Part); err != nil {
				t.Fatal(err)
			}
			if asked < 20 {
				asked++
				s.Say(link.Alive)
			}
		case link.Alive:
			alive++
		}
	}
	if !bytes.Equal(answer.Body, snapshot) || alive != asked || asked == 0 {
		t.Errorf("%d of %d bytes, %d of %d signs of life", len(answer.Body), len(snapshot), alive, asked)
	}
	parent.Close()
	<-s.Alone()
	s.Answer(8, snapshot) // to nobody: it returns
}
