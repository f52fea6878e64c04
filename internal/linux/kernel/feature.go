package kernel

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// MarksAddresses reports whether this kernel keeps the mark of who set an
// address (IFA_PROTO, since Linux 5.18).
var MarksAddresses = sync.OnceValue(func() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	return releaseAtLeast(unix.ByteSliceToString(u.Release[:]), 5, 18)
})

// releaseAtLeast compares a kernel release such as "6.1.0-18-amd64".
func releaseAtLeast(release string, major, minor int) bool {
	var haveMajor, haveMinor int
	if n, _ := fmt.Sscanf(release, "%d.%d", &haveMajor, &haveMinor); n != 2 {
		return false
	}
	return haveMajor > major || haveMajor == major && haveMinor >= minor
}
