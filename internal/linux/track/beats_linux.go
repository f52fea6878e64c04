package track

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/policy"
)

// beatEvery is how often links are polled.
const beatEvery = time.Second

// beats polls the carrier of interfaces whose driver does not report it.
type beats struct {
	mail
	report func([]Update)
	fd     int // asks; -1: not open
	all    []*beat
}

// beat is one polled interface.
type beat struct {
	name   string
	want   conf.LinkBeat
	use    conf.LinkBeat // LinkBeatNone: the interface has not answered yet
	status policy.Status
}

func newBeats(report func([]Update)) *beats {
	return &beats{mail: make(mail, 1), report: report, fd: -1}
}

func (b *beats) run(stop <-chan struct{}) {
	defer func() {
		if b.fd >= 0 {
			unix.Close(b.fd)
		}
	}()
	var tick <-chan time.Time
	for {
		select {
		case <-stop:
			return
		case r := <-b.mail:
			r.answer(b.configure(r.conf))
			if len(b.all) > 0 {
				tick = time.Tick(beatEvery)
			} else {
				tick = nil
			}
		case <-tick:
			if updates := b.poll(); len(updates) > 0 {
				b.report(updates)
			}
		}
	}
}

// configure polls the interfaces that c wants polled.
func (b *beats) configure(c *conf.Config) []Update {
	old := b.all
	b.all = nil
	for _, i := range c.Interfaces {
		if i.LinkBeat == conf.LinkBeatNone {
			continue
		}
		at := slices.IndexFunc(old, func(k *beat) bool { return k.name == i.Name && k.want == i.LinkBeat })
		if at < 0 {
			b.all = append(b.all, &beat{name: i.Name, want: i.LinkBeat})
		} else {
			b.all = append(b.all, old[at])
		}
	}
	if len(b.all) == 0 {
		return nil
	}
	if b.fd < 0 {
		var err error
		if b.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			slog.Error(fmt.Sprintf("linkbeat: %v; the state of interfaces is taken from netlink", os.NewSyscallError("socket", err)))
			b.all = nil
			return nil
		}
	}
	return b.poll()
}

// poll asks for all carriers and returns what is new.
func (b *beats) poll() []Update {
	var updates []Update
	for _, k := range b.all {
		up, err := k.poll(b.fd)
		detail := "carrier by " + beatNames[k.use]
		switch {
		case err != nil:
			up, detail = false, err.Error()
		case !up:
			detail = "no " + detail
		}
		was := k.status
		k.status = policy.Status{Known: true, Up: up, Cause: cause(conf.TrackedInterface, k.name, detail)}
		if was.Known && was.Up != up {
			slog.Info(fmt.Sprintf("Linkbeat reports %s %s", k.name, map[bool]string{true: "up", false: "down"}[up]), "interface", k.name)
		}
		if k.status != was {
			updates = append(updates, Update{conf.TrackedInterface, k.name, k.status})
		}
	}
	return updates
}

var beatNames = [...]string{
	conf.LinkBeatNone:    "nothing",
	conf.LinkBeatAuto:    "nothing",
	conf.LinkBeatMII:     "MII",
	conf.LinkBeatEthtool: "ETHTOOL",
	conf.LinkBeatIoctl:   "IOCTL",
}

// poll asks for the carrier, at first in the ways that the interface may know.
func (k *beat) poll(fd int) (up bool, err error) {
	if k.use != conf.LinkBeatNone {
		up, err = carrier(fd, k.name, k.use)
		if errors.Is(err, unix.ENODEV) {
			k.use = conf.LinkBeatNone // it may come back as another device
		}
		return up, err
	}
	ways := []conf.LinkBeat{conf.LinkBeatMII, conf.LinkBeatEthtool, conf.LinkBeatIoctl}
	if k.want != conf.LinkBeatAuto {
		ways = slices.Insert(ways, 0, k.want)
	}
	for _, way := range ways {
		if up, err = carrier(fd, k.name, way); errors.Is(err, unix.ENODEV) {
			return false, err
		}
		if err == nil {
			k.use = way
			break
		}
	}
	if k.use != k.want && k.want != conf.LinkBeatAuto && err == nil {
		slog.Warn(fmt.Sprintf("linkbeat: %s does not support %s, using %s", k.name, beatNames[k.want], beatNames[k.use]), "interface", k.name)
	}
	return up, err
}

// requestName is the name of an interface as requests have it.
type requestName [unix.IFNAMSIZ]byte

// Requests (struct ifreq): the name and what belongs to it, in 40 bytes.
type (
	miiRequest struct {
		name                      requestName
		phy, register, in, result uint16
		_                         [16]byte
	}
	ethtoolRequest struct {
		name  requestName
		value *ethtoolValue
		_     [16]byte
	}
	ethtoolValue struct{ command, data uint32 }
	flagsRequest struct {
		name  requestName
		flags uint16
		_     [22]byte
	}
)

const (
	miiStatus   = 1      // register BMSR
	miiCarrier  = 0x0004 // BMSR_LSTATUS
	ethtoolLink = 0x0a   // ETHTOOL_GLINK
)

// carrier asks the kernel whether an interface has a carrier.
func carrier(fd int, name string, way conf.LinkBeat) (up bool, err error) {
	var n requestName
	if copy(n[:len(n)-1], name) < len(name) {
		return false, fmt.Errorf("linkbeat of %s: %w", name, unix.ENODEV)
	}
	switch way {
	case conf.LinkBeatMII:
		r := miiRequest{name: n}
		if err = ioctl(fd, unix.SIOCGMIIPHY, unsafe.Pointer(&r)); err == nil {
			r.register = miiStatus
			err = ioctl(fd, unix.SIOCGMIIREG, unsafe.Pointer(&r))
			up = r.result&miiCarrier != 0
		}
	case conf.LinkBeatEthtool:
		r := ethtoolRequest{name: n, value: &ethtoolValue{command: ethtoolLink}}
		err = ioctl(fd, unix.SIOCETHTOOL, unsafe.Pointer(&r))
		up = r.value.data != 0
	default:
		r := flagsRequest{name: n}
		err = ioctl(fd, unix.SIOCGIFFLAGS, unsafe.Pointer(&r))
		up = r.flags&unix.IFF_RUNNING != 0
	}
	if err != nil {
		return false, fmt.Errorf("linkbeat of %s: %w", name, err)
	}
	return up, nil
}

func ioctl(fd int, request uintptr, r unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(r)); errno != 0 {
		return errno
	}
	return nil
}
