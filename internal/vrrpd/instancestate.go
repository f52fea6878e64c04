package vrrpd

import (
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/wire"
	"keepalived-go/vrrp"
)

// checkers is the name of the role of the health checks.
const checkers = "checkers"

// reportInstance reports the state of an instance to the health checks, if the
// synchronisation of connections follows it (lvs_sync_daemon).
func (d *daemon) reportInstance(r *router, s vrrp.State) {
	if sync := d.conf.Global.LVS.Sync; d.session == nil || sync == nil || sync.Instance != r.conf.Name {
		return
	}
	d.session.Send(link.Message{Kind: link.Report, Event: &link.Event{
		To: checkers, Subject: policy.InstanceState.Of(r.conf.Name), Body: wire.Append(nil, s == vrrp.Master),
	}})
}

// reportInstances reports again after a reload, which may have another instance
// followed.
func (d *daemon) reportInstances() {
	for _, r := range d.routers {
		d.reportInstance(r, r.engine.State())
	}
}
