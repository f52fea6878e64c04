package executable

import (
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestWrite checks that a written file can be run, whatever other goroutines start
// meanwhile.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	var others sync.WaitGroup
	end := time.Now().Add(300 * time.Millisecond)
	for range 4 {
		others.Go(func() {
			for time.Now().Before(end) {
				_ = exec.Command("/bin/true").Run()
			}
		})
	}
	defer others.Wait()
	path := filepath.Join(dir, "program")
	for time.Now().Before(end) {
		if err := Write(path, "#!/bin/sh\nexit 3\n"); err != nil {
			t.Fatal(err)
		}
		err := exec.Command(path).Run()
		if e, ok := err.(*exec.ExitError); !ok || e.ExitCode() != 3 {
			t.Fatal(err)
		}
	}
}
