package logging

import (
	"fmt"
	"log/slog"
	"strings"
)

// Facility is a syslog facility (RFC 5424, 6.2.1).
type Facility int

const (
	User   Facility = 1
	Daemon Facility = 3
	Local0 Facility = 16 // Local0+7 is local7
)

// ParseFacility reads the argument of -S: N or localN with N from 0 to 7,
// user, or daemon.
func ParseFacility(s string) (Facility, error) {
	switch s {
	case "user":
		return User, nil
	case "daemon":
		return Daemon, nil
	}
	digit := strings.TrimPrefix(s, "local")
	if len(digit) != 1 || digit[0] < '0' || digit[0] > '7' {
		return 0, fmt.Errorf("unknown syslog facility %q: 0 to 7, local0 to local7, user or daemon", s)
	}
	return Local0 + Facility(digit[0]-'0'), nil
}

// severity returns the syslog severity (RFC 5424, 6.2.1) of l.
func severity(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return 3
	case l >= slog.LevelWarn:
		return 4
	case l > slog.LevelDebug:
		return 6
	}
	return 7
}
