package supervisor

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/statefile"
)

// intents are what clients have asked for that holds until it is released. The parent keeps
// them, in a file too, and the processes heed them: after a reload, a crash, a restart and a
// power cut.
type intents struct {
	list  []act.Intent
	saved chan savedIntents

	path    string
	number  int        // of the last writing
	mu      sync.Mutex // of the file
	written int        // number of what is in it
}

// savedIntents is the end of an attempt to write them.
type savedIntents struct {
	err  error
	then func(error)
}

// expiry is who releases what is over.
var expiry = act.By{Over: "its time (for)", Name: "keepalived"}

// read reads what a predecessor has kept.
func (k *intents) read(path string) {
	k.path = path
	b, err := statefile.Read(path, act.MaxIntentFile)
	if err == nil && b != nil {
		k.list, err = act.DecodeIntents(b)
	}
	if err != nil {
		slog.Error(fmt.Sprintf("intents: %s: %v; what was held is not", path, err))
	}
	for i := range k.list {
		n := &k.list[i]
		slog.Info(fmt.Sprintf("%s %s: asked for by %s; it is still in force", n.Kind, n.Name, n.By))
	}
}

// save writes them beside the loop, and has the loop call then.
func (k *intents) save(then func(error)) {
	b, err := act.EncodeIntents(k.list)
	k.number++
	number, path := k.number, k.path
	go func() {
		if err == nil {
			err = k.write(number, path, b)
		}
		k.saved <- savedIntents{err, then}
	}()
}

func (k *intents) write(number int, path string, b []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if number < k.written {
		return nil // a later list is there
	}
	err := makeDir(filepath.Dir(path))
	if err == nil {
		err = statefile.WriteSynced(path, b)
	}
	if err == nil {
		k.written = number
	}
	return err
}

// of returns the intents that a process heeds.
func (k *intents) of(role string) (some []act.Intent) {
	for i := range k.list {
		if k.list[i].Role() == role {
			some = append(some, k.list[i])
		}
	}
	return some
}

// next is when the first of them is over; zero: none ends by itself.
func (k *intents) next() (first time.Time) {
	for i := range k.list {
		if u := k.list[i].Until; u != 0 {
			first = earliest(first, time.Unix(u, 0))
		}
	}
	return first
}

// keep keeps what a process has done for an act, and then calls end with the result.
func (s *supervisor) keep(a *openAct, r act.Result, end func(act.Result)) {
	s.intents.list = act.Put(s.intents.list, act.IntentOf(&a.Act, time.Now()))
	s.intents.save(func(err error) {
		if err != nil {
			r = act.Answer(nil, act.Refuse(act.Unavailable, "it is done, but not kept for a restart: %v", err))
		}
		end(r)
	})
}

// drop removes those for which is returns true, has the processes do without them, and
// returns them.
func (s *supervisor) drop(is func(*act.Intent) bool, then func(error)) (gone []act.Intent) {
	k := &s.intents
	k.list = slices.DeleteFunc(slices.Clone(k.list), func(i act.Intent) bool {
		over := is(&i)
		if over {
			gone = append(gone, i)
		}
		return over
	})
	if len(gone) == 0 {
		return nil
	}
	for _, sl := range s.slots {
		if sl.serves() && slices.ContainsFunc(gone, func(i act.Intent) bool { return i.Role() == sl.role.Name }) {
			sl.child.post(link.Message{Kind: link.Intend, Intents: &link.Intents{List: k.of(sl.role.Name)}})
		}
	}
	k.save(then)
	return gone
}

// releaseFor is an act that only ends intents.
func (s *supervisor) releaseFor(a *openAct) {
	var released string
	end := *a
	gone := s.drop(a.Undoes, func(err error) {
		if err != nil {
			err = act.Refuse(act.Unavailable, "it is done, but not for a restart: %v", err)
		}
		s.endAct(&end, act.Answer(api.Done{Result: released + " is released"}, err))
	})
	if released = listed(gone); len(gone) > 0 {
		return
	}
	why := "nothing is held or changed"
	if len(s.intents.list) > 0 {
		why = fmt.Sprintf("nothing about %q is to be released; there is %s", a.Name, listed(s.intents.list))
	}
	s.endAct(a, act.Answer(nil, act.Refuse(act.Unknown, "%s", why)))
}

// listed names intents: "hold and priority of A, drain of B".
func listed(list []act.Intent) string {
	var text strings.Builder
	for i := range list {
		switch last := max(i-1, 0); {
		case i > 0 && list[i].Name == list[last].Name:
			text.WriteString(" and ")
		case i > 0:
			text.WriteString(" of " + list[last].Name + ", ")
		}
		text.WriteString(string(list[i].Kind))
	}
	if len(list) > 0 {
		text.WriteString(" of " + list[len(list)-1].Name)
	}
	return text.String()
}

// expire releases what is over.
func (s *supervisor) expire(now time.Time) {
	gone := s.drop(func(i *act.Intent) bool { return i.Over(now) }, func(err error) {
		if err != nil {
			slog.Error("intents: " + err.Error())
		}
	})
	for i := range gone {
		n := &gone[i]
		slog.Info(fmt.Sprintf("%s %s: its time is over: released", n.Kind, n.Name))
		s.noteAct(api.PastAct{At: now.UTC(), Kind: string(act.Release), Name: n.Name, By: expiry.String(), Reason: "the time of " + string(n.Kind) + " is over"})
	}
}

// inForce are the intents for the state of the daemon.
func (k *intents) inForce() (all []api.Intent) {
	for i := range k.list {
		all = append(all, api.IntentOf(&k.list[i]))
	}
	return all
}
