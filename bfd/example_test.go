package bfd_test

import (
	"fmt"
	"time"

	"keepalived-go/bfd"
)

// A session comes up with a neighbour and detects that it has stopped sending.
func Example() {
	s := bfd.New(bfd.Config{
		Discriminator: 0x5eed, DesiredMinTx: 50 * time.Millisecond, RequiredMinRx: 50 * time.Millisecond,
		DetectMult: 3, MinTTL: bfd.SingleHopTTL,
	})
	now := time.Duration(0)
	step := func(ev bfd.Event) {
		for _, a := range s.Step(now, ev, nil) {
			switch a.Kind {
			case bfd.Transition:
				fmt.Println(now, a.To, a.Diag)
			case bfd.SendControl:
				s.AppendControl(nil, a) // and to the neighbour with it
			}
		}
	}
	hear := func(p bfd.Packet) { step(bfd.Event{Kind: bfd.Received, Packet: &p, TTL: 255}) }

	step(bfd.Event{Kind: bfd.Start})
	p := bfd.Packet{State: bfd.Down, DetectMult: 3, MyDiscriminator: 7, DesiredMinTx: time.Second, RequiredMinRx: 50 * time.Millisecond}
	hear(p)
	p.State, p.YourDiscriminator, p.DesiredMinTx = bfd.Up, 0x5eed, 50*time.Millisecond
	hear(p)
	for s.State() == bfd.Up {
		now, _ = s.Deadline()
		step(bfd.Event{Kind: bfd.Expiry})
	}
	// Output:
	// 0s Init No Diagnostic
	// 0s Up No Diagnostic
	// 150ms Down Control Detection Time Expired
}
