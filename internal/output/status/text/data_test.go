package text

import (
	"testing"

	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/statustest"
)

// TestViews checks the dumps of a snapshot, word for word; -update records them.
func TestViews(t *testing.T) {
	s := statustest.VRRP(t, statustest.Load(t))
	before := *s
	before.Running, before.Notifications = false, nil
	lvs := statustest.LVS(t, statustest.LoadLVS(t))
	lvsBefore := status.Configured(lvs.Conf)
	for name, text := range map[string][]byte{
		"data": Data(s), "configuration": Data(&before), "stats": Stats(s), "readers": readers(s),
		"check": LVS(lvs), "check-configuration": LVS(lvsBefore),
	} {
		statustest.Golden(t, *update, "testdata/"+name+".golden", string(text))
	}
}

// readers returns what the parent process shows of its FIFOs.
func readers(s *status.VRRP) []byte {
	var t Writer
	Readers(&t, s.Notifications.FIFOs)
	return t.Bytes()
}

// TestNothing checks the dumps of a daemon without anything to show.
func TestNothing(t *testing.T) {
	c := statustest.Load(t)
	c.Instances, c.SyncGroups, c.Scripts, c.Files, c.Processes, c.BFDs = nil, nil, nil, nil, nil, nil
	if got := string(Stats(&status.VRRP{Conf: c})); got != "" {
		t.Errorf("statistics without a virtual router: %s", got)
	}
	if got := string(Data(&status.VRRP{Conf: c, Running: true})); got == "" {
		t.Error("no data")
	}
}
