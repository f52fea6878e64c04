package controld

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/api/apitest"
	"keepalived-go/internal/output/status/statustest"
	"keepalived-go/internal/proc/link"
)

var update = flag.Bool("update", false, "write docs/openapi.yaml")

// whole returns sources of a daemon with every part of the model.
func whole(t *testing.T) sources {
	s := apitest.Daemon(t)
	return of(func() *api.Status { return s })
}

// of returns sources of a daemon with the state that now returns.
func of(now func() *api.Status) sources {
	var s sources
	s = newSources(func(q link.Question) bool {
		d := *now()
		var part any
		switch q.Of {
		case "":
			d.VRRP, d.LVS, d.BFD = nil, nil, nil
			part = &d
		case "vrrp":
			part = d.VRRP
		case "checkers":
			part = d.LVS
		case "bfd":
			part = d.BFD
		}
		body, err := json.Marshal(part)
		if q.Of == link.Configuration {
			body = []byte("global_defs {\n}\n")
		}
		go func() {
			if err != nil {
				m := link.Refusal(q.ID, err.Error())
				s.take(&m)
				return
			}
			m := link.Snapshot(q.ID, link.Text(body))
			s.take(&m)
		}()
		return true
	})
	return s
}

// TestOpenAPI checks that docs/openapi.yaml is the document that the daemon serves and
// names each route, and that the responses conform to the schemas. -update writes it.
func TestOpenAPI(t *testing.T) {
	from := whole(t)
	events := newRecorder(from, filepath.Join(t.TempDir(), "history"))
	events.look(t.Context())
	list := routes(from, events, nil)
	h := handler(from, events, nil)
	text := get(h, "/openapi.yaml").Body.String()
	statustest.Golden(t, *update, "../../docs/openapi.yaml", text)

	d := describe(list)
	n := 0
	for _, methods := range d.Paths {
		n += len(methods)
	}
	if n != len(list) {
		t.Errorf("%d operations of %d routes", n, len(list))
	}
	for i := range list {
		r := &list[i]
		method, path, _ := strings.Cut(strings.TrimSuffix(r.pattern, "{$}"), " ")
		operation, ok := d.Paths[path][strings.ToLower(method)]
		if !ok {
			t.Errorf("openapi.yaml has no %s", r.pattern)
		}
		if method != http.MethodGet || r.media == "text/event-stream" {
			continue
		}
		w := get(h, strings.Replace(path, "{name}", "A", 1))
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", r.pattern, w.Code, w.Body)
			continue
		}
		if r.answer == nil {
			if got := w.Header().Get("Content-Type"); got != r.media || w.Body.Len() == 0 {
				t.Errorf("%s: %s of %d bytes, want %s", r.pattern, got, w.Body.Len(), r.media)
			}
			continue
		}
		var answer any
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Errorf("%s: %v", r.pattern, err)
		}
		for _, wrong := range d.differences(operation.Responses["200"].Content[jsonText].Schema, answer, "answer") {
			t.Errorf("%s: %s", r.pattern, wrong)
		}
	}
	var refusal any
	if err := json.Unmarshal(get(h, "/v1/instances/none").Body.Bytes(), &refusal); err != nil {
		t.Error(err)
	}
	if wrong := d.differences(&schema{Ref: schemaPath + "failure"}, refusal, "refusal"); len(wrong) > 0 {
		t.Error(wrong)
	}
	// The check itself detects differences.
	for _, bad := range []any{1.0, map[string]any{}, map[string]any{"error": 1.0}, map[string]any{"error": "", "more": ""}, []any{}} {
		if len(d.differences(&schema{Ref: schemaPath + "failure"}, bad, "")) == 0 {
			t.Errorf("%v counts as a failure", bad)
		}
	}
}

// differences returns the places where a value does not conform to its schema.
func (d *openapi) differences(s *schema, v any, at string) (all []string) {
	if name, ok := strings.CutPrefix(s.Ref, schemaPath); ok {
		if s, ok = d.Parts.Schemas[name]; !ok {
			return []string{at + ": no schema " + name}
		}
	}
	bad := func(format string, args ...any) { all = append(all, at+": "+fmt.Sprintf(format, args...)) }
	switch x := v.(type) {
	case map[string]any:
		if s.Type != "object" {
			bad("an object, want %s", s.Type)
			return all
		}
		for _, name := range s.Required {
			if _, ok := x[name]; !ok {
				bad("no %s", name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(x)) {
			p := s.Values
			if p == nil {
				p = s.Properties[name]
			}
			if p == nil {
				bad("%s is in no schema", name)
				continue
			}
			all = append(all, d.differences(p, x[name], at+"."+name)...)
		}
	case []any:
		if s.Type != "array" {
			bad("a list, want %s", s.Type)
			return all
		}
		for i := range x {
			all = append(all, d.differences(s.Items, x[i], fmt.Sprintf("%s[%d]", at, i))...)
		}
	case string:
		_, err := time.Parse(time.RFC3339Nano, x)
		if s.Type != "string" || s.Format == "date-time" && err != nil {
			bad("%q, want %s %s", x, s.Type, s.Format)
		}
	case float64:
		if s.Type != "number" && (s.Type != "integer" || x != float64(int64(x))) {
			bad("%v, want %s", x, s.Type)
		}
	case bool:
		if s.Type != "boolean" {
			bad("%v, want %s", x, s.Type)
		}
	default:
		bad("%v", v)
	}
	return all
}

// TestConfiguration checks that the configuration is that of the parent, or the reason
// why it has none.
func TestConfiguration(t *testing.T) {
	if w := get(served(t, whole(t)), "/v1/config"); w.Body.String() != "global_defs {\n}\n" || w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	refusing := answering(t, map[string]string{link.Configuration: "a line that is too long"})
	if w := get(served(t, refusing), "/v1/config"); w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "too long") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
