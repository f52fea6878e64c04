package track

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"keepalived-go/conf"
)

func TestScriptState(t *testing.T) {
	for _, c := range []struct {
		name       string
		rise, fall int
		results    string // + success, - failure
		states     string // after each result: U up, d down
	}{
		{"up at the first success, then three failures", 3, 3, "+---++++", "UUUdddUU"},
		{"down at the first failure, then three successes", 3, 3, "----++++", "ddddddUU"},
		{"each way takes its own number", 3, 2, "--+-++++--", "ddddddUUUd"},
		{"a failure on the way up costs a success", 3, 3, "-+--++++", "ddddddUU"},
		{"a success on the way down costs a failure", 2, 2, "+-+--+---", "UUUUddddd"},
		{"once each", 1, 1, "++--+-", "UUddUd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewScriptState(c.rise, c.fall, false)
			if s.Known() {
				t.Error("known before the first result")
			}
			got := ""
			for i, r := range c.results {
				was, known := s.Up(), s.Known()
				changed := s.Step(r == '+')
				if want := !known || was != s.Up(); changed != want {
					t.Errorf("result %d: changed %v, want %v", i+1, changed, want)
				}
				got += map[bool]string{true: "U", false: "d"}[s.Up()]
			}
			if got != c.states || !s.Known() {
				t.Errorf("results %s\n  give %s\n  want %s", c.results, got, c.states)
			}
		})
	}
}

func TestInitFail(t *testing.T) {
	s := NewScriptState(3, 3, true)
	if !s.Known() || s.Up() {
		t.Error("not down at the beginning")
	}
	if !s.Step(true) || !s.Up() {
		t.Error("the first success did not bring it up")
	}
	s = NewScriptState(3, 3, true)
	if s.Step(false) || s.Up() {
		t.Error("a failure changed something")
	}
}

func TestTuneKeepsTheState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.IntRange(1, 5)
		s := NewScriptState(number.Draw(t, "rise"), number.Draw(t, "fall"), false)
		for _, ok := range rapid.SliceOf(rapid.Bool()).Draw(t, "results") {
			s.Step(ok)
		}
		was, known := s.Up(), s.Known()
		rise, fall := number.Draw(t, "new rise"), number.Draw(t, "new fall")
		s.Tune(rise, fall)
		if s.Up() != was || s.Known() != known {
			t.Fatalf("up %v known %v became up %v known %v", was, known, s.Up(), s.Known())
		}
		n := 0
		for known && s.Up() == was {
			s.Step(!was)
			n++
		}
		if limit := max(rise, fall); n > limit {
			t.Fatalf("took %d results to change, with rise %d and fall %d", n, rise, fall)
		}
	})
}

// at is one step of a table: what is observed at a time, and the expected state.
type at struct {
	ms    int
	count int
	want  bool
}

func TestProcessState(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name  string
		conf  conf.TrackProcess
		steps []at
	}{
		{"one is enough", conf.TrackProcess{Quorum: 1, QuorumMax: -1},
			[]at{{0, 0, false}, {1, 1, true}, {2, 5, true}, {3, 0, false}}},
		{"two are needed", conf.TrackProcess{Quorum: 2, QuorumMax: -1},
			[]at{{0, 1, false}, {1, 2, true}, {2, 1, false}}},
		{"none may run", conf.TrackProcess{Quorum: 0, QuorumMax: 0},
			[]at{{0, 0, true}, {1, 1, false}, {2, 0, true}}},
		{"more than one are too many", conf.TrackProcess{Quorum: 1, QuorumMax: 1},
			[]at{{0, 1, true}, {1, 2, false}, {2, 1, true}}},
		{"the first count is believed at once", conf.TrackProcess{Quorum: 1, QuorumMax: -1, ForkDelay: 10 * ms, TerminateDelay: 10 * ms},
			[]at{{0, 1, true}, {5, 1, true}}},
		{"terminate delay", conf.TrackProcess{Quorum: 1, QuorumMax: -1, TerminateDelay: 10 * ms},
			[]at{{0, 1, true}, {1, 0, true}, {10, 0, true}, {11, 0, false}, {12, 1, true}}},
		{"a restart within the delay is not seen", conf.TrackProcess{Quorum: 1, QuorumMax: -1, TerminateDelay: 10 * ms},
			[]at{{0, 1, true}, {1, 0, true}, {9, 1, true}, {15, 1, true}, {20, 0, true}, {29, 0, true}, {30, 0, false}}},
		{"fork delay", conf.TrackProcess{Quorum: 2, QuorumMax: -1, ForkDelay: 10 * ms},
			[]at{{0, 0, false}, {1, 2, false}, {5, 3, false}, {11, 3, true}, {12, 1, false}}},
		{"too many by a fork for a moment", conf.TrackProcess{Quorum: 1, QuorumMax: 1, ForkDelay: 10 * ms},
			[]at{{0, 1, true}, {1, 2, true}, {3, 1, true}, {20, 2, true}, {30, 2, false}, {31, 1, true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewProcessState(&c.conf)
			for _, step := range c.steps {
				now := time.Duration(step.ms) * ms
				if got := s.Step(now, step.count); got != step.want {
					t.Errorf("%d processes at %d ms: %v, want %v", step.count, step.ms, got, step.want)
				}
				if d, ok := s.Deadline(); ok && d <= now {
					t.Errorf("at %d ms the deadline %v has passed", step.ms, d)
				}
			}
		})
	}
}

func TestDamper(t *testing.T) {
	const ms = time.Millisecond
	d := NewDamper(20*ms, 10*ms, true)
	for _, step := range []struct {
		ms       int
		up, want bool
		deadline int // 0: none
	}{
		{0, true, true, 0},
		{1, false, true, 11},
		{5, true, true, 0}, // did not last
		{6, false, true, 16},
		{10, false, true, 16}, // reported again
		{16, false, false, 0},
		{17, true, false, 37},
		{36, true, false, 37},
		{37, true, true, 0},
	} {
		if got := d.Step(time.Duration(step.ms)*ms, step.up); got != step.want {
			t.Errorf("at %d ms: %v, want %v", step.ms, got, step.want)
		}
		deadline, ok := d.Deadline()
		if ok != (step.deadline != 0) || ok && deadline != time.Duration(step.deadline)*ms {
			t.Errorf("at %d ms: deadline %v %v, want %d ms", step.ms, deadline, ok, step.deadline)
		}
	}
	if d := NewDamper(0, 0, false); !d.Step(0, true) || d.Step(0, false) {
		t.Error("without delays a change is not believed at once")
	}
}

func TestParseNumber(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
		err  error
	}{
		{"12", 12, nil},
		{"-12\n", -12, nil},
		{"0x1f", 31, nil},
		{"0X1F", 31, nil},
		{"010", 8, nil},
		{"  +5", 5, nil},
		{"\n\t\v\f\r 9\n8", 9, nil},
		{"7 8", 7, nil},
		{"7abc", 7, nil},
		{"3.9", 3, nil},
		{"1e3", 1, nil},
		{"0b11", 0, nil},
		{"0o17", 0, nil},
		{"0x", 0, nil},
		{"0xg", 0, nil},
		{"089", 0, nil},
		{"-0x10", -16, nil},
		{"2147483647", 2147483647, nil},
		{"-2147483647", -2147483647, nil},
		{"2147483648", 0, errRange},
		{"-99999999999", 0, errRange},
		{"99999999999999999999999999", 0, errRange},
		{"abc", 0, errNoNumber},
		{"", 0, errNoNumber},
		{" ", 0, errNoNumber},
		{"--5", 0, errNoNumber},
		{"+", 0, errNoNumber},
		{"- 5", 0, errNoNumber},
	} {
		got, err := parseNumber([]byte(c.text))
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q: %d, %v; want %d, %v", c.text, got, err, c.want, c.err)
		}
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"12", " -0x1f", "089", "+", "99999999999"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		n, err := parseNumber(text)
		if err != nil && n != 0 || n > 2147483647 || n < -2147483647 {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	})
}

// TestProcessStateDelayed checks that a running delay is that of the change that began
// it.
func TestProcessStateDelayed(t *testing.T) {
	s := NewProcessState(&conf.TrackProcess{Quorum: 1, QuorumMax: -1, ForkDelay: time.Second, TerminateDelay: 2 * time.Second})
	for _, step := range []struct {
		at              time.Duration
		count           int
		fork, terminate bool
	}{
		{0, 0, false, false}, {time.Second, 1, true, false}, {2 * time.Second, 1, false, false},
		{3 * time.Second, 0, false, true}, {4 * time.Second, 0, false, true}, {5 * time.Second, 0, false, false},
	} {
		s.Step(step.at, step.count)
		if fork, terminate := s.Delayed(); fork != step.fork || terminate != step.terminate {
			t.Errorf("at %v: fork delay %t, terminate delay %t; want %t, %t", step.at, fork, terminate, step.fork, step.terminate)
		}
	}
}
