package vrrp

import (
	"net/netip"
	"slices"
)

// peerState is what is known of one unicast peer.
type peerState struct {
	oldChecksum bool // uses the unicast checksum of old keepalived
	replay      replay
}

// preparePeers makes room for the peers' states and keeps those of the peers
// there were before.
func (i *Instance) preparePeers(before *Config) {
	if !i.cfg.Unicast {
		i.peers = nil
		return
	}
	was := i.peers
	i.peers = make([]peerState, len(i.cfg.Peers))
	if before == nil {
		return
	}
	for n, p := range i.cfg.Peers {
		if k := slices.IndexFunc(before.Peers, func(b Peer) bool { return b.Addr == p.Addr }); k >= 0 && k < len(was) {
			i.peers[n] = was[k]
		}
	}
}

// findPeer returns the index of the peer with that address, or -1.
func (i *Instance) findPeer(a netip.Addr) int {
	for n := range i.cfg.Peers {
		if i.cfg.Peers[n].Addr == a {
			return n
		}
	}
	return -1
}

// oldChecksum reports whether peer n is sent the old form of the checksum.
func (i *Instance) oldChecksum(n int) bool {
	switch i.cfg.OldUnicastChecksum {
	case OldChecksumAlways:
		return true
	case OldChecksumNever:
		return false
	}
	return i.peers[n].oldChecksum
}
