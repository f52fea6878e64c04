package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
	"keepalived-go/internal/tool/required"
)

// pair joins the test's namespace with another one by a veth pair: test0 with 192.0.2.1
// and fe80::1 here, peer0 with 192.0.2.2 and fe80::2 there. It waits until both ends
// carry packets, and returns the path of the other namespace and the indices of the
// links.
func pair(t *testing.T) (other string, test0, peer0 int) {
	t.Helper()
	newNetNS(t)
	other = otherNetNS(t)
	up := func(e Event) bool { return e.Kind == LinkNew && !e.Link.Loopback() && e.Link.Up() }
	_, here := watch(t, 0)
	var there <-chan Event
	ip(t, "link add test0 address 02:00:00:00:00:01 type veth peer name peer0 address 02:00:00:00:00:02 netns "+other)
	ip(t, "addr add 192.0.2.1/24 dev test0")
	ip(t, "addr add fe80::1/64 dev test0 nodad")
	ip(t, "link set test0 up")
	inPath(t, other, func() {
		_, there = watch(t, 0)
		ip(t, "addr add 192.0.2.2/24 dev peer0")
		ip(t, "addr add fe80::2/64 dev peer0 nodad")
		ip(t, "link set peer0 up")
		peer0 = link(t, "peer0")
	})
	await(t, here, up)
	await(t, there, up)
	return other, link(t, "test0"), peer0
}

func openRawTest(t testing.TB, family, link int, opt RawOptions) *RawSocket {
	t.Helper()
	s, err := OpenRaw(family, 112, link, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// openLargeTest opens a socket with a large receive buffer.
func openLargeTest(t testing.TB, family, link int) *RawSocket {
	t.Helper()
	s := openRawTest(t, family, link, RawOptions{})
	if err := nl.SetReceiveBuffer(s.FD(), 1<<20, true); err != nil {
		t.Fatal(err)
	}
	return s
}

// readAll waits until n packets have arrived.
func readAll(t *testing.T, s *RawSocket, n int) []Datagram {
	t.Helper()
	var all []Datagram
	batch := make([]Datagram, MaxBatch)
	deadline := time.Now().Add(patience)
	for len(all) < n {
		fds := []unix.PollFd{{Fd: int32(s.FD()), Events: unix.POLLIN}}
		left := time.Until(deadline)
		if left <= 0 {
			t.Fatalf("%d packets came, want %d", len(all), n)
		}
		if _, err := unix.Poll(fds, int(left.Milliseconds())+1); err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
		got, err := s.ReadBatch(batch)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range batch[:got] {
			d.Data = append([]byte(nil), d.Data...)
			all = append(all, d)
		}
	}
	return all
}

// ipv4Packet returns a payload with a header like that of a VRRP advert.
func ipv4Packet(src, dst netip.Addr, payload string) []byte {
	b := []byte{0x45, 0xc0, 0, 0, 0, 0, 0, 0, 255, 112, 0, 0}
	b = append(b, src.AsSlice()...)
	b = append(b, dst.AsSlice()...)
	b = append(b, payload...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

func TestRawMulticast4(t *testing.T) {
	t.Parallel()
	other, test0, peer0 := pair(t)
	group := netip.MustParseAddr("224.0.0.18")
	src := netip.MustParseAddr("192.0.2.1")
	s := openRawTest(t, 4, test0, RawOptions{})
	if err := s.Join(group); err != nil {
		t.Fatal(err)
	}
	var r, unjoined *RawSocket
	inPath(t, other, func() {
		r = openLargeTest(t, 4, peer0)
		unjoined = openRawTest(t, 4, peer0, RawOptions{}) // joins no group
	})
	if err := r.Join(group); err != nil {
		t.Fatal(err)
	}
	const packets = 2*MaxBatch + 3
	var msgs []Outgoing
	for i := range packets {
		msgs = append(msgs, Outgoing{Data: ipv4Packet(src, group, fmt.Sprintf("advert %d", i)), Dst: group})
	}
	if n, err := s.WriteBatch(msgs); n != packets || err != nil {
		t.Fatalf("%d sent, error %v", n, err)
	}
	for i, d := range readAll(t, r, packets) {
		if payload := string(d.Data[20:]); payload != fmt.Sprintf("advert %d", i) {
			t.Fatalf("packet %d holds %q", i, payload)
		}
		if d.Data[1] != 0xc0 || d.HopLimit != 255 || d.Src != src || d.Dst != group || d.IfIndex != peer0 || d.Truncated {
			t.Fatalf("packet %d: %+v", i, d)
		}
	}
	var batch [1]Datagram
	for _, tt := range []struct {
		name string
		s    *RawSocket
	}{{"a socket receives its own packets", s}, {"packets of a group that was not joined arrive", unjoined}} {
		if n, err := tt.s.ReadBatch(batch[:]); n != 0 || err != nil {
			t.Errorf("%s: %d packets, error %v", tt.name, n, err)
		}
	}
	if err := r.Leave(group); err != nil {
		t.Error(err)
	}
	if err := r.Leave(group); !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Errorf("leaving a second time: %v", err)
	}
}

func TestRawMulticast6(t *testing.T) {
	t.Parallel()
	other, test0, peer0 := pair(t)
	group := netip.MustParseAddr("ff02::12")
	src := netip.MustParseAddr("fe80::1")
	buffers := NewBuffers()
	s := openRawTest(t, 6, test0, RawOptions{Buffers: buffers, HopLimit: 17})
	if err := s.Join(group); err != nil {
		t.Fatal(err)
	}
	var r *RawSocket
	inPath(t, other, func() { r = openRawTest(t, 6, peer0, RawOptions{Buffers: buffers}) })
	if err := r.Join(group); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 4088) // 255 addresses: sent in fragments
	tooLong := strings.Repeat("y", MaxDatagram+1)
	payloads := []string{"advert", long, tooLong}
	var msgs []Outgoing
	for _, p := range payloads {
		msgs = append(msgs, Outgoing{Data: []byte(p), Dst: group, Src: src, IfIndex: test0})
	}
	if n, err := s.WriteBatch(msgs); n != len(msgs) || err != nil {
		t.Fatalf("%d sent, error %v", n, err)
	}
	for i, d := range readAll(t, r, len(payloads)) {
		want := payloads[i][:min(len(payloads[i]), MaxDatagram)]
		if string(d.Data) != want || d.Truncated != (len(payloads[i]) > MaxDatagram) {
			t.Errorf("packet %d: %d bytes, truncated %v", i, len(d.Data), d.Truncated)
		}
		if d.HopLimit != 17 || d.Src != src || d.Dst != group || d.IfIndex != peer0 {
			t.Errorf("packet %d: from %v to %v, hop limit %d, link %d", i, d.Src, d.Dst, d.HopLimit, d.IfIndex)
		}
	}
}

func TestRawUnicast(t *testing.T) {
	t.Parallel()
	other, test0, peer0 := pair(t)
	for _, tt := range []struct {
		family   int
		src, dst netip.Addr
	}{
		{4, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")},
		{6, netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fe80::2")},
	} {
		s := openRawTest(t, tt.family, 0, RawOptions{})
		var r *RawSocket
		inPath(t, other, func() { r = openRawTest(t, tt.family, 0, RawOptions{}) })
		m := Outgoing{Data: []byte("advert"), Dst: tt.dst, Src: tt.src, IfIndex: test0}
		if tt.family == 4 {
			m.Data = ipv4Packet(tt.src, tt.dst, "advert")
		}
		if n, err := s.WriteBatch([]Outgoing{m}); n != 1 || err != nil {
			t.Fatalf("IPv%d: %d sent, error %v", tt.family, n, err)
		}
		d := readAll(t, r, 1)[0]
		if !strings.HasSuffix(string(d.Data), "advert") || d.Src != tt.src || d.Dst != tt.dst || d.IfIndex != peer0 || d.HopLimit != 255 {
			t.Errorf("IPv%d: received %+v", tt.family, d)
		}
		if err := s.Join(tt.dst); err == nil {
			t.Errorf("IPv%d: a socket on no link joined a group", tt.family)
		}
	}
}

// TestRawWriteError checks that the error is that of the first packet not sent, and that
// the packets before it were sent.
func TestRawWriteError(t *testing.T) {
	t.Parallel()
	other, test0, _ := pair(t)
	src, peer := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	s := openRawTest(t, 4, test0, RawOptions{})
	var r *RawSocket
	inPath(t, other, func() { r = openRawTest(t, 4, 0, RawOptions{}) })
	good := Outgoing{Data: ipv4Packet(src, peer, "good"), Dst: peer}
	tooLong := Outgoing{Data: ipv4Packet(src, peer, strings.Repeat("x", 2000)), Dst: peer} // IP_HDRINCL: no fragments
	n, err := s.WriteBatch([]Outgoing{good, good, tooLong, good})
	if n != 2 || err != unix.EMSGSIZE {
		t.Errorf("%d sent, error %v; want 2 and %v", n, err, unix.EMSGSIZE)
	}
	readAll(t, r, 2)
	ip(t, "link set test0 down")
	if n, err := s.WriteBatch([]Outgoing{good}); n != 0 || err != unix.ENETUNREACH {
		t.Errorf("link down: %d sent, error %v; want %v", n, err, unix.ENETUNREACH)
	}
}

func TestRawAllocatesNothing(t *testing.T) {
	other, test0, peer0 := pair(t)
	arp := AppendGratuitousARP(nil, [6]byte{2, 0, 0, 0, 0, 1}, netip.MustParseAddr("192.0.2.10"))
	frames := make([]Frame, 100)
	for i := range frames {
		frames[i] = Frame{arp, test0, EtherTypeARP}
	}
	packets, err := OpenPacket()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(packets)
	for _, tt := range []struct {
		family     int
		src, group netip.Addr
	}{
		{4, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("224.0.0.18")},
		{6, netip.MustParseAddr("fe80::1"), netip.MustParseAddr("ff02::12")},
	} {
		s := openRawTest(t, tt.family, test0, RawOptions{})
		var r *RawSocket
		inPath(t, other, func() { r = openLargeTest(t, tt.family, peer0) })
		if err := r.Join(tt.group); err != nil {
			t.Fatal(err)
		}
		m := Outgoing{Data: []byte("advert"), Dst: tt.group, Src: tt.src, IfIndex: test0}
		if tt.family == 4 {
			m.Data = ipv4Packet(tt.src, tt.group, "advert")
		}
		msgs := []Outgoing{m, m, m}
		batch := make([]Datagram, MaxBatch)
		received := 0
		n := testing.AllocsPerRun(200, func() {
			if n, err := s.WriteBatch(msgs); n != len(msgs) || err != nil {
				t.Fatalf("%d sent, error %v", n, err)
			}
			n, err := r.ReadBatch(batch)
			if err != nil {
				t.Fatal(err)
			}
			received += n
		})
		if n != 0 {
			t.Errorf("IPv%d: %v allocations to send and receive a batch", tt.family, n)
		}
		if received == 0 {
			t.Errorf("IPv%d: nothing was received", tt.family)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		if n, err := SendFrames(packets, frames); n != len(frames) || err != nil {
			t.Fatalf("%d frames sent, error %v", n, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations to send frames", n)
	}
}

func TestSendFramesError(t *testing.T) {
	t.Parallel()
	_, test0, _ := pair(t)
	fd, err := OpenPacket()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	arp := AppendGratuitousARP(nil, [6]byte{2, 0, 0, 0, 0, 1}, netip.MustParseAddr("192.0.2.10"))
	good, gone := Frame{arp, test0, EtherTypeARP}, Frame{arp, 99, EtherTypeARP}
	if n, err := SendFrames(fd, []Frame{good, gone, good}); n != 1 || err != unix.ENXIO {
		t.Errorf("%d sent, error %v; want 1 and %v", n, err, unix.ENXIO)
	}
	ip(t, "link set test0 down")
	if n, err := SendFrames(fd, []Frame{good}); n != 0 || err != unix.ENETDOWN {
		t.Errorf("link down: %d sent, error %v; want %v", n, err, unix.ENETDOWN)
	}
}

// TestAnnouncementsOnTheWire checks that tshark finds no fault in the announcements at
// the other end of a link, and that the neighbour there learns the address.
func TestAnnouncementsOnTheWire(t *testing.T) {
	t.Parallel()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		required.Missing(t, "tshark")
	}
	other, test0, peer0 := pair(t)
	hw := [6]byte{2, 0, 0, 0, 0, 1}
	vip4, vip6 := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("fe80::10")
	var capture int
	inPath(t, other, func() {
		ip(t, "neigh add 192.0.2.10 lladdr 02:00:00:00:00:99 dev peer0 nud stale")
		ip(t, "neigh add fe80::10 lladdr 02:00:00:00:00:99 dev peer0 nud stale")
		capture, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(networkOrder(unix.ETH_P_ALL)))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(capture)
	if err := unix.Bind(capture, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: peer0}); err != nil {
		t.Fatal(err)
	}
	timeout := unix.NsecToTimeval(int64(patience))
	if err := unix.SetsockoptTimeval(capture, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		t.Fatal(err)
	}

	fd, err := OpenPacket()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	sent := []Frame{
		{AppendGratuitousARP(nil, hw, vip4), test0, EtherTypeARP},
		{AppendUnsolicitedNA(nil, hw, vip6, false), test0, EtherTypeIPv6},
		{AppendUnsolicitedNA(nil, hw, vip6, true), test0, EtherTypeIPv6},
	}
	if n, err := SendFrames(fd, sent); n != len(sent) || err != nil {
		t.Fatalf("%d sent, error %v", n, err)
	}
	// pcap: header with Ethernet as link type, then time, lengths, bytes.
	le := binary.LittleEndian
	pcap := []byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0}
	b := make([]byte, 2048)
	for got := 0; got < len(sent); {
		n, _, err := unix.Recvfrom(capture, b, 0)
		if err != nil {
			t.Fatalf("%d of %d frames captured: %v", got, len(sent), err)
		}
		if string(b[:n]) != string(sent[got].Data) {
			continue // sent by the kernel, such as MLD reports
		}
		got++
		pcap = append(pcap, 0, 0, 0, 0, 0, 0, 0, 0)
		pcap = le.AppendUint32(pcap, uint32(n))
		pcap = le.AppendUint32(pcap, uint32(n))
		pcap = append(pcap, b[:n]...)
	}
	file := filepath.Join(t.TempDir(), "announce.pcap")
	if err := os.WriteFile(file, pcap, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tshark, "-r", file, "-T", "fields", "-E", "separator=,",
		"-e", "_ws.col.Info", "-e", "arp.isgratuitous", "-e", "icmpv6.checksum.status", "-e", "icmpv6.nd.na.flag.r", "-e", "_ws.expert.message")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, stderr.String())
	}
	const want = `Gratuitous ARP for 192.0.2.10 (Request),1,,,
Neighbor Advertisement fe80::10 (ovr) is at 02:00:00:00:00:01,,1,0,
Neighbor Advertisement fe80::10 (rtr, ovr) is at 02:00:00:00:00:01,,1,1,
`
	if string(out) != want {
		t.Errorf("tshark reads\n%s\nwant\n%s", out, want)
	}
	inPath(t, other, func() {
		for _, vip := range []netip.Addr{vip4, vip6} {
			if out := ip(t, "neigh show "+vip.String()+" dev peer0"); !strings.Contains(out, "02:00:00:00:00:01") {
				t.Errorf("the neighbour's cache: %s", out)
			}
		}
	})
}

func TestRawSocketWithoutCapability(t *testing.T) {
	if os.Getuid() != 0 {
		required.Missing(t, "root, to give capabilities up")
	}
	runtime.LockOSThread() // the capabilities of the thread end with it
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		t.Fatal(err)
	}
	data[0].Effective &^= 1 << unix.CAP_NET_RAW
	if err := unix.Capset(&head, &data[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRaw(4, 112, 0, RawOptions{}); !errors.Is(err, unix.EPERM) {
		t.Errorf("a raw socket without CAP_NET_RAW: %v", err)
	}
}
