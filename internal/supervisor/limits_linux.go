package supervisor

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
)

// defaultPriority is the nice value of a VRRP process whose configuration asks
// for no scheduling of its own: the highest, for on a busy machine an advert
// every 10 ms does not wait its turn.
const defaultPriority = -20

// inheritLimits gives the calling thread, which must be locked to its
// goroutine, the scheduling settings of a child. A process started from this
// thread has them in all its threads.
func inheritLimits(l conf.ProcessLimits) error {
	var errs []error
	switch {
	case !l.PrioritySet && l.RTPriority == 0:
		// Nobody asked for this: without it we run, but not as well.
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, defaultPriority); err != nil {
			errs = append(errs, fmt.Errorf("run at nice value %d: %w%s; without it adverts may be late on a busy machine",
				defaultPriority, err, niceRemedy(err)))
		}
	case l.PrioritySet:
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, l.Priority); err != nil {
			errs = append(errs, fmt.Errorf("set priority %d: %w%s", l.Priority, err, niceRemedy(err)))
		}
	}
	if len(l.CPUAffinity) > 0 {
		var set unix.CPUSet
		for _, cpu := range l.CPUAffinity {
			set.Set(cpu)
		}
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			errs = append(errs, fmt.Errorf("set CPU affinity %v: %w", l.CPUAffinity, err))
		}
	}
	if l.RTPriority > 0 {
		attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: uint32(l.RTPriority)}
		if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
			errs = append(errs, fmt.Errorf("set real-time priority %d: %w%s", l.RTPriority, err, niceRemedy(err)))
		}
	}
	return errors.Join(errs...)
}

// niceRemedy says what err lacks, if it is a permission.
func niceRemedy(err error) string {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return ": CAP_SYS_NICE is missing; grant it (docker run --cap-add SYS_NICE, CapabilityBoundingSet of the unit)"
	}
	return ""
}

// limitRTTime bounds how long the real-time process pid may run without
// waiting, so that a loop gone wild cannot take the machine with it.
func limitRTTime(pid int, l conf.ProcessLimits) error {
	if l.RTPriority <= 0 {
		return nil
	}
	limit := uint64(conf.DefaultRTTime)
	if l.RTTime > 0 {
		limit = uint64(l.RTTime)
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_RTTIME, &unix.Rlimit{Cur: limit, Max: limit}, nil); err != nil {
		return fmt.Errorf("limit real-time run to %d microseconds: %w", limit, err)
	}
	return nil
}

// missingCapabilities names what this process may not do and must, each with
// what for.
func missingCapabilities() (string, error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return "", fmt.Errorf("read capabilities: %w", err)
	}
	var missing []string
	for _, c := range []struct {
		bit        int
		name, what string
	}{
		{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", "to set addresses"},
		{unix.CAP_NET_RAW, "CAP_NET_RAW", "to send and receive VRRP packets"},
	} {
		if data[c.bit/32].Effective&(1<<(c.bit%32)) == 0 {
			missing = append(missing, c.name+" ("+c.what+")")
		}
	}
	return strings.Join(missing, ", "), nil
}
