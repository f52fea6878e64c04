// Package nl speaks netlink: requests, batches of them, dumps, events, and
// commands of generic netlink.
//
// A [Conn] makes requests, [Events] only listens. Both stand on a [Socket]: that
// of [Open] leads to the kernel, another may be a kernel in memory.
//
// The sockets are those of github.com/mdlayher/netlink, the one netlink library
// of the program. Messages are read and written here: the library drops the last
// message of a dump, and with it the flag that the dump was interrupted; it gives
// up a batch at its first refusal; and it allocates for each message, of which
// there are thousands when addresses come or go (BenchmarkReceive compares).
package nl
