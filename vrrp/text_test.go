package vrrp

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// TestNames checks that each value of each enumeration has a name, and no name is used
// twice.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	check := func(kind, name string) {
		if name == "" || unicode.IsDigit(rune(name[0])) || seen[kind+name] {
			t.Errorf("%s %q", kind, name)
		}
		seen[kind+name] = true
	}
	for n := range len(eventNames) {
		check("event", EventKind(n).String())
	}
	for n := range len(actionNames) {
		check("action", ActionKind(n).String())
	}
	for n := range len(reasonNames) {
		check("reason", Reason(n).String())
	}
	for n := range len(noteNames) {
		check("note", Note(n).String())
	}
	for n := range numRejects {
		check("reject", n.String())
	}
	for _, s := range []State{Init, Backup, Master, Fault, Stopped} {
		check("state", s.String())
	}
	if got := State(50).String() + Note(200).String(); got != "50200" {
		t.Errorf("unknown values: %s", got)
	}
	if got := (FaultLinkDown | FaultGroup | 1<<20).String(); got != "link-down,group,0x100000" {
		t.Errorf("faults: %s", got)
	}
	if numRejects > 64 || len(noteNames) > 64 {
		t.Error("too many for the sets of what has been noted")
	}
}

func TestJSON(t *testing.T) {
	i := New(Config{Name: "VI_1", Key: key("secret12")})
	faults := Event{Kind: FaultsChanged, Faults: FaultLinkDown | FaultNoSource, Cause: Cause{Code: "link-down", Detail: "eth0"}}
	for _, c := range []struct {
		value any
		want  string
	}{
		{Action{Kind: Transition, Instance: i, From: Init, To: Backup, Reason: ReasonStart},
			`{"kind":"transition","instance":"VI_1","from":"INIT","to":"BACKUP","reason":"start"}`},
		{Action{Kind: SendAdvert, Instance: i}, `{"kind":"send-advert","instance":"VI_1","priority":0}`},
		{Action{Kind: Notify, Instance: i, Note: NoteRejected, Reject: RejectTTL, Addr: addr(lowAddr), Count: 254, Time: time.Second},
			`{"kind":"notify","instance":"VI_1","note":"rejected","reject":"ip_ttl_err","addr":"10.0.0.1","count":254,"time_ns":1000000000}`},
		{Action{Kind: GroupTransition, Group: NewSyncGroup("G", false), To: Master},
			`{"kind":"group-transition","group":"G","from":"INIT","to":"MASTER"}`},
		{faults, `{"kind":"faults-changed","faults":"link-down,no-source","cause":"link-down","detail":"eth0"}`},
		{Event{Kind: Expiry}, `{"kind":"expiry"}`},
		{Event{Kind: Received, Packet: &Packet{Src: addr(lowAddr), Dst: group4, TTL: 255, Protocol: 112, Payload: []byte{1}}},
			`{"kind":"received","src":"10.0.0.1","dst":"224.0.0.18","ttl":255,"protocol":112,"payload":"AQ=="}`},
	} {
		got, err := json.Marshal(c.value)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Error(diff)
		}
	}
	// Keys do not get into recordings.
	got, err := json.Marshal(Event{Kind: Reconfigure, Config: &Config{Key: key("secret12")}})
	if err != nil || strings.Contains(string(got), "115") {
		t.Errorf("%s, %v", got, err)
	}
	if got := faults.String(); got != "faults-changed faults=link-down,no-source cause=link-down" {
		t.Error(got)
	}
}

// TestStats checks that every counter has a name, those of keepalived first.
func TestStats(t *testing.T) {
	s := Stats{Counts: Counts{AdvertsReceived: 1, AdvertsSent: 2}}
	s.Rejected[RejectAHSPI] = 3
	s.Rejected[RejectPassword] = 4
	got := map[string]uint64{}
	var names []string
	for name, n := range s.All() {
		if n != 0 {
			got[name] = n
		}
		names = append(names, name)
	}
	if diff := cmp.Diff(map[string]uint64{"advert_rcvd": 1, "advert_sent": 2, "auth_failure": 7}, got); diff != "" {
		t.Error(diff)
	}
	if names[0] != "advert_rcvd" || len(names) != 24 {
		t.Errorf("%d names: %v", len(names), names)
	}
	for range s.All() {
		break // stops
	}
}
