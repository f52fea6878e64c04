package conf

import (
	"os"
	"path/filepath"
	"testing"
)

func TestKeyFileOfAnotherUser(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("k"), 0o600); err != nil {
		t.Fatal(err)
	}
	look := func() string {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		message, _ := keyFileProblem(info)
		return message
	}
	if got := look(); got != "" {
		t.Errorf("own file: %s", got)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 12345, 0); err != nil {
			t.Fatal(err)
		}
		if got, want := look(), "belongs to user 12345, who could replace the key"; got != want {
			t.Errorf("file of another user: %q, want %q", got, want)
		}
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if got, want := look(), "can be read by other users"; got != want {
		t.Errorf("file that others read: %q, want %q", got, want)
	}
}
