package test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/executable"
	"keepalived-go/internal/tool/lab"
)

// script writes an executable file for the node and returns its path. A body without #!
// is run by sh.
func (s *scene) script(node, name, body string) string {
	s.Helper()
	if !strings.HasPrefix(body, "#!") {
		body = "#!/bin/sh\n" + body
	}
	path := s.path(node, name)
	s.must(executable.Write(path, body+"\n"))
	return path
}

// path returns the path of a file of the node.
func (s *scene) path(node, name string) string { return filepath.Join(s.Node(node).Dir, name) }

// write replaces a file of the node in place, as `echo text > file` does.
func (s *scene) write(node, name, text string) {
	s.Helper()
	s.must(os.WriteFile(s.path(node, name), []byte(text+"\n"), 0o644))
}

// recorder writes a script that appends its arguments, in one line, to a file,
// and returns the paths of both.
func (s *scene) recorder(node, name string) (script, file string) {
	file = s.path(node, name+".out")
	return s.script(node, name, `echo "$*" >>`+file), file
}

// fileLines returns the lines of a file, which need not exist.
func fileLines(path string) []string {
	b, _ := os.ReadFile(path)
	return strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })
}

// awaitLine waits until a recorder's file holds the line.
func (s *scene) awaitLine(file, line string, timeout time.Duration) {
	s.Helper()
	if !s.Until(timeout, func() bool { return slices.Contains(fileLines(file), line) }) {
		s.Fatalf("after %v the script did not report %q; it reported %q", timeout, line, fileLines(file))
	}
}

// pipe is a FIFO and the lines that were written into it.
type pipe struct {
	path string

	mu    sync.Mutex
	lines []string
}

// fifo makes a FIFO for the node and reads it until the test ends.
func (s *scene) fifo(node, name string) *pipe {
	s.Helper()
	p := &pipe{path: s.path(node, name)}
	s.must(unix.Mkfifo(p.path, 0o644))
	f, err := os.OpenFile(p.path, os.O_RDWR, 0) // for writing too: no end of file between daemons
	s.must(err)
	s.Cleanup(func() { f.Close() })
	go func() {
		for in := bufio.NewScanner(f); in.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, in.Text())
			p.mu.Unlock()
		}
	}()
	return p
}

// all returns the lines so far.
func (p *pipe) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines)
}

// await waits until a line after the first n is this one, and returns the number of lines
// up to it.
func (s *scene) await(p *pipe, n int, line string, timeout time.Duration) int {
	s.Helper()
	read := func() []string {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.lines[min(n, len(p.lines)):]
	}
	i := -1
	if !s.Until(timeout, func() bool { i = slices.Index(read(), line); return i >= 0 }) {
		s.Fatalf("after %v the FIFO has no line %q; it has %q", timeout, line, read())
	}
	return n + i + 1
}

// awaitPriority waits for an advert of the node with that priority.
func (s *scene) awaitPriority(from time.Time, node string, priority int, timeout time.Duration) lab.Event {
	s.Helper()
	e, ok := s.Wait(from, timeout, func(e *lab.Event) bool {
		return e.Kind == lab.Advert && e.Node.Name == node && int(e.Priority) == priority
	})
	if !ok {
		s.Fatalf("after %v no advert of %s with priority %d", timeout, node, priority)
	}
	return e
}

// onlyPriorities fails if an advert of the node after from has another priority.
func (s *scene) onlyPriorities(from time.Time, node string, want ...int) {
	s.Helper()
	for _, e := range s.adverts(from, time.Now(), node) {
		if !slices.Contains(want, int(e.Priority)) {
			s.Errorf("priority %d on the wire, want only %v: %v", e.Priority, want, e)
			return
		}
	}
}

// awaitLog waits for a line of the log.
func (s *scene) awaitLog(d *lab.Daemon, from time.Time, text string, timeout time.Duration) {
	s.Helper()
	if !s.Until(timeout, func() bool { return d.Logged(from, text) }) {
		s.Fatalf("after %v the log has no %q", timeout, text)
	}
}

// count returns how many lines of the log after from contain the text.
func count(d *lab.Daemon, from time.Time, text string) (n int) {
	for _, l := range d.Log() {
		if !l.Time.Before(from) && strings.Contains(l.Text, text) {
			n++
		}
	}
	return n
}

// beside runs f for the program under test and for the C daemon in parallel, in separate
// networks, and returns both results.
func beside[T any](t *testing.T, segments int, nodes []string, f func(s *scene, p lab.Program) T) (mine, upstream T) {
	t.Helper()
	lab.Need(t, lab.Root, lab.Peer)
	// The results are written before the group of subtests ends.
	t.Run("beside", func(t *testing.T) {
		for _, side := range []struct {
			p   lab.Program
			out *T
		}{{ours, &mine}, {lab.C(), &upstream}} {
			t.Run(side.p.Name, func(t *testing.T) {
				t.Parallel()
				*side.out = f(newWideScene(t, segments, nodes...), side.p)
			})
		}
	})
	return mine, upstream
}

// sameLines compares line by line.
func sameLines(t *testing.T, what string, mine, upstream []string) {
	t.Helper()
	if slices.Equal(mine, upstream) {
		return
	}
	var b strings.Builder
	for i := range max(len(mine), len(upstream)) {
		at := func(l []string) string {
			if i < len(l) {
				return l[i]
			}
			return "–"
		}
		mark := " "
		if at(mine) != at(upstream) {
			mark = "≠"
		}
		fmt.Fprintf(&b, "%s %-50s %s\n", mark, at(mine), at(upstream))
	}
	t.Errorf("%s differ: ours, upstream\n%s", what, b.String())
}

// nginx is a web server in a node, listening on port 80.
type nginx struct {
	s    *scene
	node string
	dir  string
}

// nginx starts a web server that answers each request with the name of its node.
func (s *scene) nginx(node string) *nginx {
	s.Helper()
	lab.Need(s.T, lab.Nginx)
	w := &nginx{s, node, s.path(node, "nginx")}
	s.must(os.Mkdir(w.dir, 0o755))
	s.write(node, "nginx/nginx.conf", strings.NewReplacer("DIR", w.dir, "NODE", node).Replace(`user root;
worker_processes 1;
pid DIR/pid;
error_log DIR/error.log;
events { worker_connections 64; }
http {
    access_log off;
    keepalive_timeout 1h;
    client_body_temp_path DIR/body;
    proxy_temp_path DIR/proxy;
    fastcgi_temp_path DIR/fastcgi;
    uwsgi_temp_path DIR/uwsgi;
    scgi_temp_path DIR/scgi;
    server { listen [::]:80 ipv6only=off; return 200 "NODE\n"; }
}`))
	w.start()
	return w
}

// command returns the command that starts it.
func (w *nginx) command() string {
	return fmt.Sprintf("nginx -e %[1]s/error.log -p %[1]s -c %[1]s/nginx.conf", w.dir)
}

// start starts the server and returns when it answers.
func (w *nginx) start() {
	w.s.Helper()
	_, err := w.s.Node(w.node).Run("sh", "-c", w.command())
	w.s.must(err)
	if !w.answers(3 * time.Second) {
		w.s.Fatal("nginx does not answer")
	}
}

// pid returns the process id of the server, or 0.
func (w *nginx) pid() (pid int) {
	fmt.Sscan(strings.Join(fileLines(w.dir+"/pid"), ""), &pid)
	return pid
}

// kill kills all processes of the server at once.
func (w *nginx) kill() {
	w.s.Helper()
	w.s.must(unix.Kill(-w.pid(), unix.SIGKILL)) // the group, which it leads
}

// answers reports whether the server answers within a time.
func (w *nginx) answers(within time.Duration) bool {
	return w.s.Until(within, func() bool {
		return w.s.Node(w.node).Do(func() error {
			c, err := net.Dial("tcp", "127.0.0.1:80")
			if err == nil {
				c.Close()
			}
			return err
		}) == nil
	})
}

// check writes a script that fails unless the server accepts a connection. (pidof would
// find the servers of other nodes, which share the table of processes.)
func (w *nginx) check() string {
	return w.s.script(w.node, "check-nginx", "#!/bin/bash\nexec 3<>/dev/tcp/127.0.0.1/80")
}
