package test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
)

// instance is a vrrp_instance of a configuration. Zero fields get defaults that suit the
// tests: version 3, adverts every 0.1 s, one address on eth0.
type instance struct {
	Name     string
	State    string
	Iface    string
	VRID     int
	Priority int
	Version  int
	Interval time.Duration
	VIPs     []string // addresses with their options
	Excluded []string
	More     string // further lines
}

var (
	vip  = lab.SegmentAddr(0, 1000)
	vip2 = lab.SegmentAddr(0, 1001)
	vip6 = lab.SegmentAddr6(0, 1000)
)

func (in instance) interval() time.Duration {
	if in.Interval != 0 {
		return in.Interval
	}
	if in.Version == 2 {
		return time.Second
	}
	if testing.Short() { // a daemon slowed by the race detector is then less often silent for longer than peers wait
		return 300 * time.Millisecond
	}
	return 100 * time.Millisecond
}

func (in instance) String() string {
	or := func(s, other string) string {
		if s == "" {
			return other
		}
		return s
	}
	var b strings.Builder
	fmt.Fprintf(&b, "vrrp_instance %s {\n", or(in.Name, "VI_1"))
	fmt.Fprintf(&b, "    state %s\n    interface %s\n", or(in.State, "BACKUP"), or(in.Iface, "eth0"))
	fmt.Fprintf(&b, "    version %d\n", max(in.Version, 2+btoi(in.Version == 0)))
	fmt.Fprintf(&b, "    virtual_router_id %d\n    priority %d\n", in.vrid(), in.Priority)
	fmt.Fprintf(&b, "    advert_int %g\n", in.interval().Seconds())
	vips := in.VIPs
	if vips == nil {
		vips = []string{vip.String() + "/16"}
	}
	fmt.Fprintf(&b, "    virtual_ipaddress {\n        %s\n    }\n", strings.Join(vips, "\n        "))
	if in.Excluded != nil {
		fmt.Fprintf(&b, "    virtual_ipaddress_excluded {\n        %s\n    }\n", strings.Join(in.Excluded, "\n        "))
	}
	if in.More != "" {
		fmt.Fprintf(&b, "    %s\n", strings.ReplaceAll(in.More, "\n", "\n    "))
	}
	b.WriteString("}\n")
	return b.String()
}

func (in instance) vrid() int { return max(in.VRID, 51*btoi(in.VRID == 0)) }

// at returns the instance with another priority.
func (in instance) at(priority int) instance {
	in.Priority = priority
	return in
}

// config returns a configuration with these instances.
func config(list ...instance) string { return configWith("", list...) }

// configWith returns a configuration with these instances and lines in global_defs.
func configWith(global string, list ...instance) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global_defs {\n    router_id lab\n    %s\n}\n", strings.ReplaceAll(global, "\n", "\n    "))
	for _, in := range list {
		b.WriteString(in.String())
	}
	return b.String()
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }
