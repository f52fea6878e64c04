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
	AuthNone: "none", AuthPassword: "password", AuthMD5: "md5", AuthMeticulousMD5: "meticulous-md5",
	AuthSHA1: "sha1", AuthMeticulousSHA1: "meticulous-sha1",
}

// String is a short name of the type.
func (t AuthType) String() string {
	if int(t) < len(authNames) {
		return authNames[t]
	}
	return "unknown"
}
