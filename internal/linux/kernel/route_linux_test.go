package kernel

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/nl"
	"keepalived-go/internal/tool/lab/uml"
	"keepalived-go/internal/tool/lab/uml/umltest"
)

// routeModules lists the modules for encapsulations, and for routes and rules of a VRF.
var routeModules = []string{"dummy", "vrf", "mpls_iptunnel", "ila", "ipv6"}

// routesUnderTest returns routes, each with the words by which ip(8) sets the same. The
// link d0 has 192.0.2.1/24 and 2001:db8::1/64, d1 198.51.100.1/24.
func routesUnderTest(d0, d1 int) map[string]Route {
	via, via6 := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::2")
	r := func(dst string, change func(r *Route)) Route {
		route := Route{Type: unix.RTN_UNICAST, Protocol: RouteProto}
		route.Table, route.Dst = unix.RT_TABLE_MAIN, prefix(dst)
		if change != nil {
			change(&route)
		}
		return route
	}
	hop := func(h ...Hop) func(*Route) { return func(r *Route) { r.Hops = h } }
	typ := func(t uint8) func(*Route) { return func(r *Route) { r.Type = t } }
	toVia, toVia6 := Hop{Link: d0, Via: via}, Hop{Link: d0, Via: via6}
	metrics := func(m ...conf.RouteMetric) func(*Route) {
		return func(r *Route) { r.Hops, r.Metrics = []Hop{toVia}, m }
	}
	yes := true
	all := map[string]Route{
		"10.0.0.0/16 via 192.0.2.2":                          r("10.0.0.0/16", hop(toVia)),
		"10.0.1.0/24 via 192.0.2.2 dev d0":                   r("10.0.1.0/24", hop(Hop{Via: via})),
		"10.0.2.0/24 dev d0 scope link":                      r("10.0.2.0/24", func(r *Route) { r.Hops, r.Scope = []Hop{{Link: d0}}, 253 }),
		"10.0.3.0/24 via 203.0.113.1 dev d0 onlink":          r("10.0.3.0/24", hop(Hop{Link: d0, Via: netip.MustParseAddr("203.0.113.1"), OnLink: true})),
		"10.0.4.0/24 via 192.0.2.2 src 192.0.2.1 metric 7":   r("10.0.4.0/24", func(r *Route) { r.Hops, r.Source, r.Metric = []Hop{toVia}, netip.MustParseAddr("192.0.2.1"), 7 }),
		"10.0.5.0/24 via 192.0.2.2 table 100000 tos 0x10":    r("10.0.5.0/24", func(r *Route) { r.Hops, r.Table, r.TOS = []Hop{toVia}, 100000, 0x10 }),
		"10.0.6.0/24 via 192.0.2.2 realms 3/4":               r("10.0.6.0/24", hop(Hop{Link: d0, Via: via, Realms: 3<<16 | 4})),
		"10.0.7.0/24 via inet6 2001:db8::2 dev d0":           r("10.0.7.0/24", hop(toVia6)),
		"10.0.8.0/24 via 192.0.2.2 ttl-propagate enabled":    r("10.0.8.0/24", func(r *Route) { r.Hops, r.TTLPropagate = []Hop{toVia}, &yes }),
		"default via 192.0.2.2":                              r("0.0.0.0/0", hop(toVia)),
		"blackhole 10.1.0.0/24":                              r("10.1.0.0/24", typ(unix.RTN_BLACKHOLE)),
		"unreachable 10.1.1.0/24":                            r("10.1.1.0/24", typ(unix.RTN_UNREACHABLE)),
		"prohibit 10.1.2.0/24":                               r("10.1.2.0/24", typ(unix.RTN_PROHIBIT)),
		"throw 10.1.3.0/24 table 5":                          r("10.1.3.0/24", func(r *Route) { r.Type, r.Table = unix.RTN_THROW, 5 }),
		"local 10.1.4.1 dev lo scope host table local":       r("10.1.4.1/32", func(r *Route) { r.Type, r.Hops, r.Scope, r.Table = unix.RTN_LOCAL, []Hop{{Link: 1}}, 254, 255 }),
		"broadcast 10.1.5.255 dev d0 scope link table local": r("10.1.5.255/32", func(r *Route) { r.Type, r.Hops, r.Scope, r.Table = unix.RTN_BROADCAST, []Hop{{Link: d0}}, 253, 255 }),
		"multicast 239.1.0.0/16 dev d0 scope link":           r("239.1.0.0/16", func(r *Route) { r.Type, r.Hops, r.Scope = unix.RTN_MULTICAST, []Hop{{Link: d0}}, 253 }),
		"10.2.0.0/24 nexthop via 192.0.2.2 weight 3 nexthop via 198.51.100.2 dev d1 weight 1 realms 9 nexthop via 203.0.113.9 dev d1 onlink": r("10.2.0.0/24",
			hop(Hop{Via: via, Weight: 3}, Hop{Link: d1, Via: netip.MustParseAddr("198.51.100.2"), Realms: 9}, Hop{Link: d1, Via: netip.MustParseAddr("203.0.113.9"), OnLink: true})),
		"10.2.1.0/24 nexthop via inet6 2001:db8::2 dev d0 nexthop dev d1 weight 256": r("10.2.1.0/24", hop(toVia6, Hop{Link: d1, Weight: 256})),
		"10.3.0.0/24 via 192.0.2.2 mtu lock 1400 advmss 1300 hoplimit 9 reordering 5 window 60000 initcwnd 20 initrwnd 21": r("10.3.0.0/24", metrics(
			conf.RouteMetric{Metric: conf.MetricMTU, Value: 1400, Locked: true}, conf.RouteMetric{Metric: conf.MetricWindow, Value: 60000},
			conf.RouteMetric{Metric: conf.MetricAdvMSS, Value: 1300}, conf.RouteMetric{Metric: conf.MetricReordering, Value: 5},
			conf.RouteMetric{Metric: conf.MetricHopLimit, Value: 9}, conf.RouteMetric{Metric: conf.MetricInitCWnd, Value: 20},
			conf.RouteMetric{Metric: conf.MetricInitRWnd, Value: 21})),
		"10.3.1.0/24 via 192.0.2.2 rtt 400ms rttvar lock 300ms rto_min 250ms cwnd lock 30 ssthresh 40": r("10.3.1.0/24", metrics(
			conf.RouteMetric{Metric: conf.MetricRTT, Value: 400}, conf.RouteMetric{Metric: conf.MetricRTTVar, Value: 300, Locked: true},
			conf.RouteMetric{Metric: conf.MetricSSThresh, Value: 40}, conf.RouteMetric{Metric: conf.MetricCWnd, Value: 30, Locked: true},
			conf.RouteMetric{Metric: conf.MetricRTOMin, Value: 250, Locked: true})),
		"10.3.2.0/24 via 192.0.2.2 features ecn quickack 1 fastopen_no_cookie 1 congctl lock reno": r("10.3.2.0/24", func(r *Route) {
			metrics(conf.RouteMetric{Metric: conf.MetricFeatures, Value: 1}, conf.RouteMetric{Metric: conf.MetricQuickAck, Value: 1}, conf.RouteMetric{Metric: conf.MetricFastOpenNoCookie, Value: 1})(r)
			r.CongestionControl, r.CongestionControlLocked = "reno", true
		}),
		"2001:db8:1::/64 via 2001:db8::2":                     r("2001:db8:1::/64", hop(Hop{Via: via6})),
		"2001:db8:2::/64 via 2001:db8::2 dev d0 metric 5":     r("2001:db8:2::/64", func(r *Route) { r.Hops, r.Metric = []Hop{toVia6}, 5 }),
		"2001:db8:3::/64 dev d0 table 77":                     r("2001:db8:3::/64", func(r *Route) { r.Hops, r.Table = []Hop{{Link: d0}}, 77 }),
		"2001:db8:4::/64 via 2001:db8::2 dev d0 expires 1000": r("2001:db8:4::/64", func(r *Route) { r.Hops, r.Expires = []Hop{toVia6}, 1000 }),
		"2001:db8:5::/64 via 2001:db8::2 dev d0 pref high":    r("2001:db8:5::/64", func(r *Route) { r.Hops, r.Preference = []Hop{toVia6}, 1 }),
		"2001:db8:6::/64 via 2001:db8::2 dev d0 pref low mtu 1300": r("2001:db8:6::/64", func(r *Route) {
			r.Hops, r.Preference, r.Metrics = []Hop{toVia6}, 3, []conf.RouteMetric{{Metric: conf.MetricMTU, Value: 1300}}
		}),
		"2001:db8:7::/64 from 2001:db8:8::/64 via 2001:db8::2 dev d0 src 2001:db8::1": r("2001:db8:7::/64", func(r *Route) {
			r.Hops, r.From, r.Source = []Hop{toVia6}, prefix("2001:db8:8::/64"), netip.MustParseAddr("2001:db8::1")
		}),
		"2001:db8:9::/64 via 2001:db8:ffff::1 dev d0 onlink": r("2001:db8:9::/64", hop(Hop{Link: d0, Via: netip.MustParseAddr("2001:db8:ffff::1"), OnLink: true})),
		"2001:db8:a::/64 nexthop via 2001:db8::2 dev d0 weight 2 nexthop via fe80::9 dev d1": r("2001:db8:a::/64",
			hop(Hop{Link: d0, Via: via6, Weight: 2}, Hop{Link: d1, Via: netip.MustParseAddr("fe80::9")})),
		"blackhole 2001:db8:b::/64":   r("2001:db8:b::/64", typ(unix.RTN_BLACKHOLE)),
		"unreachable 2001:db8:c::/64": r("2001:db8:c::/64", typ(unix.RTN_UNREACHABLE)),
		"default via fe80::1 dev d0":  r("::/0", hop(Hop{Link: d0, Via: netip.MustParseAddr("fe80::1")})),

		"10.4.0.0/24 encap ip id 7 dst 192.0.2.9 src 192.0.2.1 ttl 3 tos 4 dev d0 scope link": r("10.4.0.0/24", func(r *Route) {
			r.Scope = 253
			r.Hops = []Hop{{Link: d0, Encap: &conf.Encap{Type: conf.EncapIP, ID: 7, Dst: netip.MustParseAddr("192.0.2.9"), Src: netip.MustParseAddr("192.0.2.1"), TTL: 3, TOS: 4}}}
		}),
		"2001:db8:d::/64 encap ip6 id 8 dst 2001:db8::9 hoplimit 5 tc 6 dev d0": r("2001:db8:d::/64",
			hop(Hop{Link: d0, Encap: &conf.Encap{Type: conf.EncapIP6, ID: 8, Dst: netip.MustParseAddr("2001:db8::9"), TTL: 5, TOS: 6}})),
		"10.4.1.0/24 nexthop encap ip id 1 dst 192.0.2.9 via 192.0.2.2 nexthop encap ip id 2 dst 192.0.2.8 via 198.51.100.2": r("10.4.1.0/24",
			hop(Hop{Via: via, Encap: &conf.Encap{Type: conf.EncapIP, ID: 1, Dst: netip.MustParseAddr("192.0.2.9")}},
				Hop{Via: netip.MustParseAddr("198.51.100.2"), Encap: &conf.Encap{Type: conf.EncapIP, ID: 2, Dst: netip.MustParseAddr("192.0.2.8")}})),
	}
	if uml.Inside() { // a kernel with modules, but a slow one
		return map[string]Route{
			"10.4.2.0/24 encap mpls 100/200 via 192.0.2.2": r("10.4.2.0/24",
				hop(Hop{Via: via, Encap: &conf.Encap{Type: conf.EncapMPLS, Labels: []uint32{100, 200}}})),
			// The identifier, the latter half of the address, has the type of ILA's local ones.
			"2001:db8:e:0:2000::1/128 encap ila 1:2:3:4 via 2001:db8::2 dev d0": r("2001:db8:e:0:2000::1/128",
				hop(Hop{Link: d0, Via: via6, Encap: &conf.Encap{Type: conf.EncapILA, Locator: 0x0001000200030004}})),
		}
	}
	return all
}

func setUpRoutes(t *testing.T) (d0, d1 int) {
	t.Helper()
	for _, name := range []string{"d0", "d1"} {
		ip(t, "link add "+name+" type veth peer name p"+name)
		ip(t, "link set "+name+" up")
		ip(t, "link set p"+name+" up")
	}
	ip(t, "addr add 192.0.2.1/24 dev d0")
	ip(t, "addr add 198.51.100.1/24 dev d1")
	ip(t, "addr add 2001:db8::1/64 dev d0 nodad")
	return link(t, "d0"), link(t, "d1")
}

// shown returns the output of ip(8), without flags that depend on the moment and without
// remaining lifetimes.
func shown(t *testing.T, args string) string {
	t.Helper()
	out, err := exec.Command("ip", strings.Fields("-d -j "+args)...).Output()
	if err != nil {
		t.Fatalf("ip %s: %v", args, err)
	}
	var list []map[string]any
	if len(out) > 0 {
		if err := json.Unmarshal(out, &list); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	var lines []string
	for _, m := range list {
		if _, ok := m["expires"]; ok {
			m["expires"] = "soon"
		}
		b, _ := json.Marshal(m)
		lines = append(lines, string(b))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func listed(t *testing.T) string {
	return shown(t, "-4 route show table all proto 18") + "\n" + shown(t, "-6 route show table all proto 18")
}

// each calls f for all cases on the test's own thread, which is in its namespace:
// subtests would run on others. A case for which f returns an error ends with it.
func each[C any](t *testing.T, cases map[string]C, f func(words string, c C) error) {
	t.Helper()
	for words, c := range cases {
		if err := f(words, c); err != nil {
			t.Errorf("%s: %v", words, err)
		}
	}
}

// testRoutes sets each route, reads it, and makes ip(8) set the same: the kernel has the
// same by both. Set a second time, the route exists; removed, nothing is left.
func testRoutes(t *testing.T) {
	newNetNS(t)
	d0, d1 := setUpRoutes(t)
	c := dial(t)
	nothing := listed(t)
	each(t, routesUnderTest(d0, d1), func(words string, wished Route) error {
		r := wished.Sealed()
		if errs := execute(t, []Change{{Add, &r}, {Add, &r}}); errs != nil {
			return errors.Join(errs...)
		}
		ours := listed(t)
		all, err := c.Routes(RouteProto)
		if err != nil || len(all) != 1 {
			return fmt.Errorf(words+":\n%d routes, %v", len(all), err)
		}
		if same, _ := all[0].Compare(&r); !same {
			t.Errorf(words+":\nread  %+v\nwished %+v", all[0], r)
		}
		body, _ := all[0].Encode(Add, nil)
		again, ok := DecodeRoute(body, nl.Names{})
		if same, _ := again.Compare(&all[0]); !ok || !same {
			t.Errorf(words+":\nencoded and decoded:\n%+v\n%+v", again, all[0])
		}
		if errs := execute(t, []Change{{Remove, &r}, {Remove, &r}}); errs != nil {
			return errors.Join(errs...)
		}
		if left := listed(t); left != nothing {
			t.Errorf(words+":\nleft: %s", left)
		}
		global := ""
		if r.Dst.Addr().Is4() && !strings.Contains(words, "scope") {
			global = " scope global"
		}
		before, hops, several := strings.Cut(words, " nexthop ")
		if several {
			hops = " nexthop " + hops
		}
		ip(t, "route add "+before+" proto 18"+global+hops)
		if theirs := listed(t); theirs != ours {
			t.Errorf(words+":\nby us:\n%s\nby ip(8):\n%s", ours, theirs)
		}
		if errs := execute(t, []Change{{Remove, &r}}); errs != nil {
			return errors.Join(errs...)
		}
		if left := listed(t); left != nothing {
			t.Errorf(words+":\nleft of what ip(8) has set: %s", left)
		}
		return nil
	})
}

func rulesUnderTest() map[string]Rule {
	r := func(priority uint32, change func(r *Rule)) Rule {
		rule := Rule{Priority: priority, Action: unix.FR_ACT_TO_TBL, Table: 100, Protocol: RouteProto}
		change(&rule)
		return rule
	}
	return map[string]Rule{
		"-4 from 10.0.0.0/8 table 100 priority 10":              r(10, func(r *Rule) { r.From = prefix("10.0.0.0/8") }),
		"-4 to 10.0.0.1 table 100000 priority 11":               r(11, func(r *Rule) { r.To, r.Table = prefix("10.0.0.1/32"), 100000 }),
		"-4 not from 10.0.0.0/8 tos 0x10 table 100 priority 12": r(12, func(r *Rule) { r.Not, r.From, r.TOS = true, prefix("10.0.0.0/8"), 0x10 }),
		"-4 fwmark 5 table 100 priority 13":                     r(13, func(r *Rule) { r.FWMark, r.FWMask = 5, 1<<32-1 }),
		"-4 fwmark 5/0xf table 100 priority 14":                 r(14, func(r *Rule) { r.FWMark, r.FWMask = 5, 15 }),
		"-4 iif d0 oif none9 table 100 priority 15":             r(15, func(r *Rule) { r.Iif, r.Oif = "d0", "none9" }),
		"-4 uidrange 0-0 table 100 priority 16":                 r(16, func(r *Rule) { r.UIDs = Span{true, 0, 0} }),
		"-4 ipproto tcp sport 1-2 dport 80-80 table 100 priority 17": r(17, func(r *Rule) {
			r.IPProto, r.SPort, r.DPort = 6, Span{true, 1, 2}, Span{true, 80, 80}
		}),
		"-4 tun_id 99 table 100 priority 18":                  r(18, func(r *Rule) { r.TunnelID = 99 }),
		"-4 from 10.0.0.0/8 realms 1/2 table 100 priority 19": r(19, func(r *Rule) { r.From, r.Realms = prefix("10.0.0.0/8"), 1<<16|2 }),
		"-4 table 100 suppress_prefixlength 0 priority 20":    r(20, func(r *Rule) { r.SuppressPrefixLength = 1 }),
		"-4 table 100 suppress_ifgroup 7 priority 21":         r(21, func(r *Rule) { r.SuppressGroup = 8 }),
		"-4 from 10.9.0.0/16 goto 40 priority 22":             r(22, func(r *Rule) { r.From, r.Action, r.Table, r.Goto = prefix("10.9.0.0/16"), unix.FR_ACT_GOTO, 0, 40 }),
		"-4 from 10.9.0.0/16 nop priority 23":                 r(23, func(r *Rule) { r.From, r.Action, r.Table = prefix("10.9.0.0/16"), unix.FR_ACT_NOP, 0 }),
		"-4 from 10.9.0.0/16 blackhole priority 24":           r(24, func(r *Rule) { r.From, r.Action, r.Table = prefix("10.9.0.0/16"), unix.FR_ACT_BLACKHOLE, 0 }),
		"-4 from 10.9.0.0/16 unreachable priority 25":         r(25, func(r *Rule) { r.From, r.Action, r.Table = prefix("10.9.0.0/16"), unix.FR_ACT_UNREACHABLE, 0 }),
		"-4 from 10.9.0.0/16 prohibit priority 26":            r(26, func(r *Rule) { r.From, r.Action, r.Table = prefix("10.9.0.0/16"), unix.FR_ACT_PROHIBIT, 0 }),
		"-6 from 2001:db8::/32 to 2001:db8:1::/64 table 100 priority 27": r(27, func(r *Rule) {
			r.IPv6, r.From, r.To = true, prefix("2001:db8::/32"), prefix("2001:db8:1::/64")
		}),
		"-6 fwmark 9 iif d0 table 100 priority 28": r(28, func(r *Rule) { r.IPv6, r.FWMark, r.FWMask, r.Iif = true, 9, 1<<32-1, "d0" }),
		"-6 l3mdev priority 29":                    r(29, func(r *Rule) { r.IPv6, r.L3MDev, r.Table = true, true, 0 }),
		"-4 l3mdev priority 30":                    r(30, func(r *Rule) { r.L3MDev, r.Table = true, 0 }),
	}
}

func listedRules(t *testing.T) string { return shown(t, "-4 rule") + "\n" + shown(t, "-6 rule") }

// testRules is testRoutes for rules.
func testRules(t *testing.T) {
	newNetNS(t)
	setUpRoutes(t)
	c := dial(t)
	nothing := listedRules(t)
	each(t, rulesUnderTest(), func(words string, r Rule) error {
		if errs := execute(t, []Change{{Add, &r}, {Add, &r}}); errs != nil {
			return errors.Join(errs...)
		}
		ours := listedRules(t)
		all, err := c.Rules()
		i := slices.IndexFunc(all, func(have Rule) bool { return have.Key() == r.Key() })
		if err != nil || i < 0 {
			return fmt.Errorf(words+":\n%v, %+v", err, all)
		}
		body, _ := all[i].Encode(Add, nil)
		if again, ok := DecodeRule(body, nl.Names{}); !ok || again != all[i] {
			t.Errorf(words+":\nencoded and decoded:\n%+v\n%+v", again, all[i])
		}
		if errs := execute(t, []Change{{Remove, &r}, {Remove, &r}}); errs != nil {
			return errors.Join(errs...)
		}
		if left := listedRules(t); left != nothing {
			t.Errorf(words+":\nleft: %s", left)
		}
		ip(t, words[:2]+" rule add "+words[3:]+" protocol 18")
		if theirs := listedRules(t); theirs != ours {
			t.Errorf(words+":\nby us:\n%s\nby ip(8):\n%s", ours, theirs)
		}
		if errs := execute(t, []Change{{Remove, &r}}); errs != nil {
			return errors.Join(errs...)
		}
		return nil
	})
}

func TestRoutes(t *testing.T) { testRoutes(t) }
func TestRules(t *testing.T)  { testRules(t) }

// TestRoutesElsewhere runs the same in a kernel that has MPLS and VRFs.
func TestRoutesElsewhere(t *testing.T) {
	umltest.Run(t, uml.Machine{Modules: routeModules}, func(t *testing.T) {
		t.Run("Routes", testRoutes)
	})
}

// TestForeignRoutesStay checks that a route of another program stays next to ours, and in
// place of ours.
func TestForeignRoutesStay(t *testing.T) {
	newNetNS(t)
	d0, _ := setUpRoutes(t)
	ip(t, "route add 10.0.0.0/16 via 192.0.2.3")
	ip(t, "rule add from 10.0.0.0/8 table 100 priority 10")
	before, rules := shown(t, "route"), listedRules(t)
	r := routesUnderTest(d0, 0)["10.0.0.0/16 via 192.0.2.2"].Sealed()
	rule := rulesUnderTest()["-4 from 10.0.0.0/8 table 100 priority 10"]
	if errs := execute(t, []Change{{Add, &r}, {Add, &rule}}); errs != nil {
		t.Fatal(errs)
	}
	if n := strings.Count(shown(t, "route"), `"10.0.0.0/16"`); n != 2 {
		t.Errorf("%d routes:\n%s", n, shown(t, "route"))
	}
	if errs := execute(t, []Change{{Remove, &rule}, {Remove, &r}}); errs != nil {
		t.Fatal(errs)
	}
	if after := shown(t, "route"); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if after := listedRules(t); after != rules {
		t.Errorf("before:\n%s\nafter:\n%s", rules, after)
	}
}

// FuzzDecodeRoutes checks that the decoders accept any bytes without a panic, and that a
// decoded object is the same after encoding.
func FuzzDecodeRoutes(f *testing.F) {
	for _, r := range routesUnderTest(2, 3) {
		body, _ := r.Encode(Add, nil)
		f.Add(body, false)
	}
	for _, r := range rulesUnderTest() {
		body, _ := r.Encode(Add, nil)
		f.Add(body, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, rule bool) {
		names := nl.Names{}
		if rule {
			if r, ok := DecodeRule(b, names); ok {
				_, _ = r.Text(), r.Attributes()
				body, _ := r.Encode(Add, nil)
				if again, ok := DecodeRule(body, names); !ok || again.Key() != r.Key() {
					t.Errorf("%+v\n%+v", r, again)
				}
			}
			return
		}
		if r, ok := DecodeRoute(b, names); ok {
			_, _ = r.Text(), r.Attributes()
			body, _ := r.Encode(Add, nil)
			if _, ok := DecodeRoute(body, names); !ok {
				t.Errorf("not decoded again: %s", fmt.Sprintf("%+v", r))
			}
		}
	})
}
