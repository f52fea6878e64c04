package supervisor

import (
	"testing"

	"keepalived-go/internal/proc"
)

// TestRunning checks that the status line counts what each process serves, and names a
// process that serves nothing only if all of them do.
func TestRunning(t *testing.T) {
	for _, tt := range []struct {
		routers, servers int
		want             string
	}{
		{2, 3, "Running 2 virtual routers, 3 virtual servers"},
		{1, 1, "Running 1 virtual router, 1 virtual server"},
		{0, 3, "Running 3 virtual servers"},
		{2, 0, "Running 2 virtual routers"},
		{0, 0, "Running 0 virtual routers"},
	} {
		s := &supervisor{}
		for _, served := range []struct {
			unit string
			n    int
		}{{"virtual router", tt.routers}, {"virtual server", tt.servers}} {
			s.slots = append(s.slots, &slot{s: s, role: &proc.Role{Unit: served.unit}, share: proc.Share{Units: served.n}})
		}
		if got := s.status(); got != tt.want {
			t.Errorf("%d, %d: %q, want %q", tt.routers, tt.servers, got, tt.want)
		}
	}
}
