package packed

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	noise := make([]byte, 1<<20)
	random := rand.NewChaCha8([32]byte{})
	random.Read(noise)
	for name, text := range map[string]string{
		"empty": "", "short": "a", "long": strings.Repeat("virtual_router_id 51\n", 1<<16), "noise": string(noise),
	} {
		kept := Of(text)
		if got, err := kept.Open(); err != nil || string(got) != text {
			t.Errorf("%s: %d bytes, want %d: %v", name, len(got), len(text), err)
		}
		if cap(kept) > len(kept)*5/4+64 || len(kept) > len(text)+len(text)/1000+64 {
			t.Errorf("%s: %d bytes of %d for %d", name, len(kept), cap(kept), len(text))
		}
		if !bytes.Equal(kept, Of([]byte(text))) {
			t.Errorf("%s: another text of bytes", name)
		}
	}
	if _, err := Text("no text").Open(); err == nil {
		t.Error("what is no compressed text is opened")
	}
}
