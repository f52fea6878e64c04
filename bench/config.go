package main

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"keepalived-go/internal/tool/lab"
)

// router is a vrrp_instance.
type router struct {
	name     string
	segment  int
	vrid     int
	priority int
	version  int
	interval time.Duration
	vips     []netip.Addr // the first is advertised, the others are excluded
	more     string       // additional lines
}

func (r router) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "vrrp_instance %s {\n  state BACKUP\n  interface eth%d\n  version %d\n  virtual_router_id %d\n  priority %d\n  advert_int %g\n",
		r.name, r.segment, r.version, r.vrid, r.priority, r.interval.Seconds())
	fmt.Fprintf(&b, "  virtual_ipaddress {\n    %v/32\n  }\n", r.vips[0])
	if len(r.vips) > 1 {
		b.WriteString("  virtual_ipaddress_excluded {\n")
		for _, a := range r.vips[1:] {
			fmt.Fprintf(&b, "    %v/32\n", a)
		}
		b.WriteString("  }\n")
	}
	b.WriteString(r.more + "}\n")
	return b.String()
}

// masterDown returns the Master_Down_Interval.
func (r router) masterDown() time.Duration {
	unit := r.interval
	if r.version == 2 {
		unit = time.Second
	}
	return 3*r.interval + time.Duration(256-r.priority)*unit/256
}

func config(routers ...router) string {
	var b strings.Builder
	b.WriteString("global_defs {\n  router_id bench\n}\n")
	for _, r := range routers {
		b.WriteString(r.String())
	}
	return b.String()
}

// perSegment is the number of instances that share an interface: there are 255 VRIDs.
const perSegment = 250

// many returns n version 3 instances at 1 s with one address each.
func many(n, priority int) []router {
	all := make([]router, n)
	for i := range all {
		k, j := i/perSegment, i%perSegment
		all[i] = router{
			name: fmt.Sprintf("VI_%d", i), segment: k, vrid: j + 1, priority: priority, version: 3,
			interval: time.Second, vips: []netip.Addr{lab.SegmentAddr(k, 1000+j)},
		}
	}
	return all
}

// addresses returns n addresses of segment 0.
func addresses(n int) []netip.Addr {
	all := make([]netip.Addr, n)
	for i := range all {
		all[i] = lab.SegmentAddr(0, 1000+i)
	}
	return all
}
