package vrrpd

import (
	"strings"
	"testing"

	"keepalived-go/internal/proc/act"
	"keepalived-go/vrrp"
)

// acted returns the result of an act as JSON, or the text of its refusal.
func acted(t *testing.T, d *daemon, a act.Act) string {
	t.Helper()
	var got *act.Result
	d.act(&a, func(result any, err error) {
		r := act.Answer(result, err)
		got = &r
	})
	turnUntil(t, d, "a result of "+a.String(), func() bool { return got != nil })
	if err := got.Err(); err != nil {
		return err.Error()
	}
	return string(got.Body)
}

// TestActAnnounce checks that a master announces each of its addresses again on demand,
// even if it is configured not to repeat announcements.
func TestActAnnounce(t *testing.T) {
	quiet(t)
	c := patient(owners(2))
	c.Instances[0].GARP.Repeat = 0
	c.Instances[1].Priority = 100
	d, k := newMemoryDaemon(t, c)
	announce := act.Act{Kind: act.Announce, Name: c.Instances[1].Name}
	if got := acted(t, d, announce); !strings.Contains(got, " is BACKUP; only a master announces its addresses") {
		t.Error(got)
	}
	announce.Name = c.Instances[0].Name
	turnUntil(t, d, "master", func() bool { return d.routers[0].engine.State() == vrrp.Master && d.routers[0].vips[0].present })
	turnUntil(t, d, "its announcements", func() bool { return d.routers[0].announce.rounds == 0 })
	before := k.FramesSent()
	if got, want := acted(t, d, announce), `{"result":"`+announce.Name+` announces its addresses (1) again"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	turnUntil(t, d, "its announcements", func() bool { return d.routers[0].announce.rounds == 0 })
	if n := k.FramesSent() - before; n != 1 {
		t.Errorf("%d announcements", n)
	}
	announce.Name += "x"
	if got := acted(t, d, announce); !strings.Contains(got, "no vrrp_instance is called") || !strings.Contains(got, "did you mean") {
		t.Error(got)
	}
	if got := acted(t, d, act.Act{Kind: act.Reload, Name: c.Instances[0].Name}); !strings.Contains(got, "does not know it") {
		t.Error(got)
	}
}
