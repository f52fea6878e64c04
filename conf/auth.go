package conf

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"keepalived-go/internal/readfile"
)

func authBlock() *block {
	b := vocabulary("vrrp_instance.authentication",
		kw("auth_type", word("PASS|AH"), "", "PASS sends the password in clear text, AH signs with the password").sets(setAuthType).shows(shown(func(v *VRRPInstance) *AuthType { return &v.Auth.Type })),
		kw("auth_pass", word("STRING"), "", "password of at most 8 bytes").secret().sets(setAuthPass).shows(shown(func(v *VRRPInstance) *Secret { return &v.Auth.Password })),
	)
	return b
}

func setAuthType(d *decoder, a *argument) {
	switch a.text {
	case "PASS":
		d.inst.Auth.Type = AuthPass
	case "AH":
		d.inst.Auth.Type = AuthAH
	default:
		d.wrong(a.Statement, 1, "bad-choice", "(%s) unknown authentication type '%s'; expected PASS or AH", d.inst.Name, printable(a.text))
	}
}

func setAuthPass(d *decoder, a *argument) {
	pass := a.text
	if len(pass) > 8 {
		d.report(a.Statement, 1, Diagnostic{
			Severity: Warning, Class: ClassOrdinary, Code: "long-password",
			Message: "Truncating auth_pass to 8 characters",
			Fix:     "write at most 8 characters, since every node truncates it in the same way",
		})
		pass = pass[:8]
	}
	d.inst.Auth.Password = Secret(strings.Clone(pass))
}

func hmacBlock() *block {
	b := vocabulary("vrrp_instance.auth_hmac",
		kw("key", several("ID VALUE"), "", "a key of 32 to 64 bytes by its number: text, hex:DIGITS or file:PATH; repeatable").newer().secret().sets(setHMACKey).
			shows(shown(func(v *VRRPInstance) *map[uint8]Secret { return &v.HMAC.Keys })),
		kw("active_key", number(1, 255).as("ID"), "", "number of the key that signs sent adverts; without it there is no authentication").newer().
			fills(inInstance(func(v *VRRPInstance) *uint8 { return &v.HMAC.SendKey })),
		kw("time_window", number(1, 300).as("SECS"), "three advert intervals, at least 5", "largest accepted difference between the clocks").newer().
			fills(inInstance(func(v *VRRPInstance) *time.Duration { return &v.HMAC.Window })),
		kw("anti_replay", oneOf("time", "monotonic"), "time", "reject replayed adverts by clock and order, or by order only").newer().
			sets(func(d *decoder, a *argument) { d.inst.HMAC.Monotonic = a.text == "monotonic" }).
			shows(shown(func(v *VRRPInstance) *bool { return &v.HMAC.Monotonic })),
		kw("mode", oneOf("enforce", "permissive", "receive-only"), "enforce", "whether adverts are signed, and whether unsigned adverts are accepted").newer().fills(inInstance(func(v *VRRPInstance) *HMACMode { return &v.HMAC.Mode })),
	)
	b.open = func(d *decoder, s *Statement) bool {
		d.inst.HMAC = HMAC{Keys: make(map[uint8]Secret)}
		return true
	}
	b.close = closeHMAC
	return b
}

func setHMACKey(d *decoder, a *argument) {
	if id, key, ok := d.numberedKey(a, "("+d.inst.Name+") auth_hmac", "hmac-key", 32, 64); ok {
		d.inst.HMAC.Keys[id] = key
	}
}

// numberedKey reads ID VALUE, a key of least to most bytes with its number. Messages
// never show the value. of is the block in them, code what a value is reported as that
// is no such key.
func (d *decoder) numberedKey(a *argument, of, code string, least, most int) (id uint8, key Secret, ok bool) {
	n, err := strconv.ParseUint(a.text, 10, 8)
	if err != nil || n == 0 {
		d.wrong(a.Statement, 1, "out-of-range", "%s key id is not a number from 1 to 255", of)
		return 0, "", false
	}
	if len(a.Words) < 3 {
		d.wrong(a.Statement, 1, "missing-argument", "%s key %d has no value", of, n)
		return 0, "", false
	}
	value, _, err := d.keyValue(a.Statement, 2, a.Words[2].Text)
	switch {
	case err != nil:
		d.wrong(a.Statement, 2, code, "%s key %d: %v", of, n, err)
		return 0, "", false
	case len(value) < least || len(value) > most:
		d.wrong(a.Statement, 2, code, "%s key %d has %d bytes; expected %d to %d", of, n, len(value), least, most)
		return 0, "", false
	}
	return uint8(n), Secret(value), true
}

// keyValue is the key that a value, a word of s, stands for: text, hex:DIGITS or file:PATH.
// exposed means that others have the file in their hands, which is reported.
func (d *decoder) keyValue(s *Statement, word int, value string) (key string, exposed bool, err error) {
	if digits, ok := strings.CutPrefix(value, "hex:"); ok {
		b, err := hex.DecodeString(digits)
		if err != nil {
			return "", false, fmt.Errorf("the value after hex: is not an even number of hexadecimal digits")
		}
		return string(b), false, nil
	}
	path, ok := strings.CutPrefix(value, "file:")
	if !ok {
		return strings.Clone(value), false, nil
	}
	f, err := readfile.Open(path, readfile.Patience)
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", false, err
	}
	if message, fix := keyFileProblem(info); message != "" {
		exposed = true
		d.report(s, word, Diagnostic{
			Severity: Error, Class: ClassSecurity, Code: "hmac-file-mode",
			Message: fmt.Sprintf("key file %s %s", path, message), Fix: fix + " " + path,
		})
	}
	const enough = 256
	b, err := io.ReadAll(io.LimitReader(f, enough))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", false, fmt.Errorf("read %s: %s; %s", path, readfile.Endless, readfile.EndlessRemedy)
	}
	if err != nil {
		return "", false, fmt.Errorf("read %s: %w", path, readfile.Cause(err))
	}
	text := strings.TrimRight(string(b), "\r\n")
	if digits, ok := strings.CutPrefix(text, "hex:"); ok {
		if raw, err := hex.DecodeString(digits); err == nil {
			return string(raw), exposed, nil
		}
	}
	return text, exposed, nil
}

// keyFileProblem returns who, other than root and the user of this process, has
// a key file in their hands, and the command that ends it; empty: no one.
func keyFileProblem(info os.FileInfo) (message, fix string) {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case info.Mode().Perm()&0o077 != 0:
		return "can be read by other users", "chmod 600"
	case !ok:
		return "has an unknown owner", "ls -l"
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return fmt.Sprintf("belongs to user %d, who could replace the key", st.Uid), "chown root"
	}
	return "", ""
}

func closeHMAC(d *decoder, s *Statement) {
	h := &d.inst.HMAC
	if len(h.Keys) == 0 {
		d.wrong(s, 0, "hmac-key", "(%s) auth_hmac has no usable key - ignoring", d.inst.Name)
		*h = HMAC{}
		return
	}
	if _, ok := h.Keys[h.SendKey]; !ok {
		// As upstream: a node that signed with another key would be a second
		// master beside one that does not.
		d.wrong(s, 0, "hmac-active", "(%s) auth_hmac: active_key %d is not defined, disabling extension:"+
			" adverts are neither signed nor verified", d.inst.Name, h.SendKey)
		*h = HMAC{}
	}
}
