package loop

import (
	"fmt"
	"log/slog"
	"runtime/debug"
)

// Guard does what is of no consequence for the loop, such as a view of its state, and makes
// a panic in it an error. Where it happened is logged.
func Guard(do func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal fault: %v", p)
			slog.Error(err.Error() + "; the process goes on. Please report this:\n" + string(debug.Stack()))
		}
	}()
	do()
	return nil
}
