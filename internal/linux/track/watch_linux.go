package track

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// What is watched of a directory: whether it is itself still where its path
// leads, and, where a name in it matters, what happens to its names.
const (
	selfEvents = unix.IN_MOVE_SELF | unix.IN_DELETE_SELF | unix.IN_ONLYDIR | unix.IN_MASK_ADD
	nameEvents = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_CLOSE_WRITE
)

// maxLinks bounds the symbolic links on one path, as the kernel does.
const maxLinks = 40

// watcher reports which files may have changed. It watches directories, however
// many files they hold: the one where a file is, those where symbolic links on
// the way lie, and, while something on the way is missing, the last one that
// exists. Only read is for another goroutine.
type watcher struct {
	file *os.File // in the runtime's poller
	fd   int
	raw  chan []byte // events as read; valid until the next are received
	done chan struct{}

	dirs  map[string]*dir // by path without symbolic links
	byWD  map[int32][]*dir
	paths map[*file][]step // where the path of each file leads
	err   error            // the first directory that could not be watched
}

// dir is a watched directory.
type dir struct {
	path  string
	wd    int32 // -1: it could not be watched
	names map[string][]*file
	users int  // steps
	named bool // nameEvents have been asked for
}

// step is one step on the path of a file: through a directory, or, with a name,
// by what this name in it stands for.
type step struct {
	dir  *dir
	name string
}

// fileChange is what happened to a file.
type fileChange struct {
	file    *file
	created bool // and no more: its writer may not have written yet
	moved   bool // what its path leads to may be something else
}

func newWatcher() (*watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if errors.Is(err, unix.EMFILE) {
		return nil, fmt.Errorf("inotify_init: %w; raise fs.inotify.max_user_instances", err)
	}
	if err != nil {
		return nil, os.NewSyscallError("inotify_init", err)
	}
	w := &watcher{
		file:  os.NewFile(uintptr(fd), "inotify"),
		fd:    fd,
		raw:   make(chan []byte),
		done:  make(chan struct{}),
		dirs:  make(map[string]*dir),
		byWD:  make(map[int32][]*dir),
		paths: make(map[*file][]step),
	}
	go w.read()
	return w, nil
}

func (w *watcher) close() {
	close(w.done)
	w.file.Close()
}

// read passes on the events of the kernel. While one buffer is looked at, the other
// is filled.
func (w *watcher) read() {
	var buffers [2][64 << 10]byte
	for i := 0; ; i ^= 1 {
		n, err := w.file.Read(buffers[i][:])
		if err != nil {
			return // closed
		}
		select {
		case w.raw <- buffers[i][:n]:
		case <-w.done:
			return
		}
	}
}

// add watches the path of a file; no later change is missed.
func (w *watcher) add(f *file) {
	old := w.paths[f]
	w.paths[f] = w.walk(f)
	w.release(f, old)
}

func (w *watcher) remove(f *file) {
	w.release(f, w.paths[f])
	delete(w.paths, f)
}

// walk follows the path of f as far as there is something, and watches what it
// depends on. Where a directory goes away under it, it begins again.
func (w *watcher) walk(f *file) []step {
	for range 3 {
		steps, stable := w.follow(f)
		if stable {
			return steps
		}
		w.release(f, steps)
	}
	steps, _ := w.follow(f)
	return steps
}

// follow is one attempt of walk. It is not stable if a directory that was there
// could not be watched.
func (w *watcher) follow(f *file) (steps []step, stable bool) {
	defer func() {
		stable = w.err != nil || !slices.ContainsFunc(steps, func(s step) bool { return s.dir.wd < 0 })
	}()
	cur := "/"
	todo := split(f.conf.Path)
	for links := 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		if name == ".." {
			cur = filepath.Dir(cur)
			continue
		}
		path := filepath.Join(cur, name)
		if len(todo) > 0 {
			if info, err := os.Lstat(path); err == nil && info.IsDir() {
				steps = append(steps, w.through(path))
				cur = path
				continue
			}
		}
		steps = append(steps, w.depend(f, cur, name))
		// Only now is it known that a change would be seen.
		info, err := os.Lstat(path)
		switch {
		case err != nil:
			// The end of a directory that is still in use is reported by its
			// parent alone.
			if cur != "/" {
				steps = append(steps, w.depend(f, filepath.Dir(cur), filepath.Base(cur)))
			}
			return steps, true
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if links++; err != nil || links > maxLinks {
				return steps, true
			}
			if filepath.IsAbs(target) {
				cur = "/"
			}
			todo = append(split(target), todo...)
		default:
			cur = path
		}
	}
	return steps, true
}

// split is the names in a path.
func split(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" || s == "." })
}

// through watches whether the directory stays in its place.
func (w *watcher) through(path string) step {
	d := w.dir(path)
	d.users++
	return step{dir: d}
}

// depend watches what the name in a directory stands for.
func (w *watcher) depend(f *file, path, name string) step {
	d := w.dir(path)
	d.users++
	d.names[name] = append(d.names[name], f)
	if !d.named {
		d.named = true
		w.watch(d, nameEvents)
	}
	return step{d, name}
}

func (w *watcher) dir(path string) *dir {
	d := w.dirs[path]
	if d == nil {
		d = &dir{path: path, wd: -1, names: make(map[string][]*file)}
		w.dirs[path] = d
	}
	if d.wd < 0 {
		d.named = false
		w.watch(d, 0)
	}
	return d
}

func (w *watcher) watch(d *dir, events uint32) {
	wd, err := unix.InotifyAddWatch(w.fd, d.path, selfEvents|events)
	switch {
	case err == nil:
		if d.wd == int32(wd) {
			return
		}
		w.unwatch(d)
		d.wd = int32(wd)
		w.byWD[d.wd] = append(w.byWD[d.wd], d)
	case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR):
		// It went away just now, which its parent reports.
	case errors.Is(err, unix.ENOSPC):
		w.fail(fmt.Errorf("watch %s: no more watches; raise fs.inotify.max_user_watches", d.path))
	default:
		w.fail(fmt.Errorf("watch %s: %w", d.path, err))
	}
}

func (w *watcher) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *watcher) unwatch(d *dir) {
	if d.wd < 0 {
		return
	}
	same := slices.DeleteFunc(w.byWD[d.wd], func(o *dir) bool { return o == d })
	if len(same) == 0 {
		delete(w.byWD, d.wd)
		unix.InotifyRmWatch(w.fd, uint32(d.wd)) // fails if it is gone already
	} else {
		w.byWD[d.wd] = same
	}
	d.wd = -1
}

// release gives up steps of a file.
func (w *watcher) release(f *file, steps []step) {
	for _, s := range steps {
		d := s.dir
		if s.name != "" {
			// One of them: the file may depend on the name by a newer step too.
			i := slices.Index(d.names[s.name], f)
			d.names[s.name] = slices.Delete(d.names[s.name], i, i+1)
			if len(d.names[s.name]) == 0 {
				delete(d.names, s.name)
			}
		}
		if d.users--; d.users == 0 {
			w.forget(d)
		}
	}
}

// forget ends the watch of a directory whose path leads elsewhere now, or that
// is not needed.
func (w *watcher) forget(d *dir) {
	w.unwatch(d)
	if w.dirs[d.path] == d {
		delete(w.dirs, d.path)
	}
}

// changes decodes events and returns the changes of files, each once.
// Paths that lead elsewhere are followed again.
func (w *watcher) changes(raw []byte) []fileChange {
	var list []fileChange
	found := make(map[*file]int)
	note := func(f *file, c fileChange) {
		i, ok := found[f]
		if !ok {
			found[f] = len(list)
			c.file = f
			list = append(list, c)
			return
		}
		list[i].created = list[i].created && c.created
		list[i].moved = list[i].moved || c.moved
	}
	for len(raw) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(raw))
		mask := binary.NativeEndian.Uint32(raw[4:])
		size := int(min(unix.SizeofInotifyEvent+uint64(binary.NativeEndian.Uint32(raw[12:])), uint64(len(raw))))
		name := raw[unix.SizeofInotifyEvent:size]
		raw = raw[size:]
		if mask&unix.IN_Q_OVERFLOW != 0 {
			for f := range w.paths {
				note(f, fileChange{moved: true})
			}
			continue
		}
		if mask&(unix.IN_MOVE_SELF|unix.IN_DELETE_SELF|unix.IN_UNMOUNT|unix.IN_IGNORED) != 0 {
			for _, d := range slices.Clone(w.byWD[wd]) {
				w.gone(d, note)
			}
			continue
		}
		name = bytes.TrimRight(name, "\x00")
		for _, d := range w.byWD[wd] {
			for _, f := range d.names[string(name)] {
				note(f, fileChange{created: mask&unix.IN_CREATE != 0, moved: mask&unix.IN_CLOSE_WRITE == 0})
			}
			if mask&unix.IN_ISDIR != 0 {
				if sub := w.dirs[filepath.Join(d.path, string(name))]; sub != nil {
					w.gone(sub, note)
				}
			}
		}
	}
	for _, c := range list {
		if c.moved {
			w.add(c.file)
		}
	}
	return list
}

// gone forgets a directory that is not in its place any more, and all below it.
func (w *watcher) gone(d *dir, note func(*file, fileChange)) {
	for f, steps := range w.paths {
		if slices.ContainsFunc(steps, func(s step) bool { return s.dir == d }) {
			note(f, fileChange{moved: true})
		}
	}
	for path, below := range w.dirs {
		if below == d || strings.HasPrefix(path, d.path+"/") {
			w.forget(below)
		}
	}
}
