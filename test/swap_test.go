package test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// TestSwap follows docs/operating.md: a pair of the C daemon becomes a pair of ours, node
// by node, while a client pings the address. The address moves without an advert of
// priority 0, so that some node always serves.
func TestSwap(t *testing.T) {
	t.Parallel()
	differs(t, "is what is swapped")
	lab.Need(t, lab.Root, lab.Peer)
	s := newScene(t, "a", "b", "client")
	in := instance{Version: 2} // the default in files of the C daemon
	wait := 2*masterDown(in.at(50)) + time.Second

	a := s.start("a", lab.C(), config(in.at(150)))
	s.awaitOwner(vip, wait, "a")
	b := s.start("b", lab.C(), config(in.at(100)))
	s.stays(vip, "a", masterDown(in.at(100)))

	// -O reports each request that has no answer when the next request is sent.
	ping, err := s.Node("client").StartWith(lab.Program{Name: "ping", Path: "ping"},
		"-O", "-i", "0.02", "-c", "6000", vip.String())
	s.must(err)
	s.daemons = append(s.daemons, ping)

	// move lowers the priority of the master, waits for the other node, and checks how
	// the address moved.
	move := func(from, to string, reload func()) {
		t.Helper()
		started := time.Now()
		reload()
		s.awaitOwner(vip, wait, to)
		if e, sent := s.Watch(started, 0, func(e *lab.Event) bool { return e.Kind == lab.Advert && e.Priority == 0 }); sent {
			t.Errorf("the address moves from %s to %s with priority 0: %v", from, to, e)
		}
		added, _ := s.Last(func(e *lab.Event) bool {
			return e.Kind == lab.AddrAdded && e.Addr == vip && e.Node.Name == to
		})
		removed, _ := s.Last(func(e *lab.Event) bool {
			return e.Kind == lab.AddrRemoved && e.Addr == vip && e.Node.Name == from
		})
		// The advert to which one node yields is sent just before the other node sets the
		// address, so that both happen at the same time.
		if gap := added.Time.Sub(removed.Time); gap > slack+lab.Starved(started, time.Now()) {
			t.Errorf("no node had the address for %v", lab.Elapsed(gap))
		} else {
			t.Logf("from %s to %s: set %v after the removal", from, to, lab.Elapsed(gap))
		}
	}

	s.must(b.Stop())
	s.start("b", ours, config(in.at(100)))
	s.stays(vip, "a", masterDown(in.at(100)))
	move("a", "b", func() { s.must(a.Reload(config(in.at(50)))) })

	s.must(a.Stop())
	a = s.start("a", ours, config(in.at(50)))
	s.stays(vip, "b", masterDown(in.at(50)))
	move("b", "a", func() { s.must(a.Reload(config(in.at(150)))) })
	s.stays(vip, "a", masterDown(in.at(100)))

	s.must(ping.Signal(unix.SIGINT))
	if err := ping.Wait(5 * time.Second); err != nil {
		t.Error(err)
	}
	text := ping.LogText()
	if !strings.Contains(text, "received") {
		t.Errorf("ping has no summary: %s", text)
	}
	t.Logf("%d pings without an answer; %s", strings.Count(text, "no answer yet"), text[max(0, len(text)-160):])
}
