package controld

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/tool/client"
)

// process answers the questions of a source when the test calls answer.
type process struct {
	*source
	asked []link.Question
	deaf  bool
}

func newProcess() *process {
	p := &process{}
	p.source = newSources(func(q link.Question) bool {
		p.asked = append(p.asked, q)
		return !p.deaf
	})[1]
	return p
}

// answer answers the last question.
func (p *process) answer(body string) {
	p.mu.Lock()
	id := p.asked[len(p.asked)-1].ID
	p.mu.Unlock()
	p.gets(link.Snapshot(id, link.Text([]byte(body))))
}

// gets passes a message to the source.
func (p *process) gets(m link.Message) { p.take(&m) }

// clients makes n clients ask for everything at once. The returned function waits for all answers.
func (p *process) clients(n int) (wait func() []string) { return p.clientsFor(everything, n) }

func (p *process) clientsFor(k kind, n int) (wait func() []string) {
	got := make([]string, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			body, err := p.get(context.Background(), k)
			got[i] = fmt.Sprintf("%s %v", body, err)
		})
	}
	synctest.Wait()
	return func() []string { all.Wait(); return got }
}

func (p *process) expect(t *testing.T, questions int) {
	t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asked) != questions {
		t.Fatalf("%d questions, want %d", len(p.asked), questions)
	}
}

// question returns question number i.
func (p *process) question(i int) link.Question {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[i]
}

func all(t *testing.T, got []string, want string) {
	t.Helper()
	for _, g := range got {
		if g != want {
			t.Errorf("%q, want %q", g, want)
		}
	}
}

// TestClientsShareAnswers checks that clients that ask while a question is open share the
// answer to the next one.
func TestClientsShareAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess()
		first := p.clients(1)
		p.expect(t, 1)
		others := p.clients(100)
		p.expect(t, 1)
		time.Sleep(time.Second)
		p.answer("one")
		all(t, first(), "one <nil>")
		p.expect(t, 1) // no further question
		time.Sleep(time.Second - time.Nanosecond)
		p.expect(t, 1)
		time.Sleep(time.Nanosecond)
		p.expect(t, 2)
		if a, b := p.question(0), p.question(1); b.Of != "vrrp" || a.ID == b.ID {
			t.Errorf("asked %+v after %+v", b, a)
		}
		p.answer("two")
		all(t, others(), "two <nil>")
		time.Sleep(time.Hour)
		p.expect(t, 2) // no client waits
	})
}

// TestBriefAnswers checks that clients that want a brief answer share one that has everything if
// others wait for that, and what either get when the process does not answer any more.
func TestBriefAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess()
		asked := 0
		ask := func(answers string, of ...kind) {
			t.Helper()
			var gets []func() []string
			for _, k := range of {
				gets = append(gets, p.clientsFor(k, 1))
			}
			for _, body := range answers {
				asked++
				p.expect(t, asked)
				if got := p.question(asked - 1).Brief; got != (body == 'b') {
					t.Errorf("question %d is brief: %v", asked, got)
				}
				p.answer(string(body))
				time.Sleep(leastRest)
			}
			for i, get := range gets {
				want := answers[1:]
				if i == 0 {
					want = answers[:1] // the question was open when the others came
				}
				all(t, get(), want+" <nil>")
			}
		}
		ask("be", brief, everything, brief, everything)
		ask("eb", everything, brief, brief)
		ask("e3", everything, everything, brief)

		const deaf = " the parent process takes no questions"
		known := func(whole, short string) {
			t.Helper()
			p.deaf = true
			time.Sleep(leastRest)
			all(t, p.clientsFor(everything, 1)(), whole+deaf)
			time.Sleep(leastRest)
			all(t, p.clientsFor(brief, 1)(), short+deaf)
			time.Sleep(leastRest)
			p.deaf = false
		}
		known("3", "3") // everything is the latest brief answer too
		get := p.clientsFor(brief, 1)
		p.answer("4")
		all(t, get(), "4 <nil>")
		known("3", "4")
	})
}

// TestNoAnswer checks that a question to a process that does not answer is given up, that
// its late answer is not assigned to a later question, and that the last answer is kept.
func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess()
		get := p.clients(1)
		p.answer("one")
		all(t, get(), "one <nil>")
		time.Sleep(leastRest)
		get = p.clients(1)
		p.expect(t, 2)
		late := p.question(1)
		time.Sleep(patience)
		all(t, get(), "one no answer within 2s")
		time.Sleep(mostRest)
		get = p.clients(1)
		p.expect(t, 3)
		p.gets(link.Snapshot(late.ID, link.Text([]byte("late"))))
		p.answer("three")
		all(t, get(), "three <nil>")

		time.Sleep(leastRest)
		get = p.clients(1)
		p.gets(link.Refusal(p.question(3).ID, "the VRRP process has ended"))
		all(t, get(), "three the VRRP process has ended")
		p.mu.Lock()
		p.deaf = true
		p.mu.Unlock()
		time.Sleep(packAfter + leastRest)
		p.mu.Lock()
		for _, k := range []kind{brief, everything} {
			if p.last[k].body != nil || p.last[k].packed == nil {
				t.Errorf("the last answer is not packed: %+v", p.last[k])
			}
		}
		p.mu.Unlock()
		for range 2 {
			time.Sleep(leastRest)
			get = p.clients(1)
			all(t, get(), "three the parent process takes no questions")
		}
	})
}

// TestSilenceIsShared checks that those who wait for the turn of their question learn together
// that the process does not answer: one after the other, they would wait for too long.
func TestSilenceIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess()
		waits := []func() []string{p.clients(1), p.clients(2), p.clientsFor(brief, 2)}
		news := make(chan error, 1)
		go func() {
			_, err := p.since(context.Background(), time.Unix(1, 0))
			news <- err
		}()
		begun := time.Now()
		for _, wait := range waits {
			all(t, wait(), " no answer within 2s")
		}
		if err := <-news; err == nil || time.Since(begun) != patience {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		time.Sleep(mostRest)
		p.expect(t, 1)
		get := p.clients(1)
		p.answer("well")
		all(t, get(), "well <nil>")
	})
}

// TestClientThatLeaves checks that its question continues for the others.
func TestClientThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess()
		ctx, leave := context.WithCancel(context.Background())
		left := make(chan error)
		go func() {
			_, err := p.get(ctx, everything)
			left <- err
		}()
		p.expect(t, 1)
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		p.answer("one")
		time.Sleep(leastRest)
		get := p.clients(1)
		p.expect(t, 2)
		p.answer("two")
		all(t, get(), "two <nil>")
	})
}

// TestClientsWaitLonger checks that keepalived status shows the known state of a process
// that hangs rather than give up.
func TestClientsWaitLonger(t *testing.T) {
	if longest := 2*patience + mostRest; longest >= client.Timeout {
		t.Errorf("an answer may take %v, and a client waits for %v", longest, client.Timeout)
	}
}
