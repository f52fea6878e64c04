package supervisor

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
)

// cpus returns how many processors the machine has, whichever of them this
// process may use; 0: unknown.
func cpus() int {
	list, err := os.ReadFile("/sys/devices/system/cpu/present") // 0-3, 0,2-5
	if err != nil {
		return 0
	}
	text := strings.TrimSpace(string(list))
	last, err := strconv.Atoi(text[strings.LastIndexAny(text, ",-")+1:])
	if err != nil {
		return 0
	}
	return last + 1
}

// addresses reports whether this network namespace has an address, as it was when
// that was first asked.
func addresses() func(netip.Addr) bool {
	list := sync.OnceValue(func() map[netip.Addr]bool {
		held := make(map[netip.Addr]bool)
		found, _ := net.InterfaceAddrs()
		for _, a := range found {
			if n, ok := a.(*net.IPNet); ok {
				if addr, ok := netip.AddrFromSlice(n.IP); ok {
					held[addr.Unmap()] = true
				}
			}
		}
		return held
	})
	return func(a netip.Addr) bool { return list()[a] || len(list()) == 0 }
}
