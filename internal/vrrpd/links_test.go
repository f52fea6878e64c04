package vrrpd

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/track"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc/loop"
)

const linkIsUp = unix.IFF_UP | unix.IFF_RUNNING

// newLinks returns a daemon with two links, of which eth0 has settings and is up, and a
// function that reports a link to it.
func newLinks(t *testing.T, s conf.InterfaceSettings) (d *daemon, report func(index int, name string, flags uint32)) {
	s.Name = "eth0"
	d = &daemon{loop: newTestLoop(t), conf: &conf.Config{Interfaces: []conf.InterfaceSettings{s}}}
	d.static = newStatic(d.conf)
	d.net = newNetwork([]kernel.Link{{Index: 2, Name: "eth0", Flags: linkIsUp}, {Index: 3, Name: "eth1", Flags: linkIsUp}}, nil)
	d.watchLinks()
	return d, func(index int, name string, flags uint32) {
		d.handleEvents([]kernel.Event{{Kind: kernel.LinkNew, Link: kernel.Link{Index: index, Name: name, Flags: flags}}})
	}
}

// delay returns the time when the delay of the only link with settings ends; loop.Never:
// no delay is running.
func (d *daemon) delay() time.Duration { return d.loop.Next() }

func (d *daemon) counts(name string) bool { return d.linkStatus(name).Up }

// TestReloadDuringInterfaceDelay checks that a reload does not restart a running delay,
// and that the delay ends when its settings are removed.
func TestReloadDuringInterfaceDelay(t *testing.T) {
	d, report := newLinks(t, conf.InterfaceSettings{UpDelay: time.Hour, DownDelay: time.Hour})
	report(2, "eth0", unix.IFF_UP)
	ends := d.delay()
	if ends == loop.Never || !d.counts("eth0") {
		t.Fatalf("timer %v, up %t after the loss", ends, d.counts("eth0"))
	}
	reload := func(s ...conf.InterfaceSettings) {
		d.conf = &conf.Config{Interfaces: s}
		d.watchLinks()
	}
	reload(conf.InterfaceSettings{Name: "eth0", UpDelay: time.Minute, DownDelay: time.Hour})
	if d.delay() != ends || !d.counts("eth0") {
		t.Errorf("timer %v, up %t after a reload of another delay, want %v, true", d.delay(), d.counts("eth0"), ends)
	}
	reload(conf.InterfaceSettings{Name: "eth0", DownDelay: 2 * time.Hour})
	if want := ends + time.Hour; d.delay() != want {
		t.Errorf("timer %v after a reload of this delay, want %v", d.delay(), want)
	}
	reload()
	if d.delay() != loop.Never || d.counts("eth0") {
		t.Errorf("timer %v, up %t without settings, want none, false", d.delay(), d.counts("eth0"))
	}
}

// TestLinkRenamed checks a link that is renamed to a name with settings while it is up.
func TestLinkRenamed(t *testing.T) {
	d, report := newLinks(t, conf.InterfaceSettings{UpDelay: time.Hour})
	report(2, "eth9", linkIsUp)
	if d.counts("eth0") {
		t.Error("up after it was renamed")
	}
	report(3, "eth0", linkIsUp)
	if d.counts("eth0") || d.delay() == loop.Never {
		t.Errorf("up %t, timer %v: another link must be up for the delay", d.counts("eth0"), d.delay())
	}
	d, report = newLinks(t, conf.InterfaceSettings{DownDelay: time.Hour})
	report(2, "eth9", linkIsUp)
	report(3, "eth0", linkIsUp)
	if !d.counts("eth0") || d.delay() != loop.Never {
		t.Errorf("up %t, timer %v: without a delay it counts at once", d.counts("eth0"), d.delay())
	}
}

// TestLinkBeatKnownAtStart checks that the result of the first poll counts from the
// start.
func TestLinkBeatKnownAtStart(t *testing.T) {
	d, _ := newLinks(t, conf.InterfaceSettings{LinkBeat: conf.LinkBeatMII})
	if !d.counts("eth0") {
		t.Error("without a poll, netlink does not count")
	}
	d.linkStates = nil
	d.tracking.learn(d.conf, []track.Update{{Kind: conf.TrackedInterface, Name: "eth0", Status: policy.Status{Known: true}}})
	d.watchLinks()
	if d.counts("eth0") {
		t.Error("the first poll does not count")
	}
	d.trackersReport([]track.Update{{Kind: conf.TrackedInterface, Name: "eth0", Status: policy.Status{Known: true, Up: true}}})
	if !d.counts("eth0") {
		t.Error("the second poll does not count")
	}
	d.conf = &conf.Config{}
	d.tracking.learn(d.conf, nil)
	if len(d.tracking.status) != 0 {
		t.Errorf("there is a status of trackers that do not exist: %v", d.tracking.status)
	}
}
