package controld

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestSharedView checks that clients that ask while a view is made share the next one,
// and that a client that leaves and a view that fails have no effect on others.
func TestSharedView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := 0
		s := &shared{view: func(context.Context) ([]byte, error) {
			begun++
			n := begun
			time.Sleep(time.Second)
			switch n {
			case 3:
				return nil, errors.New("no answer")
			case 4:
				panic("a fault")
			}
			return []byte(strconv.Itoa(n)), nil
		}}
		var all sync.WaitGroup
		asks := func(ctx context.Context, count int, want string, fails bool) {
			t.Helper()
			for range count {
				all.Go(func() {
					if body, err := s.get(ctx); string(body) != want || (err != nil) != fails {
						t.Errorf("%q, %v; want %q", body, err, want)
					}
				})
			}
			synctest.Wait()
		}
		gone, leave := context.WithCancel(t.Context())
		asks(t.Context(), 1, "1", false)
		asks(t.Context(), 100, "2", false)
		asks(gone, 1, "", true)
		leave()
		time.Sleep(1500 * time.Millisecond)
		asks(t.Context(), 2, "", true)
		time.Sleep(time.Second)
		asks(t.Context(), 2, "", true)
		time.Sleep(time.Second)
		asks(t.Context(), 1, "5", false)
		all.Wait()
		if begun != 5 {
			t.Errorf("%d views were made", begun)
		}
	})
}
