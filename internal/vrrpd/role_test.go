package vrrpd

import (
	"testing"
	"time"

	"keepalived-go/conf"
)

// TestShareOfVRRP checks that the VRRP process gets its part of a configuration, and that
// the configuration itself is not changed.
func TestShareOfVRRP(t *testing.T) {
	c := &conf.Config{
		Instances:      []*conf.VRRPInstance{{Name: "VI_1"}, {Name: "VI_2"}},
		BFDs:           []*conf.TrackBFD{{}},
		VirtualServers: []*conf.VirtualServer{{}},
		ServerGroups:   []*conf.ServerGroup{{}},
		TLSClient:      &conf.TLSClient{},
		BFDInstances:   []*conf.BFDInstance{{}},
	}
	c.Global.VRRP.RTPriority, c.Global.VRRPProcessName = 12, "mine"
	if share(c).Keeps || !share(&conf.Config{StaticRules: make([]conf.Rule, 1)}).Keeps {
		t.Error("static entries, and they alone, need the process without virtual routers")
	}
	s := Role.Share(c)
	part := s.Config
	if s.Units != 2 || len(part.Instances) != 2 || len(part.BFDs) != 1 || s.Limits.RTPriority != 12 || s.ProcessName != "mine" {
		t.Errorf("the share lacks what is VRRP's: %+v", s)
	}
	if part.VirtualServers != nil || part.ServerGroups != nil || part.TLSClient != nil || part.BFDInstances != nil {
		t.Errorf("the share has what belongs to other roles: %+v", part)
	}
	if len(c.VirtualServers) != 1 || len(c.ServerGroups) != 1 || c.TLSClient == nil || len(c.BFDInstances) != 1 {
		t.Error("the configuration of the others was changed")
	}
}

// TestShareMayStay checks that the addresses of a process that has ended may stay until
// the first peer could take over from its quickest virtual router.
func TestShareMayStay(t *testing.T) {
	for _, tt := range []struct {
		instances []*conf.VRRPInstance
		want      time.Duration
	}{
		{nil, 0},
		{[]*conf.VRRPInstance{{DownTimerAdverts: 3, AdvertInterval: time.Second}}, 2 * time.Second},
		{[]*conf.VRRPInstance{{DownTimerAdverts: 3, AdvertInterval: time.Second}, {DownTimerAdverts: 5, AdvertInterval: 10 * time.Millisecond},
			{DownTimerAdverts: 10, AdvertInterval: time.Second}}, 40 * time.Millisecond},
		{[]*conf.VRRPInstance{{DownTimerAdverts: 1, AdvertInterval: time.Second}}, time.Millisecond}, // not unlimited
	} {
		if got := share(&conf.Config{Instances: tt.instances}).MayStay; got != tt.want {
			t.Errorf("%d instances: %v, want %v", len(tt.instances), got, tt.want)
		}
	}
}
