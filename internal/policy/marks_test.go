package policy

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"keepalived-go/conf"
)

// marked loads groups with nftables_ipvs. A group is its name, a protocol and entries.
func marked(t *testing.T, before map[Mark]uint32, global string, groups ...string) *LoadBalancer {
	t.Helper()
	text := "global_defs {\n nftables_ipvs\n " + global + "\n}\n"
	for _, g := range groups {
		words := strings.SplitN(g, " ", 3)
		if words[2] != "" {
			text += "virtual_server_group " + words[0] + " {\n" + strings.ReplaceAll(words[2], ", ", "\n") + "\n}\n"
		}
		text += "virtual_server group " + words[0] + " {\n protocol " + words[1] + "\n lb_kind TUN\n lb_algo rr\n real_server 10.9.0.1 80 {\n }\n}\n"
	}
	c, problems := conf.Load("k.conf", conf.Options{Unsaved: func(string) (string, bool) { return text, true }})
	for _, p := range problems {
		if p.Severity >= conf.Error {
			t.Fatal(p)
		}
	}
	return ServiceConfig(c, before)
}

func rangesOf(b *LoadBalancer) string {
	var words []string
	for _, m := range b.Marked {
		word := m.First.String()
		if m.First != m.Last {
			word += "-" + m.Last.String()
		}
		words = append(words, fmt.Sprintf("%d/%s:%d=%d", m.Protocol, word, m.Port, m.Mark))
	}
	return strings.Join(words, " ")
}

// TestMarksOfGroups checks that each group and protocol has its own mark, from the first
// one on, except the marks that the configuration names.
func TestMarksOfGroups(t *testing.T) {
	for _, c := range []struct {
		name, global string
		groups       []string
		want         string
	}{
		{"ranges", "", []string{"w TCP 10.0.0.1 80, 10.0.0.2-4 81, 10.0.0.9 0"}, "6/10.0.0.1:80=1000 6/10.0.0.2-10.0.0.4:81=1000 6/10.0.0.9:0=1000"},
		{"groups", "", []string{"v TCP 10.0.0.1 80", "w TCP 2001:db8::1-3 80"}, "6/10.0.0.1:80=1000 6/2001:db8::1-2001:db8::3:80=1001"},
		{"families", "", []string{"w TCP 10.0.0.1 80, 2001:db8::1 80, 10.0.0.2 80"}, "6/10.0.0.1:80=1000 6/2001:db8::1:80=1000 6/10.0.0.2:80=1000"},
		{"protocols", "", []string{"w TCP 10.0.0.1 80", "w UDP "}, "6/10.0.0.1:80=1000 17/10.0.0.1:80=1001"},
		{"a first mark", "nftables_ipvs_start_fwmark 5", []string{"w TCP 10.0.0.1 80"}, "6/10.0.0.1:80=5"},
		{"a mark that is taken", "", []string{"v TCP fwmark 1000, 10.0.0.7 80", "w TCP 10.0.0.1 80"}, "6/10.0.0.1:80=1001"},
		{"the last mark", "nftables_ipvs_start_fwmark 4294967295", []string{"v TCP 10.0.0.1 80", "w TCP 10.0.0.2 80"}, "6/10.0.0.1:80=4294967295 6/10.0.0.2:80=1"},
		{"the same address", "", []string{"v TCP 10.0.0.1 80", "w TCP 10.0.0.1 80, 10.0.0.1 81"}, "6/10.0.0.1:80=1000 6/10.0.0.1:81=1001"},
		{"overlaps", "", []string{"v TCP 10.0.0.4-6 80, 10.0.0.9 80", "w TCP 10.0.0.1-10 80"},
			"6/10.0.0.4-10.0.0.6:80=1000 6/10.0.0.9:80=1000 6/10.0.0.1-10.0.0.3:80=1001 6/10.0.0.7-10.0.0.8:80=1001 6/10.0.0.10:80=1001"},
		{"the end of all addresses", "", []string{"v TCP 255.255.255.254-255 80", "w TCP 255.255.255.250-255 80"},
			"6/255.255.255.254-255.255.255.255:80=1000 6/255.255.255.250-255.255.255.253:80=1001"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := marked(t, nil, c.global, c.groups...)
			if got := rangesOf(b); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			for i, s := range b.Config.Services {
				for _, ep := range s.Endpoints {
					if ep.FWMark == 0 && c.name != "a mark that is taken" {
						t.Errorf("service %d has %v", i, ep)
					}
				}
			}
		})
	}
}

// TestMarksStay checks that a group keeps its mark as long as it exists; then another
// group may get it.
func TestMarksStay(t *testing.T) {
	first := marked(t, nil, "", "v TCP 10.0.0.1 80", "w TCP 10.0.0.2 80")
	before := maps.Clone(first.Marks)
	second := marked(t, first.Marks, "", "w TCP 10.0.0.2 80", "x TCP 10.0.0.3 80")
	if got := rangesOf(second); got != "6/10.0.0.2:80=1001 6/10.0.0.3:80=1002" {
		t.Errorf("then %s", got)
	}
	if !maps.Equal(before, first.Marks) {
		t.Errorf("the marks of the first are %v, were %v", first.Marks, before)
	}
	third := marked(t, second.Marks, "", "x TCP 10.0.0.3 80", "y TCP 10.0.0.4 80")
	if got := rangesOf(third); got != "6/10.0.0.3:80=1002 6/10.0.0.4:80=1000" {
		t.Errorf("at last %s", got)
	}
	if got := second.Config.Services[0].Addresses; len(got) != 1 || got[0].String() != "10.0.0.2" {
		t.Errorf("addresses %v", got)
	}
}
