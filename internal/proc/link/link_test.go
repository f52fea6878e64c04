package link

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"keepalived-go/conf"
)

var compare = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
}

func pair(t *testing.T) (parent, child *Conn) {
	t.Helper()
	parent, f, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	child, err = New(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { parent.Close(); child.Close() })
	for _, c := range []*Conn{parent, child} {
		c.SetDeadline(time.Now().Add(10 * time.Second))
	}
	return parent, child
}

func receive(t *testing.T, c *Conn) Message {
	t.Helper()
	m, err := c.Receive()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMessagesComeThrough(t *testing.T) {
	parent, child := pair(t)
	for _, want := range []Message{
		{Kind: Begin, Setup: &Setup{ProcessName: "keepalived_vrrp", StateFile: "/run/s", Level: -2, Console: true}},
		{Kind: Configure, Config: &conf.Config{Path: "k.conf"}},
		{Kind: Stop},
		{Kind: Failed, Failure: &Failure{"no permission", 4}},
		{Kind: Ask, Question: &Question{ID: 7, Of: "vrrp"}},
		{Kind: Answer, Part: &Part{ID: 7, Body: []byte("state"), Last: true}},
		{Kind: Report, Event: &Event{From: "bfd", To: "vrrp", Subject: "peer", Body: []byte{1}}},
	} {
		if err := parent.Send(want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, receive(t, child), compare); diff != "" {
			t.Errorf("received (-want +got):\n%s", diff)
		}
	}
}

// The successor of a child gets the same frame as the child.
func TestFrameCanBeSentTwice(t *testing.T) {
	want := &conf.Config{}
	for range 5000 { // more than a socket buffer holds
		want.Instances = append(want.Instances, &conf.VRRPInstance{Name: "an instance with a name of some length"})
	}
	for _, dir := range []string{"", t.TempDir()} {
		frame, err := NewFrame(Message{Kind: Configure, Config: want}, dir)
		if err != nil {
			t.Fatal(err)
		}
		defer frame.Close()
		for range 2 {
			parent, child := pair(t)
			sent := make(chan error, 1)
			go func() { sent <- parent.SendFrame(frame) }()
			m := receive(t, child)
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			if m.Kind != Configure || len(m.Config.Instances) != len(want.Instances) {
				t.Fatalf("received kind %d with %d instances", m.Kind, len(m.Config.Instances))
			}
		}
	}
}

func TestEndOfPeerIsEOF(t *testing.T) {
	t.Run("after all was read", func(t *testing.T) {
		parent, child := pair(t)
		parent.Send(Message{Kind: Alive})
		parent.Close()
		receive(t, child)
		if _, err := child.Receive(); err != io.EOF {
			t.Errorf("error %v, want EOF", err)
		}
	})
	t.Run("with our message unread", func(t *testing.T) {
		parent, child := pair(t)
		child.Send(Message{Kind: Alive})
		parent.Close()
		if _, err := child.Receive(); err != io.EOF {
			t.Errorf("error %v, want EOF", err)
		}
	})
	t.Run("within a message", func(t *testing.T) {
		parent, child := pair(t)
		frame := appendFrame(nil, Message{Kind: Failed, Failure: &Failure{Text: "torn"}})
		parent.conn.Write(frame[:len(frame)-2])
		parent.Close()
		if _, err := child.Receive(); err != io.EOF {
			t.Errorf("error %v, want EOF", err)
		}
	})
}

func TestReceiveRefuses(t *testing.T) {
	for name, frame := range map[string][]byte{
		"a message of 4 GiB":            {0xff, 0xff, 0xff, 0xff, byte(Configure)},
		"an event of 64 KiB":            {0, 0, 1, 0, byte(Report)},
		"a part of 1 MiB":               {0, 0, 16, 0, byte(Answer)},
		"a body where there is none":    {1, 0, 0, 0, byte(Stop), 0},
		"a configuration that is short": {1, 0, 0, 0, byte(Configure), 1},
	} {
		t.Run(name, func(t *testing.T) {
			parent, child := pair(t)
			parent.conn.Write(frame)
			if m, err := child.Receive(); err == nil || err == io.EOF {
				t.Errorf("received %+v with error %v", m, err)
			}
		})
	}
}

// A length field alone costs nothing.
func TestLengthFieldCostsNothing(t *testing.T) {
	for _, c := range []struct {
		head []byte
		want string
	}{
		{[]byte{0xff, 0xff, 0xff, 0xff, byte(Configure)}, "message of kind 2 of 4294967295 bytes"},
		{[]byte{0, 0, 0, 0x10, byte(Begin)}, "message of kind 1 of 268435456 bytes"},
		{[]byte{0, 0, 0, 0x10, byte(Configure)}, "EOF"}, // is waited for
		{[]byte{1, 0, 0, 0, byte(Stop), 7}, "unexpected body of 1 bytes"},
		{[]byte{1, 0, 0}, "EOF"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := readMessage(bytes.NewReader(c.head))
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("% x: %v, want %s", c.head, err, c.want)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
			t.Errorf("% x: %d bytes of memory", c.head, used)
		}
	}
}

// FuzzReceive: no stream of bytes panics or takes memory out of proportion.
func FuzzReceive(f *testing.F) {
	for _, m := range []Message{
		{Kind: Begin, Setup: &Setup{ProcessName: "keepalived"}},
		{Kind: Configure, Config: &conf.Config{Path: "k.conf", Instances: []*conf.VRRPInstance{{Name: "VI_1"}}}},
		{Kind: Stop}, {Kind: Failed, Failure: &Failure{"no", 1}}, {Kind: Ask, Question: &Question{ID: 7, Of: "vrrp"}},
		{Kind: Answer, Part: &Part{ID: 7, Body: []byte("state")}}, {Kind: Report, Event: &Event{To: "vrrp", Subject: "peer"}},
	} {
		f.Add(appendFrame(nil, m))
	}
	f.Add([]byte{0, 0, 0, 0x10, byte(Configure)})
	f.Fuzz(func(t *testing.T, b []byte) {
		for r := bytes.NewReader(b); ; {
			m, err := readMessage(r)
			if err != nil {
				return
			}
			if again, err := readMessage(bytes.NewReader(appendFrame(nil, m))); err != nil {
				t.Fatalf("received %+v once, not twice: %v", again, err)
			}
		}
	})
}

// A snapshot comes through in parts, other messages between them, and an answer
// to an earlier question does not mix with it.
func TestSnapshotComesInParts(t *testing.T) {
	for _, size := range []int{0, 1, PartSize - 1, PartSize, PartSize + 1, 5*PartSize + 7} {
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i / 251)
		}
		parent, child := pair(t)
		sent := make(chan error, 1)
		go func() {
			var err error
			for m := range Answers(7, want) {
				err = errors.Join(err, child.Send(Message{Kind: Alive}), child.Send(Message{Kind: Answer, Part: &Part{ID: 6, Body: []byte("late")}}), child.Send(m))
			}
			sent <- err
		}()
		a := Assembly{ID: 7}
		for whole := false; !whole; {
			m := receive(t, parent)
			if m.Kind != Answer {
				continue
			}
			var err error
			if whole, err = a.Add(m.Part); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Body, want) {
			t.Errorf("a snapshot of %d bytes arrives with %d, or with others", size, len(a.Body))
		}
	}
}

func TestSnapshotHasABound(t *testing.T) {
	var refused []Message
	for m := range Answers(1, make([]byte, MaxSnapshot+1)) {
		refused = append(refused, m)
	}
	if len(refused) != 1 {
		t.Fatalf("%d messages for a snapshot that is too long, want a refusal", len(refused))
	}
	if whole, err := (&Assembly{ID: 1}).Add(refused[0].Part); whole || err == nil {
		t.Errorf("a refusal: whole %v, error %v", whole, err)
	}
	a := Assembly{ID: 1}
	part := &Part{ID: 1, Body: make([]byte, PartSize)}
	for range MaxSnapshot / PartSize {
		if _, err := a.Add(part); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Add(part); err == nil {
		t.Errorf("%d bytes were taken", len(a.Body))
	}
	if whole, err := a.Add(nil); whole || err != nil {
		t.Errorf("a message without a part: %v, %v", whole, err)
	}
}
