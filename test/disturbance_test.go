package test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// TestAdvertsUndisturbed checks that whatever else happens on the node, the master's
// adverts are sent in time, so that its backup never takes over. The benchmark measures
// how regular they are.
func TestAdvertsUndisturbed(t *testing.T) {
	t.Parallel()
	undisturbed := func(s *scene, during func()) {
		s.Helper()
		low := instance{}.at(100)
		s.start("b", ours, config(low))
		s.awaitOwner(vip, time.Second, "a")
		from := time.Now()
		during()
		s.stays(vip, "a", 2*time.Second)
		s.silent(from, time.Now(), "b")
		s.neverQuiet("a", from, time.Now(), masterDown(low))
	}
	// flapping is a second instance whose state follows a file; flap changes it.
	flapping := instance{Name: "VI_2", VRID: 52, Interval: 10 * time.Second, VIPs: []string{vip2.String()}}.at(100).tracks("file", "bad weight 0")
	block := func(s *scene) string {
		s.write("a", "bad", "0")
		return trackFile("bad", s.path("a", "bad"), "")
	}
	flap := func(s *scene, fifo *pipe, times int) {
		s.Helper()
		n := len(fifo.all())
		for i := range times {
			s.write("a", "bad", fmt.Sprint(1-i%2))
			n = s.await(fifo, n, fmt.Sprintf(`INSTANCE "VI_2" %s 100`, [...]string{"FAULT", "BACKUP"}[i%2]), 3*time.Second)
		}
	}

	t.Run("255 scripts each second", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, "a", "b")
		const scripts = 255
		var blocks strings.Builder
		var names []string
		for i := range scripts {
			names = append(names, fmt.Sprintf("s%d weight 1", i))
			fmt.Fprintf(&blocks, "vrrp_script s%d {\n    script /bin/true\n    interval 1\n}\n", i)
		}
		a := s.start("a", ours, blocks.String()+config(instance{}.at(150).tracks("script", strings.Join(names, "\n"))))
		s.awaitPriority(a.Started, "a", 254, 6*time.Second)
		undisturbed(s, func() {
			if !s.Until(4*time.Second, func() bool { return count(a, a.Started, "succeeded") == scripts }) {
				t.Errorf("%d scripts succeeded, want %d", count(a, a.Started, "succeeded"), scripts)
			}
		})
		s.must(a.Stop())
	})

	t.Run("a silent mail server", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, "a", "b")
		m := s.mailServer("a", func(*mailServer, net.Conn) {})
		fifo := s.fifo("a", "fifo")
		a := s.start("a", ours, block(s)+configWith(mailGlobal+"\nvrrp_notify_fifo "+fifo.path, instance{}.at(150), flapping))
		s.await(fifo, 0, `INSTANCE "VI_2" BACKUP 100`, 3*time.Second)
		s.await(fifo, 0, `INSTANCE "VI_1" MASTER 150`, 3*time.Second)
		undisturbed(s, func() { flap(s, fifo, 40) })
		if m.conversations() == 0 {
			t.Error("no mail was tried")
		}
		s.must(a.Stop())
	})

	t.Run("a log that nobody reads", func(t *testing.T) {
		t.Parallel()
		differs(t, "waits for whoever reads its log")
		s := newScene(t, "a", "b")
		log := s.path("a", "log")
		s.must(unix.Mkfifo(log, 0o600))
		fd, err := unix.Open(log, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		s.must(err)
		defer unix.Close(fd)
		for err == nil {
			_, err = unix.Write(fd, make([]byte, 4096))
		}
		fifo := s.fifo("a", "fifo")
		file := s.path("a", "k.conf")
		s.must(os.WriteFile(file, []byte(block(s)+configWith("vrrp_notify_fifo "+fifo.path, instance{}.at(150), flapping)), 0o644))
		a, err := s.Node("a").StartWith(lab.Program{Name: "with a full log", Path: "/bin/sh"},
			"-c", `exec "$0" "$@" >`+log+` 2>&1`, ours.Path, "-n", "-l", "-D", "-G", "-f", file,
			"-p", s.path("a", "k.pid"), "-r", s.path("a", "v.pid"))
		s.must(err)
		s.await(fifo, 0, `INSTANCE "VI_2" BACKUP 100`, 10*time.Second)
		s.await(fifo, 0, `INSTANCE "VI_1" MASTER 150`, 10*time.Second)
		undisturbed(s, func() { flap(s, fifo, 200) })
		s.must(a.Stop())
	})
}
