package bfd

// receive is one control packet (RFC 5880, 6.8.6), after the checks of Parse.
func (s *Session) receive(t *turn, p *Packet, ttl uint8) {
	if why := s.refuse(p, ttl); why != RejectNone {
		s.stats.Rejected[why]++
		return
	}
	if p.MyDiscriminator != s.remoteDiscr {
		t.emit(Action{Kind: NeighborKnown, Number: p.MyDiscriminator})
		s.remoteDiscr = p.MyDiscriminator
	}
	s.remoteState, s.remoteDiag, s.remoteDemand = p.State, p.Diag, p.Demand
	s.remoteMinTx, s.remoteMinRx, s.remoteMinEcho = p.DesiredMinTx, p.RequiredMinRx, p.RequiredMinEchoRx
	s.remoteMult = p.DetectMult
	s.heard = t.now
	if s.cfg.Auth.Type.sequenced() {
		s.heardSequence, s.sequenceKnown = p.Auth.Sequence, true
		s.forget = t.now + 2*s.DetectionTime()
	}
	if p.Final && s.polled {
		s.answered(t)
	}
	if s.state == AdminDown {
		s.stats.Rejected[RejectAdminDown]++
		return
	}
	s.stats.Received++
	switch {
	case p.State == AdminDown:
		if s.state != Down {
			s.become(t, Down, DiagNeighbor)
		}
	case s.state == Down && p.State == Down:
		s.become(t, Init, s.diag)
	case s.state == Down && p.State == Init, s.state == Init && p.State != Down:
		s.become(t, Up, DiagNone)
	case s.state == Up && p.State == Down:
		s.become(t, Down, DiagNeighbor)
	}
	t.final = p.Poll
}

func (s *Session) refuse(p *Packet, ttl uint8) Reject {
	if p == nil {
		return RejectShort
	}
	if ttl < s.cfg.MinTTL {
		return RejectTTL
	}
	return s.cfg.Auth.authenticate(p, s.sequenceKnown, s.heardSequence)
}
