package vrrpd

import (
	"strings"
	"testing"

	"keepalived-go/conf"
	"keepalived-go/internal/proc/act"
	"keepalived-go/vrrp"
)

// TestActTestNotify checks which states can be tested for which names, and which requests
// are refused.
func TestActTestNotify(t *testing.T) {
	quiet(t)
	c := patient(owners(2))
	one, two := c.Instances[0], c.Instances[1]
	one.Notify = &conf.Notify{Any: command("/no/such/program"), PriorityChanges: true}
	c.SyncGroups = []*conf.SyncGroup{{Name: "G", Members: []string{two.Name}, Notify: &conf.Notify{Fault: command("/no/such/program")}}}
	d, _ := newMemoryDaemon(t, c)
	turnUntil(t, d, "masters", func() bool {
		return d.routers[0].engine.State() == vrrp.Master && d.routers[1].engine.State() == vrrp.Master
	})
	for _, test := range []struct{ name, state, want string }{
		{one.Name, "", `{"name":"` + one.Name + `","state":"MASTER","present":"MASTER","reports":[{"keyword":"notify","to":"/no/such/program INSTANCE ` + one.Name + ` MASTER 255","result":"could not be started: `},
		{one.Name, "backup", `"state":"BACKUP","present":"MASTER"`},
		{one.Name, "DELETED", `INSTANCE ` + one.Name + ` FAULT 255`},
		{one.Name, "MASTER_PRIORITY", "nobody is notified of MASTER_PRIORITY of " + one.Name + ": neither a script nor a FIFO nor mail"},
		{one.Name, "UP", one.Name + ` reports no "UP"; expected MASTER, BACKUP`},
		{two.Name, "", "nobody is notified of MASTER of " + two.Name},
		{"G", "FAULT", `"name":"G","state":"FAULT","present":"MASTER","reports":[{"keyword":"notify_fault"`},
		{"G", "", "nobody is notified of MASTER of G"},
		{"G", "MASTER_PRIORITY", `G reports no "MASTER_PRIORITY"`},
		{"H", "", "no vrrp_instance or vrrp_sync_group is called"},
	} {
		if got := acted(t, d, act.Act{Kind: act.TestNotify, Name: test.name, State: test.state}); !strings.Contains(got, test.want) {
			t.Errorf("%s %s: %s\nwant %s", test.name, test.state, got, test.want)
		}
	}
}
