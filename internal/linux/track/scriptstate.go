package track

// ScriptState counts the results of one script. It is up or down from its
// first result on, whichever that is; afterwards it takes Fall failures to bring
// it down and Rise successes to bring it up, and one result the other way to
// begin again only part of the way: a success and a failure cancel out.
type ScriptState struct {
	rise, fall int
	count      int // 0 to rise+fall-1; up from rise on
	known      bool
}

// NewScriptState returns the state before the first result. With initFail it is
// known, and down; the first success still brings it up. Rise and fall are at
// least 1.
func NewScriptState(rise, fall int, initFail bool) ScriptState {
	return ScriptState{rise: rise, fall: fall, count: rise - 1, known: initFail}
}

// Known reports whether there has been a result, or none is needed.
func (s *ScriptState) Known() bool { return s.known }

// Up reports whether the script counts as succeeding.
func (s *ScriptState) Up() bool { return s.count >= s.rise }

// Step takes a result and reports whether the state has changed, be it from
// unknown.
func (s *ScriptState) Step(ok bool) bool {
	was, known := s.Up(), s.known
	s.known = true
	switch {
	case ok:
		s.count = min(s.count+1, s.rise+s.fall-1)
	default:
		s.count = max(s.count-1, 0)
	}
	switch up := s.Up(); {
	case up && (!was || !known):
		s.count = s.rise + s.fall - 1
	case !up && (was || !known):
		s.count = 0
	default:
		return false
	}
	return true
}

// Tune changes how many results it takes, keeping the state.
func (s *ScriptState) Tune(rise, fall int) {
	if rise == s.rise && fall == s.fall {
		return
	}
	up := s.Up()
	s.rise, s.fall = rise, fall
	switch {
	case !s.known:
		s.count = rise - 1
	case up:
		s.count = rise + fall - 1
	default:
		s.count = 0
	}
}
