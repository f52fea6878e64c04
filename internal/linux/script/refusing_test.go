package script

import (
	"errors"
	"testing"
)

// TestRefusing checks that a run of a runner that could not be made ends with the reason.
func TestRefusing(t *testing.T) {
	why := errors.New("run scripts: too many open files")
	r := refusing(why)
	done := make(chan Result, 1)
	run := r.Start(Request{Program: &Program{Path: "/bin/true"}, Done: func(res Result) { done <- res }})
	run.Terminate()
	if res := <-done; !errors.Is(res.Err, why) {
		t.Errorf("%v, want %v", res.Err, why)
	}
	if killed := r.Close(0); len(killed) > 0 {
		t.Error(killed)
	}
}
