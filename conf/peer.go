package conf

import (
	"fmt"
	"strconv"
)

func peerBlock() *block {
	b := &block{path: "vrrp_instance.unicast_peer", close: closePeers}
	return b.lines(unicastPeer, &Keyword{
		Name: "ADDRESS", Args: "ADDR [min_ttl N] [max_ttl N]", Range: "0 to 255", Initial: plain("min_ttl 0, max_ttl 255"),
		Doc: "a unicast peer, and the TTL with which its adverts may arrive",
	})
}

// closePeers looks at a block that names no peer. It means multicast, as without
// the block, unless a mistake may have emptied it: two nodes of which one sends to
// the group and one to its peers would both be master.
func closePeers(d *decoder, s *Statement) {
	if !d.inst.unicast.Known() {
		d.inst.unicast = s.Place(0)
	}
	if len(s.Block) == 0 && (d.diags.Incomplete() != 0 || d.diags.Full() || d.diags.Below(s.Pos(0))) {
		d.inst.meant = true
	}
}

// unicastPeer takes a line of unicast_peer.
func unicastPeer(d *decoder, s *Statement) {
	name := d.inst.Name
	addr, ok := d.single(s, 0, "a unicast peer")
	if !ok {
		d.wrong(s, 0, "bad-address", "Configuration error: VRRP instance[%s] malformed unicast peer address[%s]. Skipping...", name, printable(s.Words[0].Text))
		return
	}
	if !d.sameFamily(addr) {
		d.wrong(s, 0, "peer-family", "Configuration error: VRRP instance[%s] and unicast peer address[%s] MUST be of the same family !!! Skipping...", name, addr)
		return
	}
	p := Peer{Addr: addr, MaxTTL: 255}
	for i := 1; i < len(s.Words); i++ {
		option := s.Words[i].Text
		if option != "min_ttl" && option != "max_ttl" {
			d.report(s, i, Diagnostic{
				Severity: Error, Class: ClassOrdinary, Code: "peer-option",
				Message: fmt.Sprintf("(%s) unknown option '%s' of unicast peer %s", name, printable(option), addr),
				Fix:     "expected min_ttl or max_ttl",
			})
			return
		}
		if i++; i == len(s.Words) {
			d.wrong(s, i-1, "missing-argument", "(%s) %s is missing a value", name, option)
			break
		}
		n, err := strconv.ParseUint(s.Words[i].Text, 10, 8)
		if err != nil {
			d.wrong(s, i, "out-of-range", "number '%s' outside range [0, 255] for %s", printable(s.Words[i].Text), option)
			continue
		}
		if option == "min_ttl" {
			p.MinTTL = uint8(n)
		} else {
			p.MaxTTL = uint8(n)
		}
	}
	if p.MinTTL > p.MaxTTL {
		d.wrong(s, 0, "peer-ttl", "(%s) min_ttl %d of unicast peer %s is above max_ttl %d - ignoring both", name, p.MinTTL, addr, p.MaxTTL)
		p.MinTTL, p.MaxTTL = 0, 255
	}
	if d.peers[addr] == d.inst {
		d.report(s, 0, Diagnostic{
			Severity: Warning, Class: ClassOrdinary, Code: "peer-twice",
			Message: fmt.Sprintf("(%s) unicast peer %s is given twice - ignoring", name, addr),
		})
		return
	}
	d.peers[addr] = d.inst
	d.inst.Peers = append(d.inst.Peers, p)
}
