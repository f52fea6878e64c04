package link

// Event is what one child reports for another; the parent passes it on. It says
// what is, not what has changed: of two events with one subject the later one
// counts. A process that starts gets, after its configuration, the last event of
// each subject.
type Event struct {
	From, To string // names of roles; the parent sets From
	Subject  string // what it is about, for the two roles to know
	// Body is a value that both roles know, in the encoding of package wire. Empty:
	// there is nothing to report about the subject any more, or its reporter has ended.
	Body []byte
}

// MaxSubjects is how many subjects one process may have events of.
const MaxSubjects = 4096

// SameSubject reports whether two messages are events of which only the later one
// counts.
func SameSubject(a, b Message) bool {
	return a.Event != nil && b.Event != nil && a.Event.From == b.Event.From && a.Event.Subject == b.Event.Subject
}
