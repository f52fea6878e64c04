// Package table makes the kernel's load balancer (IPVS) hold the wanted services.
//
// What is wanted is handed over: a goroutine compares it with what the kernel holds,
// asks for the difference in batches, and repairs what others change. Where it is
// little, the caller can do so itself, which is sooner: see [Table.SetNow]. Entries that
// are neither wanted nor ours stay.
package table

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"keepalived-go/internal/output/status"
	"keepalived-go/lvs/ipvs"
)

// A Row is a service, and the destinations that it shall have and no others.
type Row struct {
	Service      ipvs.Service
	Destinations []ipvs.Destination
	Gone         bool // the service shall not be there; only its identity counts
}

// Settings are what the kernel's load balancer has besides services.
type Settings struct {
	Timeouts ipvs.Timeouts // 0 leaves one as it is
	Daemons  []ipvs.Daemon // that shall run; those of other roles do not
	// Synchronise means that daemons are ours to start and stop. Without it the
	// daemons of others stay.
	Synchronise bool
}

// Conn is what the table needs of an [ipvs.Conn].
type Conn interface {
	Services() ([]ipvs.ServiceState, error)
	Service(ipvs.ServiceID) (ipvs.ServiceState, error)
	Destinations(ipvs.ServiceID) ([]ipvs.DestinationState, error)
	Batch([]ipvs.Change) []error
	Flush() error
	Timeouts() (ipvs.Timeouts, error)
	SetTimeouts(ipvs.Timeouts) error
	Daemons() ([]ipvs.Daemon, error)
	StartDaemon(ipvs.Daemon) error
	StopDaemon(ipvs.Daemon) error
	Close() error
}

// Options is what a table is made from.
type Options struct {
	// Dial opens a connection. It is called again later when it fails.
	Dial func() (Conn, error)
	// Keep leaves timeouts and daemons as they are at the end (-I).
	Keep bool

	// AuditEvery is how often a part of the table is compared with the kernel, and
	// RetryEvery how often what the kernel refused is asked for again; 0: a second,
	// and five.
	AuditEvery, RetryEvery time.Duration
}

// auditSlice is how many services one audit looks at. When one of them is not as
// it should be, all the others are looked at, too.
const auditSlice = 32

// Table is the goroutine's handle.
type Table struct {
	o    Options
	wake chan struct{}
	done chan struct{}

	mu       sync.Mutex
	pending  []Row                  // the later one of two with one identity counts
	place    map[ipvs.ServiceID]int // in pending
	flush    bool                   // before what is pending
	settings *Settings              // to be taken up
	busy     bool
	closed   bool
	idle     func()             // called when there is nothing left to do; nil: nothing waits
	refused  map[string]refusal // what the kernel refuses, as logged
	seen     status.Table       // the rest of what Status reports

	// Of who holds working: the goroutine, or a caller of SetNow.
	working sync.Mutex
	conn    Conn
	warned  bool           // it is logged that there is no connection
	before  *ipvs.Timeouts // those in force before ours; nil: ours were never set
	now     Settings       // in force
	tuned   bool           // settings are carried out
	want    map[ipvs.ServiceID]*row
	order   []ipvs.ServiceID        // of want, for audits
	next    int                     // of order
	again   map[ipvs.ServiceID]bool // to be asked for again
}

// row is what is wanted of a service and what is known of it.
type row struct {
	Row
	held map[netip.AddrPort]*ipvs.Destination // nil: the service is not there; mostly those wanted
	have ipvs.Service                         // as it is, if it is there
}

// Open starts the goroutine. What the kernel holds already is taken for what it is:
// a service that is wanted stays with its connections.
func Open(o Options) *Table {
	if o.AuditEvery == 0 {
		o.AuditEvery = time.Second
	}
	if o.RetryEvery == 0 {
		o.RetryEvery = 5 * time.Second
	}
	t := &Table{
		o: o, wake: make(chan struct{}, 1), done: make(chan struct{}),
		place: make(map[ipvs.ServiceID]int),
		want:  make(map[ipvs.ServiceID]*row), again: make(map[ipvs.ServiceID]bool), refused: make(map[string]refusal),
	}
	go t.run()
	return t
}

// Set makes rows wanted. It keeps the slices in them.
func (t *Table) Set(rows []Row) {
	t.add(rows)
	t.signal()
}

// SetNow is Set, but it returns when the kernel has been asked, unless the goroutine is
// at work or there is no connection.
func (t *Table) SetNow(rows []Row) {
	t.add(rows)
	if !t.working.TryLock() {
		t.signal()
		return
	}
	defer t.working.Unlock()
	if t.conn == nil {
		t.signal()
		return
	}
	t.takeAll()
}

func (t *Table) add(rows []Row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range rows {
		if i, known := t.place[r.Service.ServiceID]; known {
			t.pending[i] = r
			continue
		}
		t.place[r.Service.ServiceID] = len(t.pending)
		t.pending = append(t.pending, r)
	}
}

// Flush removes everything that the kernel holds, also what others have set, before
// what is wanted from here on.
func (t *Table) Flush() {
	t.mu.Lock()
	t.flush, t.pending = true, nil
	clear(t.place)
	t.mu.Unlock()
	t.signal()
}

// Configure makes s the wanted settings.
func (t *Table) Configure(s Settings) {
	t.mu.Lock()
	t.settings = &s
	t.mu.Unlock()
	t.signal()
}

// Idle has f called, once and by any goroutine, when all that was asked for has
// been tried.
func (t *Table) Idle(f func()) {
	t.mu.Lock()
	if !t.busy && t.pending == nil && !t.flush && t.settings == nil {
		t.mu.Unlock()
		f()
		return
	}
	t.idle = f
	t.mu.Unlock()
}

// Close tries what was asked for, restores the settings that were there before, and
// ends.
func (t *Table) Close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.signal()
	<-t.done
}

func (t *Table) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *Table) run() {
	defer close(t.done)
	audit, retry := time.NewTicker(t.o.AuditEvery), time.NewTicker(t.o.RetryEvery)
	defer audit.Stop()
	defer retry.Stop()
	work := func(f func()) {
		t.working.Lock()
		defer t.working.Unlock()
		f()
	}
	work(func() { t.connect() })
	for {
		select {
		case <-t.wake:
		case <-audit.C:
			work(t.audit)
		case <-retry.C:
			work(t.retry)
		}
		work(t.takeAll)
		t.mu.Lock()
		closed := t.closed
		t.mu.Unlock()
		if closed {
			work(t.end)
			return
		}
	}
}

// takeAll carries out what is pending until nothing is.
func (t *Table) takeAll() {
	for t.take() {
	}
	t.mu.Lock()
	t.seen.Services, t.seen.Waiting = len(t.want), len(t.again)
	idle := t.idle
	t.idle = nil
	t.mu.Unlock()
	if idle != nil {
		idle()
	}
}

// take carries out what is pending and reports whether there was something.
func (t *Table) take() bool {
	t.mu.Lock()
	rows, flush, settings := t.pending, t.flush, t.settings
	t.pending, t.flush, t.settings = nil, false, nil
	clear(t.place)
	t.busy = rows != nil || flush || settings != nil
	busy := t.busy
	t.mu.Unlock()
	if !busy {
		return false
	}
	if flush {
		t.flushKernel()
	}
	if settings != nil {
		t.now, t.tuned = *settings, false
		t.note(func(s *status.Table) { s.Timeouts, s.Daemons = settingsStatus(t.now) })
		t.tune()
	}
	t.adopt(rows)
	ids := make([]ipvs.ServiceID, 0, len(rows))
	for _, r := range rows {
		id := r.Service.ServiceID
		w := t.want[id]
		if w == nil {
			w = &row{}
			t.want[id] = w
			t.order = append(t.order, id)
		}
		w.Row = r
		ids = append(ids, id)
	}
	t.backward(ids)
	t.reach(ids)
	return true
}

// backward reverses the order of the services that go. The kernel keeps what was removed for up
// to two minutes, the last one first, and looks through that for each destination that is
// added: when this program starts again, it finds each at once, instead of behind all others.
func (t *Table) backward(ids []ipvs.ServiceID) {
	var gone []int // places
	for i, id := range ids {
		if t.want[id].Gone {
			gone = append(gone, i)
		}
	}
	for i, j := 0, len(gone)-1; i < j; i, j = i+1, j-1 {
		ids[gone[i]], ids[gone[j]] = ids[gone[j]], ids[gone[i]]
	}
}

// connect opens the connection, if there is none. Where that has failed only retry tries it
// again, not each change: each time takes a socket and memory.
func (t *Table) connect() bool { return t.conn != nil || !t.warned && t.dial() }

// dial opens the connection, which is not there.
func (t *Table) dial() bool {
	conn, err := t.o.Dial()
	t.note(func(s *status.Table) {
		s.Unreachable = ""
		if err != nil {
			s.Unreachable = err.Error()
		}
	})
	if err != nil {
		if !t.warned {
			t.warned = true
			slog.Error(fmt.Sprintf("IPVS: Can't initialize ipvs: %v; virtual servers have no effect until the kernel has it", err))
		}
		return false
	}
	if t.warned {
		slog.Info("IPVS: initialized")
	}
	t.conn, t.warned = conn, false
	return true
}

// adopt learns what the kernel holds of services that are wanted for the first
// time: from one list, if they are many.
func (t *Table) adopt(rows []Row) {
	fresh := 0
	for i := range rows {
		if t.want[rows[i].Service.ServiceID] == nil {
			fresh++
		}
	}
	if fresh == 0 || !t.connect() {
		return
	}
	all, err := t.conn.Services()
	if err != nil {
		slog.Warn(fmt.Sprintf("IPVS: %v", err)) // what is there is found when it refuses
	}
	held := make(map[ipvs.ServiceID]ipvs.Service, len(all))
	for i := range all {
		held[all[i].ServiceID] = all[i].Service
	}
	for i := range rows {
		id := rows[i].Service.ServiceID
		if t.want[id] != nil {
			continue
		}
		w := &row{}
		t.want[id] = w
		t.order = append(t.order, id)
		if s, there := held[id]; there {
			w.have = s
			t.readDestinations(id, w)
		}
	}
}

// readDestinations learns which destinations a service has.
func (t *Table) readDestinations(id ipvs.ServiceID, w *row) {
	all, err := t.conn.Destinations(id)
	if err != nil {
		slog.Warn(fmt.Sprintf("IPVS: %v", err))
	}
	before := w.held
	w.held = make(map[netip.AddrPort]*ipvs.Destination, len(all))
	for i := range all {
		d := before[all[i].Addr]
		if d == nil || *d != all[i].Destination {
			d = new(all[i].Destination)
		}
		w.held[d.Addr] = d
	}
}

// look learns what the kernel holds of one service.
func (t *Table) look(id ipvs.ServiceID, w *row) error {
	s, err := t.conn.Service(id)
	switch {
	case errors.Is(err, ipvs.ErrNoService):
		w.held = nil
		return nil
	case err != nil:
		return err
	}
	w.have = s.Service
	t.readDestinations(id, w)
	return nil
}

// portion is how many changes are collected before the kernel is asked, so that a large table
// takes no more memory than that.
const portion = 1024

// reach asks for the difference between what is wanted and what is known of the
// services, and once more where the kernel shows that something else is there.
func (t *Table) reach(ids []ipvs.ServiceID) {
	if len(ids) == 0 {
		return
	}
	if !t.connect() {
		for _, id := range ids {
			t.again[id] = true
		}
		return
	}
	all, still := ids, map[string]bool{} // refused in this turn
	var plan []ipvs.Change
	for try := 0; try < 2 && len(ids) > 0; try++ {
		var other []ipvs.ServiceID // that are not what they were taken for
		for i, id := range ids {
			plan = t.want[id].difference(plan)
			if len(plan) < portion && i < len(ids)-1 {
				continue
			}
			other = t.carryOut(plan, try == 0, other, still)
			clear(plan)
			plan = plan[:0]
		}
		for _, id := range other {
			if err := t.look(id, t.want[id]); err != nil {
				slog.Warn(fmt.Sprintf("IPVS: %v", err))
				t.again[id] = true
			}
		}
		ids = other
	}
	t.forgive(all, still)
	t.dropGone(slices.Values(all))
}

// carryOut asks the kernel for the changes. It appends to other the services of which the
// kernel holds something else than it was taken to hold, if that may be a surprise, and adds to
// still what it complains of.
func (t *Table) carryOut(plan []ipvs.Change, maySurprise bool, other []ipvs.ServiceID, still map[string]bool) []ipvs.ServiceID {
	if len(plan) == 0 {
		return other
	}
	errs := t.conn.Batch(plan)
	for i := range plan {
		var err error
		if errs != nil {
			err = errs[i]
		}
		id := plan[i].Service.ServiceID
		switch {
		case err == nil || reached(plan[i].Op, err):
			t.want[id].done(&plan[i])
		case maySurprise && surprising(err):
			if !slices.Contains(other, id) {
				other = append(other, id)
			}
		default:
			still[t.complain(&plan[i], err)] = true
			t.again[id] = true
		}
	}
	return other
}

// dropGone forgets, of these services, those that are neither wanted nor there.
func (t *Table) dropGone(ids iter.Seq[ipvs.ServiceID]) {
	dropped := false
	for id := range ids {
		if w := t.want[id]; w != nil && w.Gone && w.held == nil {
			delete(t.want, id)
			delete(t.again, id)
			dropped = true
		}
	}
	if dropped {
		t.order = slices.DeleteFunc(t.order, func(id ipvs.ServiceID) bool { return t.want[id] == nil })
	}
}

// reached reports whether a refusal means that the goal is reached.
func reached(op ipvs.Op, err error) bool {
	return op == ipvs.Remove && (errors.Is(err, ipvs.ErrNoService) || errors.Is(err, ipvs.ErrNoDestination))
}

// surprising reports whether a refusal means that the kernel holds something else
// than what it was taken to hold.
func surprising(err error) bool {
	return errors.Is(err, ipvs.ErrExists) || errors.Is(err, ipvs.ErrNoService) || errors.Is(err, ipvs.ErrNoDestination)
}

// difference appends what makes of what the kernel holds what is wanted.
func (w *row) difference(plan []ipvs.Change) []ipvs.Change {
	id := ipvs.Service{ServiceID: w.Service.ServiceID}
	if w.Gone {
		if w.held != nil {
			plan = append(plan, ipvs.Change{Op: ipvs.Remove, Service: id})
		}
		return plan
	}
	switch {
	case w.held == nil:
		plan = append(plan, ipvs.Change{Op: ipvs.Add, Service: w.Service})
	case w.have.Normal() != w.Service.Normal():
		plan = append(plan, ipvs.Change{Op: ipvs.Set, Service: w.Service})
	}
	// New destinations first: a service is never without one in between.
	for i := range w.Destinations {
		d := &w.Destinations[i]
		switch have, there := w.held[d.Addr]; {
		case !there:
			plan = append(plan, ipvs.Change{Op: ipvs.Add, Service: id, Destination: d})
		case !same(*have, *d):
			plan = append(plan, ipvs.Change{Op: ipvs.Set, Service: id, Destination: d})
		}
	}
	if len(w.held) == 0 {
		return plan
	}
	wanted := make(map[netip.AddrPort]bool, len(w.Destinations))
	for i := range w.Destinations {
		wanted[w.Destinations[i].Addr] = true
	}
	first := len(plan)
	for a, have := range w.held {
		if !wanted[a] {
			plan = append(plan, ipvs.Change{Op: ipvs.Remove, Service: id, Destination: have})
		}
	}
	slices.SortFunc(plan[first:], func(a, b ipvs.Change) int { return b.Destination.Addr.Compare(a.Destination.Addr) })
	return plan
}

// same compares a destination with what is wanted. The kernel reports one on this
// machine as local, whatever was asked for.
func same(have, want ipvs.Destination) bool {
	if have.Forward == ipvs.Local {
		have.Forward, have.Tunnel = want.Forward, want.Tunnel
	}
	return have.Normal() == want.Normal()
}

// done notes what the kernel holds after a change.
func (w *row) done(c *ipvs.Change) {
	switch {
	case c.Destination == nil && c.Op == ipvs.Remove:
		w.held = nil
	case c.Destination == nil:
		w.have = c.Service
		if w.held == nil {
			w.held = make(map[netip.AddrPort]*ipvs.Destination, len(w.Destinations))
		}
	case c.Op == ipvs.Remove:
		delete(w.held, c.Destination.Addr)
	case w.held != nil:
		w.held[c.Destination.Addr] = c.Destination
	}
}

// audit compares some services with the kernel, and all of them if one is not as it
// should be.
func (t *Table) audit() {
	if t.conn == nil || len(t.order) == 0 {
		return
	}
	n := min(auditSlice, len(t.order))
	t.next %= len(t.order)
	ids := make([]ipvs.ServiceID, 0, n)
	for i := range n {
		ids = append(ids, t.order[(t.next+i)%len(t.order)])
	}
	t.next += n
	if !t.compare(ids) && n < len(t.order) {
		t.compare(slices.Clone(t.order))
	}
}

// compare looks at services and repairs what others have changed. It reports
// whether everything was as it should be.
func (t *Table) compare(ids []ipvs.ServiceID) bool {
	var changed []ipvs.ServiceID
	for _, id := range ids {
		w := t.want[id]
		if w == nil || t.again[id] {
			continue
		}
		if err := t.look(id, w); err != nil {
			slog.Warn(fmt.Sprintf("IPVS: %v", err))
			return true // it is not known
		}
		if plan := w.difference(nil); len(plan) > 0 {
			changed = append(changed, id)
			t.note(func(s *status.Table) {
				s.Repairs++
				s.LastRepair = status.Repair{At: time.Now(), Service: name(id), Changes: summary(plan)}
			})
			slog.Warn(fmt.Sprintf("IPVS: %s was changed by another program; it is restored with %d changes: %s", name(id), len(plan), summary(plan)))
		}
	}
	t.reach(changed)
	return len(changed) == 0
}

// retry asks again for what the kernel has refused, or could not be asked for.
func (t *Table) retry() {
	if t.tuned && len(t.again) == 0 || t.conn == nil && !t.dial() {
		return
	}
	if !t.tuned {
		t.tune()
	}
	if len(t.again) == 0 {
		return
	}
	ids := make([]ipvs.ServiceID, 0, len(t.again))
	for _, id := range t.order {
		if t.again[id] {
			ids = append(ids, id)
		}
	}
	clear(t.again)
	for _, id := range ids {
		if err := t.look(id, t.want[id]); err != nil {
			slog.Warn(fmt.Sprintf("IPVS: %v", err))
		}
	}
	t.reach(ids)
}

// flushKernel empties the kernel's table.
func (t *Table) flushKernel() {
	if !t.connect() {
		return
	}
	if err := t.conn.Flush(); err != nil {
		slog.Error(fmt.Sprintf("IPVS cmd IP_VS_SO_SET_FLUSH(1157) error: %v", err))
		return
	}
	for _, w := range t.want {
		w.held = nil
	}
	t.dropGone(maps.Keys(t.want))
}

// end restores what was there before, and closes the connection.
func (t *Table) end() {
	if t.conn == nil {
		return
	}
	if !t.o.Keep {
		if t.now.Synchronise {
			t.now.Daemons = nil
			t.synchronise()
		}
		if t.before != nil {
			if err := t.conn.SetTimeouts(*t.before); err != nil {
				slog.Error(fmt.Sprintf("IPVS: %v", err))
			}
		}
	}
	t.conn.Close()
}
