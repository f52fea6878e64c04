package act

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var some = []Intent{
	{Kind: Hold, Name: "VI_1", Reason: "new kernel", By: "uid 0, over the control socket", Since: 1700000000, Until: 1700000060},
	{Kind: Priority, Name: "VI_1", Value: -20, By: "uid 7", Since: 1700000000},
	{Kind: Switchover, Name: "G", By: "uid 7", Since: 1700000000},
	{Kind: Weight, Name: "FWM 9 10.0.0.2:80", Value: 7, By: "uid 7", Since: 1700000000},
}

// TestIntentFile checks that written intents are read again, and that contents that no
// act could have made are refused with the reason.
func TestIntentFile(t *testing.T) {
	b, err := EncodeIntents(some)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeIntents(b); err != nil || !slices.Equal(got, some) {
		t.Errorf("%+v, %v", got, err)
	}
	if b, err = EncodeIntents(nil); err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeIntents(b); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	one := `{"kind":"hold","name":"VI_1","by":"x","since":1}`
	for _, test := range []struct{ file, want string }{
		{"", "unexpected end"},
		{`{"version":2}`, "version 2 of the file"},
		{`{"version":1,"intents":[{}]}`, "intent 1: there is no act"},
		{`{"version":1,"intents":[` + one + "," + one + `]}`, "intent 2: hold VI_1 stands there twice"},
		{`{"version":1,"intents":[{"kind":"announce","name":"VI_1","by":"x"}]}`, "announce is not kept like that"},
		{`{"version":1,"intents":[{"kind":"hold","name":"a\nb"}]}`, "cannot be printed"},
		{`{"version":1,"intents":[{"kind":"hold","name":"a","until":-1}]}`, "hold is not kept like that"},
		{`{"version":1,"intents":[{"kind":"priority","name":"a","value":254}]}`, "priority with the value 254: it may be -253 to 253"},
		{`{"version":1,"intents":[{"kind":"hold","name":"a","value":1}]}`, "hold takes no value"},
		{`{"version":1,"intents":[{"kind":"drain","name":"a"}]}`, `"a" is no real server`},
		{`{"version":1,"intents":[{"kind":"enable","name":"10.0.0.2"}]}`, "enable is not kept like that"},
		{`{"version":1,"intents":[` + strings.Repeat(one+",", MaxIntents) + one + `]}`, "257 intents; at most 256 are kept"},
	} {
		if got, err := DecodeIntents([]byte(test.file)); err == nil || got != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.80s: %v, %v; want %s", test.file, got, err, test.want)
		}
	}
}

// FuzzDecodeIntents checks that no file causes a panic, and that intents are the same
// after decoding and encoding.
func FuzzDecodeIntents(f *testing.F) {
	b, err := EncodeIntents(some)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"version":1,"intents":[null]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := DecodeIntents(b)
		if err != nil {
			return
		}
		again, err := EncodeIntents(list)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeIntents(again); err != nil || fmt.Sprint(got) != fmt.Sprint(list) {
			t.Errorf("%+v, %v; want %+v", got, err, list)
		}
	})
}

// TestPut checks that a later intent replaces an earlier one of its kind and name, and
// that the previous list is not changed.
func TestPut(t *testing.T) {
	list := Put(some, Intent{Kind: Priority, Name: "VI_1", Value: 7})
	if len(list) != 4 || list[3].Value != 7 || some[1].Value != -20 {
		t.Errorf("%+v", list)
	}
	if list = Put(list, Intent{Kind: Priority, Name: "VI_1"}); len(list) != 3 {
		t.Errorf("%+v", list)
	}
	now := time.Unix(1700000059, 999)
	if some[0].Over(now) || !some[0].Over(now.Add(time.Second)) || some[1].Over(now.AddDate(100, 0, 0)) || some[0].Role() != "vrrp" {
		t.Error("the end of an intent")
	}
	got := IntentOf(&Act{Kind: Hold, Name: "A", For: 60, Reason: "r", By: By{UID: 1, Over: "x"}}, now)
	if got != (Intent{Kind: Hold, Name: "A", Reason: "r", By: "uid 1, over x", Since: 1700000059, Until: 1700000119}) {
		t.Errorf("%+v", got)
	}
}
