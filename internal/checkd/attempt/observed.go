package attempt

import (
	"fmt"
	"math"
	"time"

	"keepalived-go/internal/checkd/life"
)

// BFD is BFD_CHECK. It makes no attempts: the life of the check gets the
// changes of the session.
type BFD struct {
	Names
	Session string // name of the bfd_instance
}

// Observe is the result of a change of the session.
func (k *BFD) Observe(up bool) life.Result { return life.Result{OK: up} }

func (k *BFD) begin(a *Attempt, _ int) { a.fail("BFD_CHECK makes no attempts") }

// Longest is nothing: there are no attempts.
func (k *BFD) Longest() time.Duration { return 0 }

func (k *BFD) line(v *life.Verdict) string {
	state := "DOWN"
	if v.OK {
		state = "UP"
	}
	return fmt.Sprintf("BFD check of [%s] RS(%s) is %s", k.Session, k.Server, state)
}

// Mail is in the words of the C daemon.
func (k *BFD) Mail(up bool) string {
	if up {
		return "=> BFD CHECK " + k.Session + " succeeded on service <="
	}
	return "=> BFD CHECK " + k.Session + " failed on service <="
}

// File is FILE_CHECK. It makes no attempts: the life of the check gets the
// changes of a tracked file.
type File struct {
	Names
	File    string // name of the track_file block
	Weight  int    // factor; 0: a number other than 0 takes the server out
	Reverse bool
}

// Observe is the result of the number in the file: what it adds to the weight of
// the server, or that it takes the server out.
func (k *File) Observe(value int) life.Result {
	down := life.Result{Reason: fmt.Sprintf("number %d in the file", value)}
	if k.Weight == 0 {
		if (value != 0) != k.Reverse {
			return down
		}
		return life.Result{OK: true}
	}
	value = min(max(value, math.MinInt32), math.MaxInt32) // so that the product has room
	n := value * k.Weight
	if k.Reverse {
		n = -n
	}
	if n <= math.MinInt32 {
		return down
	}
	return life.Result{OK: true, Weight: life.Weight{Mode: life.Plus, N: min(n, math.MaxInt32)}}
}

func (k *File) begin(a *Attempt, _ int) { a.fail("FILE_CHECK makes no attempts") }

// Longest is nothing: there are no attempts.
func (k *File) Longest() time.Duration { return 0 }

func (k *File) line(v *life.Verdict) string {
	state := "DOWN"
	if v.OK {
		state = "UP"
	}
	return fmt.Sprintf("FILE check of [%s] RS(%s) is %s", k.File, k.Server, state)
}

// Mail is in the manner of the other kinds.
func (k *File) Mail(up bool) string {
	if up {
		return "=> FILE CHECK " + k.File + " succeeded on service <="
	}
	return "=> FILE CHECK " + k.File + " failed on service <="
}
