package script

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/tool/required"
)

const nobody = 65534

func TestSecurity(t *testing.T) {
	const script = "#!/bin/sh\n"
	chmod := func(t *testing.T, path string, mode uint32) { must(t, unix.Chmod(path, mode)) }
	chown := func(t *testing.T, path string, uid, gid int) { must(t, unix.Chown(path, uid, gid)) }
	for _, tt := range []struct {
		name   string
		setup  func(t *testing.T, dir string) string // returns the path to run
		user   string                                // default: root
		at     string                                // the component that is refused; empty: the program may run
		remedy string                                // with DIR
	}{
		{"safe", func(t *testing.T, dir string) string {
			return dir + "/bin/x"
		}, "", "", ""},
		{"directory writable by a group", func(t *testing.T, dir string) string {
			chown(t, dir+"/bin", 0, nobody)
			chmod(t, dir+"/bin", 0o775)
			return dir + "/bin/x"
		}, "", "/bin", "chmod go-w DIR/bin"},
		{"directory writable by the group of root", func(t *testing.T, dir string) string {
			chmod(t, dir+"/bin", 0o775)
			return dir + "/bin/x"
		}, "", "", ""},
		{"directory with an access control list", func(t *testing.T, dir string) string {
			setACL(t, dir+"/bin", nobody)
			return dir + "/bin/x"
		}, "", "/bin", "chmod go-w DIR/bin"},
		{"directory writable by all", func(t *testing.T, dir string) string {
			chmod(t, dir+"/bin", 0o757)
			return dir + "/bin/x"
		}, "", "/bin", "chmod go-w DIR/bin"},
		{"sticky directory", func(t *testing.T, dir string) string {
			chmod(t, dir+"/bin", unix.S_ISVTX|0o777)
			return dir + "/bin/x"
		}, "", "/bin", "move it to a directory that only root can change, such as /etc/keepalived"},
		{"directory of another user", func(t *testing.T, dir string) string {
			chown(t, dir+"/bin", nobody, 0)
			return dir + "/bin/x"
		}, "", "/bin", "chown root DIR/bin"},
		{"file of another user, writable by all", func(t *testing.T, dir string) string {
			chown(t, dir+"/bin/x", nobody, 0)
			chmod(t, dir+"/bin/x", 0o777)
			return dir + "/bin/x"
		}, "", "/bin/x", "chown root DIR/bin/x && chmod go-w DIR/bin/x"},
		{"file writable by a group", func(t *testing.T, dir string) string {
			chown(t, dir+"/bin/x", 0, nobody)
			chmod(t, dir+"/bin/x", 0o770)
			return dir + "/bin/x"
		}, "", "/bin/x", "chmod go-w DIR/bin/x"},
		{"link through an unsafe directory", func(t *testing.T, dir string) string {
			chmod(t, dir+"/open", 0o777)
			must(t, os.Symlink("../open/y", dir+"/bin/link"))
			return dir + "/bin/link"
		}, "", "/open", "chmod go-w DIR/open"},
		{"link in an unsafe directory to a safe file", func(t *testing.T, dir string) string {
			chmod(t, dir+"/open", 0o777)
			must(t, os.Symlink(dir+"/bin/x", dir+"/open/link"))
			return dir + "/open/link"
		}, "", "/open", "chmod go-w DIR/open"},
		{"linked directory, its own directory unsafe", func(t *testing.T, dir string) string {
			chmod(t, dir+"/open", 0o777)
			must(t, os.Symlink("../bin", dir+"/open/sub"))
			return dir + "/open/sub/x"
		}, "", "/open", "chmod go-w DIR/open"},
		{"over an unsafe directory and back", func(t *testing.T, dir string) string {
			chmod(t, dir+"/open", 0o777)
			return dir + "/open/../bin/x"
		}, "", "/open", "chmod go-w DIR/open"},
		{"links through safe directories", func(t *testing.T, dir string) string {
			must(t, os.Symlink("../open/y", dir+"/bin/link"))
			must(t, os.Symlink(dir+"/bin", dir+"/sub"))
			return dir + "/sub/link"
		}, "", "", ""},
		{"not as root", func(t *testing.T, dir string) string {
			chmod(t, dir+"/bin", 0o777)
			return dir + "/bin/x"
		}, "nobody", "", ""},
		{"a path to be quoted", func(t *testing.T, dir string) string {
			path := write(t, dir+"/it's/x", script)
			chmod(t, dir+"/it's", 0o777)
			return path
		}, "", "/it's", `chmod go-w 'DIR/it'\''s'`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := safeDir(t)
			write(t, dir+"/bin/x", script)
			write(t, dir+"/open/y", script)
			path := tt.setup(t, dir)
			user := tt.user
			if user == "" {
				user = "root"
			}
			c := conf.Command{Args: []string{path}, User: user}
			err := Check(c, conf.ScriptPolicy{Secure: true})
			if tt.at == "" {
				must(t, err)
			} else {
				wantProblem(t, err, Insecure, dir+tt.at, strings.ReplaceAll(tt.remedy, "DIR", dir))
			}
			must(t, Check(c, conf.ScriptPolicy{})) // security is not enabled
		})
	}
}

// setACL lets user write to path, although its mode shows only the write permission of
// root's group.
func setACL(t *testing.T, path string, user uint32) {
	t.Helper()
	type entry struct {
		Tag, Perm uint16
		ID        uint32
	}
	const none = ^uint32(0)
	var b bytes.Buffer
	must(t, binary.Write(&b, binary.LittleEndian, uint32(2)))
	must(t, binary.Write(&b, binary.LittleEndian, []entry{
		{0x01, 7, none}, {0x02, 7, user}, {0x04, 5, none}, {0x10, 7, none}, {0x20, 5, none},
	}))
	if err := unix.Setxattr(path, "system.posix_acl_access", b.Bytes(), 0); err == unix.ENOTSUP {
		required.Missing(t, "a file system with access control lists")
	} else {
		must(t, err)
	}
}

func wantProblem(t *testing.T, err error, code Code, path, remedy string) {
	t.Helper()
	p, ok := errors.AsType[*Problem](err)
	if !ok {
		t.Fatalf("got %v, want a problem %s", err, code)
	}
	t.Log(p)
	if p.Code != code || p.Path != path || p.Remedy != remedy {
		t.Errorf("got  %s, %s, %q\nwant %s, %s, %q", p.Code, p.Path, p.Remedy, code, path, remedy)
	}
}

func TestProblems(t *testing.T) {
	dir := ownDir(t)
	x := write(t, dir+"/x", "#!/bin/sh\n")
	plain := write(t, dir+"/plain", "#!/bin/sh\n")
	must(t, os.Chmod(plain, 0o644))
	private := write(t, dir+"/private", "#!/bin/sh\n")
	must(t, os.Chmod(private, 0o700))
	unread := write(t, dir+"/unread", "#!/bin/sh\n")
	must(t, os.Chmod(unread, 0o711))
	closed := write(t, dir+"/closed/x", "#!/bin/sh\n")
	must(t, os.Chmod(dir+"/closed", 0o700))
	dos := write(t, dir+"/dos", "#!/bin/sh\r\nexit 0\r\n")
	lost := write(t, dir+"/lost", "#! /usr/local/nowhere/perl -w\n")
	must(t, os.Symlink("loop", dir+"/loop"))
	must(t, os.Symlink("gone", dir+"/dangling"))
	for _, tt := range []struct {
		name    string
		command conf.Command
		code    Code
		path    string
		remedy  string
	}{
		{"nothing", conf.Command{}, Empty, "", ""},
		{"empty name", conf.Command{Args: []string{""}}, Empty, "", ""},
		{"missing", conf.Command{Args: []string{dir + "/y"}}, Missing, dir + "/y", "ls -l " + dir},
		{"missing directory", conf.Command{Args: []string{dir + "/no/such/y"}}, Missing, dir + "/no", "ls -l " + dir},
		{"below a file", conf.Command{Args: []string{x + "/y"}}, Missing, x, "ls -l " + dir},
		{"dangling link", conf.Command{Args: []string{dir + "/dangling"}}, Missing, dir + "/gone", "ls -l " + dir},
		{"loop", conf.Command{Args: []string{dir + "/loop"}}, Missing, dir + "/loop", "namei -l " + dir + "/loop"},
		{"name too long", conf.Command{Args: []string{dir + "/" + strings.Repeat("x", 300)}}, Missing, dir + "/" + strings.Repeat("x", 300), ""},
		{"not in PATH", conf.Command{Args: []string{"keepalived-nowhere"}}, Missing, "keepalived-nowhere", "write its absolute path"},
		{"no interpreter", conf.Command{Args: []string{lost}}, Missing, lost, "head -1 " + lost},
		{"interpreter with CR", conf.Command{Args: []string{dos}}, Missing, dos, `sed -i 's/\r$//' ` + dos},
		{"directory", conf.Command{Args: []string{dir}}, NotAFile, dir, ""},
		{"device", conf.Command{Args: []string{"/dev/null"}}, NotAFile, "/dev/null", ""},
		{"not executable", conf.Command{Args: []string{plain}}, NotExecutable, plain, "chmod a+x " + plain},
		{"not executable for the user", conf.Command{Args: []string{private}, User: "nobody"}, NoPermission, private, "chmod a+x " + private},
		{"not readable for the user", conf.Command{Args: []string{unread}, User: "nobody"}, NoPermission, unread, "chmod a+rx " + unread},
		{"not reachable for the user", conf.Command{Args: []string{closed}, User: "nobody"}, NoPermission, dir + "/closed", "chmod a+x " + dir + "/closed"},
		{"unknown user", conf.Command{Args: []string{x}, User: "nosuchuser"}, UnknownUser, "", "useradd --system nosuchuser"},
		{"number without account and group", conf.Command{Args: []string{x}, User: "4000000000"}, UnknownUser, "", "write a group after the user"},
		{"number that is none", conf.Command{Args: []string{x}, User: "4294967295"}, UnknownUser, "", ""},
		{"number of a group that is none", conf.Command{Args: []string{x}, Group: "99999999999"}, UnknownGroup, "", ""},
		{"unknown group", conf.Command{Args: []string{x}, User: "nobody", Group: "nosuchgroup"}, UnknownGroup, "", "groupadd --system nosuchgroup"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			switch {
			case tt.command.User == "":
				tt.command.User = ownUser()
			case tt.command.User == "nobody" && tt.command.Group == "":
				needRoot(t) // to become that user
			}
			_, err := Resolve(tt.command, conf.ScriptPolicy{})
			wantProblem(t, err, tt.code, tt.path, tt.remedy)
		})
	}
}

// TestCheckUser checks that a command without words is a check of its user.
func TestCheckUser(t *testing.T) {
	if err := Check(conf.Command{}, conf.ScriptPolicy{User: "root"}); canBecome() {
		must(t, err)
	} else {
		wantProblem(t, err, CannotBecome, "", "run keepalived as root, or remove the user")
	}
	wantProblem(t, Check(conf.Command{}, conf.ScriptPolicy{User: "nosuchuser"}), UnknownUser, "", "useradd --system nosuchuser")
}

func TestNoexec(t *testing.T) {
	dir := safeDir(t)
	runtime.LockOSThread() // never unlocked: the thread and its mounts end with the goroutine
	must(t, unix.Unshare(unix.CLONE_NEWNS))
	must(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOEXEC, "mode=755"))
	defer unix.Unmount(dir, unix.MNT_DETACH)
	x := write(t, dir+"/x", "#!/bin/sh\n")
	err := Check(conf.Command{Args: []string{x}, User: "root"}, conf.ScriptPolicy{})
	wantProblem(t, err, NoPermission, x, "mount -o remount,exec $(stat -c %m "+x+")")
}

func TestResolve(t *testing.T) {
	dir := ownDir(t)
	own, uid, gid := ownUser(), uint32(os.Geteuid()), uint32(os.Getegid())
	x := write(t, dir+"/bin/x", "#!/bin/sh\n")
	text := write(t, dir+"/text", "exit 0\n")
	must(t, os.Symlink("bin/x", dir+"/link"))
	must(t, os.Symlink("bin", dir+"/sub"))
	t.Setenv("PATH", "relative::"+dir+"/bin:/usr/bin")
	for _, tt := range []struct {
		name     string
		command  conf.Command
		policy   conf.ScriptPolicy
		path     string
		uid, gid uint32
		shell    bool
		notes    int
	}{
		{"as written", conf.Command{Args: []string{x, "a"}, User: own}, conf.ScriptPolicy{}, x, uid, gid, false, 0},
		{"links are resolved", conf.Command{Args: []string{dir + "/link"}, User: own}, conf.ScriptPolicy{}, x, uid, gid, false, 0},
		{"links stay", conf.Command{Args: []string{dir + "/sub/x"}, User: own}, conf.ScriptPolicy{SymlinkPaths: true}, dir + "/sub/x", uid, gid, false, 0},
		{"by PATH", conf.Command{Args: []string{"x"}, User: own}, conf.ScriptPolicy{}, x, uid, gid, false, 1},
		{"through the shell", conf.Command{Args: []string{text}, User: own}, conf.ScriptPolicy{}, text, uid, gid, true, 0},
		{"user with their group", conf.Command{Args: []string{x}, User: "nobody"}, conf.ScriptPolicy{User: "root"}, x, nobody, nobody, false, 0},
		{"user and group by name", conf.Command{Args: []string{x}, User: "nobody", Group: "daemon"}, conf.ScriptPolicy{}, x, nobody, 1, false, 0},
		{"by number", conf.Command{Args: []string{x}, User: "65534", Group: "1"}, conf.ScriptPolicy{}, x, nobody, 1, false, 0},
		{"without account", conf.Command{Args: []string{x}, User: "4000000000", Group: "4000000001"}, conf.ScriptPolicy{}, x, 4000000000, 4000000001, false, 0},
		{"group alone", conf.Command{Args: []string{x}, User: ":daemon"}, conf.ScriptPolicy{User: "nobody"}, x, nobody, 1, false, 0},
		{"group alone, the other way", conf.Command{Args: []string{x}, Group: ":daemon"}, conf.ScriptPolicy{User: "nobody", Group: "bin"}, x, nobody, 1, false, 0},
		{"script_user", conf.Command{Args: []string{x}}, conf.ScriptPolicy{User: "nobody", Group: "daemon"}, x, nobody, 1, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.uid != uid || tt.gid != gid {
				needRoot(t) // to become that user
			}
			p, err := Resolve(tt.command, tt.policy)
			must(t, err)
			if p.Path != tt.path || p.UID != tt.uid || p.GID != tt.gid || p.Shell != tt.shell || len(p.Notes) != tt.notes {
				t.Errorf("got %+v", p)
			}
			if p.Args[0] != tt.command.Args[0] {
				t.Errorf("argv[0] is %s, want it as written: %s", p.Args[0], tt.command.Args[0])
			}
		})
	}
}

// TestFind checks what dumps show of a program, whether it may be run or not.
func TestFind(t *testing.T) {
	dir := ownDir(t)
	x := write(t, dir+"/bin/x", "#!/bin/sh\n")
	must(t, os.Symlink("bin/x", dir+"/link"))
	must(t, os.Symlink("gone", dir+"/dangling"))
	t.Setenv("PATH", dir+"/bin")
	t.Chdir(dir)
	for _, tt := range []struct {
		word   string
		policy conf.ScriptPolicy
		want   string
	}{
		{"x", conf.ScriptPolicy{}, x},
		{"y", conf.ScriptPolicy{}, "y"},
		{"bin/x", conf.ScriptPolicy{}, x},
		{dir + "/link", conf.ScriptPolicy{}, x},
		{dir + "/link", conf.ScriptPolicy{SymlinkPaths: true}, dir + "/link"},
		{dir + "/dangling", conf.ScriptPolicy{}, dir + "/dangling"},
		{"</etc/passwd", conf.ScriptPolicy{}, "</etc/passwd"},
		{"", conf.ScriptPolicy{}, ""},
	} {
		if got := Find(tt.word, tt.policy); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.word, got, tt.want)
		}
	}
}

// TestAccount checks an account that is given by name or number, and one that does not
// exist.
func TestAccount(t *testing.T) {
	uid, gid, err := Account(ownUser(), "", conf.ScriptPolicy{})
	if err != nil || int(uid) != os.Geteuid() || int(gid) != os.Getegid() {
		t.Errorf("%d:%d, %v", uid, gid, err)
	}
	_, _, err = Account("", "nosuchgroup", conf.ScriptPolicy{User: ownUser()})
	wantProblem(t, err, UnknownGroup, "", "groupadd --system nosuchgroup")
}

func TestRelativePath(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	t.Chdir(dir)
	write(t, dir+"/sub/x", "#!/bin/sh\n")
	if p := resolve(t, "./sub/../sub/x"); p.Path != dir+"/sub/x" {
		t.Errorf("got %s", p.Path)
	}
}

func TestDefaultUserAndGroups(t *testing.T) {
	dir := safeDir(t)
	write(t, dir+"/passwd", "root:x:0:0::/:/bin/sh\nkeepalived_script:x:4001:4002::/:/bin/sh\nwheel:x:4003:4004::/:/bin/sh\n")
	write(t, dir+"/group", "root:x:0:\na:x:4005:wheel,root\nb:x:4006:root\nc:x:4007:wheel\n")
	cmd := helper("accounts", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	must(t, err)
	const want = "4001 4002 4002 exited with status 0\n4003 4004 4004 4005 4007 exited with status 0\n"
	if string(out) != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}

// TestDefaultUser checks that with enable_script_security no other user replaces the
// default user.
func TestDefaultUser(t *testing.T) {
	const (
		none  = "root:x:0:0::/:/bin/sh\nwheel:x:4003:4004::/:/bin/sh\n"
		there = none + "keepalived_script:x:4001:4002::/:/bin/sh\n"
		odd   = none + "keepalived_script:x:4294967295:4002::/:/bin/sh\n"
	)
	for _, tt := range []struct{ passwd, policy, want string }{
		{there, "secure,,,,", "4001 4002"},
		{there, "open,,,,", "4001 4002"},
		{there, "secure,,,wheel,", "4003 4004"},
		{there, "secure,wheel,,,", "4003 4004"},
		{there, "secure,,,,:wheel", "4001 4004"},
		{none, "open,,,,", "0 0"},
		{none, "secure,,,,", "unknown-user"},
		{none, "secure,,,,:wheel", "unknown-user"},
		{none, "secure,,,:wheel,", "unknown-user"},
		{none, "secure,,wheel,,", "unknown-user"},
		{none, "secure,wheel,,,", "4003 4004"},
		{none, "secure,root,,,", "0 0"},
		{none, "secure,,,root,", "0 0"},
		{none, "secure,nosuch,,,", "unknown-user"},
		{none, "secure,,,nosuch,", "unknown-user"},
		{none, "secure,wheel,,nosuch,", "unknown-user"},
		{none, "secure,wheel,nosuch,,", "unknown-group"},
		{none, "secure,4294967295,,,", "unknown-user"},
		{none, "open,77,,,", "unknown-user"},
		{odd, "secure,,,,", "unknown-user"},
		{odd, "open,,,,", "unknown-user"},
		{"", "secure,,,,", "unknown-user"},
	} {
		dir := safeDir(t)
		write(t, dir+"/passwd", tt.passwd)
		write(t, dir+"/group", "root:x:0:\nwheel:x:4004:\n")
		cmd := helper("default", dir, tt.policy)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != tt.want {
			t.Errorf("%s with the accounts %q: %s %v, want %s", tt.policy, tt.passwd, got, err, tt.want)
		}
	}
}

// TestRemedyForUser checks that the remedy does not propose an account for a path that
// was taken for a user.
func TestRemedyForUser(t *testing.T) {
	for name, want := range map[string]string{
		"app":         "useradd --system app",
		"app.1-x_y":   "useradd --system app.1-x_y",
		"/usr/bin/a":  "put the program and its arguments in one pair of quotes; the words after it are the user and the group",
		"-x":          "put the program and its arguments in one pair of quotes; the words after it are the user and the group",
		"a b; rm -rf": "put the program and its arguments in one pair of quotes; the words after it are the user and the group",
	} {
		if got := addAccount("useradd", name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestWithoutPrivileges(t *testing.T) {
	dir := safeDir(t)
	exe, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	write(t, dir+"/helper", string(exe))
	x := write(t, dir+"/x", "#!/bin/sh\n")
	must(t, os.Mkdir(dir+"/cover", 0o700))
	must(t, os.Chown(dir+"/cover", nobody, nobody)) // it is written with go test -cover
	for _, tt := range []struct{ user, want string }{
		{"", "65534 65534"},
		{"nobody", "65534 65534"},
		{"root", "user root, group root should run " + x + ", but keepalived runs as user nobody, and only root can switch users; try: run keepalived as root, or remove the user"},
	} {
		cmd := helper("resolve", tt.user, x)
		cmd.Path = dir + "/helper"
		cmd.Env = append(cmd.Env, "GOCOVERDIR="+dir+"/cover")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		out, _ := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); got != tt.want {
			t.Errorf("user %q: got %s", tt.user, got)
		}
	}
}

// TestStarved checks that a lack of descriptors never leads to a verdict about accounts,
// paths, interpreters and their arguments: neither that one is missing, nor that one is
// safe.
func TestStarved(t *testing.T) {
	dir := safeDir(t)
	must(t, os.WriteFile(dir+"/script", []byte("#!/bin/sh\n"), 0o755))
	must(t, os.WriteFile(dir+"/text", []byte("exit 0\n"), 0o755))
	must(t, os.Symlink(dir+"/script", dir+"/link"))
	for name, args := range map[string][]string{
		"binary":               {"root", "", "", "", "/bin/true"},
		"searched":             {"root", "", "", "", "true"},
		"script":               {"root", "", "", "", dir + "/script"},
		"behind a link":        {"root", "", "secure", "", dir + "/link"},
		"secure script":        {"root", "", "secure", "", dir + "/script"},
		"without #!":           {"root", "", "secure", "", dir + "/text"},
		"given to a shell":     {"root", "", "secure", "", "/bin/sh", dir + "/script"},
		"in a shell's command": {"root", "", "secure", "", "/bin/sh", "-c", ". " + dir + "/text; env " + dir + "/script"},
		"another user":         {"nobody", "", "", "", "/bin/true"},
		"user by number":       {"0", "", "", "", "/bin/true"},
		"nobody's number":      {"54321", "root", "", "", "/bin/true"},
		"group":                {"root", "daemon", "", "", "/bin/true"},
		"group by number":      {"root", "54321", "", "", "/bin/true"},
		"supplementary groups": {"root", "", "", "groups", "/bin/true"},
		"groups of a number":   {"54321", "0", "", "groups", "/bin/true"},
		"file that is opened":  {"root", "", "secure", "", "</etc/passwd"},
		"nobody is configured": {"", "", "", "", "/bin/true"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := helper("starved", args...).CombinedOutput()
			must(t, err)
			if n, ok := strings.CutPrefix(string(out), "needs "); !ok || strings.TrimSpace(n) == "0" {
				t.Errorf("%q", out)
			}
		})
	}
}
