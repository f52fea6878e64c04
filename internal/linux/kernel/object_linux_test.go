package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
)

// neighbour is a second kind of object: a permanent entry of the kernel's neighbour
// table. It is declared completely in this file; Diff and the executor do not know it.
type neighbour struct {
	link int
	ip   netip.Addr
	mac  [6]byte
	ours bool
}

type neighbourKey struct {
	link int
	ip   netip.Addr
}

func (*neighbour) Kind() string                       { return "neighbour" }
func (n *neighbour) Key() neighbourKey                { return neighbourKey{n.link, n.ip} }
func (n *neighbour) OnLink() int                      { return n.link }
func (n *neighbour) Text() string                     { return "neighbour " + n.ip.String() }
func (n *neighbour) Attributes() string               { return "lladdr " + net.HardwareAddr(n.mac[:]).String() }
func (n *neighbour) Foreign() bool                    { return !n.ours }
func (*neighbour) Gone(err error) bool                { return errors.Is(err, unix.ENOENT) }
func (*neighbour) Head() (k neighbourKey, ok bool)    { return k, false }
func (*neighbour) Follows() (neighbourKey, bool)      { return neighbourKey{}, false }
func (n *neighbour) Compare(w *neighbour) (_, _ bool) { return n.mac == w.mac, true }

func (n *neighbour) Encode(op Op, b []byte) ([]byte, nl.Request) {
	r := nl.Request{Type: unix.RTM_NEWNEIGH}
	switch op {
	case Add:
		r.Flags = unix.NLM_F_CREATE | unix.NLM_F_EXCL
	case Replace:
		r.Flags = unix.NLM_F_CREATE | unix.NLM_F_REPLACE
	case Remove:
		r.Type = unix.RTM_DELNEIGH
	}
	b = append(b, unix.AF_INET, 0, 0, 0) // struct ndmsg: family, link, state, flags, type
	b = native.AppendUint32(b, uint32(n.link))
	b = native.AppendUint16(b, unix.NUD_PERMANENT)
	b = append(b, 0, 0)
	b = nl.AppendIP(b, unix.NDA_DST, n.ip)
	if op != Remove {
		b = nl.AppendAttr(b, unix.NDA_LLADDR, n.mac[:])
	}
	return b, r
}

func neighbours(c *Conn) []neighbour {
	list, err := nl.List(c.Conn, unix.RTM_GETNEIGH, func(b []byte) []byte {
		return append(b, make([]byte, unix.SizeofNdMsg)...)
	}, func(m nl.Message) (n neighbour, ok bool) {
		n.link = int(native.Uint32(m.Body[4:]))
		for attrs := m.Body[unix.SizeofNdMsg:]; ; {
			typ, v, rest, more := nl.NextAttr(attrs)
			if !more {
				return n, n.ip.Is4() && native.Uint16(m.Body[8:])&unix.NUD_PERMANENT != 0
			}
			attrs = rest
			switch typ {
			case unix.NDA_DST:
				n.ip = nl.IP(m.Body[0], v)
			case unix.NDA_LLADDR:
				copy(n.mac[:], v)
			}
		}
	})
	if err != nil {
		panic(err) // in a test only; Held returns no error
	}
	return list
}

func (*neighbour) Held(c *Conn) Finder { return NewFinder[neighbour, neighbourKey](neighbours(c)) }

// TestSecondKind checks that objects of two kinds are compared, carried out in one plan,
// found and refused, each as its own file declares.
func TestSecondKind(t *testing.T) {
	newNetNS(t)
	ip(t, "link add test0 type veth peer name peer0")
	ip(t, "link set test0 up")
	test0 := link(t, "test0")
	neighbourOf := func(last, mac byte) neighbour {
		return neighbour{link: test0, ip: netip.AddrFrom4([4]byte{192, 0, 2, last}), mac: [6]byte{2, 0, 0, 0, 0, mac}}
	}
	carryOut := func(changes []Change) (done Completion) {
		t.Helper()
		c, err := Dial(0, false)
		if err != nil {
			t.Fatal(err)
		}
		e := NewExecutor(c, nil, func(c Completion) { done = c })
		e.Submit(1, changes)
		e.Close()
		return done
	}
	reach := func(want []neighbour, plan ...string) {
		t.Helper()
		changes := Diff[neighbour, neighbourKey](neighbours(dial(t)), want)
		if got := texts(changes); !slices.Equal(got, plan) {
			t.Errorf("plan %q, want %q", got, plan)
		}
		if done := carryOut(changes); done.Errs != nil {
			t.Errorf("%v", done.Errs)
		}
		if rest := Diff[neighbour, neighbourKey](neighbours(dial(t)), want); len(rest) > 0 {
			t.Errorf("left to do: %v", rest)
		}
	}
	reach([]neighbour{neighbourOf(1, 1), neighbourOf(2, 1)},
		"add neighbour 192.0.2.1 dev eth0 lladdr 02:00:00:00:00:01", "add neighbour 192.0.2.2 dev eth0 lladdr 02:00:00:00:00:01")
	reach([]neighbour{neighbourOf(1, 9)},
		"remove neighbour 192.0.2.2 dev eth0", "replace neighbour 192.0.2.1 dev eth0 lladdr 02:00:00:00:00:09")

	same, other, gone := neighbourOf(1, 9), neighbourOf(1, 1), neighbourOf(3, 0)
	there := Addr{Link: test0, Prefix: prefix("192.0.2.1/24"), Proto: AddrProto}
	carryOut([]Change{{Add, &there}})
	done := carryOut([]Change{{Add, &same}, {Add, &there}, {Add, &other}, {Remove, &gone}})
	if want := []Found{FoundForeign, FoundThere, NotFound, NotFound}; !slices.Equal(done.Found, want) {
		t.Errorf("found %v, want %v", done.Found, want)
	}
	var errs bytes.Buffer
	for _, err := range done.Errs {
		if err != nil {
			fmt.Fprintln(&errs, err)
		}
	}
	if got := errs.String(); !strings.HasPrefix(got, "add neighbour 192.0.2.1 to test0: it is there with lladdr 02:00:00:00:00:09: ") ||
		strings.Count(got, "\n") != 1 {
		t.Errorf("errors %q", got)
	}
}
