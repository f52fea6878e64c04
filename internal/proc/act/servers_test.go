package act

import (
	"strings"
	"testing"
)

// TestServers checks which real servers a name denotes.
func TestServers(t *testing.T) {
	const (
		tcp  = "[10.0.0.1]:tcp:80 [10.0.0.2]:tcp:80"
		udp  = "[10.0.0.1]:udp:80 [10.0.0.2]:udp:80"
		web  = "[web]:0 [10.0.0.2]:tcp:81"
		mark = "FWM 9 [10.0.0.2]:none:80"
		six  = "[2001:db8::1]:tcp:80 [2001:db8::2]:tcp:80"
	)
	all := []string{tcp, udp, web, mark, six}
	for _, test := range []struct {
		name string
		want []string
	}{
		{"10.0.0.2", []string{tcp, udp, web, mark}},
		{"10.0.0.2:80", []string{tcp, udp, mark}},
		{"[10.0.0.2]:tcp:80", []string{tcp}},
		{"[10.0.0.2]:TCP:80", []string{tcp}},
		{"10.0.0.2:81", []string{web}},
		{"10.0.0.1 10.0.0.2", []string{tcp, udp}},
		{"10.0.0.1:80 10.0.0.2:80", []string{tcp, udp}},
		{"[10.0.0.1]:udp:80 10.0.0.2", []string{udp}},
		{"[web]:0 10.0.0.2", []string{web}},
		{"FWM 9 10.0.0.2:80", []string{mark}},
		{"FWM 8 10.0.0.2:80", nil},
		{"2001:db8::2", []string{six}},
		{"[2001:db8::2]:80", []string{six}},
		{"[2001:db8::1]:80 [2001:db8::2]:tcp:80", []string{six}},
		{"10.0.0.1", nil},
		{tcp, []string{tcp}},
	} {
		s, err := ParseServers(test.name)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		var got []string
		for _, one := range all {
			if o, err := ParseServers(one); err != nil {
				t.Fatal(err)
			} else if s.Have(o) {
				got = append(got, one)
			}
		}
		if strings.Join(got, ", ") != strings.Join(test.want, ", ") {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	for _, name := range []string{"", " ", "web", "10.0.0", "10.0.0.2:", "10.0.0.2:65536", "10.0.0.2:x", "[10.0.0.2]", "[10.0.0.2]:80:tcp", "[10.0.0.2]::80", "10.0.0.2 ", "[10.0.0.2:tcp:80"} {
		if s, err := ParseServers(name); err == nil {
			t.Errorf("%q: %+v", name, s)
		}
	}
}

// TestIsService checks which names denote a virtual server.
func TestIsService(t *testing.T) {
	for _, test := range []struct {
		name, id string
		want     bool
	}{
		{"10.0.0.1", "[10.0.0.1]:tcp:80", true},
		{"10.0.0.1:80", "[10.0.0.1]:tcp:80", true},
		{"[10.0.0.1]:udp:80", "[10.0.0.1]:tcp:80", false},
		{"10.0.0.1:81", "[10.0.0.1]:tcp:80", false},
		{"10.0.0.2", "[10.0.0.1]:tcp:80", false},
		{"[2001:db8::1]:443", "[2001:db8::1]:tcp:443", true},
		{"FWM 9", "FWM 9", true},
		{"FWM 9", "FWM 90", false},
		{"[web]:0", "[web]:0", true},
		{"10.0.0.1", "FWM 9", false},
	} {
		if got := IsService(test.name, test.id); got != test.want {
			t.Errorf("%s is %s: %v", test.name, test.id, got)
		}
	}
}

// TestUndoes checks that an act ends intents of its name and, for real servers, intents
// about some of the servers that it denotes.
func TestUndoes(t *testing.T) {
	const one, all = "[10.0.0.1]:tcp:80 [10.0.0.2]:tcp:80", "10.0.0.2"
	for _, test := range []struct {
		act  Act
		of   Intent
		want bool
	}{
		{Act{Kind: Release, Name: "VI"}, Intent{Kind: Hold, Name: "VI"}, true},
		{Act{Kind: Release, Name: "VI"}, Intent{Kind: Hold, Name: "VI_1"}, false},
		{Act{Kind: Release, Name: all}, Intent{Kind: Hold, Name: "10.0.0.2:80"}, false},
		{Act{Kind: Release, Name: all}, Intent{Kind: Weight, Name: one}, true},
		{Act{Kind: Release, Name: one}, Intent{Kind: Weight, Name: all}, false},
		{Act{Kind: Release, Name: "VI"}, Intent{Kind: Weight, Name: all}, false},
		{Act{Kind: Enable, Name: all}, Intent{Kind: Weight, Name: all}, false},
		{Act{Kind: Enable, Name: all}, Intent{Kind: Drain, Name: one}, true},
		{Act{Kind: Enable, Name: all}, Intent{Kind: Disable, Name: all}, true},
		{Act{Kind: Drain, Name: all}, Intent{Kind: Drain, Name: all}, false},
	} {
		if got := test.act.Undoes(&test.of); got != test.want {
			t.Errorf("%v, %+v: %v", &test.act, test.of, got)
		}
	}
}
