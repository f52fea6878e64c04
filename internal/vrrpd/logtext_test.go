package vrrpd

import (
	"testing"

	"keepalived-go/vrrp"
)

func TestCauseText(t *testing.T) {
	for _, c := range []struct {
		cause vrrp.Cause
		want  string
	}{
		{vrrp.Cause{Code: "link-down", Object: "eth0", Detail: "interface eth0 is down"}, "interface eth0 is down"},
		{vrrp.Cause{Code: "no-source", Object: "eth0", Detail: "no IPv4 address for interface eth0"}, "no IPv4 address for interface eth0"},
		{vrrp.Cause{Code: "track_script", Object: "chk", Detail: "timed out"}, "track_script chk: timed out"},
		{vrrp.Cause{Code: "track_script", Object: "d", Detail: "timed out"}, "track_script d: timed out"},
	} {
		if got := causeText(&c.cause); got != c.want {
			t.Errorf("%+v: %q, want %q", c.cause, got, c.want)
		}
	}
}
