package kernel

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// maxGroups bounds what is read of the kernel's list of groups, in bytes.
const maxGroups = 16 << 20

// Groups returns the multicast groups of a family (4 or 6) that the links of the
// calling thread's network namespace are members of, each with the index of its
// link: of the links, not of a socket, whose own membership may have outlived
// that of its link.
func Groups(family int) (map[Group]bool, error) {
	name, parse := "igmp", parseGroups4
	if family == 6 {
		name, parse = "igmp6", parseGroups6
	}
	f, err := os.Open("/proc/thread-self/net/" + name)
	if err != nil {
		return nil, fmt.Errorf("read multicast groups: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxGroups))
	if err != nil {
		return nil, fmt.Errorf("read multicast groups: %w", err)
	}
	return parse(string(b)), nil
}

// Group is a multicast group on a link.
type Group struct {
	Link int // index
	Addr netip.Addr
}

// parseGroups4 reads /proc/net/igmp: a line "2 eth0 : 2 V3" for each link, and
// after it one with a tab for each group, "120000E0 1 0:00000000 0", its
// address as a number in the machine's order.
func parseGroups4(text string) map[Group]bool {
	all, link := map[Group]bool{}, 0
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if line[0] != '\t' {
			link, _ = strconv.Atoi(fields[0]) // 0 for the heading
			continue
		}
		if v, err := strconv.ParseUint(fields[0], 16, 32); err == nil {
			var b [4]byte
			native.PutUint32(b[:], uint32(v))
			all[Group{link, netip.AddrFrom4(b)}] = true
		}
	}
	return all
}

// parseGroups6 reads /proc/net/igmp6: a line
// "2 eth0 ff020000000000000000000000000012 1 00000004 0" for each group.
func parseGroups6(text string) map[Group]bool {
	all := map[Group]bool{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		link, err := strconv.Atoi(fields[0])
		b, err2 := hex.DecodeString(fields[2])
		if err == nil && err2 == nil && len(b) == 16 {
			all[Group{link, netip.AddrFrom16([16]byte(b))}] = true
		}
	}
	return all
}
