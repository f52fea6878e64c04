package explain

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/statustest"
)

// TestProblems checks each kind of problem, with its severity and its sentence.
func TestProblems(t *testing.T) {
	s := &api.Status{
		Version: api.Version, At: now,
		VRRP: api.OfVRRP(statustest.VRRP(t, statustest.Load(t))),
		LVS:  api.OfLVS(statustest.LVS(t, statustest.LoadLVS(t))),
		BFD: &api.BFD{Snapshot: api.Snapshot{At: now}, Sessions: []api.Session{
			{Name: "up", State: "Up"}, {Name: "off", State: "AdminDown"}, {Name: "lost", Neighbour: "192.0.2.9", State: "Down", Diagnostic: "Control Detection Time Expired", SendError: true},
			{Name: "new", Neighbour: "192.0.2.8", State: "Down", Unknown: true},
		}},
		Node: api.Node{Host: "node-1", Stopping: true},
		Processes: []api.Process{
			{Name: "vrrp", Wanted: true, PID: 8, Serves: true, Deaths: 3}, {Name: "checkers", Wanted: true, Deaths: 1}, {Name: "bfd", Wanted: true, PID: 9}, {Name: "control", Wanted: true, PID: 10, Serves: true}, {Name: "snmp"},
		},
		Configuration: api.Configuration{File: "/etc/keepalived/keepalived.conf", Errors: 1,
			Refused: &api.Refusal{At: *before(time.Hour), Reasons: []string{"keepalived.conf:3: unknown keyword", "more", "yet more"}}},
	}
	s.VRRP.Stale, s.LVS.Stale = "no answer for 5s", "it does not run"
	s.VRRP.Instances[3].Addresses[0].Set = false
	s.VRRP.Notifications.Owners[0].Waiting, s.VRRP.Notifications.Owners[1].Failed = queued+1, true
	var got strings.Builder
	for _, p := range Problems(s) {
		fmt.Fprintf(&got, "%-8v %-21s %s: %s\n", p.Severity, p.Code, p.Subject, p.Text)
		if p.Code == "" || p.Subject == "" || !strings.HasSuffix(p.Text, ".") || strings.Contains(p.Text, "%!") {
			t.Errorf("%+v is no sentence with a code and a subject", p)
		}
	}
	statustest.Golden(t, *update, "testdata/problems.txt", got.String())
}

// TestSilent checks that a process that runs and has never answered is a problem.
func TestSilent(t *testing.T) {
	s := daemon()
	s.VRRP = nil
	if list := Problems(s); len(list) != 1 || list[0].Code != "silent" || list[0].Subject != "vrrp" || list[0].Severity != Critical {
		t.Errorf("problems: %+v", list)
	}
}

// TestNoProblem checks that an intended state is no problem.
func TestNoProblem(t *testing.T) {
	master := router(func(i *api.Instance) { i.State, i.Master, i.Held = "MASTER", nil, true; i.Addresses[0].Set = true })
	s := daemon(router(nil), master)
	s.Processes = append(s.Processes, api.Process{Name: "bfd"})
	s.VRRP.Trackers = []api.Tracker{{Kind: "track_script", State: "up"}, {Kind: "track_script", State: "unknown"}, {Kind: "track_file", State: "down"}}
	s.VRRP.Notifications = &api.Notifications{Owners: []api.Owner{{Name: "web", Waiting: 1}}, Mail: &api.Mail{}}
	s.LVS = &api.LVS{Services: []api.VirtualServer{{Name: "before the checks begin"}}}
	if list := Problems(s); len(list) > 0 || Worst(list) != OK {
		t.Errorf("problems: %+v", list)
	}
	if Worst([]Problem{{Severity: Warning}, {Severity: Critical}, {Severity: Warning}}) != Critical {
		t.Error("the worst is not the worst")
	}
}
