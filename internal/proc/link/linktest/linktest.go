// Package linktest connects a process under test to a test that is its parent.
package linktest

import (
	"testing"

	"keepalived-go/internal/proc/link"
)

// Pair returns the ends of a link. That of the parent is closed at the end of the test.
func Pair(t testing.TB) (parent, child *link.Conn) {
	t.Helper()
	parent, file, err := link.Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { parent.Close() })
	if child, err = link.New(file); err != nil {
		t.Fatal(err)
	}
	return parent, child
}
