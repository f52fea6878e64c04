package test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestDumpOfServers checks that one signal to the parent makes each process write its own
// dump, and that the dump of the health checks has the reason why a server is down, and
// that the kernel of this machine has no load balancer.
func TestDumpOfServers(t *testing.T) {
	differs(t, "ends without a load balancer in the kernel")
	t.Parallel()
	s := newScene(t, "a")
	a := s.start("a", ours, configWith("state_dump_file "+s.path("a", "state")+"\njson_dump_file "+s.path("a", "out.json"), instance{}.at(100))+
		"virtual_server 10.0.0.201 80 {\n    protocol TCP\n    delay_loop 1\n    warmup 0\n    retry 0\n    sorry_server 10.0.0.9 80\n"+
		"    real_server 127.0.0.1 1 {\n        TCP_CHECK {\n            connect_timeout 1\n        }\n    }\n}\n")
	s.awaitOwner(vip, 10*time.Second, "a")
	data := s.dataWhen(a, s.path("a", "state_check"),
		" VS VIP = 10.0.0.201, VPORT = 80\n", "   quorum_state_up = 0\n", "   alive = 0\n   num failed checkers = 1\n",
		" [10.0.0.201]:tcp:80 -> [127.0.0.1]:tcp:1\n   Enabled = yes\n   Up = no\n   Has run = yes\n",
		" Reasons of [10.0.0.201]:tcp:80\n   Quorum = lost: weight 0, gained at 1+0=1", "   Clients go to = sorry server\n",
		"     TCP_CHECK of [127.0.0.1]:tcp:1 down, failed at ", "------< Kernel table >------\n", " Kernel entries = 1 virtual services, ",
	)
	theirs, own, _ := strings.Cut(data, "------< Reasons >------\n")
	_, keys := layout(theirs)
	ownBegins(t, own, keys)
	s.dataWhen(a, s.path("a", "state"), " VRRP Instance = VI_1\n")
	s.dataWhen(a, s.path("a", "state_parent"), "------< Global definitions >------\n")

	s.must(a.Signal(unix.Signal(36)))
	var dump struct {
		Services []struct {
			Name    string `json:"name"`
			Up      bool   `json:"quorum_up"`
			Servers []struct {
				Name   string `json:"name"`
				Checks []struct {
					Kind   string `json:"kind"`
					Reason string `json:"last_reason"`
				} `json:"checks"`
			} `json:"real_servers"`
		} `json:"virtual_servers"`
	}
	if !s.Until(10*time.Second, func() bool {
		b, err := os.ReadFile(s.path("a", "out_check.json"))
		return err == nil && json.Unmarshal(b, &dump) == nil && len(dump.Services) == 1
	}) {
		t.Fatal("no JSON dump of virtual servers")
	}
	if v := &dump.Services[0]; v.Name != "[10.0.0.201]:tcp:80" || v.Up || len(v.Servers) != 1 || v.Servers[0].Checks[0].Kind != "TCP_CHECK" {
		t.Errorf("%+v", dump)
	}
}
