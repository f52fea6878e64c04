package session

import (
	"strings"
	"testing"

	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/link/linktest"
	"keepalived-go/internal/proc/loop"
)

// TestAnswer checks that a snapshot arrives complete, in order with the reports before
// and after it, and that sending to a parent that has ended does not block.
func TestAnswer(t *testing.T) {
	parent, child := linktest.Pair(t)
	l, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := Begin(child, l, Orders{Stop: func() {}})
	want := strings.Repeat("0123456789abcdef", 1<<16)
	s.Signal(link.Started)
	s.AnswerJSON(7, func() any { return want })
	alive := 0
	for {
		m, err := parent.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if m.Kind != link.Answer {
			alive++
			continue
		}
		got, err := m.Snapshot()
		if string(got) != `"`+want+"\"\n" || err != nil || m.Reply.ID != 7 || alive != 1 {
			t.Errorf("answer %d of %d bytes, %v, after %d messages", m.Reply.ID, len(got), err, alive)
		}
		break
	}
	s.AnswerJSON(8, func() any { panic("fault") })
	if m, err := parent.Receive(); err != nil || m.Reply == nil || !strings.Contains(m.Reply.Refused, "fault") {
		t.Errorf("a fault in the view is answered with %+v, %v", m.Reply, err)
	}
	parent.Close()
	<-s.Alone()
	s.pass(link.Snapshot(9, link.Text(nil))) // without a reader: it returns
}
