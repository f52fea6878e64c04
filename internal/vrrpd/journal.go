package vrrpd

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/vrrp"
)

// A journal keeps what must outlive this process: for each virtual router how
// far it has come, and which addresses may be in the kernel because of us. It
// is a small file in the run directory, mapped into memory, so that noting an
// advert is a handful of stores. A successor that finds its predecessor's last
// advert young enough goes on as master before any peer has noticed; one that
// does not removes what was left behind.
//
// Layout, in native byte order: a header, a record for each virtual router, an
// entry for each address.
type journal struct {
	path string
	mem  []byte
}

// record is the part of a journal that belongs to one virtual router.
type record struct{ b []byte }

const (
	journalMagic = "KALIVE\x00\x01"
	headerSize   = 64 // magic 8, boot id 36, then at 48 two counts
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

// identity names a virtual router across processes.
func identity(c *conf.VRRPInstance) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s\x00%d\x00%d", c.Name, c.Interface, c.Family, c.VRID)
	return h.Sum64()
}

func bootID() []byte {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // absent: every boot looks the same
	return bytes.TrimSpace(id)
}

// maxJournal bounds what is read of a state file: 65,024 routers with 255 addresses
// each have less.
const maxJournal = 1 << 30

// readJournal returns what a predecessor left, nothing when it ended well, and
// an error when the file is there and cannot be used.
func readJournal(path string) (map[uint64]*vrrp.Snapshot, []journalAddr, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open state file %s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, nil, fmt.Errorf("examine state file %s: %w", path, err)
	}
	if int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, nil, fmt.Errorf("state file %s: not a regular file that only user %d can write; remove it", path, os.Geteuid())
	}
	if st.Size > maxJournal {
		return nil, nil, fmt.Errorf("state file %s: %d bytes are more than any of ours; remove it", path, st.Size)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxJournal))
	if err != nil {
		return nil, nil, err
	}
	return parseJournal(b, bootID())
}

func parseJournal(b, boot []byte) (map[uint64]*vrrp.Snapshot, []journalAddr, error) {
	if len(b) < headerSize || string(b[:8]) != journalMagic {
		return nil, nil, fmt.Errorf("state file of another version ignored")
	}
	if !bytes.Equal(bytes.TrimRight(b[8:countsAt], "\x00"), boot) {
		return nil, nil, nil // of an earlier boot: nothing it tells of is left
	}
	records := uint64(binary.NativeEndian.Uint32(b[countsAt:]))
	entries := uint64(binary.NativeEndian.Uint32(b[countsAt+4:]))
	if uint64(len(b)) < headerSize+records*recordSize+entries*entrySize {
		return nil, nil, fmt.Errorf("state file is truncated")
	}
	snaps := make(map[uint64]*vrrp.Snapshot, records)
	b = b[headerSize:]
	for range records {
		id, s := (&record{b[:recordSize]}).read()
		snaps[id] = &s
		b = b[recordSize:]
	}
	addrs := make([]journalAddr, 0, entries)
	for range entries {
		a := netip.AddrFrom16([16]byte(b[18:34]))
		if b[17] == 4 {
			a = a.Unmap()
		}
		addrs = append(addrs, journalAddr{strings.TrimRight(string(b[:16]), "\x00"), netip.PrefixFrom(a, int(b[16])), b[34] != 0})
		b = b[entrySize:]
	}
	return snaps, addrs, nil
}

// createJournal replaces the file at path by one for the given routers and
// gives each its record.
func createJournal(path string, routers []*router) (*journal, error) {
	var addrs []journalAddr
	for _, r := range routers {
		for _, list := range [][]conf.Address{r.conf.Addresses, r.conf.Excluded} {
			for i := range list {
				addrs = append(addrs, journalAddr{link: linkOf(r.conf, &list[i]), prefix: list[i].Prefix})
			}
		}
	}
	size := headerSize + len(routers)*recordSize + len(addrs)*entrySize
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600, exclusive
	if err != nil {
		return nil, fmt.Errorf("create state file: %w", err)
	}
	defer f.Close()
	fail := func(err error) (*journal, error) {
		os.Remove(f.Name())
		return nil, fmt.Errorf("create state file %s: %w", path, err)
	}
	if err := f.Truncate(int64(size)); err != nil {
		return fail(err)
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fail(err)
	}
	j := &journal{path: path, mem: mem}
	copy(mem, journalMagic)
	copy(mem[8:countsAt], bootID())
	binary.NativeEndian.PutUint32(mem[countsAt:], uint32(len(routers)))
	binary.NativeEndian.PutUint32(mem[countsAt+4:], uint32(len(addrs)))
	b := mem[headerSize:]
	for _, r := range routers {
		r.record = &record{b[:recordSize:recordSize]}
		r.record.write(identity(r.conf), r.engine.Snapshot())
		b = b[recordSize:]
	}
	for _, a := range addrs {
		copy(b[:16], a.link)
		b[16] = byte(a.prefix.Bits())
		if b[17] = 6; a.prefix.Addr().Is4() {
			b[17] = 4
		}
		ip := a.prefix.Addr().As16()
		copy(b[18:34], ip[:])
		b = b[entrySize:]
	}
	if err := os.Rename(f.Name(), path); err != nil {
		j.close()
		return fail(err)
	}
	return j, nil
}

// note records how far the engine of r has come.
func (r *router) note() {
	if r.record != nil {
		r.record.write(0, r.engine.Snapshot())
	}
}

// write stores s; id 0 leaves the identity as it is.
func (r *record) write(id uint64, s vrrp.Snapshot) {
	b, e := r.b, binary.NativeEndian
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

func (r *record) read() (id uint64, s vrrp.Snapshot) {
	b, e := r.b, binary.NativeEndian
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

// close unmaps the journal; the file stays.
func (j *journal) close() {
	if j != nil {
		unix.Munmap(j.mem)
	}
}

// remove closes the journal and removes its file: nothing is left behind.
func (j *journal) remove() {
	if j != nil {
		os.Remove(j.path)
		j.close()
	}
}
