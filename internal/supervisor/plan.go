package supervisor

import (
	"fmt"
	"strings"

	"keepalived-go/conf"
	"keepalived-go/conf/view"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc/act"
)

// planned is what a reload would change, as far as it is found beside the loop.
type planned struct {
	act  openAct
	next loaded
	plan api.Plan
	err  error
}

const (
	maxEffects = 1000      // that a plan lists of a kind of things
	maxChanges = 128 << 10 // bytes of its text
)

// planFor is the act plan. It reads the configuration beside the loop, as a reload does.
func (s *supervisor) planFor(a *openAct) {
	if s.readers == maxReaders {
		s.endAct(a, act.Answer(nil, act.Refuse(act.Unavailable, "%d earlier reloads still wait for a file", maxReaders)))
		return
	}
	s.readers++
	o, runs, test, asked := s.o, s.source, s.global.Reload.Check, *a
	go func() {
		p := planned{act: asked, next: o.read(test, nil)}
		p.plan, p.err = o.plan(runs, test, &p.next)
		s.plans <- p
	}()
}

// planEnd ends the act with what was found, and with what becomes of the processes.
func (s *supervisor) planEnd(p planned) {
	s.readers--
	if p.err == nil && p.plan.Refused == "" {
		p.plan.Fixed = s.fixed(settingsOf(p.next.config))
		for _, sl := range s.slots {
			share := sl.role.Share(p.next.config)
			switch wanted := sl.wants(&share); {
			case wanted && !sl.serves():
				p.plan.Processes = append(p.plan.Processes, api.Outcome{Name: sl.role.Name, Effect: "is started"})
			case !wanted && sl.serves():
				p.plan.Processes = append(p.plan.Processes, api.Outcome{Name: sl.role.Name, Effect: "has nothing to do any more"})
			}
		}
	}
	s.endAct(&p.act, act.Answer(&p.plan, p.err))
	s.forget()
}

// plan compares the configuration that runs with next.
func (o Options) plan(runs *source, test bool, next *loaded) (api.Plan, error) {
	errs := next.errors()
	p := api.Plan{File: o.Config, Refused: next.reloadRefusal(), Errors: errs[:min(len(errs), maxReasons)]}
	if p.Refused != "" {
		return p, nil
	}
	text, err := runs.text()
	if err != nil {
		return p, fmt.Errorf("the running configuration cannot be compared: %w", err)
	}
	was := o.read(test, &text)
	if was.config == nil {
		return p, fmt.Errorf("the running configuration cannot be read again: %s", strings.Join(was.reasons(), "; "))
	}
	p.Changes = view.Diff(view.Effective(was.config, was.tree), view.Effective(next.config, next.tree))
	if len(p.Changes) > maxChanges {
		p.Changes = strings.ToValidUTF8(p.Changes[:maxChanges], "") + "\nand more\n"
	}
	before, after := was.config, next.config
	p.Routers = routerEffects(before.Instances, after.Instances, policy.Continue(before, after))
	services := func(v *conf.VirtualServer) any { return policy.ServiceIDOf(v) }
	p.Services = effects(before.VirtualServers, after.VirtualServers, services, (*conf.VirtualServer).String, (*conf.VirtualServer).Equal)
	sessions := func(b *conf.BFDInstance) string { return b.Name }
	p.Sessions = effects(before.BFDInstances, after.BFDInstances, func(b *conf.BFDInstance) any { return b.Name }, sessions, (*conf.BFDInstance).Equal)
	return p, nil
}

// What becomes of a thing.
const (
	stays = "changes, and keeps its state"
	comes = "is added"
	goes  = "is removed"
)

// tally adds an outcome to effects.
func tally(e *api.Effects, name, effect string) {
	if len(e.List) == maxEffects {
		e.More++
		return
	}
	e.List = append(e.List, api.Outcome{Name: name, Effect: effect})
}

// routerEffects are what becomes of virtual routers.
func routerEffects(before, after []*conf.VRRPInstance, k *policy.Continuation) (e api.Effects) {
	kept := make([]bool, len(before))
	for i, v := range after {
		from := k.From[i]
		if from < 0 {
			tally(&e, v.Name, comes)
			continue
		}
		kept[from] = true
		switch was := before[from].Name; {
		case k.Same[i]:
			e.Same++
		case was != v.Name:
			tally(&e, v.Name, "continues "+was+", and keeps its state")
		default:
			tally(&e, v.Name, stays)
		}
	}
	for i, v := range before {
		if !kept[i] {
			tally(&e, v.Name, goes)
		}
	}
	return e
}

// effects are what becomes of things that are known by an identity.
func effects[T any](before, after []T, identity func(T) any, name func(T) string, equal func(a, b T) bool) (e api.Effects) {
	was := make(map[any]T, len(before))
	for _, v := range before {
		was[identity(v)] = v
	}
	for _, v := range after {
		old, known := was[identity(v)]
		delete(was, identity(v))
		switch {
		case !known:
			tally(&e, name(v), comes)
		case equal(old, v):
			e.Same++
		default:
			tally(&e, name(v), stays)
		}
	}
	for _, v := range before {
		if _, left := was[identity(v)]; left {
			tally(&e, name(v), goes)
		}
	}
	return e
}
