package test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
	"keepalived-go/internal/tool/lab/uml"
	"keepalived-go/internal/tool/lab/uml/umltest"
	"keepalived-go/internal/tool/required"
)

// balancer is a machine whose kernel balances load, and has VRFs and bonds.
var balancer = uml.Machine{
	Modules: []string{"ip_vs", "veth", "bridge", "dummy", "nf_tables", "ipip", "ip_gre", "sit", "ip6_tunnel", "fou", "vrf", "mpls_iptunnel", "ila", "ipvlan", "macvlan", "bonding"},
	Memory:  384,
	Timeout: 10 * time.Minute,
}

// TestBalancer runs all tests that need a load balancer, or another module, in the
// kernel, in two machines: each has one processor.
func TestBalancer(t *testing.T) {
	differs(t, "is what this one is compared with")
	// Not parallel to others: in a machine that waits for a processor, servers fail.
	if testing.Short() {
		required.Excluded(t, noRace)
	}
	machine := func(name string, run func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			umltest.Run(t, balancer, run)
		})
	}
	machine("Director", func(t *testing.T) {
		t.Run("Tables", testTables)
		t.Run("Traffic", testTraffic)
		t.Run("Links", testMadeLinks)
		t.Run("Readme", testReadme)
		t.Run("Objects", testPoolObjects)
		t.Run("BFD", testBFDCheck)
		t.Run("Network", testNetworkLikeC)
		t.Run("Pair", testPair)
		t.Run("Faults", testFaults)
		t.Run("Namespaces", testNamespaces)
	})
	machine("Checks", func(t *testing.T) {
		t.Run("Runs", testChecks)
		t.Run("Enslaved", testEnslaved)
	})
}

// kernelTable returns the output of ipvsadm for the node's load balancer, a line for each
// entry. Destinations follow their service, in the order of their text.
func kernelTable(s *scene, n *lab.Node) []string {
	s.Helper()
	show := func(args ...string) []string {
		return strings.Split(strings.TrimSpace(s.output(n, "ipvsadm", args...)), "\n")
	}
	var table []string
	for _, line := range show("-Sn") {
		if line != "" {
			table = append(table, line)
		}
	}
	slices.Sort(table)
	table = append(table, entries("thresholds", show("-Ln", "--thresholds"))...)
	table = append(table, entries("tunnel", show("-Ln", "--tun-info"))...)
	table = append(table, show("-L", "--timeout")...)
	daemons := show("-L", "--daemon")
	slices.Sort(daemons)
	for _, line := range daemons {
		if line != "" {
			table = append(table, "sync "+line)
		}
	}
	// ipvsadm prints marks as signed numbers.
	for i := range table {
		table[i] = signedMark.ReplaceAllStringFunc(table[i], func(s string) string {
			kind, number, _ := strings.Cut(s, " ")
			mark, err := strconv.Atoi(number)
			if err != nil {
				return s
			}
			return fmt.Sprint(kind, " ", uint32(mark))
		})
	}
	return table
}

var signedMark = regexp.MustCompile(`(-f|FWM) -\d+`)

// entries returns the destinations of a listing, each after its service.
func entries(kind string, lines []string) []string {
	var service string
	var found []string
	for _, line := range lines {
		fields := strings.Fields(line)
		switch {
		case len(fields) < 2 || fields[1] == "RemoteAddress:Port":
		case fields[0] == "->":
			found = append(found, kind+" "+service+" "+strings.Join(fields, " "))
		default:
			service = strings.Join(fields[:2], " ")
		}
	}
	slices.Sort(found)
	return found
}
