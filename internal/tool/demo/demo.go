// Package demo shows a takeover on one machine: real nodes in namespaces, a
// service behind the virtual address, a client that polls it, and a power cut. With
// --lvs it shows load balancing instead (see balance).
//
//	 node1      node2   …   client
//	priority   priority       |  GET http://10.0.0.100/, 50 times a second
//	   240         20         |
//	    |          |          |
//	----+----------+----------+----   a bridge
//	      10.0.0.100 is wherever the master is
package demo

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"keepalived-go/internal/tool/lab"
)

// options of the demo.
type options struct {
	nodes    int
	lvs      bool
	duration time.Duration
	interval time.Duration
	plain    bool
	program  string
}

// Main runs the demo with the arguments after its name and returns the exit
// code.
func Main(args []string) int {
	var o options
	f := flag.NewFlagSet("keepalived demo", flag.ContinueOnError)
	f.IntVar(&o.nodes, "nodes", 2, "number of `nodes`, 2 to 9")
	f.BoolVar(&o.lvs, "lvs", false, "show load balancing: two directors, three servers, a connection that stays")
	f.DurationVar(&o.duration, "duration", 20*time.Second, "length of the demo, 6s to 10m")
	f.DurationVar(&o.interval, "interval", 200*time.Millisecond, "advertisement interval, 10ms to 1s; --lvs: 500ms unless given")
	f.BoolVar(&o.plain, "plain", false, "print lines instead of drawing, as is done without a terminal")
	f.StringVar(&o.program, "program", "", "keepalived to run on the nodes (this one if empty)")
	f.Usage = func() {
		fmt.Fprintln(f.Output(), "Usage: keepalived demo [options]\n\nTwo nodes, an address, a power cut: on this machine, in namespaces of its own.\n"+
			"With --lvs two directors and three servers; where this kernel has no IPVS, in a\nUser-Mode Linux (linux.uml, of Debian's package user-mode-linux).")
		f.PrintDefaults()
	}
	switch err := f.Parse(args); {
	case err == flag.ErrHelp:
		return 0
	case err != nil:
		return 2
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if o.lvs && !given["interval"] {
		o.interval = 500 * time.Millisecond // a User-Mode Linux has one processor for all
	}
	if err := o.check(f.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "keepalived demo:", err)
		return 2
	}

	if code, done := enterUserNamespace(); done {
		return code
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	run := o.run
	if o.lvs {
		run = func(ctx context.Context) error { return o.runLVS(ctx, args) }
	}
	switch err := run(ctx); {
	case ctx.Err() != nil:
		fmt.Println("\nInterrupted; nothing is left behind.")
		return 130
	case err != nil:
		fmt.Fprintln(os.Stderr, "keepalived demo:", explain(err))
		return 1
	}
	return 0
}

func (o *options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case o.lvs && o.nodes != 2:
		return fmt.Errorf("--nodes %d: --lvs shows two directors", o.nodes)
	case o.nodes < 2 || o.nodes > 9:
		return fmt.Errorf("--nodes %d: want 2 to 9", o.nodes)
	case o.duration < 6*time.Second || o.duration > 10*time.Minute:
		return fmt.Errorf("--duration %v: want 6s to 10m", o.duration)
	case o.interval < 10*time.Millisecond || o.interval > time.Second:
		return fmt.Errorf("--interval %v: want 10ms to 1s", o.interval)
	}
	if o.program == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		o.program = self
	}
	return nil
}

// virtual is the address everything is about.
var virtual = lab.SegmentAddr(0, 100)

// priority of node i, counted from 0. They lie as far apart as they can, so that
// on a busy machine, too, the next one is first to take over.
func (o *options) priority(i int) int { return 240 - 220/(o.nodes-1)*i }

// masterDown is the Master_Down_Interval of node i (RFC 9568, 6.1).
func (o *options) masterDown(i int) time.Duration {
	return 3*o.interval + time.Duration(256-o.priority(i))*o.interval/256
}

// config is the configuration of node i.
func (o *options) config(i int) string {
	return fmt.Sprintf("global_defs {\n    router_id node%d\n}\n", i+1) + o.instance(i)
}

func (o *options) instance(i int) string {
	return fmt.Sprintf(`vrrp_instance demo {
    state BACKUP
    interface eth0
    version 3
    virtual_router_id 51
    priority %d
    advert_int %g
    virtual_ipaddress {
        %v/16
    }
}
`, o.priority(i), o.interval.Seconds(), virtual)
}

func (o *options) run(ctx context.Context) error {
	const pollsPerSecond = 50
	var names []string
	for i := range o.nodes {
		names = append(names, fmt.Sprintf("node%d", i+1))
	}
	l, err := lab.New(1, append(names, "client")...)
	if err != nil {
		return err
	}
	defer l.Close()

	d := &show{options: *o, lab: l, began: time.Now(), view: newView(*o, names, "█ holds the address  · waits  × no power")}
	d.states = d.holding
	d.view.printf("%d nodes on one bridge protect %v, each with keepalived and a small web server;", o.nodes, virtual)
	d.view.printf("adverts each %v. A client asks for http://%v/ %d times a second.", o.interval, virtual, pollsPerSecond)
	for i := range o.nodes {
		if err := d.powerOn(i); err != nil {
			return err
		}
	}
	if d.client, err = newClient(l.Node("client"), pollsPerSecond); err != nil {
		return err
	}
	defer d.client.stop()
	return d.play(ctx)
}

// explain adds to an error of the kernel what can be done about it.
func explain(err error) string {
	text := err.Error()
	if strings.Contains(text, "operation not permitted") || strings.Contains(text, "permission denied") {
		text += "\nThe demo needs to make network namespaces. Run it as root (sudo keepalived demo)" + userNamespaceHint()
	}
	if strings.Contains(text, `"ip": executable file not found`) {
		text += "\nInstall iproute2."
	}
	return text
}
