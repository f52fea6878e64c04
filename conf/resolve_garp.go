package conf

import (
	"cmp"
	"fmt"
	"time"
)

// announcements settles when and how often the addresses of an instance are
// announced.
func (d *decoder) announcements(in *instance, pace map[string]*paceGroup) {
	own := cmp.Or(in.garp, &garpSettings{})
	g := d.global.garpOf(own)
	if in.Strict {
		if own.lowerRepeat.v != 0 || own.lowerDelay.v != 0 {
			d.problem(in, "strict-garp", "Strict mode requires no repeat garps. resetting")
		}
		g.LowerRepeat, g.LowerDelay = 0, 0
	}
	if p := pace[in.Interface]; p != nil {
		g.Interval, g.NAInterval, g.PacingGroup = p.garpInterval, p.naInterval, p.name
	}
	in.GARP = d.announced.of(g)
}

// garpOf is how an owner with the settings own announces addresses. By default an
// advert of lower priority is followed by what global_defs declares for new
// masters, even if own differs for them.
func (g *globals) garpOf(own *garpSettings) GARP {
	all := &g.garp
	repeat, delay := 5, 5*time.Second
	if g.minGARP {
		repeat, delay = 1, 0
	}
	repeat, delay = all.repeat.or(repeat), all.delay.or(delay)
	return GARP{
		Repeat:        own.repeat.or(repeat),
		Delay:         own.delay.or(delay),
		Refresh:       own.refresh.or(all.refresh.or(0)),
		RefreshRepeat: own.refreshRepeat.or(all.refreshRepeat.or(1)),
		LowerRepeat:   own.lowerRepeat.or(all.lowerRepeat.or(repeat)),
		LowerDelay:    own.lowerDelay.or(all.lowerDelay.or(delay)),
		Interval:      g.garpInterval,
		NAInterval:    g.naInterval,
		Extra:         own.extra.or(all.extra.v),
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
