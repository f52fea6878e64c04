package kerneltest

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/nl"
)

// Links returns the links in the order in which they were made.
func (k *Kernel) Links() []kernel.Link {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.links)
}

// RefuseLinks has the kernel refuse new links with f's answer, unless that is nil.
func (k *Kernel) RefuseLinks(f func(l kernel.MadeLink) *nl.Error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refuseLink = f
}

// making answers a request to make, change or remove links; false: it is another one.
func (k *Kernel) making(m nl.Message) (refusal *nl.Error, ok bool) {
	switch m.Type {
	case unix.RTM_NEWLINK:
		if m.Flags&unix.NLM_F_CREATE != 0 {
			return k.makeLink(m), true
		}
		return k.changeLink(m), true
	case unix.RTM_SETLINK:
		return k.changeLink(m), true
	case unix.RTM_DELLINK:
		r, ok := decodeChange(m.Body)
		if !ok {
			return errno(unix.EINVAL), true
		}
		found := false
		for _, l := range slices.Clone(k.links) {
			if l.Group == r.group {
				found = true
				k.removeLink(l.Index, m)
			}
		}
		if !found {
			return errno(unix.ENODEV), true
		}
	default:
		return nil, false
	}
	return nil, true
}

func (k *Kernel) makeLink(m nl.Message) *nl.Error {
	want, ok := kernel.DecodeMadeLink(m.Body, nl.Names{})
	if !ok {
		return errno(unix.EINVAL)
	}
	if k.refuseLink != nil {
		if refusal := k.refuseLink(want); refusal != nil {
			return refusal
		}
	}
	base := -1
	for i := range k.links {
		k.lastIndex = max(k.lastIndex, k.links[i].Index)
		switch {
		case k.links[i].Name == want.Name:
			return errno(unix.EEXIST)
		case k.links[i].Index == want.Base:
			base = i
		}
	}
	if base < 0 {
		return errno(unix.ENODEV)
	}
	k.lastIndex++ // never one that another link had
	l := Ethernet(k.lastIndex, want.Name)
	l.Flags &^= unix.IFF_UP
	l.Base, l.Kind, l.Group, l.HardwareAddr, l.MTU = want.Base, want.Type, want.Group, want.HardwareAddr, k.links[base].MTU
	if l.Kind == kernel.KindMACVLAN {
		l.Mode = kernel.MACVLANPrivate
	} else {
		l.HardwareAddr, l.IPVLANFlags = k.links[base].HardwareAddr, want.Flags
	}
	l.Master = want.Master
	k.links = append(k.links, l)
	k.report(unix.RTM_NEWLINK, unix.RTNLGRP_LINK, m, appendLink(nil, l))
	return nil
}

func (k *Kernel) changeLink(m nl.Message) *nl.Error {
	r, ok := decodeChange(m.Body)
	if !ok {
		return errno(unix.EINVAL)
	}
	for i := range k.links {
		l := &k.links[i]
		if l.Index != r.index && (r.index != 0 || l.Name != r.name) {
			continue
		}
		l.Flags = l.Flags&^r.change | r.flags&r.change
		if r.alias != "" {
			l.Alias = r.alias
		}
		l.Group = r.group
		if r.mtu != 0 {
			l.MTU = r.mtu
		}
		if r.master != nil {
			l.Master = *r.master
		}
		k.report(unix.RTM_NEWLINK, unix.RTNLGRP_LINK, m, appendLink(nil, *l))
		return nil
	}
	return errno(unix.ENODEV)
}

// change is a request to change a link.
type change struct {
	index         int
	flags, change uint32
	name, alias   string
	group         uint32
	mtu           int  // 0: as it is
	master        *int // nil: as it is
}

func decodeChange(body []byte) (c change, ok bool) {
	if len(body) < unix.SizeofIfInfomsg {
		return c, false
	}
	c.index, c.flags, c.change = int(native.Uint32(body[4:])), native.Uint32(body[8:]), native.Uint32(body[12:])
	for attrs := body[unix.SizeofIfInfomsg:]; ; {
		typ, v, rest, ok := nl.NextAttr(attrs)
		if !ok {
			return c, true
		}
		attrs = rest
		switch typ {
		case unix.IFLA_IFNAME:
			c.name = strings.TrimRight(string(v), "\x00")
		case unix.IFLA_IFALIAS:
			c.alias = strings.TrimRight(string(v), "\x00")
		case unix.IFLA_GROUP:
			c.group = nl.Uint32(v)
		case unix.IFLA_MTU:
			c.mtu = int(nl.Uint32(v))
		case unix.IFLA_MASTER:
			c.master = new(int)
			*c.master = int(nl.Uint32(v))
		}
	}
}
