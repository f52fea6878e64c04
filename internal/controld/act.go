package controld

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/output/status/api"
)

// reloadWait is how long a reload is waited for; the parent reports after ten seconds that
// one is slow.
const reloadWait = 20 * time.Second

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

// reload asks for a reload and answers with its result: the configuration in force
// afterwards. The parent gets the questions after what it was asked for, and a reload that
// comes while another one is on its way begins in the same moment in which that ends.
func reload(parent *source, ask func() bool) http.HandlerFunc {
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
		if err == nil && !ask() {
			err = errUnheard
		}
		if err != nil {
			refuse(w, http.StatusBadGateway, err.Error())
			return
		}
		now, err := configuration()
		for err == nil && now.Reloading {
			now, err = configuration() // at the pace of the source
		}
		if err == nil && now.Reloads == before.Reloads && refusedAt(&now).Equal(refusedAt(&before)) {
			err = errors.New("it is not complete")
		}
		if err != nil {
			refuse(w, http.StatusGatewayTimeout, "the reload has no result: "+err.Error())
			return
		}
		reply(w, &now)
	}
}

// refusedAt is when the last reload was refused; zero: it was not.
func refusedAt(c *api.Configuration) (at time.Time) {
	if c.Refused != nil {
		at = c.Refused.At
	}
	return at
}
