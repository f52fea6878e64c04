package text

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keepalived-go/conf"
)

func TestAddress(t *testing.T) {
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	const forever = ^uint32(0)
	for _, tt := range []struct {
		a    conf.Address
		want string
	}{
		{conf.Address{Prefix: prefix("10.0.0.7/24"), Broadcast: addr("10.0.0.255"), Label: "eth0:lab", NoPrefixRoute: true, PreferredLft: forever},
			"10.0.0.7/24 brd 10.0.0.255 dev eth0 scope global label eth0:lab noprefixroute"},
		{conf.Address{Prefix: prefix("10.0.0.9/32"), Scope: 254, Label: "eth0:p", Peer: prefix("10.0.0.19/32"), NoTrack: true, PreferredLft: forever},
			"10.0.0.9 dev eth0 scope host label eth0:p peer 10.0.0.19/32 no_track"},
		{conf.Address{Prefix: prefix("10.0.0.20/24"), Scope: 200, UseVMAC: true, AutoJoin: true, PreferredLft: forever},
			"10.0.0.20/24 dev eth0 use_vmac scope site autojoin"},
		{conf.Address{Prefix: prefix("fe80::55/64"), Home: true, MngTmpAddr: true, NoPrefixRoute: true, PreferredLft: forever},
			"fe80::55/64 dev eth0 scope global home mngtmpaddr noprefixroute preferred_lft forever"},
		{conf.Address{Prefix: prefix("fd00::8/128"), Scope: 253}, "fd00::8 dev eth0 scope link deprecated"},
		{conf.Address{Prefix: prefix("fd00::5/64"), PreferredLft: 30, Scope: 77}, "fd00::5/64 dev eth0 scope 77 preferred_lft 30"},
	} {
		if got := Address(&tt.a, "eth0"); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestWhen(t *testing.T) {
	zone := time.Local
	time.Local = time.UTC
	defer func() { time.Local = zone }()
	if got, want := When(time.Unix(1795384496, 799171999)), "1795384496.799171 (Sun Nov 22 21:54:56.799171 2026)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := When(time.Time{}), "0.000000 (Thu Jan  1 00:00:00.000000 1970)"; got != want {
		t.Errorf("no time: got %s, want %s", got, want)
	}
}

// TestUnknownAccount checks that an unknown user is shown as such, not as root.
func TestUnknownAccount(t *testing.T) {
	var a Accounts
	if got := a.Of("no-such-user", ""); len(got) < len("unknown (") || got[:9] != "unknown (" {
		t.Errorf("got %q", got)
	}
}

// TestLineIsOne checks that no shown text can be taken for a line of the dump.
func TestLineIsOne(t *testing.T) {
	var text Writer
	text.Line("   Last = %s", "said\n VRRP Instance = x\r\x1b[2J\tä")
	if got, want := string(text.Bytes()), "   Last = said  VRRP Instance = x  [2J\tä\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestProgram checks that a program is shown with the path where it was found, and its
// arguments as they are written.
func TestProgram(t *testing.T) {
	dir := t.TempDir()
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "check"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("check", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	for _, c := range []struct {
		args  []string
		links bool // in the form of a link
		want  string
	}{
		{[]string{"check"}, false, "'DIR/check'"},
		{[]string{"link", "a b", "link"}, false, "'DIR/check' 'a b' 'link'"},
		{[]string{"link"}, true, "'DIR/link'"},
		{[]string{"DIR//../DIR/link"}, false, "'DIR//../DIR/link'"},
		{[]string{"DIR/./link", "x"}, false, "'DIR/check' 'x'"},
		{[]string{"nothere", "x"}, false, "'nothere' 'x'"},
		{[]string{"DIR/nothere"}, false, "'DIR/nothere'"},
		{[]string{"<DIR/check"}, false, "'<DIR/check'"},
		{nil, false, "''"},
	} {
		for i := range c.args {
			c.args[i] = strings.Replace(c.args[i], "DIR", dir, 1)
		}
		a := Accounts{Policy: conf.ScriptPolicy{SymlinkPaths: c.links}}
		want := strings.Replace(c.want, "DIR", dir, 1)
		if got := a.Program(&conf.Command{Args: c.args}); got != want {
			t.Errorf("%q: %s, want %s", c.args, got, want)
		}
	}
}
