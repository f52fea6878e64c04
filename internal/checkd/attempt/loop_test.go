package attempt

import (
	"encoding/binary"
	"flag"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/checkd/life"
)

var update = flag.Bool("update", false, "write golden files anew")

// testLoop is a loop with nothing but epoll. Its clock is the real one unless perEvent is
// set: then each event takes that long, and nothing else takes time.
type testLoop struct {
	epoll, wake int
	handlers    map[int]func(uint32)
	start       time.Time
	perEvent    time.Duration
	clock       time.Duration

	mu     sync.Mutex
	posted []func()
}

func newTestLoop(tb testing.TB) *testLoop {
	l := &testLoop{handlers: map[int]func(uint32){}, start: time.Now()}
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		tb.Fatal(err)
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		tb.Fatal(err)
	}
	l.Watch(l.wake, unix.EPOLLIN, func(uint32) {
		var b [8]byte
		unix.Read(l.wake, b[:])
	})
	tb.Cleanup(func() { unix.Close(l.epoll); unix.Close(l.wake) })
	return l
}

func (l *testLoop) Now() time.Duration {
	if l.perEvent > 0 {
		return l.clock
	}
	return time.Since(l.start) + time.Hour
}

func (l *testLoop) Watch(fd int, events uint32, ready func(uint32)) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return err
	}
	l.handlers[fd] = ready
	return nil
}

func (l *testLoop) Forget(fd int) {
	delete(l.handlers, fd)
	unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, fd, nil)
}

func (l *testLoop) Post(f func()) {
	l.mu.Lock()
	l.posted = append(l.posted, f)
	l.mu.Unlock()
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	unix.Write(l.wake, one[:])
}

// turn waits at most d for events and posts.
func (l *testLoop) turn(d time.Duration) {
	var events [64]unix.EpollEvent
	n, _ := unix.EpollWait(l.epoll, events[:], int(max(0, d).Milliseconds()))
	for _, ev := range events[:max(0, n)] {
		if ready := l.handlers[int(ev.Fd)]; ready != nil {
			ready(ev.Events)
		}
		l.clock += l.perEvent
	}
	l.mu.Lock()
	posted := l.posted
	l.posted = nil
	l.mu.Unlock()
	for _, f := range posted {
		f()
	}
}

// run makes one attempt and returns its result.
func (l *testLoop) run(tb testing.TB, env *Env, k Kind, page int) life.Result {
	tb.Helper()
	var result life.Result
	done := false
	a := env.Begin(k, page, func(r life.Result) {
		if done {
			tb.Error("two results")
		}
		result, done = r, true
	})
	if done {
		tb.Error("a result before Begin has returned")
	}
	give := time.Now().Add(time.Minute)
	for !done {
		if time.Now().After(give) {
			a.Drop()
			tb.Fatal("the attempt does not end")
		}
		a.Expire(l.Now())
		if !done {
			l.turn(min(20*time.Millisecond, a.Deadline()-l.Now()))
		}
	}
	if n := len(l.handlers); n != 1 {
		tb.Errorf("%d descriptors are watched after the end", n-1)
	}
	return result
}

// attempt makes one attempt on a new loop.
func attempt(tb testing.TB, k Kind) life.Result {
	tb.Helper()
	l := newTestLoop(tb)
	return l.run(tb, NewEnv(l, nil), k, 0)
}

// Timeouts: long where the server must answer on a busy machine, short where it never
// answers.
const (
	patient = 30 * time.Second
	short   = 100 * time.Millisecond
)

// serve accepts connections on loopback and passes each to f. A connection is closed when
// f returns.
func serve(tb testing.TB, f func(c *net.TCPConn)) Connection {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	all.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			all.Go(func() {
				f(c.(*net.TCPConn))
				c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			})
		}
	})
	tb.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return connection(listener.Addr().String())
}

// serveUDP answers datagrams: f returns the answers to each.
func serveUDP(tb testing.TB, f func(p []byte) [][]byte) Connection {
	tb.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, answer := range f(buf[:n]) {
				c.WriteTo(answer, from)
			}
		}
	})
	tb.Cleanup(func() { c.Close(); all.Wait() })
	return connection(c.LocalAddr().String())
}

// at is how a kind of check has a connection.
func at(c Connection) *Connection { return &c }

func connection(addr string) Connection {
	ap := netip.MustParseAddrPort(addr)
	return Connection{Addr: ap.Addr(), Port: ap.Port(), Timeout: patient}
}

// refusing is an address at which no process listens: a port that the kernel never
// assigns, so that neither another program nor a socket of the test itself gets it.
var refusing = connection("127.0.0.1:1")

// full returns an address whose backlog is full, so that no connection is accepted.
func full(tb testing.TB) Connection {
	tb.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		tb.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		tb.Fatal(err)
	}
	sa, _ := unix.Getsockname(fd)
	for range 4 {
		c, _ := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		unix.Connect(c, sa)
		tb.Cleanup(func() { unix.Close(c) })
	}
	return Connection{Addr: netip.MustParseAddr("127.0.0.1"), Port: uint16(sa.(*unix.SockaddrInet4).Port), Timeout: short}
}

var names = Names{Server: "[10.0.0.1]:tcp:80", Service: "[10.0.0.9]:tcp:80"}

// want compares a result: "" is a success, otherwise the beginning of the reason.
func want(t *testing.T, got life.Result, want string) {
	t.Helper()
	switch {
	case got.Void:
		t.Errorf("void: %s", got.Reason)
	case want == "" && !got.OK:
		t.Errorf("failed: %s", got.Reason)
	case want != "" && (got.OK || !strings.HasPrefix(got.Reason, want)):
		t.Errorf("got %v %q, want %q", got.OK, got.Reason, want)
	}
}

// descriptors returns the number of open descriptors of this process.
func descriptors(tb testing.TB) int {
	tb.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Fatal(err)
	}
	return len(entries)
}
