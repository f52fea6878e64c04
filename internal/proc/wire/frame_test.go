package wire

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFrames(t *testing.T) {
	big := strings.Repeat("a body that is longer than what a length field alone gets", 100_000)
	var stream []byte
	for i, body := range []any{"one", nil, big} {
		stream = AppendFrame(stream, uint8(i+1), body)
	}
	unlimited := func(uint8) uint32 { return 1 << 30 }
	r := bytes.NewReader(stream)
	for i, want := range []string{"one", "", big} {
		kind, body, err := ReadFrame(r, unlimited)
		if err != nil || int(kind) != i+1 {
			t.Fatalf("frame %d: kind %d, %v", i+1, kind, err)
		}
		var got string
		if len(body) > 0 {
			if err := Decode(body, &got); err != nil {
				t.Fatal(err)
			}
		}
		if got != want {
			t.Errorf("frame %d: %d bytes, want %d", i+1, len(got), len(want))
		}
	}
	if _, _, err := ReadFrame(r, unlimited); err != io.EOF {
		t.Errorf("after the last frame: %v, want %v", err, io.EOF)
	}
	one := AppendFrame(nil, 1, "one")
	for n := 1; n < len(one); n++ {
		if _, _, err := ReadFrame(bytes.NewReader(one[:n]), unlimited); err != io.ErrUnexpectedEOF {
			t.Errorf("%d of %d bytes: %v, want %v", n, len(one), err, io.ErrUnexpectedEOF)
		}
	}
	limit := func(kind uint8) uint32 { return 3 * uint32(kind-1) } // "one" has 4 bytes
	if _, _, err := ReadFrame(bytes.NewReader(one), limit); err == nil {
		t.Error("a frame beyond the limit of its kind is read")
	}
	if _, _, err := ReadFrame(bytes.NewReader(AppendFrame(nil, 3, "one")), limit); err != nil {
		t.Errorf("a frame within the limit of its kind: %v", err)
	}
}

// TestWriteFrame checks that a frame written in pieces is the one that is appended.
func TestWriteFrame(t *testing.T) {
	type thing struct {
		Name    string
		Numbers []int
		More    map[string][]string
	}
	var all []*thing
	for i := range 5000 {
		all = append(all, &thing{strings.Repeat("x", i%90), make([]int, i%50), map[string][]string{"a": {"b", strings.Repeat("y", i)}}})
	}
	for _, v := range []any{nil, all[:0], all[:3], all, "one"} {
		f, err := os.Create(filepath.Join(t.TempDir(), "frame"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := WriteFrame(f, 7, v); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(f.Name())
		if want := AppendFrame(nil, 7, v); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, want %d; %v", len(got), len(want), err)
		}
	}
	f, err := os.Open(os.DevNull) // that cannot be written to
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := WriteFrame(f, 7, all); err == nil {
		t.Error("no error of the file")
	}
}
