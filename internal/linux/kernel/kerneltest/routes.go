package kerneltest

import (
	"slices"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/nl"
	"keepalived-go/internal/linux/nl/nltest"
)

// routing answers a request for routes or rules; false: it is another one.
func (k *Kernel) routing(s *socket, m nl.Message) (refusal *nl.Error, ok bool) {
	switch m.Type {
	case unix.RTM_GETROUTE:
		for i := range k.routes {
			body, _ := k.routes[i].Encode(kernel.Add, nil)
			if len(m.Body) > 5 && m.Body[0] == body[0] && m.Body[5] == body[5] {
				s.Deliver(nltest.Message(unix.RTM_NEWROUTE, unix.NLM_F_MULTI, m, body))
			}
		}
		s.Deliver(nltest.Done(m, false))
	case unix.RTM_GETRULE:
		for i := range k.rules {
			body, _ := k.rules[i].Encode(kernel.Add, nil)
			if len(m.Body) > 0 && m.Body[0] == body[0] {
				s.Deliver(nltest.Message(unix.RTM_NEWRULE, unix.NLM_F_MULTI, m, body))
			}
		}
		s.Deliver(nltest.Done(m, false))
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		r, ok := kernel.DecodeRoute(m.Body, nl.Names{})
		if !ok {
			return errno(unix.EINVAL), true
		}
		if m.Type == unix.RTM_DELROUTE {
			return errno(k.removeRoute(r, m)), true
		}
		if slices.ContainsFunc(k.routes, func(have kernel.Route) bool { return have.Slot == r.Slot && have.Equal(&r) }) {
			return errno(unix.EEXIST), true
		}
		k.routes = append(k.routes, r)
	case unix.RTM_NEWRULE, unix.RTM_DELRULE:
		r, ok := kernel.DecodeRule(m.Body, nl.Names{})
		if !ok {
			return errno(unix.EINVAL), true
		}
		if m.Type == unix.RTM_DELRULE {
			return errno(k.removeRule(r, m)), true
		}
		if slices.Contains(k.rules, r) {
			return errno(unix.EEXIST), true
		}
		k.rules = append(k.rules, r)
	default:
		return nil, false
	}
	return nil, true
}

func (k *Kernel) removeRoute(r kernel.Route, m nl.Message) unix.Errno {
	i := slices.IndexFunc(k.routes, func(have kernel.Route) bool { return have.Slot == r.Slot && have.Equal(&r) })
	if i < 0 {
		return unix.ESRCH
	}
	k.routes = slices.Delete(k.routes, i, i+1)
	group := uint32(unix.RTNLGRP_IPV4_ROUTE)
	if r.Dst.Addr().Is6() {
		group = unix.RTNLGRP_IPV6_ROUTE
	}
	body, _ := r.Encode(kernel.Remove, nil)
	k.report(unix.RTM_DELROUTE, group, m, body)
	return 0
}

func (k *Kernel) removeRule(r kernel.Rule, m nl.Message) unix.Errno {
	i := slices.Index(k.rules, r)
	if i < 0 {
		return unix.ENOENT
	}
	k.rules = slices.Delete(k.rules, i, i+1)
	group := uint32(unix.RTNLGRP_IPV4_RULE)
	if r.IPv6 {
		group = unix.RTNLGRP_IPV6_RULE
	}
	body, _ := r.Encode(kernel.Remove, nil)
	k.report(unix.RTM_DELRULE, group, m, body)
	return 0
}

// Routes and Rules return what the kernel holds, what was set first before the rest.
func (k *Kernel) Routes() []kernel.Route {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.routes)
}

// Rules is like [Kernel.Routes].
func (k *Kernel) Rules() []kernel.Rule {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.rules)
}

// AddRoute sets a route as another program does.
func (k *Kernel) AddRoute(r kernel.Route) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.routes = append(k.routes, r)
}

// ForgetRoutes drops the routes without a word, as a kernel does with those of IPv4
// when their link goes down.
func (k *Kernel) ForgetRoutes() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.routes = nil
}

// RemoveRoute removes a route as another program does, and reports whether it was
// there.
func (k *Kernel) RemoveRoute(r kernel.Route) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.removeRoute(r, nl.Message{Port: otherPrograms}) == 0
}

// RemoveRule is like [Kernel.RemoveRoute].
func (k *Kernel) RemoveRule(r kernel.Rule) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.removeRule(r, nl.Message{Port: otherPrograms}) == 0
}
