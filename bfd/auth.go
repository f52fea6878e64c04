package bfd

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
)

// AuthType is a type of authentication (RFC 5880, 4.1).
type AuthType uint8

const (
	AuthNone           AuthType = iota
	AuthPassword                // simple password: protects against mistakes only
	AuthMD5                     // keyed MD5
	AuthMeticulousMD5           // the same, each packet with a sequence number of its own
	AuthSHA1                    // keyed SHA1
	AuthMeticulousSHA1          // the same, each packet with a sequence number of its own

	numAuthTypes
)

const (
	lenAuthHeader = 3 // type, length, key ID
	lenMD5        = 24
	lenSHA1       = 28
	authDigest    = 8 // offset of the digest in its section

	// MaxPassword and the others are how long keys can be, in bytes.
	MaxPassword = 16
	MaxMD5Key   = md5.Size
	MaxSHA1Key  = sha1.Size
)

// MaxKey returns how long a key of the type can be, in bytes; 0 for AuthNone.
func (t AuthType) MaxKey() int {
	switch t {
	case AuthPassword:
		return MaxPassword
	case AuthMD5, AuthMeticulousMD5:
		return MaxMD5Key
	case AuthSHA1, AuthMeticulousSHA1:
		return MaxSHA1Key
	}
	return 0
}

// sequenced reports whether packets have a sequence number and a digest.
func (t AuthType) sequenced() bool { return t >= AuthMD5 && t < numAuthTypes }

// meticulous reports whether each packet has a sequence number of its own.
func (t AuthType) meticulous() bool { return t == AuthMeticulousMD5 || t == AuthMeticulousSHA1 }

// section returns the length of the section of a type with a digest.
func (t AuthType) section() int {
	if t == AuthMD5 || t == AuthMeticulousMD5 {
		return lenMD5
	}
	return lenSHA1
}

// Auth is how a session authenticates its packets. Keys of one byte to
// [AuthType.MaxKey]; longer ones are cut. Several keys serve to change them: all are
// accepted, SendKey is used.
type Auth struct {
	Type    AuthType
	SendKey uint8
	Keys    map[uint8][]byte // by key ID
}

// parseAuth reads the section after the header of b, a packet of the length that it
// states, with the checks that need no key.
func parseAuth(b []byte, a *AuthSection) Reject {
	section := b[lenControl:]
	if len(section) < lenAuthHeader || int(section[1]) != len(section) {
		return RejectAuthLength
	}
	a.Type, a.KeyID, a.wire = AuthType(section[0]), section[2], b
	switch {
	case a.Type == AuthPassword:
		if n := len(section) - lenAuthHeader; n < 1 || n > MaxPassword {
			return RejectAuthLength
		}
	case a.Type.sequenced():
		if len(section) != a.Type.section() {
			return RejectAuthLength
		}
		a.Sequence = binary.BigEndian.Uint32(section[4:])
	default:
		return RejectAuthType
	}
	return RejectNone
}

// sign appends the authentication section to the packet at the end of b, which
// begins at offset start.
func (a *Auth) sign(b []byte, start int, sequence uint32) []byte {
	if a.Type == AuthNone {
		return b
	}
	key := a.key(a.SendKey)
	b[start+1] |= flagAuth
	if a.Type == AuthPassword {
		b = append(b, byte(a.Type), byte(lenAuthHeader+len(key)), a.SendKey)
		b = append(b, key...)
		b[start+3] = byte(len(b) - start)
		return b
	}
	size := a.Type.section()
	b = append(b, byte(a.Type), byte(size), a.SendKey, 0)
	b = binary.BigEndian.AppendUint32(b, sequence)
	b = append(b, make([]byte, size-authDigest)...)
	b[start+3] = byte(len(b) - start)
	digest := b[start+lenControl+authDigest:]
	sum := a.digest(b[start:], key)
	copy(digest, sum[:])
	return b
}

func (a *Auth) key(id uint8) []byte {
	key := a.Keys[id]
	return key[:min(len(key), a.Type.MaxKey())]
}

// digest returns the digest of a packet that has the key instead of it; with MD5
// the first 16 bytes count.
func (a *Auth) digest(packet, key []byte) (sum [sha1.Size]byte) {
	var buf [MaxControl]byte
	b := buf[:copy(buf[:], packet)]
	field := b[lenControl+authDigest:]
	clear(field)
	copy(field, key)
	if a.Type.section() == lenMD5 {
		short := md5.Sum(b)
		copy(sum[:], short[:])
		return sum
	}
	return sha1.Sum(b)
}

// authenticate checks the section of a packet (RFC 5880, 6.7). known and last are
// what the session has accepted before. The sequence number is looked at after the
// digest: a forged packet teaches the session nothing.
func (a *Auth) authenticate(p *Packet, known bool, last uint32) Reject {
	s := &p.Auth
	switch {
	case s.Type == AuthNone && a.Type == AuthNone:
		return RejectNone
	case s.Type == AuthNone:
		return RejectAuthMissing
	case a.Type == AuthNone, s.Type != a.Type, s.wire == nil:
		return RejectAuthUnexpected
	}
	if _, ok := a.Keys[s.KeyID]; !ok {
		return RejectAuthKey
	}
	key, section := a.key(s.KeyID), s.wire[lenControl:]
	if a.Type == AuthPassword {
		if subtle.ConstantTimeCompare(section[lenAuthHeader:], key) != 1 {
			return RejectAuthDigest
		}
		return RejectNone
	}
	sum := a.digest(s.wire, key)
	if subtle.ConstantTimeCompare(section[authDigest:], sum[:len(section)-authDigest]) != 1 {
		return RejectAuthDigest
	}
	if !known {
		return RejectNone
	}
	// A circular number space (RFC 5880, 6.7.3 and 6.7.4).
	ahead, least := s.Sequence-last, uint32(0)
	if a.Type.meticulous() {
		least = 1
	}
	if ahead < least || ahead > 3*uint32(p.DetectMult) {
		return RejectAuthReplayed
	}
	return RejectNone
}
