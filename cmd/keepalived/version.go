package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// writeVersion writes the version in the layout that monitoring programs read
// from keepalived -v.
func writeVersion(w io.Writer) {
	fmt.Fprintf(w, "Keepalived v%s (%s)\n\n", version, date)
	fmt.Fprintf(w, "Copyright(C) 2026 the keepalived-go authors, Apache License 2.0\n\n")
	fmt.Fprintf(w, "Built with %s for %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		fmt.Fprintf(w, "Running on %s %s %s\n", unix.ByteSliceToString(u.Sysname[:]),
			unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Version[:]))
	}
	if name := distribution(); name != "" {
		fmt.Fprintf(w, "Distro: %s\n", name)
	}
	fmt.Fprintf(w, "\nconfigure options: none\n")
	fmt.Fprintf(w, "\nConfig options:  VRRP VRRP_AUTH JSON OLD_CHKSUM_COMPAT INIT=systemd SYSTEMD_NOTIFY\n")
	fmt.Fprintf(w, "\nSystem options:  IPV4_MULTICAST_ALL IPV6_MULTICAST_ALL IFA_FLAGS IFA_PROTO\n")
}

// distribution returns the name of the distribution (os-release(5)).
func distribution() string {
	f, err := os.Open("/etc/os-release")
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), "PRETTY_NAME="); ok {
			return strings.Trim(v, `"'`)
		}
	}
	return ""
}
