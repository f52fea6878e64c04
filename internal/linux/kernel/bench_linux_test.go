package kernel

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkAddresses sets and removes many addresses on a veth, by an Executor and by ip
// -batch in turn, and prints the medians of both and their ratio. The times of ip -batch
// include the start of the process.
func BenchmarkAddresses(b *testing.B) {
	for _, n := range []int{1000, 4000} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) { benchmarkAddresses(b, n) })
	}
}

func benchmarkAddresses(b *testing.B, n int) {
	newNetNS(b)
	ip(b, "link add test0 type veth peer name peer0")
	ip(b, "link set test0 up")
	ip(b, "link set peer0 up")
	ip(b, "addr add 192.0.2.1/24 dev test0")
	test0 := link(b, "test0")
	var want []Addr
	var add, remove strings.Builder
	for i := range n {
		a := Addr{
			Link: test0, Proto: AddrProto,
			Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32),
		}
		want = append(want, a)
		fmt.Fprintf(&add, "addr add %v dev test0\n", a.Prefix)
	}
	for _, a := range slices.Backward(want) {
		fmt.Fprintf(&remove, "addr del %v dev test0\n", a.Prefix)
	}
	dir := b.TempDir()
	file := func(name, lines string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(lines), 0o644); err != nil {
			b.Fatal(err)
		}
		return path
	}
	addFile, removeFile := file("add", add.String()), file("remove", remove.String())
	ipBatch := func(path string) time.Duration {
		start := time.Now()
		if out, err := exec.Command("ip", "-batch", path).CombinedOutput(); err != nil {
			b.Fatalf("ip -batch: %v\n%s", err, out)
		}
		return time.Since(start)
	}

	c, err := Dial(0, false)
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error)
	e := NewExecutor(c, nil, func(c Completion) {
		var err error
		if c.Errs != nil {
			err = fmt.Errorf("%v", c.Errs)
		}
		if c.Last || err != nil {
			done <- err
		}
	})
	defer e.Close()
	ours := func(have, want []Addr) time.Duration {
		start := time.Now()
		e.Submit(0, DiffAddrs(have, want))
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}

	var t [4][]time.Duration
	for b.Loop() {
		t[0] = append(t[0], ours(nil, want))
		t[1] = append(t[1], ours(want, nil))
		t[2] = append(t[2], ipBatch(addFile))
		t[3] = append(t[3], ipBatch(removeFile))
	}
	var median [4]float64
	for i := range t {
		slices.Sort(t[i])
		median[i] = float64(t[i][len(t[i])/2].Microseconds()) / 1000
	}
	b.ReportMetric(median[0], "add-ms")
	b.ReportMetric(median[2], "ip-add-ms")
	b.ReportMetric(median[0]/median[2], "add-ratio")
	b.ReportMetric(median[1], "remove-ms")
	b.ReportMetric(median[3], "ip-remove-ms")
	b.ReportMetric(median[1]/median[3], "remove-ratio")
}

func BenchmarkDiff(b *testing.B) {
	var want []Addr
	for i := range 4000 {
		want = append(want, Addr{
			Link: 1, Proto: AddrProto,
			Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32),
		})
	}
	for _, bb := range []struct {
		name       string
		have, want []Addr
		changes    int
	}{{"all", nil, want, len(want)}, {"none", want, want, 0}, {"remove", want, nil, len(want)}} {
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				if n := len(DiffAddrs(bb.have, bb.want)); n != bb.changes {
					b.Fatalf("%d changes, want %d", n, bb.changes)
				}
			}
		})
	}
}
