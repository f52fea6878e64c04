package bfd

import (
	"reflect"
	"time"
)

// Config is what one end of a session is configured with. Times have a resolution of
// one microsecond; [New] brings what a packet cannot carry to the nearest value that
// it can.
type Config struct {
	// Discriminator identifies the session on this machine. It must be unique there
	// and not zero, and should come from a cryptographic source. It stays for the
	// life of the session.
	Discriminator uint32

	DesiredMinTx  time.Duration // interval at which it wants to send while Up; default 1 s
	RequiredMinRx time.Duration // shortest interval at which it can receive; default 1 s
	IdleTx        time.Duration // interval at which it sends while not Up; at least 1 s
	DetectMult    uint8         // intervals without a packet after which it is Down; default 3

	Passive bool // sends nothing before the neighbour does (RFC 5880, 6.1)

	// Demand asks the neighbour for no periodic packets while both are Up (RFC 5880,
	// 6.6). The neighbour is then asked whether it is alive once in PollInterval, and
	// with it 0 only by the event Verify.
	Demand       bool
	PollInterval time.Duration

	// RequiredMinEchoRx is the shortest interval at which it returns echo packets; 0:
	// it returns none. EchoTx is the interval at which it sends its own; 0: never.
	// Both are 0 in a multihop session (RFC 5883, 3).
	RequiredMinEchoRx time.Duration
	EchoTx            time.Duration

	// MinTTL is the lowest TTL of a received packet: [SingleHopTTL] in a single-hop
	// session, as many less as there may be routers between in a multihop one. 0
	// accepts all.
	MinTTL uint8

	Auth Auth

	// Seed begins the jitter, the first sequence number and the cookie of echo
	// packets: from the same source as Discriminator.
	Seed uint64
}

// slowest is the interval without which nothing may be sent while a session is not
// Up, and below which control packets need not come beside echo packets (RFC 5880,
// 6.8.3).
const slowest = time.Second

func (c Config) normal() Config {
	bring := func(t *time.Duration, def time.Duration) {
		if *t == 0 {
			*t = def
		}
		*t = min(max(t.Truncate(time.Microsecond), time.Microsecond), MaxInterval)
	}
	bring(&c.DesiredMinTx, time.Second)
	bring(&c.RequiredMinRx, time.Second)
	bring(&c.IdleTx, slowest)
	c.IdleTx = max(c.IdleTx, slowest)
	for _, t := range []*time.Duration{&c.RequiredMinEchoRx, &c.EchoTx} {
		if *t != 0 {
			bring(t, 0)
		}
	}
	if c.DetectMult == 0 {
		c.DetectMult = 3
	}
	c.PollInterval = max(c.PollInterval, 0)
	if c.Auth.Type >= numAuthTypes || len(c.Auth.Keys[c.Auth.SendKey]) == 0 {
		c.Auth = Auth{}
	}
	return c
}

// equal reports whether two normal configurations of one session are the same.
func (c *Config) equal(d *Config) bool { return reflect.DeepEqual(c, d) }
