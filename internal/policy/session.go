package policy

import (
	"net/netip"
	"time"

	"keepalived-go/bfd"
	"keepalived-go/conf"
)

// Session is what is reported of a bfd_instance to other processes.
type Session struct {
	Up       bool
	Neighbor netip.Addr
	At       time.Duration // when that was, by the clock of package loop
	// Silent is how long the neighbour had not been heard when the session went down
	// for that reason, its detection time; 0: it is up, or is down for another reason.
	Silent time.Duration
}

// SessionConfig is what a bfd_instance means for the engine. Discriminator and Seed
// are the driver's.
func SessionConfig(b *conf.BFDInstance) bfd.Config {
	c := bfd.Config{
		DesiredMinTx: b.MinTx, RequiredMinRx: b.MinRx, IdleTx: b.IdleTx, DetectMult: b.Multiplier, Passive: b.Passive,
	}
	if b.MaxHops < b.TTL { // else any number of routers may be between
		c.MinTTL = b.TTL - b.MaxHops
	}
	if a := &b.Auth; a.Type != conf.BFDAuthNone {
		c.Auth = bfd.Auth{Type: sessionAuth[a.Type], SendKey: a.SendKey, Keys: make(map[uint8][]byte, len(a.Keys))}
		for id, key := range a.Keys {
			c.Auth.Keys[id] = []byte(key)
		}
	}
	return c
}
