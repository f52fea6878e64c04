package demo

import (
	"context"
	"fmt"
	"net"
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
	states func(tally) []rune // a column of the drawing
	power  [9]struct {
		daemon  *lab.Daemon
		service net.Listener
	}
}

func (d *show) node(i int) *lab.Node { return d.lab.Nodes[i] }

// powerOn starts the service and the daemon of the node.
func (d *show) powerOn(i int) error {
	if err := d.serve(i); err != nil {
		return err
	}
	return d.start(i, d.config(i))
}

func (d *show) serve(i int) (err error) {
	d.power[i].service, err = serve(d.node(i))
	return err
}

func (d *show) start(i int, config string) (err error) {
	d.power[i].daemon, err = d.node(i).Start(lab.Program{Name: "keepalived", Path: d.program}, config)
	return err
}

// powerOff ends all processes on the node at once, and cuts its link, so that no last
// packets are sent. Its kernel loses the address, as a machine without power does.
func (d *show) powerOff(i int) error {
	d.power[i].daemon.Kill()
	d.power[i].daemon = nil
	if d.power[i].service != nil {
		d.stopService(i)
	}
	if err := d.node(i).Unplug(0); err != nil {
		return err
	}
	return d.node(i).IP(fmt.Sprintf("addr flush dev eth0 to %v", virtual))
}

func (d *show) stopService(i int) {
	d.power[i].service.Close()
	d.power[i].service = nil
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
	d.view.printf("node1 is master and holds %v.", virtual)
	d.watch(ctx, d.duration/4)
	if ctx.Err() != nil {
		return nil
	}

	d.view.printf("Power cut on node1: all its processes get SIGKILL, its link goes down.")
	cut := time.Now()
	if err := d.powerOff(0); err != nil {
		return err
	}
	if !d.await(ctx, d.masterDown(1)+5*time.Second, func() bool { return d.holder() > 0 }) {
		return d.stuck(ctx, "no other node takes over")
	}
	successor := d.holder()
	takeover, err := d.takeover(0, successor, cut)
	if err != nil {
		return err
	}
	d.view.printf("%s", takeover)
	d.watch(ctx, time.Until(d.began.Add(d.duration*6/10)))
	if ctx.Err() != nil {
		return nil
	}

	d.view.printf("Power on node1: it has the highest priority and takes its address back.")
	if err := d.node(0).Plug(0); err != nil {
		return err
	}
	if err := d.powerOn(0); err != nil {
		return err
	}
	if !d.await(ctx, d.masterDown(0)+5*time.Second, func() bool { return d.holder() == 0 && !d.node(successor).Has(virtual) }) {
		return d.stuck(ctx, "node1 does not take the address back")
	}
	d.view.printf("node1 is master again.")
	d.watch(ctx, time.Until(d.began.Add(d.duration)))
	if ctx.Err() != nil {
		return nil
	}
	d.view.end()
	d.view.printf("%s in the power cut.", d.client.summary(d.lab.Nodes[:d.nodes]))
	d.view.printf("%s", takeover)
	return nil
}

// takeover reports how long the successor took, from the last advert of the dead
// master to its own first and to the address.
func (d *show) takeover(master, successor int, cut time.Time) (string, error) {
	n, dead := d.node(successor), d.node(master)
	first, ok := d.lab.Wait(cut, time.Second, func(e *lab.Event) bool { return e.Kind == lab.Advert && e.Node == n })
	if !ok {
		return "", fmt.Errorf("%s holds the address but sends no advert", n.Name)
	}
	last, ok := d.lab.Last(func(e *lab.Event) bool {
		return e.Kind == lab.Advert && e.Node == dead && e.Time.Before(first.Time)
	})
	if !ok {
		return "", fmt.Errorf("%s never sent an advert", dead.Name)
	}
	added, ok := d.lab.Wait(cut, time.Second, func(e *lab.Event) bool { return e.Kind == lab.AddrAdded && e.Node == n && e.Addr == virtual })
	if !ok {
		return "", fmt.Errorf("%s never got the address", n.Name)
	}
	down := d.masterDown(successor)
	took := added.Time.Sub(last.Time)
	return fmt.Sprintf("%s took over %s after the last advert of %s; the protocol's Master_Down_Interval is %s (%+.1f ms).",
		n.Name, lab.Elapsed(took), dead.Name, lab.Elapsed(down), float64(took-down)/float64(time.Millisecond)), nil
}

// watch draws for so long.
func (d *show) watch(ctx context.Context, length time.Duration) {
	end := time.Now().Add(length)
	d.drawUntil(ctx, func() time.Duration { return time.Until(end) }, func() bool { return false })
}

// await draws until cond holds; it returns false when the time is up, which comes
// later on a busy machine, or the user has had enough.
func (d *show) await(ctx context.Context, length time.Duration, cond func() bool) bool {
	return d.drawUntil(ctx, lab.NewPatience(length).Left, cond)
}

func (d *show) drawUntil(ctx context.Context, left func() time.Duration, cond func() bool) bool {
	for ctx.Err() == nil {
		if cond() {
			return true
		}
		if left() <= 0 {
			return false
		}
		// Not Until alone: the drawing continues while nothing happens.
		d.lab.Until(min(left(), 20*time.Millisecond), func() bool { return ctx.Err() != nil || cond() })
		if d.view.due() {
			d.draw()
		}
	}
	return false
}

func (d *show) draw() {
	t := d.client.look()
	d.view.column(d.states(t), t)
}

// holding is the state of each node that runs keepalived.
func (d *show) holding(tally) []rune {
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
	return states
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
