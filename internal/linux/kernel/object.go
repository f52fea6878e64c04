package kernel

import (
	"fmt"

	"keepalived-go/internal/linux/nl"
)

// Object is a thing that a kernel holds and that plans add, replace and remove. An
// address is one; each kind has a file with all that is particular to it:
// identity, encoding, comparison and text.
//
// A kind can be compared by [Diff] if its pointers are [Keyed]. An [Executor] asks
// rtnetlink for objects that are [Requested], and a [Side] for all others.
type Object interface {
	// Kind is a word for all objects of the kind, as "address".
	Kind() string

	// OnLink is the index of the object's link, 0 if it has none.
	OnLink() int

	// Text prints the object's identity, and Attributes what is asked for beyond
	// it, without the link, in the words of ip(8).
	Text() string
	Attributes() string
}

// Requested is an object that a request of rtnetlink adds or removes.
type Requested interface {
	Object

	// Encode appends the body of the request that carries out op. An addition must
	// be refused with unix.EEXIST if the object is there.
	Encode(op Op, b []byte) ([]byte, nl.Request)

	// Held reads all objects of the kind that the kernel of c holds, as far as it
	// lists them.
	Held(c *Conn) Finder

	// Foreign reports whether an object that is held was certainly not set by us.
	Foreign() bool

	// Gone reports whether the refusal of a removal means that there is nothing to
	// remove.
	Gone(refusal error) bool
}

// A Side carries out changes of objects that are not [Requested].
type Side interface {
	// Carry carries out changes and returns, as in a [Completion], which were refused
	// and what additions have found. It may block.
	Carry(changes []Change) (errs []error, found []Found)

	Close() error
}

// A Finder returns the held object with the identity of the one wanted, nil if
// there is none, and whether it is just as wanted.
type Finder func(want Object) (have Requested, same bool)

// Keyed is what [Diff] must know of a kind of objects of the type O with the
// identity K.
type Keyed[O any, K comparable] interface {
	*O
	Object

	// Key returns the object's identity.
	Key() K

	// Compare reports whether the object, which is held, is what want, which has the
	// same Key, asks for and, if not, whether the kernel can turn the one into the
	// other in place.
	Compare(want *O) (same, inPlace bool)

	// Head returns a group of objects of which the kernel may remove the others
	// along with this one; Follows returns the group with whose head it may remove
	// this one. Both are false if there is none.
	Head() (K, bool)
	Follows() (K, bool)
}

// NewFinder finds objects in a list.
func NewFinder[O any, K comparable, P interface {
	Keyed[O, K]
	Requested
}](held []O) Finder {
	all := make(map[K]P, len(held))
	for i := range held {
		p := P(&held[i])
		all[p.Key()] = p
	}
	return func(want Object) (Requested, bool) {
		w, ok := want.(P)
		if !ok {
			return nil, false
		}
		have, ok := all[w.Key()]
		if !ok {
			return nil, false
		}
		same, _ := have.Compare(w)
		return have, same
	}
}

// Op is what a change does.
type Op uint8

const (
	Add     Op = iota // add an object that is not there
	Remove            // remove it
	Replace           // change what can be changed of one that is there
)

func (o Op) String() string {
	switch o {
	case Add:
		return "add"
	case Remove:
		return "remove"
	case Replace:
		return "replace"
	}
	return fmt.Sprintf("op(%d)", uint8(o))
}

// Change is one step of a plan. The object must not change until the plan is
// carried out.
type Change struct {
	Op     Op
	Object Object
}

// String prints the change in the manner of ip(8), the link by its index.
func (c Change) String() string { return c.Text(fmt.Sprintf("#%d", c.Object.OnLink())) }

// Text prints the change with the link's name.
func (c Change) Text(dev string) string {
	text := fmt.Sprintf("%v %s", c.Op, c.Object.Text())
	if c.Object.OnLink() != 0 {
		text += " dev " + dev
	}
	if attrs := c.Object.Attributes(); c.Op != Remove && attrs != "" {
		text += " " + attrs
	}
	return text
}

// failed is the error of a change that was refused; dev is the name of its link.
func (c Change) failed(dev string, err error) error {
	text := fmt.Sprintf("%v %s", c.Op, c.Object.Text())
	if c.Object.OnLink() != 0 {
		preposition := "to"
		switch c.Op {
		case Remove:
			preposition = "from"
		case Replace:
			preposition = "on"
		}
		text += " " + preposition + " " + dev
	}
	return fmt.Errorf("%s: %w", text, err)
}
