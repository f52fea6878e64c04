package checkd

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

// TestNamespaceStaysOpen checks that what dials in another namespace keeps its descriptor:
// the connection may be opened, or opened again, long after the namespace was.
func TestNamespaceStaysOpen(t *testing.T) {
	for name, dial := range map[string]func(*os.File) any{
		"load balancer": func(f *os.File) any { return dialer(f) },
		"marks":         func(f *os.File) any { return marksDialer(f) },
	} {
		t.Run(name, func(t *testing.T) {
			closed := make(chan string, 1)
			f, err := os.Open("/proc/self/ns/net")
			if err != nil {
				t.Fatal(err)
			}
			runtime.AddCleanup(f, func(fd string) { closed <- fd }, fmt.Sprint("descriptor ", f.Fd()))
			keeps := dial(f)
			f = nil
			for range 10 {
				runtime.GC()
				select {
				case what := <-closed:
					t.Fatal("closed: ", what)
				case <-time.After(time.Millisecond):
				}
			}
			runtime.KeepAlive(keeps)
			keeps = nil
			for end := time.Now().Add(10 * time.Second); ; runtime.GC() {
				select {
				case <-closed:
					return // the check above would have seen it
				case <-time.After(time.Millisecond):
				}
				if time.Now().After(end) {
					t.Fatal("it stays open for ever")
				}
			}
		})
	}
}
