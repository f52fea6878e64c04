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
	configure, config := buildOptions()
	fmt.Fprintf(w, "\nconfigure options: %s\n", strings.Join(configure, " "))
	fmt.Fprintf(w, "\nConfig options:  %s\n", strings.Join(config, " "))
	fmt.Fprintf(w, "\nSystem options:  IPV4_MULTICAST_ALL IPV6_MULTICAST_ALL IFA_FLAGS IFA_PROTO\n")
}

// features are what the C daemon's configure and its keepalived -v call what a
// keyword does.
var features = []struct{ block, keyword, configure, config string }{
	{"vrrp_instance", "virtual_ipaddress", "", "VRRP"},
	{"", "virtual_server", "", "LVS"},
	{"vrrp_instance", "no_accept", "--enable-nftables", "NFTABLES"},
	{"virtual_server.real_server.HTTP_GET.url", "regex", "--enable-regex", "REGEX"},
	{"vrrp_instance", "authentication", "", "VRRP_AUTH"},
	{"vrrp_instance", "use_vmac", "", "VRRP_VMAC"},
	{"global_defs", "json_version", "--enable-json", "JSON"},
	{"", "bfd_instance", "--enable-bfd", "BFD"},
	{"vrrp_instance", "old_unicast_checksum", "", "OLD_CHKSUM_COMPAT"},
	{"global_defs", "enable_snmp_vrrp", "--enable-snmp", "SNMP_VRRP"},
	{"global_defs", "enable_snmp_checker", "", "SNMP_CHECKER"},
	{"global_defs", "enable_snmp_rfcv2", "--enable-snmp-rfcv2", "SNMP_RFCV2"},
	{"global_defs", "enable_snmp_rfcv3", "--enable-snmp-rfcv3", "SNMP_RFCV3"},
	{"global_defs", "enable_dbus", "--enable-dbus", "DBUS"},
}

// buildOptions are the options of the C daemon's configure, and the features that
// it lists, of a build that can do what this program can: by them programs tell
// what they may ask a daemon for.
func buildOptions() (configure, config []string) {
	for _, f := range features {
		config = append(config, f.config)
		if f.configure != "" {
			configure = append(configure, f.configure)
		}
	}
	return append(configure, "--with-init=systemd"), append(config, "INIT=systemd", "SYSTEMD_NOTIFY")
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
