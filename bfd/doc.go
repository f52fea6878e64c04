// Package bfd implements Bidirectional Forwarding Detection (RFC 5880) as a pure
// state machine, with the rules of reception of single-hop (RFC 5881) and multihop
// sessions (RFC 5883).
//
// A [Session] is one end of a session. It has no clock, socket, goroutine or
// logger: [Session.Step] takes the time and an [Event] and appends to a slice the
// [Action]s that its driver carries out, in order. The driver calls Step again
// with [Expiry] no earlier than [Session.Deadline].
//
//	        Start       received Down          received Init, Up
//	(new) --------> DOWN -------------> INIT -------------------> UP
//	                 ^ |                 |                        |
//	                 | +-------- received Init -----------------> |
//	                 |                   |                        |
//	                 +-- detection time --- received AdminDown ---+  received Down: UP only
//
//	        Disable, Shutdown, from anywhere: ADMINDOWN
//
// # What a driver does
//
//   - It gives each session a discriminator that is not zero, unique on its machine
//     and from a cryptographic source (RFC 5880, 6.3 and 9).
//   - It parses what arrives with [Parse], finds the session by
//     [Packet.YourDiscriminator], or by the source if that is zero, and delivers it
//     as Received with the TTL of its IP header. When packets and a timer are due
//     together it delivers the packets first.
//   - For a SendControl it asks [Session.AppendControl] for the packet, and sends it
//     with a TTL of 255 unless the session is a multihop one.
//   - For a SendEcho it asks [Session.AppendEcho], and sends that to itself by way of
//     the neighbour (RFC 5881, 4); what comes back goes to [ParseEcho] and, as
//     EchoReceived, to its session. Multihop sessions have no echo.
package bfd
