package supervisor

import (
	"encoding/json"
	"log/slog"
	"os"
	"slices"
	"time"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/proc/link"
)

// question is what a child has been asked on behalf of another one.
type question struct {
	id     uint32 // as the child that answers knows it; 0: none is open
	from   *child
	theirs uint32 // as the child that asks knows it
}

// ask passes a question of the child c on to the process that it is for. Each process
// has one open question; a later one takes its place.
func (s *supervisor) ask(c *child, q *link.Question) {
	if q == nil {
		return
	}
	switch q.Of {
	case "":
		c.reply(q, s.account(), nil)
		return
	case link.Configuration:
		text, err := s.source.expanded()
		c.reply(q, text, err)
		return
	}
	i := slices.IndexFunc(s.slots, func(sl *slot) bool { return sl.role.Name == q.Of })
	switch {
	case i < 0:
		c.post(link.Refusal(q.ID, "no process is called "+q.Of))
	case !s.slots[i].serves():
		c.post(link.Refusal(q.ID, "the "+s.slots[i].process()+" does not run"))
	default:
		asked := s.slots[i].child
		asked.refuse("another question has come")
		s.questions++
		asked.question = question{s.questions, c, q.ID}
		asked.post(link.Message{Kind: link.Ask, Question: &link.Question{ID: s.questions, Since: q.Since, Brief: q.Brief}})
	}
}

// reply answers a question of the child.
func (c *child) reply(q *link.Question, text []byte, err error) {
	if err != nil {
		c.post(link.Refusal(q.ID, err.Error()))
		return
	}
	c.post(link.Snapshot(q.ID, link.Text(text)))
}

// answer passes an answer of the child on to the one that has asked.
func (c *child) answer(m *link.Message) {
	q := c.question
	if m.Reply == nil || q.id == 0 || m.Reply.ID != q.id {
		m.Drop()
		return
	}
	c.question = question{}
	if q.from.slot.child != q.from {
		m.Drop()
		return
	}
	m.Reply.ID = q.theirs
	q.from.post(*m)
}

// refuse ends the open question to the child, if there is one.
func (c *child) refuse(why string) {
	m := link.Refusal(c.question.id, why)
	c.answer(&m)
}

// account is what the parent itself knows, as JSON.
func (s *supervisor) account() []byte {
	host, err := os.Hostname()
	if err != nil {
		slog.Warn("look up the name of the machine: " + err.Error())
	}
	d := api.Status{
		Version: api.Version, At: time.Now().UTC(),
		Node: api.Node{
			Host: host, Release: s.o.Version, PID: os.Getpid(), Started: s.begun.UTC(),
			Instance: s.settings.instance, NetNamespace: s.settings.namespace, Stopping: s.stopping,
		},
		Configuration: s.configuration(),
		Intents:       s.intents.inForce(),
		Acts:          s.acts,
	}
	for _, sl := range s.slots {
		d.Processes = append(d.Processes, sl.account())
	}
	b, err := json.Marshal(&d)
	if err != nil {
		slog.Error("write the state: " + err.Error())
	}
	return b
}

// configuration is what the daemon runs.
func (s *supervisor) configuration() api.Configuration {
	return api.Configuration{
		File: s.o.Config, Read: s.read.UTC(), Reloads: s.reloads, Errors: s.problems,
		Reloading: s.reloading || s.applying, Refused: s.refused,
	}
}

// account is what the parent knows of a process.
func (sl *slot) account() api.Process {
	p := api.Process{Name: sl.role.Name, Wanted: sl.wanted(), Deaths: sl.deaths}
	if c := sl.child; c != nil {
		started := c.started.UTC()
		p.PID, p.Started, p.Serves = c.pid, &started, c.ran && !c.releases
	}
	if !sl.respawn.IsZero() {
		next := sl.respawn.UTC()
		p.Next = &next
	}
	return p
}

// changed reports to the processes that serve the daemon itself that what the others know
// has changed, or what the parent knows.
func (s *supervisor) changed() {
	for _, sl := range s.slots {
		if sl.role.Attends && sl.serves() {
			sl.child.outbox.put(link.Message{Kind: link.Changed}) // one that waits is as good as two
		}
	}
}

// maxReasons bounds how many reasons of a refusal are kept.
const maxReasons = 20

// refuseReload notes why a reload was refused.
func (s *supervisor) refuseReload(reasons ...string) {
	s.refused = &api.Refusal{At: time.Now().UTC(), Reasons: reasons[:min(len(reasons), maxReasons)]}
	s.changed()
}
