package checkd

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"keepalived-go/internal/linux/fwmark"
	"keepalived-go/internal/linux/kernel/kerneltest"
	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/lvs/ipvs/ipvstest"
)

// filter is nftables in memory.
type filter struct {
	mu     sync.Mutex
	tables map[string]*fwmark.Table
	refuse error
	asked  int
}

func (f *filter) dial() (marksConn, error) { return f, nil }

func (*filter) Close() error { return nil }

func (f *filter) Replace(t *fwmark.Table, old string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.refuse != nil {
		return f.refuse
	}
	delete(f.tables, old)
	if len(t.Ranges) > 0 {
		f.tables[t.Name] = t
	}
	return nil
}

// text returns the tables, as lines.
func (f *filter) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var lines []string
	for name, t := range f.tables {
		line := fmt.Sprintf("%s %d:", name, t.Priority)
		for _, r := range t.Ranges {
			line += fmt.Sprintf(" %d %v-%v %d=%d", r.Protocol, r.First, r.Last, r.Port, r.Mark)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func (f *filter) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// TestMarks checks that with nftables_ipvs a mark represents a group, that it stays the
// same at a reload and for a successor, that requests that the kernel refuses are
// repeated, and that nothing is left at the end.
func TestMarks(t *testing.T) {
	log := logtest.Capture(t)
	a := serve(t)
	f := &filter{tables: map[string]*fwmark.Table{}, refuse: errors.New("no memory")}
	state := filepath.Join(t.TempDir(), "checkers.state")
	options := func(o *Options) { o.StateFile, o.DialMarks = state, f.dial }
	text := func(global string, groups ...string) string {
		b := "global_defs {\n" + global + "\n}\n"
		for _, g := range groups {
			name, entries, _ := strings.Cut(g, " ")
			b += "virtual_server_group " + name + " {\n" + strings.ReplaceAll(entries, ",", "\n") + "\n}\n" +
				strings.Replace(virtual("", a.real("")), "virtual_server 10.0.0.1 80", "virtual_server group "+name, 1)
		}
		return b
	}
	k, host := ipvstest.New(), kerneltest.New(kerneltest.Ethernet(2, "eth0"))
	p := startOn(t, k, host, text("nftables_ipvs", "v 10.0.0.1 80", "w 10.0.0.2-5 80,10.0.0.9 0"), options)
	entry := func(mark int) string { return fmt.Sprintf("fwmark %d: %v=1", mark, a.addr()) }
	p.untilTable(entry(1000) + "\n" + entry(1001))
	p.until("the refusal", func() bool {
		return log.InOrder("nftables_ipvs: no memory; packets to groups of virtual servers may lack their marks")
	})
	f.mu.Lock()
	f.refuse = nil
	f.mu.Unlock()
	const w = "6 10.0.0.2-10.0.0.5 80=1001 6 10.0.0.9-10.0.0.9 0=1001"
	p.until("the table", func() bool { return f.text() == "keepalived_ipvs -1: 6 10.0.0.1-10.0.0.1 80=1000 "+w })
	asked := f.count()

	p.reloadTo(text("nftables_ipvs\nnftables_ipvs_priority 7", "w 10.0.0.2-5 80,10.0.0.9 0"))
	p.untilTable(entry(1001))
	p.until("the table of another priority", func() bool { return f.text() == "keepalived_ipvs 7: "+w })
	p.reloadTo(text("nftables_ipvs\nnftables_ipvs_priority 7", "w 10.0.0.2-5 80,10.0.0.9 0"))
	if n := f.count() - asked; n != 1 {
		t.Errorf("%d requests for one change", n)
	}
	p.reloadTo(text("nftables_ipvs other", "w 10.0.0.2-5 80,10.0.0.9 0"))
	p.until("the table of another name", func() bool { return f.text() == "other -1: "+w })
	p.kill()

	next := startOn(t, k, host, text("nftables_ipvs other", "w 10.0.0.2-5 80,10.0.0.9 0"), options)
	next.untilTable(entry(1001))
	next.kill()
	last := startOn(t, k, host, "global_defs {\n}\n", options)
	last.until("nothing is left of a predecessor", func() bool { return f.text() == "" && last.table() == "" })
	last.stop()

	p = startOn(t, k, host, text("nftables_ipvs", "v 10.0.0.1 80"), options)
	p.until("the table again", func() bool { return f.text() == "keepalived_ipvs -1: 6 10.0.0.1-10.0.0.1 80=1000" })
	p.stop()
	if got := f.text(); got != "" {
		t.Errorf("left behind: %s", got)
	}
}
