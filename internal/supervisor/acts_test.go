package supervisor

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/proc/link"
)

// staged returns a supervisor without processes: messages to its children stay in their
// outboxes.
func staged() (s *supervisor, control, vrrp *child) {
	s = &supervisor{systemd: &serviceManager{}, slow: stoppedTimer(), source: &source{}}
	for _, role := range []*proc.Role{{Name: "vrrp", Title: "VRRP"}, {Name: "control", Title: "Control", Attends: true}} {
		sl := &slot{s: s, role: role}
		sl.child = &child{slot: sl, outbox: newOutbox()}
		s.slots = append(s.slots, sl)
	}
	return s, s.slots[1].child, s.slots[0].child
}

// sent returns and removes the messages of a kind in the outbox of a child.
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

// TestActs checks that an act reaches the process that it concerns under a number of its
// own, that its result returns to the client, and that it is logged and noted.
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
	// Results in another order, one of them a refusal, and one for an act that was not
	// requested.
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

// TestNamesOfActs checks which process gets the test of a notification, and that a name of
// nothing is refused with the nearest of all names, whichever processes have them.
func TestNamesOfActs(t *testing.T) {
	const instances = "vrrp_sync_group gate {\ngroup {\nVI_1\n}\n}\nvrrp_instance VI_1 {\n}\n"
	const servers = "virtual_server 10.0.0.1 80 {\n}\nvirtual_server group cluster {\n}\nvirtual_server fwmark 12 {\n}\n"
	const ours, all = "no vrrp_instance or vrrp_sync_group is called ", "no vrrp_instance, vrrp_sync_group, virtual or real server is called "
	for _, test := range []struct{ text, name, want string }{
		{instances, "VI_1", "vrrp"},
		{instances, "gate", "vrrp"},
		{instances, "VI1", ours + `"VI1"; did you mean "VI_1"?`},
		{instances, "10.0.0.1", ours + `"10.0.0.1"`},
		{instances + servers, "VI_1", "vrrp"},
		{servers + instances, "gate", "vrrp"},
		{instances + servers, "VI1", all + `"VI1"; did you mean "VI_1"?`},
		{servers + instances, "gat", all + `"gat"; did you mean "gate"?`},
		{instances + servers, "cluster", all + `"cluster"; did you mean "[cluster]:0"?`},
		{instances + servers, "FWM12", all + `"FWM12"; did you mean "FWM 12"?`},
		{instances + servers, "database", all + `"database"`},
		{instances + servers, "10.0.0.1", "checkers"},
		{servers, "10.0.0.9:80", "checkers"},
		{servers, "10.0.0.1 10.0.0.2", "checkers"},
		{servers, "[cluster]:0", "checkers"},
		{servers, "FWM 13", "checkers"},
		{servers, "VI1", all + `"VI1"`},
		{"", "VI1", ours + `"VI1"`},
	} {
		s, control, vrrp := staged()
		checkers := &slot{s: s, role: &proc.Role{Name: "checkers", Title: "Health-check"}}
		checkers.child = &child{slot: checkers, outbox: newOutbox()}
		s.slots = append(s.slots, checkers)
		tree, _ := conf.Parse("", conf.Options{Unsaved: func(string) (string, bool) { return test.text, true }})
		s.source = &source{tree: tree}
		childMessage{control, link.Message{Kind: link.Act, Order: &link.Order{ID: 1, Act: act.Act{Kind: act.TestNotify, Name: test.name}}}}.deliver()
		var got []string
		for _, c := range []*child{vrrp, checkers.child} {
			if len(c.sent(link.Act)) > 0 {
				got = append(got, c.slot.role.Name)
			}
		}
		for _, m := range control.sent(link.Done) {
			if got = append(got, m.Outcome.Result.Why); m.Outcome.Result.Code != act.Unknown {
				t.Errorf("%s: code %v", test.name, m.Outcome.Result.Code)
			}
		}
		if text := strings.Join(got, ", "); text != test.want {
			t.Errorf("%s\n%s: %s, want %s", test.text, test.name, text, test.want)
		}
	}
}

// TestActsAreBounded checks that neither another act nor a question displaces one that
// waits, and that acts above the bound and acts that no client may request are refused.
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
	// The process of the client has ended.
	s.slots[1].child = nil
	s.endAct(&openAct{from: control}, act.Result{})
}

// TestReloadIsAwaited checks that an act waits for the reload that it has caused, and
// that an act during a reload waits for the next one.
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

// settle waits until intents are saved, and runs what follows.
func (s *supervisor) settle(t *testing.T) {
	t.Helper()
	select {
	case w := <-s.intents.saved:
		w.then(w.err)
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was saved within 30 s")
	}
}

// TestIntents checks that an intent is in the file before the client has its result, that
// each process that starts gets it, and that a release and the end of its time remove it.
func TestIntents(t *testing.T) {
	s, control, vrrp := staged()
	s.intents.saved = make(chan savedIntents)
	path := filepath.Join(t.TempDir(), "of", "keepalived", "intents")
	s.intents.read(path)
	why := func() string {
		t.Helper()
		done := control.sent(link.Done)
		if len(done) != 1 {
			t.Fatalf("%d results", len(done))
		}
		r := done[0].Outcome.Result
		return r.Why + string(r.Body)
	}
	ask := func(a act.Act) {
		t.Helper()
		a.By = act.By{Over: "a test"}
		childMessage{control, link.Message{Kind: link.Act, Order: &link.Order{Act: a}}}.deliver()
	}
	hold := func(name string, seconds int, err error) {
		t.Helper()
		ask(act.Act{Kind: act.Hold, Name: name, For: seconds})
		o := vrrp.sent(link.Act)[0].Order
		childMessage{vrrp, link.Message{Kind: link.Done, Outcome: &link.Outcome{ID: o.ID, Result: act.Answer("held", err)}}}.deliver()
	}
	kept := func() int {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		list, err := act.DecodeIntents(b)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}

	hold("A", 0, errors.New("no such"))
	if got := why(); got != "no such" || len(s.intents.list) != 0 {
		t.Errorf("%s, %+v", got, s.intents.list)
	}
	hold("A", 0, nil)
	if len(control.sent(link.Done)) != 0 {
		t.Error("there is a result before it is kept")
	}
	s.settle(t)
	if got := why(); got != `"held"` || kept() != 1 {
		t.Errorf("%s, %d kept", got, kept())
	}
	hold("B", 3600, nil)
	s.settle(t)
	why()
	if got := s.slots[0].setup().Intents; len(got) != 2 || len(s.slots[1].setup().Intents) != 0 || len(s.account()) == 0 {
		t.Errorf("%+v", got)
	}

	var again intents // of a successor
	again.read(path)
	if len(again.list) != 2 || again.list[0].By != "uid 0, over a test" || again.next().Before(time.Now()) {
		t.Errorf("%+v", again.list)
	}

	s.expire(time.Now())
	if len(vrrp.sent(link.Intend)) != 0 {
		t.Error("something is over")
	}
	s.expire(time.Now().Add(2 * time.Hour))
	s.settle(t)
	if got := vrrp.sent(link.Intend); len(got) != 1 || len(got[0].Intents.List) != 1 || got[0].Intents.List[0].Name != "A" || kept() != 1 {
		t.Errorf("%+v", got)
	}
	if last := s.acts[len(s.acts)-1]; last.Kind != "release" || last.Name != "B" || last.Reason != "the time of hold is over" {
		t.Errorf("%+v", last)
	}
	ask(act.Act{Kind: act.Release, Name: "B"})
	if got := why(); got != `nothing about "B" is to be released; there is hold of A` {
		t.Error(got)
	}
	ask(act.Act{Kind: act.Release, Name: "A"})
	s.settle(t)
	if got := why(); got != `{"result":"hold of A is released"}` || kept() != 0 || len(vrrp.sent(link.Intend)) != 1 {
		t.Errorf("%s, %d kept", got, kept())
	}
	ask(act.Act{Kind: act.Release, Name: "A"})
	if got := why(); got != "nothing is held or changed" {
		t.Error(got)
	}

	// A file that cannot be written, and one that cannot be read.
	s.intents.path = filepath.Join(path, "below", "a file")
	hold("A", 0, nil)
	s.settle(t)
	if got := why(); !strings.Contains(got, "it is done, but not kept for a restart: ") {
		t.Error(got)
	}
	for range act.MaxIntents {
		s.intents.list = append(s.intents.list, act.Intent{Kind: act.Hold})
	}
	ask(act.Act{Kind: act.Hold, Name: "C"})
	if got := why(); got != "256 acts are in force already; release some" {
		t.Error(got)
	}
	log := logtest.Capture(t)
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	again.list = nil
	again.read(path)
	if len(again.list) != 0 || !strings.Contains(log.String(), "what was held is not") {
		t.Errorf("%+v\n%s", again.list, log)
	}
}

// TestServersAreReleased checks that an act ends the intents about each real server that
// it denotes, and that the processes of both roles drop theirs.
func TestServersAreReleased(t *testing.T) {
	s, control, vrrp := staged()
	sl := &slot{s: s, role: &proc.Role{Name: "checkers", Title: "Healthcheck"}}
	sl.child = &child{slot: sl, outbox: newOutbox()}
	s.slots = append(s.slots, sl)
	s.intents.saved = make(chan savedIntents)
	s.intents.path = filepath.Join(t.TempDir(), "intents")
	result := func() string {
		t.Helper()
		s.settle(t)
		r := control.sent(link.Done)[0].Outcome.Result
		return r.Why + string(r.Body)
	}
	ask := func(a act.Act) {
		a.By = act.By{Over: "a test"}
		childMessage{control, link.Message{Kind: link.Act, Order: &link.Order{Act: a}}}.deliver()
	}
	kept := func(c *child, a act.Act) {
		t.Helper()
		ask(a)
		o := c.sent(link.Act)[0].Order
		childMessage{c, link.Message{Kind: link.Done, Outcome: &link.Outcome{ID: o.ID, Result: act.Answer("done", nil)}}}.deliver()
		if got := result(); got != `"done"` {
			t.Error(got)
		}
	}
	heeds := func(n int) {
		t.Helper()
		if got := sl.child.sent(link.Intend); len(got) != 1 || len(got[0].Intents.List) != n {
			t.Errorf("%+v", got)
		}
	}
	const one = "[10.0.0.1]:tcp:80 [10.0.0.2]:tcp:80"
	kept(vrrp, act.Act{Kind: act.Hold, Name: "A"})
	for _, a := range []act.Act{{Kind: act.Drain, Name: "10.0.0.2"}, {Kind: act.Disable, Name: one, For: 60}, {Kind: act.Weight, Name: one, Value: 7}} {
		kept(sl.child, a)
	}
	if got := sl.setup().Intents; len(got) != 3 || got[2].Value != 7 {
		t.Errorf("%+v", got)
	}
	ask(act.Act{Kind: act.Enable, Name: "10.0.0.3"})
	if got := control.sent(link.Done)[0].Outcome.Result.Why; got != `nothing about "10.0.0.3" is to be released; there is hold of A, drain of 10.0.0.2, disable and weight of `+one {
		t.Error(got)
	}
	ask(act.Act{Kind: act.Enable, Name: "10.0.0.2:80"})
	if got := result(); got != `{"result":"disable of `+one+` is released"}` {
		t.Error(got)
	}
	heeds(2)
	ask(act.Act{Kind: act.Release, Name: "10.0.0.2"})
	if got := result(); got != `{"result":"drain of 10.0.0.2, weight of `+one+` is released"}` {
		t.Error(got)
	}
	heeds(0)
	if got := vrrp.sent(link.Intend); len(got) != 0 || len(s.intents.list) != 1 {
		t.Errorf("%+v", got)
	}
}
