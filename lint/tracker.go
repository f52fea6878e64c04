package lint

import (
	"fmt"

	"keepalived-go/conf"
	"keepalived-go/internal/policy"
)

// healthy is what a tracker reports while nothing is wrong. With reverse, success
// is bad.
func healthy(t conf.Track) policy.Status {
	s := policy.Status{Known: true, Up: !t.Reverse}
	if t.Kind == conf.TrackedFile && t.Weight == 0 && t.Reverse {
		s.Number = 1
	}
	return s
}

// failed is what it reports while something is. A number in a file is bad in the
// direction that takes priority away: 1 where the weight sets how much, else as
// much as counts.
func failed(t conf.Track) policy.Status {
	s := policy.Status{Known: true, Up: t.Reverse}
	if t.Kind != conf.TrackedFile {
		return s
	}
	switch t.Weight {
	case 0:
		if !t.Reverse {
			s.Number = 1
		}
		return s
	case 1, -1:
		s.Number = 254
	default:
		s.Number = 1
	}
	if (t.Weight > 0) != t.Reverse {
		s.Number = -s.Number
	}
	return s
}

// statuses are the terms of a priority with the i-th tracker failed, or none
// if i is -1.
func statuses(trackers []conf.Track, i int) []policy.Term {
	out := make([]policy.Term, len(trackers))
	for k, t := range trackers {
		out[k] = policy.Term{Track: t, Status: healthy(t)}
	}
	if i >= 0 {
		out[i].Status = failed(trackers[i])
	}
	return out
}

// failure states in a few words that a tracker has failed.
func failure(t conf.Track) string {
	switch t.Kind {
	case conf.TrackedFile:
		return fmt.Sprintf("%v %s is %d", t.Kind, t.Name, failed(t).Number)
	case conf.TrackedScript:
		if t.Reverse {
			return fmt.Sprintf("%v %s succeeds", t.Kind, t.Name)
		}
		return fmt.Sprintf("%v %s fails", t.Kind, t.Name)
	}
	if t.Reverse {
		return fmt.Sprintf("%v %s is up", t.Kind, t.Name)
	}
	return fmt.Sprintf("%v %s is down", t.Kind, t.Name)
}
