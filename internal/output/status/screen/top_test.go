package screen

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"keepalived-go/internal/output/status/api/apitest"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/output/status/statustest"
	"keepalived-go/internal/proc/act"
)

// TestTop checks the screen of the live view after some keys, which -update records, and
// that no line is longer than the width of the terminal and the number of lines is its
// height.
func TestTop(t *testing.T) {
	whole := apitest.Daemon(t)
	events := new(history.Recorder).Step(whole)
	for name, c := range map[string]struct {
		large         bool
		width, height int
		color         bool
		keys          []string
		wrong         error
	}{
		"first":    {width: 80, height: 24},
		"color":    {width: 80, height: 24, color: true},
		"end":      {width: 80, height: 24, keys: []string{KeyEnd}},
		"wide":     {width: 200, height: 60, keys: []string{KeyDown, KeyDown, KeyUp}},
		"small":    {width: 20, height: 5},
		"tiny":     {width: 1, height: 1},
		"filter":   {width: 80, height: 24, keys: []string{"/", "F", "A", "U", "X", KeyBackspace}},
		"nothing":  {width: 80, height: 24, keys: []string{"/", "z", "z", KeyEnter}},
		"explain":  {width: 80, height: 24, keys: []string{KeyEnter}},
		"confirm":  {width: 80, height: 24, keys: []string{"h"}},
		"state":    {width: 80, height: 24, keys: []string{"o"}, large: true},
		"latest":   {width: 80, height: 24, keys: []string{"o", "o"}},
		"paged":    {width: 80, height: 24, keys: []string{KeyPageDown, KeyPageDown, "k"}, large: true},
		"by-name":  {width: 80, height: 24, keys: []string{"o", "o", "o", KeyEnd}, large: true},
		"no-state": {width: 80, height: 24, wrong: errors.New("no daemon answers")},
	} {
		m := Top{Options: Options{Color: c.color, Width: c.width}, Height: c.height}
		switch {
		case c.large:
			m.State(large(), nil)
		default:
			m.State(whole, nil)
			for i := range events {
				m.Event(&events[i])
			}
		}
		if c.wrong != nil {
			m.State(nil, c.wrong)
		}
		m.Lines(statustest.At)
		for _, key := range c.keys {
			if do, quit := m.Key(key); do != nil || quit {
				t.Errorf("%s: %q has %v done, ends: %t", name, key, do, quit)
			}
			m.Lines(statustest.At)
		}
		lines := m.Lines(statustest.At.Add(time.Minute))
		if len(lines) != c.height {
			t.Errorf("%s: %d lines instead of %d", name, len(lines), c.height)
		}
		for _, line := range lines {
			if !c.color && utf8.RuneCountInString(line) > c.width {
				t.Errorf("%s: more than %d columns: %q", name, c.width, line)
			}
		}
		statustest.Golden(t, *update, "testdata/top-"+name+".txt", strings.Join(lines, "\n")+"\n")
	}
}

// TestTopActs checks that an act is done only after a y, for the chosen object, and that
// its result is shown until the next key.
func TestTopActs(t *testing.T) {
	m := Top{Options: Options{Width: 80}, Height: 24}
	foot := func() string { lines := m.Lines(statustest.At); return lines[len(lines)-1] }
	if foot(); len(m.events) != 0 {
		t.Fatal("events of nowhere")
	}
	if do, _ := m.Key("h"); do != nil || !strings.Contains(foot(), "Choose") {
		t.Errorf("without a state: %v, %q", do, foot())
	}
	m.State(apitest.Daemon(t), nil)
	for _, c := range []struct {
		row  history.Kind
		key  string
		kind act.Kind
	}{
		{history.Router, "h", act.Hold}, {history.Router, "r", act.Release}, {history.Router, "s", act.Switchover}, {history.Router, "a", act.Announce},
		{history.Server, "d", act.Drain}, {history.Server, "x", act.Disable}, {history.Server, "r", act.Release},
	} {
		for m.Key(KeyHome); m.chosen.kind != c.row; {
			m.Key(KeyDown)
		}
		name, key, kind := m.chosen.name, c.key, c.kind
		if !strings.Contains(foot(), key+" "+string(kind)) {
			t.Errorf("the foot of a %s is %q", c.row, foot())
		}
		for _, answer := range []string{"n", KeyEscape, KeyEnter, key} {
			m.Key(key)
			if !strings.Contains(foot(), name) || !strings.HasSuffix(foot(), "y/n") {
				t.Errorf("%s asks %q", key, foot())
			}
			if do, _ := m.Key(answer); do != nil {
				t.Errorf("%s and %s: %v", key, answer, do)
			}
		}
		m.Key(key)
		if do, _ := m.Key("y"); do == nil || do.Kind != kind || do.Name != name || do.Check() != nil {
			t.Errorf("%s and y: %v", key, do)
		}
		m.Done("it is done.")
		if foot() != "it is done." {
			t.Error(foot())
		}
		m.Key(KeyDown)
		m.Key(KeyUp)
		if strings.Contains(foot(), "done") {
			t.Error(foot())
		}
	}
	for key, other := range map[string]string{KeyEnd: "hdrx", KeyHome: "dx"} { // a BFD session, a virtual router
		m.Key(key)
		for _, key := range strings.Split(other, "") {
			if do, _ := m.Key(key); do != nil || !strings.Contains(foot(), "Choose") {
				t.Errorf("%s of a %s: %v, %q", key, m.chosen.kind, do, foot())
			}
		}
	}
	if _, quit := m.Key("/"); quit {
		t.Error("/ ends")
	}
	if _, quit := m.Key("q"); quit || m.filter != "q" {
		t.Errorf("q of a filter ends: %t, %q", quit, m.filter)
	}
	if _, quit := m.Key(KeyInterrupt); !quit {
		t.Error("Ctrl-C does not end")
	}
	m.Key(KeyEscape)
	if _, quit := m.Key("q"); !quit {
		t.Error("q does not end")
	}
}

// TestTopKeepsBounds checks that the number of events is bounded, and that the choice
// survives the end of the chosen object.
func TestTopKeepsBounds(t *testing.T) {
	m := Top{Options: Options{Width: 80}, Height: 24}
	for i := range 10 * keptEvents {
		m.Event(&history.Event{ID: uint64(i), Name: fmt.Sprint(i)})
	}
	if len(m.events) != keptEvents || m.events[keptEvents-1].ID != 10*keptEvents-1 {
		t.Errorf("%d events", len(m.events))
	}
	m.State(large(), nil)
	m.Lines(statustest.At)
	m.Key(KeyEnd)
	m.Lines(statustest.At)
	m.State(healthy(), nil)
	if lines := m.Lines(statustest.At); !strings.HasPrefix(lines[4], "> web") {
		t.Errorf("%q", lines[:6])
	}
	for range 10 * longFilter {
		m.Key("/")
		m.Key("x")
	}
	if n := utf8.RuneCountInString(m.filter); n != longFilter {
		t.Errorf("a filter of %d runes", n)
	}
}
