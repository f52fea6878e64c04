package checkd

import (
	"keepalived-go/conf"
	"keepalived-go/internal/checkd/attempt"
	"keepalived-go/internal/linux/track"
)

// watchFiles has the files of FILE_CHECK read and watched.
func (d *daemon) watchFiles() {
	wanted := false
	for _, c := range d.checks {
		wanted = wanted || c.Check.Kind == conf.CheckFile
	}
	if d.files == nil {
		if !wanted {
			return
		}
		d.files = track.Start(track.Options{Runner: d.scriptRunner(), Report: func(all []track.Update) {
			d.loop.Post(func() { d.fileChanged(all) })
		}})
	}
	d.then = &conf.Config{}
	if wanted {
		d.then.Files = d.conf.Files
	}
	if !d.taking {
		d.takeFiles()
	}
}

// takeFiles has the files of the next configuration watched, one configuration after
// the other.
func (d *daemon) takeFiles() {
	c, set := d.then, d.files
	d.taking, d.then = true, nil
	go set.Configure(c, func(first []track.Update) {
		d.loop.Post(func() {
			d.fileChanged(first)
			if d.taking = false; d.then != nil && !d.stopping {
				d.takeFiles()
			}
		})
	})
}

// fileChanged gives the checks of files the numbers in them.
func (d *daemon) fileChanged(all []track.Update) {
	for _, u := range all {
		if u.Kind != conf.TrackedFile {
			continue
		}
		d.numbers[u.Name] = int(u.Status.Number)
		for _, c := range d.checks {
			if k, ok := c.kind.(*attempt.File); ok && k.File == u.Name {
				d.observe(c, k.Observe(int(u.Status.Number)))
			}
		}
	}
}

// recall gives a check that has just been activated what is known of its subject:
// nothing may change for long.
func (d *daemon) recall(c *check) {
	if !c.life.Observes() {
		return
	}
	d.loop.Post(func() {
		switch k := c.kind.(type) {
		case *attempt.File:
			if n, known := d.numbers[k.File]; known {
				d.observe(c, k.Observe(n))
			}
		case *attempt.BFD:
			if up, known := d.sessions[k.Session]; known {
				d.observe(c, k.Observe(up))
			}
		}
	})
}
