package vrrpd

import (
	"fmt"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/proc/act"
	"keepalived-go/vrrp"
)

// act does what a client has asked for.
func (d *daemon) act(a *act.Act, reply act.Reply) {
	r, err := d.named(a.Name)
	if err != nil {
		reply(nil, err)
		return
	}
	switch a.Kind {
	case act.Announce:
		reply(d.announce(r))
	default:
		reply(nil, act.Refuse(act.Invalid, "the VRRP process does not know it"))
	}
}

// named is the virtual router that a client names.
func (d *daemon) named(name string) (*router, error) {
	names := make([]string, 0, len(d.routers))
	for _, r := range d.routers {
		if r.conf.Name == name {
			return r, nil
		}
		names = append(names, r.conf.Name)
	}
	return nil, act.Refuse(act.Unknown, "%s", conf.Missing("vrrp_instance", name, names))
}

// announce announces the addresses of a master once more.
func (d *daemon) announce(r *router) (*api.Done, error) {
	if r.engine.State() != vrrp.Master || !r.held {
		return nil, act.Refuse(act.Impossible, "%s is %v; only a master announces its addresses", r.conf.Name, r.engine.State())
	}
	d.announceAddresses(r, max(r.conf.GARP.Repeat, 1), false)
	return &api.Done{Result: fmt.Sprintf("%s announces its addresses (%d) again", r.conf.Name, len(r.vips))}, nil
}
