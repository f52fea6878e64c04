package test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/tool/lab"
)

// const has folders with configurations of addresses, links, routes, rules and firewalls.
// The files of a folder form one configuration. Each has an instance whose last rule,
// which a master sets last, has the preference lastRule.
const (
	networkFiles = "testdata/network"
	lastRule     = "32000"
)

// deviation is text in the listings of ip(8) and nft(8) that differs on purpose or has no
// meaning. Its first group is kept and the rest removed before listings are compared.
type deviation struct {
	topic string // of a row in docs/differences.md, or the reason why there is none
	row   bool
	text  *regexp.Regexp
}

var deviations = []deviation{
	{"random addresses, and indexes of the other ends of links", false, regexp.MustCompile(`@if\d+|link-netnsid \d+|permaddr \S+`)},
	{"seconds that are left", false, regexp.MustCompile(`\d+sec`)},
	{"version 2.2.7 has no group of a VMAC", false, regexp.MustCompile(`((?:front|back)@.*) group \w+`)},
	{"version 2.2.7 matches reports of MLD version 2 only", false, regexp.MustCompile(`.*mld-report.*|.*"mld2-listener-report".*`)},
	{"iptables leaves tables and base chains", false, regexp.MustCompile(`^\{"table":.*"name":"filter".*|^\{"chain":.*"(?:INPUT|OUTPUT)".*`)},

	{"`-nodad`", true, regexp.MustCompile(`(inet6 fd00:1\d\d:9[68]::1/64 scope global) nodad`)},
	{"`inet`, `inet6` in a route or a rule", true, regexp.MustCompile(`.*(?:table|lookup) 391 .*`)},
	{"`lock` of `window`, `initcwnd` and `initrwnd`", true, regexp.MustCompile(`.* table 392 .*`)},
	{"`via inet6 ADDRESS` for an IPv4 route", true, regexp.MustCompile(`.* table 393 .*`)},
	{"`encap` on one of several next hops", true, regexp.MustCompile(`.* table 394 .*`)},
	{"`encap mpls` with more than two labels", true, regexp.MustCompile(`.* table 397 .*`)},
	{"`flags` of `encap ip` and `encap ip6`", true, regexp.MustCompile(`(encap ip.*) key`)},
	{"`ipproto` of a rule by number", true, regexp.MustCompile(`.* lookup 395 .*`)},
	{"`protocol` of a rule by name", true, regexp.MustCompile(`.* lookup 396 .*`)},
	{"`alias` of a VMAC", true, regexp.MustCompile(` alias keepalived$`)},
	{"the link-local address of the interface below an IPv6 VMAC", true, regexp.MustCompile(`.*fe80::1:\d/64 .* deprecated .*|local fe80::1:\d dev vrrp.*`)},
	{"`vmac_map` in the lists of nft(8)", true, regexp.MustCompile(`.*"name":"vmac_map".*`)},
	{"`vrrp_iptables` of a daemon built without it", true, regexp.MustCompile(`.*"table":"filter".*`)},
}

// network returns the objects in the kernel of a node that a daemon may set, one per
// line.
func network(s *scene, node string) []string {
	s.Helper()
	lines := s.rules(node)
	for _, list := range []string{"-4 addr", "-4 route show table all", "-4 rule", "-6 addr", "-6 route show table all", "-6 rule", "link"} {
		out, err := s.Node(node).Run("ip", append([]string{"-d", "-o"}, strings.Fields(list)...)...)
		s.must(err)
		lines = append(lines, strings.Split(strings.ReplaceAll(out, `\`, " "), "\n")...)
	}
	var found []string
	for _, line := range lines {
		line = strings.Join(strings.Fields(line), " ")
		for _, d := range deviations {
			line = d.text.ReplaceAllString(line, "$1")
		}
		if line != "" {
			found = append(found, line)
		}
	}
	slices.Sort(found)
	return found
}

// only returns the lines of one list that the other one lacks, as text.
func only(list, other []string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(list), func(line string) bool { return slices.Contains(other, line) }), "\n")
}

// TestNetworkLikeC checks that ours and the C daemon set the same objects for all files,
// and that ours leaves nothing at the end.
func TestNetworkLikeC(t *testing.T) {
	t.Parallel()
	differs(t, "is what is compared")
	lab.Need(t, lab.Root, lab.Peer, lab.Nft)
	rows, err := os.ReadFile("../docs/differences.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range deviations {
		if d.row && !bytes.Contains(rows, []byte("\n| "+d.topic+" |")) {
			t.Errorf("docs/differences.md has no row %q", d.topic)
		}
	}
	folders, err := os.ReadDir(networkFiles)
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		t.Run(folder.Name(), func(t *testing.T) {
			t.Parallel()
			compareNetworks(t, filepath.Join(networkFiles, folder.Name()), "")
		})
	}
}

// moduleFiles has the configurations for a kernel with MPLS, ILA and the VRF blue, which eth1 is in.
const moduleFiles = "testdata/modules"

// testNetworkLikeC is TestNetworkLikeC on a kernel with these modules.
func testNetworkLikeC(t *testing.T) {
	compareNetworks(t, moduleFiles, "link add blue address 02:00:00:00:00:09 type vrf table 9\nlink set blue up\nlink set eth1 master blue\n")
}

// notForC matches words that the C daemon does not know, or cannot apply.
var notForC = regexp.MustCompile(`on_external_delete \w+|vrrp_ipsets.*`)

// compareNetworks runs both daemons with the files of a folder on nodes that are alike,
// after these lines of ip(8).
func compareNetworks(t *testing.T, folder, prepare string) {
	files, err := filepath.Glob(filepath.Join(folder, "*.conf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", folder, err)
	}
	var config strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		config.Write(text)
	}
	s := newWideScene(t, 2, "a", "b")
	var same strings.Builder
	same.WriteString(prepare)
	for k := range 2 {
		fmt.Fprintf(&same, "addr flush dev eth%d\nlink set eth%[1]d address 02:00:00:00:00:0%[1]d\naddr add 10.%[1]d.0.1/16 brd + dev eth%[1]d\n", k)
		fmt.Fprintf(&same, "addr add fd00:%d::1/64 dev eth%[1]d nodad\naddr add fe80::1:%[1]d/64 dev eth%[1]d nodad\n", k)
	}
	for _, node := range s.Nodes {
		s.must(node.Cut(0))
		s.must(node.Cut(1))
		s.must(node.IPBatch(same.String()))
	}
	var before, other []string
	if !s.Until(10*time.Second, func() bool { // the kernel adds the routes of IPv6 addresses after the addresses
		before, other = network(s, "a"), network(s, "b")
		local := 0
		for _, line := range before {
			if strings.HasPrefix(line, "local f") {
				local++
			}
		}
		return slices.Equal(before, other) && local == 4
	}) {
		t.Fatalf("the nodes differ at the start:\n%s\n%s", only(before, other), only(other, before))
	}
	d := s.start("a", ours, config.String())
	theirs := notForC.ReplaceAllString(config.String(), "")
	if strings.Contains(theirs, "vrrp_iptables") {
		theirs = strings.ReplaceAll(theirs, "no_accept", "accept")
	}
	s.start("b", lab.C(), theirs)
	for _, node := range []string{"a", "b"} {
		if !s.Until(20*time.Second, func() bool {
			out, err := s.Node(node).Run("ip", "rule", "show", "priority", lastRule)
			s.must(err)
			return strings.Count(out, "\n") == len(files)
		}) {
			t.Fatalf("%s has not set all that it shall; there is\n%s", node, only(network(s, node), before))
		}
	}
	var a, b []string
	if !s.Until(10*time.Second, func() bool { // removal takes a moment
		a, b = network(s, "a"), network(s, "b")
		return slices.Equal(a, b)
	}) {
		t.Errorf("only ours:\n%s\nonly of the C daemon:\n%s", only(a, b), only(b, a))
	}
	s.must(d.Stop())
	left := before
	if !s.Until(2*time.Second, func() bool { // the kernel removes routes of IPv6 addresses later too
		left = network(s, "a")
		return slices.Equal(left, before)
	}) {
		t.Errorf("left behind:\n%s\nmissing:\n%s", only(left, before), only(before, left))
	}
}

// TestNetworkFilesHaveEveryOption checks that each option of addresses, routes and rules,
// and each keyword about virtual MAC addresses and firewalls, is in one of the compared
// files, and that docs/routing.md has the options of routes and rules.
func TestNetworkFilesHaveEveryOption(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(networkFiles, "*/*.conf"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(moduleFiles, "*.conf"))
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, more...)
	if len(files) < 60 {
		t.Errorf("%d files only", len(files))
	}
	written := make(map[string]bool) // keywords, and words of lines of addresses, routes and rules
	var note func(block string, list []*conf.Statement)
	note = func(block string, list []*conf.Statement) {
		for _, s := range list {
			for _, w := range s.Words {
				written[block+" "+w.Text] = true
			}
			note(linesOf(s.Keyword()), s.Block)
		}
	}
	for _, file := range files {
		tree, diags := conf.Parse(file, conf.Options{})
		if len(diags) > 0 {
			t.Errorf("%s: %v", file, diags)
		}
		note("", tree)
	}
	guide, err := os.ReadFile("../docs/routing.md")
	if err != nil {
		t.Fatal(err)
	}
	other := regexp.MustCompile(`vmac|nftables|iptables|ipsets|strict|accept|promote|extra_if|igmp|on_external_delete`)
	n := 0
	for k := range conf.Schema() {
		names := []string{k.Name}
		last := k.Block[strings.LastIndex(k.Block, ".")+1:]
		switch {
		case last == "ADDRESS" || last == "ROUTE" || last == "RULE":
			last = strings.ToLower(last)
		case other.MatchString(k.Name) && (k.Block == "global_defs" || k.Block == "vrrp_instance") && !strings.Contains(k.Name, "ipvs"):
			last = linesOf(k.Block)
		default:
			continue
		}
		if k.Name == "TYPE" {
			names = strings.Split(k.Args, "|")
		}
		for _, name := range names {
			if n++; !written[last+" "+name] && !lacking[name] {
				t.Errorf("%s %s: no file has %s", k.Block, k.Name, name)
			}
			if (last == "route" || last == "rule") && !bytes.Contains(guide, []byte("`"+name+"`")) && name != "nat" {
				t.Errorf("%s %s: docs/routing.md lacks %s", k.Block, k.Name, name)
			}
		}
	}
	if n < 100 {
		t.Errorf("%d options only", n)
	}
}

// lacking lists words without effect in any kernel: a type of routes that Linux does not
// support any more.
var lacking = map[string]bool{"nat": true}

// linesOf returns what the lines of a block are about.
func linesOf(block string) string {
	for _, kind := range []string{"address", "route", "rule"} {
		if strings.Contains(block, "_ip"+kind) || strings.HasSuffix(block, "_"+kind+"s") {
			return kind
		}
	}
	return block
}
