package bfd

import "time"

// expire serves every timer that is due.
func (s *Session) expire(t *turn) {
	if t.now >= s.end {
		s.over = true
		t.emit(Action{Kind: Stopped})
		s.nextTx, s.detect, s.nextEcho, s.echoDetect, s.nextPoll, s.forget, s.end = never, never, never, never, never, never, never
		return
	}
	if t.now >= s.forget { // RFC 5880, 6.8.1: bfd.AuthSeqKnown
		s.sequenceKnown, s.forget = false, never
	}
	if t.now >= s.detect {
		s.expired(t)
	}
	if t.now >= s.echoDetect {
		t.emit(Action{Kind: EchoExpired, Time: s.echoPatience(), Late: t.now - s.echoDetect})
		s.become(t, Down, DiagEchoFailed)
	}
	if t.now >= s.nextPoll {
		s.verify(t)
	}
	if t.now >= s.nextEcho {
		s.echoSeq++
		s.nextEcho = t.now + s.jitter(s.echoEvery)
		t.emit(Action{Kind: SendEcho})
	}
	if t.now >= s.nextTx {
		s.nextTx, t.due = never, true
	}
}

// expired is the end of the detection time. What the neighbour has announced counts
// no more.
func (s *Session) expired(t *turn) {
	wait, late := s.DetectionTime(), t.now-s.detect
	s.detect, s.heard = never, never
	s.remoteDiscr, s.remoteState, s.remoteDemand = 0, Down, false
	s.remoteMinRx = max(s.remoteMinRx, time.Microsecond)
	t.emit(Action{Kind: NeighborKnown})
	if s.state == Up || s.state == Init {
		t.emit(Action{Kind: Expired, Time: wait, Late: late})
		s.become(t, Down, DiagExpired)
	}
}

// settle brings what is announced, sent and waited for in line with the state.
func (s *Session) settle(t *turn) {
	if s.over {
		return
	}
	s.settleEcho(t)
	s.settleDemand(t)
	if s.announce() && s.state == Up {
		s.poll(t)
	}
	s.apply()
	s.transmit(t)
	s.schedule(t)
	s.watch(t)
}

// announce decides what packets announce, and reports whether that differs from
// before.
func (s *Session) announce() bool {
	tx, rx := s.cfg.DesiredMinTx, s.cfg.RequiredMinRx
	if s.state != Up {
		tx = s.cfg.IdleTx
	}
	if s.echoEvery != 0 {
		rx = max(rx, slowest)
	}
	differs := tx != s.desiredTx || rx != s.requiredRx
	s.desiredTx, s.requiredRx = tx, rx
	return differs
}

// apply puts in force what is announced. While Up a longer interval of our packets,
// and a shorter one of the neighbour's, wait for the end of the poll sequence: until
// then the neighbour does not know of them (RFC 5880, 6.8.3).
func (s *Session) apply() {
	wait := s.state == Up && s.polling
	if !wait || s.desiredTx < s.tx {
		s.tx = s.desiredTx
	}
	if !wait || s.requiredRx > s.rx {
		s.rx = s.requiredRx
	}
}

// poll begins a poll sequence (RFC 5880, 6.5). One that is on its way may be answered
// for what it announced before: another one follows it.
func (s *Session) poll(t *turn) {
	if s.polling {
		s.again = s.polled
		return
	}
	s.polling, s.polled = true, false
	t.emit(Action{Kind: PollBegun})
}

// answered takes up the end of a poll sequence.
func (s *Session) answered(t *turn) {
	s.polled = false
	if s.again {
		s.again = false
		return
	}
	s.endPoll(t)
}

func (s *Session) endPoll(t *turn) {
	s.quiet = s.demands
	if s.polling {
		s.polling, s.polled, s.again = false, false, false
		t.emit(Action{Kind: PollEnded})
	}
}

// demandActive reports whether the neighbour is asked for no periodic packets (RFC
// 5880, 6.6).
func (s *Session) demandActive() bool { return s.cfg.Demand && s.state == Up && s.remoteState == Up }

// remoteDemandActive reports whether the neighbour asks us for none.
func (s *Session) remoteDemandActive() bool {
	return s.remoteDemand && s.state == Up && s.remoteState == Up
}

// settleDemand has the neighbour informed when the demand bit changes, and polls it
// now and then.
func (s *Session) settleDemand(t *turn) {
	active := s.demandActive()
	if active != s.demands {
		s.demands = active
		if s.state == Up {
			s.poll(t)
			s.quiet = true
		}
	}
	switch {
	case !active, s.polling, s.cfg.PollInterval == 0:
		s.nextPoll = never
	case s.nextPoll == never:
		s.nextPoll = t.now + s.cfg.PollInterval
	}
}

func (s *Session) verify(t *turn) {
	s.nextPoll = never
	if s.demandActive() {
		s.poll(t)
	}
}

// silent reports whether nothing at all may be sent: the passive role, in which the
// neighbour begins (RFC 5880, 6.8.7).
func (s *Session) silent() bool { return s.cfg.Passive && s.remoteDiscr == 0 }

// periodic reports whether packets are sent at intervals (RFC 5880, 6.8.7).
func (s *Session) periodic() bool {
	return !s.silent() && s.remoteMinRx != 0 && (s.polling || !s.remoteDemandActive())
}

// transmit sends one packet at most: the answer to a poll, news, or what is due.
func (s *Session) transmit(t *turn) {
	news := s.changed && !s.silent()
	s.changed = false
	switch {
	case t.final:
		// It carries the news as well, and cannot be a poll.
		t.emit(Action{Kind: SendControl, Final: true})
	case news || t.due:
		if s.polling && !s.polled {
			s.polled, s.pollSince = true, t.now
		}
		t.emit(Action{Kind: SendControl, Poll: s.polling})
	}
	if news || t.due {
		s.sent, s.nextTx = t.now, never
	}
}

// schedule sets the time of the next periodic packet. A change of the interval counts
// from the last packet (RFC 5880, 6.8.3).
func (s *Session) schedule(t *turn) {
	every := s.TxInterval()
	if s.state == AdminDown && t.now < s.goodbye {
		every = max(min(every, s.pace), s.remoteMinRx)
	}
	if !s.periodic() {
		s.nextTx = never
		return
	}
	if every == s.interval && s.nextTx != never {
		return
	}
	if every != s.interval {
		t.emit(Action{Kind: IntervalSet, Was: s.interval, Time: every})
		s.interval = every
	}
	s.nextTx = t.now
	if s.sent != never {
		s.nextTx = max(t.now, s.sent+s.jitter(every))
	}
}

// watch sets the end of the detection time.
func (s *Session) watch(t *turn) {
	s.detect = never
	wait := s.DetectionTime()
	switch {
	case s.heard == never:
		return
	case s.state == AdminDown:
	case !s.quiet:
		s.detect = s.heard + wait
	case s.polled:
		s.detect = s.pollSince + wait
	}
	if wait != s.detection {
		t.emit(Action{Kind: TimersChanged, Was: s.detection, Time: wait})
		s.detection = wait
	}
}

// jitter shortens an interval by a quarter at most, and with a multiplier of one by a
// tenth at least (RFC 5880, 6.8.7).
func (s *Session) jitter(every time.Duration) time.Duration {
	least, most := time.Duration(0), every/4
	if s.cfg.DetectMult == 1 {
		least = every / 10
	}
	return every - least - (most-least)*time.Duration(s.next()>>48)>>16
}

// AppendControl appends the packet that a SendControl asks for to b.
func (s *Session) AppendControl(b []byte, a Action) []byte {
	start := len(b)
	p := Packet{
		State: s.state, Diag: s.diag, Poll: a.Poll, Final: a.Final, Demand: s.demandActive(),
		DetectMult: s.cfg.DetectMult, MyDiscriminator: s.cfg.Discriminator, YourDiscriminator: s.remoteDiscr,
		DesiredMinTx: s.desiredTx, RequiredMinRx: s.requiredRx, RequiredMinEchoRx: s.cfg.RequiredMinEchoRx,
	}
	s.stats.Sent++
	if s.cfg.Auth.Type.meticulous() {
		s.sequence++
	}
	return s.cfg.Auth.sign(p.Append(b), start, s.sequence)
}
