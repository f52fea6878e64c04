package api_test

import (
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/statustest"
)

var update = flag.Bool("update", false, "record the answers")

// whole is an answer of all processes.
func whole(t *testing.T) *api.Status {
	return &api.Status{
		Version: api.Version, At: statustest.At,
		Node: api.Node{Host: "node-1", Release: "2.4.3-go", PID: 7, Started: statustest.At},
		VRRP: api.OfVRRP(statustest.VRRP(t, statustest.Load(t))),
		LVS:  api.OfLVS(statustest.LVS(t, statustest.LoadLVS(t))),
		BFD: api.OfBFD(&status.Sessions{At: statustest.At, List: []status.BFDSession{{
			Conf: &conf.BFDInstance{Name: "B"}, State: "Up", RemoteState: "Init", Diag: "No Diagnostic", RemoteDiag: "Path Down",
			Discriminator: 1, Remote: 2, Tx: time.Second, RemoteTx: 2 * time.Second, Detection: 3 * time.Second, Seen: statustest.At,
			Sent: 4, Received: 5, Ups: 6, Downs: 7, Dropped: []status.Count{{Name: "ttl", N: 8}}, SendError: true, Unknown: true,
		}}}),
	}
}

// TestAnswer: the answer as JSON; -update records it. What is read back is the same.
func TestAnswer(t *testing.T) {
	s := whole(t)
	got, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/status.json"
	if *update {
		if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got)+"\n", "\n")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	var back api.Status
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.MarshalIndent(&back, "", "  ")
	if err != nil || string(again) != string(got) {
		t.Errorf("read and written again it differs, %v", err)
	}
}

// TestEachFieldIsDocumented: each field has a name and a documentation, and the types are
// those that JSON keeps.
func TestEachFieldIsDocumented(t *testing.T) {
	n := 0
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice:
			walk(typ.Elem())
		case reflect.Struct:
			if typ == reflect.TypeFor[time.Time]() {
				return
			}
			for i := range typ.NumField() {
				f := typ.Field(i)
				n++
				if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); !f.Anonymous && (name == "" || f.Tag.Get("doc") == "") {
					t.Errorf("%v.%s has the tag %q", typ, f.Name, f.Tag)
				}
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[api.Status]())
	if n < 100 {
		t.Errorf("only %d fields were looked at", n)
	}
}
