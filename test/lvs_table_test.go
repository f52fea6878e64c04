package test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// service returns a virtual server of two servers by NAT, with additional lines.
func service(address, protocol string, lines ...string) string {
	return virtual(address, append([]string{"protocol " + protocol, "lb_algo rr", "lb_kind NAT", server("10.9.N.1 80"), server("10.9.N.2 80", "weight 3")}, lines...)...)
}

func virtual(address string, lines ...string) string {
	return "virtual_server " + address + " {\n" + strings.Join(lines, "\n") + "\n}\n"
}

func server(address string, lines ...string) string {
	return "real_server " + address + " {\n" + strings.Join(lines, "\n") + "\n}"
}

func group(name string, lines ...string) string {
	return "virtual_server_group " + name + " {\n" + strings.Join(lines, "\n") + "\n}\n"
}

func global(lines ...string) string {
	return "global_defs {\n" + strings.Join(lines, "\n") + "\n}\n"
}

// lastService is at the end of the file: once it exists, so do the others.
var lastService = virtual("192.0.2.254 9", "protocol UDP", "lb_algo rr", "lb_kind NAT", server("192.0.2.253 9"))

// lvsFile is a configuration whose table is compared with that of the C daemon.
type lvsFile struct {
	name, config string
	empty        bool // the table has no entries

	// differs is the topic in docs/differences.md of the differences. ours and theirs are
	// the lines that only one of the tables has.
	differs      string
	ours, theirs []string
}

func lvsFiles() []lvsFile {
	files := []lvsFile{
		{name: "TCP", config: service("10.8.N.1 80", "TCP")},
		{name: "UDP", config: service("10.8.N.1 80", "UDP")},
		{name: "SCTP", config: service("10.8.N.1 80", "SCTP")},
		{name: "no protocol", config: virtual("10.8.N.1 80", "lb_algo rr", "lb_kind NAT", server("10.9.N.1 80"))},
		{name: "no scheduler", config: virtual("10.8.N.1 80", "protocol TCP", "lb_kind NAT", server("10.9.N.1 80"))},
		{name: "no method", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", server("10.9.N.1 80"))},
		{name: "no servers", empty: true, config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind NAT", "sorry_server 10.9.N.9 80")},
		{name: "IPv6", config: virtual("2001:db8:N::1 80", "protocol TCP", "lb_algo wrr", "lb_kind DR", server("2001:db8:N:1::1 80"), server("2001:db8:N:1::2 80", "weight 2"))},
		{name: "IPv6 NAT", config: virtual("2001:db8:N::1 80", "protocol TCP", "lb_algo wrr", "lb_kind NAT", server("2001:db8:N:1::1 8080"), server("2001:db8:N:1::2 81", "weight 2"))},
		{name: "IPv4 service, IPv6 servers by TUN", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind TUN", server("2001:db8:N:1::1 80"), server("10.9.N.1 80"))},
		{name: "fwmark", config: virtual("fwmark N7", "lb_algo rr", "lb_kind DR", server("10.9.N.1 80"), server("10.9.N.2 0"))},
		{name: "fwmark NAT", config: virtual("fwmark N7", "lb_algo rr", "lb_kind NAT", server("10.9.N.1 80"), server("10.9.N.2 0"))},
		{name: "fwmark with a protocol", config: virtual("fwmark N7", "protocol TCP", "lb_algo rr", "lb_kind DR", server("10.9.N.1 80"))},
		{name: "fwmark IPv6", config: virtual("fwmark N7", "lb_algo rr", "lb_kind DR", server("2001:db8:N:1::1 80"))},
		{name: "fwmark ip_family", config: virtual("fwmark N7", "ip_family inet6", "lb_algo rr", "lb_kind TUN", server("10.9.N.1 80"))},
		{name: "fwmark TUN IPv6", config: virtual("fwmark N7", "lb_algo rr", "lb_kind TUN", server("2001:db8:N:1::1 80"), server("2001:db8:N:1::2 80"))},
		{name: "fwmark TUN both families", config: virtual("fwmark N7", "lb_algo rr", "lb_kind TUN", server("2001:db8:N:1::1 80"), server("10.9.N.1 80"))},
		{name: "large fwmark", config: virtual("fwmark 4000000N", "lb_algo rr", "lb_kind DR", server("10.9.N.1 80"))},
		{name: "group", config: group("gN", "10.8.N.1 80", "10.8.N.2 81", "fwmark N9") + service("group gN", "TCP")},
		{name: "group with a range", config: group("gN", "10.8.N.1-4 80", "10.8.N.9 443") + service("group gN", "TCP")},
		{name: "group with a prefix", config: group("gN", "10.8.N.0/30 80") + service("group gN", "TCP")},
		{name: "group with an IPv6 range", config: group("gN", "2001:db8:N::1-4 80") + virtual("group gN", "protocol TCP", "lb_algo rr", "lb_kind DR", server("2001:db8:N:1::1 80"))},
		{name: "group with ports", config: group("gN", "10.8.N.1 80-83") + service("group gN", "TCP"), differs: "a range of ports in `virtual_server_group`",
			theirs: []string{"-A -t 10.8.N.1:80 -s rr", "-a -t 10.8.N.1:80 -r 10.9.N.1:80 -m -w 1", "-a -t 10.8.N.1:80 -r 10.9.N.2:80 -m -w 3", "thresholds TCP 10.8.N.1:80 -> 10.9.N.1:80 0 0 0 0", "thresholds TCP 10.8.N.1:80 -> 10.9.N.2:80 0 0 0 0", "tunnel TCP 10.8.N.1:80 -> 10.9.N.1:80 Masq n/a 1 0 0", "tunnel TCP 10.8.N.1:80 -> 10.9.N.2:80 Masq n/a 3 0 0"}},
		{name: "group DR", config: group("gN", "10.8.N.1 80", "10.8.N.2 443") + virtual("group gN", "protocol TCP", "lb_algo rr", "lb_kind DR", server("10.9.N.1 80"))},
		{name: "group of both families", config: group("gN", "10.8.N.1 80", "2001:db8:N::1 80") + virtual("group gN", "protocol TCP", "lb_algo rr", "lb_kind TUN", server("10.9.N.1 80"))},
		{name: "group used by TCP and UDP", config: group("gN", "10.8.N.1 53") + service("group gN", "TCP") + service("group gN", "UDP")},
		{name: "group of fwmarks", config: group("gN", "fwmark N3", "fwmark N4") + virtual("group gN", "lb_algo rr", "lb_kind DR", server("10.9.N.1 80"))},
		{name: "sh-port sh-fallback", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo sh", "sh-port", "sh-fallback", "lb_kind NAT", server("10.9.N.1 80"))},
		{name: "mh-port mh-fallback", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo mh", "mh-port", "mh-fallback", "lb_kind NAT", server("10.9.N.1 80"))},
		{name: "sh-port on rr", config: service("10.8.N.1 80", "TCP", "sh-port", "sh-fallback")},
		{name: "flags", config: service("10.8.N.1 80", "TCP", "flag-1", "flag-3")},
		{name: "flags on sh", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo sh", "flag-1", "flag-2", "lb_kind NAT", server("10.9.N.1 80"))},
		{name: "hashed", config: service("10.8.N.1 80", "TCP", "hashed")},
		{name: "DR", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind DR", server("10.9.N.1 80"), server("10.9.N.2 81"))},
		{name: "TUN", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind TUN", server("10.9.N.1 80"), server("10.9.N.2 81"))},
		{name: "TUN ipip", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind TUN type ipip", server("10.9.N.1 80"))},
		{name: "TUN gue", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind TUN type gue port 6080", server("10.9.N.1 80"))},
		{name: "TUN gue csum", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind TUN type gue port 6080 csum", server("10.9.N.1 80"))},
		{name: "TUN gue remcsum", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind TUN type gue port 6080 remcsum", server("10.9.N.1 80"))},
		{name: "TUN gre", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind TUN type gre", server("10.9.N.1 80"))},
		{name: "TUN gre csum", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind TUN type gre csum", server("10.9.N.1 80"))},
		{name: "method of a server", config: service("10.8.N.1 80", "TCP", server("10.9.N.3 80", "lvs_method DR"), server("10.9.N.4 80", "lvs_method TUN type gre"))},
		{name: "NAT server without a port", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind NAT", server("10.9.N.1"), server("10.9.N.2 8080"))},
		{name: "persistence", config: service("10.8.N.1 80", "TCP", "persistence_timeout 120")},
		{name: "persistence without a number", config: service("10.8.N.1 80", "TCP", "persistence_timeout")},
		{name: "persistence_granularity", config: service("10.8.N.1 80", "TCP", "persistence_timeout 50", "persistence_granularity 255.255.255.0")},
		{name: "persistence_granularity alone", config: service("10.8.N.1 80", "TCP", "persistence_granularity 255.255.0.0")},
		{name: "persistence_granularity as a length", config: service("10.8.N.1 80", "TCP", "persistence_timeout 50", "persistence_granularity 24"), differs: "`persistence_granularity 24`",
			ours:   []string{"-A -t 10.8.N.1:80 -s rr -p 50 -M 255.255.255.0"},
			theirs: []string{"-A -t 10.8.N.1:80 -s rr -p 50 -M 0.0.0.24"}},
		{name: "persistence_granularity IPv6", config: virtual("2001:db8:N::1 80", "protocol TCP", "lb_algo rr", "lb_kind DR", "persistence_timeout 50", "persistence_granularity 64", server("2001:db8:N:1::1 80"))},
		{name: "persistence_engine", config: service("10.8.N.1 5060", "UDP", "persistence_timeout 50", "persistence_engine sip")},
		{name: "persistence_engine alone", config: service("10.8.N.1 5060", "UDP", "persistence_engine sip")},
		{name: "ops", config: service("10.8.N.1 53", "UDP", "ops")},
		{name: "ops with persistence", config: service("10.8.N.1 53", "UDP", "ops", "persistence_timeout 50")},
		{name: "ops with TCP", config: service("10.8.N.1 53", "TCP", "ops")},
		{name: "ops with a fwmark", config: virtual("fwmark N7", "ops", "lb_algo rr", "lb_kind DR", server("10.9.N.1 80"))},
		{name: "port 0", config: service("10.8.N.1 0", "TCP")},
		{name: "port 0 with persistence", config: service("10.8.N.1 0", "TCP", "persistence_timeout 77")},
		{name: "no port", config: service("10.8.N.1", "TCP", "persistence_timeout 77")},
		{name: "weights", config: service("10.8.N.1 80", "TCP", server("10.9.N.3 80", "weight 0"), server("10.9.N.4 80", "weight 65535"))},
		{name: "weight 0 alone", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind NAT", server("10.9.N.1 80", "weight 0"))},
		{name: "weight of a service", config: service("10.8.N.1 80", "TCP", "weight 5", server("10.9.N.3 80"))},
		{name: "thresholds", config: service("10.8.N.1 80", "TCP", server("10.9.N.3 80", "uthreshold 100", "lthreshold 10"), server("10.9.N.4 80", "uthreshold 7"))},
		{name: "thresholds of a service", config: service("10.8.N.1 80", "TCP", "uthreshold 100", "lthreshold 20", server("10.9.N.3 80"))},
		{name: "lthreshold without uthreshold", config: service("10.8.N.1 80", "TCP", server("10.9.N.3 80", "lthreshold 10")), differs: "`lthreshold` without `uthreshold`, or above it",
			ours: []string{"-a -t 10.8.N.1:80 -r 10.9.N.3:80 -m -w 1", "thresholds TCP 10.8.N.1:80 -> 10.9.N.3:80 0 0 0 0", "tunnel TCP 10.8.N.1:80 -> 10.9.N.3:80 Masq n/a 1 0 0"}},
		{name: "quorum above the weights", config: service("10.8.N.1 80", "TCP", "quorum 9", "hysteresis 8", "sorry_server 10.9.N.9 80")},
		{name: "sorry server", config: service("10.8.N.1 80", "TCP", "quorum 2", "sorry_server 10.9.N.9 80")},
		{name: "sorry server, alpha", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind NAT", "alpha", "sorry_server 10.9.N.9 8080", server("10.9.N.1 80", misc))},
		{name: "sorry server without a port", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind NAT", "alpha", "sorry_server 10.9.N.9", server("10.9.N.1 80", misc)),
			ours:   []string{"-a -t 10.8.N.1:80 -r 10.9.N.9:80 -m -w 1", "thresholds TCP 10.8.N.1:80 -> 10.9.N.9:80 0 0 0 0", "tunnel TCP 10.8.N.1:80 -> 10.9.N.9:80 Masq n/a 1 0 0"},
			theirs: []string{"-a -t 10.8.N.1:80 -r 10.9.N.9:0 -m -w 1", "thresholds TCP 10.8.N.1:80 -> 10.9.N.9:0 0 0 0 0", "tunnel TCP 10.8.N.1:80 -> 10.9.N.9:0 Masq n/a 1 0 0"}}, // 2.2.7; 2.4.3 does the same as this daemon
		{name: "sorry server with another port by DR", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind DR", "alpha", "sorry_server 10.9.N.9 8080", server("10.9.N.1 80", misc))},
		{name: "sorry_server_lvs_method", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind NAT", "alpha", "sorry_server 10.9.N.9 80", "sorry_server_lvs_method DR", server("10.9.N.1 80", misc))},
		{name: "sorry_server_inhibit", config: service("10.8.N.1 80", "TCP", "sorry_server 10.9.N.9 80", "sorry_server_inhibit")},
		{name: "sorry_server_inhibit, alpha", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind NAT", "alpha", "sorry_server 10.9.N.9 80", "sorry_server_inhibit", server("10.9.N.1 80", misc))},
		{name: "alpha", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind NAT", "alpha", server("10.9.N.1 80", misc), server("10.9.N.2 80"))},
		{name: "alpha, inhibit_on_failure", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind NAT", "alpha", "inhibit_on_failure", server("10.9.N.1 80", misc), server("10.9.N.2 80"))},
		{name: "inhibit_on_failure of a server", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind NAT", "alpha", server("10.9.N.1 80", "inhibit_on_failure", misc), server("10.9.N.2 80", misc))},
		{name: "duplicate server", config: service("10.8.N.1 80", "TCP", server("10.9.N.1 80", "weight 9"))},
		{name: "duplicate service", config: service("10.8.N.1 80", "TCP") + virtual("10.8.N.1 80", "protocol TCP", "lb_algo wlc", "lb_kind NAT", server("10.9.N.5 80")), differs: "a virtual server that is defined twice",
			theirs: []string{"-a -t 10.8.N.1:80 -r 10.9.N.5:80 -m -w 1", "thresholds TCP 10.8.N.1:80 -> 10.9.N.5:80 0 0 0 0", "tunnel TCP 10.8.N.1:80 -> 10.9.N.5:80 Masq n/a 1 0 0"}},
		{name: "one address, two ports", config: service("10.8.N.1 80", "TCP") + service("10.8.N.1 443", "TCP") + service("10.8.N.1 80", "UDP")},
		{name: "server of another family", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind NAT", server("10.9.N.1 80"), server("2001:db8:N:1::1 80"))},
		{name: "unknown scheduler", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo foo", "lb_kind NAT", server("10.9.N.1 80"))},
		{name: "unknown method", config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo rr", "lb_kind FOO", server("10.9.N.1 80"))},
		{name: "old names", config: virtual("10.8.N.1 80", "protocol TCP", "lvs_sched wrr", "lvs_method DR", server("10.9.N.1 80"))},
	}
	for _, scheduler := range strings.Fields("rr wrr lc wlc lblc lblcr sh mh dh fo ovf sed nq twos") {
		files = append(files, lvsFile{name: "lb_algo " + scheduler, empty: scheduler == "twos" /* Debian's kernel has none */, config: virtual("10.8.N.1 80", "protocol TCP", "lb_algo "+scheduler, "lb_kind NAT", server("10.9.N.1 80"), server("10.9.N.2 80", "weight 2"))})
	}
	return files
}

// globalFiles returns configurations of features that are not specific to one service.
// The first one has the services of all other files.
func globalFiles() []lvsFile {
	return []lvsFile{
		{name: "global", config: global("lvs_timeouts tcp 7200 tcpfin 120 udp 60", "lvs_sync_daemon eth0 id 7 maxlen 1200 port 9000 ttl 3 group 224.0.0.90")},
		{name: "global, a part", config: global("lvs_timeouts tcpfin 30", "lvs_flush", "lvs_sync_daemon eth0 id 5")},
		// This kernel has no nftables for IPv4: the marks are compared here, the table of
		// nftables in internal/linux/fwmark.
		{name: "nftables_ipvs", config: global("nftables_ipvs") +
			group("w", "10.8.0.1 80", "10.8.0.2-4 81", "10.8.0.9 0") + service("group w", "TCP", "persistence_timeout 30") +
			group("six", "2001:db8::1 80", "2001:db8::2-5 443") + virtual("group six", "protocol TCP", "lb_algo rr", "lb_kind NAT", server("2001:db8:1::1 80")) +
			group("mix", "10.8.0.30 80", "fwmark 77") + virtual("group mix", "protocol TCP", "lb_algo rr", "lb_kind DR", server("10.9.0.1 80")) +
			group("two", "10.8.0.40 53") + service("group two", "TCP") + service("group two", "UDP") +
			virtual("10.8.0.50 80", "protocol TCP", "lb_algo rr", "lb_kind NAT", server("10.9.0.1 80"))},
	}
}

// misc is a check that never passes.
const misc = "MISC_CHECK {\nmisc_path \"/usr/bin/false\"\n}"

// testTables compares the table that this daemon makes in the kernel with that of the C
// daemon, for the same configuration.
func testTables(t *testing.T) {
	s := newScene(t, "own", "other")
	files := lvsFiles()
	var services strings.Builder
	for i := range files {
		files[i].number(100 + i)
		services.WriteString(files[i].config)
	}
	for i, global := range globalFiles() {
		config := global.config + lastService
		if i == 0 {
			config = global.config + services.String() + lastService
		}
		own, c := compareTables(s, config)
		t.Run(global.name, func(t *testing.T) {
			if i > 0 {
				global.compare(t, own, c)
				return
			}
			serviceless := func(line string) bool {
				return strings.Contains(line, ":") && !strings.Contains(line, "192.0.2.254:9") && !strings.HasPrefix(line, "sync ") && !strings.HasPrefix(line, "Timeout") || strings.Contains(line, " -f ") || strings.Contains(line, "FWM")
			}
			global.compare(t, slices.DeleteFunc(slices.Clone(own), serviceless), slices.DeleteFunc(slices.Clone(c), serviceless))
		})
		if i > 0 {
			continue
		}
		for i, file := range files {
			t.Run(file.name, func(t *testing.T) {
				of := regexp.MustCompile(fmt.Sprintf(`\b10\.[89]\.%[1]d\.|\b2001:db8:%[1]d:|(FWM|-f) (4000000)?%[1]d`, 100+i))
				without := func(line string) bool { return !of.MatchString(line) }
				file.compare(t, slices.DeleteFunc(slices.Clone(own), without), slices.DeleteFunc(slices.Clone(c), without))
			})
		}
	}
}

func (f *lvsFile) number(i int) {
	f.config = numbered(f.config, i)
	for _, lines := range [][]string{f.ours, f.theirs} {
		for j := range lines {
			lines[j] = numbered(lines[j], i)
		}
	}
}

// numbered returns the text with the number instead of each N, which no other word
// contains.
func numbered(text string, i int) string {
	return strings.NewReplacer("NAT", "NAT", "TUN", "TUN", "DNS", "DNS", "PING", "PING", "DOWN", "DOWN", "N", fmt.Sprint(i)).Replace(text)
}

// compare fails t unless exactly the named differences are found.
func (f *lvsFile) compare(t *testing.T, own, c []string) {
	if len(own) == 0 && len(c) == 0 && !f.empty {
		t.Error("neither has an entry")
	}
	if mine, theirs := minus(own, c), minus(c, own); !slices.Equal(mine, f.ours) || !slices.Equal(theirs, f.theirs) {
		t.Errorf("%s\nonly of ours:\n%s\nonly of the C daemon:\n%s\nboth:\n%s", f.config,
			strings.Join(mine, "\n"), strings.Join(theirs, "\n"), strings.Join(minus(own, mine), "\n"))
	}
	if f.differs == "" {
		return
	}
	differences, err := os.ReadFile("../docs/differences.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(differences), "\n| "+f.differs+" |") {
		t.Errorf("docs/differences.md has no %q", f.differs)
	}
}

// compareTables runs both daemons until their tables are filled, and stops them.
func compareTables(s *scene, config string) (mine, other []string) {
	s.Helper()
	var daemons []*lab.Daemon
	var tables [2][]string
	for i, p := range []lab.Program{ours, lab.C()} {
		daemons = append(daemons, s.start([]string{"own", "other"}[i], p, config, "-C"))
	}
	for i, d := range daemons {
		// The log is read first: each listing of the table costs several processes.
		filled := s.Until(30*time.Second, func() bool { return strings.Contains(d.LogText(), "for VS [192.0.2.254]:udp:9") }) &&
			s.Until(10*time.Second, func() bool {
				tables[i] = kernelTable(s, d.Node)
				return slices.ContainsFunc(tables[i], func(line string) bool { return strings.HasPrefix(line, "-a -u 192.0.2.254:9 ") })
			})
		if !filled {
			s.Errorf("the table is not filled by\n%s", d.LogText())
		}
		s.must(d.Signal(unix.SIGTERM))
	}
	for _, d := range daemons {
		if err := d.Wait(10 * time.Second); err != nil {
			s.Error(err)
		}
		if left := entries("", strings.Split(s.output(d.Node, "ipvsadm", "-Ln"), "\n")); len(left) > 0 {
			s.Errorf("%s left %v", d.Program.Name, left)
		}
	}
	return tables[0], tables[1]
}

// output returns the output of a program in the node.
func (s *scene) output(n *lab.Node, name string, args ...string) string {
	s.Helper()
	out, err := n.Run(name, args...)
	if err != nil {
		s.Fatalf("%s %s: %v %s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// minus returns the elements of a that b does not have.
func minus(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(line string) bool { return slices.Contains(b, line) })
}
