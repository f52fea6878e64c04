package controld

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/named"
	"keepalived-go/internal/output/status/api"
)

const (
	// maxClients is how many connections are open at a time; others wait.
	maxClients = 256
	maxHeader  = 16 << 10 // bytes of a request's header
	// readWait is how long a client may take for its request, idleWait how long it may
	// stay without one, writeWait how long it may take to read an answer.
	readWait, idleWait, writeWait = 5 * time.Second, 30 * time.Second, 30 * time.Second
	// maxPath is how long the name of a unix socket may be, in bytes (unix(7)).
	maxPath = 107
)

// server serves clients of the control socket.
type server struct {
	listener *net.UnixListener
	rights   rights
	http     http.Server
}

// listen makes the socket. The lock of the pid file has shown that no other process has
// it.
func listen(path string, c *conf.Control) (*server, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("%s has %d bytes; the name of a socket may have %d", path, len(path), maxPath)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	s := &server{listener: l, rights: rights{self: os.Getuid(), readers: noGroup, acts: noGroup}}
	if gid, err := named.Group(c.Group); err == nil {
		s.rights.readers = gid
	} else if c.Group != conf.ControlGroup {
		slog.Warn("control_group: " + err.Error() + "; its members may not ask")
	}
	if c.Admin != "" {
		if gid, err := named.Group(c.Admin); err == nil {
			s.rights.acts = gid
		} else {
			slog.Warn("control_admin_group: " + err.Error() + "; only root may have something changed")
		}
	}
	if err := s.rights.apply(path); err != nil {
		l.Close()
		return nil, err
	}
	return s, nil
}

// apply gives a socket the mode of its users. One with two groups is open to all, as a file
// has one group: who may do what is decided for each connection anyway.
func (r *rights) apply(path string) error {
	group, mode := r.readers, os.FileMode(0o660)
	switch {
	case group == noGroup:
		if group = r.acts; group == noGroup {
			mode = 0o600
		}
	case r.acts != noGroup && r.acts != group:
		mode = 0o666
	}
	if err := os.Chown(path, -1, group); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// serve begins to serve.
func (s *server) serve(h http.Handler) {
	limit(&s.http, readable(h))
	s.http.ConnContext = s.rights.know
	go s.http.Serve(newClients(s.listener))
}

// limit sets up a server of h whose clients are slow, endless or silent within bounds.
func limit(s *http.Server, h http.Handler) {
	s.Handler = h
	s.ReadHeaderTimeout, s.ReadTimeout, s.IdleTimeout, s.WriteTimeout = readWait, readWait, idleWait, writeWait
	s.MaxHeaderBytes = maxHeader
	s.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // clients fill no log
}

// close ends the server and removes the socket.
func (s *server) close() { s.http.Close() }

// instance is the one that the path names; nil: it has been refused.
func instance(w http.ResponseWriter, r *http.Request, s *api.Status) *api.Instance {
	name := r.PathValue("name")
	var names []string
	if s.VRRP != nil {
		for i := range s.VRRP.Instances {
			if s.VRRP.Instances[i].Name == name {
				return &s.VRRP.Instances[i]
			}
			names = append(names, s.VRRP.Instances[i].Name)
		}
	}
	refuse(w, http.StatusNotFound, conf.Missing("vrrp_instance", name, names))
	return nil
}

// failure is the answer to a request that gets no other.
type failure struct {
	Error string `json:"error" doc:"why there is no other answer"`
}

// refuse replies why there is no other answer.
func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", jsonText)
	w.WriteHeader(status)
	write(w, failure{why})
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", jsonText)
	write(w, v)
}

// serveState answers with the state, as the processes have written it.
func (s sources) serveState(w http.ResponseWriter, r *http.Request) {
	k := everything
	if r.URL.Query().Has("brief") {
		k = brief
	}
	all, err := s.state(r.Context(), k)
	if err != nil {
		refuse(w, http.StatusBadGateway, err.Error())
		return
	}
	pieces, err := all.json()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	length := 0
	for _, b := range pieces {
		length += len(b)
	}
	w.Header().Set("Content-Type", jsonText)
	w.Header().Set("Content-Length", strconv.Itoa(length)) // so that the client knows what room it needs
	for _, b := range pieces {
		if _, err := w.Write(b); err != nil {
			return // the client has gone
		}
	}
}

// write writes v. A client that has gone does not read the rest.
func write(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }
