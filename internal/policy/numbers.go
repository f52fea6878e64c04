package policy

import (
	"keepalived-go/bfd"
	"keepalived-go/conf"
	"keepalived-go/lvs"
	"keepalived-go/vrrp"
)

// A word of the language has one number in conf and another in an engine. Only these
// tables turn one into the other; TestWordsHaveNumbers checks that each word is there.
var (
	authTypes    = []vrrp.AuthType{conf.AuthNone: vrrp.AuthNone, conf.AuthPass: vrrp.AuthPass, conf.AuthAH: vrrp.AuthAH}
	hmacModes    = []vrrp.HMACMode{conf.HMACOff: vrrp.HMACOff, conf.HMACEnforce: vrrp.HMACEnforce, conf.HMACPermissive: vrrp.HMACPermissive, conf.HMACReceiveOnly: vrrp.HMACReceiveOnly}
	oldChecksums = []vrrp.OldChecksum{conf.OldChecksumAuto: vrrp.OldChecksumAuto, conf.OldChecksumAlways: vrrp.OldChecksumAlways, conf.OldChecksumNever: vrrp.OldChecksumNever}
	sessionAuth  = []bfd.AuthType{
		conf.BFDAuthNone: bfd.AuthNone, conf.BFDAuthSimple: bfd.AuthPassword, conf.BFDAuthMD5: bfd.AuthMD5,
		conf.BFDAuthMeticulousMD5: bfd.AuthMeticulousMD5, conf.BFDAuthSHA1: bfd.AuthSHA1, conf.BFDAuthMeticulousSHA1: bfd.AuthMeticulousSHA1,
	}

	methods   = []lvs.Method{conf.ForwardNAT: lvs.Masquerade, conf.ForwardDirect: lvs.Direct, conf.ForwardTunnel: lvs.Tunnel}
	tunnels   = []lvs.TunnelType{conf.TunnelIPIP: lvs.IPIP, conf.TunnelGUE: lvs.GUE, conf.TunnelGRE: lvs.GRE}
	checksums = []lvs.TunnelChecksum{conf.NoChecksum: lvs.NoChecksum, conf.Checksum: lvs.Checksum, conf.RemoteChecksum: lvs.RemoteChecksum}
)
