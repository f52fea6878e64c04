package mmsg

import (
	"net/netip"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket opens a UDP socket on the loopback interface that requests control messages
// about the arrival.
func socket(t testing.TB, domain int) (fd int, addr unix.Sockaddr) {
	t.Helper()
	level, options := unix.IPPROTO_IPV6, []int{unix.IPV6_RECVPKTINFO, unix.IPV6_RECVHOPLIMIT}
	addr = &unix.SockaddrInet6{Addr: netip.IPv6Loopback().As16()}
	if domain == unix.AF_INET {
		level, options = unix.IPPROTO_IP, []int{unix.IP_PKTINFO, unix.IP_RECVTTL}
		addr = &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, level, o, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Bind(fd, addr); err != nil {
		t.Fatal(err)
	}
	if addr, err = unix.Getsockname(fd); err != nil {
		t.Fatal(err)
	}
	return fd, addr
}

// one returns a header with buffers for a packet and its control messages.
func one() *Header {
	h := new(Header)
	buf, control := make([]byte, 16), make([]uint64, ControlSpace/8)
	iov := &unix.Iovec{Base: &buf[0]}
	iov.SetLen(len(buf))
	h.Msg.Iov = iov
	h.Msg.SetIovlen(1)
	h.Msg.Control = (*byte)(unsafe.Pointer(&control[0]))
	h.Msg.SetControllen(ControlSpace)
	return h
}

func TestArrival(t *testing.T) {
	lo := 1
	for _, test := range []struct {
		name       string
		domain     int
		level, opt int
		want       Arrival
	}{
		{"IPv4", unix.AF_INET, unix.IPPROTO_IP, unix.IP_TTL, Arrival{netip.MustParseAddr("127.0.0.1"), lo, 254}},
		{"IPv6", unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, Arrival{netip.IPv6Loopback(), lo, 254}},
	} {
		t.Run(test.name, func(t *testing.T) {
			fd, addr := socket(t, test.domain)
			if err := unix.SetsockoptInt(fd, test.level, test.opt, 254); err != nil {
				t.Fatal(err)
			}
			if _, err := Receive(fd, []Header{*one()}); err != unix.EAGAIN {
				t.Fatalf("%v without a packet", err)
			}
			// A packet on lo is in the receiving socket when the call that sends it
			// returns.
			for _, text := range []string{"one", "and two"} {
				if err := unix.Sendto(fd, []byte(text), 0, addr); err != nil {
					t.Fatal(err)
				}
			}
			hdrs := []Header{*one(), *one(), *one()}
			n, err := Receive(fd, hdrs)
			if err != nil || n != 2 || hdrs[0].N != 3 || hdrs[1].N != 7 {
				t.Fatalf("%d packets of %d and %d bytes, %v", n, hdrs[0].N, hdrs[1].N, err)
			}
			for i := range hdrs[:n] {
				if got := hdrs[i].Arrival(); got != test.want {
					t.Errorf("packet %d: %+v, want %+v", i, got, test.want)
				}
			}
			if allocs := testing.AllocsPerRun(10, func() { hdrs[0].Arrival() }); allocs != 0 {
				t.Errorf("%v allocations", allocs)
			}
		})
	}
}

// TestSend checks that Send stops at the packet that the kernel refuses.
func TestSend(t *testing.T) {
	fd, addr := socket(t, unix.AF_INET)
	port := addr.(*unix.SockaddrInet4).Port
	to := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: [4]byte{127, 0, 0, 1}}
	*(*[2]byte)(unsafe.Pointer(&to.Port)) = [2]byte{byte(port >> 8), byte(port)}
	packet := func() Header {
		h := *one()
		h.Msg.Control, h.Msg.Controllen = nil, 0
		h.Msg.Name, h.Msg.Namelen = (*byte)(unsafe.Pointer(&to)), unix.SizeofSockaddrInet4
		return h
	}
	nowhere := packet()
	nowhere.Msg.Name, nowhere.Msg.Namelen = nil, 0
	if n, err := Send(fd, []Header{packet(), packet(), nowhere, packet()}); n != 2 || err != unix.EDESTADDRREQ {
		t.Errorf("%d packets were sent, %v; want 2 and EDESTADDRREQ", n, err)
	}
	if n, err := Receive(fd, []Header{*one(), *one(), *one()}); n != 2 || err != nil {
		t.Errorf("%d packets arrived, %v", n, err)
	}
}

// FuzzArrival checks that control messages with any contents are read within their
// bounds.
func FuzzArrival(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 64, 0, 0, 0})
	f.Add([]byte{255, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0, 0, 50, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:min(len(b), ControlSpace)]
		words := make([]uint64, ControlSpace/8)
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), ControlSpace), b)
		var h Header
		h.Msg.Control = (*byte)(unsafe.Pointer(&words[0]))
		h.Msg.SetControllen(len(b))
		if a := h.Arrival(); !a.Dst.IsValid() && a.Link != 0 {
			t.Errorf("a link without a destination: %+v", a)
		}
	})
}
