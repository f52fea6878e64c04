// Bench compares keepalived-go with the C daemon on this machine: both in turn
// in the same namespaces, doing the same thing. It reads times only from the
// wire (kernel receive times of frames) and from the kernel (netlink events,
// /proc), never from a log.
//
//	go run ./bench              everything, several minutes
//	go run ./bench -quick       fewer rounds, shorter
//	go run ./bench -parts takeover,stop
//
// It needs root and Debian's keepalived. Timings on a busy machine are worth
// little; the exit code is 0 whatever they are.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"keepalived-go/internal/tool/lab"
	"keepalived-go/internal/tool/lab/uml"
)

// sample is one measured quantity of one program.
type sample struct {
	What   string
	Unit   string
	Value  float64
	Max    float64 // with HasMax: Value is a median, Max the worst round
	HasMax bool
	Target target
}

// target is the requirement for ours.
type target struct {
	Text  string
	Met   func(ours, upstream sample) bool
	Fixed bool // Met does not look at upstream's
}

var none = target{}

// atMost requires at most factor times upstream's value, for median and worst round.
func atMost(factor float64) target {
	text := "≤ upstream"
	if factor != 1 {
		text = fmt.Sprintf("≤ %g × upstream", factor)
	}
	return target{text, func(o, u sample) bool {
		return o.Value <= factor*u.Value && o.Max <= factor*u.Max
	}, false}
}

// limit requires at most a fixed value.
func limit(v float64, text string) target {
	return target{text, func(o, _ sample) bool { return max(o.Value, o.Max) <= v }, true}
}

// medianAtMost requires at most a fixed value for the median round, whatever the worst is.
func medianAtMost(v float64, unit string) target {
	return target{fmt.Sprintf("median ≤ %g %s", v, unit), func(o, _ sample) bool { return o.Value <= v }, true}
}

// atLeast requires at least a fixed value.
func atLeast(v float64) target {
	return target{fmt.Sprintf("≥ %g", v), func(o, _ sample) bool { return o.Value >= v }, true}
}

// part measures one row group of the table.
type part struct {
	name  string
	title string
	// segments and nodes describe the lab in which both programs run.
	segments int
	nodes    []string
	measure  func(b *bench, l *lab.Lab, p lab.Program) ([]sample, error)
	// machine requests a User-Mode Linux, with features that this kernel may lack.
	machine bool
	// alone means that the C daemon has no such feature.
	alone bool
}

type bench struct {
	quick bool
}

// rounds returns the number of repetitions.
func (b *bench) rounds(full int) int {
	if b.quick {
		return max(3, full/4)
	}
	return full
}

// span returns the duration of an observation.
func (b *bench) span(full time.Duration) time.Duration {
	if b.quick {
		return max(4*time.Second, full/6)
	}
	return full
}

var parts = []part{
	{name: "takeover", title: "Takeover after SIGKILL of the master: time over Master_Down_Interval, median / max", segments: 1, nodes: []string{"a", "b"}, measure: takeover},
	{name: "bulk", title: "Many addresses on one instance", segments: 1, nodes: []string{"a", "b"}, measure: bulk},
	{name: "routes", title: "10,000 routes of one instance", segments: 1, nodes: []string{"a", "b"}, measure: routes},
	{name: "spacing", title: "Advert spacing of 1 s masters", segments: 4, nodes: []string{"a"}, measure: spacing},
	{name: "load", title: "Ten instances at 10 ms beside six busy loops", segments: 1, nodes: []string{"a", "b"}, measure: load},
	{name: "scale", title: "Many instances at 1 s", segments: 16, nodes: []string{"a"}, measure: scale},
	{name: "control", title: "Stop and reload with 500 instances", segments: 2, nodes: []string{"a"}, measure: control},
	{name: "vmacs", title: "A hundred virtual MAC addresses", segments: 1, nodes: []string{"a"}, measure: vmacs},
	{name: "scripts", title: "Scripts, and what disturbs: ten masters at 100 ms", segments: 1, nodes: []string{"a"}, measure: scripts},
	{name: "files", title: "A thousand tracked files", segments: 1, nodes: []string{"a"}, measure: files},
	{name: "reading", title: "Reading the configuration (-t)", segments: 40, nodes: []string{"a"}, measure: reading},
	{name: "walk", title: "SNMP: a walk of all objects of 1,000 masters", segments: 4, nodes: []string{"a"}, measure: walk},
	{name: "snapshot", title: "The state of 4,000 masters as text", segments: 16, nodes: []string{"a"}, measure: snapshot},
	{name: "scrapes", title: "Ten scrapes a second and 200 listeners, of which 100 never read: ours only, the C daemon has no metrics", segments: 4, nodes: []string{"a"}, measure: scrapes, alone: true},
	{name: "bfd", title: "BFD: both ends the same program", segments: 1, nodes: []string{"a", "b"}, measure: bfdSessions},
	{name: "tables", title: "Load balancing: large tables (both in one User-Mode Linux)", segments: 1, nodes: []string{"a"}, measure: tables, machine: true},
	{name: "checking", title: "Load balancing: what checks cost (both in one User-Mode Linux)", segments: 1, nodes: []string{"a"}, measure: checking, machine: true},
	{name: "reaction", title: "Load balancing: from a result to the table (both in one User-Mode Linux)", segments: 1, nodes: []string{"a"}, measure: reaction, machine: true},
	{name: "keeping", title: "Load balancing: connections (both in one User-Mode Linux)", segments: 1, nodes: []string{"a"}, measure: keeping, machine: true},
	{name: "checks", title: "Health checks on this machine, without a load balancer: ours only, the C daemon needs one", segments: 1, nodes: []string{"a", "b"}, measure: checks, alone: true},
}

// helpers maps the first argument to what this program does as a subprocess.
var helpers = map[string]func(args []string) error{
	stopwatch: func(args []string) error { return runStopwatch(args[0], args[1:]) },
	bareLoop:  func(args []string) error { return runBareLoop(args[0], args[1], args[2]) },
	counter:   func(args []string) error { return runCounter(args[0]) },
}

func main() {
	if len(os.Args) > 2 {
		if helper := helpers[os.Args[1]]; helper != nil {
			if err := helper(os.Args[2:]); err != nil {
				fatal(err)
			}
			return
		}
	}
	var (
		b         bench
		only      = flag.String("parts", "", "comma separated `list` of parts: "+partNames())
		oursPath  = flag.String("ours", "", "`program` to measure (built if empty)")
		upstream  = flag.String("upstream", lab.C().Path, "`program` to compare with")
		rowsOnly  = flag.Bool("rows", false, "print results as JSON instead of tables")
		jsonPath  = flag.String("json", "", "also write the results to this `file`")
		onlyOurs  = flag.Bool("only-ours", false, "do not run upstream")
		onlyTheir = flag.Bool("only-upstream", false, "do not run ours")
	)
	flag.BoolVar(&b.quick, "quick", false, "fewer rounds and shorter watches")
	flag.Parse()

	var programs []lab.Program
	if !*onlyTheir {
		path, cleanup, err := build(*oursPath)
		if err != nil {
			fatal(err)
		}
		defer cleanup()
		programs = append(programs, lab.Program{Name: "ours", Path: path})
	}
	if !*onlyOurs {
		programs = append(programs, lab.Program{Name: "upstream", Path: *upstream})
	}

	var results []row
	for _, p := range parts {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), p.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %s …\n", p.name) // a part may take minutes
		run := b.run
		if p.machine && !uml.Inside() {
			run = b.runInMachine
		}
		rows, err := run(p, programs)
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", p.name, err)
		}
		if !*rowsOnly {
			printTable(p, rows)
		}
		results = append(results, rows...)
	}
	if *rowsOnly {
		text, err := json.Marshal(results)
		if err != nil {
			fatal(err)
		}
		fmt.Printf("%s%s\n", rowsMark, text)
	}
	if *jsonPath != "" {
		text, err := json.MarshalIndent(results, "", "  ")
		if err == nil {
			err = os.WriteFile(*jsonPath, append(text, '\n'), 0o644)
		}
		if err != nil {
			fatal(err)
		}
	}
}

func partNames() string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return strings.Join(names, ",")
}

// build makes the program, stripped as it is installed.
func build(path string) (string, func(), error) {
	if path != "" {
		return path, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "keepalived-bench-")
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(dir, "keepalived")
	c := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "keepalived-go/cmd/keepalived")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		os.RemoveAll(dir)
		return "", nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, func() { os.RemoveAll(dir) }, nil
}

// row is one line of the table.
type row struct {
	Part, What, Unit       string
	Ours, Upstream         float64
	OursMax, UpstreamMax   float64 `json:",omitempty"`
	Target                 string  `json:",omitempty"`
	Verdict                string  `json:",omitempty"`
	HasMax, Has, HasTheirs bool    `json:",omitempty"`
}

// run measures one part with every program in one network.
func (b *bench) run(p part, programs []lab.Program) ([]row, error) {
	l, err := lab.New(p.segments, p.nodes...)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupted)
	go func() {
		if _, ok := <-interrupted; ok {
			l.Close()
			os.Exit(130)
		}
	}()

	var rows []row
	ours := map[string]sample{}
	for _, program := range programs {
		if p.alone && program.Name != "ours" {
			continue
		}
		samples, merr := p.measure(b, l, program)
		if merr != nil {
			err = fmt.Errorf("%s: %w", program.Name, merr)
			fmt.Fprintln(os.Stderr, "bench:", p.name, err)
		}
		for _, s := range samples {
			i := slices.IndexFunc(rows, func(r row) bool { return r.What == s.What })
			if i < 0 {
				i = len(rows)
				rows = append(rows, row{Part: p.name, What: s.What, Unit: s.Unit, Target: s.Target.Text, HasMax: s.HasMax})
			}
			r := &rows[i]
			if program.Name == "ours" {
				ours[s.What] = s
				r.Has, r.Ours, r.OursMax = true, s.Value, s.Max
			} else {
				r.HasTheirs, r.Upstream, r.UpstreamMax = true, s.Value, s.Max
			}
			if o, ok := ours[s.What]; ok && s.Target.Met != nil && (r.HasTheirs || s.Target.Fixed) {
				r.Verdict = "missed"
				if s.Target.Met(o, s) {
					r.Verdict = "ok"
				}
			}
		}
	}
	if lost := l.Err(); lost != nil {
		err = cmp.Or(err, fmt.Errorf("not all was seen: %w", lost))
	}
	return rows, err
}

// rowsMark precedes the results of a part that runs in a machine.
const rowsMark = "rows: "

// runInMachine measures one part with this program in a User-Mode Linux.
func (b *bench) runInMachine(p part, programs []lab.Program) ([]row, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"-rows", "-parts", p.name}
	for _, flag := range []string{"ours", "upstream"} {
		i := slices.IndexFunc(programs, func(p lab.Program) bool { return p.Name == flag })
		if i >= 0 {
			args = append(args, "-"+flag, programs[i].Path)
			continue
		}
		args = append(args, map[string]string{"ours": "-only-upstream", "upstream": "-only-ours"}[flag])
	}
	if b.quick {
		args = append(args, "-quick")
	}
	c := exec.Command(self, args...)
	var rows []row
	out := &lineWriter{each: func(line string) {
		text, marked := strings.CutPrefix(line, rowsMark)
		if !marked {
			fmt.Fprintln(os.Stderr, line)
		} else if jerr := json.Unmarshal([]byte(text), &rows); jerr != nil {
			err = jerr
		}
	}}
	c.Stdout = out
	_, merr := balancer.Run(context.Background(), c)
	return rows, cmp.Or(merr, err)
}

// lineWriter passes each line that is written to a function.
type lineWriter struct {
	each func(line string)
	rest []byte
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.rest = append(w.rest, b...)
	for {
		line, rest, whole := strings.Cut(string(w.rest), "\n")
		if !whole {
			return len(b), nil
		}
		w.rest = []byte(rest)
		w.each(strings.TrimRight(line, "\r"))
	}
}

func printTable(p part, rows []row) {
	fmt.Printf("\n%s\n", p.title)
	fmt.Printf("  %-62s %17s %17s %7s  %-18s %s\n", "", "ours", "upstream", "ratio", "target", "")
	for _, r := range rows {
		ratio := ""
		if r.Has && r.HasTheirs && r.Upstream != 0 {
			ratio = fmt.Sprintf("%.2f", r.Ours/r.Upstream)
		}
		fmt.Printf("  %-62s %17s %17s %7s  %-18s %s\n", r.What+" ["+r.Unit+"]",
			cell(r.Has, r.HasMax, r.Ours, r.OursMax), cell(r.HasTheirs, r.HasMax, r.Upstream, r.UpstreamMax), ratio, r.Target, r.Verdict)
	}
}

func cell(has, hasMax bool, v, worst float64) string {
	switch {
	case !has:
		return "–"
	case hasMax:
		return number(v) + " / " + number(worst)
	default:
		return number(v)
	}
}

func number(v float64) string {
	switch abs := max(v, -v); {
	case v == float64(int(v)):
		return fmt.Sprintf("%.0f", v)
	case abs >= 100:
		return fmt.Sprintf("%.0f", v)
	case abs >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// ms returns a duration in milliseconds.
func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// summary returns the sample of several rounds: median and worst.
func summary(what, unit string, rounds []float64, t target) sample {
	if len(rounds) == 0 {
		return sample{What: what, Unit: unit, Target: t}
	}
	sorted := slices.Sorted(slices.Values(rounds))
	return sample{What: what, Unit: unit, Value: sorted[len(sorted)/2], Max: sorted[len(sorted)-1], HasMax: true, Target: t}
}

// fatal ends the benchmarks with an error.
func fatal(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}
