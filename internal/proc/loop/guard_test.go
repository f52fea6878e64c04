package loop

import (
	"strings"
	"testing"

	"keepalived-go/internal/output/logging/logtest"
)

// TestGuard checks that a panic in a view becomes an error and is logged with its place,
// and that a view without one is neither.
func TestGuard(t *testing.T) {
	log := logtest.Capture(t)
	done := false
	if err := Guard(func() { done = true }); err != nil || !done || log.String() != "" {
		t.Errorf("%v %v %s", err, done, log)
	}
	var none *int
	err := Guard(func() { *none = 1 })
	if err == nil || !strings.Contains(err.Error(), "nil pointer") || !strings.Contains(log.String(), "guard_test.go") {
		t.Errorf("%v\n%s", err, log)
	}
}
