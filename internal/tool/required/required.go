// Package required decides what becomes of a test that lacks something on this
// machine.
package required

import (
	"os"
	"testing"
)

// Missing skips the test, or the benchmark, for want of what. With KEEPALIVED_CI=1,
// where nothing may be left out, it fails it instead.
func Missing(t testing.TB, what ...any) {
	t.Helper()
	what = append([]any{"missing: "}, what...)
	if os.Getenv("KEEPALIVED_CI") == "1" {
		t.Fatal(what...)
	}
	t.Skip(what...)
}
