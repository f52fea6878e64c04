package conf

import (
	"fmt"
	"time"
)

// announcements settles when and how often the addresses of an instance are
// announced.
func (d *decoder) announcements(in *instance, pace map[string]*paceGroup) {
	own, g := &in.garp, &d.global.garp
	inherited := func(own, global opt[int], def int) int { return own.or(global.or(def)) }
	in.GARP = GARP{
		Repeat:        inherited(own.repeat, g.repeat, 5),
		Delay:         own.delay.or(g.delay.or(5 * time.Second)),
		Refresh:       own.refresh.or(g.refresh.or(0)),
		RefreshRepeat: inherited(own.refreshRepeat, g.refreshRepeat, 1),
		Interval:      d.global.garpInterval,
		NAInterval:    d.global.naInterval,
		Extra:         own.extra.or(g.extra.v),
	}
	if d.global.minGARP {
		if !own.repeat.set && !g.repeat.set {
			in.GARP.Repeat = 1
		}
		if !own.delay.set && !g.delay.set {
			in.GARP.Delay = 0
		}
		if !own.refresh.set && !g.refresh.set {
			in.GARP.Refresh = 0
		}
	}
	in.GARP.LowerRepeat = inherited(own.lowerRepeat, g.lowerRepeat, in.GARP.Repeat)
	in.GARP.LowerDelay = own.lowerDelay.or(g.lowerDelay.or(in.GARP.Delay))
	if in.Strict {
		if own.lowerRepeat.v != 0 || own.lowerDelay.v != 0 {
			d.problem(in, "strict-garp", "Strict mode requires no repeat garps. resetting")
		}
		in.GARP.LowerRepeat, in.GARP.LowerDelay = 0, 0
	}
	if p := pace[in.Interface]; p != nil {
		in.GARP.Interval, in.GARP.NAInterval, in.GARP.PacingGroup = p.garpInterval, p.naInterval, p.name
	}
}

type paceGroup struct {
	*garpGroup
	name string
}

// paceGroups finds the garp_group of each interface.
func (d *decoder) paceGroups() map[string]*paceGroup {
	byInterface := make(map[string]*paceGroup)
	for i, g := range d.garps {
		group := &paceGroup{g, fmt.Sprintf("garp_group %d", i+1)}
		if len(g.interfaces) == 0 {
			d.reportAt(g.at, Diagnostic{
				Severity: Note, Code: "garp-group", Message: "the garp_group has no interface", Fix: "write interface or interfaces",
			})
		}
		for _, name := range g.interfaces {
			if byInterface[name] != nil {
				d.atPlace(g.at, "garp-group", "garp_group: interface %s is already in another group - ignoring", name)
				continue
			}
			byInterface[name] = group
		}
	}
	return byInterface
}
