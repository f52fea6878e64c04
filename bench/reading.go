package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"keepalived-go/internal/tool/lab"
)

// reading measures the test of a configuration file.
func reading(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	patience := 150 * time.Second
	if b.quick {
		patience = 10 * time.Second
	}
	files := []struct {
		name, text   string
		time, memory target
	}{
		{"~SEQ to 65,024 instances", sequences(8, 32, 254), limit(3000, "≤ 3 s"), limit(1024, "≤ 1 GiB")},
		{"~SEQ to a quarter of that", sequences(2, 32, 254), none, none},
		{"10,000 instances written out", config(many(10000, 100)...), atMost(1), none},
		{"10,000 real servers", realServers(100, 100), atMost(1), none},
	}
	var out []sample
	for _, f := range files {
		var times, memory []float64
		limited := ""
		for range b.rounds(3) {
			took, rss, finished, err := test(l.Node("a"), p, f.text, patience)
			if err != nil {
				return out, fmt.Errorf("%s: %w", f.name, err)
			}
			times, memory = append(times, ms(took)), append(memory, mib(rss))
			if !finished {
				limited = fmt.Sprintf("%s did not finish: %s ended after %v", f.name, p.Name, patience)
				break
			}
		}
		if limited != "" {
			fmt.Println("  " + limited)
		}
		out = append(out, summary(f.name+": time", "ms", times, f.time), summary(f.name+": memory", "MiB", memory, f.memory))
	}
	return out, nil
}

// test runs the program with -t, and returns how long it took and the largest resident
// memory. It kills the program when patience ends.
func test(n *lab.Node, p lab.Program, text string, patience time.Duration) (took time.Duration, rss int64, finished bool, err error) {
	file := filepath.Join(n.Dir, "big.conf")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return 0, 0, false, err
	}
	self, err := os.Executable()
	if err != nil {
		return 0, 0, false, err
	}
	out, err := n.Run(self, stopwatch, patience.String(), p.Path, "-t", "-f", file)
	if err != nil {
		return 0, 0, false, err
	}
	_, err = fmt.Sscan(out, &took, &rss, &finished)
	return took, rss << 10, finished, err
}

// stopwatch as first argument makes this program run the other arguments as a command.
// This needs a small process because the kernel counts the memory of the process that
// starts a program as the program's own.
const stopwatch = "-stopwatch"

func runStopwatch(patience string, command []string) error {
	limit, err := time.ParseDuration(patience)
	if err != nil {
		return err
	}
	c := exec.Command(command[0], command[1:]...)
	began := time.Now()
	if err := c.Start(); err != nil {
		return err
	}
	timer := time.AfterFunc(limit, func() { c.Process.Kill() })
	c.Wait() // the exit code is the verdict of -t on the file
	took := time.Since(began)
	fmt.Println(int64(took), c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss, timer.Stop())
	return nil
}

// sequences returns one instance that is expanded a*b*c times.
func sequences(a, b, c int) string {
	return fmt.Sprintf(`$ROUTER= \
track_file weight_of_${A}_${B}_${C} { \
    file "/var/lib/weights/${A}/${B}/${C}" \
    weight -100 \
} \
vrrp_instance router_${A}_${B}_${C} { \
    interface eth${B} \
    virtual_router_id ${C} \
    priority 130 \
    virtual_ipaddress { \
        10.${A}.${B}.${C}/24 \
    } \
    track_file { \
        weight_of_${A}_${B}_${C} \
    } \
}
~SEQ(A,0,%d) ~SEQ(B,0,%d) ~SEQ(C,1,%d) $ROUTER
`, a-1, b-1, c)
}

func realServers(services, each int) string {
	var b strings.Builder
	for i := range services {
		fmt.Fprintf(&b, "virtual_server 10.1.%d.1 80 {\n  delay_loop 5\n  lb_algo rr\n  lb_kind NAT\n  protocol TCP\n", i)
		for j := range each {
			fmt.Fprintf(&b, "  real_server 10.2.%d.%d 80 {\n    weight 1\n    TCP_CHECK {\n      connect_timeout 3\n    }\n  }\n", i, j+1)
		}
		b.WriteString("}\n")
	}
	return b.String()
}
