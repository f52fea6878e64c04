package api

import "iter"

// Answers yields what each process that has a state has answered last, in the order of
// their start; nil: it has not answered yet.
func (s *Status) Answers() iter.Seq2[string, *Snapshot] {
	return func(yield func(string, *Snapshot) bool) {
		var vrrp, checkers, bfd *Snapshot
		if s.VRRP != nil {
			vrrp = &s.VRRP.Snapshot
		}
		if s.LVS != nil {
			checkers = &s.LVS.Snapshot
		}
		if s.BFD != nil {
			bfd = &s.BFD.Snapshot
		}
		_ = yield("vrrp", vrrp) && yield("checkers", checkers) && yield("bfd", bfd)
	}
}
