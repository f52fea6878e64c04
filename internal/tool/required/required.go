// Package required decides what becomes of a test that does not run.
package required

import (
	"fmt"
	"os"
	"testing"
)

// Missing skips the test, or the benchmark, for want of what. With KEEPALIVED_CI=1,
// where nothing may be left out, it fails it instead.
func Missing(t testing.TB, what ...any) {
	t.Helper()
	text := "missing: " + fmt.Sprint(what...)
	if os.Getenv("KEEPALIVED_CI") == "1" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// Excluded skips a test, or a benchmark, that the test run did not request:
// it is slow, or is of another program or another build. Nothing is missing, so it is
// skipped with KEEPALIVED_CI=1 too, and packaging/go-test does not list it.
func Excluded(t testing.TB, why ...any) {
	t.Helper()
	t.Skip("excluded: " + fmt.Sprint(why...))
}
