package statefile

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestReadWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if b, err := Read(path, 10); b != nil || err != nil {
		t.Errorf("no file: %q, %v", b, err)
	}
	for _, text := range []string{"one", "the other"} {
		if err := Write(path, func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
			t.Fatal(err)
		}
		if b, err := Read(path, 10); string(b) != text || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	}
	if b, err := Read(path, 3); b != nil || err == nil {
		t.Errorf("beyond the limit: %q, %v", b, err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path, 10); err == nil {
		t.Error("a file that anyone can write was read")
	}
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(link, 10); err == nil {
		t.Error("a link was followed")
	}
	if b, err := Read("", 10); b != nil || err != nil {
		t.Errorf("no name: %q, %v", b, err)
	}
}
