package supervisor

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/proc/link"
)

const (
	// maxActs is how many acts may wait for one process; more are refused. They displace
	// neither each other nor a question.
	maxActs = 64
	// keptActs is how many acts that have ended are in the state, for the history.
	keptActs = 64
)

// openAct is an act that has no result yet.
type openAct struct {
	act.Act
	from   *child
	theirs uint32 // as the child that asks knows it
}

// act does an act that the child c asks for, or passes it on to the process that it
// concerns.
func (s *supervisor) act(c *child, o *link.Order) {
	if o == nil {
		return
	}
	a := openAct{o.Act, c, o.ID}
	err := a.Check()
	if !c.slot.role.Attends {
		err = act.Refuse(act.Invalid, "the %s asks for no acts", c.slot.process())
	}
	if err != nil {
		s.reply(&a, act.Answer(nil, err))
		return
	}
	slog.Info(fmt.Sprintf("%v: asked for by %v%s", &a.Act, a.By, a.because()))
	role := act.RowOf(a.Kind).Role
	if a.Kind == act.TestNotify {
		if role, err = s.roleOf(a.Name); err != nil {
			s.endAct(&a, act.Answer(nil, err))
			return
		}
	}
	if role == "" {
		s.do(&a)
		return
	}
	i := slices.IndexFunc(s.slots, func(sl *slot) bool { return sl.role.Name == role })
	switch {
	case i < 0 || !s.slots[i].serves():
		err = act.Refuse(act.Unavailable, "the process %s does not run", role)
	case act.RowOf(a.Kind).Keeps && len(s.intents.list) >= act.MaxIntents:
		err = act.Refuse(act.Unavailable, "%d acts are in force already; release some", act.MaxIntents)
	case len(s.slots[i].child.acts) == maxActs:
		err = act.Refuse(act.Unavailable, "%d other acts wait for the %s", maxActs, s.slots[i].process())
	default:
		s.slots[i].child.order(&a)
		return
	}
	s.endAct(&a, act.Answer(nil, err))
}

// roleOf is the role whose process knows a name: of a virtual router or sync group or, where
// there are virtual servers, of one of them or of a real server. No process knows the names of
// another one, so a name of nothing is refused here, with the nearest of all.
func (s *supervisor) roleOf(name string) (string, error) {
	var names []string
	servers := false
	for _, st := range s.source.statements() {
		word := func(i int) string {
			if i < len(st.Words) {
				return st.Words[i].Text
			}
			return ""
		}
		switch st.Keyword() {
		case "vrrp_instance", "vrrp_sync_group":
			if word(1) == name {
				return "vrrp", nil
			}
			names = append(names, word(1))
		case "virtual_server":
			servers = true
			switch word(1) { // as log lines have them
			case "group":
				names = append(names, "["+word(2)+"]:0")
			case "fwmark":
				names = append(names, "FWM "+word(2))
			}
		}
	}
	what := "vrrp_instance or vrrp_sync_group"
	if servers {
		what = "vrrp_instance, vrrp_sync_group, virtual or real server"
	}
	if servers && act.IsServer(name) {
		return "checkers", nil
	}
	return "", act.Refuse(act.Unknown, "%s", conf.Missing(what, name, names))
}

// because is the reason of an act as part of a sentence.
func (a *openAct) because() string {
	if a.Reason == "" {
		return ""
	}
	return ": " + a.Reason
}

// dumps are the orders for dumps that are acts.
var dumps = map[act.Kind]link.Kind{act.Dump: link.DumpData, act.Stats: link.DumpStats, act.Clear: link.ClearStats}

// do does an act of the parent itself.
func (s *supervisor) do(a *openAct) {
	switch a.Kind {
	case act.Reload:
		s.reloadFor(a)
	case act.Plan:
		s.planFor(a)
	case act.Dump, act.Stats, act.Clear:
		s.dump(dumps[a.Kind])
		s.endAct(a, act.Answer(&api.Done{Result: "the processes write their files"}, nil))
	case act.Release, act.Enable:
		s.releaseFor(a)
	default:
		s.endAct(a, act.Answer(nil, act.Refuse(act.Invalid, "the parent process does not know it")))
	}
}

// order passes an act on to the child.
func (c *child) order(a *openAct) {
	s := c.slot.s
	if c.acts == nil {
		c.acts = map[uint32]openAct{}
	}
	s.orders++
	c.acts[s.orders] = *a
	c.post(link.Message{Kind: link.Act, Order: &link.Order{ID: s.orders, Act: a.Act}})
}

// done takes up the result of an act that the child was asked for.
func (c *child) done(o *link.Outcome) {
	if o == nil {
		return
	}
	if a, open := c.acts[o.ID]; open {
		delete(c.acts, o.ID)
		end := func(r act.Result) { c.slot.s.endAct(&a, r) }
		if o.Result.Code == 0 && act.RowOf(a.Kind).Keeps {
			c.slot.s.keep(&a, o.Result, end)
		} else {
			end(o.Result)
		}
	}
}

// refuseActs ends what the child was asked for and has not done.
func (c *child) refuseActs(why string) {
	for _, a := range c.acts {
		c.slot.s.endAct(&a, act.Answer(nil, act.Refuse(act.Unavailable, "%s", why)))
	}
	c.acts = nil
}

// endAct ends an act: it is logged, noted for the history, and its client gets the
// result.
func (s *supervisor) endAct(a *openAct, r act.Result) {
	done := api.PastAct{At: time.Now().UTC(), Kind: string(a.Kind), Name: a.Object(), By: a.By.String(), Reason: a.Reason}
	if err := r.Err(); err != nil {
		slog.Warn(fmt.Sprintf("%v: refused: %v", &a.Act, err))
		done.Refused = err.Error()
	}
	s.noteAct(done)
	s.reply(a, r)
}

// noteAct notes an act that has ended for the history.
func (s *supervisor) noteAct(done api.PastAct) {
	s.acts = append(s.acts, done)
	if more := len(s.acts) - keptActs; more > 0 {
		s.acts = slices.Delete(s.acts, 0, more)
	}
	s.changed()
}

// reply sends the result of an act to the child that has asked for it, if it still runs.
func (s *supervisor) reply(a *openAct, r act.Result) {
	if a.from.slot.child == a.from {
		a.from.post(link.Message{Kind: link.Done, Outcome: &link.Outcome{ID: a.theirs, Result: r}})
	}
}

// reloadFor reloads for an act, whose result is the configuration in force afterwards. One
// that comes while a reload is on its way waits for the next one, as that is then asked for
// again.
func (s *supervisor) reloadFor(a *openAct) {
	switch {
	case s.stopping:
		s.endAct(a, act.Answer(nil, act.Refuse(act.Unavailable, "the daemon is about to end")))
	case len(s.waiting)+len(s.later) == maxActs:
		s.endAct(a, act.Answer(nil, act.Refuse(act.Unavailable, "%d other reloads are waited for", maxActs)))
	case s.reloading:
		s.later = append(s.later, *a)
		s.reload()
	default:
		s.waiting = append(s.waiting, *a)
		s.reload()
	}
}

// reloadDone ends the acts that wait for the reload that has ended; err is why it has no
// result.
func (s *supervisor) reloadDone(err error) {
	waiting := s.waiting
	s.waiting, s.later = s.later, nil
	for i := range waiting {
		s.endAct(&waiting[i], act.Answer(s.configuration(), err))
	}
}
