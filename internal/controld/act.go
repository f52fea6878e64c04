package controld

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/output/status/api"
)

const (
	// reloadWait is how long a reload is waited for; the parent reports after ten seconds
	// that one is slow.
	reloadWait = 20 * time.Second
	reloadLook = 50 * time.Millisecond
)

// act is a handler that changes something: for root, or whoever runs the daemon. Who asks
// is logged. A client whose credentials are not known is refused.
func act(what string, self int, do http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		cred, ok := r.Context().Value(peerKey{}).(*unix.Ucred)
		if !ok || cred.Uid != 0 && int(cred.Uid) != self {
			refuse(w, http.StatusForbidden, "only root may ask for a "+what)
			return
		}
		slog.Info(fmt.Sprintf("%s asked for over the control socket by pid %d, uid %d", what, cred.Pid, cred.Uid))
		do(w, r)
	}
}

// reload asks for a reload and answers with its result.
func reload(parent *source, ask func()) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, end := context.WithTimeout(r.Context(), reloadWait)
		defer end()
		configuration := func() (c api.Configuration, err error) {
			var s api.Status
			body, err := parent.get(ctx)
			if err == nil {
				err = json.Unmarshal(body, &s)
			}
			return s.Configuration, err
		}
		before, err := configuration()
		if err != nil {
			refuse(w, http.StatusBadGateway, err.Error())
			return
		}
		// One that is on its way may have read the file before it was changed.
		wanted := before.Reloads + 1
		if before.Reloading {
			wanted++
		}
		asked := time.Now()
		ask()
		for {
			now, err := configuration()
			switch refused := now.Refused != nil && now.Refused.At.After(asked); {
			case err != nil:
				refuse(w, http.StatusGatewayTimeout, fmt.Sprintf("the reload has no result after %v: %v", time.Since(asked).Round(time.Second), err))
				return
			case !now.Reloading && (refused || now.Reloads >= wanted):
				reply(w, &now)
				return
			}
			time.Sleep(reloadLook)
		}
	}
}
