package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// disturbed is ten masters at 100 ms, whose spacing is measured, and a backup that a file
// sends into FAULT and back: each time there is something to log and to mail.
type disturbed struct {
	l       *lab.Lab
	p       lab.Program
	blocks  string // before the instances
	global  string // lines of global_defs
	tracked string // lines of the first instance
}

const disturbedInterval = 100 * time.Millisecond

func (d *disturbed) file(name string) string { return filepath.Join(d.l.Node("a").Dir, name) }

func (d *disturbed) config() string {
	var b strings.Builder
	fmt.Fprintf(&b, "global_defs {\n  router_id bench\n%s}\ntrack_file bad {\n  file %s\n}\n%s", d.global, d.file("bad"), d.blocks)
	for i := range 10 {
		r := router{name: fmt.Sprintf("VI_%d", i), vrid: i + 1, priority: 100, version: 3, interval: disturbedInterval,
			vips: []netip.Addr{lab.SegmentAddr(0, 1000+i)}}
		more := ""
		if i == 0 {
			more = d.tracked
		}
		b.WriteString(with(r, more))
	}
	flapping := router{name: "flapping", vrid: 100, priority: 100, version: 3, interval: 40 * time.Second,
		vips: []netip.Addr{lab.SegmentAddr(0, 2000)}}
	b.WriteString(with(flapping, "  track_file {\n    bad weight 0\n  }\n"))
	return b.String()
}

// with returns the router with additional lines.
func with(r router, lines string) string {
	return strings.TrimSuffix(r.String(), "}\n") + lines + "}\n"
}

// start waits until the ten are masters and have sent their announcements. It also
// returns the FIFO into which the daemon logs.
func (d *disturbed) start() (*lab.Daemon, *os.File, error) {
	if err := os.WriteFile(d.file("bad"), []byte("0\n"), 0o644); err != nil {
		return nil, nil, err
	}
	config, log := d.file("disturbed.conf"), d.file("log")
	if err := os.WriteFile(config, []byte(d.config()), 0o644); err != nil {
		return nil, nil, err
	}
	os.Remove(log)
	if err := unix.Mkfifo(log, 0o600); err != nil {
		return nil, nil, err
	}
	reader, err := os.OpenFile(log, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	daemon, err := d.l.Node("a").StartWith(lab.Program{Name: d.p.Name, Path: "/bin/sh"}, "-c", `exec "$0" "$@" >`+log+` 2>&1`,
		d.p.Path, "-n", "-l", "-D", "-G", "-f", config, "-p", d.file("k.pid"), "-r", d.file("vrrp.pid"), "-c", d.file("c.pid"), "-b", d.file("b.pid"))
	if err != nil {
		reader.Close()
		return nil, nil, err
	}
	ten := many(10, 100)
	if _, err := allMaster(d.l, ten, daemon.Started); err != nil {
		reader.Close()
		daemon.Kill()
		return nil, nil, err
	}
	time.Sleep(2 * time.Second)
	return daemon, reader, nil
}

// watch measures the spacing, and the longest interval without an advert of any of the
// ten, for the time span. With flap it changes the file every 50 ms meanwhile.
func (d *disturbed) watch(span time.Duration, flap bool) (p99, silence time.Duration) {
	d.l.Forget()
	from := time.Now()
	ticks := time.NewTicker(50 * time.Millisecond)
	defer ticks.Stop()
	for i := 0; time.Since(from) < span; i++ {
		<-ticks.C
		if flap {
			os.WriteFile(d.file("bad"), []byte(strconv.Itoa(1-i%2)+"\n"), 0o644)
		}
	}
	to := time.Now()
	_, p99, _ = gaps(d.l, d.l.Node("a"), from, to, disturbedInterval)
	for vrid := range uint8(10) {
		last := from
		for _, e := range d.l.Events(from, to, func(e *lab.Event) bool { return e.Kind == lab.Advert && e.VRID == vrid+1 }) {
			silence = max(silence, e.Time.Sub(last))
			last = e.Time
		}
		silence = max(silence, to.Sub(last))
	}
	if p99 == 0 { // there was not a second advert
		p99 = silence
	}
	return p99, silence
}

// scripts measures the cost of 255 scripts per second, and the effect of these, of a
// silent mail server and of a log without a reader on the adverts.
func scripts(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	var blocks, tracked strings.Builder
	tracked.WriteString("  track_script {\n")
	for i := range 255 {
		fmt.Fprintf(&blocks, "vrrp_script s%d {\n  script /bin/true\n  interval 1\n}\n", i)
		fmt.Fprintf(&tracked, "    s%d weight 1\n", i)
	}
	tracked.WriteString("  }\n")
	silent, err := silentServer(l.Node("a"))
	if err != nil {
		return nil, err
	}
	defer silent.Close()
	const mail = "  notification_email {\n    ops@example.com\n  }\n  notification_email_from keepalived@example.com\n  smtp_server 127.0.0.1\n  smtp_alert\n"

	var out []sample
	for _, c := range []struct {
		name       string
		d          disturbed
		flap, full bool
	}{
		{name: "alone"},
		{name: "255 scripts at 1 s", d: disturbed{blocks: blocks.String(), tracked: tracked.String()}},
		{name: "a mail server that says nothing", d: disturbed{global: mail}, flap: true},
		{name: "a log that nobody reads", flap: true, full: true},
	} {
		c.d.l, c.d.p = l, p
		daemon, log, err := c.d.start()
		if err != nil {
			return out, fmt.Errorf("%s: %w", c.name, err)
		}
		read := drain(log)
		if c.full {
			log.SetReadDeadline(time.Now())
			<-read
			fill(log)
		}
		before, cpu, began := totalCPU(daemon.Pids()), daemon.Usage().CPU, time.Now()
		p99, silence := c.d.watch(max(8*time.Second, b.span(20*time.Second)), c.flap)
		spent := float64(time.Since(began)) / 100
		if strings.HasPrefix(c.name, "255") {
			out = append(out,
				sample{What: "255 scripts at 1 s: CPU of the daemon", Unit: "% of a core", Value: float64(daemon.Usage().CPU-cpu) / spent, Target: atMost(1)},
				sample{What: "255 scripts at 1 s: CPU with that of the scripts", Unit: "% of a core", Value: float64(totalCPU(daemon.Pids())-before) / spent, Target: atMost(1)})
		}
		out = append(out,
			sample{What: "spacing at 100 ms, " + c.name + ": 99 % within", Unit: "ms", Value: ms(p99), Target: atMost(1)},
			sample{What: "longest silence, " + c.name, Unit: "ms", Value: ms(silence), Target: atMost(1)})
		if c.full {
			log.SetReadDeadline(time.Time{})
			drain(log)
		}
		stopped := daemon.Stop()
		log.Close()
		if stopped != nil {
			daemon.Kill()
			return out, fmt.Errorf("%s: %w", c.name, stopped)
		}
		l.Forget()
	}
	return out, nil
}

// drain reads until the deadline or the end, and then closes the channel.
func drain(f *os.File) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for err := error(nil); err == nil; {
			_, err = f.Read(buf)
		}
	}()
	return done
}

// fill writes into a FIFO until it is full.
func fill(f *os.File) {
	for _, size := range []int{4096, 1} {
		f.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		for err := error(nil); err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
}

// silentServer accepts connections to 127.0.0.1:25 of the node and sends nothing.
func silentServer(n *lab.Node) (l net.Listener, err error) {
	err = n.Do(func() (err error) {
		l, err = net.Listen("tcp", "127.0.0.1:25")
		return err
	})
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				defer c.Close()
			}
		}
	}()
	return l, nil
}

// totalCPU returns the CPU time of the processes and of their descendants that have
// ended.
func totalCPU(pids []int) (total time.Duration) {
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		const utime, ticks = 11, 10 * time.Millisecond // four fields in a row; USER_HZ is 100
		for _, field := range f[utime : utime+4] {
			n, _ := strconv.ParseInt(field, 10, 64)
			total += time.Duration(n) * ticks
		}
	}
	return total
}
