package kernel

import "slices"

// Diff returns the plan that turns what the kernel holds into what it shall
// hold: removals in the reverse order of have, then additions and replacements
// in the order of want. An object with other attributes is replaced in place
// where the kernel can do that, else removed and added. An object wanted twice
// counts once, as it stands first.
//
// have must hold only objects that are ours: what is not in want is removed.
// Diff compares the Key and everything that can be asked for; not who set the
// object, and not its state, such as "tentative". The plan refers to the objects
// in have and want.
func Diff[O any, K comparable, P Keyed[O, K]](have, want []O) []Change {
	type todo uint8
	const (
		add todo = iota
		skip
		replace
	)
	plan := make([]Change, 0, len(have)+len(want))
	todos := make([]todo, len(want))
	index := make(map[K]int, len(want))
	for i := range want {
		k := P(&want[i]).Key()
		if _, twice := index[k]; twice {
			todos[i] = skip
		} else {
			index[k] = i
		}
	}
	var beheaded map[K]bool // groups that lose their head, and may lose all the others with it
	for i := range slices.Backward(have) {
		h := P(&have[i])
		i, wanted := index[h.Key()]
		if wanted && todos[i] == add {
			switch same, inPlace := h.Compare(&want[i]); {
			case same:
				todos[i] = skip
				continue
			case inPlace:
				todos[i] = replace
				continue
			}
		}
		plan = append(plan, Change{Remove, h})
		if group, ok := h.Head(); ok {
			if beheaded == nil {
				beheaded = make(map[K]bool)
			}
			beheaded[group] = true
		}
	}
	if beheaded != nil {
		for i := range have {
			h := P(&have[i])
			if group, ok := h.Follows(); ok && beheaded[group] {
				if i, wanted := index[h.Key()]; wanted && todos[i] == skip {
					todos[i] = add // no harm if it was kept: it is there already
				}
			}
		}
	}
	for i := range want {
		switch todos[i] {
		case add:
			plan = append(plan, Change{Add, P(&want[i])})
		case replace:
			plan = append(plan, Change{Replace, P(&want[i])})
		}
	}
	return plan
}
