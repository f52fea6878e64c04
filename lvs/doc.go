// Package lvs decides what a load balancer's table in the kernel (IPVS) shall
// hold: which servers stand behind which virtual service, with what weight.
//
// An [Engine] has a set of virtual services, each with a pool of real servers,
// a quorum, and perhaps a sorry server for the time when the quorum is not
// reached. It has no clock, socket, goroutine or logger, and knows nothing of
// how a check is done: [Engine.Step] takes the time and an [Event], such as the
// verdict of a check, and appends to a slice the [Action]s that its driver must
// report or carry out, in order. What the kernel shall hold is not among them.
// It is a state: [Engine.Changes] gives what has changed since the last call,
// [Engine.All] the whole.
//
//	           check results, addresses
//	                    |
//	configuration -> Engine.Step -> actions: log, FIFO, scripts, mail
//	                    |
//	         Engine.Changes, Engine.All -> table of the kernel
//
// # What decides
//
// A real server is up while none of its checks is down. A check is up until it
// fails; with [Check.Alpha] it is down until it passes. A server without checks
// is always up.
//
// A server's weight is the configured one and what its checks add, see
// [Weight]; never less than 0.
//
// A service has its quorum once the weights of the servers that are up sum to
// quorum + hysteresis, and loses it when they sum to less than quorum −
// hysteresis, or to 0. In between it stays as it is: there, and only there, the
// table depends on what was before.
//
// A server is in the pool if it is up, and the service has its quorum or no
// sorry server. In the pool it has its weight. Out of the pool it is not in the
// table, or with [RealServer.Inhibit] in it with weight 0, so that its
// connections end in peace. The sorry server is in the pool while the quorum is
// lost.
//
// So the table is a function of the configuration, the states of the checks and,
// with hysteresis, the states of the quorums. It does not depend on the order of
// events. Suspension freezes the states of checks; it changes no table.
//
// # Identity
//
// Configure starts an engine and changes it later. A service is known by its
// [ServiceID], a server by its service, address and port, a check by its server
// and [Check.Key]: not by a place in a list. Whatever has the same identity keeps
// its state; an equal configuration does nothing.
//
// # What a driver does
//
//   - It gives the engine the addresses of the machine (AddressChanged), if a
//     service has HASuspend, then the configuration (Configure).
//   - It runs the checks that CheckActivated names, until CheckDeactivated or a
//     configuration without them, and delivers each verdict as CheckResult.
//     Retries are its own: a verdict is final.
//   - It reports the actions.
//   - At the end of a turn it takes the Changes to the kernel. What the kernel
//     holds besides is compared with All.
package lvs
