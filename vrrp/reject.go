package vrrp

// Reject is why a received packet was dropped. Each has its own counter in
// [Stats] and a stable name.
type Reject uint8

const (
	RejectNone Reject = iota

	// Found by ParseIPv4 and ParseIPv6, before an instance is known.

	RejectIPHeader // not an IPv4 header, or its total length exceeds the packet
	RejectFragment // a fragment; the kernel delivers whole packets
	RejectProtocol // neither 112, nor 51 with 112 inside
	RejectShort    // no room for a VRRP header

	// Found by the instance, in this order.

	RejectInactive     // INIT, FAULT, STOP or the start-up delay: nothing is heard
	RejectVRID         // another virtual router
	RejectFamily       // the other address family
	RejectOwnAddress   // carries our own source address
	RejectAuthMismatch // authentication type other than ours, or AH where none is
	RejectLength       // shorter than its address count needs
	RejectTTL          // multicast with a TTL or hop limit other than 255
	RejectVersion      // VRRP version other than ours

	RejectHMACNotPeer    // unicast: signed or not, the source is no peer
	RejectHMACMissing    // no trailer, and it is required
	RejectHMACMalformed  // unknown type or non-zero reserved field
	RejectHMACStale      // its clock is too far from ours
	RejectHMACUnknownKey // no key of that id
	RejectHMACInvalid    // wrong code
	RejectHMACReplayed   // sequence not greater than the last

	RejectAuthType    // version 2: authentication type not defined
	RejectPassword    // version 2: wrong simple password
	RejectAHDigest    // AH: wrong integrity check value
	RejectAHSPI       // AH: security parameter index is not the source address
	RejectAHReplayed  // AH: sequence not greater than the greatest so far
	RejectInterval    // version 2: interval other than ours; version 3: zero
	RejectType        // not an advertisement
	RejectTotalLength // longer than by its address count
	RejectChecksum
	RejectDestination // multicast to a unicast instance, or the reverse
	RejectOwner       // the address owner ignores adverts
	RejectNotPeer     // unicast from an address that is no peer
	RejectPeerTTL     // TTL outside the bounds of the peer

	numRejects
)

var rejectNames = [numRejects]string{
	RejectNone:           "none",
	RejectIPHeader:       "ip_header",
	RejectFragment:       "ip_fragment",
	RejectProtocol:       "ip_protocol",
	RejectShort:          "too_short",
	RejectInactive:       "inactive",
	RejectVRID:           "vrid_err",
	RejectFamily:         "family_err",
	RejectOwnAddress:     "own_address",
	RejectAuthMismatch:   "authtype_mismatch",
	RejectLength:         "packet_len_err",
	RejectTTL:            "ip_ttl_err",
	RejectVersion:        "version_err",
	RejectHMACNotPeer:    "auth_ext_not_peer",
	RejectHMACMissing:    "auth_ext_missing",
	RejectHMACMalformed:  "auth_ext_malformed",
	RejectHMACStale:      "auth_ext_stale",
	RejectHMACUnknownKey: "auth_ext_unknown_key",
	RejectHMACInvalid:    "auth_ext_invalid_hmac",
	RejectHMACReplayed:   "auth_ext_replay",
	RejectAuthType:       "invalid_authtype",
	RejectPassword:       "auth_failure",
	RejectAHDigest:       "ah_digest",
	RejectAHSPI:          "ah_spi",
	RejectAHReplayed:     "ah_replay",
	RejectInterval:       "advert_interval_err",
	RejectType:           "invalid_type_rcvd",
	RejectTotalLength:    "ip_total_len_err",
	RejectChecksum:       "chk_err",
	RejectDestination:    "destination",
	RejectOwner:          "owner_ignored",
	RejectNotPeer:        "not_peer",
	RejectPeerTTL:        "peer_ttl",
}
