package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/tool/executable"
)

// TestOutbox checks that a child that has not read its messages gets all of them once it
// does, each once, and of configurations only the last.
func TestOutbox(t *testing.T) {
	o := newOutbox()
	dump, stop := link.Message{Kind: link.DumpData}, link.Message{Kind: link.Stop}
	first, last := new(link.Frame), new(link.Frame)
	for range 1500 {
		o.put(dump)
		o.put(first)
	}
	if o.put(last) {
		t.Error("a configuration was kept beside an earlier one")
	}
	if !o.put(stop) {
		t.Error("the order to stop was not kept")
	}
	var got []any
	for m := o.take(); m != nil; m = o.take() {
		got = append(got, m)
	}
	if want := []any{dump, last, stop}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// pause stops the child, which then reads nothing, until the test ends or calls goOn.
func (r *running) pause() (goOn func()) {
	r.t.Helper()
	child := r.pid("vrrp.pid")
	if err := syscall.Kill(child, syscall.SIGSTOP); err != nil {
		r.t.Fatal(err)
	}
	return func() { syscall.Kill(child, syscall.SIGCONT) }
}

func TestNoMessageToAChildIsLost(t *testing.T) {
	t.Parallel()
	r := supervise(t, routers(1))
	r.up(1)
	goOn := r.pause()
	for i := range 1500 {
		r.signal([]os.Signal{syscall.SIGUSR1, syscall.SIGUSR2, link.SignalStatsClear, link.SignalJSON}[i%4])
	}
	r.configure(routers(3))
	r.signal(syscall.SIGHUP)
	for i := range 1500 {
		r.signal([]os.Signal{syscall.SIGUSR1, syscall.SIGUSR2, link.SignalStatsClear, link.SignalJSON}[i%4])
	}
	// The child is fast: a dump requested now is not the first one.
	r.expect("Reloading ...")
	goOn()
	r.expect("child: configured 3 routers", "Reload complete")
	r.pause()
	r.configure("child_wait_time 1\n" + routers(2))
	r.signal(syscall.SIGTERM)
	r.expect("Stopping")
	r.exit(proc.ExitOK)
}

// TestReloadThatIsNotConfirmed checks that a reload that is not confirmed is reported,
// that the next one begins, and that the child has the last configuration when it
// continues.
func TestReloadThatIsNotConfirmed(t *testing.T) {
	t.Parallel()
	path, states := notifySocket(t)
	r := supervise(t, routers(1), "NOTIFY_SOCKET="+path)
	r.up(1)
	goOn := r.pause()
	r.configure(routers(2))
	r.signal(syscall.SIGHUP)
	r.expect("Reloading ...")
	r.expect("Reload not complete after 10 seconds: the VRRP process has not confirmed the configuration")
	expectState(t, states, "READY=1\nSTATUS=Running 2 virtual routers; the last reload is not complete")
	r.configure(routers(3))
	r.signal(syscall.SIGHUP)
	r.expect("Reloading ...")
	goOn()
	r.expect("child: configured 3 routers", "Reload complete")
	expectState(t, states, "READY=1\nSTATUS=Running 3 virtual routers")
}

// silent makes a FIFO in the directory of the test to which no process writes.
func (r *running) silent(name string) {
	r.t.Helper()
	os.Remove(r.path(name))
	if err := unix.Mkfifo(r.path(name), 0o600); err != nil {
		r.t.Fatal(err)
	}
	w, err := os.OpenFile(r.path(name), os.O_RDWR, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { w.Close() })
}

// TestFilesThatAreSilent checks that no file can block the supervisor: the configuration,
// a file that it includes, a key, and the time of a reload.
func TestFilesThatAreSilent(t *testing.T) {
	t.Parallel()
	r := superviseWords(t)
	r.silent("fifo")
	hmac := strings.Replace(routers(1), "  virtual_ipaddress", "  version 3\n  auth_hmac {\n    key 1 file:DIR/fifo\n  }\n  virtual_ipaddress", 1)
	for _, config := range []string{
		routers(2) + "include DIR/fifo\n",
		routers(2) + "include /proc/kmsg\n",
		hmac,
		"global_defs {\n  reload_time_file DIR/fifo\n}\n" + routers(2),
	} {
		r.configure(strings.ReplaceAll(config, "DIR", r.dir))
		r.signal(syscall.SIGHUP)
		r.expect("Reload complete")
	}
	r.configure(routers(3))
	if err := os.Rename(r.path("keepalived.conf"), r.path("good")); err != nil {
		t.Fatal(err)
	}
	r.silent("keepalived.conf")
	r.signal(syscall.SIGHUP)
	r.expect("keepalived.conf: the file keeps its reader waiting; name a regular file", "Reload refused")
	if err := os.Rename(r.path("good"), r.path("keepalived.conf")); err != nil {
		t.Fatal(err)
	}
	r.signal(syscall.SIGHUP)
	r.expect("child: configured 3 routers", "Reload complete")
}

// TestStopWhileStarting checks that a start ends on SIGTERM whatever it waits for.
func TestStopWhileStarting(t *testing.T) {
	t.Parallel()
	script := "#!/bin/sh\ntrap '' TERM\necho > DIR/runs\nsleep 1000\n"
	for _, tt := range []struct {
		name, config string
		prepare      func(*running)
		await        func(*running)
	}{
		{"configuration", "", func(r *running) { r.silent("keepalived.conf") },
			func(r *running) { r.expect("Command line: ") }},
		{"startup_script", "global_defs {\n  startup_script DIR/script\n  startup_script_timeout 1000\n}\n" + routers(1),
			func(r *running) {
				if err := executable.Write(r.path("script"), strings.ReplaceAll(script, "DIR", r.dir)); err != nil {
					t.Fatal(err)
				}
			},
			func(r *running) { r.awaitFile("runs") }},
		{"pid file", routers(1), func(r *running) {
			lock, err := lockPidFile(r.path("vrrp.pid"), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			r.t.Cleanup(lock.remove)
		}, func(r *running) { r.awaitFile("keepalived.pid") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := prepare(t)
			if tt.config != "" {
				r.configure(strings.ReplaceAll(tt.config, "DIR", r.dir))
			}
			tt.prepare(r)
			r.launch()
			tt.await(r)
			r.signal(syscall.SIGTERM)
			r.exit(proc.ExitOK)
			if r.count("Startup complete") > 0 || r.count("child: configured") > 0 {
				t.Errorf("started nevertheless; log:\n%s", strings.Join(r.seen, "\n"))
			}
		})
	}
}

// TestReloadWhileStarting checks that a reload requested while a script delays the start
// is done after the start.
func TestReloadWhileStarting(t *testing.T) {
	t.Parallel()
	r := prepare(t)
	config := func(n int) string {
		return "global_defs {\n  startup_script " + r.path("script") + "\n}\n" + routers(n)
	}
	if err := executable.Write(r.path("script"), "#!/bin/sh\necho > "+r.path("runs")+"\nuntil [ -e "+r.path("go")+" ]; do sleep 0.01; done\n"); err != nil {
		t.Fatal(err)
	}
	r.configure(config(1))
	r.launch()
	r.awaitFile("runs")
	r.configure(config(2))
	r.signal(syscall.SIGHUP)
	for range 200 {
		r.signal(syscall.SIGUSR1)
	}
	r.write("go", "")
	r.expect("child: configured 2 routers", "Reload complete")
}

// TestLeftoversOfAChildAreRemoved checks that the addresses that a killed VRRP process has
// left are removed by a successor without virtual routers.
func TestLeftoversOfAChildAreRemoved(t *testing.T) {
	t.Parallel()
	const removes = "The VRRP process has not given its addresses up: removing what it left"
	for _, tt := range []struct {
		name, part string
		end        func(*running)
		code       int
	}{
		{"hangs", "hangs", func(r *running) { r.signal(syscall.SIGTERM) }, proc.ExitOK},
		{"paused", "", func(r *running) { r.pause(); r.signal(syscall.SIGTERM) }, proc.ExitOK},
		{"dies with -R", "", func(r *running) { r.killChild() }, proc.ExitFatal},
		{"fails", "fails", func(r *running) { r.signal(link.SignalJSON) }, proc.ExitPermission},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := supervise(t, "child_wait_time 1\n"+routers(1), envPart+"="+tt.part, envArgs+"=no-respawn")
			r.up(1)
			tt.end(r)
			r.expect(removes)
			r.expect("child: configured 0 routers")
			r.expect("child: stop")
			r.exit(tt.code)
		})
	}
	t.Run("dead at the stop", func(t *testing.T) {
		t.Parallel()
		for range 5 {
			r := supervise(t, routers(1))
			r.up(1)
			for range atOnce {
				r.killChild()
				r.expect("child: configured 1 routers")
			}
			r.killChild()
			r.expect("Restart of VRRP process delayed")
			r.signal(syscall.SIGTERM)
			r.exit(proc.ExitOK)
			if r.count("child: configured 1 routers") > atOnce+1 {
				continue // the stop came after the next start: this test had no processor for a second
			}
			if r.count(removes) != 1 || r.count("child: configured 0 routers") != 1 {
				t.Error("no process has removed what the last one left")
			}
			return
		}
		t.Error("the stop never came before the next start")
	})
	t.Run("in good order", func(t *testing.T) {
		t.Parallel()
		r := supervise(t, routers(1))
		r.up(1)
		r.signal(syscall.SIGTERM)
		r.exit(proc.ExitOK)
		if r.count(removes) > 0 {
			t.Error("a second process removes what the first has removed")
		}
	})
}

// TestVerdictOfReloadIsThatOfStart checks that a reload accepts a configuration with
// which the daemon starts, with all its warnings, and refuses a file that looks
// incomplete.
func TestVerdictOfReloadIsThatOfStart(t *testing.T) {
	t.Parallel()
	complaints := "global_defs {\n  vrrp_garp_interval 0\n  no_such_word\n}\n" +
		strings.Replace(routers(2), "interface lo\n", "interface lo\n  state backup\n  notify /not/there\n  misspelt 1\n", 1)
	r := supervise(t, complaints)
	r.expect("Unknown keyword 'no_such_word'", "the rest runs", "child: configured 2 routers", "Startup complete")
	r.signal(syscall.SIGHUP)
	r.expect("Unknown keyword 'no_such_word'", "the rest runs", "child: configured 2 routers", "Reload complete")
	for name, tt := range map[string]struct{ config, why string }{
		"empty":        {"", "has no block"},
		"comments":     {"# VRRP\n\n! of two routers\n", "has no block"},
		"parameters":   {"$IF=lo\n", "has no block"},
		"cut":          {routers(3)[:len(routers(3))-2], "ends inside a block (" + r.path("keepalived.conf") + ":"},
		"cut in words": {routers(3)[:len(routers(2))+40], "ends inside a block"},
		"no VRID":      {"vrrp_instance X {\n interface lo\n}\n", "no daemon could start with this file"},
	} {
		r.configure(tt.config)
		r.signal(syscall.SIGHUP)
		if line := r.expect("Reload refused: the running configuration stays; "); !strings.Contains(line, tt.why) {
			t.Errorf("%s: %q, want %q", name, line, tt.why)
		}
	}
	r.configure(routers(1))
	r.signal(syscall.SIGHUP)
	r.expect("child: configured 1 routers", "Reload complete")
}

// TestBackgroundReportsWhyItDoesNotStart checks that a daemon that goes into the background
// reports on the terminal why it does not start, and writes nothing if it does.
func TestBackgroundReportsWhyItDoesNotStart(t *testing.T) {
	t.Parallel()
	double := strings.ReplaceAll(routers(2), "router_id 2", "router_id 1")
	for _, tt := range []struct {
		name, config, want string
		code               int
	}{
		{"configuration", double, "keepalived.conf:8:1: VI_1 and VI_2 both use VRID 1", proc.ExitConfig},
		{"no file", "", "Config files missing", proc.ExitNoConfig},
		{"namespace", "net_namespace not-there\n" + routers(1), "network namespace not-there: ", proc.ExitFatal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := prepare(t)
			if tt.config != "" {
				r.configure(tt.config)
			}
			r.launch(envArgs + "=daemon quiet")
			r.exit(tt.code)
			if text := strings.Join(r.seen, "\n"); !strings.Contains(text, "keepalived: ") || !strings.Contains(text, tt.want) {
				t.Errorf("the terminal shows %q, want %q", text, tt.want)
			}
		})
	}
	t.Run("started", func(t *testing.T) {
		t.Parallel()
		r := prepare(t)
		r.configure("global_defs {\n  no_such_word\n}\n" + routers(1))
		r.launch(envArgs + "=daemon quiet")
		r.exit(proc.ExitOK)
		daemon, err := os.FindProcess(r.pid("keepalived.pid"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { daemon.Kill() })
		if len(r.seen) > 0 {
			t.Errorf("the terminal shows %q", r.seen)
		}
		second := &running{t: t, dir: r.dir}
		second.launch(envArgs + "=daemon quiet")
		second.exit(proc.ExitFatal)
		if text := fmt.Sprint(second.seen); !strings.Contains(text, "daemon is already running") {
			t.Errorf("the terminal of a second daemon shows %q", text)
		}
		if err := daemon.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		lock, err := lockPidFile(filepath.Join(r.dir, "keepalived.pid"), time.Now().Add(20*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		lock.remove()
	})
}
