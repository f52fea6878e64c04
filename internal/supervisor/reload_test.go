package supervisor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/tool/required"
)

// words returns a configuration with n routers and words in global_defs. DIR in words
// stands for the directory of the test.
func (r *running) words(n int, words ...string) string {
	return "global_defs {\n" + strings.ReplaceAll(strings.Join(words, "\n"), "DIR", r.dir) + "\n}\n" + routers(n)
}

// superviseWords starts a supervisor of one router with such a configuration.
func superviseWords(t *testing.T, words ...string) *running {
	t.Helper()
	r := prepare(t)
	r.configure(r.words(1, words...))
	r.launch()
	r.up(1)
	return r
}

func (r *running) path(name string) string { return filepath.Join(r.dir, name) }

func (r *running) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(r.path(name), []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// gone waits until a file does not exist.
func (r *running) gone(name string) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Lstat(r.path(name)); os.IsNotExist(err) {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s is still there", name)
		}
	}
}

func TestReloadAtTheTimeInAFile(t *testing.T) {
	t.Parallel()
	r := superviseWords(t, "reload_time_file DIR/time")
	r.write("time", time.Now().Add(time.Hour).Format(time.DateTime)+"\n")
	r.expect("Scheduling reload for ")
	soon := time.Now().Add(2 * time.Second).Truncate(time.Second)
	r.write("new", soon.UTC().Format("06-01-02 15:04:05Z"))
	if err := os.Rename(r.path("new"), r.path("time")); err != nil {
		t.Fatal(err)
	}
	r.expect("Reload time updated from ")
	r.configure(r.words(2, "reload_time_file DIR/time"))
	r.expect("Reloading ...", "child: configured 2 routers", "Reload complete")
	if early := time.Until(soon); early > 0 {
		t.Errorf("the reload was %v before its time", early)
	}
	r.gone("time")

	r.write("time", "12:00\n")
	r.expect(`Invalid reload time "12:00" specified - ignoring: expected HH:MM:SS`)
	r.write("time", "2020-01-01 00:00:00\n")
	r.expect("Reload date/time is in the past - ignoring")
	r.write("time", time.Now().Add(time.Hour).Format("15:04:05"))
	r.expect("Scheduling reload for ")
	r.write("time", "")
	r.expect(`Invalid reload time "" specified`, "Cancelling reload scheduled for ")
	r.write("time", time.Now().Add(time.Hour).Format("15:04:05"))
	r.expect("Scheduling reload for ")
	if err := os.Remove(r.path("time")); err != nil {
		t.Fatal(err)
	}
	r.expect("Cancelling reload scheduled for ")

	r.write("time", time.Now().Add(time.Hour).Format("15:04:05"))
	r.expect("Scheduling reload for ")
	r.configure(r.words(1))
	r.signal(syscall.SIGHUP)
	r.expect("Cancelling reload scheduled for ", "Reload complete") // the keyword was removed
}

// TestReloadRepeats checks that with reload_repeat the file stays, and that its time
// applies to the next day too.
func TestReloadRepeats(t *testing.T) {
	t.Parallel()
	r := prepare(t)
	r.configure(r.words(1, "reload_time_file DIR/time", "reload_repeat"))
	at := time.Now().Add(10 * time.Second) // a busy machine may take long to start the supervisor
	r.write("time", at.Format("15:04:05")) // written before the start
	r.launch()
	r.expect("Scheduling reload for "+at.Format(time.DateTime), "Startup complete")
	r.expect("Reloading ...", "Scheduling reload for ")
	r.expect("Reload complete")
	if _, err := os.Stat(r.path("time")); err != nil {
		t.Error(err)
	}
	r.signal(syscall.SIGUSR1)
	r.expect("child: dump data")
	tomorrow := at.AddDate(0, 0, 1).Format(time.DateTime)
	if data := r.read("keepalived_parent.data"); !strings.Contains(data, " Reload time file = "+r.path("time")+" (repeat)\n Reload scheduled for "+tomorrow+"\n") {
		t.Errorf("the dump does not show that the next reload is at %s:\n%s", tomorrow, data)
	}
}

// read waits for a file that is renamed into place, and returns its contents.
func (r *running) read(name string) string {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(r.path(name))
		if err == nil {
			return string(b)
		}
		if time.Now().After(deadline) {
			r.t.Fatal(err)
		}
	}
}

// TestWhatIsNamed checks that a test of a configuration looks at what it names on the
// machine, and that a start and an ordinary reload do not.
func TestWhatIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keepalived.conf")
	if err := os.WriteFile(path, []byte("global_defs {\ncontrol_admin_group no-such-group\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for test, want := range map[bool]int{false: 0, true: 1} {
		r := Options{Config: path}.read(test, nil)
		if n := len(r.diagnostics); n != want || r.failed || want == 1 && r.diagnostics[0].Code != "no-group" {
			t.Errorf("as a test %v: failed %v, %v", test, r.failed, r.diagnostics)
		}
	}
}

// TestReloadChecksLikeATest checks that reload_check_config requires what -t requires,
// and keeps its findings.
func TestReloadChecksLikeATest(t *testing.T) {
	t.Parallel()
	if _, err := net.InterfaceByName(device()); err != nil {
		required.Missing(t, "an interface beside lo: ", err)
	}
	r := superviseWords(t, "reload_check_config DIR/check.log")
	r.write("victim", "untouched")
	if err := os.Symlink(r.path("victim"), r.path("check.log")); err != nil {
		t.Fatal(err)
	}
	missing := strings.Replace(r.words(2, "reload_check_config"), "interface "+device(), "interface not-there", 1)
	r.configure(missing)
	r.signal(syscall.SIGHUP)
	r.expect("New config failed validation, see "+r.path("check.log")+" for details", "Reload refused")
	if found := r.read("check.log"); !strings.Contains(found, "not-there") {
		t.Errorf("the log of the check has %q", found)
	}
	if victim := r.read("victim"); victim != "untouched" {
		t.Errorf("a link was followed: %q", victim)
	}
	r.configure(r.words(2, "reload_check_config"))
	r.signal(syscall.SIGHUP)
	r.expect("child: configured 2 routers", "Reload complete")
	if found := r.read("check.log"); found != "" {
		t.Errorf("the log of a check that found nothing has %q", found)
	}
	// Now /dev/null is the log.
	r.configure(missing)
	r.signal(syscall.SIGHUP)
	r.expect("New config failed validation, see /dev/null for details")
	if info, err := os.Stat("/dev/null"); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Fatalf("/dev/null is %v, %v", info.Mode(), err)
	}
	// Without the keyword a missing interface is not checked.
	r.configure(r.words(2))
	r.signal(syscall.SIGHUP)
	r.expect("Reload complete")
	r.configure(missing)
	r.signal(syscall.SIGHUP)
	r.expect("child: configured 2 routers", "Reload complete")
}

// TestReloadWithoutAnInclude checks that with include_check a reload is refused if an
// included file is missing.
func TestReloadWithoutAnInclude(t *testing.T) {
	t.Parallel()
	r := prepare(t)
	r.write("part", "# nothing\n")
	r.configure(r.words(1, "include_check") + "include " + r.path("part") + "\n")
	r.launch()
	r.up(1)
	if err := os.Remove(r.path("part")); err != nil {
		t.Fatal(err)
	}
	r.signal(syscall.SIGHUP)
	r.expect(r.path("part"), "Reload refused")
	r.write("part", "# back\n")
	r.signal(syscall.SIGHUP)
	r.expect("Reload complete")
}

// TestReloadFileExistsWhileReading checks that the file of reload_file is empty while the
// configuration is read, and removed afterwards.
func TestReloadFileExistsWhileReading(t *testing.T) {
	t.Parallel()
	r := superviseWords(t, "reload_file DIR/reading")
	r.write("reading", "the update of the configuration")
	r.configure(r.words(1, "reload_file"))
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(watch)
	if _, err := unix.InotifyAddWatch(watch, r.dir, unix.IN_MODIFY|unix.IN_OPEN|unix.IN_CLOSE_NOWRITE|unix.IN_DELETE); err != nil {
		t.Fatal(err)
	}
	r.signal(syscall.SIGHUP)
	r.expect("Reload complete")
	r.gone("reading")
	want := []string{"modified reading", "opened keepalived.conf", "closed keepalived.conf", "deleted reading"}
	if got := order(t, watch, want); !slices.Equal(got, want) {
		t.Errorf("in this order: %q, want %q", got, want)
	}

	// Now the default of reload_file applies. A link is neither followed nor removed.
	r.write("victim", "untouched")
	if err := os.Symlink(r.path("victim"), r.path("keepalived.reload")); err != nil {
		t.Fatal(err)
	}
	r.configure(r.words(1, "reload_file"))
	r.signal(syscall.SIGHUP)
	r.expect("reload_file: open "+r.path("keepalived.reload"), "Reload complete")
	if victim := r.read("victim"); victim != "untouched" {
		t.Errorf("a link was followed: %q", victim)
	}
	if err := os.Remove(r.path("keepalived.reload")); err != nil {
		t.Fatal(err)
	}
	r.write("keepalived.reload", "x")
	r.signal(syscall.SIGHUP)
	r.expect("Reload complete")
	r.gone("keepalived.reload")
}

// order reads the events of a watched directory that are in want, and returns them in
// order.
func order(t *testing.T, watch int, want []string) (got []string) {
	t.Helper()
	buf := make([]byte, 64<<10)
	n, err := unix.Read(watch, buf)
	if err != nil {
		t.Fatal(err)
	}
	names := map[uint32]string{unix.IN_MODIFY: "modified ", unix.IN_OPEN: "opened ", unix.IN_CLOSE_NOWRITE: "closed ", unix.IN_DELETE: "deleted "}
	for events := buf[:n]; len(events) >= unix.SizeofInotifyEvent; {
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
		name := unix.ByteSliceToString(events[unix.SizeofInotifyEvent:end])
		if e := names[binary.NativeEndian.Uint32(events[4:])] + name; slices.Contains(want, e) {
			got = append(got, e)
		}
		events = events[end:]
	}
	return slices.Compact(got)
}

// TestConfigurationsAreSaved checks that config_save_dir keeps each configuration that
// was read, expanded, and readable by its owner only.
func TestConfigurationsAreSaved(t *testing.T) {
	t.Parallel()
	r := prepare(t)
	r.write("part", "$PRIO=77\n  priority ${PRIO}\n")
	config := func(extra string) string {
		return r.words(0, "config_save_dir DIR/saved", extra) + `vrrp_instance VI_1 {
  interface eth0
  virtual_router_id 1
  include ` + r.path("part") + `
  authentication {
    auth_type PASS
    auth_pass "s e c"
  }
  virtual_ipaddress {
    192.0.2.1
  }
}
`
	}
	r.configure(config(""))
	r.launch()
	r.up(1)
	r.configure(config("router_id second"))
	r.signal(syscall.SIGHUP)
	r.expect("Reload complete")
	pid := r.cmd.Process.Pid
	first := r.read(fmt.Sprintf("saved/keepalived.conf.%d.0", pid))
	want := "# " + r.path("keepalived.conf") + `
global_defs {
    config_save_dir ` + r.path("saved") + `
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 1
    # ` + r.path("part") + `
    priority 77
    # ` + r.path("keepalived.conf") + `
    authentication {
        auth_type PASS
        auth_pass ********
    }
    virtual_ipaddress {
        192.0.2.1
    }
}
`
	if first != want {
		t.Errorf("saved:\n%s\nwant:\n%s", first, want)
	}
	name := fmt.Sprintf("saved/keepalived.conf.%d.1", pid)
	if second := r.read(name); !strings.Contains(second, "router_id second\n") {
		t.Errorf("saved at the reload:\n%s", second)
	}
	for path, mode := range map[string]os.FileMode{name: 0o600, "saved": os.ModeDir | 0o700} {
		if info, err := os.Stat(r.path(path)); err != nil || info.Mode() != mode {
			t.Errorf("mode of %s: %v, %v; want %v", path, info.Mode(), err, mode)
		}
	}
}

// TestConfigurationInADirectory checks that tmp_config_directory keeps the configuration
// for a successor of the child in a file of that directory.
func TestConfigurationInADirectory(t *testing.T) {
	t.Parallel()
	r := superviseWords(t, "tmp_config_directory DIR")
	descriptors, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", r.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(descriptors, func(fd string) bool {
		to, _ := os.Readlink(fd)
		return strings.HasPrefix(to, r.dir+"/#") && strings.HasSuffix(to, " (deleted)")
	}) {
		t.Error("no file without a name is open in the directory")
	}
	r.killChild()
	r.expect("Respawning", "child: configured 1 routers")

	r.configure(r.words(2, "tmp_config_directory DIR/not-there"))
	r.signal(syscall.SIGHUP)
	r.expect("tmp_config_directory: keep the configuration: ", "child: configured 2 routers", "Reload complete")
}

func TestParentDump(t *testing.T) {
	t.Parallel()
	r := prepare(t)
	r.configure("instance blue\n" + r.words(1, "data_use_instance", "umask 027", "reload_file", "notification_email {\na@b\n}", "smtp_server 192.0.2.1", "smtp_auth me hidden"))
	r.launch()
	r.up(1)
	r.write("victim", "untouched")
	if err := os.Symlink(r.path("victim"), r.path("keepalived_parent.blue.data")); err != nil {
		t.Fatal(err)
	}
	r.signal(syscall.SIGUSR1)
	r.expect("Printing parent data for process(", "child: dump data")
	r.awaitFile("keepalived_parent.blue.data")
	data := r.read("keepalived_parent.blue.data")
	for _, line := range []string{
		"------< Global definitions >------", " Network namespace = (default)", " Instance name = blue",
		" Smtp server = 192.0.2.1", " No test config before reload", " umask = 027",
		" Reload_file = " + r.path("keepalived/keepalived_blue.reload"), " Use instance name in data dumps",
	} {
		if !strings.Contains(data, line+"\n") {
			t.Errorf("no line %q in\n%s", line, data)
		}
	}
	if strings.Contains(data, "hidden") {
		t.Error("a secret is in the dump")
	}
	if victim := r.read("victim"); victim != "untouched" {
		t.Errorf("a link was followed: %q", victim)
	}
	if info, err := os.Stat(r.path("keepalived_parent.blue.data")); err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v; want what the umask leaves, 0640", info.Mode(), err)
	}
}

// awaitFile waits until there is a regular file with this name.
func (r *running) awaitFile(name string) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if info, err := os.Lstat(r.path(name)); err == nil && info.Mode().IsRegular() {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s is not written", name)
		}
	}
}

// TestWhatIsSavedIsWhatRuns checks that the saved configuration is the running one, not
// the files as they are when they are read again: a parameter that is another number at
// each reading is the same in both.
func TestWhatIsSavedIsWhatRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := "global_defs {\n  config_save_dir " + dir + "/saved\n}\n" +
		strings.ReplaceAll(routers(20), "interface", "priority ${_RANDOM 1 250}\n  interface")
	path := filepath.Join(dir, "keepalived.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := Options{Config: path, Roles: testRoles()}.load(reading{})
	if code := r.refusal(); code != proc.ExitOK {
		t.Fatalf("refused with %d: %v", code, r.reasons())
	}
	saved, err := os.ReadFile(fmt.Sprintf("%s/saved/keepalived.conf.%d.0", dir, os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range r.config.Instances {
		want := fmt.Sprintf("vrrp_instance %s {\n    priority %d\n", v.Name, v.Priority)
		if !strings.Contains(string(saved), want) {
			t.Errorf("not saved: %q", want)
		}
	}
}

// TestFramesAreClosed checks that the descriptor of a configuration is closed when neither the
// slot nor the outbox of its process uses it, without the help of the collector.
func TestFramesAreClosed(t *testing.T) {
	conn, theirs, err := link.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	defer theirs.Close()
	sl := &slot{s: &supervisor{}, role: &proc.Role{}}
	sl.child = &child{slot: sl, outbox: newOutbox()}
	out := sl.child.outbox
	configure := func() *link.Frame {
		f, err := link.NewFrame(link.Message{Kind: link.Configure, Config: &conf.Config{}}, "")
		if err != nil {
			t.Fatal(err)
		}
		sl.take(part{frame: f})
		sl.child.post(f)
		return f
	}
	check := func(what string, f *link.Frame, closed bool) {
		t.Helper()
		if err := conn.SendFrame(f); errors.Is(err, os.ErrClosed) != closed {
			t.Errorf("%s: sending it ends with %v", what, err)
		}
	}
	first := configure()
	check("in the slot and in the outbox", first, false)
	second := configure()
	check("replaced in both", first, true)
	if out.take() != any(second) {
		t.Fatal("the outbox has another one")
	}
	third := configure()
	check("being sent, and replaced in the slot", second, false)
	discard(second)
	check("sent", second, true)
	out.end()
	check("only in the slot", third, false)
	fourth := configure()
	check("replaced after the end of the process", third, true)
	check("in the slot after that", fourth, false)
	sl.child = nil
	r := loaded{parts: []part{{frame: fourth}}}
	r.drop()
	check("dropped", fourth, true)
}
