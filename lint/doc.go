// Package lint finds what a configuration may contain and no one means: [Check] in
// the file of one node, [Cluster] in those of all nodes together.
//
// Both take typed configurations and return [conf.Diagnostics]; what they want
// to know of the host they ask through the functions of [Host]. Mistakes of the
// language are found by [conf.Load] and not reported again.
//
// Cluster does no arithmetic of its own. It runs the protocol engines of all
// nodes on a virtual LAN in virtual time (package vrrptest), lets one thing
// after the other fail and looks who is master.
//
// Each kind of finding has a code ([Codes]), and [Silence] leaves out those
// that a comment in the file asks it to.
package lint
