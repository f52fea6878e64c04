package vrrptest

import (
	"bufio"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"keepalived-go/vrrp"
)

// Play runs a scenario and returns its text with the outcome written below each
// command. A line is a command, a comment after '#', or, if it is indented, an
// outcome that an earlier run wrote, which Play replaces. The caller compares the
// two texts.
//
//	node NAME [KEY=VALUE]...  adds a node and starts it, unless start=no.
//	                          prio, advert, version, family, vip (several by
//	                          comma), nopreempt, preempt-delay, unicast, auth
//	                          (pass, ah), hmac (enforce), garp (REPEAT/DELAY),
//	                          refresh, addr, hold, seg (segments by comma: one
//	                          virtual router on each), sync
//	run DURATION              advances the time
//	cut NAME [NAME]           cuts a node, or two from each other
//	oneway FROM TO            cuts one direction
//	heal                      ends cuts and loss
//	loss PERCENT              loses packets at random
//	stop, kill, pause, cont NAME
//	start NAME [resume] [hold=D]
//	priority NAME N           effective priority after tracking
//	fault NAME FAULT          link-down, tracker, ...
//	clear NAME                ends all faults
//	hold NAME                 stays backup; leave NAME: leaves masters alone; release NAME
//	switchover NAME [force]   hands over
//	lose-address NAME         another program removes an address
//	reload NAME KEY=VALUE...
//	record NAME               records the packets that it sends from now on
//	replay NAME every=D       a foreign node repeats the recorded packets
//	sequence NAME N           the AH sequence number that its next start finds is N
//	expect NAME STATE [within DURATION]
//	adverts on|off            whether plain adverts are written too
//
// NAME is the name of a node, or NODE/SEGMENT for one of several virtual routers.
func Play(text string) (string, error) {
	p := player{lan: New(1)}
	p.lan.Observe = p.observe
	in := bufio.NewScanner(strings.NewReader(text))
	for n := 1; in.Scan(); n++ {
		line := in.Text()
		if strings.HasPrefix(line, " ") {
			continue
		}
		p.out.WriteString(line + "\n")
		command, _, _ := strings.Cut(line, "#")
		words := strings.Fields(command)
		if len(words) == 0 {
			continue
		}
		if err := p.command(words[0], words[1:]); err != nil {
			return p.out.String(), fmt.Errorf("line %d: %s: %w", n, line, err)
		}
	}
	return p.out.String(), nil
}

type player struct {
	lan     *LAN
	out     strings.Builder
	adverts bool
}

// observe writes the actions of a step. It leaves out a regular advert of a master.
func (p *player) observe(_ *Node, ev vrrp.Event, actions []vrrp.Action) {
	if !p.adverts && len(actions) == 1 && actions[0].Kind == vrrp.SendAdvert && ev.Kind == vrrp.Expiry {
		return
	}
	for _, a := range actions {
		fmt.Fprintf(&p.out, "  %-11v %v\n", p.lan.Now, a)
	}
}

func (p *player) command(verb string, args []string) error {
	l := p.lan
	arg := func(n int) string {
		if n < len(args) {
			return args[n]
		}
		return ""
	}
	switch verb {
	case "node":
		return p.node(arg(0), args[min(1, len(args)):])
	case "run":
		d, err := time.ParseDuration(arg(0))
		l.Run(d)
		return err
	case "cut":
		l.Cut(arg(0), arg(1))
		return nil
	case "oneway":
		l.CutOneWay(arg(0), arg(1))
		return nil
	case "heal":
		l.Heal()
		l.Loss = 0
		return nil
	case "loss":
		percent, err := strconv.ParseFloat(strings.TrimSuffix(arg(0), "%"), 64)
		l.Loss = percent / 100
		return err
	case "adverts":
		p.adverts = arg(0) == "on"
		return nil
	case "stop", "kill", "pause", "cont", "start":
		n := l.Node(arg(0))
		if n == nil {
			return fmt.Errorf("no node %q", arg(0))
		}
		return p.daemon(n, verb, args[1:])
	}
	r := l.Router(arg(0))
	if r == nil {
		return fmt.Errorf("no router %q, or no command %q", arg(0), verb)
	}
	switch verb {
	case "priority":
		prio, err := strconv.ParseUint(arg(1), 10, 8)
		r.Step(vrrp.Event{Kind: vrrp.PriorityChanged, Priority: uint8(prio)})
		return err
	case "fault":
		for f := vrrp.Faults(1); f <= vrrp.FaultRemoved; f <<= 1 {
			if f.String() == arg(1) {
				r.SetFaults(r.Faults | f)
				return nil
			}
		}
		return fmt.Errorf("no fault %q", arg(1))
	case "hold":
		r.Step(vrrp.Event{Kind: vrrp.Restrain, Restraint: vrrp.StaysBackup})
	case "leave":
		r.Step(vrrp.Event{Kind: vrrp.Restrain, Restraint: vrrp.LeavesMasters})
	case "release":
		r.Step(vrrp.Event{Kind: vrrp.Restrain})
	case "switchover":
		for _, m := range r.node.members(r) {
			m.Step(vrrp.Event{Kind: vrrp.HandOver, Force: arg(1) == "force"})
		}
	case "clear":
		r.SetFaults(0)
	case "lose-address":
		r.Step(vrrp.Event{Kind: vrrp.AddressLost})
	case "record":
		l.Record(r)
	case "replay":
		every, err := time.ParseDuration(strings.TrimPrefix(arg(1), "every="))
		l.Replay(r, every)
		return err
	case "sequence":
		n, err := strconv.ParseUint(arg(1), 10, 32)
		r.snapshot.AHSequence = uint32(n)
		return err
	case "reload":
		c := r.Config
		for _, o := range args[1:] {
			if err := set(&c, o); err != nil {
				return err
			}
		}
		r.Reload(c)
	case "expect":
		return p.expect(r, arg(1), arg(3))
	default:
		return fmt.Errorf("no command %q", verb)
	}
	return nil
}

func (p *player) daemon(n *Node, verb string, args []string) error {
	switch verb {
	case "stop":
		n.Stop()
	case "kill":
		n.Kill()
	case "pause":
		n.Pause()
	case "cont":
		n.Continue()
	case "start":
		var hold time.Duration
		resume := false
		for _, o := range args {
			if o == "resume" {
				resume = true
				continue
			}
			var err error
			if hold, err = time.ParseDuration(strings.TrimPrefix(o, "hold=")); err != nil {
				return err
			}
		}
		n.Start(hold, resume)
	}
	return nil
}

func (p *player) expect(r *Router, state, within string) error {
	var d time.Duration
	if within != "" {
		var err error
		if d, err = time.ParseDuration(within); err != nil {
			return err
		}
	}
	took, ok := p.lan.RunUntil(d, func() bool { return r.State().String() == state })
	if !ok {
		return fmt.Errorf("%s is %v after %v", r.Name, r.State(), took)
	}
	return nil
}

// node adds a node. The n-th node has the address 10.0.0.n or fe80::n.
func (p *player) node(name string, options []string) error {
	number := len(p.lan.Nodes) + 1
	c := vrrp.Config{
		VRID:     51,
		Family:   vrrp.IPv4,
		Announce: vrrp.Announcements{},
	}
	segments := []string{""}
	sync, start := false, true
	var hold time.Duration
	source := ""
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		var err error
		switch key {
		case "seg":
			segments = strings.Split(value, ",")
		case "sync":
			sync = true
		case "start":
			start = value != "no"
		case "addr":
			source = value
		case "hold":
			hold, err = time.ParseDuration(value)
		default:
			err = set(&c, o)
		}
		if err != nil {
			return err
		}
	}
	c.Group = netip.MustParseAddr("224.0.0.18")
	base := "10.0.0."
	if c.Family == vrrp.IPv6 {
		c.Group = netip.MustParseAddr("ff02::12")
		base = "fe80::"
	}
	if source == "" {
		source = base + strconv.Itoa(number)
	}
	src, err := netip.ParseAddr(source)
	if err != nil {
		return err
	}
	var routers []Router
	for _, s := range segments {
		c.Name = s
		routers = append(routers, Router{Segment: s, Source: src, Config: c})
	}
	n := p.lan.Add(name, routers...)
	n.Sync = sync
	if start {
		n.Start(hold, false)
	}
	return nil
}

// set applies one KEY=VALUE to a configuration.
func set(c *vrrp.Config, option string) (err error) {
	key, value, _ := strings.Cut(option, "=")
	var n uint64
	switch key {
	case "prio":
		n, err = strconv.ParseUint(value, 10, 8)
		c.Priority = uint8(n)
	case "version":
		n, err = strconv.ParseUint(value, 10, 8)
		c.Version = uint8(n)
	case "vrid":
		n, err = strconv.ParseUint(value, 10, 8)
		c.VRID = uint8(n)
	case "family":
		n, err = strconv.ParseUint(value, 10, 8)
		c.Family = vrrp.Family(n)
	case "advert":
		c.AdvertInterval, err = time.ParseDuration(value)
	case "down":
		c.DownTimerAdverts, err = strconv.Atoi(value)
	case "vip":
		c.Addresses = nil
		for s := range strings.SplitSeq(value, ",") {
			a, err := netip.ParseAddr(s)
			if err != nil {
				return err
			}
			c.Addresses = append(c.Addresses, a)
		}
	case "unicast":
		c.Unicast, c.Peers = true, nil
		for s := range strings.SplitSeq(value, ",") {
			a, err := netip.ParseAddr(s)
			if err != nil {
				return err
			}
			c.Peers = append(c.Peers, vrrp.Peer{Addr: a, MaxTTL: 255})
		}
	case "nopreempt":
		c.NoPreempt = value != "no"
	case "timer-expired-backup":
		c.TimerExpiredBackup = 1
	case "preempt-delay":
		c.PreemptDelay, err = time.ParseDuration(value)
	case "owner-ignore-adverts":
		c.OwnerIgnoreAdverts = true
	case "lower-no-advert":
		c.LowerPriorityNoAdvert = true
	case "higher-send-advert":
		c.HigherPrioritySendAdvert = true
	case "as-v2":
		c.ChecksumAsV2 = true
	case "old-checksum":
		c.OldUnicastChecksum = vrrp.OldChecksumAlways
	case "auth":
		switch value {
		case "pass":
			c.Auth = vrrp.AuthPass
		case "ah":
			c.Auth = vrrp.AuthAH
		default:
			return fmt.Errorf("no authentication %q", value)
		}
		copy(c.Key[:], "secret")
	case "hmac":
		c.HMAC = vrrp.HMAC{Mode: vrrp.HMACEnforce, SendKey: 1, Keys: map[uint8][]byte{1: []byte(strings.Repeat("k", 32))}}
	case "garp":
		repeat, delay, _ := strings.Cut(value, "/")
		c.Announce.Repeat, err = strconv.Atoi(repeat)
		c.Announce.LowerRepeat = c.Announce.Repeat
		if err == nil && delay != "" {
			c.Announce.Delay, err = time.ParseDuration(delay)
			c.Announce.LowerDelay = c.Announce.Delay
		}
	case "refresh":
		c.Announce.RefreshRepeat = 1
		c.Announce.Refresh, err = time.ParseDuration(value)
	default:
		return fmt.Errorf("no option %q", key)
	}
	return err
}
