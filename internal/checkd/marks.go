package checkd

import (
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"runtime"
	"sync"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/fwmark"
	"keepalived-go/internal/policy"
)

// marksConn is what marks need of a [fwmark.Conn].
type marksConn interface {
	Replace(t *fwmark.Table, old string) error
	Close() error
}

// marks keeps the table of nftables_ipvs, which gives packets to the addresses of
// groups their marks, in a goroutine beside the loop.
type marks struct {
	dial func() (marksConn, error)
	wake chan struct{}
	done chan struct{}

	mu     sync.Mutex
	want   *fwmark.Table // nil: none
	closed bool

	// Of the goroutine.
	conn   marksConn
	have   *fwmark.Table // as it is; nil: none, or it is not known
	owned  string        // name of the table that may be there; empty: none is
	failed string        // the fault that has been logged
}

// marksDialer opens connections to the nftables of a network namespace, nil: that of
// this process.
func marksDialer(namespace *os.File) func() (marksConn, error) {
	return func() (marksConn, error) {
		defer runtime.KeepAlive(namespace)
		c, err := fwmark.Dial(descriptor(namespace))
		if err != nil {
			return nil, err
		}
		return c, nil
	}
}

// marksRetry is the interval of trying again what the kernel refused.
const marksRetry = 5 * time.Second

// openMarks starts the goroutine. left is the name of the table that a predecessor has
// left; empty: none.
func openMarks(dial func() (marksConn, error), left string) *marks {
	m := &marks{dial: dial, owned: left, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go m.run()
	return m
}

// set makes t the table that is wanted; nil: none.
func (m *marks) set(t *fwmark.Table) {
	m.mu.Lock()
	m.want = t
	m.mu.Unlock()
	m.signal()
}

// close tries what is wanted once more, and ends. The table stays.
func (m *marks) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.signal()
	<-m.done
}

func (m *marks) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *marks) run() {
	defer close(m.done)
	retry := time.NewTicker(marksRetry)
	defer retry.Stop()
	for {
		select {
		case <-m.wake:
		case <-retry.C:
		}
		m.mu.Lock()
		want, closed := m.want, m.closed
		m.mu.Unlock()
		m.reach(want)
		if closed {
			if m.conn != nil {
				m.conn.Close()
			}
			return
		}
	}
}

// reach makes the kernel have what is wanted, unless it has.
func (m *marks) reach(want *fwmark.Table) {
	switch {
	case want == nil && m.owned == "":
		return
	case want == nil:
		want = &fwmark.Table{Name: m.owned}
	case reflect.DeepEqual(want, m.have):
		return
	}
	err := m.replace(want)
	if err != nil {
		if text := err.Error(); text != m.failed {
			m.failed = text
			slog.Error(fmt.Sprintf("nftables_ipvs: %v; packets to groups of virtual servers may lack their marks", err))
		}
		return
	}
	if m.failed != "" {
		slog.Info("nftables_ipvs: packets to groups of virtual servers get their marks")
	}
	m.failed, m.have, m.owned = "", want, want.Name
	if len(want.Ranges) == 0 {
		m.have, m.owned = nil, ""
	}
}

func (m *marks) replace(want *fwmark.Table) error {
	if m.conn == nil {
		conn, err := m.dial()
		if err != nil {
			return err
		}
		m.conn = conn
	}
	err := m.conn.Replace(want, m.owned)
	if err != nil {
		m.conn.Close() // it may be the connection
		m.conn = nil
	}
	return err
}

// setMarks makes t the table of nftables_ipvs; nil: there is none.
func (d *daemon) setMarks(t *fwmark.Table) {
	d.markTable = ""
	if t != nil {
		d.markTable = t.Name
	}
	d.marks.set(t)
}

// marksTable is the table of nftables_ipvs in a configuration; nil: none is needed.
func marksTable(c *conf.Config, marked []policy.Marked) *fwmark.Table {
	if len(marked) == 0 {
		return nil
	}
	f := &c.Global.Firewall
	t := &fwmark.Table{Name: f.IPVSTable, Priority: f.IPVSPriority, Counters: f.Counters, Ranges: make([]fwmark.Range, len(marked))}
	for i, m := range marked {
		t.Ranges[i] = fwmark.Range{Protocol: uint8(m.Protocol), First: m.First, Last: m.Last, Port: m.Port, Mark: m.Mark}
	}
	return t
}
