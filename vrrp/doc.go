// Package vrrp implements the Virtual Router Redundancy Protocol, versions 2
// (RFC 3768, with the authentication of RFC 2338) and 3 (RFC 5798, RFC 9568),
// as a pure state machine.
//
// An [Instance] is one virtual router on one node. It has no clock, socket,
// goroutine or logger: [Instance.Step] takes the time and an [Event] and
// appends to a slice the [Action]s that its driver must carry out, in order.
// The driver calls Step again with [Expiry] no earlier than
// [Instance.Deadline]. Instances joined in a [SyncGroup] change state
// together.
//
//	        Start                        master-down timer
//	INIT ----------> BACKUP <==========================> MASTER
//	  |                ^  |     better advert, stall,      |
//	  | faults  no     |  | faults      address lost       | faults
//	  |         faults |  v                                |
//	  +------------> FAULT <-------------------------------+
//
//	                 Shutdown, from anywhere: STOP
//
// # What a driver does
//
//   - It gives the instance its source address (SourceChanged) and what keeps
//     the node from serving (FaultsChanged), then Start; later both whenever
//     they change.
//   - It parses what arrives with [ParseIPv4] or [ParseIPv6], finds the
//     instance by [Packet.VRID], and delivers it as Received. When packets and
//     a timer are due together it delivers the packets first.
//   - For a SendAdvert it asks [Instance.Advert] for the packet: once with -1,
//     or once for each peer, in order.
//   - After each Step it looks at Deadline again, for a member of a SyncGroup
//     at that of every member.
//
// The same engine runs in the daemon, in the simulator of package vrrptest, in
// tests and under a fuzzer, and what it did can be replayed from its events.
package vrrp
