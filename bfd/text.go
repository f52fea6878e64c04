package bfd

var stateNames = [...]string{AdminDown: "AdminDown", Down: "Down", Init: "Init", Up: "Up"}

// String is the name of the state in RFC 5880.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

var diagNames = [...]string{
	DiagNone:             "No Diagnostic",
	DiagExpired:          "Control Detection Time Expired",
	DiagEchoFailed:       "Echo Function Failed",
	DiagNeighbor:         "Neighbor Signaled Session Down",
	DiagPlaneReset:       "Forwarding Plane Reset",
	DiagPathDown:         "Path Down",
	DiagConcatenatedDown: "Concatenated Path Down",
	DiagAdminDown:        "Administratively Down",
	DiagReverseDown:      "Reverse Concatenated Path Down",
}

// String is the diagnostic in the words of RFC 5880, 4.1.
func (d Diag) String() string {
	if int(d) < len(diagNames) {
		return diagNames[d]
	}
	return "Reserved"
}

var authNames = [...]string{
	AuthNone: "none", AuthPassword: "simple", AuthMD5: "md5", AuthMeticulousMD5: "meticulous_md5",
	AuthSHA1: "sha1", AuthMeticulousSHA1: "meticulous_sha1",
}

// String is a short name of the type.
func (t AuthType) String() string {
	if int(t) < len(authNames) {
		return authNames[t]
	}
	return "unknown"
}

var rejectTexts = [numRejects]string{
	RejectShort:             "too short",
	RejectVersion:           "another version",
	RejectLength:            "wrong length",
	RejectMultiplier:        "a detect multiplier of zero",
	RejectMultipoint:        "the multipoint bit",
	RejectPollFinal:         "poll and final in one packet",
	RejectMyDiscriminator:   "a discriminator of zero",
	RejectYourDiscriminator: "no discriminator of ours",
	RejectAuthLength:        "an authentication section of a wrong length",
	RejectAuthType:          "an unknown type of authentication",
	RejectNoSession:         "no session",
	RejectAddress:           "the addresses are not those of the session",
	RejectInactive:          "the session does not run",
	RejectTTL:               "wrong TTL",
	RejectAuthMissing:       "no authentication",
	RejectAuthUnexpected:    "authentication of another type",
	RejectAuthKey:           "an unknown authentication key",
	RejectAuthDigest:        "wrong key",
	RejectAuthReplayed:      "a sequence number that is not due",
	RejectAdminDown:         "the session is disabled",
}

// Text describes what was wrong with a dropped packet.
func (r Reject) Text() string {
	if r < numRejects {
		return rejectTexts[r]
	}
	return "unknown"
}
