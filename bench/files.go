package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"keepalived-go/internal/tool/lab"
)

// files measures the cost of a thousand tracked files, and how soon a number in one of
// them is on the wire.
func files(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	const n = 1000
	dir := filepath.Join(l.Node("a").Dir, "files")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	write := func(i, value int) error {
		return os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), []byte(strconv.Itoa(value)+"\n"), 0o644)
	}
	var blocks, tracked strings.Builder
	tracked.WriteString("  track_file {\n")
	for i := range n {
		if err := write(i, 0); err != nil {
			return nil, err
		}
		fmt.Fprintf(&blocks, "track_file f%d {\n  file %s/%d\n}\n", i, dir, i)
		fmt.Fprintf(&tracked, "    f%d\n", i)
	}
	tracked.WriteString("  }\n")
	run := func(interval time.Duration) (*lab.Daemon, error) {
		r := router{name: "VI_1", vrid: 1, priority: 100, version: 3, interval: interval, vips: []netip.Addr{lab.SegmentAddr(0, 1000)}}
		d, err := l.Node("a").Start(p, blocks.String()+config()+with(r, tracked.String()))
		if err != nil {
			return nil, err
		}
		_, err = allMaster(l, []router{r}, d.Started)
		return d, err
	}

	d, err := run(time.Second)
	if err != nil {
		return nil, err
	}
	time.Sleep(6 * time.Second) // the second announcements are sent after 5 s
	before, began := runTime(d.Pids()), time.Now()
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	for i := range int(max(8*time.Second, b.span(20*time.Second)) / time.Second) {
		<-ticks.C
		err = cmp.Or(err, write(i%n, 1))
	}
	percent := 100 * float64(runTime(d.Pids())-before) / float64(time.Since(began))
	for i := range n {
		err = cmp.Or(err, write(i, 0))
	}
	if err = cmp.Or(err, d.Stop()); err != nil {
		return nil, err
	}
	l.Forget()

	var delays []float64
	const interval = 10 * time.Millisecond
	if d, err = run(interval); err != nil {
		return nil, err
	}
	defer d.Stop()
	for i := range b.rounds(100) {
		time.Sleep(time.Duration(50+i%10) * time.Millisecond) // at any moment between two adverts
		from := time.Now()
		if err := write(i, 1); err != nil {
			return nil, err
		}
		e, ok := l.Wait(from, 5*time.Second, func(e *lab.Event) bool { return e.Kind == lab.Advert && int(e.Priority) == 101+i })
		if !ok {
			return nil, fmt.Errorf("change %d is not on the wire", i)
		}
		delays = append(delays, ms(e.Time.Sub(from)))
	}
	l.Forget()
	return []sample{
		{What: "CPU of a master, one change per second", Unit: "% of a core", Value: percent, Target: atMost(1)},
		summary("from the write to the priority on the wire, adverts at 10 ms", "ms", delays, atMost(1)),
	}, nil
}

// runTime returns the CPU time of the threads of the processes, to the nanosecond: the
// sums in stat count hundredths of a second, which is too coarse for this.
func runTime(pids []int) (total time.Duration) {
	for _, pid := range pids {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		for _, thread := range threads {
			stat, _ := os.ReadFile(thread)
			used, _, _ := strings.Cut(string(stat), " ")
			n, _ := strconv.ParseInt(used, 10, 64)
			total += time.Duration(n)
		}
	}
	return total
}
