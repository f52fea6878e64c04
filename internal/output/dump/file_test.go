package dump

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

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

func TestReplace(t *testing.T) {
	dir := t.TempDir() // with the current umask
	old := unix.Umask(0o137)
	defer unix.Umask(old)
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
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
