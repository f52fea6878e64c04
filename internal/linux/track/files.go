package track

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/policy"
)

// fileHead is how much of a file is read; its number comes first.
const fileHead = 4 << 10

// pollEvery is how often files are read where they cannot be watched.
const pollEvery = time.Second

// files reads files whenever they change. One goroutine owns all of it.
type files struct {
	mail
	report func([]Update)

	all   map[string]*file
	watch *watcher         // nil: not needed yet, or not possible
	poll  <-chan time.Time // nil: all can be watched
	buf   []byte
}

// file is one track_file.
type file struct {
	conf   *conf.TrackFile
	status policy.Status
	state  readState
}

// readState is what reading a file gave, apart from a number; each is said once.
type readState uint8

const (
	readFine    readState = iota
	readMissing           // or blank: common, and not said
	readNoNumber
	readRange
	readError
	readUnsure // nothing is known of it: its value stays
)

func newFiles(report func([]Update)) *files {
	return &files{mail: make(mail, 1), report: report, all: make(map[string]*file), buf: make([]byte, fileHead)}
}

func (f *files) run(stop <-chan struct{}) {
	defer func() {
		if f.watch != nil {
			f.watch.close()
		}
	}()
	var raw <-chan []byte
	for {
		select {
		case <-stop:
			return
		case r := <-f.mail:
			if f.watch == nil && len(r.conf.Files) > 0 {
				f.open()
			}
			r.answer(f.configure(r.conf))
		case events := <-raw:
			f.changed(f.watch.changes(events))
		case <-f.poll:
			f.readAll()
		}
		if f.watch != nil {
			raw = f.watch.raw
			f.fallBack(f.watch.err)
		}
	}
}

// open begins to watch.
func (f *files) open() {
	w, err := newWatcher()
	if err != nil {
		f.fallBack(err)
		return
	}
	f.watch = w
}

// fallBack polls, from the first error on, what cannot all be watched.
func (f *files) fallBack(err error) {
	if err == nil || f.poll != nil {
		return
	}
	slog.Warn(fmt.Sprintf("track files: %v; they are also read every %v", err, pollEvery))
	f.poll = time.Tick(pollEvery)
}

// configure makes the files those of c.
func (f *files) configure(c *conf.Config) []Update {
	old := f.all
	f.all = make(map[string]*file, len(c.Files))
	var updates []Update
	for _, tf := range c.Files {
		k := old[tf.Name]
		if k != nil && k.conf.Path == tf.Path {
			k.conf = tf
			delete(old, tf.Name)
		} else {
			k = &file{conf: tf, status: policy.Status{Cause: cause(conf.TrackedFile, tf.Name, "not read yet")}}
			k.init()
			if f.watch != nil {
				f.watch.add(k)
			}
			f.read(k, false)
			updates = append(updates, k.update())
		}
		f.all[tf.Name] = k
	}
	for _, k := range old {
		if f.watch != nil {
			f.watch.remove(k)
		}
	}
	return updates
}

// init writes the file as init_file asks.
func (k *file) init() {
	flags := os.O_WRONLY | os.O_CREATE | unix.O_NONBLOCK
	switch k.conf.Init {
	case conf.InitFileOff:
		return
	case conf.InitFileCreate:
		flags |= os.O_EXCL
	case conf.InitFileOverwrite:
		flags |= os.O_TRUNC
	}
	w, err := os.OpenFile(k.conf.Path, flags, 0o600)
	if k.conf.Init == conf.InitFileCreate && errors.Is(err, fs.ErrExist) {
		return
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "%d\n", k.conf.InitValue)
		err = errors.Join(err, w.Close())
	}
	if err != nil {
		slog.Error(fmt.Sprintf("Unable to initialise track file %s: %v", k.conf.Name, err), "track_file", k.conf.Name)
	}
}

// changed reads files that may have changed.
func (f *files) changed(list []fileChange) {
	var updates []Update
	for _, c := range list {
		if f.all[c.file.conf.Name] == c.file && f.read(c.file, c.created) {
			updates = append(updates, c.file.update())
		}
	}
	if len(updates) > 0 {
		f.report(updates)
	}
}

func (f *files) readAll() {
	var updates []Update
	for _, k := range f.all {
		if f.read(k, false) {
			updates = append(updates, k.update())
		}
	}
	if len(updates) > 0 {
		f.report(updates)
	}
}

func (k *file) update() Update { return Update{conf.TrackedFile, k.conf.Name, k.status} }

// read reads the file and reports whether the status is another. A file that is
// missing or has no number counts as 0; a number that is out of range changes
// nothing. One that has just been created and is empty has not been written yet.
func (f *files) read(k *file, created bool) bool {
	text, err := head(k.conf.Path, f.buf)
	if created && err == nil && len(text) == 0 {
		return false
	}
	state, number, detail := readFine, 0, ""
	if err == nil {
		number, err = parseNumber(text)
	}
	switch {
	case err == nil:
		detail = strconv.Itoa(number)
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR):
		state, detail = readMissing, "0, as it does not exist"
	case err == errNoNumber && len(bytes.TrimSpace(text)) == 0:
		state, detail = readMissing, "0, as it is empty"
	case err == errNoNumber:
		state, detail = readNoNumber, "0, as it does not begin with a number"
		k.warn(state, fmt.Sprintf("No number at the beginning of %s - taken as 0", k.conf.Path))
	case err == errRange:
		state, number = readRange, k.status.Number
		detail = fmt.Sprintf("%d, as the number is beyond ±2147483647", number)
		word := string(bytes.Fields(text)[0])
		k.warn(state, fmt.Sprintf("Invalid number %.40s read from %s - ignoring", strings.Trim(strconv.Quote(word), `"`), k.conf.Path))
	case !script.Decides(err) && !errors.Is(err, errNotRegular):
		k.warn(readUnsure, fmt.Sprintf("read track file %s: %v - keeping its value and trying again", k.conf.Name, err))
		k.state = readUnsure
		f.fallBack(err)
		return false
	default:
		state, detail = readError, "0: "+err.Error()
		k.warn(state, fmt.Sprintf("read track file %s: %v - taken as 0", k.conf.Name, err))
	}
	k.state = state
	was := k.status
	k.status = policy.Status{Known: true, Up: number != 0, Number: number, Cause: cause(conf.TrackedFile, k.conf.Name, detail)}
	return k.status != was
}

// warn logs what is wrong with a file, unless that was so before.
func (k *file) warn(state readState, text string) {
	if k.state != state {
		slog.Warn(text, "track_file", k.conf.Name)
	}
}

var errNotRegular = errors.New("not a regular file")

// head reads the beginning of a regular file into buf. Others, such as a FIFO,
// might have to be waited for.
func head(path string, buf []byte) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errNotRegular}
	}
	n := 0
	for n < len(buf) {
		m, err := unix.Read(fd, buf[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if m == 0 {
			break
		}
		n += m
	}
	return buf[:n], nil
}
