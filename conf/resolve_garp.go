package conf

import (
	"fmt"
	"time"
)

// announcements settles when and how often the addresses of an instance are
// announced.
func (d *decoder) announcements(in *instance, pace map[string]*paceGroup) {
	own := &in.garp
	in.GARP = d.global.garpOf(own)
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

// garpOf is how addresses are announced by who says own.
func (g *globals) garpOf(own *garpSettings) GARP {
	all := &g.garp
	inherited := func(own, global opt[int], def int) int { return own.or(global.or(def)) }
	out := GARP{
		Repeat:        inherited(own.repeat, all.repeat, 5),
		Delay:         own.delay.or(all.delay.or(5 * time.Second)),
		Refresh:       own.refresh.or(all.refresh.or(0)),
		RefreshRepeat: inherited(own.refreshRepeat, all.refreshRepeat, 1),
		Interval:      g.garpInterval,
		NAInterval:    g.naInterval,
		Extra:         own.extra.or(all.extra.v),
	}
	if g.minGARP {
		if !own.repeat.set && !all.repeat.set {
			out.Repeat = 1
		}
		if !own.delay.set && !all.delay.set {
			out.Delay = 0
		}
		if !own.refresh.set && !all.refresh.set {
			out.Refresh = 0
		}
	}
	out.LowerRepeat = inherited(own.lowerRepeat, all.lowerRepeat, out.Repeat)
	out.LowerDelay = own.lowerDelay.or(all.lowerDelay.or(out.Delay))
	return out
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
