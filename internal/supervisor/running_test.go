package supervisor

import (
	"testing"

	"keepalived-go/internal/proc"
)

// The status line counts what each process serves, and names no process that serves
// nothing, unless all of them do.
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
		serving := func(unit string, n int) *slot {
			return &slot{role: &proc.Role{Unit: unit}, share: proc.Share{Units: n}}
		}
		s := &supervisor{slots: []*slot{serving("virtual router", tt.routers), serving("virtual server", tt.servers)}}
		if got := s.status(); got != tt.want {
			t.Errorf("%d, %d: %q, want %q", tt.routers, tt.servers, got, tt.want)
		}
	}
}
