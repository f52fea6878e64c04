package status

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/conf"
)

func TestServersOfTheTable(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.1")
	v := &VirtualServer{Conf: &conf.VirtualServer{Sorry: &conf.SorryServer{}}}
	if !v.Sorry() {
		t.Error("a service without quorum does not use its sorry server")
	}
	if v.Up = true; v.Sorry() {
		t.Error("a service with a quorum uses its sorry server")
	}
	if v.Up, v.Conf.Sorry = false, nil; v.Sorry() {
		t.Error("a service uses a sorry server that it does not have")
	}
	for _, test := range []struct{ pool, inhibit, want bool }{{true, false, true}, {false, true, true}, {false, false, false}} {
		r := &RealServer{InPool: test.pool, Conf: &conf.RealServer{Addr: addr, Port: 80, InhibitOnFail: test.inhibit}}
		if r.InTable() != test.want {
			t.Errorf("in the pool %v, inhibited %v: in the table %v", test.pool, test.inhibit, !test.want)
		}
		v.Conf.Protocol = conf.TCP
		if got, want := v.Name(r), "[192.0.2.1]:tcp:80"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestKeep checks which services, servers and checks are left of a snapshot of what has changed.
func TestKeep(t *testing.T) {
	since := time.Unix(1000, 0)
	server := func(age time.Duration) RealServer {
		return RealServer{Since: since.Add(-age), Checks: make([]Check, 2)}
	}
	s := &LVS{Services: []VirtualServer{
		{Since: since, Servers: []RealServer{server(time.Second)}},
		{Since: since.Add(-1), Servers: []RealServer{server(1), server(time.Hour)}},
		{Since: since.Add(-1), Servers: []RealServer{server(1), server(0), server(-time.Second)}},
	}}
	s.Keep(since)
	var got []int // checks of each server, a service after the other
	for _, v := range s.Services {
		for _, r := range v.Servers {
			got = append(got, len(r.Checks))
		}
		got = append(got, -1)
	}
	if want := []int{0, -1, 0, 2, 2, -1}; !slices.Equal(got, want) {
		t.Errorf("checks %v, want %v", got, want)
	}
}

func TestStateOfASession(t *testing.T) {
	for want, s := range map[string]Session{"unknown": {Up: true}, "up": {Known: true, Up: true}, "down": {Known: true}} {
		if got := s.State(); got != want {
			t.Errorf("%+v: %s, want %s", s, got, want)
		}
	}
}

// TestConfigured checks that before any state is known, each service, server and check
// exists, and the trackers that checks follow, once each.
func TestConfigured(t *testing.T) {
	file, session := &conf.TrackFile{Name: "followed"}, &conf.BFDInstance{Name: "neighbour"}
	checks := []*conf.Check{{File: &conf.FileCheck{File: "followed"}}, {BFD: &conf.BFDCheck{Name: "neighbour"}}, {BFD: &conf.BFDCheck{Name: "neighbour"}}}
	c := &conf.Config{
		Files:        []*conf.TrackFile{{Name: "other"}, file},
		BFDInstances: []*conf.BFDInstance{session},
		VirtualServers: []*conf.VirtualServer{
			{RealServers: []*conf.RealServer{{Checks: checks}, {}}}, {},
		},
	}
	got := Configured(c)
	if len(got.Services) != 2 || len(got.Services[0].Servers) != 2 || len(got.Services[0].Servers[0].Checks) != 3 || got.Services[0].Servers[0].Checks[1].Conf != checks[1] {
		t.Errorf("services %+v", got.Services)
	}
	if diff := cmp.Diff([]Session{{Name: "neighbour"}}, got.Sessions); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
	if len(got.Files) != 1 || got.Files[0].Conf != file {
		t.Errorf("files %+v", got.Files)
	}
}

func TestCompareOwners(t *testing.T) {
	owners := []Owner{{Kind: KindInstance, Name: "b"}, {Kind: KindRealServer, Name: "b"}, {Kind: KindGroup, Name: "z"}, {Kind: KindVirtualServer, Name: "a"}, {Kind: KindInstance, Name: "a"}}
	slices.SortFunc(owners, CompareOwners)
	var got []string
	for _, o := range owners {
		got = append(got, o.Kind+" "+o.Name)
	}
	if diff := cmp.Diff([]string{"Virtual Server a", "VRRP Sync Group z", "VRRP Instance a", "VRRP Instance b", "Real Server b"}, got); diff != "" {
		t.Error(diff)
	}
}
