package vrrp

import (
	"net/netip"
	"time"
)

// Family is the address family of a virtual router.
type Family uint8

const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// PriorityOwner is the priority of the router that owns the virtual addresses
// (RFC 9568, 5.2.4). Priority 0 in an advert means that its sender stops.
const PriorityOwner = 255

// Config is everything the protocol engine needs to know of one virtual
// router. Values are effective ones: defaults, inheritance and clamping have
// happened before.
type Config struct {
	Name     string
	VRID     uint8 // virtual router identifier, 1 to 255
	Version  uint8 // 2 or 3
	Family   Family
	Priority uint8 // base priority, 1 to 255; 255 is the address owner

	NoPreempt          bool
	OwnerIgnoreAdverts bool // an address owner ignores others' adverts
	Unicast            bool // adverts go to Peers rather than to Group

	// AdvertInterval is the own advertisement interval: whole seconds 1 to 255
	// in version 2, multiples of 10 ms up to 40.95 s in version 3.
	AdvertInterval time.Duration
	// DownTimerAdverts is how many adverts must be missed before a backup
	// takes over; 0 means 3.
	DownTimerAdverts int
	PreemptDelay     time.Duration // how long lower adverts are tolerated before preempting
	// TimerExpiredBackup, with NoPreempt, is by how many advertisement
	// intervals a timer may be served late, because the process was stopped or
	// starved, before the instance listens as a backup instead of being
	// master; 0: only when it was late by more than its peers wait.
	TimerExpiredBackup int

	// Addresses are the addresses to advertise in the order they are sent. An
	// advert has as many of them as it can carry: see [Config.Advertised]. The
	// driver may own more (the excluded ones); the engine need not know them.
	Addresses []netip.Addr
	// MTU is the longest packet, in bytes, that the link of the adverts carries;
	// 0: not known, any.
	MTU int

	Group              netip.Addr // multicast destination, when not Unicast
	Peers              []Peer     // destinations, when Unicast
	TTL                uint8      // TTL or hop limit of sent adverts; 0 means 255
	CheckUnicastSource bool       // drop adverts from anything but a peer

	// SkipCheckAdvertAddresses leaves out the comparison of the address list
	// in adverts of the current master.
	SkipCheckAdvertAddresses bool
	LowerPriorityNoAdvert    bool // do not answer a lower-priority advert
	HigherPrioritySendAdvert bool // send an own advert before yielding

	// ChecksumAsV2 leaves the pseudo-header out of the version 3 IPv4 checksum
	// (the form of RFC 9568) and accepts both forms.
	ChecksumAsV2       bool
	OldUnicastChecksum OldChecksum

	Auth AuthType
	Key  [8]byte // PASS and AH key, zero padded
	HMAC HMAC    // trailer authentication; not together with Auth

	Announce Announcements
}

// Peer is a unicast destination. MinTTL and MaxTTL bound the TTL of what is
// accepted from it; 0 and 255 accept all.
type Peer struct {
	Addr           netip.Addr
	MinTTL, MaxTTL uint8
}

// AuthType is the authentication of a version 2 IPv4 virtual router
// (RFC 2338, 5.3.6).
type AuthType uint8

const (
	AuthNone AuthType = iota
	AuthPass          // simple text password
	AuthAH            // IP authentication header, HMAC-MD5-96
)

// OldChecksum selects the version 3 IPv4 unicast checksum of old keepalived
// releases, computed with the multicast group as destination.
type OldChecksum uint8

const (
	OldChecksumAuto   OldChecksum = iota // recognised and answered in kind
	OldChecksumAlways                    // always sent
	OldChecksumNever                     // never recognised
)

// HMACMode is how the HMAC trailer is used.
type HMACMode uint8

const (
	HMACOff         HMACMode = iota
	HMACEnforce              // sign, require
	HMACPermissive           // sign, accept unsigned
	HMACReceiveOnly          // do not sign, verify what is signed
)

// HMAC configures the authentication trailer.
type HMAC struct {
	Mode      HMACMode
	SendKey   uint8            // key id used for signing
	Monotonic bool             // replay protection by order alone, ignoring the clock
	Keys      map[uint8][]byte // 32 to 64 bytes each
	Window    time.Duration    // accepted clock distance; 0 means max(3 adverts, 5 s), at most 300 s
}

// Announcements configures the gratuitous ARPs or unsolicited neighbour
// advertisements of a master. Repeat counts are packets per address.
type Announcements struct {
	Repeat        int           // at once on becoming master
	Delay         time.Duration // until the second set; 0: none
	Refresh       time.Duration // period of refreshes; 0: none
	RefreshRepeat int
	LowerRepeat   int           // after a lower-priority advert; 0: none
	LowerDelay    time.Duration // until the second set after one; 0: none
}
