package bfd

import (
	"math"
	"time"
)

// Session is one end of a session. Make it with [New]. It must not be copied, and
// one goroutine at a time may use it.
type Session struct {
	cfg Config

	begun, over bool // Start, Stopped
	stopping    bool // after Shutdown

	// State variables of RFC 5880, 6.8.1.

	state, remoteState State
	diag, remoteDiag   Diag
	remoteDiscr        uint32
	desiredTx          time.Duration // as announced
	requiredRx         time.Duration // as announced
	remoteMinTx        time.Duration // Desired Min TX Interval last received
	remoteMinRx        time.Duration
	remoteMinEcho      time.Duration
	remoteMult         uint8
	remoteDemand       bool

	// tx and rx are desiredTx and requiredRx as far as they are in force: what a poll
	// sequence has to announce first is not (RFC 5880, 6.8.3).
	tx, rx time.Duration

	polling bool // a poll sequence is on its way
	polled  bool // a packet of it has been sent
	again   bool // what it announces has changed since
	changed bool // the neighbour must be informed of the state at once
	demands bool // the demand bit, as last sent
	quiet   bool // the neighbour sends no periodic packets, or has not confirmed that it does again

	sequence      uint32 // of the last packet with a digest
	heardSequence uint32
	sequenceKnown bool

	random  uint64
	cookie  uint64
	echoSeq uint32

	// Deadlines; never: it does not run.
	nextTx     time.Duration // of the next periodic packet
	detect     time.Duration // end of the detection time
	nextEcho   time.Duration
	echoDetect time.Duration
	nextPoll   time.Duration // of the next poll in demand mode
	forget     time.Duration // of heardSequence
	end        time.Duration // of what follows Shutdown

	sent      time.Duration // when the last control packet was
	heard     time.Duration // when the last one was accepted; never: none
	pollSince time.Duration
	interval  time.Duration // of sent packets, as last scheduled and reported
	goodbye   time.Duration // end of the time in which the neighbour is informed of AdminDown
	pace      time.Duration // longest interval of packets until then
	detection time.Duration // as last reported
	echoEvery time.Duration // interval of sent echo packets; 0: none are sent

	stats Stats
}

// never is the time of a timer that does not run.
const never = time.Duration(math.MaxInt64)

// New returns a session in state Down that has not begun.
func New(c Config) *Session {
	s := &Session{
		cfg: c.normal(), state: Down, remoteState: Down,
		remoteMinRx: time.Microsecond, // RFC 5880, 6.8.1
		random:      c.Seed,
		nextTx:      never, detect: never, nextEcho: never, echoDetect: never, nextPoll: never, forget: never, end: never,
		sent: never, heard: never,
	}
	s.sequence = uint32(s.next())
	s.cookie = s.next()
	s.announce()
	s.apply()
	return s
}

// Config returns the configuration in force, defaults filled in. It must not be
// changed.
func (s *Session) Config() *Config { return &s.cfg }

// State returns the present state.
func (s *Session) State() State { return s.state }

// RemoteState returns the state that the neighbour has reported last.
func (s *Session) RemoteState() State { return s.remoteState }

// Diag returns why the session was last in state Down or AdminDown.
func (s *Session) Diag() Diag { return s.diag }

// RemoteDiag returns what the neighbour has reported last of its side.
func (s *Session) RemoteDiag() Diag { return s.remoteDiag }

// RemoteDiscriminator returns the neighbour's discriminator; 0: none is known.
func (s *Session) RemoteDiscriminator() uint32 { return s.remoteDiscr }

// Polling reports whether a poll sequence is on its way.
func (s *Session) Polling() bool { return s.polling }

// Stats returns the counters, which continue to count.
func (s *Session) Stats() *Stats { return &s.stats }

// TxInterval returns the interval of sent packets, before jitter (RFC 5880, 6.8.2).
func (s *Session) TxInterval() time.Duration { return max(s.tx, s.remoteMinRx) }

// DetectionTime returns the silence after which the session is down (RFC 5880,
// 6.8.4): that of the neighbour or, while it is asked to send nothing, of its answers
// to a poll. 0: nothing has been heard yet.
func (s *Session) DetectionTime() time.Duration {
	if s.quiet {
		return time.Duration(s.cfg.DetectMult) * s.TxInterval()
	}
	return time.Duration(s.remoteMult) * s.RemoteTxInterval()
}

// RemoteDetectionTime returns the silence after which the neighbour takes the
// session down.
func (s *Session) RemoteDetectionTime() time.Duration {
	return time.Duration(s.cfg.DetectMult) * max(s.desiredTx, s.remoteMinRx)
}

// RemoteTxInterval returns the interval of the neighbour's packets, before jitter.
func (s *Session) RemoteTxInterval() time.Duration { return max(s.rx, s.remoteMinTx) }

// Announced returns Desired Min TX and Required Min RX Interval of sent packets.
func (s *Session) Announced() (tx, rx time.Duration) { return s.desiredTx, s.requiredRx }

// RemoteMinTx returns the Desired Min TX Interval that the neighbour has announced
// last.
func (s *Session) RemoteMinTx() time.Duration { return s.remoteMinTx }

// RemoteMinRx returns its Required Min RX Interval.
func (s *Session) RemoteMinRx() time.Duration { return s.remoteMinRx }

// RemoteMult returns its detect multiplier.
func (s *Session) RemoteMult() uint8 { return s.remoteMult }

// Heard returns when the last packet was accepted, and false if none was.
func (s *Session) Heard() (time.Duration, bool) { return s.heard, s.heard != never }

// Snapshot returns what a successor needs to continue.
func (s *Session) Snapshot() Snapshot {
	return Snapshot{
		State: s.state, RemoteState: s.remoteState, Discriminator: s.cfg.Discriminator, RemoteDiscr: s.remoteDiscr,
		RemoteMinTx: s.remoteMinTx, RemoteMinRx: s.remoteMinRx, RemoteMult: s.remoteMult, RemoteDemand: s.remoteDemand,
		Sequence: s.sequence,
	}
}

// Deadline returns when Expiry is due next, and false when no timer runs. It may lie
// in the past, which means at once.
func (s *Session) Deadline() (time.Duration, bool) {
	d := min(s.nextTx, s.detect, s.nextEcho, s.echoDetect, s.nextPoll, s.forget, s.end)
	return d, d != never
}

// Step applies ev at now and appends to out what the driver must do, in order. now
// is monotonic time since any fixed point and must not go back. Step allocates
// nothing when out has room.
//
// Events that make no sense in the present state, such as anything before Start or
// after Stopped, change nothing.
func (s *Session) Step(now time.Duration, ev Event, out []Action) []Action {
	t := turn{now: now, out: out}
	if s.over || !s.begun && ev.Kind != Start && ev.Kind != Reconfigure {
		if ev.Kind == Received {
			s.stats.Rejected[RejectInactive]++
		}
		return out
	}
	switch ev.Kind {
	case Expiry:
		s.expire(&t)
	case Start:
		s.start(&t, ev.Resume)
	case Received:
		s.receive(&t, ev.Packet, ev.TTL)
	case EchoReceived:
		s.receiveEcho(&t, ev.Echo)
	case Verify:
		s.verify(&t)
	case PathFailed:
		if s.state == Up || s.state == Init {
			s.become(&t, Down, ev.Diag)
		}
	case Enable:
		if s.state == AdminDown && !s.stopping {
			s.become(&t, Down, s.diag)
		}
	case Disable:
		s.disable(&t)
	case Reconfigure:
		s.reconfigure(ev.Config)
	case Shutdown:
		s.shutdown(&t, ev.Within)
	}
	if s.begun {
		s.settle(&t)
	}
	return t.out
}

// turn is one call of Step.
type turn struct {
	now   time.Duration
	out   []Action
	final bool // a received poll wants an answer
	due   bool // a periodic packet is due
}

func (t *turn) emit(a Action) { t.out = append(t.out, a) }

func (s *Session) start(t *turn, before *Snapshot) {
	if s.begun {
		return
	}
	s.begun = true
	if before == nil {
		return
	}
	s.cfg.Discriminator = before.Discriminator
	s.sequence = before.Sequence
	if before.State != Up || before.RemoteDiscr == 0 || before.RemoteMult == 0 {
		return
	}
	s.state, s.remoteState, s.remoteDiscr = Up, before.RemoteState, before.RemoteDiscr
	s.remoteMinTx, s.remoteMinRx, s.remoteMult = before.RemoteMinTx, before.RemoteMinRx, before.RemoteMult
	s.remoteDemand = before.RemoteDemand
	s.announce()
	s.apply()
	s.heard = t.now // the neighbour has the whole detection time
	s.changed = true
	s.poll(t)
}

// become changes the state, reports it and has the neighbour informed.
func (s *Session) become(t *turn, to State, why Diag) {
	from := s.state
	s.state, s.diag, s.changed = to, why, true
	s.sequence++ // for a packet with other contents (RFC 5880, 6.7.3)
	if from == Up {
		s.stats.Downs++
		s.demands = false
		s.endPoll(t)
	}
	t.emit(Action{Kind: Transition, From: from, To: to, Diag: why, RemoteDiag: s.remoteDiag})
	if to == Up {
		s.stats.Ups++
	}
}

// disable has the neighbour informed for as long as that waits for a packet (RFC 5880,
// 6.8.16), at the pace that both had agreed on: at that of a session which is not Up,
// one lost packet would make a failure of it.
func (s *Session) disable(t *turn) {
	if s.state == AdminDown {
		return
	}
	s.goodbye = t.now
	if s.state != Down { // of Init the neighbour may have made Up
		s.goodbye += s.RemoteDetectionTime()
	}
	s.pace = s.TxInterval()
	s.become(t, AdminDown, DiagAdminDown)
}

// goodbyes is how many packets inform the neighbour at least, if it can receive so many
// in the time that there is.
const goodbyes = 4

// shutdown ends the session when its neighbour has been informed, and within the given
// time unless that is 0. Another one can only shorten it.
func (s *Session) shutdown(t *turn, within time.Duration) {
	s.disable(t)
	if !s.stopping {
		s.stopping = true
		s.end = max(s.goodbye, t.now)
	}
	if within > 0 && s.end > t.now+within {
		s.end = t.now + within
		s.pace = min(s.pace, within/goodbyes)
	}
}

// reconfigure replaces the configuration. Discriminator and state stay.
func (s *Session) reconfigure(to *Config) {
	if to == nil || s.stopping {
		return
	}
	c := to.normal()
	c.Discriminator, c.Seed = s.cfg.Discriminator, s.cfg.Seed
	if c.equal(&s.cfg) {
		return
	}
	if c.Auth.Type != s.cfg.Auth.Type {
		s.sequenceKnown, s.forget = false, never
	}
	s.cfg = c
}

// next is a step of SplitMix64: jitter needs to be uneven, not secret.
func (s *Session) next() uint64 {
	s.random += 0x9e3779b97f4a7c15
	z := s.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
