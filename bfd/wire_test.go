package bfd

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"
)

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVectors checks packets as the C daemon 2.2.7 sends them (min_tx 50 ms, min_rx 60
// ms, idle_tx 1 s, multiplier 4).
func TestVectors(t *testing.T) {
	for _, row := range []struct {
		hex  string
		want Packet
	}{
		{"20400418 00000007 00000000 000f4240 0000c350 00000000",
			Packet{State: Down, DetectMult: 4, MyDiscriminator: 7, DesiredMinTx: time.Second, RequiredMinRx: 50 * ms}},
		{"20e00418 00000007 00000009 0000c350 0000ea60 00000000",
			Packet{State: Up, Poll: true, DetectMult: 4, MyDiscriminator: 7, YourDiscriminator: 9, DesiredMinTx: 50 * ms, RequiredMinRx: 60 * ms}},
		{"21500318 00000007 00000009 ffffffff 00000001 00000002",
			Packet{State: Down, Diag: DiagExpired, Final: true, DetectMult: 3, MyDiscriminator: 7, YourDiscriminator: 9,
				DesiredMinTx: MaxInterval, RequiredMinRx: us, RequiredMinEchoRx: 2 * us}},
		{"28ca0118 00000001 00000002 00000003 00000004 00000005",
			Packet{State: Up, Diag: DiagReverseDown, ControlPlaneApart: true, Demand: true, DetectMult: 1, MyDiscriminator: 1, YourDiscriminator: 2,
				DesiredMinTx: 3 * us, RequiredMinRx: 4 * us, RequiredMinEchoRx: 5 * us}},
	} {
		b := unhex(t, row.hex)
		var p Packet
		if r := Parse(b, &p); r != RejectNone || fmt.Sprint(p) != fmt.Sprint(row.want) {
			t.Errorf("%s: %v, %+v", row.hex, r, p)
		}
		if got := row.want.Append(nil); !bytes.Equal(got, b) {
			t.Errorf("%x instead of %x", got, b)
		}
	}
	long := Packet{DetectMult: 1, MyDiscriminator: 1, DesiredMinTx: 2 * MaxInterval, RequiredMinRx: -1}
	var p Packet
	if Parse(long.Append(nil), &p); p.DesiredMinTx != MaxInterval || p.RequiredMinRx != 0 {
		t.Error("a time that no packet can carry becomes the nearest", p.DesiredMinTx, p.RequiredMinRx)
	}
}

// TestParseRejects checks the rules of RFC 5880, 6.8.6 that need no session, each with a
// packet that only this rule refuses.
func TestParseRejects(t *testing.T) {
	good := "20c00418 00000007 00000009 0000c350 0000ea60 00000000"
	for _, row := range []struct {
		name, hex string
		want      Reject
	}{
		{"good", good, RejectNone},
		{"bytes beyond the length", good + "0000", RejectNone},
		{"empty", "", RejectShort},
		{"cut", good[:len(good)-2], RejectShort},
		{"version 0", "00" + good[2:], RejectVersion},
		{"version 2", "40" + good[2:], RejectVersion},
		{"length 23", "20c00417" + good[8:], RejectLength},
		{"length 25 with authentication", "20c40419" + good[8:] + "00", RejectLength},
		{"length beyond the payload", "20c00419" + good[8:], RejectLength},
		{"multiplier 0", "20c00018" + good[8:], RejectMultiplier},
		{"multipoint", "20c10418" + good[8:], RejectMultipoint},
		{"poll and final", "20f00418" + good[8:], RejectPollFinal},
		{"my discriminator 0", "20c00418 00000000" + good[17:], RejectMyDiscriminator},
		{"your discriminator 0, Up", "20c00418 00000007 00000000" + good[26:], RejectYourDiscriminator},
		{"your discriminator 0, Init", "20800418 00000007 00000000" + good[26:], RejectYourDiscriminator},
		{"your discriminator 0, Down", "20400418 00000007 00000000" + good[26:], RejectNone},
		{"your discriminator 0, AdminDown", "20000418 00000007 00000000" + good[26:], RejectNone},
		{"authentication of type 0", "20c4041b" + good[8:] + "000301", RejectAuthType},
		{"authentication of type 6", "20c4041b" + good[8:] + "060301", RejectAuthType},
		{"password without a byte", "20c4041b" + good[8:] + "010301", RejectAuthLength},
		{"password", "20c4041c" + good[8:] + "01040178", RejectNone},
		{"password of 17 bytes", "20c4042c" + good[8:] + "011401" + strings.Repeat("78", 17), RejectAuthLength},
		{"section shorter than the packet", "20c4041d" + good[8:] + "0104017800", RejectAuthLength},
		{"MD5 with 23 bytes", "20c4042f" + good[8:] + "021701" + strings.Repeat("00", 20), RejectAuthLength},
		{"SHA1 with 24 bytes", "20c40430" + good[8:] + "041801" + strings.Repeat("00", 21), RejectAuthLength},
	} {
		var p Packet
		if got := Parse(unhex(t, row.hex), &p); got != row.want {
			t.Errorf("%s: %v instead of %v", row.name, got, row.want)
		}
	}
}

func authOf(t AuthType) Auth {
	return Auth{Type: t, SendKey: 1, Keys: map[uint8][]byte{1: []byte("secret"), 2: []byte("another")}}
}

// TestDigestVectors checks a digest that was computed by hand: MD5 and SHA1 of the packet
// with the padded key.
func TestDigestVectors(t *testing.T) {
	p := Packet{State: Down, DetectMult: 3, MyDiscriminator: 1, DesiredMinTx: time.Second, RequiredMinRx: time.Second}
	for _, row := range []struct {
		kind AuthType
		hex  string
	}{
		{AuthPassword, "20440321000000010000000000 0f4240000f424000000000 010901736563726574"},
		{AuthMD5, "2044033000000001000000000 00f4240000f424000000000 0218010000000005" + md5Vector},
		{AuthMeticulousSHA1, "2044033400000001000000000 00f4240000f424000000000 051c010000000005" + sha1Vector},
	} {
		a := authOf(row.kind)
		got := a.sign(p.Append(nil), 0, 5)
		if want := unhex(t, row.hex); !bytes.Equal(got, want) {
			t.Errorf("%v: %x\ninstead of %x", row.kind, got, want)
		}
	}
}

// TestAuthentication checks each type in both directions, and the packets that it
// refuses.
func TestAuthentication(t *testing.T) {
	for kind := AuthPassword; kind < numAuthTypes; kind++ {
		t.Run(kind.String(), func(t *testing.T) {
			a := authOf(kind)
			packet := Packet{State: Down, DetectMult: 3, MyDiscriminator: 1}
			parse := func(b []byte) *Packet {
				var p Packet
				if r := Parse(b, &p); r != RejectNone {
					t.Fatal(r)
				}
				return &p
			}
			signed := func(a Auth, sequence uint32) []byte { return a.sign(packet.Append(nil), 0, sequence) }
			check := func(name string, b []byte, known bool, last uint32, want Reject) {
				t.Helper()
				if got := a.authenticate(parse(b), known, last); got != want {
					t.Errorf("%s: %v instead of %v", name, got, want)
				}
			}
			check("good", signed(a, 5), false, 0, RejectNone)
			check("none", packet.Append(nil), false, 0, RejectAuthMissing)
			for other := AuthPassword; other < numAuthTypes; other++ {
				if other != kind {
					check(other.String(), signed(authOf(other), 5), false, 0, RejectAuthUnexpected)
				}
			}
			second := a
			second.SendKey = 2
			check("the other key", signed(second, 5), false, 0, RejectNone)
			foreign := Auth{Type: kind, SendKey: 3, Keys: map[uint8][]byte{3: []byte("secret")}}
			check("an unknown key ID", signed(foreign, 5), false, 0, RejectAuthKey)
			wrong := Auth{Type: kind, SendKey: 1, Keys: map[uint8][]byte{1: []byte("secreT")}}
			check("a wrong key", signed(wrong, 5), false, 0, RejectAuthDigest)
			if !kind.sequenced() {
				return
			}
			changed := signed(a, 5)
			changed[0] |= byte(DiagNeighbor)
			check("a changed packet", changed, false, 0, RejectAuthDigest)
			repeated := RejectNone
			if kind.meticulous() {
				repeated = RejectAuthReplayed
			}
			check("repeated", signed(a, 5), true, 5, repeated)
			check("the next", signed(a, 6), true, 5, RejectNone)
			check("the last that is due", signed(a, 5+9), true, 5, RejectNone)
			check("one more", signed(a, 5+10), true, 5, RejectAuthReplayed)
			check("an old one", signed(a, 4), true, 5, RejectAuthReplayed)
			check("past zero", signed(a, 1), true, 1<<32-3, RejectNone)
		})
	}
}

// TestAuthenticatedSessions checks that two sessions with the same type and key come up,
// and that a session with another key does not.
func TestAuthenticatedSessions(t *testing.T) {
	for kind := AuthNone; kind < numAuthTypes; kind++ {
		for _, same := range []bool{true, false} {
			l := newLink(t, 1)
			for i := range l.ends {
				c := l.ends[i].config
				if kind != AuthNone {
					c.Auth = authOf(kind)
					if !same && i == 1 {
						c.Auth.Keys = map[uint8][]byte{1: []byte("not that")}
					}
				}
				l.ends[i].config = c
			}
			l.run(30 * time.Second)
			up := l.ends[0].session.State() == Up && l.ends[1].session.State() == Up
			if want := same || kind == AuthNone; up != want {
				t.Errorf("%v, same key %v: up %v; %+v", kind, same, up, l.ends[1].session.Stats())
			}
			if same && l.downs != 0 {
				t.Errorf("%v: went down %d times", kind, l.downs)
			}
		}
	}
}
