package agentx

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// samples returns a message of each kind, with values of each type.
func samples() []*PDU {
	all := []Varbind{
		{OID{1, 3, 6, 1, 4, 1, 9586, 100, 5, 1, 1, 0}, Int(-3)},
		{OID{1, 3, 6, 1, 2, 1, 1, 1, 0}, Text("abcde")},
		{OID{1, 3}, Octets([]byte{1, 2, 3, 4})},
		{OID{1, 3, 6, 1, 2}, Unsigned(7)},
		{OID{2, 5}, Count32(1<<32 + 5)}, {OID{2, 6}, Count64(1 << 40)},
		{OID{2, 7}, IPv4(netip.MustParseAddr("192.0.2.1"))}, {OID{2, 8}, Value{Type: TimeTicks, Number: 12}},
		{OID{2, 9}, Value{Type: ObjectID, OID: OID{1, 3, 6, 1, 6, 3}}}, {OID{2, 10}, Value{Type: EndOfMIBView}},
	}
	ranges := []Range{{From: OID{1, 3, 6, 1, 2, 1}, To: OID{1, 3, 6, 1, 2, 2}, Include: true}, {From: OID{1, 3, 6}}}
	head := func(p PDU) *PDU { p.Session, p.Transaction, p.Packet = 1, 2, 3; return &p }
	return []*PDU{
		head(PDU{Kind: Open, Timeout: 5, ID: OID{1, 3, 6, 1, 4, 1, 9586}, Description: []byte("Keepalived")}),
		head(PDU{Kind: Close, Reason: 5}), head(PDU{Kind: Register, Timeout: 1, Priority: 127, ID: OID{1, 3, 6, 1, 4}}),
		head(PDU{Kind: Get, Ranges: ranges, Context: []byte("ctx")}), head(PDU{Kind: GetNext, Ranges: ranges}),
		head(PDU{Kind: GetBulk, NonRepeaters: 1, MaxRepetitions: 9, Ranges: ranges}),
		head(PDU{Kind: TestSet, Varbinds: all}), head(PDU{Kind: CommitSet}), head(PDU{Kind: UndoSet}), head(PDU{Kind: CleanupSet}),
		head(PDU{Kind: Notify, Varbinds: all}), head(PDU{Kind: Ping}), head(PDU{Kind: Response, UpTime: 99, Error: WrongValue, Index: 2, Varbinds: all}),
	}
}

// TestMessages checks that each kind is the same after encoding and decoding in both byte
// orders, in sequence.
func TestMessages(t *testing.T) {
	var stream []byte
	var want []*PDU
	for _, little := range []bool{false, true} {
		for _, p := range samples() {
			p.Little = little
			want = append(want, p)
			stream = p.Append(stream)
		}
	}
	r := bytes.NewReader(stream)
	for _, p := range want {
		got, err := Read(r)
		if err != nil || !cmp.Equal(p, got) {
			t.Errorf("kind %d, little %v: %v\n%s", p.Kind, p.Little, err, cmp.Diff(p, got))
		}
	}
	if _, err := Read(r); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// TestWire checks a message against RFC 2741.
func TestWire(t *testing.T) {
	p := PDU{Kind: GetNext, Session: 1, Transaction: 2, Packet: 3, Ranges: []Range{{From: OID{1, 3, 6, 1, 2, 1}, Include: true}}}
	want := "\x01\x06\x10\x00\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x0c" + "\x01\x02\x01\x00\x00\x00\x00\x01" + "\x00\x00\x00\x00"
	if got := string(p.Append(nil)); got != want {
		t.Errorf("% x\nwant % x", got, want)
	}
}

func TestRefused(t *testing.T) {
	good := samples()[0].Append(nil)
	change := func(i int, b byte) []byte { c := bytes.Clone(good); c[i] = b; return c }
	for name, b := range map[string][]byte{
		"version": change(0, 2), "odd length": change(19, good[19]+1), "4 GiB": change(16, 0xff), "short": good[:len(good)-1],
	} {
		_, err := Read(bytes.NewReader(b))
		if bad := (*BadPDU)(nil); err == nil || errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The stream continues after an inconsistent message.
	for name, b := range map[string][]byte{"too many sub-identifiers": change(24, 200), "text too long": change(len(good)-13, 0xee)} {
		r := bytes.NewReader(append(b, good...))
		_, err := Read(r)
		if bad := (*BadPDU)(nil); !errors.As(err, &bad) || bad.PDU.Packet != 3 {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Read(r); err != nil {
			t.Errorf("%s: behind it: %v", name, err)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]string{
		"unix:/var/agentx/master": "unix /var/agentx/master", "/run/x": "unix /run/x", "tcp:192.0.2.1:705": "tcp 192.0.2.1:705",
		"tcp:192.0.2.1": "tcp 192.0.2.1:705", "udp:1.2.3.4:705": "udp 1.2.3.4:705", "tcp:7050": "tcp 127.0.0.1:7050",
		"tcp6:[::1]:705": "tcp6 [::1]:705", "tcp6:[2001:db8::1]": "tcp6 [2001:db8::1]:705", "host": "error", "ftp:x": "error", "": "error",
	} {
		network, address, err := ParseAddress(in)
		got := network + " " + address
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

// FuzzRead checks that no stream of bytes causes a panic or takes memory out of
// proportion, and that a decoded message is the same after encoding.
func FuzzRead(f *testing.F) {
	for _, p := range samples() {
		f.Add(p.Append(nil))
		p.Little = true
		f.Add(p.Append(nil))
	}
	f.Add([]byte("\x01\x06\x10\x00" + strings.Repeat("\xff", 16)))
	f.Fuzz(func(t *testing.T, b []byte) {
		for r := bytes.NewReader(b); ; {
			p, err := Read(r)
			if bad := (*BadPDU)(nil); errors.As(err, &bad) {
				continue
			}
			if err != nil {
				return
			}
			again, err := Read(bytes.NewReader(p.Append(nil)))
			if err != nil || !bytes.Equal(p.Append(nil), again.Append(nil)) {
				t.Fatalf("%+v is read again as %+v, %v", p, again, err)
			}
		}
	})
}
