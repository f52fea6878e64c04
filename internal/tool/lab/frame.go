package lab

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	protoVRRP                  = 112
	typeNeighbourAdvertisement = 136
)

// decode reads an Ethernet frame. It does not use the codec of the daemon, so that one
// cannot hide the mistakes of the other.
func decode(f []byte) (e Event, ok bool) {
	if len(f) < 14 {
		return e, false
	}
	body := f[14:]
	switch binary.BigEndian.Uint16(f[12:]) {
	case unix.ETH_P_ARP:
		return decodeARP(body)
	case unix.ETH_P_IP:
		if len(body) < 20 {
			return e, false
		}
		e.Addr, _ = netip.AddrFromSlice(body[12:16])
		e.Dst, _ = netip.AddrFromSlice(body[16:20])
		e.TTL = body[8]
		total := min(int(binary.BigEndian.Uint16(body[2:])), len(body))
		msg := body[min(int(body[0]&15)*4, total):total]
		if body[9] == unix.IPPROTO_AH {
			if len(msg) < 24 || msg[0] != protoVRRP {
				return e, false
			}
			msg = msg[24:]
		}
		return e, decodeAdvert(msg, 4, &e)
	case unix.ETH_P_IPV6:
		if len(body) < 40 {
			return e, false
		}
		e.Addr, _ = netip.AddrFromSlice(body[8:24])
		e.Dst, _ = netip.AddrFromSlice(body[24:40])
		e.TTL = body[7]
		if body[6] == protoVRRP {
			return e, decodeAdvert(body[40:], 16, &e)
		}
		// An unsolicited neighbour advertisement has its target at 8.
		if len(body) < 64 || body[40] != typeNeighbourAdvertisement || !e.Dst.IsMulticast() {
			return e, false
		}
		e.Kind = Announce
		e.Addr, _ = netip.AddrFromSlice(body[48:64])
		return e, true
	}
	return e, false
}

func decodeARP(b []byte) (e Event, ok bool) {
	// In a gratuitous ARP packet, sender and target address are the same.
	if len(b) < 28 || !bytes.Equal(b[14:18], b[24:28]) {
		return e, false
	}
	e.Kind = Announce
	e.Addr, _ = netip.AddrFromSlice(b[14:18])
	return e, true
}

func decodeAdvert(m []byte, size int, e *Event) bool {
	if len(m) < 8 || m[0]&15 != 1 {
		return false
	}
	e.Kind, e.Version, e.VRID, e.Priority, e.Count = Advert, m[0]>>4, m[1], m[2], int(m[3])
	if e.Version == 3 {
		e.Interval = time.Duration(binary.BigEndian.Uint16(m[4:])&0xfff) * 10 * time.Millisecond
	} else {
		e.AuthType = m[4]
		e.Interval = time.Duration(m[5]) * time.Second
	}
	if e.Count <= 20 && len(m) >= 8+e.Count*size {
		for i := range e.Count {
			a, _ := netip.AddrFromSlice(m[8+i*size : 8+(i+1)*size])
			e.Addrs = append(e.Addrs, a)
		}
	}
	return true
}
