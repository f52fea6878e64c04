package table

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/lvs/ipvs"
	"keepalived-go/lvs/ipvs/ipvstest"
)

// open opens a table on a kernel in memory.
func open(t *testing.T, k *ipvstest.Kernel, change func(*Options)) *Table {
	o := Options{
		Dial: func() (Conn, error) {
			c, err := k.Dial()
			if err != nil {
				return nil, err
			}
			return c, nil
		},
		AuditEvery: 10 * time.Millisecond, RetryEvery: 10 * time.Millisecond,
	}
	if change != nil {
		change(&o)
	}
	table := Open(o)
	t.Cleanup(func() {
		if !table.closing() {
			table.Close()
		}
	})
	return table
}

func (t *Table) closing() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

// settle waits until all that was asked for has been tried, and the goroutine has nothing in
// hand: it is idle a moment before that, and SetNow would leave the rows to it.
func (t *Table) settle() {
	idle := make(chan struct{})
	t.Idle(func() { close(idle) })
	<-idle
	t.working.Lock()
	defer t.working.Unlock()
}

func addr(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 80)
}

func service(n int) ipvs.Service {
	return ipvs.Service{ServiceID: ipvs.AddrService(ipvs.TCP, addr(n)), Scheduler: "wlc"}
}

func destinations(weights ...uint32) (all []ipvs.Destination) {
	for i, w := range weights {
		all = append(all, ipvs.Destination{Addr: addr(1000 + i), Weight: w})
	}
	return all
}

// held returns the contents of the kernel, as lines.
func held(t *testing.T, k *ipvstest.Kernel) []string {
	t.Helper()
	c, err := k.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	services, err := c.Services()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, s := range services {
		all, err := c.Destinations(s.ServiceID)
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, d := range all {
			words = append(words, fmt.Sprintf("%v=%d", d.Addr.Addr(), d.Weight))
		}
		slices.Sort(words)
		lines = append(lines, fmt.Sprintf("%v %s %d %v", s.ServiceID, s.Scheduler, s.Timeout, words))
	}
	slices.Sort(lines)
	return lines
}

func expect(t *testing.T, k *ipvstest.Kernel, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := held(t, k); !slices.Equal(got, want) {
		t.Errorf("the kernel has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within 30 s: " + what)
		}
	}
}

// TestFollows checks that the kernel has the wanted entries, that they change and are
// removed with them, and that entries of other programs stay.
func TestFollows(t *testing.T) {
	k := ipvstest.New()
	theirs := service(7)
	if err := k.Change(ipvs.Change{Op: ipvs.Add, Service: theirs}); err != nil {
		t.Fatal(err)
	}
	table := open(t, k, func(o *Options) { o.AuditEvery = time.Hour })
	table.Set([]Row{{Service: service(1), Destinations: destinations(1, 2)}, {Service: service(2), Destinations: destinations(5)}})
	table.settle()
	expect(t, k, "tcp 10.0.0.1:80 wlc 0 [10.0.3.232=1 10.0.3.233=2]", "tcp 10.0.0.2:80 wlc 0 [10.0.3.232=5]", "tcp 10.0.0.7:80 wlc 0 []")

	requests := k.Requests()
	table.Set([]Row{{Service: service(1), Destinations: destinations(1, 2)}})
	table.settle()
	if n := k.Requests() - requests; n != 0 {
		t.Errorf("%d requests for what is there", n)
	}
	persistent := service(1)
	persistent.Timeout = 60
	table.Set([]Row{{Service: persistent, Destinations: destinations(3)}, {Service: service(2), Gone: true}})
	table.settle()
	expect(t, k, "tcp 10.0.0.1:80 wlc 60 [10.0.3.232=3]", "tcp 10.0.0.7:80 wlc 0 []")
	table.Set([]Row{{Service: service(1), Gone: true}, {Service: service(3), Gone: true}})
	table.settle()
	expect(t, k, "tcp 10.0.0.7:80 wlc 0 []")
	table.Flush()
	table.settle()
	expect(t, k)
}

// TestAdopts checks that a successor takes over existing entries: equal ones are not
// touched, and others are changed in place.
func TestAdopts(t *testing.T) {
	k := ipvstest.New()
	for _, c := range []ipvs.Change{
		{Op: ipvs.Add, Service: service(1)},
		{Op: ipvs.Add, Service: service(1), Destination: &destinations(1)[0]},
		{Op: ipvs.Add, Service: service(1), Destination: &destinations(0, 9)[1]},
		{Op: ipvs.Add, Service: service(2)},
		{Op: ipvs.Add, Service: service(2), Destination: &destinations(4)[0]},
	} {
		if err := k.Change(c); err != nil {
			t.Fatal(err)
		}
	}
	var done []ipvs.Change
	table := open(t, k, func(o *Options) {
		dial := o.Dial
		o.AuditEvery = time.Hour
		o.Dial = func() (Conn, error) {
			c, err := dial()
			return &recorder{c, &done}, err
		}
	})
	table.Set([]Row{{Service: service(1), Destinations: destinations(1, 2)}, {Service: service(2), Destinations: destinations(4)}})
	table.settle()
	expect(t, k, "tcp 10.0.0.1:80 wlc 0 [10.0.3.232=1 10.0.3.233=2]", "tcp 10.0.0.2:80 wlc 0 [10.0.3.232=4]")
	if len(done) != 1 || done[0].Op != ipvs.Set || done[0].Destination == nil {
		t.Errorf("changes %v", done)
	}
}

// recorder records the requested changes.
type recorder struct {
	Conn
	all *[]ipvs.Change
}

func (r *recorder) Batch(changes []ipvs.Change) []error {
	*r.all = append(*r.all, changes...)
	return r.Conn.Batch(changes)
}

// TestRemovesBackward checks that services, and destinations, are removed in the reverse of
// their order, so that the kernel finds them at once when they are added again.
func TestRemovesBackward(t *testing.T) {
	logtest.Capture(t)
	k := ipvstest.New()
	var all []ipvs.Change
	table := open(t, k, func(o *Options) {
		dial := o.Dial
		o.Dial = func() (Conn, error) {
			c, err := dial()
			return &recorder{c, &all}, err
		}
	})
	const many = 2 * portion
	var rows, gone []Row
	for i := range many {
		rows = append(rows, Row{Service: service(i)})
		gone = append(gone, Row{Service: service(i), Gone: true})
	}
	rows[0].Destinations = destinations(1, 1, 1, 1)
	table.Set(rows)
	table.settle()
	all = nil
	table.Set(append([]Row{{Service: service(0), Destinations: destinations(1)}}, gone[1:]...))
	table.settle()
	for i, addr := range []string{"10.0.3.235", "10.0.3.234", "10.0.3.233"} {
		if c := all[i]; c.Op != ipvs.Remove || c.Destination.Addr.Addr().String() != addr {
			t.Errorf("change %d is %+v, want the removal of %s", i, c, addr)
		}
	}
	for i, c := range all[3:] {
		if want := service(many - 1 - i).ServiceID; c.Op != ipvs.Remove || c.Service.ServiceID != want {
			t.Fatalf("removal %d is of %v, want %v", i, c.Service.ServiceID, want)
		}
	}
	if len(all) != 3+many-1 {
		t.Errorf("%d changes", len(all))
	}
}

// TestRepairs checks that changes by another program are undone and logged.
func TestRepairs(t *testing.T) {
	log := logtest.Capture(t)
	k := ipvstest.New()
	table := open(t, k, nil)
	var rows []Row
	var want []string
	for i := range 3 * auditSlice {
		rows = append(rows, Row{Service: service(i), Destinations: destinations(1, 1)})
		want = append(want, fmt.Sprintf("tcp %v wlc 0 [10.0.3.232=1 10.0.3.233=1]", addr(i)))
	}
	slices.Sort(want)
	table.Set(rows)
	table.settle()
	for name, change := range map[string]func() error{
		"destination removed": func() error {
			return k.Change(ipvs.Change{Op: ipvs.Remove, Service: service(40), Destination: &destinations(1)[0]})
		},
		"weight changed": func() error {
			return k.Change(ipvs.Change{Op: ipvs.Set, Service: service(90), Destination: &destinations(77)[0]})
		},
		"destination added": func() error {
			return k.Change(ipvs.Change{Op: ipvs.Add, Service: service(5), Destination: &destinations(1, 1, 1)[2]})
		},
		"table flushed": func() error {
			c, err := k.Dial()
			if err != nil {
				return err
			}
			defer c.Close()
			return c.Flush()
		},
	} {
		from := log.Count("was changed by another program")
		if err := change(); err != nil {
			t.Fatal(name, err)
		}
		await(t, name, func() bool {
			return slices.Equal(held(t, k), want) && log.Count("was changed by another program") > from
		})
	}
}

// TestRefusals checks that a refusal by the kernel is logged once, that the change is
// requested again, and that other changes are carried out.
func TestRefusals(t *testing.T) {
	log := logtest.Capture(t)
	k := ipvstest.New()
	k.Refuse(func(m ipvs.Message) error {
		if m.Destination != nil && m.Destination.Addr == addr(1001) {
			return unix.ERANGE
		}
		return nil
	})
	table := open(t, k, nil)
	table.Set([]Row{{Service: service(1), Destinations: destinations(1, 2, 3)}})
	table.settle()
	expect(t, k, "tcp 10.0.0.1:80 wlc 0 [10.0.3.232=1 10.0.3.234=3]")
	requests := k.Requests()
	await(t, "further requests", func() bool { return k.Requests() > requests+10 })
	if n := log.Count("IPVS cmd IP_VS_SO_SET_ADDDEST(1159) error: "); n != 1 {
		t.Errorf("the refusal is logged %d times:\n%s", n, log)
	}
	k.Refuse(nil)
	await(t, "all destinations", func() bool {
		return slices.Equal(held(t, k), []string{"tcp 10.0.0.1:80 wlc 0 [10.0.3.232=1 10.0.3.233=2 10.0.3.234=3]"})
	})
}

// TestSurprise checks that a service that another program adds between the listing and
// the request is taken over with its destinations.
func TestSurprise(t *testing.T) {
	k := ipvstest.New()
	table := open(t, k, func(o *Options) { o.AuditEvery = time.Hour })
	table.Set([]Row{{Service: service(1), Destinations: destinations(1)}})
	table.settle()
	if err := k.Change(ipvs.Change{Op: ipvs.Remove, Service: service(1)}); err != nil {
		t.Fatal(err)
	}
	table.Set([]Row{{Service: service(1), Destinations: destinations(2, 2)}})
	table.settle()
	expect(t, k, "tcp 10.0.0.1:80 wlc 0 [10.0.3.232=2 10.0.3.233=2]")
}

// TestNoModule checks that without the module nothing is done and one line is logged, and
// that everything is done when the module is loaded.
func TestNoModule(t *testing.T) {
	log := logtest.Capture(t)
	k := ipvstest.New()
	k.SetLoaded(false)
	table := open(t, k, nil)
	table.Configure(Settings{Timeouts: ipvs.Timeouts{TCP: 100}})
	table.Set([]Row{{Service: service(1), Destinations: destinations(1)}})
	table.settle()
	await(t, "the complaint", func() bool { return log.Count("IPVS: Can't initialize ipvs: ") == 1 })
	k.SetLoaded(true)
	await(t, "the table", func() bool {
		return slices.Equal(held(t, k), []string{"tcp 10.0.0.1:80 wlc 0 [10.0.3.232=1]"})
	})
	await(t, "the timeouts", func() bool { return timeouts(t, k).TCP == 100 })
	if n := log.Count("IPVS: Can't initialize ipvs: "); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

func timeouts(t *testing.T, k *ipvstest.Kernel) ipvs.Timeouts {
	t.Helper()
	c, err := k.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all, err := c.Timeouts()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestSettings checks that timeouts and daemons have the requested values, and their
// previous values at the end.
func TestSettings(t *testing.T) {
	k := ipvstest.New()
	before := timeouts(t, k)
	table := open(t, k, nil)
	master := ipvs.Daemon{Role: ipvs.Master, Interface: "eth0", ID: 5}
	backup := ipvs.Daemon{Role: ipvs.Backup, Interface: "eth0", ID: 5}
	roles := func() string {
		c, err := k.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all, err := c.Daemons()
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, d := range all {
			words = append(words, fmt.Sprintf("%v %d", d.Role, d.ID))
		}
		slices.Sort(words)
		return strings.Join(words, ", ")
	}
	table.Configure(Settings{Timeouts: ipvs.Timeouts{TCP: 77}, Synchronise: true, Daemons: []ipvs.Daemon{backup}})
	table.settle()
	if got := timeouts(t, k); got.TCP != 77 || got.UDP != before.UDP {
		t.Errorf("timeouts %+v", got)
	}
	if got := roles(); got != "backup 5" {
		t.Errorf("daemons %s", got)
	}
	table.Configure(Settings{Timeouts: ipvs.Timeouts{UDP: 7}, Synchronise: true, Daemons: []ipvs.Daemon{master}})
	table.settle()
	if got := timeouts(t, k); got.TCP != before.TCP || got.UDP != 7 {
		t.Errorf("timeouts %+v", got)
	}
	if got := roles(); got != "master 5" {
		t.Errorf("daemons %s", got)
	}
	master.ID = 6
	table.Configure(Settings{Synchronise: true, Daemons: []ipvs.Daemon{master, backup}})
	table.settle()
	if got := roles(); got != "backup 5, master 6" {
		t.Errorf("daemons %s", got)
	}
	table.Close()
	if got := timeouts(t, k); got != before {
		t.Errorf("timeouts at the end %+v, want %+v", got, before)
	}
	if got := roles(); got != "" {
		t.Errorf("daemons at the end: %s", got)
	}
}

// TestReachesWhatIsWanted checks, for any sequence of wishes and of changes by other
// programs, that the kernel has in the end what was wanted last.
func TestReachesWhatIsWanted(t *testing.T) {
	logtest.Capture(t)
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		k := ipvstest.New()
		table := open(t, k, nil)
		wanted := map[int]string{}
		for range 40 {
			n := r.IntN(6)
			s := service(n)
			switch r.IntN(4) {
			case 0:
				table.Set([]Row{{Service: s, Gone: true}})
				delete(wanted, n)
			case 1:
				k.Change(ipvs.Change{Op: ipvs.Remove, Service: service(r.IntN(6))})
			default:
				s.Timeout = uint32(r.IntN(3)) * 60
				d := destinations(uint32(r.IntN(3)), uint32(r.IntN(3)), uint32(r.IntN(3)))[:1+r.IntN(3)]
				table.Set([]Row{{Service: s, Destinations: d}})
				var words []string
				for _, x := range d {
					words = append(words, fmt.Sprintf("%v=%d", x.Addr.Addr(), x.Weight))
				}
				wanted[n] = fmt.Sprintf("tcp %v wlc %d %v", addr(n), s.Timeout, words)
			}
		}
		want := []string{}
		for _, line := range wanted {
			want = append(want, line)
		}
		slices.Sort(want)
		await(t, fmt.Sprintf("seed %d: what is wanted", seed), func() bool { return slices.Equal(held(t, k), want) })
		table.Close()
	}
}

// TestHang checks that a kernel that hangs does not block the callers of Set.
func TestHang(t *testing.T) {
	k := ipvstest.New()
	table := open(t, k, nil)
	table.settle()
	release := k.Hang()
	for i := range 100 {
		table.Set([]Row{{Service: service(1), Destinations: destinations(uint32(i))}})
	}
	await(t, "a request that hangs", func() bool { return k.Waiting() > 0 })
	release()
	await(t, "the last of what was wanted", func() bool {
		return slices.Equal(held(t, k), []string{"tcp 10.0.0.1:80 wlc 0 [10.0.3.232=99]"})
	})
}

var errDial = errors.New("no")

// TestCloseWithoutConnection checks that Close returns also without a connection.
func TestCloseWithoutConnection(t *testing.T) {
	logtest.Capture(t)
	table := Open(Options{Dial: func() (Conn, error) { return nil, errDial }})
	table.Set([]Row{{Service: service(1)}})
	table.Close()
}

// retryNow is a retry.
func (t *Table) retryNow() {
	t.working.Lock()
	defer t.working.Unlock()
	t.retry()
}

// TestDialsSeldom checks that changes do not dial when that has just failed, and that what was
// wanted meanwhile is there when the kernel can be reached.
func TestDialsSeldom(t *testing.T) {
	logtest.Capture(t)
	k := ipvstest.New()
	var dials, works atomic.Int32
	table := Open(Options{AuditEvery: time.Hour, RetryEvery: time.Hour, Dial: func() (Conn, error) {
		if dials.Add(1); works.Load() == 0 {
			return nil, errDial
		}
		return k.Dial()
	}})
	defer table.Close()
	for i := range 100 {
		table.Set([]Row{{Service: service(i)}})
		table.settle()
	}
	if n := dials.Load(); n != 1 {
		t.Errorf("dialled %d times", n)
	}
	works.Store(1)
	table.retryNow()
	if n := len(held(t, k)); n != 100 {
		t.Errorf("%d services are there", n)
	}
}

// BenchmarkFill measures a hundred services with a hundred destinations each being added
// to a kernel in memory and removed, without the kernel's own time.
func BenchmarkFill(b *testing.B) {
	k := ipvstest.New()
	table := Open(Options{Dial: func() (Conn, error) { return k.Dial() }, AuditEvery: time.Hour})
	defer table.Close()
	var rows, gone []Row
	for i := range 100 {
		r := Row{Service: service(i)}
		for j := range 100 {
			r.Destinations = append(r.Destinations, ipvs.Destination{Addr: addr(1000 + j), Weight: 1})
		}
		rows = append(rows, r)
		gone = append(gone, Row{Service: service(i), Gone: true})
	}
	for b.Loop() {
		table.Set(rows)
		table.settle()
		table.Set(gone)
		table.settle()
	}
}

// slow is a connection whose batches wait.
type slow struct {
	Conn
	batch   chan struct{} // gets one value for each batch that begins
	proceed chan struct{}
}

func (c *slow) Batch(changes []ipvs.Change) []error {
	c.batch <- struct{}{}
	<-c.proceed
	return c.Conn.Batch(changes)
}

// TestSetNow checks that the kernel has what SetNow sets when it returns, and that the
// goroutine of the table does it while it is working or there is no connection.
func TestSetNow(t *testing.T) {
	logtest.Capture(t)
	rare := func(o *Options) { o.AuditEvery, o.RetryEvery = time.Hour, time.Hour }
	t.Run("idle", func(t *testing.T) {
		k := ipvstest.New()
		table := open(t, k, rare)
		table.Set([]Row{{Service: service(1), Destinations: destinations(1)}})
		table.settle()
		table.SetNow([]Row{{Service: service(1), Destinations: destinations(1, 2)}})
		expect(t, k, "tcp 10.0.0.1:80 wlc 0 [10.0.3.232=1 10.0.3.233=2]")
		table.SetNow([]Row{{Service: service(1), Gone: true}, {Service: service(2)}})
		expect(t, k, "tcp 10.0.0.2:80 wlc 0 []")
		if s := table.Status(); s.Services != 1 {
			t.Errorf("%d services", s.Services)
		}
	})
	t.Run("at work", func(t *testing.T) {
		k := ipvstest.New()
		c := &slow{batch: make(chan struct{}), proceed: make(chan struct{})}
		table := open(t, k, func(o *Options) {
			rare(o)
			dial := o.Dial
			o.Dial = func() (Conn, error) {
				var err error
				c.Conn, err = dial()
				return c, err
			}
		})
		table.Set([]Row{{Service: service(1)}})
		<-c.batch
		table.SetNow([]Row{{Service: service(2)}}) // the goroutine has not ended
		expect(t, k)
		idle := make(chan struct{})
		table.Idle(func() { close(idle) })
		c.proceed <- struct{}{}
		<-c.batch
		c.proceed <- struct{}{}
		<-idle
		expect(t, k, "tcp 10.0.0.1:80 wlc 0 []", "tcp 10.0.0.2:80 wlc 0 []")

		// The reverse: what is set meanwhile waits for SetNow.
		done := make(chan struct{})
		go func() {
			table.SetNow([]Row{{Service: service(1), Gone: true}})
			close(done)
		}()
		<-c.batch
		table.Set([]Row{{Service: service(2), Gone: true}})
		idle = make(chan struct{})
		table.Idle(func() { close(idle) })
		c.proceed <- struct{}{}
		<-c.batch
		c.proceed <- struct{}{}
		<-idle
		<-done
		expect(t, k)
	})
	t.Run("no connection", func(t *testing.T) {
		k := ipvstest.New()
		var there atomic.Bool
		table := open(t, k, func(o *Options) {
			rare(o)
			dial := o.Dial
			o.Dial = func() (Conn, error) {
				if !there.Load() {
					return nil, unix.ENOENT
				}
				return dial()
			}
		})
		table.SetNow([]Row{{Service: service(1)}})
		table.settle()
		expect(t, k)
		there.Store(true)
		table.SetNow([]Row{{Service: service(2)}})
		table.settle()
		expect(t, k) // it has just been tried
		table.retryNow()
		expect(t, k, "tcp 10.0.0.1:80 wlc 0 []", "tcp 10.0.0.2:80 wlc 0 []")
	})
}
