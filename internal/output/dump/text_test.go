package dump

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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

func TestName(t *testing.T) {
	for _, tt := range []struct {
		parts []string
		want  string
	}{
		{[]string{"", ""}, "/tmp/keepalived.data"},
		{[]string{"ns", ""}, "/tmp/keepalived.ns.data"},
		{[]string{"", "blue"}, "/tmp/keepalived.blue.data"},
		{[]string{"ns", "blue"}, "/tmp/keepalived.ns_blue.data"},
	} {
		if got := Name("/tmp/keepalived.data", tt.parts...); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.parts, got, tt.want)
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

func TestReplace(t *testing.T) {
	old := unix.Umask(0o137)
	defer unix.Umask(old)
	dir := t.TempDir()
	path, victim := filepath.Join(dir, "dump"), filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, path); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"a text", "another"} {
		if err := Replace(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		info, _ := os.Lstat(path)
		if err != nil || string(got) != text || info.Mode() != 0o640 {
			t.Errorf("%v holds %q, %v; want %q, 0640", info.Mode(), got, err, text)
		}
	}
	if got, _ := os.ReadFile(victim); string(got) != "untouched" {
		t.Errorf("the link was followed: %q", got)
	}
	if err := Replace(dir, []byte("x")); err == nil {
		t.Error("a directory was replaced")
	}
	left, _ := os.ReadDir(dir)
	if len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
}

// A user that nobody knows is said to be so, not taken for root.
func TestUnknownAccount(t *testing.T) {
	var a Accounts
	if got := a.Of("no-such-user", ""); len(got) < len("unknown (") || got[:9] != "unknown (" {
		t.Errorf("got %q", got)
	}
}

// What is shown cannot pass for a line of the dump.
func TestLineIsOne(t *testing.T) {
	var text Text
	text.Line("   Last = %s", "said\n VRRP Instance = x\r\x1b[2J\tä")
	if got, want := string(text.Bytes()), "   Last = said  VRRP Instance = x  [2J\tä\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A program is shown where it has been found, its arguments as they are written.
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
		links bool // as a link is written
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
