package policy

import "strings"

// Subject is what one process reports to another of.
type Subject string

const (
	// InstanceState is whether a vrrp_instance is master: a bool.
	InstanceState Subject = "vrrp_instance"
	// SessionState is how a bfd_instance is: a Session.
	SessionState Subject = "bfd_instance"
)

// Of is the subject in a report about the object called name.
func (s Subject) Of(name string) string { return string(s) + " " + name }

// SubjectOf takes a report's subject apart.
func SubjectOf(text string) (s Subject, name string) {
	kind, name, _ := strings.Cut(text, " ")
	return Subject(kind), name
}
