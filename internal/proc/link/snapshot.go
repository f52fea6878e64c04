package link

import (
	"errors"
	"fmt"
	"iter"
)

// A snapshot of the state of a process is asked for with [Ask], under a number, and
// answered with [Part]s of a bounded size: orders and signs of life pass between
// them. Who asks has one question at a time open to a process; a late answer to an
// earlier one is known by its number. The parent passes a question of one child on to
// another one, under a number of its own, and the answer back.

// Question asks for the state of a process.
type Question struct {
	ID uint32
	Of string // role whose process is asked, for the parent; empty: the parent itself; or Configuration
	// Since asks for what has changed at this time or later, in nanoseconds since 1970, and
	// nothing else that grows with the configuration; 0: for everything.
	Since int64
}

// Configuration asks the parent for the text of the configuration in force, with stars for
// secrets.
const Configuration = "configuration"

// Part is a piece of the answer to [Ask].
type Part struct {
	ID   uint32 // of the question
	Body []byte // at most PartSize bytes
	Last bool   // the answer is whole with this part
	// Refused is why there is no answer; empty: there is one.
	Refused string
}

const (
	// PartSize is how many bytes of a snapshot a part has, but for the last one.
	PartSize = 64 << 10
	// MaxSnapshot is how long a snapshot may be, in bytes: 65,024 virtual routers of
	// 1,000 bytes.
	MaxSnapshot = 64 << 20
)

// Refusal is the message that answers the question id with the reason why there is no
// snapshot.
func Refusal(id uint32, why string) Message {
	return Message{Kind: Answer, Part: &Part{ID: id, Last: true, Refused: why}}
}

// Answers are the messages that answer the question id with a snapshot.
func Answers(id uint32, snapshot []byte) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		if len(snapshot) > MaxSnapshot {
			yield(Refusal(id, fmt.Sprintf("the snapshot has %d bytes, at most %d are sent", len(snapshot), MaxSnapshot)))
			return
		}
		for {
			n := min(len(snapshot), PartSize)
			last := n == len(snapshot)
			if !yield(Message{Kind: Answer, Part: &Part{ID: id, Body: snapshot[:n], Last: last}}) || last {
				return
			}
			snapshot = snapshot[n:]
		}
	}
}

// Assembly puts the parts of one answer together.
type Assembly struct {
	ID   uint32 // of the question
	Body []byte // so far
}

// Add takes up a part and reports whether the snapshot is whole. Parts of other
// answers are none of its business. After an error the answer is lost: it was
// refused, or longer than MaxSnapshot.
func (a *Assembly) Add(p *Part) (whole bool, err error) {
	switch {
	case p == nil || p.ID != a.ID:
		return false, nil
	case p.Refused != "":
		return false, errors.New(p.Refused)
	case len(a.Body)+len(p.Body) > MaxSnapshot:
		return false, fmt.Errorf("snapshot: longer than %d bytes", MaxSnapshot)
	}
	a.Body = append(a.Body, p.Body...)
	return p.Last, nil
}
