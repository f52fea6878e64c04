package link

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
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
		Refusal(7, "it does not run"),
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

// TestFrameCanBeSentTwice checks that the successor of a child gets the same frame as the
// child.
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
		"an answer of more than 1 MiB":  {1, 0, 16, 0, byte(Answer)},
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

// TestLengthFieldCostsLittle checks that a length field alone allocates little memory.
func TestLengthFieldCostsLittle(t *testing.T) {
	for _, c := range []struct {
		head []byte
		want string
	}{
		{[]byte{0xff, 0xff, 0xff, 0xff, byte(Configure)}, "message of kind 2 of 4294967295 bytes"},
		{[]byte{0, 0, 0, 0x10, byte(Begin)}, "message of kind 1 of 268435456 bytes"},
		{[]byte{0, 0, 0, 0x10, byte(Configure)}, "EOF"}, // the rest is waited for
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
		if used := after.TotalAlloc - before.TotalAlloc; used > 5<<20 {
			t.Errorf("% x: %d bytes of memory", c.head, used)
		}
	}
}

// FuzzReceive checks that no stream of bytes causes a panic or takes memory out of
// proportion.
func FuzzReceive(f *testing.F) {
	for _, m := range []Message{
		{Kind: Begin, Setup: &Setup{ProcessName: "keepalived"}},
		{Kind: Configure, Config: &conf.Config{Path: "k.conf", Instances: []*conf.VRRPInstance{{Name: "VI_1"}}}},
		{Kind: Stop}, {Kind: Failed, Failure: &Failure{"no", 1}}, {Kind: Ask, Question: &Question{ID: 7, Of: "vrrp"}},
		Refusal(7, "it does not run"), {Kind: Report, Event: &Event{To: "vrrp", Subject: "peer"}},
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

// TestSnapshots checks that snapshots of any length arrive, each with its message,
// whatever is sent between them and in however many pieces it is read.
func TestSnapshots(t *testing.T) {
	parent, child := pair(t)
	bodies := [][]byte{{}, []byte("x"), bytes.Repeat([]byte("0123456789abcdef"), 1<<16), []byte("late")}
	before := open(t)
	sent := make(chan error, 1)
	go func() {
		var err error
		for range 50 {
			for i, body := range bodies {
				err = errors.Join(err, child.Send(Message{Kind: Alive}), child.Send(Snapshot(uint32(i), Text(body))), child.Send(Refusal(9, "no")))
			}
		}
		sent <- err
	}()
	for range 50 {
		for i, body := range bodies {
			receive(t, parent)
			m := receive(t, parent)
			if got, err := m.Snapshot(); err != nil || m.Reply.ID != uint32(i) || !bytes.Equal(got, body) {
				t.Fatalf("answer %d of %d bytes, %v; want %d of %d", m.Reply.ID, len(got), err, i, len(body))
			}
			if m = receive(t, parent); m.File != nil {
				t.Fatal("a refusal has a file")
			}
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if after := open(t); after != before {
		t.Errorf("%d descriptors are open, %d before", after, before)
	}
}

// open returns how many descriptors this process has.
func open(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestSnapshotHasABound checks that a snapshot that is too long is refused by the sender
// and by the receiver.
func TestSnapshotHasABound(t *testing.T) {
	m := Snapshot(1, Text(make([]byte, MaxSnapshot+1)))
	if _, err := m.Snapshot(); m.File != nil || err == nil {
		t.Errorf("it is sent, %v", err)
	}
	m = Snapshot(1, Text(nil))
	if err := m.File.Truncate(MaxSnapshot + 1); err != nil {
		t.Fatal(err)
	}
	if body, err := m.Snapshot(); err == nil {
		t.Errorf("%d bytes are read", len(body))
	}
}

// TestSnapshotWithoutItsFile checks that a message whose file has not arrived is refused
// rather than answered with nothing.
func TestSnapshotWithoutItsFile(t *testing.T) {
	parent, child := pair(t)
	if err := child.Send(Message{Kind: Answer, Reply: &Reply{ID: 1}}); err != nil {
		t.Fatal(err)
	}
	m := receive(t, parent)
	if _, err := m.Snapshot(); err == nil {
		t.Error("it has one")
	}
}

// TestSuperfluousFiles checks that the number of kept descriptors that belong to no
// answer is bounded.
func TestSuperfluousFiles(t *testing.T) {
	parent, child := pair(t)
	before := open(t)
	for range 10 * maxWaiting {
		m := Snapshot(1, Text(nil))
		m.Kind = Alive
		if err := child.Send(m); err != nil {
			t.Fatal(err)
		}
		receive(t, parent)
	}
	if more := open(t) - before; more > maxWaiting {
		t.Errorf("%d descriptors are open", more)
	}
}
