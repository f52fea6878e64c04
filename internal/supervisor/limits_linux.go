package supervisor

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/proc"
)

// inheritLimits gives the calling thread, which must be locked to its
// goroutine, the scheduling settings of a child. A process started from this
// thread has them in all its threads.
func inheritLimits(role *proc.Role, l conf.ProcessLimits) error {
	var errs []error
	switch {
	case !l.PrioritySet && l.RTPriority == 0 && role.Nice != 0:
		// Nobody asked for this: without it we run, but not as well.
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, role.Nice); err != nil {
			errs = append(errs, fmt.Errorf("run at nice value %d: %w%s; without it %s may be late on a busy machine",
				role.Nice, err, niceRemedy(err), role.Late))
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

// niceRemedy is the remedy of err, if a permission is missing.
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

// missingCapabilities names what this process may not do and a role must, each
// with what every role needs it for.
func missingCapabilities(roles []*proc.Role) (string, error) {
	var needed []proc.Capability
	for _, r := range roles {
		for _, c := range r.Capabilities {
			if i := slices.IndexFunc(needed, func(n proc.Capability) bool { return n.Bit == c.Bit }); i >= 0 {
				needed[i].For += ", " + c.For
				continue
			}
			needed = append(needed, c)
		}
	}
	missing, err := proc.Missing(needed)
	var texts []string
	for _, c := range missing {
		texts = append(texts, c.Name+" ("+c.For+")")
	}
	return strings.Join(texts, ", "), err
}
