package statefile

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/proc/loop"
)

type number struct {
	Header
	N int
}

// TestSaver checks that successive changes are written once, that a failure is logged
// once, and that a successor reads what was written.
func TestSaver(t *testing.T) {
	log := logtest.Capture(t)
	this := Header{Version: 3, Boot: "this"}
	synctest.Test(t, func(t *testing.T) {
		l, err := loop.NewVirtual()
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		collected := 0
		s := Saver{Path: filepath.Join(t.TempDir(), "state"), Delay: time.Second, Lost: "nothing is lost", Collect: func() (any, []func()) {
			collected++
			n := &number{Header: this}
			turns := 0
			add := func() {
				n.N += collected
				l.Post(func() { turns++ })
			}
			return n, []func(){add, add, func() {
				if turns != 2 {
					t.Errorf("the loop has turned %d times between three steps", turns)
				}
			}}
		}}
		s.Begin(l)
		written := func() {
			t.Helper()
			for s.Busy() {
				if err := l.Wait(); err != nil {
					t.Fatal(err)
				}
				l.Expire()
			}
		}
		start := l.Now()
		for range 5 {
			s.Changed()
		}
		written()
		if took := l.Now() - start; collected != 1 || took != time.Second {
			t.Errorf("collected %d times within %v", collected, took)
		}
		if n, err := Load[number](s.Path, 1000, this); err != nil || n.N != 2 {
			t.Errorf("%+v, %v", n, err)
		}
		path := s.Path
		s.Path = filepath.Join(path, "nowhere")
		for range 3 {
			s.Changed()
			written()
		}
		if n := strings.Count(log.String(), "; nothing is lost"); n != 1 {
			t.Errorf("%d lines:\n%s", n, log.String())
		}
		s.Path = ""
		if s.Changed(); s.Busy() {
			t.Error("it saves without a file")
		}

		// A write in progress when the file is removed does not restore the file.
		s.Path = path
		s.Changed()
		for !s.writing {
			if err := l.Wait(); err != nil {
				t.Fatal(err)
			}
			l.Expire()
		}
		s.Remove()
		written()
		if n, err := Load[number](path, 1000, this); n != nil || err != nil {
			t.Errorf("removed: %+v, %v", n, err)
		}
	})
}

func TestDecode(t *testing.T) {
	this := Header{Version: 3, Boot: "this"}
	if n, err := Decode[number]([]byte(`{"Version":3,"Boot":"this","N":7}`), this); err != nil || n.N != 7 {
		t.Errorf("%+v, %v", n, err)
	}
	if n, err := Decode[number]([]byte(`{"Version":3,"Boot":"another","N":7}`), this); n != nil || err != nil {
		t.Errorf("of another boot: %+v, %v", n, err)
	}
	for _, text := range []string{"", "{", `{"Version":2,"Boot":"this"}`, `{"Version":3,"Boot":"this","N":"x"}`} {
		if n, err := Decode[number]([]byte(text), this); n != nil || err == nil {
			t.Errorf("%q: %+v, %v", text, n, err)
		}
	}
}
