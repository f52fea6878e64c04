package test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
)

// testNamespaces checks that the table is in the network namespace that the configuration
// names, as with the C daemon.
func testNamespaces(t *testing.T) {
	s := newScene(t, "caller")
	n := s.Node("caller")
	for _, name := range []string{"blue", "red"} {
		s.output(n, "ip", "netns", "add", name)
	}
	places := map[string]func() string{
		"process 1": func() string { out, _ := exec.Command("ipvsadm", "-Ln").CombinedOutput(); return string(out) },
		"caller":    func() string { return s.output(n, "ipvsadm", "-Ln") },
		"blue":      func() string { return s.output(n, "ip", "netns", "exec", "blue", "ipvsadm", "-Ln") },
		"red":       func() string { return s.output(n, "ip", "netns", "exec", "red", "ipvsadm", "-Ln") },
	}
	cases := []struct{ lines, want string }{
		{"", "caller"},
		{"net_namespace blue", "blue"},
		{"net_namespace_ipvs", "process 1"},
		{"net_namespace_ipvs red", "red"},
		{"net_namespace blue\nnet_namespace_ipvs", "process 1"},
		{"net_namespace blue\nnet_namespace_ipvs red", "red"},
	}
	for p, program := range []lab.Program{ours, lab.C()} {
		for i, c := range cases {
			address := fmt.Sprintf("10.8.%d.%d", p, i+1)
			d := s.start(n.Name, program, c.lines+"\n"+virtual(address+" 80", "protocol TCP", "lb_algo rr", "lb_kind NAT", server("10.9.0.1 80")), "-C")
			t.Run(fmt.Sprintf("%s, %q", program.Name, c.lines), func(t *testing.T) {
				t.Parallel()
				if !s.Until(20*time.Second, func() bool { return strings.Contains(places[c.want](), address+":80") }) {
					t.Errorf("not in the namespace of %s:\n%s", c.want, d.LogText())
				}
				for name, table := range places {
					if name != c.want && strings.Contains(table(), address+":80") {
						t.Errorf("in the namespace of %s, want %s", name, c.want)
					}
				}
				if err := d.Stop(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
