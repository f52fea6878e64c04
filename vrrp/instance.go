package vrrp

import "time"

// The signatures in this file are what drivers rely on.

// New returns an instance in state Init.
func New(c Config) *Instance { panic("x") }

type Instance struct{}

// Step applies ev at now and appends to out what the driver must do, in
// order. now is monotonic time since any fixed point (the boot of the
// machine, for one). Step allocates nothing when out has room.
func (i *Instance) Step(now time.Duration, ev Event, out []Action) []Action { return out }

// Deadline returns when Expiry is due next, and false when no timer runs.
func (i *Instance) Deadline() (time.Duration, bool) { return 0, false }

func (i *Instance) Config() *Config                   { return nil }
func (i *Instance) State() State                      { return 0 }
func (i *Instance) Priority() uint8                   { return 0 }
func (i *Instance) Snapshot() Snapshot                { return Snapshot{} }
func (i *Instance) Stats() *Stats                     { return nil }
func (i *Instance) MasterDownInterval() time.Duration { return 0 }
func (i *Instance) Group() *SyncGroup                 { return nil }

// Advert returns the packet to send for a SendAdvert action: a complete IPv4
// packet, header included (identification counted up; checksum may be left to
// the kernel), or an IPv6 payload. The bytes are the instance's own and valid
// until the next call with the same peer. peer is an index into
// Config.Peers, or -1 for multicast.
func (i *Instance) Advert(peer int, priority uint8, wall time.Time) []byte { return nil }

type Stats struct{}
type Reject uint8

type SyncGroup struct{}

func NewSyncGroup(name string, trackingWeight bool, members ...*Instance) *SyncGroup { return nil }

type Packet struct{}

// ParseIPv4 splits a packet as read from a raw IPv4 socket, header included.
// ParseIPv6 takes payload and what the socket's control messages said.
