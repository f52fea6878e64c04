package supervisor

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/proc/link"
)

// staged is a supervisor without processes: what its children are sent stays in their
// outboxes.
func staged() (s *supervisor, control, vrrp *child) {
	s = &supervisor{systemd: &serviceManager{}, slow: stoppedTimer()}
	for _, role := range []*proc.Role{{Name: "vrrp", Title: "VRRP"}, {Name: "control", Title: "Control", Attends: true}} {
		sl := &slot{s: s, role: role}
		sl.child = &child{slot: sl, outbox: newOutbox()}
		s.slots = append(s.slots, sl)
	}
	return s, s.slots[1].child, s.slots[0].child
}

// sent are the messages of a kind that a child has been sent since the last time.
func (c *child) sent(kind link.Kind) (all []link.Message) {
	for m := c.outbox.take(); m != nil; m = c.outbox.take() {
		if m, ok := m.(link.Message); ok && m.Kind == kind {
			all = append(all, m)
		}
	}
	return all
}

func announce(id uint32) link.Message {
	return link.Message{Kind: link.Act, Order: &link.Order{ID: id, Act: act.Act{
		Kind: act.Announce, Name: "VI_1", Reason: "moved", By: act.By{UID: 7, Over: "a test"},
	}}}
}

// TestActs: an act comes to the process that it concerns, under a number of its own, and its
// result comes back; it is logged and noted.
func TestActs(t *testing.T) {
	log := logtest.Capture(t)
	s, control, vrrp := staged()
	for id := range uint32(3) {
		childMessage{control, announce(id + 10)}.deliver()
	}
	orders := vrrp.sent(link.Act)
	if len(orders) != 3 {
		t.Fatalf("%d orders", len(orders))
	}
	// In another order, one refused, and one that was not asked for.
	for _, o := range []link.Outcome{
		{ID: orders[2].Order.ID, Result: act.Answer("third", nil)},
		{ID: orders[0].Order.ID, Result: act.Answer(nil, errors.New("no master"))},
		{ID: 99, Result: act.Answer("never", nil)},
	} {
		childMessage{vrrp, link.Message{Kind: link.Done, Outcome: &o}}.deliver()
	}
	vrrp.refuseActs("it has ended")
	done := control.sent(link.Done)
	if len(done) != 3 || done[0].Outcome.ID != 12 || string(done[0].Outcome.Result.Body) != `"third"` ||
		done[1].Outcome.ID != 10 || done[1].Outcome.Result.Why != "no master" ||
		done[2].Outcome.ID != 11 || done[2].Outcome.Result.Code != act.Unavailable {
		t.Errorf("%+v", done)
	}
	for _, want := range []string{"announce VI_1: asked for by uid 7, over a test: moved", "announce VI_1: refused: no master"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in\n%s", want, log)
		}
	}
	if a := s.acts; len(a) != 3 || a[1].Refused != "no master" || a[0].Refused != "" || a[0].Reason != "moved" || a[0].Name != "VI_1" {
		t.Errorf("%+v", a)
	}
}

// TestActsAreBounded: neither another act nor a question displaces one that waits. More than
// the bound are refused, and so is what nobody may ask for.
func TestActsAreBounded(t *testing.T) {
	s, control, vrrp := staged()
	for id := range uint32(maxActs + 1) {
		childMessage{control, announce(id)}.deliver()
		s.ask(control, &link.Question{ID: id, Of: "vrrp"})
	}
	if n := len(vrrp.sent(link.Act)); n != maxActs {
		t.Errorf("%d acts came through, want %d", n, maxActs)
	}
	refused := func(want string) {
		t.Helper()
		done := control.sent(link.Done)
		if len(done) != 1 || !strings.Contains(done[0].Outcome.Result.Why, want) {
			t.Errorf("%+v, want %s", done, want)
		}
	}
	refused("64 other acts wait for the VRRP process")

	noted := len(s.acts)
	bad := announce(1)
	bad.Order.Act.Name = "a\nb"
	childMessage{control, bad}.deliver()
	refused("cannot be printed")
	childMessage{control, link.Message{Kind: link.Act}}.deliver()
	childMessage{control, link.Message{Kind: link.Done}}.deliver()
	childMessage{vrrp, announce(1)}.deliver()
	if done := vrrp.sent(link.Done); len(done) != 1 || !strings.Contains(done[0].Outcome.Result.Why, "asks for no acts") || len(s.acts) != noted {
		t.Errorf("%+v", done)
	}
	s.slots[0].child = nil
	childMessage{control, announce(1)}.deliver()
	refused("the process vrrp does not run")
	for range 2 * keptActs {
		childMessage{control, announce(1)}.deliver()
	}
	if len(s.acts) != keptActs || !slices.IsSortedFunc(s.acts, func(a, b api.PastAct) int { return a.At.Compare(b.At) }) {
		t.Errorf("%d acts are kept", len(s.acts))
	}
	// Whoever has asked has gone.
	s.slots[1].child = nil
	s.endAct(&openAct{from: control}, act.Result{})
}

// TestReloadIsAwaited: an act waits for the reload that it has caused. One that comes
// meanwhile waits for the next one.
func TestReloadIsAwaited(t *testing.T) {
	s, control, _ := staged()
	s.loaded = make(chan loaded, maxReaders)
	s.o.Config = t.TempDir() + "/none"
	ask := func(id uint32) {
		childMessage{control, link.Message{Kind: link.Act, Order: &link.Order{ID: id, Act: act.Act{Kind: act.Reload}}}}.deliver()
	}
	ids := func() (all []uint32) {
		for _, m := range control.sent(link.Done) {
			all = append(all, m.Outcome.ID)
		}
		return all
	}
	ask(1)
	ask(2)
	ask(3)
	s.reloaded(<-s.loaded)
	if got := ids(); !slices.Equal(got, []uint32{1}) {
		t.Errorf("after the first reload: %v", got)
	}
	if !s.reloading || s.refused == nil {
		t.Fatal("the second reload has not begun")
	}
	s.reloaded(<-s.loaded)
	if got := ids(); !slices.Equal(got, []uint32{2, 3}) || s.reloading {
		t.Errorf("after the second reload: %v", got)
	}
	s.readers = maxReaders
	ask(4)
	if got := ids(); !slices.Equal(got, []uint32{4}) {
		t.Errorf("refused at once: %v", got)
	}
	s.readers = 0
	ask(5)
	s.reloadIsSlow()
	done := control.sent(link.Done)
	if len(done) != 1 || !strings.Contains(done[0].Outcome.Result.Why, "not complete after 10s") {
		t.Errorf("%+v", done)
	}
	<-s.loaded
	s.reloading = true
	for range maxActs {
		ask(6)
	}
	if got := ids(); len(got) != 0 {
		t.Errorf("%v", got)
	}
	ask(7)
	s.stopping = true
	ask(8)
	if got := ids(); !slices.Equal(got, []uint32{7, 8}) {
		t.Errorf("beyond the bound, and at the end: %v", got)
	}
}
