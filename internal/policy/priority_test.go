package policy

import (
	"testing"

	"pgregory.net/rapid"

	"keepalived-go/conf"
	"keepalived-go/vrrp"
)

func up(kind conf.TrackKind, weight int) Term { return state(kind, weight, true) }

func down(kind conf.TrackKind, weight int) Term { return state(kind, weight, false) }

func state(kind conf.TrackKind, weight int, up bool) Term {
	return Term{conf.Track{Kind: kind, Name: "x", Weight: weight}, Status{Known: true, Up: up}}
}

func inFile(weight, number int) Term {
	return Term{conf.Track{Kind: conf.TrackedFile, Name: "f", Weight: weight}, Status{Known: true, Up: number != 0, Number: number}}
}

func reverse(t Term) Term {
	t.Reverse = true
	return t
}

func unknown(t Term) Term {
	t.Status = Status{}
	return t
}

func disabled(t Term) Term {
	t.Status = Status{Disabled: true}
	return t
}

func TestEvaluate(t *testing.T) {
	const script, process, iface = conf.TrackedScript, conf.TrackedProcess, conf.TrackedInterface
	type want struct {
		priority       uint8
		total          int
		fault, waiting bool
	}
	for _, c := range []struct {
		name  string
		owner bool
		terms []Term
		want  want
	}{
		{"nothing tracked", false, nil, want{100, 100, false, false}},
		{"positive weight counts while up", false, []Term{up(script, 10)}, want{110, 110, false, false}},
		{"and not while down", false, []Term{down(script, 10)}, want{100, 100, false, false}},
		{"negative weight counts while down", false, []Term{down(process, -10)}, want{90, 90, false, false}},
		{"and not while up", false, []Term{up(process, -10)}, want{100, 100, false, false}},
		{"reverse turns the sign of a positive weight", false, []Term{reverse(up(iface, 10))}, want{90, 90, false, false}},
		{"and changes nothing while down", false, []Term{reverse(down(iface, 10))}, want{100, 100, false, false}},
		{"reverse turns the sign of a negative weight", false, []Term{reverse(down(script, -10))}, want{110, 110, false, false}},
		{"and changes nothing while up", false, []Term{reverse(up(script, -10))}, want{100, 100, false, false}},
		{"weight 0 down is a fault", false, []Term{down(script, 0)}, want{100, 100, true, false}},
		{"weight 0 up is none", false, []Term{up(script, 0)}, want{100, 100, false, false}},
		{"weight 0 reversed, up is a fault", false, []Term{reverse(up(script, 0))}, want{100, 100, true, false}},
		{"weight 0 reversed, down is none", false, []Term{reverse(down(script, 0))}, want{100, 100, false, false}},
		{"unknown, weighted: no adjustment", false, []Term{unknown(down(script, -10))}, want{100, 100, false, false}},
		{"unknown, unweighted: waiting", false, []Term{unknown(down(script, 0))}, want{100, 100, false, true}},
		{"disabled ones do not count", false, []Term{disabled(down(script, 0)), disabled(down(script, -10))}, want{100, 100, false, false}},
		{"a number times its weight", false, []Term{inFile(10, 7)}, want{170, 170, false, false}},
		{"reversed", false, []Term{reverse(inFile(10, 7))}, want{30, 30, false, false}},
		{"negative weight", false, []Term{inFile(-10, 7)}, want{30, 30, false, false}},
		{"-253 is an adjustment", false, []Term{inFile(1, -253)}, want{1, -153, false, false}},
		{"-254 is a fault", false, []Term{inFile(1, -254)}, want{100, 100, true, false}},
		{"at most 253 is added", false, []Term{inFile(1, 1000)}, want{254, 353, false, false}},
		{"a reversed number below is at most 253 too", false, []Term{reverse(inFile(1, -1000))}, want{254, 353, false, false}},
		{"greatest numbers", false, []Term{inFile(2147483647, -2147483647)}, want{100, 100, true, false}},
		{"weight 0: any number but 0 is a fault", false, []Term{inFile(0, 7)}, want{100, 100, true, false}},
		{"weight 0 and 0", false, []Term{inFile(0, 0)}, want{100, 100, false, false}},
		{"weight 0 reversed: 0 is a fault", false, []Term{reverse(inFile(0, 0))}, want{100, 100, true, false}},
		{"weight 0 reversed: 7 is none", false, []Term{reverse(inFile(0, 7))}, want{100, 100, false, false}},
		{"beside a fault the others count", false, []Term{inFile(1, -1000), up(script, 50)}, want{150, 150, true, false}},
		{"what is above the bound can be taken away again", false, []Term{inFile(1, 1000), down(script, -50)}, want{254, 303, false, false}},
		{"the lower bound", false, []Term{down(script, -60), down(script, -60)}, want{1, -20, false, false}},
		{"an owner's priority stays", true, []Term{down(script, -50), inFile(1, -1000)}, want{255, 255, false, false}},
		{"an owner has faults", true, []Term{down(script, 0)}, want{255, 255, true, false}},
		{"fault and waiting", false, []Term{unknown(up(script, 0)), down(script, 0)}, want{100, 100, true, true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := uint8(100)
			if c.owner {
				base = vrrp.PriorityOwner
			}
			o := Evaluate(base, c.owner, c.terms)
			if got := (want{o.Priority, o.Total, o.Fault, o.Waiting}); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestCauseIsOfTheFirst(t *testing.T) {
	named := func(t Term, name, detail string) Term {
		t.Name = name
		t.Cause = vrrp.Cause{Code: t.Kind.String(), Object: name, Detail: detail}
		return t
	}
	waiting := named(unknown(up(conf.TrackedScript, 0)), "w", "no result yet")
	first := named(down(conf.TrackedScript, 0), "a", "exited with status 1")
	bare := down(conf.TrackedInterface, 0)
	for _, c := range []struct {
		name  string
		terms []Term
		want  vrrp.Cause
	}{
		{"a fault goes before what is waited for", []Term{waiting, first, bare}, first.Cause},
		{"what is waited for", []Term{up(conf.TrackedScript, 0), waiting}, waiting.Cause},
		{"a status without cause", []Term{bare, first}, vrrp.Cause{Code: "track_interface", Object: "x"}},
		{"neither", []Term{up(conf.TrackedScript, 10)}, vrrp.Cause{}},
	} {
		if o := Evaluate(100, false, c.terms); o.Cause != c.want {
			t.Errorf("%s: cause %+v, want %+v", c.name, o.Cause, c.want)
		}
	}
}

func TestArithmetic(t *testing.T) {
	failing := down(conf.TrackedScript, -20)
	failing.Name, failing.Cause.Detail = "chk", "exited with status 1"
	for _, c := range []struct {
		base  uint8
		owner bool
		terms []Term
		want  string
	}{
		{100, false, nil, "100"},
		{100, false, []Term{up(conf.TrackedScript, -20)}, "100"},
		{100, false, []Term{failing}, "100 - 20 (track_script chk: exited with status 1) = 80"},
		{10, false, []Term{failing}, "10 - 20 (track_script chk: exited with status 1) = -10, limited to 1"},
		{100, false, []Term{up(conf.TrackedInterface, 5), reverse(inFile(3, 7))}, "100 + 5 (track_interface x) - 21 (track_file f: 7 x 3 reversed) = 84"},
		{100, false, []Term{inFile(1, 1000)}, "100 + 253 (track_file f: 1000 x 1) = 353, limited to 254"},
		{100, false, []Term{inFile(1, -1000), up(conf.TrackedBFD, 5)}, "100 + 5 (track_bfd x) = 105"},
		{255, true, []Term{failing}, "255 (address owner)"},
	} {
		o := Evaluate(c.base, c.owner, c.terms)
		if got := o.Arithmetic(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func drawTerm(t *rapid.T) Term {
	term := Term{
		conf.Track{
			Kind:    rapid.SampledFrom([]conf.TrackKind{conf.TrackedInterface, conf.TrackedScript, conf.TrackedFile, conf.TrackedProcess, conf.TrackedBFD}).Draw(t, "kind"),
			Weight:  rapid.IntRange(-254, 254).Draw(t, "weight"),
			Reverse: rapid.Bool().Draw(t, "reverse"),
		},
		Status{Known: rapid.Bool().Draw(t, "known"), Up: rapid.Bool().Draw(t, "up"), Disabled: rapid.Bool().Draw(t, "disabled")},
	}
	if term.Kind == conf.TrackedFile {
		term.Number = rapid.IntRange(-2147483647, 2147483647).Draw(t, "number")
		term.Up = term.Number != 0
	}
	return term
}

func TestEvaluateProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms := rapid.SliceOfN(rapid.Custom(drawTerm), 0, 6).Draw(t, "terms")
		base := rapid.Uint8Range(1, 254).Draw(t, "base")
		o := Evaluate(base, false, terms)
		if o.Priority < 1 || o.Priority > 254 {
			t.Fatalf("priority %d", o.Priority)
		}
		if n := o.Total - int(base); n > 253*len(terms) || n < -253*len(terms) {
			t.Fatalf("%d terms change the priority by %d", len(terms), n)
		}
		mixed := Evaluate(base, false, rapid.Permutation(terms).Draw(t, "mixed"))
		if o.Priority != mixed.Priority || o.Total != mixed.Total || o.Fault != mixed.Fault || o.Waiting != mixed.Waiting {
			t.Fatalf("the order matters: %+v, %+v", o, mixed)
		}
		// Each term has its own effect.
		total, fault, waiting := int(base), false, false
		for i := range terms {
			one := Evaluate(base, false, terms[i:i+1])
			total += one.Total - int(base)
			fault = fault || one.Fault
			waiting = waiting || one.Waiting
		}
		if total != o.Total || fault != o.Fault || waiting != o.Waiting {
			t.Fatalf("together %+v, one by one %d %v %v", o, total, fault, waiting)
		}
		if owner := Evaluate(vrrp.PriorityOwner, true, terms); owner.Priority != vrrp.PriorityOwner || owner.Total != vrrp.PriorityOwner {
			t.Fatalf("owner: %+v", owner)
		}
		o.Arithmetic()
	})
}

func BenchmarkEvaluate(b *testing.B) {
	terms := []Term{up(conf.TrackedScript, 10), down(conf.TrackedProcess, -10), inFile(1, 7), down(conf.TrackedInterface, 0)}
	b.ReportAllocs()
	for b.Loop() {
		Evaluate(100, false, terms)
	}
}

func TestEvaluateDoesNotAllocate(t *testing.T) {
	terms := []Term{up(conf.TrackedScript, 10), down(conf.TrackedInterface, 0), inFile(1, 7)}
	if n := testing.AllocsPerRun(100, func() { Evaluate(100, false, terms) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
