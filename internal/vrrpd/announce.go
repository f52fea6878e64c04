package vrrpd

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc/loop"
)

// announcement is what a virtual router still has to announce: rounds over all
// its addresses, of which the current one has come to next.
type announcement struct {
	rounds, next int
	quiet        bool // not to be logged
	elsewhere    bool // only the addresses of garp_extra_if
	queued       bool
}

// An announcer sends gratuitous ARPs and unsolicited neighbour advertisements
// in slices between the loop's other duties, so that a master of thousands of
// addresses sends its adverts on time all the same.
type announcer struct {
	send      func([]kernel.Frame) (int, error)
	timer     loop.Timer // runs while something can be sent: until the next slice
	queue     []*router
	frames    []kernel.Frame
	pace      map[paceKey]time.Duration // when the next frame may leave
	pause     time.Duration             // the kernel's queue was full: not before
	announced []kernel.Key              // what was announced, for the log
}

// paceKey identifies what garp_interval and gna_interval limit: an interface,
// or a garp_group of several.
type paceKey struct {
	group string
	link  int
	ipv6  bool
}

const (
	announceSlice = 64                   // frames between two looks at the timers
	announcePause = 2 * time.Millisecond // when the kernel's queue is full
)

func newAnnouncer(h kernel.Host) (*announcer, error) {
	send, err := h.Frames()
	if err != nil {
		return nil, err
	}
	a := &announcer{send: send, pace: map[paceKey]time.Duration{}, frames: make([]kernel.Frame, 0, announceSlice)}
	for i := range announceSlice {
		a.frames = append(a.frames[:i], kernel.Frame{Data: make([]byte, 0, 128)})
	}
	a.frames = a.frames[:0]
	return a, nil
}

// announceAddresses schedules count packets for each address of r; quiet ones
// are not logged. What is still being sent continues from where it is, or an
// address late in the list might never have its turn.
func (d *daemon) announceAddresses(r *router, count int, quiet bool) {
	if count == 0 {
		return
	}
	if r.announce.elsewhere {
		r.announce = announcement{queued: r.announce.queued} // it is part of this
	}
	r.announce.quiet = quiet && (r.announce.quiet || r.announce.rounds == 0)
	if r.announce.rounds == 0 {
		r.announce.next = 0
	} else if r.announce.next > 0 {
		count++ // for the ones that have had their turn in this round
	}
	r.announce.rounds = max(r.announce.rounds, count)
	d.queueAnnouncement(r)
}

// announceElsewhere announces the addresses of r that garp_extra_if is about, unless all
// are being announced. Switches on links without adverts of r forget where it is.
func (d *daemon) announceElsewhere(r *router, at time.Duration) {
	if r.announce.rounds == 0 {
		r.announce.rounds, r.announce.next, r.announce.quiet, r.announce.elsewhere = 1, 0, true, true
		d.queueAnnouncement(r)
	}
	d.loop.Set(r.extra, at+r.conf.GARP.Extra.Period)
}

// repeatElsewhere has the addresses that garp_extra_if is about announced as long as r is
// master.
func (d *daemon) repeatElsewhere(r *router) {
	if r.extra != nil {
		d.loop.Stop(r.extra)
	}
	if period := r.conf.GARP.Extra.Period; r.held && period > 0 && !r.static() {
		if r.extra == nil {
			r.extra = &loop.Timer{Order: r.timer.Order, Expire: func(at time.Duration) { d.announceElsewhere(r, at) }}
		}
		d.loop.Set(r.extra, d.loop.Now()+period)
	}
}

func (d *daemon) queueAnnouncement(r *router) {
	if r.announce.rounds > 0 && !r.announce.queued {
		r.announce.queued = true
		d.announcer.queue = append(d.announcer.queue, r)
		d.loop.Set(&d.announcer.timer, d.loop.Time())
	}
}

// cancelAnnouncements forgets what r had still to announce.
func (d *daemon) cancelAnnouncements(r *router) { r.announce = announcement{queued: r.announce.queued} }

// sendAnnouncements sends one slice, after the adverts that wait, and sets the
// timer for the next one, if something is left that could be sent without a further
// event.
func (d *daemon) sendAnnouncements(at time.Duration) {
	d.sendAdverts()
	if next := d.sendSlice(at); next != loop.Never {
		d.loop.Set(&d.announcer.timer, next)
	}
}

// sendSlice sends one slice and returns when the next is due.
func (d *daemon) sendSlice(at time.Duration) (next time.Duration) {
	a := d.announcer
	if at < a.pause {
		return a.pause
	}
	wait := time.Duration(-1) // nothing is held back by its pace
	rest := a.queue[:0]
	for i, r := range a.queue {
		if len(a.frames) == announceSlice {
			rest = append(rest, a.queue[i:]...)
			break
		}
		ready, again := d.fillFrames(r, at)
		if again && (wait < 0 || ready < wait) {
			wait = ready
		}
		if again {
			rest = append(rest, r)
		} else {
			r.announce.queued = false
		}
	}
	clear(a.queue[len(rest):])
	a.queue = rest
	a.flush(at)
	switch {
	case len(a.queue) == 0:
		return loop.Never
	case a.pause > at:
		return a.pause
	case wait > at:
		return wait
	}
	return at
}

// fillFrames appends frames for r until the slice is full, its pace holds it
// back, it is done, or it comes to an address that the kernel has not set yet;
// in the last two cases again is false, and the completion queues it again.
func (d *daemon) fillFrames(r *router, at time.Duration) (ready time.Duration, again bool) {
	a := d.announcer
	for r.announce.rounds > 0 {
		if r.announce.next == len(r.vips) {
			r.announce.next = 0
			if r.announce.rounds--; len(r.vips) == 0 {
				r.announce.rounds = 0
			}
			r.announce.elsewhere = r.announce.elsewhere && r.announce.rounds > 0
			continue
		}
		v := r.vips[r.announce.next]
		if r.announce.elsewhere && !policy.AnnouncedElsewhere(r.conf, r.address(r.announce.next)) {
			r.announce.next++
			continue
		}
		if v == nil || !v.present && !v.requested && v.dirty == 0 { // no link, or refused
			r.announce.next++
			continue
		}
		if !v.present { // being set, or about to be asked for
			return 0, false
		}
		if len(a.frames) == announceSlice {
			return at, true
		}
		if interval := r.pace(v.key.Prefix.Addr()); interval > 0 {
			k := paceKey{r.conf.GARP.PacingGroup, 0, v.key.Prefix.Addr().Is6()}
			if k.group == "" {
				k.link = v.key.Link
			}
			if due := a.pace[k]; due > at {
				return due, true
			}
			a.pace[k] = at + interval
		}
		d.appendFrame(v.key.Link, v.key.Prefix.Addr(), r.announce.quiet)
		r.announce.next++
	}
	return 0, false
}

func (r *router) pace(ip netip.Addr) time.Duration {
	if ip.Is4() {
		return r.conf.GARP.Interval
	}
	return r.conf.GARP.NAInterval
}

// appendFrame adds the announcement of ip on a link to the slice.
func (d *daemon) appendFrame(link int, ip netip.Addr, quiet bool) {
	l := d.net.links[link]
	if l == nil || l.Flags&(unix.IFF_NOARP|unix.IFF_LOOPBACK) != 0 && ip.Is4() || l.Flags&unix.IFF_LOOPBACK != 0 {
		return
	}
	a := d.announcer
	a.frames = a.frames[:len(a.frames)+1]
	f := &a.frames[len(a.frames)-1]
	f.Link = link
	if ip.Is4() {
		f.Proto = unix.ETH_P_ARP
		f.Data = kernel.AppendGratuitousARP(f.Data[:0], l.HardwareAddr, ip)
	} else {
		f.Proto = unix.ETH_P_IPV6
		f.Data = kernel.AppendUnsolicitedNA(f.Data[:0], l.HardwareAddr, ip, l.Forwards6)
	}
	if !quiet && detailed() {
		a.announced = append(a.announced, kernel.Key{Link: link, Prefix: netip.PrefixFrom(ip, ip.BitLen())})
	}
}

// flush sends the slice. When the kernel's queue is full the frames that did
// not fit are dropped and the rest waits a little: an announcement is repeated
// by design.
func (a *announcer) flush(at time.Duration) {
	for rest := a.frames; len(rest) > 0; {
		n, err := a.send(rest)
		rest = rest[n:]
		if err == nil && n > 0 {
			continue
		}
		if err == unix.EAGAIN || err == unix.ENOBUFS {
			a.pause = at + announcePause
		}
		if len(rest) > 0 {
			rest = rest[1:]
		}
	}
	a.frames = a.frames[:0]
}

func announceName(ip netip.Addr, several bool) string {
	switch {
	case ip.Is4() && several:
		return "gratuitous ARPs"
	case ip.Is4():
		return "gratuitous ARP"
	case several:
		return "Unsolicited Neighbour Adverts"
	}
	return "unsolicited Neighbour Advert"
}

// reportAnnounced writes what was sent since the last time.
func (d *daemon) reportAnnounced() {
	for _, k := range d.announcer.announced {
		slog.Log(context.Background(), logging.LevelDetail, fmt.Sprintf("Sending %s on %s for %v",
			announceName(k.Prefix.Addr(), false), d.linkName(k.Link), k.Prefix.Addr()))
	}
	d.announcer.announced = d.announcer.announced[:0]
}

func detailed() bool { return slog.Default().Enabled(context.Background(), logging.LevelDetail) }
