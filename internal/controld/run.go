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

// daemon is the process: its loop owns the questions.
type daemon struct {
	Options
	loop    *loop.Loop
	session *session.Session
	sources sources
	stopped bool
}

// Run runs the process until it is asked to stop.
func Run(o Options) error {
	first, err := session.First(o.Link)
	if err != nil {
		return err
	}
	d := &daemon{Options: o}
	if d.loop, err = loop.New(); err != nil {
		return err
	}
	d.sources = newSources(func(q link.Question) bool { return d.session.Send(link.Message{Kind: link.Ask, Question: &q}) })
	events := newRecorder(d.sources, o.History)
	d.session = session.Begin(o.Link, d.loop, session.Orders{
		// A change of its settings has its effect in the next process.
		Reload: func(_ *conf.Config, done func()) { done() },
		Stop:   func() { d.stopped = true },
		Dump:   func(link.Kind) {},
		Answer: d.sources.take, Changed: func() { events.poke() },
	})
	defer d.loop.Close()
	server, refused := listen(o.Socket, &first.Global.Control)
	if refused != nil {
		// The daemon does without it. Another process would fare no better.
		slog.Error("control socket: " + refused.Error())
	} else {
		server.serve(handler(d.sources, events, func() { d.session.Say(link.Reload) }))
	}
	confine(filepath.Dir(o.Socket), filepath.Dir(o.History), o.LogFile)
	ctx, end := context.WithCancel(context.Background())
	defer end()
	go events.run(ctx)
	events.poke()
	d.session.Started()
	for !d.stopped && err == nil {
		if err = d.loop.Wait(); err == nil {
			d.loop.Expire()
		}
	}
	if server != nil {
		server.close()
	}
	return err
}
