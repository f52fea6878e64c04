package controld

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"keepalived-go/internal/proc/act"
)

// maxRequest is how long the body of a request may be, in bytes.
const maxRequest = 4 << 10

// overSocket is the way by which clients of the socket ask.
const overSocket = "the control socket"

// serveAct is the endpoint of a kind of act: its body is an [act.Act] as JSON. A client
// may ask that has the right to act.
func serveAct(kind act.Kind, asker *act.Asker) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who := peerOf(r.Context())
		if who == nil || who.right < mayAct {
			refuse(w, http.StatusForbidden, "only root, or a member of control_admin_group, may ask for "+string(kind))
			return
		}
		a := act.Act{}
		if err := decode(http.MaxBytesReader(w, r.Body, maxRequest), &a); err != nil {
			refuse(w, http.StatusBadRequest, "the request is no JSON object with the fields of "+string(kind)+": "+err.Error())
			return
		}
		a.Kind, a.By = kind, act.By{UID: who.cred.Uid, PID: who.cred.Pid, Over: overSocket}
		// The limits of an answer count from its request.
		client, patience := http.NewResponseController(w), kind.Patience()
		_ = client.SetReadDeadline(time.Time{}) // an error shows when the answer is written
		_ = client.SetWriteDeadline(time.Now().Add(patience + writeWait))
		ctx, end := context.WithTimeout(r.Context(), patience)
		defer end()
		result, err := asker.Do(ctx, &a)
		if err != nil {
			refuse(w, statusOf(err), err.Error())
			return
		}
		reply(w, json.RawMessage(result))
	}
}

// decode decodes a body, one object without other fields; no body at all stands for an
// empty one.
func decode(from io.Reader, v any) error {
	b, err := io.ReadAll(from)
	if err != nil || len(bytes.TrimSpace(b)) == 0 {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("there is more behind it")
	}
	return nil
}

// statusOf is the HTTP status of a refusal.
func statusOf(err error) int {
	var r *act.Refusal
	if errors.As(err, &r) {
		switch r.Code {
		case act.Unknown:
			return http.StatusNotFound
		case act.Invalid:
			return http.StatusBadRequest
		case act.Unavailable:
			return http.StatusServiceUnavailable
		}
	}
	return http.StatusConflict
}
