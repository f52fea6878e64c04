// Package vrrpd is the VRRP process: one loop that owns every virtual router,
// with its sockets, addresses and announcements.
package vrrpd

import "keepalived-go/internal/link"

// Options is what the parent process gives its VRRP child.
type Options struct {
	Link         *link.Conn // to the parent
	StateFile    string     // what must outlive this process; see journal.go
	DumpDir      string     // where the dumps of SIGUSR1 and SIGUSR2 go
	InstanceName string     // instance keyword: part of dump file names with data_use_instance
	NetNamespace string     // likewise
	DontRelease  bool       // -V: keep addresses at stop
	LogAddresses bool       // -a: log every change of an address
}

// Run runs the VRRP process until it is told to stop and returns its exit code.
func Run(o Options) int { return 0 }
