package track

import (
	"errors"
	"math"
	"strconv"
)

var (
	errNoNumber = errors.New("no number")
	errRange    = errors.New("number out of range")
)

// parseNumber reads the number that text begins with, after blanks and newlines:
// decimal, octal with a leading 0, hexadecimal with 0x. What follows it does not
// matter. The error is errNoNumber, or errRange beyond ±2147483647.
func parseNumber(text []byte) (int, error) {
	i := 0
	for i < len(text) && (text[i] == ' ' || '\t' <= text[i] && text[i] <= '\r') {
		i++
	}
	text = text[i:]
	negative := false
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		negative = text[0] == '-'
		text = text[1:]
	}
	base := 10
	switch {
	case len(text) > 2 && text[0] == '0' && text[1]|0x20 == 'x' && digit(text[2]) < 16:
		base, text = 16, text[2:]
	case len(text) > 0 && text[0] == '0':
		base = 8
	}
	n := 0
	for n < len(text) && digit(text[n]) < base {
		n++
	}
	if n == 0 {
		return 0, errNoNumber
	}
	v, err := strconv.ParseUint(string(text[:n]), base, 32)
	if err != nil || v > math.MaxInt32 {
		return 0, errRange
	}
	if negative {
		return -int(v), nil
	}
	return int(v), nil
}

// digit is the value of a digit in base 16; other bytes have none of them.
func digit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return math.MaxInt
}
