package vrrpd

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/firewall"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/nl"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc/statefile"
	"keepalived-go/vrrp"
)

// A journal keeps what must outlive this process: for each virtual router how
// far it has come, and which addresses may be in the kernel because of us. A
// successor that finds its predecessor's last advert young enough continues as
// master before any peer has noticed; one that does not removes what was left
// behind.
//
// It is a small file in the run directory. The loop notes in memory, and a
// goroutine of its own writes what has changed: whatever the directory does –
// full, read-only, gone, a disk that hangs – or others do to the file, the loop
// neither waits nor fails. What is lost then, the going on after a crash, is
// said.
//
// Layout, in native byte order: a header, a record for each virtual router, an
// entry for each address, one for each route, rule, link, sysctl and table of the
// firewall: a byte for its kind, a length of two bytes, and the netlink attributes, the name
// and both values of the sysctl, or the table as JSON.
type journal struct {
	path  string
	dirty bool          // of the loop: wake the writer at the end of the turn
	wake  chan struct{} // holds one token when there is something to write
	stop  chan struct{}
	done  chan struct{}
	tried chan struct{} // closed when the writer has done its first work

	mu      sync.Mutex
	image   []byte // the file as it should be
	whole   bool   // all of it is to be written
	changed []int  // else: offsets of records
	listed  []bool // by number of the record: it is among them
	gone    bool   // the file is to be removed in the end

	// The writer's own.
	fd     int    // -1: there is no file
	buf    []byte // records to write
	at     []int  // their offsets
	st     unix.Stat_t
	broken time.Time // when the last failure was; zero: it works
}

const (
	// journalPause is how long the writer rests between two writes: a thousand
	// adverts a second are not a thousand wake-ups.
	journalPause = 5 * time.Millisecond
	// journalRetry is how long a directory that failed is left alone.
	journalRetry = 10 * time.Second
	// journalWait is how long a start and an end wait for the run directory.
	journalWait = time.Second
)

// record is the part of a journal that belongs to one virtual router.
type record struct {
	j  *journal
	at int // offset in the image
}

// Kinds of entries. From entryRoute on it is a route, the place of which among equal ones
// is added.
const (
	entryRule    = 0
	entryRoute   = 1
	entryTable   = 253
	entrySetting = 254
	entryLink    = 255
)

const (
	journalMagic = "KALIVE\x00\x02"
	headerSize   = 64 // magic 8, boot id 36, then at 48 three counts
	countsAt     = 48
	recordSize   = 64
	entrySize    = 48 // interface name 16, prefix length 1, family 1, address 16, set by others 1
)

// journalAddr is an address that the journal's process may have set.
type journalAddr struct {
	link   string
	prefix netip.Prefix
	theirs bool // others had set it
}

// predecessor is what a journal has of the process that wrote it.
type predecessor struct {
	engines  map[uint64]*vrrp.Snapshot // by the identity of the virtual router
	addrs    []journalAddr             // that it may have set
	routes   []kernel.Route            // sealed
	rules    []kernel.Rule
	links    []kernel.MadeLink // that it has made
	settings []journalSetting
	tables   []firewall.Table

	entries []byte // routes, rules, links and tables as they are in the file, each once
	items   uint32 // how many
}

// journalSetting is a sysctl that the journal's process has set.
type journalSetting struct{ name, was, set string }

// maxJournal bounds what is read of a state file: 65,024 routers with 255 addresses
// each have less.
const maxJournal = 1 << 30

// readJournalWithin is readJournal for a directory that may hang.
func readJournalWithin(limit time.Duration, path string) (p predecessor, err error) {
	done := make(chan func(), 1)
	go func() {
		before, e := readJournal(path)
		done <- func() { p, err = before, e }
	}()
	select {
	case set := <-done:
		set()
		return p, err
	case <-time.After(limit):
		return p, fmt.Errorf("state file %s: not read within %v", path, limit)
	}
}

// readJournal returns what a predecessor left, nothing when it ended well, and
// an error when the file is there and cannot be used.
func readJournal(path string) (p predecessor, err error) {
	b, err := statefile.Read(path, maxJournal)
	if b == nil || err != nil {
		return p, err
	}
	return parseJournal(b, statefile.BootID())
}

func parseJournal(b []byte, boot string) (p predecessor, err error) {
	if len(b) < headerSize || string(b[:8]) != journalMagic {
		return p, fmt.Errorf("state file of another version ignored")
	}
	if string(bytes.TrimRight(b[8:countsAt], "\x00")) != boot {
		return p, nil // of an earlier boot: nothing that it names is left
	}
	records := uint64(binary.NativeEndian.Uint32(b[countsAt:]))
	entries := uint64(binary.NativeEndian.Uint32(b[countsAt+4:]))
	routing := binary.NativeEndian.Uint32(b[countsAt+8:])
	if uint64(len(b)) < headerSize+records*recordSize+entries*entrySize {
		return p, fmt.Errorf("state file is truncated")
	}
	p.engines = make(map[uint64]*vrrp.Snapshot, records)
	b = b[headerSize:]
	for range records {
		id, s := readRecord(b)
		p.engines[id] = &s
		b = b[recordSize:]
	}
	// A file has what is left of several processes, if each ended before it had removed it.
	seen := map[string]bool{}
	again := func(entry []byte) bool {
		known := seen[string(entry)]
		seen[string(entry)] = true
		return known
	}
	p.addrs = make([]journalAddr, 0, entries)
	for ; entries > 0; entries, b = entries-1, b[entrySize:] {
		if again(b[:entrySize]) {
			continue
		}
		a := netip.AddrFrom16([16]byte(b[18:34]))
		if b[17] == 4 {
			a = a.Unmap()
		}
		p.addrs = append(p.addrs, journalAddr{strings.TrimRight(string(b[:16]), "\x00"), netip.PrefixFrom(a, int(b[16])), b[34] != 0})
	}
	for range routing {
		n := 3
		if len(b) >= n {
			n += int(binary.NativeEndian.Uint16(b[1:]))
		}
		if len(b) < n {
			return predecessor{}, fmt.Errorf("state file is truncated")
		}
		entry := b[:n]
		b = b[n:]
		if again(entry) {
			continue
		}
		if entry[0] != entrySetting { // which is held until it is set back
			p.entries, p.items = append(p.entries, entry...), p.items+1
		}
		switch body := entry[3:]; entry[0] {
		case entrySetting:
			if parts := strings.Split(string(body), "\x00"); len(parts) == 3 {
				p.settings = append(p.settings, journalSetting{parts[0], parts[1], parts[2]})
			}
		case entryTable:
			var t firewall.Table
			if json.Unmarshal(body, &t) == nil {
				p.tables = append(p.tables, t)
			}
		case entryLink:
			if l, ok := kernel.DecodeMadeLink(body, nl.Names{}); ok {
				p.links = append(p.links, l)
			}
		case entryRule:
			if r, ok := kernel.DecodeRule(body, nl.Names{}); ok {
				p.rules = append(p.rules, r)
			}
		default:
			if r, ok := kernel.DecodeRoute(body, nl.Names{}); ok {
				r.Order = conf.RouteOrder(entry[0] - entryRoute)
				p.routes = append(p.routes, r.Sealed())
			}
		}
	}
	return p, nil
}

// newJournal starts the writer of the file at path.
func newJournal(path string) *journal {
	j := &journal{path: path, fd: -1, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		tried: make(chan struct{})}
	go j.run()
	return j
}

// replace begins a file for the given routers, settings and tables, and gives each router
// its record, but for one that holds the static entries. What a predecessor has left stays
// in the file: this process, too, may end before it has removed it.
func (j *journal) replace(routers []*router, settings []journalSetting, tables []firewall.Table, left *predecessor) {
	addrs := slices.Clone(left.addrs)
	routing := slices.Clone(left.entries)
	items := left.items + uint32(len(settings))
	for _, s := range settings {
		routing = appendEntry(routing, entrySetting, []byte(s.name+"\x00"+s.was+"\x00"+s.set))
	}
	engines := 0
	for _, r := range routers {
		if !r.static() {
			engines++
		}
		routing = r.appendRouting(routing, &items)
		for i := range r.made {
			if m := &r.made[i]; m.item != nil && m.spec.Address.IsValid() {
				addrs = append(addrs, journalAddr{m.item.sent.Name, m.spec.Address, m.addr != nil && m.addr.theirs})
			}
		}
		n := 0
		for _, list := range [][]conf.Address{r.conf.Addresses, r.conf.Excluded} {
			for i := range list {
				theirs := n < len(r.vips) && r.vips[n] != nil && r.vips[n].theirs
				addrs = append(addrs, journalAddr{r.addressPlace(&list[i]), list[i].Prefix, theirs})
				n++
			}
		}
	}
	for _, t := range tables {
		text, _ := json.Marshal(t) // of plain values
		routing = appendEntry(routing, entryTable, text)
		items++
	}
	image := make([]byte, headerSize+engines*recordSize+len(addrs)*entrySize)
	copy(image, journalMagic)
	copy(image[8:countsAt], statefile.BootID())
	binary.NativeEndian.PutUint32(image[countsAt:], uint32(engines))
	binary.NativeEndian.PutUint32(image[countsAt+4:], uint32(len(addrs)))
	binary.NativeEndian.PutUint32(image[countsAt+8:], items)
	at := headerSize
	for _, r := range routers {
		if r.static() {
			continue
		}
		r.record = &record{j, at}
		writeRecord(image[at:], policy.Identity(r.conf), r.engine.Snapshot())
		at += recordSize
	}
	b := image[at:]
	for _, a := range addrs {
		copy(b[:16], a.link)
		b[16] = byte(a.prefix.Bits())
		if b[17] = 6; a.prefix.Addr().Is4() {
			b[17] = 4
		}
		ip := a.prefix.Addr().As16()
		copy(b[18:34], ip[:])
		if a.theirs {
			b[34] = 1
		}
		b = b[entrySize:]
	}
	image = append(image, routing...)
	j.mu.Lock()
	j.image, j.whole = image, true
	j.changed, j.listed = make([]int, 0, engines), make([]bool, engines)
	j.mu.Unlock()
	j.dirty = true
	j.kick()
}

// appendEntry appends an entry.
func appendEntry(b []byte, kind byte, body []byte) []byte {
	b = append(b, kind)
	b = binary.NativeEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

// appendRouting appends the entries of the links, routes and rules of r, and counts them.
// Those that others have set are left out.
func (r *router) appendRouting(b []byte, items *uint32) []byte {
	entry := func(kind byte, o kernel.Requested) {
		body, _ := o.Encode(kernel.Add, nil)
		b = appendEntry(b, kind, body)
		*items++
	}
	for i := range r.made {
		if v := r.made[i].item; v != nil && !v.theirs {
			entry(entryLink, &v.sent)
		}
	}
	for _, v := range r.routes {
		if v != nil && !v.theirs {
			entry(entryRoute+byte(v.sent.Order), &v.sent)
		}
	}
	for _, v := range r.rules {
		if !v.theirs {
			entry(entryRule, &v.sent)
		}
	}
	return b
}

// kick wakes the writer if there is something to write.
func (j *journal) kick() {
	if j == nil || !j.dirty {
		return
	}
	j.dirty = false
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// await returns when the writer has tried to make the file, or is at it for
// too long.
func (j *journal) await() {
	select {
	case <-j.tried:
	case <-time.After(journalWait):
		slog.Warn(fmt.Sprintf("state file %s: not written within %v; until then %s", j.path, journalWait, journalLoss))
	}
}

// journalLoss is what is lost without a state file.
const journalLoss = "the peers will notice a crash of this process"

func (j *journal) run() {
	defer close(j.done)
	rest := time.NewTimer(0)
	<-rest.C
	for first := true; ; first = false {
		select {
		case <-j.wake:
			j.write()
			if first {
				close(j.tried)
			}
		case <-j.stop:
			j.end()
			return
		}
		rest.Reset(journalPause)
		select {
		case <-rest.C:
		case <-j.stop:
			j.end()
			return
		}
	}
}

func (j *journal) end() {
	j.mu.Lock()
	gone := j.gone
	j.mu.Unlock()
	if gone {
		os.Remove(j.path)
	} else {
		j.broken = time.Time{} // a last attempt
		j.write()
	}
	j.shut()
}

func (j *journal) shut() {
	if j.fd >= 0 {
		unix.Close(j.fd)
		j.fd = -1
	}
}

// write brings the file up to date.
func (j *journal) write() {
	resting := !j.broken.IsZero() && time.Since(j.broken) < journalRetry
	// Others may have truncated or removed it.
	sound := j.fd >= 0 && unix.Fstat(j.fd, &j.st) == nil && j.st.Nlink > 0
	j.mu.Lock()
	whole := j.whole || !sound || int(j.st.Size) != len(j.image)
	j.buf, j.at = j.buf[:0], j.at[:0]
	var image []byte
	switch {
	case resting:
	case whole:
		image = bytes.Clone(j.image)
		j.whole = false
	default:
		for _, at := range j.changed {
			j.buf = append(j.buf, j.image[at:at+recordSize]...)
			j.at = append(j.at, at)
		}
	}
	for _, at := range j.changed {
		j.listed[(at-headerSize)/recordSize] = false
	}
	j.changed = j.changed[:0]
	j.mu.Unlock()
	switch {
	case resting:
	case whole:
		j.report(j.create(image))
	default:
		for i, at := range j.at {
			if n, err := unix.Pwrite(j.fd, j.buf[i*recordSize:(i+1)*recordSize], int64(at)); err != nil || n < recordSize {
				j.report(fmt.Errorf("write state file %s: %w", j.path, cmp.Or(err, error(unix.ENOSPC))))
				return
			}
		}
	}
}

// report logs once that the file cannot be written, and that it can again.
func (j *journal) report(err error) {
	switch {
	case err != nil:
		if j.broken.IsZero() {
			slog.Warn(err.Error() + "; " + journalLoss)
		}
		j.broken = time.Now()
		j.shut() // what is there is not what it should be
	case !j.broken.IsZero():
		slog.Info("state file " + j.path + " is written again")
		j.broken = time.Time{}
	}
}

// create replaces the file at the path by one with the content b.
func (j *journal) create(b []byte) error {
	err := j.createOnce(b)
	if errors.Is(err, unix.ENOSPC) && os.Remove(j.path) == nil { // the old one takes room, too
		err = j.createOnce(b)
	}
	if err != nil {
		return fmt.Errorf("create state file %s: %w", j.path, err)
	}
	return nil
}

func (j *journal) createOnce(b []byte) error {
	temporary := j.path + ".new"
	unix.Unlink(temporary)
	fd, err := unix.Open(temporary, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	for at := 0; at < len(b) && err == nil; {
		var n int
		n, err = unix.Pwrite(fd, b[at:], int64(at))
		at += n
	}
	if err == nil {
		err = unix.Rename(temporary, j.path)
	}
	if err != nil {
		unix.Close(fd)
		unix.Unlink(temporary)
		return err
	}
	j.shut()
	j.fd = fd
	return nil
}

// note records how far the engine of r has come.
func (r *router) note() {
	if r.record != nil {
		r.record.write(r.engine.Snapshot())
	}
}

// write notes s for the writer.
func (r *record) write(s vrrp.Snapshot) {
	j := r.j
	j.mu.Lock()
	writeRecord(j.image[r.at:], 0, s)
	if n := (r.at - headerSize) / recordSize; !j.listed[n] {
		j.listed[n] = true
		j.changed = append(j.changed, r.at)
	}
	j.mu.Unlock()
	j.dirty = true
}

// writeRecord stores s; id 0 leaves the identity as it is.
func writeRecord(b []byte, id uint64, s vrrp.Snapshot) {
	e := binary.NativeEndian
	if id != 0 {
		e.PutUint64(b[0:], id)
	}
	e.PutUint32(b[8:], uint32(s.State))
	e.PutUint32(b[12:], uint32(s.Priority))
	e.PutUint64(b[16:], uint64(s.LastAdvert))
	e.PutUint64(b[24:], uint64(s.AdvertDeadline))
	e.PutUint64(b[32:], uint64(s.MasterInterval))
	e.PutUint64(b[40:], s.HMACSequence)
	e.PutUint32(b[48:], s.AHSequence)
	e.PutUint32(b[52:], uint32(s.IPID))
}

func readRecord(b []byte) (id uint64, s vrrp.Snapshot) {
	e := binary.NativeEndian
	return e.Uint64(b[0:]), vrrp.Snapshot{
		State:          vrrp.State(e.Uint32(b[8:])),
		Priority:       uint8(e.Uint32(b[12:])),
		LastAdvert:     time.Duration(e.Uint64(b[16:])),
		AdvertDeadline: time.Duration(e.Uint64(b[24:])),
		MasterInterval: time.Duration(e.Uint64(b[32:])),
		HMACSequence:   e.Uint64(b[40:]),
		AHSequence:     e.Uint32(b[48:]),
		IPID:           uint16(e.Uint32(b[52:])),
	}
}

// close ends the writer when it has written everything, or after journalWait.
// The file stays.
func (j *journal) close() {
	if j == nil {
		return
	}
	select {
	case <-j.stop:
		return
	default:
	}
	close(j.stop)
	select {
	case <-j.done:
	case <-time.After(journalWait):
		slog.Warn(fmt.Sprintf("state file %s: not written within %v", j.path, journalWait))
	}
}

// remove ends the writer and removes the file: nothing is left behind.
func (j *journal) remove() {
	if j != nil {
		j.mu.Lock()
		j.gone = true
		j.mu.Unlock()
		j.close()
	}
}
