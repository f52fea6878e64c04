// Package ipvs speaks with the load balancer in the Linux kernel, IP Virtual
// Server (module ip_vs), by generic netlink: services and their destinations,
// statistics, timeouts, the daemons that synchronise connections.
//
// A [Conn] belongs to one network namespace, as the table does. Requests need
// CAP_NET_ADMIN in the initial user namespace. Refusals are an [*Error]; with
// errors.Is it matches [ErrExists], [ErrNoService] and the others, and the number
// of the system's error, as unix.EEXIST.
//
// Many changes at once go by [Conn.Batch]: the kernel serves them in their order,
// and a refusal does not keep it from the next.
//
// The protocol is that of linux/ip_vs.h, "IPVS Generic Netlink interface
// definitions". Package ipvstest is such a kernel in memory, for tests.
package ipvs
