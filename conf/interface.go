package conf

import "time"

// settingsOf are the settings of an interface that have been read so far.
func (d *decoder) settingsOf(name string, at Pos) *InterfaceSettings {
	if v := d.interfaces[name]; v != nil {
		return v
	}
	if d.interfaces == nil {
		d.interfaces = make(map[string]*InterfaceSettings)
	}
	v := &InterfaceSettings{Name: name, Pos: at}
	d.interfaces[name] = v
	d.interfaceOrder = append(d.interfaceOrder, v)
	return v
}

func setLinkBeat(d *decoder, s *Statement, v *InterfaceSettings) {
	v.LinkBeat = LinkBeatAuto
	methods := map[string]LinkBeat{"MII": LinkBeatMII, "ETHTOOL": LinkBeatEthtool, "IOCTL": LinkBeatIoctl}
	if len(s.Words) == 2 && methods[s.Words[1].Text] != LinkBeatNone {
		v.LinkBeat = methods[s.Words[1].Text]
	} else if len(s.Words) > 1 {
		d.wrong(s, 1, "bad-choice", "extra characters %s in linkbeat interface; expected one of MII, ETHTOOL and IOCTL, or nothing", printable(s.Words[1].Text))
	}
}

// setDelays reads DOWN [UP]. Without UP an interface that comes back counts at
// once, although the manual of the C daemon differs.
func setDelays(d *decoder, s *Statement, v *InterfaceSettings) {
	spec := seconds(0, 255)
	for i, field := range []*time.Duration{&v.DownDelay, &v.UpDelay} {
		if i+1 >= len(s.Words) {
			return
		}
		if us, ok := d.decimal(s, i+1, &spec); ok {
			*field = time.Duration(us) * time.Microsecond
		}
	}
}

// interfaceSettings applies the settings of instances and linkbeat_use_polling to
// interfaces, when all is read.
func (d *decoder) interfaceSettings() {
	poll := func(name string, at Pos) {
		if v := d.settingsOf(name, at); v.LinkBeat == LinkBeatNone {
			v.LinkBeat = LinkBeatAuto
		}
	}
	pollTracked := func(list []Track) {
		for _, t := range list {
			if t.Kind == TrackedInterface && d.global.poll {
				poll(t.Name, t.Pos)
			}
		}
	}
	for _, in := range d.instances {
		if (in.poll || d.global.poll) && in.Interface != "" {
			poll(in.Interface, in.Pos)
		}
		pollTracked(in.Track)
		if v := d.interfaces[in.Interface]; v != nil {
			d.shorterThanAdverts(in, v)
		}
	}
	for _, g := range d.groups {
		pollTracked(g.Track)
	}
	for _, v := range d.interfaceOrder {
		d.cfg.Interfaces = append(d.cfg.Interfaces, *v)
	}
}

// shorterThanAdverts keeps the delays of an instance's interface below the time
// after which its backups take over.
func (d *decoder) shorterThanAdverts(in *instance, v *InterfaceSettings) {
	if max(v.DownDelay, v.UpDelay) < 2*in.AdvertInterval {
		return
	}
	most := 2*in.AdvertInterval - in.AdvertInterval/256
	v.DownDelay, v.UpDelay = min(v.DownDelay, most), min(v.UpDelay, most)
	d.reportAt(in.at, Diagnostic{
		Severity: Warning, Class: ClassNone, Code: "long-delay",
		Message: in.Name + ": interface " + printable(v.Name) + " debounce timer(s) not less that 2 * advert_int - resetting",
		Fix:     "interface_up_down_delays of " + most.String() + " or less leave the backups no time to take over",
	})
}
