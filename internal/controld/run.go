// Package controld is the control process: it answers questions about the daemon over
// HTTP, on a unix socket. It has no state of its own and no right to anything: it asks the
// other processes through the parent, and what it is asked at a time is bounded. So
// nothing that a client does, and no end of this process, reaches what it reports of.
//
//	clients ──▶ server ──▶ source of each process ──question──▶ parent ──▶ process
//	                              ◀──────────── parts of a snapshot ◀──────────
package controld

import (
	"context"
	"log/slog"
	"path/filepath"

	"keepalived-go/conf"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/internal/proc/session"
)

// Options is what the parent process gives this one.
type Options struct {
	Link    *link.Conn
	Socket  string // path of the socket
	History string // path of the file of events
	LogFile string // empty: none
}

// Run runs the process until it is asked to stop, or has other settings: those it has taken
// up before it gave all rights away.
func Run(o Options) error {
	first, err := session.First(o.Link)
	if err != nil {
		return err
	}
	l, err := loop.New()
	if err != nil {
		return err
	}
	defer l.Close()
	var parent *session.Session
	from := newSources(func(q link.Question) bool { return parent.Send(link.Message{Kind: link.Ask, Question: &q}) })
	asker := act.NewAsker(func(id uint32, a *act.Act) bool {
		return parent.Send(link.Message{Kind: link.Act, Order: &link.Order{ID: id, Act: *a}})
	})
	events := newRecorder(from, o.History)
	settings, stopped := first.Global.Control, false
	parent = session.Begin(o.Link, l, session.Orders{
		Reload: func(c *conf.Config, done func()) {
			stopped = stopped || c.Global.Control != settings
			done()
		},
		Stop:   func() { stopped = true },
		Dump:   func(link.Kind) {},
		Answer: from.take, Changed: events.poke,
		Done: func(o *link.Outcome) { asker.Take(o.ID, o.Result) },
	})
	server, refused := listen(o.Socket, &settings)
	var pages *web
	if settings.HTTP.Listen != "" {
		var unheard error
		if pages, unheard = listenTCP(&settings.HTTP); unheard != nil {
			slog.Error("http_listen: " + unheard.Error())
		}
	}
	confine(filepath.Dir(o.Socket), filepath.Dir(o.History), o.LogFile, files(&settings.HTTP))
	answers := handler(from, events, asker)
	if refused != nil {
		// The daemon does without it. Another process would fare no better.
		slog.Error("control socket: " + refused.Error())
	} else {
		server.serve(answers)
		defer server.close()
	}
	if pages != nil {
		pages.serve(answers)
		defer pages.close()
	}
	ctx, end := context.WithCancel(context.Background())
	defer end()
	go events.run(ctx)
	events.poke()
	parent.Started()
	for !stopped && err == nil {
		if err = l.Wait(); err == nil {
			l.Expire()
		}
	}
	return err
}
