package demo

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"keepalived-go/internal/tool/lab"
)

// show is the running demo.
type show struct {
	options
	lab    *lab.Lab
	began  time.Time
	view   *view
	client *client
	power  [9]struct {
		daemon  *lab.Daemon
		service net.Listener
	}
}

func (d *show) node(i int) *lab.Node { return d.lab.Nodes[i] }

// powerOn plugs the node in and starts its service and daemon.
func (d *show) powerOn(i int) (err error) {
	p := &d.power[i]
	if p.service, err = serve(d.node(i)); err != nil {
		return err
	}
	p.daemon, err = d.node(i).Start(lab.Program{Name: "keepalived", Path: d.program}, d.config(i))
	return err
}

// powerOff ends everything on the node at once, and cuts its link: nobody says
// good-bye. Its kernel forgets the address, as a machine without power does.
func (d *show) powerOff(i int) error {
	p := &d.power[i]
	p.daemon.Kill()
	p.service.Close()
	p.daemon, p.service = nil, nil
	if err := d.node(i).Unplug(0); err != nil {
		return err
	}
	return d.node(i).IP(fmt.Sprintf("addr flush dev eth0 to %v", virtual))
}

// holder is the node that holds the address, or -1.
func (d *show) holder() int {
	for i := range d.nodes {
		if d.node(i).Has(virtual) {
			return i
		}
	}
	return -1
}

// play goes through the acts: a master is elected, its power is cut, it comes
// back.
func (d *show) play(ctx context.Context) error {
	if !d.await(ctx, 10*time.Second, func() bool { return d.holder() == 0 }) {
		return d.stuck(ctx, "node1 does not become master")
	}
	d.client.reset()
	d.began = time.Now()
	d.view.begin(d.began)
	d.view.say("node1 is master and holds %v.", virtual)
	d.watch(ctx, d.duration/4)
	if ctx.Err() != nil {
		return nil
	}

	d.view.say("Power cut on node1: all its processes get SIGKILL, its link goes down.")
	cut := time.Now()
	if err := d.powerOff(0); err != nil {
		return err
	}
	if !d.await(ctx, d.masterDown(1)+5*time.Second, func() bool { return d.holder() > 0 }) {
		return d.stuck(ctx, "no other node takes over")
	}
	successor := d.holder()
	takeover, err := d.takeover(successor, cut)
	if err != nil {
		return err
	}
	d.view.say("%s", takeover)
	d.watch(ctx, time.Until(d.began.Add(d.duration*6/10)))
	if ctx.Err() != nil {
		return nil
	}

	d.view.say("Power on node1: it has the highest priority and takes its address back.")
	if err := d.node(0).Plug(0); err != nil {
		return err
	}
	if err := d.powerOn(0); err != nil {
		return err
	}
	if !d.await(ctx, d.masterDown(0)+5*time.Second, func() bool { return d.holder() == 0 && !d.node(successor).Has(virtual) }) {
		return d.stuck(ctx, "node1 does not take the address back")
	}
	d.view.say("node1 is master again.")
	d.watch(ctx, time.Until(d.began.Add(d.duration)))
	if ctx.Err() != nil {
		return nil
	}
	d.view.end()
	d.summarise(takeover)
	return nil
}

// takeover says how long the successor took, from the last advert of the dead
// master to its own first and to the address.
func (d *show) takeover(successor int, cut time.Time) (string, error) {
	n := d.node(successor)
	first, ok := d.lab.Wait(cut, time.Second, func(e *lab.Event) bool { return e.Kind == lab.Advert && e.Node == n })
	if !ok {
		return "", fmt.Errorf("%s holds the address but sends no advert", n.Name)
	}
	last, ok := d.lab.Last(func(e *lab.Event) bool {
		return e.Kind == lab.Advert && e.Node == d.node(0) && e.Time.Before(first.Time)
	})
	if !ok {
		return "", fmt.Errorf("node1 never sent an advert")
	}
	added, ok := d.lab.Wait(cut, time.Second, func(e *lab.Event) bool { return e.Kind == lab.AddrAdded && e.Node == n && e.Addr == virtual })
	if !ok {
		return "", fmt.Errorf("%s never got the address", n.Name)
	}
	down := d.masterDown(successor)
	took := added.Time.Sub(last.Time)
	return fmt.Sprintf("%s took over %s after the last advert of node1; the protocol's Master_Down_Interval is %s (%+.1f ms).",
		n.Name, lab.Elapsed(took), lab.Elapsed(down), float64(took-down)/float64(time.Millisecond)), nil
}

func (d *show) summarise(takeover string) {
	d.client.mu.Lock()
	defer d.client.mu.Unlock()
	total := 0
	var by []string
	for i := range d.nodes {
		name := d.node(i).Name
		total += d.client.answers[name]
		by = append(by, fmt.Sprintf("%s %d", name, d.client.answers[name]))
	}
	d.view.say("Requests: %d answered (%s), %d lost in the power cut.", total, strings.Join(by, ", "), d.client.lost)
	d.view.say("%s", takeover)
}

// watch draws for so long.
func (d *show) watch(ctx context.Context, length time.Duration) {
	d.await(ctx, length, func() bool { return false })
}

// await draws until cond holds; it returns false when the time is up or the
// user has had enough.
func (d *show) await(ctx context.Context, length time.Duration, cond func() bool) bool {
	end := time.Now().Add(length)
	for ctx.Err() == nil {
		if cond() {
			return true
		}
		left := time.Until(end)
		if left <= 0 {
			return false
		}
		// Not Until alone: the drawing goes on while nothing happens.
		d.lab.Until(min(left, 20*time.Millisecond), func() bool { return ctx.Err() != nil || cond() })
		if d.view.due() {
			d.draw()
		}
	}
	return false
}

func (d *show) draw() {
	states := make([]rune, d.nodes)
	for i := range states {
		switch {
		case d.power[i].daemon == nil:
			states[i] = off
		case d.node(i).Has(virtual):
			states[i] = holds
		default:
			states[i] = waits
		}
	}
	d.view.column(states, d.client.look())
}

// stuck is the error of a step that did not happen, with what the daemons said.
func (d *show) stuck(ctx context.Context, what string) error {
	if ctx.Err() != nil {
		return nil
	}
	for i := range d.nodes {
		if p := d.power[i].daemon; p != nil {
			what += fmt.Sprintf("\n%s says:\n%s", d.node(i).Name, p.LogText())
		}
	}
	return fmt.Errorf("%s", what)
}
