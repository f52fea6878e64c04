package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/tool/client"
	"keepalived-go/internal/tool/lab"
)

// These parts ask a daemon for its state, and check the effect on its adverts.

// walkLimit limits the time for the walk of one MIB.
const walkLimit = 2 * time.Minute

// mibs lists the three MIBs of the daemon, with their roots.
var mibs = []struct{ name, root string }{
	{"KEEPALIVED-MIB", ".1.3.6.1.4.1.9586.100.5"},
	{"VRRP-MIB", ".1.3.6.1.2.1.68"},
	{"VRRPV3-MIB", ".1.3.6.1.2.1.207"},
}

// walk measures a program of Net-SNMP that walks all objects of 1,000 masters, of which
// half are of version 2.
func walk(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	defer l.Forget()
	const n, listen = 1000, "127.0.0.1:1161"
	a := l.Node("a")
	if err := a.IP("link set lo up"); err != nil {
		return nil, err
	}
	socket, file := filepath.Join(a.Dir, "agentx"), filepath.Join(a.Dir, "snmpd.conf")
	os.Remove(socket)
	text := fmt.Sprintf("master agentx\nagentXSocket unix:%s\nagentXTimeout 60\nrocommunity public 127.0.0.1\n", socket)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	master, err := a.StartWith(lab.Program{Name: "snmpd", Path: "snmpd"}, "-f", "-C", "-c", file, "-Lf", file+".log", "-m", "", "udp:"+listen)
	if err != nil {
		return nil, err
	}
	defer master.Kill()
	if !l.Until(10*time.Second, func() bool { _, err := os.Stat(socket); return err == nil }) {
		return nil, errors.New("snmpd does not start")
	}
	routers := many(n, 200)
	for i := range n / 2 {
		routers[2*i].version = 2
	}
	d, err := a.Start(p, config(routers...)+"global_defs {\n  enable_snmp_vrrp\n  enable_snmp_rfc\n  snmp_socket unix:"+socket+"\n}\n")
	if err != nil {
		return nil, err
	}
	defer d.Stop()
	if _, err := allMaster(l, routers, d.Started); err != nil {
		return nil, err
	}
	ask := func(program, root string) string {
		out, _ := a.Run("timeout", strconv.Itoa(int(walkLimit.Seconds())), program, "-v2c", "-c", "public", "-m", "", "-One", "-t", "60", "-r", "0", listen, root)
		return out
	}
	state := mibs[0].root + ".2.3.1.4.1"
	if !l.Until(30*time.Second, func() bool { return strings.Contains(ask("snmpget", state), "INTEGER: 2") }) {
		return nil, errors.New("the daemon does not reach snmpd")
	}
	time.Sleep(6 * time.Second) // until the second announcements have been sent
	l.Forget()
	var out []sample
	from := time.Now()
	for _, m := range mibs {
		var times []float64
		objects := 0
		for range b.rounds(3) {
			begun := time.Now()
			objects = strings.Count(ask("snmpbulkwalk", m.root), " = ")
			times = append(times, ms(time.Since(begun)))
			if times[0] > ms(walkLimit)/4 {
				break // it would take no less the next time
			}
		}
		out = append(out, summary(m.name+": snmpbulkwalk", "ms", times, atMost(1)), sample{What: m.name + ": objects", Value: float64(objects)})
	}
	_, p99, worst := gaps(l, a, from, time.Now().Add(time.Second), time.Second)
	return append(out,
		sample{What: "advert spacing meanwhile: 99 % within", Unit: "ms", Value: ms(p99), Target: atMost(1)},
		sample{What: "advert spacing meanwhile: worst", Unit: "ms", Value: ms(worst), Target: atMost(1)}), nil
}

// snapshot measures how a daemon of 4,000 masters writes its state (SIGUSR1), and how it
// answers at its control socket, if it has one.
func snapshot(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	defer l.Forget()
	a := l.Node("a")
	routers := many(4000, 100)
	d, err := a.Start(p, config(routers...))
	if err != nil {
		return nil, err
	}
	defer d.Stop()
	time.Sleep(routers[0].masterDown() + time.Second) // checking so many events takes the daemon's processor
	if _, err := allMaster(l, routers, d.Started); err != nil {
		return nil, err
	}
	time.Sleep(6 * time.Second) // until the second announcements have been sent
	l.Forget()
	var times []float64
	var size int64
	from := time.Now()
	for range b.rounds(5) {
		took, err := dump(d)
		if err != nil {
			return nil, err
		}
		times = append(times, ms(took))
		info, err := os.Stat(filepath.Join(d.Dir, "keepalived.data"))
		if err != nil {
			return nil, err
		}
		size = info.Size()
	}
	_, p99, worst := gaps(l, a, from, time.Now(), time.Second)
	out := []sample{
		summary("SIGUSR1 until the file is complete", "ms", times, atMost(1)),
		{What: "the file", Unit: "MiB", Value: mib(size)},
		{What: "advert spacing meanwhile: 99 % within", Unit: "ms", Value: ms(p99), Target: atMost(1)},
		{What: "advert spacing meanwhile: worst", Unit: "ms", Value: ms(worst), Target: atMost(1)},
	}
	from = time.Now()
	var answers, screens []float64
	socket := filepath.Join(d.Dir, "keepalived.control.sock")
	if _, err := os.Stat(socket); err == nil {
		asks := client.Client{Socket: socket}
		for range b.rounds(20) {
			begun := time.Now()
			if _, err := asks.Get("/v1/status"); err != nil {
				return nil, err
			}
			answers = append(answers, ms(time.Since(begun)))
			time.Sleep(500 * time.Millisecond) // the process rests after an answer
			begun = time.Now()
			if text, err := exec.Command(p.Path, "status", "--socket", socket).CombinedOutput(); err != nil {
				return nil, fmt.Errorf("%w: %s", err, text)
			}
			screens = append(screens, ms(time.Since(begun)))
			time.Sleep(500 * time.Millisecond)
		}
	}
	if len(answers) > 0 {
		_, p99, worst = gaps(l, a, from, time.Now(), time.Second)
		out = append(out, summary("GET /v1/status until the answer is complete", "ms", answers, medianAtMost(50, "ms")),
			summary("keepalived status until it has ended", "ms", screens, medianAtMost(50, "ms")),
			sample{What: "advert spacing beside the answers: 99 % within", Unit: "ms", Value: ms(p99)},
			sample{What: "advert spacing beside the answers: worst", Unit: "ms", Value: ms(worst)})
	}
	return out, nil
}

// dump makes the daemon write keepalived.data, and returns how long that took.
func dump(d *lab.Daemon) (time.Duration, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return 0, err
	}
	events := os.NewFile(uintptr(fd), "inotify")
	defer events.Close()
	// The file is written in place, or renamed into place when it is complete.
	if _, err := unix.InotifyAddWatch(fd, d.Dir, unix.IN_CLOSE_WRITE|unix.IN_MOVED_TO); err != nil {
		return 0, err
	}
	path := filepath.Join(d.Dir, "keepalived.data")
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return 0, err
	}
	begun, took := time.Now(), time.Duration(0)
	if err := d.Signal(unix.SIGUSR1); err != nil {
		return 0, err
	}
	// The last time that it is closed counts: the C daemon truncates it first.
	wait := 30 * time.Second
	for buf := make([]byte, 4096); ; {
		if err := events.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return 0, err
		}
		n, err := events.Read(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && took > 0:
			return took, nil
		case err != nil:
			return 0, fmt.Errorf("no dump is written: %w", err)
		}
		if info, err := os.Stat(path); err == nil && info.Size() > 0 && strings.Contains(string(buf[:n]), "keepalived.data\x00") {
			took, wait = time.Since(begun), 2*time.Second
		}
	}
}

// scrapes reads the metrics of 1,000 masters ten times a second, while 200 clients
// subscribe to events, of which half never read.
func scrapes(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	defer l.Forget()
	const pause, listeners = 100 * time.Millisecond, 200
	a := l.Node("a")
	routers := many(1000, 200)
	d, err := a.Start(p, config(routers...))
	if err != nil {
		return nil, err
	}
	defer d.Stop()
	if _, err := allMaster(l, routers, d.Started); err != nil {
		return nil, err
	}
	time.Sleep(6 * time.Second) // until the second announcements have been sent
	l.Forget()
	spacing := func(name string, from, to time.Time) []sample {
		mean, p99, worst := gaps(l, a, from, to, time.Second)
		return []sample{
			{What: "advert spacing " + name + ": mean error", Unit: "ms", Value: ms(mean)},
			{What: "advert spacing " + name + ": 99 % within", Unit: "ms", Value: ms(p99)},
			{What: "advert spacing " + name + ": worst", Unit: "ms", Value: ms(worst)},
		}
	}
	from, before := time.Now(), d.Usage()
	time.Sleep(b.span(30 * time.Second))
	out := spacing("when idle", from, time.Now())
	out = append(out, sample{What: "memory when idle", Unit: "MiB", Value: mib(before.RSS)})
	l.Forget()

	socket := filepath.Join(d.Dir, "keepalived.control.sock")
	asks := client.Client{Socket: socket}
	var heard atomic.Int64
	for i := range listeners {
		c, err := net.Dial("unix", socket)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /v1/events HTTP/1.1\r\nHost: keepalived\r\n\r\n"); err != nil {
			return nil, err
		}
		if i%2 == 0 {
			continue // this client never reads
		}
		go func() {
			for lines := bufio.NewScanner(c); lines.Scan(); {
				if strings.HasPrefix(lines.Text(), "id: ") {
					heard.Add(1)
				}
			}
		}()
	}
	usage := d.Usage()
	from = time.Now()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	count := int(b.span(1000*pause) / pause)
	times := make([]float64, count)
	var failed atomic.Int64
	var asking sync.WaitGroup
	most := usage
	for i := range count {
		<-tick.C
		asking.Go(func() {
			begun := time.Now()
			_, err := asks.Metrics()
			times[i] = ms(time.Since(begun))
			var done any // an event for the subscribers
			if err := cmp.Or(err, asks.Do(&act.Act{Kind: act.Announce, Name: "VI_0"}, &done)); err != nil && failed.Add(1) == 1 {
				fmt.Fprintln(os.Stderr, "bench:", err) // the first of them
			}
		})
		if i%50 == 0 {
			if u := d.Usage(); u.RSS > most.RSS {
				most = u
			}
		}
	}
	asking.Wait()
	to, after := time.Now(), d.Usage()
	out = append(out, spacing("with scrapes and listeners", from, to)...)
	return append(out,
		summary("GET /metrics", "ms", times, none),
		sample{What: "scrapes and acts without an answer", Value: float64(failed.Load()), Target: limit(0, "none")},
		sample{What: "scrapes a second", Unit: "", Value: float64(len(times)) / to.Sub(from).Seconds()},
		sample{What: "events for each of 100 listeners that read, per scrape", Unit: "", Value: float64(heard.Load()) / (listeners / 2) / float64(len(times))},
		sample{What: "CPU", Unit: "% of a core", Value: 100 * float64(after.CPU-usage.CPU) / float64(to.Sub(from))},
		sample{What: "memory, at most", Unit: "MiB", Value: mib(max(most.RSS, after.RSS))}), nil
}
