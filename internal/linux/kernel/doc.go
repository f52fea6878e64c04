// Package kernel is what keepalived asks of Linux: links and addresses, virtual
// services, events, announcements on the wire, raw sockets, namespaces and sysctls.
//
// Addresses are desired state, as every kind of [Object] is: [Diff] compares what
// the kernel holds with what it shall hold and yields a plan, a list of [Change]
// that can be printed, tested and executed. Nothing here undoes "what was done
// before"; start, transition, reload, recovery and shutdown are the same
// operation.
//
//	            Diff             Submit                     sendmsg
//	have, want ------> []Change --------> Executor (own go- --------> [nl.Conn]
//	                                routine, never blocks     chunks     |
//	  loop <------- report(Completion) -------'                          |
//	    ^                                                                |
//	    '---------- deliver([]Event) -- Monitor (own goroutine) <--------'
//
// A [Conn] makes requests, a [Monitor] only listens. A [RawSocket] and
// [SendFrames] are driven by the loop's own poller: they never wait.
//
// All of it belongs to the network namespace of the thread that opened the
// socket. Linux 5.0 is the oldest that has all that is asked for.
package kernel
