// Package apitest has the state of a daemon for the tests of its views.
package apitest

import (
	"net/netip"
	"testing"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/statustest"
	"keepalived-go/vrrp"
)

// Daemon returns the state of a daemon with everything that a model can hold, much of
// which is wrong. Until the test ends, the local zone is UTC.
func Daemon(t testing.TB) *api.Status {
	v := statustest.VRRP(t, statustest.Load(t))
	v.Instances[0].Stats.Rejected[vrrp.RejectPassword] = 3
	ago := func(d time.Duration) *time.Time { at := statustest.At.Add(-d); return &at }
	next := statustest.At.Add(1500 * time.Millisecond)
	return &api.Status{
		Version: api.Version, At: statustest.At,
		Node: api.Node{Host: "node-1", Release: "2.4.3-go", PID: 7, Started: *ago(72 * time.Hour), Instance: "blue", NetNamespace: "dmz"},
		Processes: []api.Process{
			{Name: "vrrp", Wanted: true, PID: 8, Started: ago(72 * time.Hour), Serves: true},
			{Name: "checkers", Wanted: true, PID: 29, Started: ago(time.Hour), Serves: true, Deaths: 2},
			{Name: "bfd", Wanted: true, Deaths: 1, Next: &next},
			{Name: "control", Wanted: true, PID: 10, Started: ago(72 * time.Hour), Serves: true},
		},
		Intents: []api.Intent{{Kind: "hold", Name: "C", Reason: "new kernel", By: "uid 0, pid 99, over the control socket", Since: *ago(time.Hour), Until: ago(-time.Hour)}},
		Acts:    []api.PastAct{{At: *ago(time.Hour), Kind: "hold", Name: "C", Reason: "new kernel", By: "uid 0, pid 99, over the control socket"}},
		Configuration: api.Configuration{
			File: "/etc/keepalived/keepalived.conf", Read: *ago(24 * time.Hour), Reloads: 4, Errors: 1,
			Refused: &api.Refusal{At: *ago(10 * time.Minute), Reasons: []string{"keepalived.conf:3:5: unknown keyword prioriti", "keepalived.conf:9:1: missing }"}},
		},
		VRRP: api.OfVRRP(v),
		LVS:  api.OfLVS(statustest.LVS(t, statustest.LoadLVS(t))),
		BFD: api.OfBFD(&status.Sessions{At: statustest.At, List: []status.BFDSession{
			{
				Conf: &conf.BFDInstance{Name: "B", Neighbor: netip.MustParseAddr("192.0.2.9")}, State: "Up", RemoteState: "Init", Diag: "No Diagnostic", RemoteDiag: "Path Down",
				Discriminator: 1, Remote: 2, Tx: time.Second, RemoteTx: 2 * time.Second, Detection: 3 * time.Second, Seen: statustest.At,
				Sent: 4, Received: 5, Ups: 6, Downs: 7, Dropped: []status.Count{{Name: "ttl", N: 8}}, SendError: true,
			},
			{Conf: &conf.BFDInstance{Name: "C", Neighbor: netip.MustParseAddr("192.0.2.8")}, State: "Down", Diag: "Control Detection Time Expired", Unknown: true},
		}}),
	}
}
