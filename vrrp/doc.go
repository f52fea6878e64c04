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
// One and the same engine runs in the daemon, in a simulator, in a linter and
// under a fuzzer.
package vrrp
