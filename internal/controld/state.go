package controld

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/proc/link"
)

// sources are what is asked: the parent, the other processes, and the parent for the
// configuration.
type sources []*source

const (
	// step is by how much the numbers of two questions of one source differ.
	step = 5
	// configuration is the place of that among the sources, after the processes.
	configuration = 4
)

func newSources(send func(link.Question) bool) sources {
	var all sources
	for i, of := range [step]string{"", "vrrp", "checkers", "bfd", link.Configuration} {
		all = append(all, &source{of: of, send: send, id: uint32(i)})
	}
	return all
}

// take hands an answer to the source that it is for.
func (s sources) take(m *link.Message) { s[m.Reply.ID%step].take(m) }

// state is an api.Status whose parts are as the processes have written them.
type state struct {
	api.Status
	VRRP, LVS, BFD []byte // none: the process is not wanted, or has never answered

	incomplete bool // a process that is wanted has not answered
}

// json is s as the JSON of an api.Status, in pieces. The parts, which may be long, are not
// looked at.
func (s *state) json() (pieces [][]byte, err error) {
	b, err := json.Marshal(&s.Status)
	if err != nil {
		return nil, err
	}
	pieces = [][]byte{b[:len(b)-1]}
	for _, part := range []struct {
		name string
		body []byte
	}{{"vrrp", s.VRRP}, {"lvs", s.LVS}, {"bfd", s.BFD}} {
		if part.body != nil {
			pieces = append(pieces, []byte(`,"`+part.name+`":`), part.body)
		}
	}
	return append(pieces, []byte("}\n")), nil
}

// state asks every process for its state, everything or brief.
func (s sources) state(ctx context.Context, k kind) (*state, error) {
	return s[:configuration].ask(func(s *source) ([]byte, error) { return s.get(ctx, k) })
}

// decoded is the same, with the answers decoded.
func (s sources) decoded(ctx context.Context, k kind) (*api.Status, error) {
	all, err := s.state(ctx, k)
	if err != nil {
		return nil, err
	}
	return all.whole()
}

// since asks every process for what has changed since t.
func (s sources) since(ctx context.Context, t time.Time) (*state, error) {
	return s[:configuration].ask(func(s *source) ([]byte, error) { return s.since(ctx, t) })
}

func (s sources) ask(ask func(*source) ([]byte, error)) (*state, error) {
	bodies, errs := make([][]byte, len(s)), make([]error, len(s))
	var wait sync.WaitGroup
	for i := range s {
		wait.Go(func() { bodies[i], errs[i] = ask(s[i]) })
	}
	wait.Wait()
	if errs[0] != nil {
		return nil, fmt.Errorf("the parent process: %w", errs[0])
	}
	var out state
	if err := json.Unmarshal(bodies[0], &out.Status); err != nil {
		return nil, fmt.Errorf("the parent process: %w", err)
	}
	for i, part := range []*[]byte{&out.VRRP, &out.LVS, &out.BFD} {
		at := i + 1
		if wanted := slices.ContainsFunc(out.Processes, func(p api.Process) bool { return p.Name == s[at].of && p.Wanted }); wanted {
			*part = stale(bodies[at], errs[at])
			out.incomplete = out.incomplete || errs[at] != nil
		}
	}
	return &out, nil
}

// whole is the same with the parts decoded.
func (s *state) whole() (*api.Status, error) {
	out := s.Status
	for _, part := range []struct {
		from []byte
		to   any
	}{{s.VRRP, &out.VRRP}, {s.LVS, &out.LVS}, {s.BFD, &out.BFD}} {
		if part.from == nil {
			continue
		}
		if err := jsonv2.Unmarshal(part.from, part.to); err != nil {
			return nil, err
		}
	}
	return &out, nil
}

// stale marks an answer that is not of now.
func stale(body []byte, why error) []byte {
	if why == nil || len(body) == 0 {
		return body
	}
	reason, err := json.Marshal(why.Error())
	if err != nil {
		return nil
	}
	return slices.Concat([]byte(`{"stale":`), reason, []byte(","), body[1:])
}
