package bfd

// Reject is why a received packet was dropped. Each has its own counter in [Stats]
// and a stable name.
type Reject uint8

const (
	RejectNone Reject = iota

	// Found by Parse.

	RejectShort             // no room for a control packet
	RejectVersion           // a version other than 1
	RejectLength            // the length field is too small, or exceeds the payload
	RejectMultiplier        // a detect multiplier of zero
	RejectMultipoint        // the multipoint bit
	RejectPollFinal         // poll and final in one packet
	RejectMyDiscriminator   // the sender's discriminator is zero
	RejectYourDiscriminator // our discriminator is zero in state Init or Up
	RejectAuthLength        // an authentication section of a wrong length
	RejectAuthType          // an authentication type that is not defined

	// Found by the driver, which looks for the session.

	RejectNoSession // our discriminator is unknown, or the sender is no neighbour
	RejectAddress   // the addresses are not those of the session

	// Found by the session, in this order.

	RejectInactive       // before Start or after Shutdown
	RejectTTL            // passed more routers than it may have
	RejectAuthMissing    // no authentication, and it is configured
	RejectAuthUnexpected // authentication of another type than configured
	RejectAuthKey        // no key of that ID
	RejectAuthDigest     // wrong password or digest
	RejectAuthReplayed   // a sequence number that is not due
	RejectAdminDown      // the session is disabled

	numRejects
)

var rejectNames = [numRejects]string{
	RejectNone:              "none",
	RejectShort:             "too_short",
	RejectVersion:           "version",
	RejectLength:            "length",
	RejectMultiplier:        "multiplier",
	RejectMultipoint:        "multipoint",
	RejectPollFinal:         "poll_and_final",
	RejectMyDiscriminator:   "my_discriminator",
	RejectYourDiscriminator: "your_discriminator",
	RejectAuthLength:        "auth_length",
	RejectAuthType:          "auth_type",
	RejectNoSession:         "no_session",
	RejectAddress:           "address",
	RejectInactive:          "inactive",
	RejectTTL:               "ttl",
	RejectAuthMissing:       "auth_missing",
	RejectAuthUnexpected:    "auth_unexpected",
	RejectAuthKey:           "auth_key",
	RejectAuthDigest:        "auth_digest",
	RejectAuthReplayed:      "auth_replayed",
	RejectAdminDown:         "admin_down",
}

// String is the name of the counter.
func (r Reject) String() string {
	if r < numRejects {
		return rejectNames[r]
	}
	return "unknown"
}

// Rejects is how many reasons there are, RejectNone included: the length of an
// array of counters.
const Rejects = int(numRejects)
