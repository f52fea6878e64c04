package policy

import (
	"fmt"
	"strconv"

	"keepalived-go/conf"
	"keepalived-go/vrrp"
)

// Bounds of a priority that is not the owner's, and of what one tracker can do
// to it.
const (
	minPriority = 1
	maxPriority = 254
	maxWeight   = 253 // one more below zero is a fault
)

// Status is what a tracker reports now.
type Status struct {
	Known  bool // there has been a result; without one nothing below counts
	Up     bool // success, quorum, carrier; of files: the number is not 0
	Number int  // of files: the number in the file; of processes: how many run

	// Disabled: the tracker cannot work, as with a script that does not exist. It
	// counts as if no one tracked it.
	Disabled bool

	// Cause names the tracker, with its last result or why it is disabled.
	Cause vrrp.Cause
}

// Term is one line of a track block and what its tracker reports.
type Term struct {
	conf.Track
	Status
}

// Outcome is what all trackers of a virtual router make of it.
type Outcome struct {
	Priority uint8 // effective
	Total    int   // before it was brought into the range of priorities
	Fault    bool  // the node must not serve
	// Waiting: a tracker that could be a fault has not reported anything yet, and
	// until it has the node must not serve either.
	Waiting bool
	Partial bool // some tracker has not reported anything yet, and may change the priority
	// Cause is that of the first term that is a fault or, without one, that is
	// waited for.
	Cause vrrp.Cause

	base   uint8
	adjust int
	owner  bool
	terms  []Term
}

// Evaluate computes the effective priority of a virtual router with the base
// priority and the trackers. Nothing changes that of an address owner, though
// trackers of weight 0 count for it too. It keeps terms, for
// [Outcome.Arithmetic].
func Evaluate(base uint8, owner bool, terms []Term) Outcome { return Adjusted(base, 0, owner, terms) }

// Adjusted does the same where an operator has added a number to the base priority.
func Adjusted(base uint8, adjust int, owner bool, terms []Term) Outcome {
	if owner {
		adjust = 0
	}
	o := Outcome{Total: int(base) + adjust, base: base, adjust: adjust, owner: owner, terms: terms}
	for i := range terms {
		t := &terms[i]
		if !t.Known || t.Disabled {
			if t.Disabled {
				continue
			}
			o.Partial = true
			if t.Weight == 0 {
				if !o.Fault && !o.Waiting {
					o.Cause = t.cause()
				}
				o.Waiting = true
			}
			continue
		}
		adjust, fault := t.effect(owner)
		if fault {
			if !o.Fault {
				o.Cause = t.cause()
			}
			o.Fault = true
		} else if !owner {
			o.Total += adjust
		}
	}
	o.Priority = base
	if !owner {
		o.Priority = uint8(min(max(o.Total, minPriority), maxPriority))
	}
	return o
}

// effect is what the term adds to the priority, or that it is a fault. A
// positive weight counts while the tracker is up, a negative one while it is
// down; reverse changes the sign, and with weight 0 which of the two is a
// fault. The number in a file is multiplied by the weight; a product below
// -253 is a fault, except for an owner, to whom only weight 0 matters.
func (t *Term) effect(owner bool) (adjust int, fault bool) {
	switch {
	case t.Weight == 0:
		bad := !t.Up
		if t.Kind == conf.TrackedFile {
			bad = t.Number != 0
		}
		return 0, bad != t.Reverse
	case t.Kind == conf.TrackedFile:
		adjust = t.product()
		return min(adjust, maxWeight), adjust < -maxWeight && !owner
	case t.Up == (t.Weight > 0):
		adjust = t.Weight
		if t.Reverse {
			adjust = -adjust
		}
	}
	return min(max(adjust, -maxWeight), maxWeight), false
}

// product is number times weight of a file. Numbers and weights have 32 bits.
func (t *Term) product() int {
	if t.Reverse {
		return -t.Number * t.Weight
	}
	return t.Number * t.Weight
}

// cause is that of the status, naming the term if the status does not.
func (t *Term) cause() vrrp.Cause {
	c := t.Cause
	if c.Code == "" {
		c.Code, c.Object = t.Kind.String(), t.Name
	}
	return c
}

// Arithmetic is how the priority came about, such as
// "100 - 20 (track_script chk: exited with status 1) = 80". The terms given to
// Evaluate must not have changed.
func (o *Outcome) Arithmetic() string {
	b := strconv.AppendUint(nil, uint64(o.base), 10)
	if o.owner {
		return string(append(b, " (address owner)"...))
	}
	adjusted := o.adjust != 0
	if adjusted {
		sign, adjust := '+', o.adjust
		if adjust < 0 {
			sign, adjust = '-', -adjust
		}
		b = fmt.Appendf(b, " %c %d (operator)", sign, adjust)
	}
	for i := range o.terms {
		t := &o.terms[i]
		adjust, fault := t.effect(false)
		if !t.Known || t.Disabled || fault || adjust == 0 {
			continue
		}
		adjusted = true
		sign := '+'
		if adjust < 0 {
			sign, adjust = '-', -adjust
		}
		b = fmt.Appendf(b, " %c %d (%v %s", sign, adjust, t.Kind, t.Name)
		if t.Kind == conf.TrackedFile {
			b = fmt.Appendf(b, ": %d x %d", t.Number, t.Weight)
			if t.Reverse {
				b = append(b, " reversed"...)
			}
		} else if t.Cause.Detail != "" {
			b = fmt.Appendf(b, ": %s", t.Cause.Detail)
		}
		b = append(b, ')')
	}
	if !adjusted {
		return string(b)
	}
	b = fmt.Appendf(b, " = %d", o.Total)
	if o.Total != int(o.Priority) {
		b = fmt.Appendf(b, ", limited to %d", o.Priority)
	}
	return string(b)
}
