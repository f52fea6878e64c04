package attempt

import (
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/checkd/life"
)

// TestNothingLeaks makes ten thousand attempts that fail, in every way, and checks that
// the numbers of open descriptors and goroutines are the same afterwards.
func TestNothingLeaks(t *testing.T) {
	l := newTestLoop(t)
	env := NewEnv(l, nil)
	closed := refusing
	bad := serve(t, sends("HTTP/1.0 500 x\r\n\r\nx", 100))
	resets := serve(t, func(c *net.TCPConn) { c.SetLinger(0) })
	refuses := serve(t, func(c *net.TCPConn) { c.Write([]byte("554 no\r\n")); c.Read(make([]byte, 1)) })
	elsewhere := closed
	elsewhere.BindIf = "no-such-if"
	regex := &Regex{Pattern: must("x$"), MaxOffset: -1, NoMatch: true}
	ssl := TLS(nil, false)
	kinds := []Kind{
		&TCP{names, &closed}, &TCP{names, &elsewhere}, &UDP{Names: names, Connection: &closed}, &DNS{names, &closed, "A", "x"},
		&SMTP{names, &refuses, "x"}, &SMTP{names, &resets, "x"}, &SMTP{names, &closed, "x"},
		&HTTP{Names: names, Connection: &bad, Pages: []Page{{Path: "/", Regex: regex, Digest: "x"}}},
		&HTTP{Names: names, Connection: &bad, Pages: []Page{{Path: "/", Status: []StatusRange{{500, 500}}, Regex: regex}}},
		&HTTP{Names: names, Connection: &resets, Pages: []Page{{Path: "/", Regex: regex}}},
		&HTTP{Names: names, Connection: &closed, Pages: []Page{{Path: "/"}}},
		&HTTP{Names: names, Connection: &closed, TLS: ssl, Pages: []Page{{Path: "/"}}},
		&HTTP{Names: names, Connection: &bad, TLS: ssl, Pages: []Page{{Path: "/"}}},
		&HTTP{Names: names, Connection: &resets, TLS: ssl, Pages: []Page{{Path: "/", Regex: regex}}},
	}
	n := 10_000
	if testing.Short() {
		n = 500
	}
	round := func(n int) {
		const atOnce = 32
		left, running := n, 0
		for end := time.Now().Add(5 * time.Minute); left > 0 || running > 0; {
			if time.Now().After(end) {
				t.Fatalf("%d attempts do not end", running)
			}
			for ; left > 0 && running < atOnce; left-- {
				running++
				k := kinds[left%len(kinds)]
				done := func(r life.Result) {
					running--
					if r.OK {
						t.Errorf("%T passes", k)
					}
				}
				a := env.Begin(k, 0, done)
				a.Expire(l.Now()) // what has failed at once
				if left%11 == 0 && a.done != nil {
					a.Drop()
					running--
				}
			}
			l.turn(time.Second)
		}
	}
	settle := func() (goroutines, fds int) {
		for end := time.Now().Add(time.Minute); ; {
			goroutines = runtime.NumGoroutine()
			l.turn(20 * time.Millisecond)
			if g := runtime.NumGoroutine(); g == goroutines || time.Now().After(end) {
				return g, descriptors(t)
			}
		}
	}
	round(100)
	goroutines, fds := settle()
	round(n)
	for end := time.Now().Add(time.Minute); ; {
		g, f := settle()
		if g <= goroutines && f <= fds && len(l.handlers) == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before; %d descriptors, %d before; %d watched", g, goroutines, f, fds, len(l.handlers)-1)
		}
	}
}

// cpu returns the CPU time of this process.
func cpu() time.Duration {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// listening is an address at which the kernel accepts connections without a server, whose
// time would be measured too. Connections that were reset leave the backlog.
func listening(b *testing.B) (c Connection, drain func()) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		b.Fatal(err)
	}
	if err := unix.Listen(fd, 4096); err != nil {
		b.Fatal(err)
	}
	sa, _ := unix.Getsockname(fd)
	c = connection("127.0.0.1:1")
	c.Port = uint16(sa.(*unix.SockaddrInet4).Port)
	return c, func() {
		for {
			one, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
			if err != nil {
				return
			}
			unix.Close(one)
		}
	}
}

// BenchmarkTCP measures one TCP_CHECK, and the same system calls alone. cpu-us/op is the
// relevant figure: the time of this process, with the kernel's for both ends of the
// connection.
func BenchmarkTCP(b *testing.B) {
	const batch = 64
	measure := func(b *testing.B, one func(), drain func()) {
		start, n := cpu(), 0
		for b.Loop() {
			one()
			if n++; n%batch == 0 {
				b.StopTimer()
				before := cpu()
				drain()
				start += cpu() - before
				b.StartTimer()
			}
		}
		b.ReportMetric(float64((cpu()-start).Microseconds())/float64(b.N), "cpu-us/op")
	}
	b.Run("bare", func(b *testing.B) {
		c, drain := listening(b)
		epoll, _ := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		defer unix.Close(epoll)
		_, remote, _ := c.remote()
		var events [64]unix.EpollEvent
		measure(b, func() {
			fd, _ := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
			unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &abort)
			unix.Connect(fd, remote)
			unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(fd)})
			unix.EpollWait(epoll, events[:], -1)
			unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
			unix.EpollCtl(epoll, unix.EPOLL_CTL_DEL, fd, nil)
			unix.Close(fd)
		}, drain)
	})
	b.Run("attempt", func(b *testing.B) {
		c, drain := listening(b)
		l := newTestLoop(b)
		env := NewEnv(l, nil)
		k := &TCP{names, &c}
		passed := 0
		done := func(r life.Result) {
			if r.OK {
				passed++
			}
		}
		b.ReportAllocs()
		n := 0
		measure(b, func() {
			n++
			for env.Begin(k, 0, done); passed < n; {
				l.turn(time.Second)
			}
		}, drain)
	})
}

// BenchmarkHTTP measures one HTTP_GET with a small page. The server is in the same
// process, so that its time counts as well.
func BenchmarkHTTP(b *testing.B) {
	c := serve(b, sends(okHead+"Content-Length: 5\r\n\r\nhello", 1000))
	l := newTestLoop(b)
	env := NewEnv(l, nil)
	k := &HTTP{Names: names, Connection: &c, Pages: []Page{{Path: "/", Digest: sum("hello")}}}
	n, passed := 0, 0
	start := cpu()
	b.ReportAllocs()
	for b.Loop() {
		n++
		for env.Begin(k, 0, func(r life.Result) {
			if !r.OK {
				b.Fatal(r.Reason)
			}
			passed++
		}); passed < n; {
			l.turn(time.Second)
		}
	}
	b.ReportMetric(float64((cpu()-start).Microseconds())/float64(b.N), "cpu-us/op")
}
