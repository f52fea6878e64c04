package act

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestCheck checks that an act that no daemon would carry out is refused, with the
// reason.
func TestCheck(t *testing.T) {
	for _, test := range []struct {
		act  Act
		want string // empty: the act is accepted
	}{
		{Act{Kind: Reload}, ""},
		{Act{Kind: Reload, Reason: "a new address, für heute"}, ""},
		{Act{Kind: Announce, Name: "VI_1"}, ""},
		{Act{Kind: "reboot"}, `there is no act "reboot"`},
		{Act{Kind: Kind(strings.Repeat("x", 9999))}, `there is no act "xxx`},
		{Act{Kind: Reload, Name: "VI_1"}, "reload takes no name"},
		{Act{Kind: Announce}, "announce needs name"},
		{Act{Kind: Hold, Name: "G", For: 60}, ""},
		{Act{Kind: Hold, Name: "G", For: -1}, "hold for -1 s: it may be 1 to"},
		{Act{Kind: Hold, Name: "G", For: MaxFor + 1}, "it may be 1 to"},
		{Act{Kind: Hold, Name: "G", Value: 1, Force: true}, "hold takes no value, force"},
		{Act{Kind: Priority, Name: "VI_1", Value: -254}, "priority with the value -254: it may be -253 to 253"},
		{Act{Kind: Switchover, Name: "VI_1", Force: true}, ""},
		{Act{Kind: Release, Name: "VI_1", For: 1}, "release takes no for"},
		{Act{Kind: Drain, Name: "[10.0.0.1]:tcp:80 [10.0.0.2]:tcp:80", For: 1}, ""},
		{Act{Kind: Drain, Name: "VI_1"}, `"VI_1" is no real server; expected its address`},
		{Act{Kind: Weight, Name: "10.0.0.2", Value: 1<<31 - 1}, ""},
		{Act{Kind: Weight, Name: "10.0.0.2"}, "weight needs value, from 1 to 2147483647"},
		{Act{Kind: Weight, Name: "10.0.0.2", Value: -1}, "weight with the value -1: it may be 1 to 2147483647"},
		{Act{Kind: Enable, Name: "10.0.0.2"}, ""},
		{Act{Kind: TestNotify, Name: "FWM 9", State: "UP"}, ""},
		{Act{Kind: TestNotify, State: "UP"}, "test-notify needs name"},
		{Act{Kind: TestNotify, Name: "VI_1", State: "\a"}, "the state has characters that cannot be printed"},
		{Act{Kind: Hold, Name: "VI_1", State: "UP"}, "hold takes no state"},
		{Act{Kind: Announce, Name: strings.Repeat("x", 256)}, "the name has 256 bytes; it may have 255"},
		{Act{Kind: Announce, Name: "a\nb"}, "the name has characters that cannot be printed"},
		{Act{Kind: Announce, Name: "\xff"}, "the name has characters that cannot be printed"},
		{Act{Kind: Reload, Reason: "\x1b[2J"}, "the reason has characters that cannot be printed"},
		{Act{Kind: Reload, Reason: strings.Repeat("x", 201)}, "the reason has 201 bytes; it may have 200"},
		{Act{Kind: Reload, By: By{Name: "a\x00"}}, "the name of the client has characters that cannot be printed"},
		{Act{Kind: Reload, By: By{Over: "a\n"}}, "the way has characters that cannot be printed"},
	} {
		err := test.act.Check()
		var r *Refusal
		if test.want == "" && err == nil {
			continue
		}
		if !errors.As(err, &r) || r.Code != Invalid || test.want == "" || !strings.Contains(r.Why, test.want) || len(r.Why) > 400 {
			t.Errorf("%.40v: %v, want %s", &test.act, err, test.want)
		}
	}
}

// TestKinds checks that the table is complete and without contradictions.
func TestKinds(t *testing.T) {
	for _, row := range Kinds {
		if row.Needs&^row.Takes != 0 || row.Doc == "" || RowOf(row.Kind).Doc != row.Doc || row.Takes&Value != 0 != (row.Least < row.Most) {
			t.Errorf("%+v", row)
		}
		for _, k := range row.Undoes {
			if !RowOf(k).Keeps {
				t.Errorf("%s undoes %s", row.Kind, k)
			}
		}
		if row.Keeps && !(&Act{Kind: Release, Name: "10.0.0.2"}).Undoes(&Intent{Kind: row.Kind, Name: "10.0.0.2"}) {
			t.Errorf("nothing undoes %s", row.Kind)
		}
	}
	if RowOf("") != nil {
		t.Error("nothing is an act")
	}
}

func TestAnswer(t *testing.T) {
	if r := Answer(map[string]int{"a": 1}, nil); r.Err() != nil || string(r.Body) != `{"a":1}` {
		t.Errorf("%s %v", r.Body, r.Err())
	}
	for _, test := range []struct {
		v    any
		err  error
		code Code
		want string
	}{
		{nil, errors.New("no"), Impossible, "no"},
		{"x", Refuse(Unknown, "no %d", 7), Unknown, "no 7"},
		{strings.Repeat("x", maxBody), nil, Impossible, "it is done; its result has"},
		{func() {}, nil, Impossible, "unsupported type"},
	} {
		r := Answer(test.v, test.err)
		if r.Code != test.code || !strings.Contains(r.Why, test.want) || r.Body != nil {
			t.Errorf("%+v, want %s", r, test.want)
		}
	}
	by := By{UID: 7, PID: 12, Over: "D-Bus", Name: ":1.7"}
	if got := by.String(); got != ":1.7, uid 7, pid 12, over D-Bus" {
		t.Error(got)
	}
}

// TestAsker checks that each act gets its own result, that an act without a result ends
// with the timeout of its client, and that the number of waiting acts is bounded.
func TestAsker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k *Asker
		deaf := false
		k = NewAsker(func(id uint32, a *Act) bool {
			switch a.Name {
			case "yes":
				go k.Take(id, Answer(id, nil))
			case "no":
				go k.Take(id, Answer(nil, Refuse(Unknown, "not here")))
			}
			return !deaf
		})
		do := func(name string) (string, error) {
			ctx, end := context.WithTimeout(t.Context(), time.Second)
			defer end()
			b, err := k.Do(ctx, &Act{Kind: Announce, Name: name})
			return string(b), err
		}
		code := func(err error) Code {
			var r *Refusal
			if !errors.As(err, &r) {
				t.Fatalf("no refusal: %v", err)
			}
			return r.Code
		}
		if b, err := do("yes"); err != nil || !json.Valid([]byte(b)) {
			t.Errorf("%s %v", b, err)
		}
		if b, err := do("no"); b != "" || code(err) != Unknown || err.Error() != "not here" {
			t.Errorf("%s %v", b, err)
		}
		if _, err := do(""); code(err) != Invalid {
			t.Error(err)
		}
		for range maxOpen {
			go do("never")
		}
		synctest.Wait()
		if _, err := do("yes"); code(err) != Unavailable || !strings.Contains(err.Error(), "64 other acts") {
			t.Error(err)
		}
		k.Take(2, Answer(1, nil)) // no client waits for it any more
		time.Sleep(time.Second)
		synctest.Wait()
		if _, err := do("never"); code(err) != Unavailable || !strings.Contains(err.Error(), "announce never has no result yet") {
			t.Error(err)
		}
		deaf = true
		if _, err := do("yes"); code(err) != Unavailable || len(k.open) != 0 {
			t.Errorf("%v; %d open", err, len(k.open))
		}
	})
}
