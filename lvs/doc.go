// Package lvs computes the table of a load balancer in the kernel (IPVS): which
// servers belong to which virtual service, with what weight.
//
// An [Engine] has a set of virtual services, each with a pool of real servers,
// a quorum, and perhaps a sorry server for the time when the quorum is not
// reached. It has no clock, socket, goroutine or logger, and it does no checks:
// [Engine.Step] takes the time and an [Event], such as the result of a check, and
// appends to a slice the [Action]s that its driver must report or carry out, in
// order. The table of the kernel is a state, not an action: [Engine.Changes] gives
// what has changed since the last call, [Engine.All] the whole.
//
//	           check results, addresses
//	                    |
//	configuration -> Engine.Step -> actions: log, FIFO, scripts, mail
//	                    |
//	         Engine.Changes, Engine.All -> table of the kernel
//
// # Rules
//
// A real server is up while none of its checks is down. A check is up until it
// fails; with [Check.Alpha] it is down until it passes. A server without checks
// is always up.
//
// The weight of a server is the configured one plus what its checks add, see
// [Weight]; it is never less than 0.
//
// A service gains its quorum when the weights of the servers that are up sum to at
// least quorum + hysteresis. It loses the quorum when they sum to less than quorum −
// hysteresis, or to 0. In between nothing changes: only there does the table depend
// on the past.
//
// A server is in the pool if it is up, and the service has its quorum or no
// sorry server. In the pool it has its weight. Out of the pool it is not in the
// table, or with [RealServer.Inhibit] it is there with weight 0, so that its
// connections continue. The sorry server is in the pool while the quorum is lost.
//
// An [Order] of an operator comes before what the checks find: a server that is to drain
// has weight 0, and stays in the table while it is up; one that is disabled is down.
//
// So the table is a function of the configuration, the states of the checks and,
// with hysteresis, the states of the quorums. It does not depend on the order of
// events. While a service is suspended, the states of its checks do not change; the
// suspension itself changes no table.
//
// # Identity
//
// The event Configure starts an engine, and later changes it. A service is
// identified by its [ServiceID], a server by its service, address and port, a check
// by its server and [Check.Key], none by its place in a list. Whatever has the same
// identity keeps its state; an equal configuration does nothing.
//
// # What a driver does
//
//   - It gives the engine the addresses of the machine (AddressChanged), if a
//     service has HASuspend, then the configuration (Configure).
//   - It runs the checks that CheckActivated names, until CheckDeactivated or a
//     configuration without them, and delivers each result as CheckResult. Retries
//     come before that: a result is final.
//   - It reports the actions.
//   - At the end of a turn it applies Changes to the kernel. To find other
//     differences it compares the kernel with All.
//
// # Differences from keepalived
//
//   - If all weights are 0, quorum and hysteresis are 0, and the quorum is gained
//     when a check raises a weight. keepalived computes a hysteresis of 4294967295.
//   - A lower threshold without an upper one, or above it, is lowered to the upper
//     one. With keepalived the kernel refuses the server.
//   - Of two services with the same ID or endpoint the first has the endpoint.
//     In keepalived the servers of both are mixed.
//   - A sorry server that is also a real server is in the table once.
//   - A server behind an endpoint of another family is left out there, unless it
//     has a tunnel.
//   - An alpha server that is up stays up when a reload gives it another check.
//   - A reload can add entries to a group.
package lvs
