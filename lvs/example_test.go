package lvs_test

import (
	"fmt"
	"net/netip"
	"time"

	"keepalived-go/lvs"
)

// A driver gives results of checks to an engine, reports its actions, and applies
// the changes to the kernel.
func Example() {
	addr := netip.MustParseAddrPort
	e := lvs.New()
	var actions []lvs.Action
	step := func(now time.Duration, ev lvs.Event) {
		actions = e.Step(now, ev, actions[:0])
		for _, a := range actions {
			fmt.Println(a)
		}
		for entry := range e.Changes() {
			fmt.Println("    table:", entry.Endpoint, entry.Destinations)
		}
	}
	step(0, lvs.Event{Kind: lvs.Configure, Config: &lvs.Config{Services: []lvs.Service{{
		ID: lvs.ServiceID{Endpoint: lvs.Endpoint{Protocol: lvs.TCP, Addr: addr("192.0.2.1:80")}},
		Servers: []lvs.RealServer{
			{Addr: addr("10.0.0.2:80"), Weight: 1, Checks: []lvs.Check{{ID: 1, Key: "TCP_CHECK"}}},
			{Addr: addr("10.0.0.3:80"), Weight: 1, Checks: []lvs.Check{{ID: 2, Key: "TCP_CHECK"}}},
		},
		Sorry: &lvs.RealServer{Addr: addr("10.0.0.9:80"), Weight: 1},
	}}}})
	step(time.Second, lvs.Event{Kind: lvs.CheckResult, Check: 1, Up: false})
	step(2*time.Second, lvs.Event{Kind: lvs.CheckResult, Check: 2, Up: false})
	// Output:
	// [192.0.2.1]:tcp:80 quorum-gained sum=2 quorum=1 hysteresis=0 reason=start
	// [192.0.2.1]:tcp:80 check-activated 10.0.0.2:80 check=1
	// [192.0.2.1]:tcp:80 check-activated 10.0.0.3:80 check=2
	//     table: [192.0.2.1]:tcp:80 [10.0.0.2:80 NAT 1 10.0.0.3:80 NAT 1]
	// [192.0.2.1]:tcp:80 check-changed 10.0.0.2:80 check=1 up=false server-changed=true reason=check
	// [192.0.2.1]:tcp:80 server-down 10.0.0.2:80 change=entry reason=check
	//     table: [192.0.2.1]:tcp:80 [10.0.0.3:80 NAT 1]
	// [192.0.2.1]:tcp:80 check-changed 10.0.0.3:80 check=2 up=false server-changed=true reason=check
	// [192.0.2.1]:tcp:80 server-down 10.0.0.3:80 change=entry reason=check
	// [192.0.2.1]:tcp:80 quorum-lost sum=0 quorum=1 hysteresis=0 reason=check
	// [192.0.2.1]:tcp:80 sorry-added 10.0.0.9:80 change=entry reason=check
	// [192.0.2.1]:tcp:80 pool-removed reason=check
	//     table: [192.0.2.1]:tcp:80 [10.0.0.9:80 NAT 1]
}
