package api_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/api/apitest"
	"keepalived-go/internal/output/status/statustest"
	"keepalived-go/vrrp"
)

var update = flag.Bool("update", false, "record the answers")

// TestAnswer checks the answer as JSON, which -update records, and that it is the same
// after decoding and encoding.
func TestAnswer(t *testing.T) {
	s := apitest.Daemon(t)
	got, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	statustest.Golden(t, *update, "testdata/status.json", string(got)+"\n")
	var back api.Status
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.MarshalIndent(&back, "", "  ")
	if err != nil || string(again) != string(got) {
		t.Errorf("read and written again it differs, %v", err)
	}
}

// TestEachFieldIsDocumented checks that each field has a name and a documentation, and a
// type that JSON preserves.
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

// TestCounters checks that each statistic of a virtual router has its field, in the order
// of the statistics.
func TestCounters(t *testing.T) {
	s := statustest.VRRP(t, statustest.Load(t))
	s.Instances[0].Stats = vrrp.Stats{Counts: vrrp.Counts{AdvertsReceived: 1, AdvertsSent: 2, Stalls: 3}}
	c := api.OfVRRP(s).Instances[0].Counters
	typ, i := reflect.TypeFor[api.Counters](), 0
	for name, n := range s.Instances[0].Stats.All() {
		if i == typ.NumField() || strings.TrimSuffix(typ.Field(i).Tag.Get("json"), ",omitempty") != name {
			t.Fatalf("there is no field %d for %s", i, name)
		}
		if got := c.Get(name); got != n {
			t.Errorf("%s is %d, want %d", name, got, n)
		}
		i++
	}
	if i != typ.NumField() {
		t.Errorf("%d statistics, %d fields", i, typ.NumField())
	}
	if got := c.String(); got != "advert_rcvd=1,advert_sent=2,stalls=3" {
		t.Error(got)
	}
	if n := c.Get("none"); n != 0 {
		t.Error(n)
	}
}

// TestWriteVRRP checks that the output written piece by piece equals the whole, with and
// without virtual routers.
func TestWriteVRRP(t *testing.T) {
	s := statustest.VRRP(t, statustest.Load(t))
	for _, instances := range [][]status.Instance{s.Instances, s.Instances[:1], {}} {
		s.Instances = instances
		var back api.VRRP
		written(t, &back, api.OfVRRP(s), func(w *bufio.Writer) error {
			return api.WriteVRRP(w, slices.Chunk(instances, 2), s, false)
		})
	}
}

// TestWriteLVS checks the same of virtual servers.
func TestWriteLVS(t *testing.T) {
	s := statustest.LVS(t, statustest.LoadLVS(t))
	for _, services := range [][]status.VirtualServer{s.Services, s.Services[:1], {}} {
		s.Services = services
		var back api.LVS
		written(t, &back, api.OfLVS(s), func(w *bufio.Writer) error { return api.WriteLVS(w, s) })
	}
}

// written checks that what write writes is want, by way of back.
func written(t *testing.T, back, want any, write func(*bufio.Writer) error) {
	t.Helper()
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	if err := errors.Join(write(w), w.Flush(), json.Unmarshal(b.Bytes(), back)); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(back)
	expected, failed := json.Marshal(want)
	if !bytes.Equal(got, expected) || err != nil || failed != nil {
		t.Errorf("%v, %v\n%s\n%s", err, failed, got, expected)
	}
}
