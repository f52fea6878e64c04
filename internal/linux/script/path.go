package script

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks bounds the symbolic links in a path, as in the kernel (path_resolution(7)).
const maxLinks = 40

// found is what a path leads to.
type found struct {
	path   string   // without symbolic links
	shell  bool     // neither a binary nor with #!
	interp []string // of the #! line: the interpreter and its argument
}

// how is what for a path is judged.
type how uint8

const (
	asProgram how = iota // the user of the program executes it
	asText               // an interpreter reads it
)

// walk follows a path one component at a time, on descriptors: what is judged
// is what was opened, whatever is renamed meanwhile.
type walk struct {
	prog  *Program
	goal  string // the path that is followed
	how   how
	role  string   // of the goal, where it is not what is configured: ", which …"
	fd    int      // where it is
	names []string // how to come there from /
}

func (w *walk) path() string { return "/" + strings.Join(w.names, "/") }

// to makes fd, called name below the present place, the present place.
func (w *walk) to(fd int, name string) {
	if w.fd >= 0 {
		unix.Close(w.fd)
	}
	w.fd = fd
	switch name {
	case "/":
		w.names = w.names[:0]
	case "..":
		w.names = w.names[:max(len(w.names)-1, 0)]
	default:
		w.names = append(w.names, name)
	}
}

// inspect walks to the file of prog and judges everything on the way, and
// whatever else root would run with it.
func (prog *Program) inspect() (found, error) {
	return prog.judge(prog.Path, prog.Args, asProgram, "", 0)
}

// judge judges a path, and what runs it or is run by it: args is the command
// line.
func (prog *Program) judge(path string, args []string, how how, role string, depth int) (found, error) {
	f, err := prog.follow(path, how, role)
	if err != nil || !prog.judged() {
		return f, err
	}
	if depth > maxInterpreters {
		return f, &Problem{Code: Insecure, Path: path,
			Message: fmt.Sprintf("root would run %s over more than %d interpreters", prog.Path, maxInterpreters)}
	}
	next := f.interp
	if f.shell {
		next = []string{shell}
	}
	if next == nil {
		return f, prog.judgeGiven(f.path, args, depth)
	}
	interpreter := next[0]
	if !filepath.IsAbs(interpreter) { // the kernel looks in the working directory, and nowhere else
		dir, err := os.Getwd()
		if err != nil {
			return f, &Problem{Code: Missing, Path: f.path, Message: fmt.Sprintf("the interpreter %q of %s is relative to an unknown working directory: %v", interpreter, f.path, err)}
		}
		interpreter = dir + "/" + interpreter
	}
	next = slices.Concat(next, []string{f.path}, args[1:])
	_, err = prog.judge(interpreter, next, asProgram, ", the interpreter of "+f.path, depth+1)
	return f, err
}

// judged reports whether only root may be able to change what is run.
func (prog *Program) judged() bool { return prog.Secure && prog.UID == 0 }

// follow walks to a file and judges everything on the way.
func (prog *Program) follow(path string, how how, role string) (found, error) {
	w := &walk{prog: prog, goal: path, how: how, role: role, fd: -1}
	defer func() {
		if w.fd >= 0 {
			unix.Close(w.fd)
		}
	}()
	return w.run()
}

func (w *walk) run() (found, error) {
	if err := w.root(); err != nil {
		return found{}, err
	}
	links := 0
	rest := strings.Split(w.goal, "/")
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		if name == "" || name == "." {
			continue
		}
		fd, err := unix.Openat(w.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return found{}, w.openError(name, err)
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			unix.Close(fd)
			return found{}, w.openError(name, err)
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFLNK:
			// Who may change a link is who may write to its directory, which has
			// been judged.
			target, err := readLink(fd)
			unix.Close(fd)
			if links++; err == nil && links > maxLinks {
				err = unix.ELOOP
			}
			if err != nil {
				return found{}, w.openError(name, err)
			}
			rest = append(strings.Split(target, "/"), rest...)
			if strings.HasPrefix(target, "/") {
				if err := w.root(); err != nil {
					return found{}, err
				}
			}
		case unix.S_IFDIR:
			w.to(fd, name)
			if err := w.judgeDir(&st); err != nil {
				return found{}, err
			}
		default:
			parent := w.path()
			w.to(fd, name)
			if slices.ContainsFunc(rest, func(s string) bool { return s != "" }) {
				return found{}, &Problem{Missing, w.path(), fmt.Sprintf("%s does not exist: %s is not a directory", w.goal, w.path()), "ls -l " + quote(parent)}
			}
			return w.judgeFile(&st)
		}
	}
	return found{}, &Problem{Code: NotAFile, Path: w.path(), Message: w.path() + " is a directory, not a program"}
}

// root goes to /.
func (w *walk) root() error {
	fd, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return w.openError("", err)
	}
	w.to(fd, "/")
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return w.openError("", err)
	}
	return w.judgeDir(&st)
}

func (w *walk) openError(name string, err error) error {
	path := strings.TrimSuffix(w.path(), "/") + "/" + name
	p := &Problem{Code: Missing, Path: path}
	switch err {
	case unix.ENOENT:
		p.Message = path + " does not exist"
		if path != w.goal {
			p.Message += ", which is on the way to " + w.goal
		}
		p.Remedy = "ls -l " + quote(w.path())
	case unix.ELOOP:
		p.Message = fmt.Sprintf("%s leads over more than %d symbolic links", w.goal, maxLinks)
		p.Remedy = "namei -l " + quote(w.goal)
	case unix.EACCES:
		p.Code = NoPermission
		p.Message = fmt.Sprintf("keepalived, which is user %s, may not search %s", userName(uint32(os.Geteuid())), w.path())
		p.Remedy = "chmod a+x " + quote(w.path())
	default:
		p.Code = unless(err, Missing)
		p.Message = fmt.Sprintf("open %s: %v", path, err)
	}
	return p
}

func (w *walk) judgeDir(st *unix.Stat_t) error {
	if err := w.judgeOwner(st); err != nil {
		return err
	}
	if w.prog.UID != 0 && !w.allowed(st, 1) {
		return &Problem{NoPermission, w.path(),
			fmt.Sprintf("user %s, who should run %s, may not search %s (%s)", userName(w.prog.UID), w.goal, w.path(), describe(st)),
			"chmod a+x " + quote(w.path())}
	}
	return nil
}

func (w *walk) judgeFile(st *unix.Stat_t) (found, error) {
	path := w.path()
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return found{}, &Problem{Code: NotAFile, Path: path, Message: path + " is a device, socket or FIFO, not a program"}
	}
	if err := w.judgeOwner(st); err != nil {
		return found{}, err
	}
	if w.how == asText {
		return found{path: path}, nil
	}
	if st.Mode&0o111 == 0 {
		return found{}, &Problem{NotExecutable, path, fmt.Sprintf("%s is not executable (%s)", path, describe(st)), "chmod a+x " + quote(path)}
	}
	if w.prog.UID != 0 && !w.allowed(st, 1) {
		return found{}, &Problem{NoPermission, path,
			fmt.Sprintf("user %s, group %s may not execute %s (%s)", userName(w.prog.UID), groupName(w.prog.GID), path, describe(st)),
			"chmod a+x " + quote(path)}
	}
	var fsys unix.Statfs_t
	if unix.Fstatfs(w.fd, &fsys) == nil && fsys.Flags&unix.ST_NOEXEC != 0 {
		return found{}, &Problem{NoPermission, path, path + " is on a file system that is mounted noexec", "mount -o remount,exec $(stat -c %m " + quote(path) + ")"}
	}
	f, err := w.interpreter()
	if err != nil {
		return found{}, err
	}
	if text := f.shell || f.interp != nil; text && w.prog.UID != 0 && !w.allowed(st, 4) {
		return found{}, &Problem{NoPermission, path,
			fmt.Sprintf("user %s, group %s may execute %s but may not read it, which its interpreter must (%s)", userName(w.prog.UID), groupName(w.prog.GID), path, describe(st)),
			"chmod a+rx " + quote(path)}
	}
	f.path = path
	return f, nil
}

// judgeOwner refuses what root would run although others could change it.
func (w *walk) judgeOwner(st *unix.Stat_t) error {
	if !w.prog.judged() {
		return nil
	}
	// With an access control list the mode of the group is the most that anyone
	// on the list has.
	group := st.Mode&0o020 != 0 && (st.Gid != 0 || w.hasACL())
	if st.Uid == 0 && !group && st.Mode&0o002 == 0 {
		return nil
	}
	path := w.path()
	remedy := "chmod go-w " + quote(path)
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFDIR && st.Mode&unix.S_ISVTX != 0:
		remedy = "move it to a directory that only root can change, such as /etc/keepalived" // /tmp must stay as it is
	case st.Uid != 0 && (group || st.Mode&0o002 != 0):
		remedy = "chown root " + quote(path) + " && " + remedy
	case st.Uid != 0:
		remedy = "chown root " + quote(path)
	}
	what := "users other than root can change " + path
	if w.role != "" && path == w.goal {
		what = "users other than root can change it"
	}
	if path != w.goal {
		what += ", which is on the way to it"
	}
	return &Problem{Insecure, path, fmt.Sprintf("root would run %s%s, but %s (%s)", w.goal, w.role, what, describe(st)), remedy}
}

// allowed reports whether the user of the program has the permission bit (4
// read, 1 execute or search). An access control list is left to the kernel to
// judge.
func (w *walk) allowed(st *unix.Stat_t, bit uint32) bool {
	switch {
	case st.Uid == w.prog.UID:
		return st.Mode>>6&bit != 0
	case w.hasACL():
		return true
	case st.Gid == w.prog.GID || slices.Contains(w.prog.Groups, st.Gid):
		return st.Mode>>3&bit != 0
	}
	return st.Mode&bit != 0
}

// hasACL reports whether there is an access control list, or may be one.
func (w *walk) hasACL() bool {
	n, err := unix.Getxattr(procFD(w.fd), "system.posix_acl_access", nil)
	switch err {
	case nil:
		return n > 0
	case unix.ENODATA, unix.EOPNOTSUPP:
		return false
	}
	return true
}

// interpreter finds what runs the file: itself, what its #! names, or (shell)
// /bin/sh.
func (w *walk) interpreter() (f found, err error) {
	fd, err := unix.Open(procFD(w.fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT { // without /proc
		fd, err = unix.Open(w.path(), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	}
	if err != nil && (w.prog.judged() || !Decides(err)) {
		return f, &Problem{Code: unless(err, NoPermission), Path: w.path(), Message: fmt.Sprintf("read %s to find its interpreter: %v", w.path(), err)}
	} else if err != nil {
		return f, nil // a file that may be executed but not read is a binary
	}
	defer unix.Close(fd)
	var head [256]byte // as much as the kernel looks at
	n, err := unix.Read(fd, head[:])
	if err != nil {
		return f, &Problem{Code: unless(err, Missing), Path: w.path(), Message: fmt.Sprintf("read %s: %v", w.path(), err)}
	}
	if bytes.HasPrefix(head[:n], []byte("\x7fELF")) {
		return f, nil
	}
	line, ok := bytes.CutPrefix(head[:n], []byte("#!"))
	if !ok {
		f.shell = true
		return f, nil
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	name, rest := string(bytes.Trim(line, " \t")), ""
	if i := strings.IndexAny(name, " \t"); i >= 0 {
		name, rest = name[:i], strings.Trim(name[i:], " \t")
	}
	if name == "" {
		f.shell = true
		return f, nil
	}
	if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
		remedy := "head -1 " + quote(w.path())
		if strings.HasSuffix(name, "\r") {
			remedy = `sed -i 's/\r$//' ` + quote(w.path())
		}
		return f, &Problem{Missing, w.path(), fmt.Sprintf("the interpreter %q of %s does not exist", name, w.path()), remedy}
	}
	if f.interp = []string{name}; rest != "" {
		f.interp = append(f.interp, rest)
	}
	return f, nil
}

func readLink(fd int) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	return string(buf[:max(n, 0)]), err
}

func procFD(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

func describe(st *unix.Stat_t) string {
	return fmt.Sprintf("owner %s, group %s, mode %04o", userName(st.Uid), groupName(st.Gid), st.Mode&0o7777)
}

// quote writes a path so that it can be pasted into a shell.
func quote(path string) string {
	const plain = "/._-+:,@%=abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if strings.Trim(path, plain) == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
