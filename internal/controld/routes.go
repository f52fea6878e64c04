package controld

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"log/slog"
	"net/http"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/explain"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/output/status/metrics"
	"keepalived-go/internal/output/status/screen"
	"keepalived-go/internal/proc/act"
)

// route is something that clients may ask for.
type route struct {
	pattern string // method and path, as net/http has them
	summary string // what the answer is
	answer  any    // a value of the type that the answer has; nil: it is text
	media   string // type of the text
	params  []param
	request any // a value of the type that the body of the request has; nil: it has none
	serve   http.HandlerFunc
}

// param is a parameter of a request.
type param struct {
	in, name string // in: path, query or header
	doc      string
}

// handler answers requests.
func handler(from sources, events *recorder, asker *act.Asker) http.Handler {
	mux := http.NewServeMux()
	list := routes(from, events, asker)
	for i := range list {
		mux.HandleFunc(list[i].pattern, list[i].serve)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is no %s %s", r.Method, r.URL.Path))
	})
	return mux
}

// routes are all that clients may ask for; openapi.yaml is made of them.
func routes(from sources, events *recorder, asker *act.Asker) []route {
	decoded := func(k kind, then func(http.ResponseWriter, *http.Request, *api.Status)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			all, err := from.decoded(r.Context(), k)
			if err != nil {
				refuse(w, http.StatusBadGateway, err.Error())
				return
			}
			then(w, r, all)
		}
	}
	scrapes := &shared{view: func(ctx context.Context) ([]byte, error) {
		all, err := from.decoded(ctx, everything)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		err = metrics.Write(&b, all)
		return b.Bytes(), err
	}}
	name := param{"path", "name", "of a vrrp_instance"}
	list := []route{
		{pattern: "GET /v1/status", summary: "State of the whole daemon", answer: api.Status{}, params: []param{
			{"query", "brief", "if it is there, whatever its value: without history, notices, counters and rejected of the virtual routers"},
		}, serve: from.serveState},
		{pattern: "GET /v1/problems", summary: "What is wrong with the daemon, what is critical first", answer: []explain.Problem{}, serve: decoded(brief, func(w http.ResponseWriter, _ *http.Request, s *api.Status) {
			reply(w, append([]explain.Problem{}, explain.Problems(s)...))
		})},
		{pattern: "GET /v1/servers", summary: "Virtual servers and their pools", answer: api.LVS{}, serve: decoded(brief, func(w http.ResponseWriter, _ *http.Request, s *api.Status) {
			if s.LVS == nil {
				refuse(w, http.StatusNotFound, "this daemon has no virtual server")
				return
			}
			reply(w, s.LVS)
		})},
		{pattern: "GET /v1/instances/{name}", summary: "State of a virtual router", answer: api.Instance{}, params: []param{name}, serve: decoded(everything, func(w http.ResponseWriter, r *http.Request, s *api.Status) {
			if i := instance(w, r, s); i != nil {
				reply(w, i)
			}
		})},
		{pattern: "GET /v1/instances/{name}/explain", summary: "Why a virtual router is master or not", answer: explain.Explanation{}, params: []param{name}, serve: decoded(everything, func(w http.ResponseWriter, r *http.Request, s *api.Status) {
			if i := instance(w, r, s); i != nil {
				reply(w, explain.Instance(s, i.Name))
			}
		})},
		{pattern: "GET /v1/config", summary: "The configuration in force as one file, with stars for secrets", media: plainText, serve: from.serveConfiguration},
		{pattern: "GET /v1/history", summary: "What has happened, the earliest first", answer: []history.Event{}, params: []param{
			{"query", "kind", "kind of event; without it: all"}, {"query", "name", "of what the events happened to; without it: all"}, {"query", "since", "time (RFC 3339) of the first; without it: all that are kept"},
		}, serve: events.serveHistory},
		{pattern: "GET /v1/events", summary: "What happens, as it happens: server-sent events, whose data are an Event each", media: "text/event-stream", params: []param{
			{"header", "Last-Event-ID", "number of the event after which to begin; without it: the next one"},
		}, serve: events.serveEvents},
		{pattern: "GET /metrics", summary: "Metrics for Prometheus", media: metrics.ContentType, serve: func(w http.ResponseWriter, r *http.Request) {
			body, err := scrapes.get(r.Context())
			if err != nil {
				refuse(w, http.StatusBadGateway, err.Error())
				return
			}
			text(w, metrics.ContentType, body)
		}},
	}
	for _, row := range act.Kinds {
		r := route{pattern: "POST /v1/" + string(row.Kind), summary: row.Doc, request: act.Act{}, answer: api.Done{}, serve: serveAct(row.Kind, asker)}
		if row.Takes != 0 {
			r.summary += "; takes " + row.Takes.String()
		}
		switch row.Kind {
		case act.Reload:
			r.answer = api.Configuration{}
		case act.Plan:
			r.answer = api.Plan{}
		case act.TestNotify:
			r.answer = api.Tested{}
		}
		list = append(list, r)
	}
	for _, f := range []struct{ path, name, media, summary string }{
		{"/{$}", "index.html", "text/html; charset=utf-8", "The page"},
		{"/page.css", "page.css", "text/css; charset=utf-8", "Its colours and its layout"},
		{"/page.js", "page.js", "text/javascript; charset=utf-8", "Its program"},
	} {
		list = append(list, route{pattern: "GET " + f.path, summary: f.summary, media: f.media, serve: func(w http.ResponseWriter, _ *http.Request) {
			body, err := pageFiles.ReadFile("page/" + f.name)
			if err != nil { // it is in the program
				refuse(w, http.StatusInternalServerError, err.Error())
				return
			}
			text(w, f.media, body)
		}})
	}
	var description []byte
	list = append(list, route{pattern: "GET /openapi.yaml", summary: "This description", media: yamlText, serve: func(w http.ResponseWriter, _ *http.Request) {
		text(w, yamlText, description)
	}})
	d, err := screen.YAML(describe(list))
	if err != nil { // it is made of names and texts
		slog.Error("openapi.yaml: " + err.Error())
	}
	description = []byte(d)
	return list
}

//go:embed page
var pageFiles embed.FS

// Types of answers.
const (
	jsonText  = "application/json"
	plainText = "text/plain; charset=utf-8"
	yamlText  = "application/yaml"
)

// serveConfiguration answers with the configuration in force.
func (s sources) serveConfiguration(w http.ResponseWriter, r *http.Request) {
	body, err := s[configuration].get(r.Context(), everything)
	if err != nil {
		refuse(w, http.StatusBadGateway, "the parent process: "+err.Error())
		return
	}
	text(w, plainText, body)
}

// text replies with a text of a type.
func text(w http.ResponseWriter, media string, body []byte) {
	w.Header().Set("Content-Type", media)
	_, _ = w.Write(body) // as write
}
