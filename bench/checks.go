package main

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// httpPort is the port of web servers, next to that of servers for TCP_CHECK.
const httpPort = 8081

// checks measures only the checks, on this kernel.
func checks(b *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	a := l.Node("a")
	if err := localAddresses(a); err != nil {
		return nil, err
	}
	tcp, err := serve(a, "TCP_CHECK", everywhere, serverPort)
	if err != nil {
		return nil, err
	}
	defer tcp.stop()
	web, err := serve(a, "HTTP_GET", everywhere, httpPort)
	if err != nil {
		return nil, err
	}
	defer web.stop()
	out, err := costBesideBare(b, a, p, tcp)
	if err != nil {
		return out, err
	}
	late, err := manyChecks(b, a, p)
	if out = append(out, late...); err != nil {
		return out, err
	}
	adverts, err := mastersBesideChecks(l, p)
	return append(out, adverts...), err
}

// costBesideBare compares a TCP_CHECK of ours with the system calls that it needs.
func costBesideBare(b *bench, n *lab.Node, p lab.Program, server *servers) ([]sample, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := services{n: 10, each: 100, check: "TCP_CHECK", delay: time.Second}
	var bare, ours, ratio []float64
	for range b.rounds(5) {
		text, err := n.Run(self, bareLoop, s.real(0, 0).String(), strconv.Itoa(s.n*s.each), "6s")
		if err != nil {
			return nil, err
		}
		us, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			return nil, err
		}
		k, err := n.Start(p, s.String(), "-C")
		if err != nil {
			return nil, err
		}
		time.Sleep(4 * time.Second)
		before, asked := runTime(k.Pids()), server.asked.Load()
		time.Sleep(6 * time.Second)
		used, checks := runTime(k.Pids())-before, server.asked.Load()-asked
		if err := k.Stop(); err != nil {
			return nil, err
		}
		if checks < int64(s.n*s.each*4) {
			return nil, fmt.Errorf("only %d checks ran", checks)
		}
		o := float64(used.Nanoseconds()) / 1000 / float64(checks)
		bare, ours, ratio = append(bare, us), append(ours, o), append(ratio, o/us)
	}
	return []sample{
		summary("CPU of a TCP_CHECK, 1,000 at 1 s", "µs", ours, none),
		summary("the same system calls in a bare epoll loop", "µs", bare, none),
		{What: "a TCP_CHECK as a multiple of the bare loop", Unit: "×", Value: summary("", "", ratio, none).Value, Target: limit(1.5, "≤ 1.5")},
	}, nil
}

// bareLoop as first argument makes this program connect to an address a number of times
// per second, and print the CPU time of one connection in microseconds.
const bareLoop = "-bare-loop"

func runBareLoop(to, rate, span string) error {
	addr, err := netip.ParseAddrPort(to)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(rate)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(span)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	epoll, err := unix.EpollCreate1(0)
	if err != nil {
		return err
	}
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, 0)
	if err != nil {
		return err
	}
	tick := unix.NsecToTimespec(int64(time.Second) / int64(n))
	if err := unix.TimerfdSettime(timer, 0, &unix.ItimerSpec{Interval: tick, Value: tick}, nil); err != nil {
		return err
	}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, timer, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(timer)}); err != nil {
		return err
	}
	remote := &unix.SockaddrInet4{Addr: addr.Addr().As4(), Port: int(addr.Port())}
	abort := unix.Linger{Onoff: 1}
	var events [64]unix.EpollEvent
	var buf [8]byte
	done := 0
	before := runTime([]int{os.Getpid()})
	for end := time.Now().Add(d); time.Now().Before(end); {
		k, err := unix.EpollWait(epoll, events[:], -1)
		if err != nil && err != unix.EINTR {
			return err
		}
		for _, ev := range events[:max(0, k)] {
			fd := int(ev.Fd)
			if fd != timer {
				unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
				unix.EpollCtl(epoll, unix.EPOLL_CTL_DEL, fd, nil)
				unix.Close(fd)
				done++
				continue
			}
			unix.Read(timer, buf[:])
			c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
			if err != nil {
				return err
			}
			unix.SetsockoptLinger(c, unix.SOL_SOCKET, unix.SO_LINGER, &abort)
			if err := unix.Connect(c, remote); err != nil && err != unix.EINPROGRESS {
				return err
			}
			if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, c, &unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(c)}); err != nil {
				return err
			}
		}
	}
	fmt.Println(float64((runTime([]int{os.Getpid()}) - before).Nanoseconds()) / 1000 / float64(done))
	return nil
}

// manyChecks runs 10,000 TCP and 5,000 HTTP checks per second, and compares the begin of
// each with its scheduled time: a second after the end of the one before.
func manyChecks(b *bench, n *lab.Node, p lab.Program) ([]sample, error) {
	tcp := services{n: 100, each: 100, check: "TCP_CHECK", delay: time.Second}
	web := services{n: 50, each: 100, check: "HTTP_GET", delay: time.Second}
	// The same servers, at another port, for other services.
	text := strings.NewReplacer("virtual_server 10.1", "virtual_server 10.9", fmt.Sprint(" ", serverPort, " {"), fmt.Sprint(" ", httpPort, " {")).Replace(web.String())
	k, err := n.Start(p, tcp.String()+text[strings.Index(text, "virtual_server"):], "-C")
	if err != nil {
		return nil, err
	}
	defer k.Kill()
	time.Sleep(10 * time.Second) // until all have begun
	w, err := watchSegments(n, sampled(serverPort))
	if err != nil {
		return nil, err
	}
	defer w.close()
	time.Sleep(100 * time.Millisecond)
	w.take()
	began, before := time.Now(), runTime(k.Pids())
	time.Sleep(max(8*time.Second, b.span(30*time.Second)))
	took, used := time.Since(began), runTime(k.Pids())-before
	ended := map[netip.AddrPort]time.Time{}
	var late []float64
	var starts [2]int
	for _, s := range w.take() {
		switch {
		case s.flags&syn == 0:
			if ended[s.to].IsZero() {
				ended[s.to] = s.at // the first of FIN and RST
			}
		default:
			if end := ended[s.to]; !end.IsZero() {
				late = append(late, max(0, ms(s.at.Sub(end)-time.Second)))
				delete(ended, s.to)
			}
			starts[s.to.Port()-serverPort]++
		}
	}
	if len(late) == 0 {
		return nil, fmt.Errorf("no check was made twice in %v: %d and %d starts", took, starts[0], starts[1])
	}
	slices.Sort(late)
	inTime, _ := slices.BinarySearch(late, 20)
	percent := func(x float64) float64 { return 100 * x }
	return []sample{
		{What: "10,000 TCP and 5,000 HTTP checks: starts a second, TCP", Unit: "", Value: tcp.unsampled(starts[0]) / took.Seconds(), Target: atLeast(9900)},
		{What: "10,000 TCP and 5,000 HTTP checks: starts a second, HTTP", Unit: "", Value: web.unsampled(starts[1]) / took.Seconds(), Target: atLeast(4950)},
		{What: "10,000 TCP and 5,000 HTTP checks: starts within 20 ms of their time", Unit: "%", Value: percent(float64(inTime) / float64(len(late))),
			Target: atLeast(99)},
		{What: "10,000 TCP and 5,000 HTTP checks: 99 % of the starts within", Unit: "ms", Value: late[len(late)*99/100]},
		{What: "10,000 TCP and 5,000 HTTP checks: latest start", Unit: "ms", Value: late[len(late)-1]},
		{What: "10,000 TCP and 5,000 HTTP checks: CPU of ours", Unit: "% of a core", Value: percent(float64(used) / float64(took))},
	}, nil
}

// mastersBesideChecks runs ten masters at 10 ms in a daemon with 10,000 checks per
// second.
func mastersBesideChecks(l *lab.Lab, p lab.Program) ([]sample, error) {
	s := services{n: 100, each: 100, check: "TCP_CHECK", delay: time.Second}
	text := s.String()
	return beside(l, p, extraLoad{
		name:   "ten masters at 10 ms beside 10,000 checks a second: ",
		config: text[strings.Index(text, "virtual_server"):],
		steady: 5 * time.Second,
	})
}
