package vrrpd

import (
	"cmp"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/policy"
)

// made is an interface that is made for a router. Unlike addresses it is wanted as long
// as the router is configured:
//
//	resolve ──▶ add (down) ──event──▶ settings of the kernel ──▶ up ──event──▶ resolve
//
// So nothing leaves by it, and nothing is answered, before its settings are right.
type made struct {
	spec policy.MadeLink
	item *heldLink // nil: the interface below does not exist
	at   *netLink  // nil: it does not exist, or is not up
	addr *vip      // of an ipvlan: what its adverts come from; nil: it has none, or is not up
}

// port is the link by which the adverts of r leave, and on which they are received; nil:
// it does not exist yet.
func (r *router) port() *netLink {
	if !policy.TransmitsOnMade(r.conf) {
		return r.link
	}
	if m := r.own(); m != nil {
		return m.at
	}
	return nil
}

// own is the link that is made for r itself rather than for addresses; nil: there is none.
func (r *router) own() *made {
	if policy.MakesLink(r.conf) && len(r.made) > 0 {
		return &r.made[0]
	}
	return nil
}

// socketLink is the name of the link of the adverts of r; empty: none is configured.
func (r *router) socketLink() string {
	if l := r.port(); l != nil {
		return l.Name
	}
	return policy.Bound(r.conf)
}

// awaits reports whether the kernel has yet to make the link: that it is not there is no
// fault.
func (d *daemon) awaits(m *made) bool {
	return m.item != nil && !m.item.failed && !d.linksUp[m.item.key]
}

// making reports whether the kernel has yet to make a link of r.
func (d *daemon) making(r *router) bool {
	return slices.ContainsFunc(r.made, func(m made) bool { return d.awaits(&m) })
}

// on reports whether r is on one of the links: its interface, or one that is made.
func (r *router) on(links map[int]bool) bool {
	return r.link == nil || links[r.link.Index] ||
		slices.ContainsFunc(r.made, func(m made) bool { return m.at != nil && links[m.at.Index] })
}

// upLink is the link of an item, if it is up.
func (d *daemon) upLink(v *heldLink) *netLink {
	if v == nil {
		return nil
	}
	if l := d.net.made(v.key); l != nil && l.Flags&unix.IFF_UP != 0 {
		return l
	}
	return nil
}

// resolveMade brings the links that are made for r up to date: those of specs, above
// what exists now.
func (d *daemon) resolveMade(r *router, specs []policy.MadeLink) {
	had := r.made
	r.made = nil
	for i := range specs {
		m := made{spec: specs[i]}
		if base := d.net.byName[m.spec.Base]; base != nil {
			m.item = d.claimLink(r, &m.spec, base)
			m.at = d.upLink(m.item)
			d.claimOwnAddress(r, &m)
		}
		r.made = append(r.made, m)
	}
	items := func(list []made) (links []*heldLink, addrs []*vip) {
		for _, m := range list {
			links, addrs = append(links, m.item), append(addrs, m.addr)
		}
		return links, addrs
	}
	links, addrs := items(had)
	newLinks, newAddrs := items(r.made)
	for _, v := range links {
		if v == nil {
			continue
		}
		if d.addrs.links.release(v); v.users == 0 {
			delete(d.linksUp, v.key)
		}
	}
	d.addrs.links.disown(r, links, newLinks)
	d.release(addrs, routing{})
	d.addrs.disown(d.static, addrs, newAddrs)
	if len(had)+len(r.made) > 0 {
		d.settings.dirty = true
	}
}

// claimOwnAddress has the address of an ipvlan set on it. It is a static one: no state of
// the virtual router decides about it.
func (d *daemon) claimOwnAddress(r *router, m *made) {
	if m.at == nil || !m.spec.Address.IsValid() {
		return
	}
	a := kernelAddr(&conf.Address{Prefix: m.spec.Address, PreferredLft: kernel.Forever}, m.at)
	m.addr = claim(d.findAddress(r, m.at, a), d.static, conf.OnDeleteUnset)
	d.addrs.acquire(m.addr, a, d.static)
}

// claimLink has the link made for r.
func (d *daemon) claimLink(r *router, spec *policy.MadeLink, base *netLink) *heldLink {
	t := &d.addrs.links
	want := kernel.MadeLink{Base: base.Index, Type: kernel.KindMACVLAN, HardwareAddr: spec.MAC, Group: cmp.Or(spec.Group, base.Group),
		MTU: base.MTU, Master: d.net.vrfOf(base)}
	if spec.Kind == conf.LinkIPVLAN {
		want.Type, want.Flags = kernel.KindIPVLAN, uint16(spec.Mode)
	}
	want.Name = d.freeName(spec, want)
	v, isNew := t.get(want.Key())
	if there := d.net.made(v.key); isNew && there != nil {
		v.sent = there.Made()
		if d.isOurLink(there) {
			v.requested, v.present, v.had = true, true, true
		} else if t.foreign(v, there.Made()) {
			slog.Info(fmt.Sprintf("(%s) interface %s is there already, used as it is, and kept", r.conf.Name, there.Name),
				"instance", r.conf.Name, "interface", there.Name)
		}
	}
	held := v.requested || v.theirs
	if v.theirs {
		want = v.sent
	}
	if held && v.sent.Name == want.Name {
		want.Index, want.Up = v.sent.Index, v.sent.Up
		if d.upLink(v) != nil {
			d.linksUp[v.key] = true
		}
	} else { // it is made, in place of another one or not
		delete(d.linksUp, v.key)
		if !held {
			v.sent = want
		}
	}
	claim(v, r, conf.OnDeleteYield)
	t.acquire(v, want, r)
	return v
}

// follow has our links above the chosen ones follow their MTU and VRF, and be as they were
// made if another program has changed that. A link that is set down by hand stays so.
func (d *daemon) follow(chosen func(made, base *netLink) bool) {
	for key, v := range d.addrs.links.items {
		l, base := d.net.made(key), d.net.links[key.Base]
		if l == nil || base == nil || v.users == 0 || v.theirs || v.sent.Index != l.Index || !chosen(l, base) {
			continue
		}
		have, flags := l.Made(), v.sent.Flags
		if v.sent.Up && !have.Up {
			continue
		}
		v.sent.MTU, v.sent.Master, v.sent.Flags = have.MTU, have.Master, have.Flags
		want := &d.addrs.links.touch(v).want
		want.MTU, want.Master, want.Flags = base.MTU, d.net.vrfOf(base), flags
	}
}

// isOurLink reports whether we, or a predecessor, have made a link.
func (d *daemon) isOurLink(l *netLink) bool { return l.Alias == kernel.LinkAlias || d.ourLinks[l.Name] }

// freeName is the name of a link that is to be made: that of its configuration, unless
// a link of another program is called so.
func (d *daemon) freeName(spec *policy.MadeLink, want kernel.MadeLink) string {
	for name, i := spec.Name, 0; ; i++ {
		want.Name = name
		l := d.net.byName[name]
		if l == nil {
			return name
		}
		key, ok := l.MadeKey()
		if v := d.addrs.links.items[key]; ok && (key == want.Key() || v != nil && v.requested && !v.theirs || d.isOurLink(l)) {
			return name
		}
		if i == 0 {
			what := "a private macvlan above " + spec.Base + " with the address wanted"
			if spec.Kind == conf.LinkIPVLAN {
				what = "an l2 ipvlan above " + spec.Base
			}
			slog.Warn(fmt.Sprintf("interface %s already exists and is not %s; using another name", name, what), "interface", name)
		}
		for name = spec.Alternative(i); d.isNamed(name); name = spec.Alternative(i) {
			i++
		}
	}
}

// isNamed reports whether the configuration has a link of that name made.
func (d *daemon) isNamed(name string) bool {
	for _, links := range d.madeLinks {
		if slices.ContainsFunc(links, func(l policy.MadeLink) bool { return l.Name == name }) {
			return true
		}
	}
	return false
}

// misnamed reports whether a link has another name than it should, which is free now.
func (d *daemon) misnamed(m *made) bool {
	return m.item != nil && !m.item.theirs && m.item.sent.Name != m.spec.Name && d.net.byName[m.spec.Name] == nil
}

// linkMade takes up that a link which could be one of ours is there, or has changed.
func (d *daemon) linkMade(l *netLink, known bool, port uint32) {
	key, ok := l.MadeKey()
	v := d.addrs.links.items[key]
	if !ok || v == nil || d.net.made(key) != l {
		return
	}
	if !v.theirs && v.requested && l.Name != v.sent.Name {
		return // it is about to be replaced, or another program has renamed it
	}
	if !known {
		if !v.requested && !v.doubt && port != d.port {
			d.addrs.links.foreign(v, l.Made())
		}
		// Even if another program has set it up before, our mark is set with the request.
		v.sent.Index, v.sent.Up = l.Index, l.Flags&unix.IFF_UP != 0 && l.Alias == kernel.LinkAlias
		if v.dirty > 0 {
			w := d.addrs.links.touch(v)
			w.want.Index, w.want.Up = v.sent.Index, v.sent.Up
		}
		if v.users > 0 && v.owner != nil && v.requested && !v.sent.Up {
			kind := "VMAC"
			if l.Kind == kernel.KindIPVLAN {
				kind = l.Kind
			}
			slog.Info(fmt.Sprintf("(%s): Success creating %s interface %s", v.owner.conf.Name, kind, l.Name),
				"instance", v.owner.conf.Name, "interface", l.Name)
		}
	}
	if l.Flags&unix.IFF_UP != 0 {
		d.reportBase(v, l, key)
		d.linksUp[key] = true
	}
	d.settings.dirty = true
}

// reportBase has the kernel report the interface below a link that has come up
// (netlink_notify_msg). It is promiscuous now, of which the kernel reports nothing if the
// interface cannot filter addresses, as a bridge.
func (d *daemon) reportBase(v *heldLink, l *netLink, key kernel.LinkKey) {
	base := d.net.links[l.Base]
	if d.linksUp[key] || base == nil || v.owner == nil || v.owner.conf.Link == nil || !v.owner.conf.Link.NotifyMsg {
		return
	}
	d.addrs.reports = append(d.addrs.reports, kernel.Change{Op: kernel.Add, Object: kernel.LinkReport{Index: base.Index, Group: base.Group}})
}

// linkUnmade takes up that a link which could be one of ours is gone.
func (d *daemon) linkUnmade(l *netLink) {
	if d.net.byName[l.Name] == nil {
		d.settings.forget(l.Name)
	} else { // by now it is another one
		d.settings.dirty, d.settings.verify = true, true
	}
	key, ok := l.MadeKey()
	if !ok {
		return
	}
	if other := d.net.made(key); other != nil { // it was made before this event
		defer d.linkMade(other, false, d.port)
	}
	if v := d.addrs.links.items[key]; v != nil && v.sent.Index == l.Index {
		d.linkLost(v)
	}
}

// linkLost takes up that a link which we have, or use, is gone.
func (d *daemon) linkLost(v *heldLink) {
	t := &d.addrs.links
	v.sent.Index, v.sent.Up = 0, false
	switch {
	case v.users == 0:
		t.left(v)
	case v.theirs, v.requested: // made again, at a pace that no other program decides
		v.theirs, v.doubt, v.present, v.waits, v.requested = false, true, false, true, true
		t.later()
	}
}

// verifyLinks takes up a reading of all links, which shows what the jobs up to jobsDone
// have done: a link that came and went while events were lost has never been known.
func (d *daemon) verifyLinks(jobsDone uint64) {
	for _, v := range d.addrs.links.items {
		if v.requested && v.job <= jobsDone && d.net.made(v.key) == nil {
			d.linkLost(v)
		}
	}
}

// raiseLinks sets those links up whose settings are right.
func (d *daemon) raiseLinks(ready map[string]bool) {
	t := &d.addrs.links
	for key, v := range t.items {
		l := d.net.made(key)
		if v.users == 0 || l == nil || !ready[l.Name] || v.sent.Up && v.sent.Index == l.Index || !v.theirs && l.Name != v.sent.Name {
			continue
		}
		want := v.sent
		want.Index, want.Up = l.Index, true
		switch {
		case !v.theirs:
			t.touch(v).want = want
		case l.Flags&unix.IFF_UP == 0:
			v.sent = want
			d.addrs.begun++ // no request of ours to have it: only up
			d.addrs.exec.Submit(d.addrs.begun, []kernel.Change{{Op: kernel.Replace, Object: &want}})
		}
	}
}

// linksRefused informs those who wait for links that the kernel did not make.
func (d *daemon) linksRefused(c *kernel.Completion) {
	refused := map[*heldLink]bool{}
	for i := range c.Changes {
		if m, ok := c.Changes[i].Object.(*kernel.MadeLink); ok && c.Errs != nil && c.Errs[i] != nil {
			if v := d.addrs.links.items[m.Key()]; v != nil && v.failed {
				refused[v] = true
			}
		}
	}
	if len(refused) == 0 {
		return
	}
	concerned := func(r *router) bool {
		return slices.ContainsFunc(r.made, func(m made) bool { return refused[m.item] })
	}
	d.checkFaults(concerned)
	for _, r := range d.routers {
		if concerned(r) {
			d.startReady([]*router{r})
		}
	}
}

// addressLink is the link that an address of r is set on; nil: it does not exist.
func (d *daemon) addressLink(r *router, a *conf.Address) *netLink {
	base, isMade := policy.MadeFor(r.conf, a)
	if !isMade {
		return d.net.byName[base]
	}
	if m := r.madeAbove(base); m != nil {
		return m.at
	}
	return nil
}

// addressPlace is the name of the link that an address of r is or will be set on.
func (r *router) addressPlace(a *conf.Address) string {
	base, isMade := policy.MadeFor(r.conf, a)
	if m := r.madeAbove(base); isMade && m != nil && m.item != nil {
		return m.item.sent.Name
	}
	return base
}

// madeAbove is the macvlan of r above an interface; nil: it has none.
func (r *router) madeAbove(base string) *made {
	for i := range r.made {
		if m := &r.made[i]; m.spec.Base == base && m.spec.Kind == conf.LinkVMAC {
			return m
		}
	}
	return nil
}

// Made implements [policy.Machine].
func (m machine) Made(*conf.VRRPInstance) (name string, exists bool) {
	for i := range m.r.made {
		l := &m.r.made[i]
		if l.item == nil || m.d.awaits(l) {
			continue // the fault is another one, or none
		}
		if l.at == nil {
			return l.item.sent.Name, m.d.net.made(l.item.key) != nil
		}
	}
	return "", true
}

// listLinks notes which links a predecessor has made.
func (d *daemon) listLinks(links []kernel.MadeLink) {
	for _, l := range links {
		if d.ourLinks == nil {
			d.ourLinks = map[string]bool{}
		}
		d.ourLinks[l.Name] = true
	}
}

// inheritLinks takes over the links that a predecessor has made and that no router
// has claimed: they are removed when what is inherited is given up.
func (d *daemon) inheritLinks() {
	for key, all := range d.net.lookalikes {
		if l := all[0]; d.ourLinks[l.Name] && d.addrs.links.items[key] == nil {
			d.addrs.links.inherit(l.Made())
		}
	}
	d.ourLinks = nil // from now on the alias shows it
}

// unusedGroup is a group for links that are to be removed: no other link is in it.
func (d *daemon) unusedGroup() kernel.LinkGroup {
	for {
		group := rand.Uint32()
		used := false
		for _, l := range d.net.links {
			used = used || l.Group == group
		}
		if !used {
			return kernel.LinkGroup(group)
		}
	}
}
