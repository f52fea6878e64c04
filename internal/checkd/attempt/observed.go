package attempt

import (
	"fmt"
	"math"
	"time"

	"keepalived-go/internal/checkd/life"
)

// observed is what kinds without attempts have in common: the life of their checks
// gets the changes of something that is observed.
type observed struct{}

func (observed) begin(a *Attempt, _ int) { a.fail("a check of this kind makes no attempts") }

// Longest is nothing: there are no attempts.
func (observed) Longest() time.Duration { return 0 }

// state is the sentence about the named thing that is observed.
func (n *Names) state(kind, name string, v *life.Verdict) string {
	state := "DOWN"
	if v.OK {
		state = "UP"
	}
	return fmt.Sprintf("%s check of [%s] RS(%s) is %s", kind, name, n.Server, state)
}

// stateMail is the body of a mail about it.
func stateMail(kind, name string, v *life.Verdict) string {
	result := "failed"
	if v.Up {
		result = "succeeded"
	}
	return "=> " + kind + " CHECK " + name + " " + result + " on service <="
}

// BFD is BFD_CHECK: the server is good while a BFD session is up.
type BFD struct {
	observed
	Names
	Session string // name of the bfd_instance
}

// Observe is the result of a change of the session.
func (k *BFD) Observe(up bool) life.Result { return life.Result{OK: up} }

func (k *BFD) line(v *life.Verdict) string { return k.state("BFD", k.Session, v) }

// Mail is in the words of the C daemon.
func (k *BFD) Mail(v *life.Verdict) string { return stateMail("BFD", k.Session, v) }

// File is FILE_CHECK: the number in a tracked file changes the weight of the server,
// or takes it out.
type File struct {
	observed
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

func (k *File) line(v *life.Verdict) string {
	line := k.state("FILE", k.File, v)
	if !v.OK {
		line += " (" + v.Reason + ")"
	}
	return line
}

// Mail is in the manner of the other kinds.
func (k *File) Mail(v *life.Verdict) string { return stateMail("FILE", k.File, v) }
