package table

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/output/status"
	"keepalived-go/lvs/ipvs"
	"keepalived-go/lvs/ipvs/ipvstest"
)

// TestStatus checks that Status reports refusals of the kernel, repairs and settings as
// long as they apply.
func TestStatus(t *testing.T) {
	logtest.Capture(t)
	k := ipvstest.New()
	table := open(t, k, nil)
	table.Configure(Settings{
		Timeouts:    ipvs.Timeouts{TCP: 100},
		Daemons:     []ipvs.Daemon{{Role: ipvs.Backup, Interface: "eth0", ID: 7}},
		Synchronise: true,
	})
	k.Refuse(func(m ipvs.Message) error {
		if m.Destination != nil && m.Destination.Addr == addr(1001) {
			return unix.ERANGE
		}
		return nil
	})
	table.Set([]Row{{Service: service(1), Destinations: destinations(1)}, {Service: service(2), Destinations: destinations(1, 2)}})
	is := func(what string, f func(s *status.Table) bool) {
		t.Helper()
		await(t, what, func() bool {
			s := table.Status()
			return f(&s)
		})
	}
	is("a refusal", func(s *status.Table) bool {
		return s.Services == 2 && s.Waiting == 1 && s.Refusing == 1 && strings.Contains(s.Refused[0].Change, "10.0.3.233") && s.Refused[0].Reason != ""
	})
	is("settings", func(s *status.Table) bool {
		return s.Timeouts == status.Timeouts{TCP: 100 * time.Second} && len(s.Daemons) == 1 &&
			s.Daemons[0] == status.SyncRole{Role: "backup", Interface: "eth0", ID: 7}
	})
	if s := table.Status(); s.Repairs != 0 || !s.LastRepair.At.IsZero() || s.Unreachable != "" {
		t.Errorf("%+v", s)
	}
	// A change that is not wanted any more is not reported as refused.
	table.Set([]Row{{Service: service(2), Destinations: destinations(1)}})
	is("no refusal of what is not wanted", func(s *status.Table) bool { return s.Refusing == 0 })
	table.Set([]Row{{Service: service(2), Destinations: destinations(1, 2)}})
	is("another refusal", func(s *status.Table) bool { return s.Refusing == 1 })
	k.Refuse(nil)
	is("no refusal", func(s *status.Table) bool { return s.Waiting == 0 && s.Refusing == 0 && s.Refused == nil })
	if err := k.Change(ipvs.Change{Op: ipvs.Remove, Service: service(1)}); err != nil {
		t.Fatal(err)
	}
	is("a repair", func(s *status.Table) bool {
		return s.Repairs == 1 && s.LastRepair.Service == "10.0.0.1:tcp:80" && s.LastRepair.Changes != "" && !s.LastRepair.At.IsZero()
	})
}

// TestStatusUnreachable checks that without the module Status reports the reason until
// the module is loaded, and that it never waits for the kernel.
func TestStatusUnreachable(t *testing.T) {
	logtest.Capture(t)
	k := ipvstest.New()
	k.SetLoaded(false)
	table := open(t, k, nil)
	table.Set([]Row{{Service: service(1)}})
	await(t, "the reason", func() bool { return table.Status().Unreachable != "" })
	k.SetLoaded(true)
	await(t, "the kernel", func() bool { s := table.Status(); return s.Unreachable == "" && s.Services == 1 && s.Waiting == 0 })

	release := k.Hang()
	table.Set([]Row{{Service: service(2)}})
	await(t, "a kernel that hangs", func() bool { return k.Waiting() > 0 })
	if s := table.Status(); s.Services == 0 {
		t.Errorf("%+v", s)
	}
	release()
}
