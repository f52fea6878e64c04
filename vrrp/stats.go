package vrrp

import "iter"

// Stats counts what an instance did since it was made or ClearStats. Counters are kept
// over Reconfigure and never wrap in practice.
type Stats struct {
	Counts
	// Rejected counts dropped packets by reason.
	Rejected [numRejects]uint64
}

// Counts are the counters of what is not dropped.
type Counts struct {
	AdvertsReceived      uint64 // accepted adverts, priority 0 included
	AdvertsSent          uint64 // SendAdvert actions, priority 0 included
	BecomeMaster         uint64
	ReleaseMaster        uint64
	PriorityZeroReceived uint64
	PriorityZeroSent     uint64
	AddressListErrors    uint64 // accepted adverts whose addresses are not ours
	Stalls               uint64 // times the process was late beyond what its peers wait
}

// Stats returns what the counters have reached.
func (i *Instance) Stats() Stats {
	s := Stats{Counts: i.counts}
	if i.rejects != nil {
		s.Rejected = *i.rejects
	}
	return s
}

// ClearStats makes the counters begin again.
func (i *Instance) ClearStats() { i.counts, i.rejects = Counts{}, nil }

// reject counts a dropped packet. Most instances never drop one.
func (i *Instance) reject(why Reject) {
	if i.rejects == nil {
		i.rejects = new([numRejects]uint64)
	}
	i.rejects[why]++
}

// rejected adds up several reasons.
func (s *Stats) rejected(reasons ...Reject) (n uint64) {
	for _, r := range reasons {
		n += s.Rejected[r]
	}
	return n
}

// PacketLengthErrors counts packets whose length contradicts their header.
func (s *Stats) PacketLengthErrors() uint64 { return s.rejected(RejectLength, RejectTotalLength) }

// TTLErrors counts packets that came from beyond the link, or outside the
// bounds set for a unicast peer.
func (s *Stats) TTLErrors() uint64 { return s.rejected(RejectTTL, RejectPeerTTL) }

// AddressErrors counts contradictions in addresses: lists of virtual
// addresses other than ours, and packets to the wrong kind of destination.
func (s *Stats) AddressErrors() uint64 {
	return s.AddressListErrors + s.rejected(RejectDestination)
}

// AuthFailures counts wrong passwords and authentication headers.
func (s *Stats) AuthFailures() uint64 {
	return s.rejected(RejectPassword, RejectAHDigest, RejectAHSPI, RejectAHReplayed)
}

// All yields the counters under the names of keepalived's statistics, in
// their order, and then the ones keepalived does not have.
func (s *Stats) All() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for _, c := range [...]struct {
			name  string
			value uint64
		}{
			{"advert_rcvd", s.AdvertsReceived},
			{"advert_sent", s.AdvertsSent},
			{"become_master", s.BecomeMaster},
			{"release_master", s.ReleaseMaster},
			{"packet_len_err", s.PacketLengthErrors()},
			{"advert_interval_err", s.Rejected[RejectInterval]},
			{"ip_ttl_err", s.TTLErrors()},
			{"invalid_type_rcvd", s.Rejected[RejectType]},
			{"addr_list_err", s.AddressErrors()},
			{"invalid_authtype", s.Rejected[RejectAuthType]},
			{"authtype_mismatch", s.Rejected[RejectAuthMismatch]},
			{"auth_failure", s.AuthFailures()},
			{"pri_zero_rcvd", s.PriorityZeroReceived},
			{"pri_zero_sent", s.PriorityZeroSent},
			{"auth_ext_missing", s.Rejected[RejectHMACMissing]},
			{"auth_ext_malformed", s.Rejected[RejectHMACMalformed]},
			{"auth_ext_unknown_key", s.Rejected[RejectHMACUnknownKey]},
			{"auth_ext_invalid_hmac", s.Rejected[RejectHMACInvalid]},
			{"auth_ext_stale", s.Rejected[RejectHMACStale]},
			{"auth_ext_replay", s.Rejected[RejectHMACReplayed]},
			{"chk_err", s.Rejected[RejectChecksum]},
			{"version_err", s.Rejected[RejectVersion]},
			{"vrid_err", s.Rejected[RejectVRID]},
			{"stalls", s.Stalls},
		} {
			if !yield(c.name, c.value) {
				return
			}
		}
	}
}
