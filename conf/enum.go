package conf

import (
	"reflect"
	"strconv"
)

// enumerations are the words of the language for the values of the types that
// have names for them, by their numbers. A word whose choices they are needs no
// function that sets it.
var enumerations = map[reflect.Type][]string{
	reflect.TypeFor[AuthType]():       authTypes,
	reflect.TypeFor[HMACMode]():       hmacModes,
	reflect.TypeFor[BFDAuthType]():    bfdAuthTypes,
	reflect.TypeFor[OldChecksum]():    oldChecksums,
	reflect.TypeFor[OnDelete]():       onDeletes,
	reflect.TypeFor[RxBufPolicy]():    rxBufPolicies,
	reflect.TypeFor[Switch]():         switches,
	reflect.TypeFor[IPVLANMode]():     ipvlanModes,
	reflect.TypeFor[LinkKind]():       linkKinds,
	reflect.TypeFor[InitFile]():       initFiles,
	reflect.TypeFor[ParamMatch]():     paramMatches,
	reflect.TypeFor[LinkBeat]():       linkBeats,
	reflect.TypeFor[TrackKind]():      trackKinds,
	reflect.TypeFor[FlushOnStop]():    flushes,
	reflect.TypeFor[ForwardMethod]():  forwardMethods,
	reflect.TypeFor[TunnelType]():     tunnelTypes,
	reflect.TypeFor[TunnelChecksum](): tunnelChecksums,
	reflect.TypeFor[HTTPProtocol]():   httpProtocols,
	reflect.TypeFor[CheckKind]():      checkKinds,
}

var (
	authTypes    = []string{AuthNone: "none", AuthPass: "PASS", AuthAH: "AH"}
	hmacModes    = []string{HMACOff: "off", HMACEnforce: "enforce", HMACPermissive: "permissive", HMACReceiveOnly: "receive-only"}
	bfdAuthTypes = []string{
		BFDAuthNone: "none", BFDAuthSimple: "simple", BFDAuthMD5: "md5", BFDAuthMeticulousMD5: "meticulous_md5",
		BFDAuthSHA1: "sha1", BFDAuthMeticulousSHA1: "meticulous_sha1",
	}
	oldChecksums    = []string{OldChecksumAuto: "recognised", OldChecksumAlways: "sent", OldChecksumNever: "never"}
	onDeletes       = []string{OnDeleteUnset: "unset", OnDeleteYield: "yield", OnDeleteRestore: "restore", OnDeleteFault: "fault"}
	rxBufPolicies   = []string{RxBufDefault: "kernel", RxBufMTU: "MTU", RxBufAdvert: "ADVERT", RxBufBytes: "BYTES"}
	switches        = []string{SwitchUnset: "unset", SwitchOff: "off", SwitchOn: "on"}
	ipvlanModes     = []string{IPVLANBridge: "bridge", IPVLANPrivate: "private", IPVLANVEPA: "vepa"}
	linkKinds       = []string{LinkPlain: "none", LinkVMAC: "use_vmac", LinkIPVLAN: "use_ipvlan"}
	initFiles       = []string{InitFileOff: "off", InitFileCreate: "create", InitFileOverwrite: "overwrite"}
	paramMatches    = []string{MatchExact: "exact", MatchNone: "none", MatchInitial: "initial", MatchPartial: "partial"}
	linkBeats       = []string{LinkBeatNone: "off", LinkBeatAuto: "auto", LinkBeatMII: "MII", LinkBeatEthtool: "ETHTOOL", LinkBeatIoctl: "IOCTL"}
	trackKinds      = []string{TrackedInterface: "track_interface", TrackedScript: "track_script", TrackedFile: "track_file", TrackedProcess: "track_process", TrackedBFD: "track_bfd"}
	flushes         = []string{FlushNothing: "off", FlushServices: "VS", FlushAll: "on"}
	forwardMethods  = []string{ForwardNAT: "NAT", ForwardDirect: "DR", ForwardTunnel: "TUN"}
	tunnelTypes     = []string{TunnelIPIP: "ipip", TunnelGUE: "gue", TunnelGRE: "gre"}
	tunnelChecksums = []string{NoChecksum: "nocsum", Checksum: "csum", RemoteChecksum: "remcsum"}
	httpProtocols   = []string{HTTP10: "1.0", HTTP10Close: "1.0C", HTTP11: "1.1"}
	checkKinds      = []string{
		CheckTCP: "TCP_CHECK", CheckHTTP: "HTTP_GET", CheckSSL: "SSL_GET", CheckSMTP: "SMTP_CHECK", CheckDNS: "DNS_CHECK",
		CheckMisc: "MISC_CHECK", CheckBFD: "BFD_CHECK", CheckUDP: "UDP_CHECK", CheckPing: "PING_CHECK", CheckFile: "FILE_CHECK",
	}
)

// Names are the words of the language for the values of a type of the model, by
// their numbers; nil where it has none.
func Names(t reflect.Type) []string { return enumerations[t] }

// valueName is the word for a value, its number where there is none.
func valueName[T ~uint8](words []string, v T) string {
	if int(v) < len(words) {
		return words[v]
	}
	return strconv.Itoa(int(v))
}

func (t AuthType) String() string       { return valueName(authTypes, t) }
func (m HMACMode) String() string       { return valueName(hmacModes, m) }
func (t BFDAuthType) String() string    { return valueName(bfdAuthTypes, t) }
func (c OldChecksum) String() string    { return valueName(oldChecksums, c) }
func (o OnDelete) String() string       { return valueName(onDeletes, o) }
func (p RxBufPolicy) String() string    { return valueName(rxBufPolicies, p) }
func (s Switch) String() string         { return valueName(switches, s) }
func (m IPVLANMode) String() string     { return valueName(ipvlanModes, m) }
func (k LinkKind) String() string       { return valueName(linkKinds, k) }
func (i InitFile) String() string       { return valueName(initFiles, i) }
func (m ParamMatch) String() string     { return valueName(paramMatches, m) }
func (b LinkBeat) String() string       { return valueName(linkBeats, b) }
func (f FlushOnStop) String() string    { return valueName(flushes, f) }
func (m ForwardMethod) String() string  { return valueName(forwardMethods, m) }
func (t TunnelType) String() string     { return valueName(tunnelTypes, t) }
func (c TunnelChecksum) String() string { return valueName(tunnelChecksums, c) }
func (p HTTPProtocol) String() string   { return valueName(httpProtocols, p) }

// String is the word that begins the track block of this kind.
func (k TrackKind) String() string { return valueName(trackKinds, k) }

// String is the keyword of the check.
func (k CheckKind) String() string { return valueName(checkKinds, k) }
