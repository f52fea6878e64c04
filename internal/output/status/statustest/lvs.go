package statustest

import (
	_ "embed"
	"testing"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/proc/act"
)

//go:embed lvs.conf
var lvsSource string

// LoadLVS returns the configuration of the snapshot that LVS makes.
func LoadLVS(t testing.TB) *conf.Config { return load(t, "lvs.conf", lvsSource) }

// LVS returns a snapshot of c: a service that has lost its quorum, a suspended one,
// and one that has its servers, with everything that a snapshot can hold. Until the
// test ends, the local zone is UTC.
func LVS(t testing.TB, c *conf.Config) *status.LVS {
	t.Helper()
	inUTC(t)
	ago := func(d time.Duration) time.Time { return At.Add(-d) }
	s := status.Configured(c)
	s.At, s.Running = At, true
	s.Files[0].Number = 4
	s.Sessions[0].Known = true

	group, dns, mark := &s.Services[0], &s.Services[1], &s.Services[2]
	group.Since, group.Quorum, group.Hysteresis, group.Sum, group.Alive = ago(time.Minute), 3, 1, 0, 0
	web := &group.Servers[0]
	web.Since, web.Weight, web.Failed = ago(time.Hour), 11, 1
	web.Checks[0] = status.Check{Conf: web.Checks[0].Conf, Active: true, Known: true, Attempts: 1234, Running: true,
		Last: status.Result{At: ago(1500 * time.Millisecond), Reason: "status 503\n   Up = yes", Page: 1, Took: 1234 * time.Microsecond}}
	web.Checks[1] = status.Check{Conf: web.Checks[1].Conf, Active: true, Up: true, Known: true, Weight: 8, Last: status.Result{At: ago(time.Hour), OK: true}}
	misc := &group.Servers[1]
	misc.Since, misc.Weight, misc.Failed = ago(time.Minute), 5, 1
	misc.Checks[0] = status.Check{Conf: misc.Checks[0].Conf, Up: true, Disabled: "/none does not exist"}
	misc.Checks[1] = status.Check{Conf: misc.Checks[1].Conf, Active: true, Known: true, Last: status.Result{At: ago(time.Minute)}}

	dns.Up, dns.Since, dns.Suspended, dns.Quorum, dns.Sum, dns.Alive = true, ago(time.Hour), true, 1, 1, 1
	name := &dns.Servers[0]
	name.Up, name.InPool, name.Since, name.Weight = true, true, ago(time.Hour), 1
	name.Checks[0].Up, name.Checks[0].Known, name.Checks[0].Attempts = true, true, 12
	name.Checks[0].Last = status.Result{At: ago(time.Minute), OK: true, Reason: "answer in 3 ms"}
	name.Checks[1].Up = true
	name.Intents = []act.Intent{
		{Kind: act.Weight, Name: "198.51.100.3", Value: 7, By: "uid 0, over the control socket", Since: ago(time.Hour).Unix()},
		{Kind: act.Drain, Name: "[192.0.2.110]:udp:53 198.51.100.3", Reason: "new disk", By: "uid 0, over the control socket", Since: ago(time.Minute).Unix(), Until: At.Add(time.Hour).Unix()},
	}

	mark.Up, mark.Since, mark.Quorum, mark.Sum, mark.Alive = true, ago(time.Second), 1, 1, 1
	tun := &mark.Servers[0]
	tun.Up, tun.InPool, tun.Since, tun.Weight = true, true, ago(time.Second), 1
	tun.Checks[0] = status.Check{Conf: tun.Checks[0].Conf, Active: true, Up: true, Known: true, Attempts: 3, Failures: 1,
		Next: At.Add(750 * time.Millisecond), Silent: 200 * time.Second, Last: status.Result{At: ago(time.Second), Reason: "connection refused"}}

	s.Table = status.Table{
		Unreachable: "open ipvs: operation not permitted", Services: 7, Waiting: 1,
		Refusing:   1,
		Refused:    []status.Refusal{{Change: "add 192.0.2.110:udp:53", Reason: "No such file or directory(2)"}},
		Repairs:    2,
		LastRepair: status.Repair{At: ago(10 * time.Second), Service: "192.0.2.100:tcp:80", Changes: "set destination 198.51.100.1:80 weight 3"},
		Timeouts:   status.Timeouts{TCP: 100 * time.Second, UDP: 30 * time.Second},
		Daemons:    []status.SyncRole{{Role: "backup", Interface: "eth0", ID: 7}},
	}
	s.Notifications = &status.Notifications{
		Owners: []status.Owner{
			{Kind: status.KindVirtualServer, Name: "[w]:0", Keyword: "quorum_up", Command: "/none/true up", Since: ago(time.Second), Waiting: 1},
			{Kind: status.KindRealServer, Name: "[198.51.100.1]:tcp:80 [w]:0",
				Disabled: []status.DisabledScript{{Keyword: "notify_down", Command: "/none/true down", Reason: "/none does not exist"}}},
		},
		FIFOs: []status.FIFO{{Keyword: "lvs_notify_fifo", Path: "/run/lvs.fifo", Written: 3}},
	}
	s.Loop = status.Loop{Turns: 99, Longest: 2 * time.Millisecond, Late: time.Millisecond}
	return s
}
