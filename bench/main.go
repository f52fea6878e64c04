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

// target is what ours has to reach.
type target struct {
	Text string
	Met  func(ours, upstream sample) bool
}

var none = target{}

// atMost asks for no more than factor times upstream's value, and worst round.
func atMost(factor float64) target {
	text := "≤ upstream"
	if factor != 1 {
		text = fmt.Sprintf("≤ %g × upstream", factor)
	}
	return target{text, func(o, u sample) bool {
		return o.Value <= factor*u.Value && o.Max <= factor*u.Max
	}}
}

// limit asks for no more than a fixed value.
func limit(v float64, text string) target {
	return target{text, func(o, _ sample) bool { return max(o.Value, o.Max) <= v }}
}

// part measures one row group of the table.
type part struct {
	name  string
	title string
	// network is the lab both programs run in.
	segments int
	nodes    []string
	measure  func(b *bench, l *lab.Lab, p lab.Program) ([]sample, error)
}

type bench struct {
	quick bool
}

// rounds is how often something is repeated.
func (b *bench) rounds(full int) int {
	if b.quick {
		return max(3, full/4)
	}
	return full
}

// span is how long something is watched.
func (b *bench) span(full time.Duration) time.Duration {
	if b.quick {
		return max(4*time.Second, full/6)
	}
	return full
}

var parts = []part{
	{"takeover", "Takeover after SIGKILL of the master: time over Master_Down_Interval, median / max", 1, []string{"a", "b"}, takeover},
	{"bulk", "Many addresses on one instance", 1, []string{"a", "b"}, bulk},
	{"spacing", "Advert spacing of 1 s masters", 4, []string{"a"}, spacing},
	{"load", "Ten instances at 10 ms beside six busy loops", 1, []string{"a", "b"}, load},
	{"scale", "Many instances at 1 s", 16, []string{"a"}, scale},
	{"control", "Stop and reload with 500 instances", 2, []string{"a"}, control},
	{"scripts", "Scripts, and what disturbs: ten masters at 100 ms", 1, []string{"a"}, scripts},
	{"files", "A thousand tracked files", 1, []string{"a"}, files},
	{"reading", "Reading the configuration (-t)", 40, []string{"a"}, reading},
}

func main() {
	if len(os.Args) > 3 && os.Args[1] == stopwatch {
		if err := runStopwatch(os.Args[2], os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	var (
		b         bench
		only      = flag.String("parts", "", "comma separated `list` of parts: "+partNames())
		oursPath  = flag.String("ours", "", "`program` to measure (built if empty)")
		upstream  = flag.String("upstream", lab.C().Path, "`program` to compare with")
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
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
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
		rows, err := b.run(p, programs)
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", p.name, err)
		}
		printTable(p, rows)
		results = append(results, rows...)
	}
	if *jsonPath != "" {
		text, _ := json.MarshalIndent(results, "", "  ")
		if err := os.WriteFile(*jsonPath, append(text, '\n'), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
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
	hasMax, has, hasTheirs bool
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
		samples, merr := p.measure(b, l, program)
		if merr != nil {
			err = fmt.Errorf("%s: %w", program.Name, merr)
			fmt.Fprintln(os.Stderr, "bench:", p.name, err)
		}
		for _, s := range samples {
			i := slices.IndexFunc(rows, func(r row) bool { return r.What == s.What })
			if i < 0 {
				i = len(rows)
				rows = append(rows, row{Part: p.name, What: s.What, Unit: s.Unit, Target: s.Target.Text, hasMax: s.HasMax})
			}
			r := &rows[i]
			if program.Name == "ours" {
				ours[s.What] = s
				r.has, r.Ours, r.OursMax = true, s.Value, s.Max
			} else {
				r.hasTheirs, r.Upstream, r.UpstreamMax = true, s.Value, s.Max
				if o, ok := ours[s.What]; ok && s.Target.Met != nil {
					r.Verdict = "missed"
					if s.Target.Met(o, s) {
						r.Verdict = "ok"
					}
				}
			}
		}
	}
	if lost := l.Err(); lost != nil {
		err = cmp.Or(err, fmt.Errorf("not all was seen: %w", lost))
	}
	return rows, err
}

func printTable(p part, rows []row) {
	fmt.Printf("\n%s\n", p.title)
	fmt.Printf("  %-62s %17s %17s %7s  %-18s %s\n", "", "ours", "upstream", "ratio", "target", "")
	for _, r := range rows {
		ratio := ""
		if r.has && r.hasTheirs && r.Upstream != 0 {
			ratio = fmt.Sprintf("%.2f", r.Ours/r.Upstream)
		}
		fmt.Printf("  %-62s %17s %17s %7s  %-18s %s\n", r.What+" ["+r.Unit+"]",
			cell(r.has, r.hasMax, r.Ours, r.OursMax), cell(r.hasTheirs, r.hasMax, r.Upstream, r.UpstreamMax), ratio, r.Target, r.Verdict)
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

// ms is a duration in milliseconds.
func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// summary is the sample of several rounds: median and worst.
func summary(what, unit string, rounds []float64, t target) sample {
	if len(rounds) == 0 {
		return sample{What: what, Unit: unit, Target: t}
	}
	sorted := slices.Sorted(slices.Values(rounds))
	return sample{What: what, Unit: unit, Value: sorted[len(sorted)/2], Max: sorted[len(sorted)-1], HasMax: true, Target: t}
}
