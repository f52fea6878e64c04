package lab

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A test that waits must not fail because the machine is busy with other programs. The
// kernel counts the time during which some program was ready to run and had no processor
// (pressure stall information, /proc/pressure/cpu). All waits of a lab are extended by
// that time, and so are upper bounds of measured times. On an idle machine it is nearly
// 0. A kernel without the count gives 0, except a User-Mode Linux: it cannot measure the
// load of its host, and assumes the maximum.

// maxPatience is the maximum factor by which a wait is extended.
const maxPatience = 8

// sampleInterval is the interval at which the count is read, and sampleTime the time for
// which [Starved] has samples.
const (
	sampleInterval = 50 * time.Millisecond
	sampleTime     = 5 * time.Minute
)

// pressure is the history of the count since the first lab was made.
var pressure struct {
	once    sync.Once
	mu      sync.Mutex
	samples []sample // oldest first
}

type sample struct {
	at    time.Time
	total time.Duration
}

// watchPressure starts the history.
func watchPressure() {
	pressure.once.Do(func() {
		samplePressure()
		go func() {
			for range time.Tick(sampleInterval) {
				samplePressure()
			}
		}()
	})
}

func samplePressure() {
	s := sample{time.Now(), starvedTotal()}
	pressure.mu.Lock()
	defer pressure.mu.Unlock()
	p := append(pressure.samples, s)
	if len(p) > int(sampleTime/sampleInterval) {
		p = p[1:]
	}
	pressure.samples = p
}

// Starved returns how long, between two times, some program of this machine had to wait
// for a processor.
func Starved(from, to time.Time) time.Duration {
	samplePressure()
	pressure.mu.Lock()
	defer pressure.mu.Unlock()
	p := pressure.samples
	first := 0
	for first < len(p)-1 && !p[first+1].at.After(from) {
		first++
	}
	last := first
	for last < len(p)-1 && p[last].at.Before(to) {
		last++
	}
	return p[last].total - p[first].total
}

// GuestEnv is the environment variable that is set in a User-Mode Linux (package
// uml).
const GuestEnv = "KEEPALIVED_UML"

// Patience is a timeout that is extended while the machine is starved.
type Patience struct {
	begin   time.Time
	starved time.Duration
	timeout time.Duration
}

// NewPatience starts a timeout.
func NewPatience(timeout time.Duration) Patience {
	return Patience{time.Now(), starvedTotal(), timeout}
}

// Left returns the remaining time; 0 or less: the timeout has passed.
func (p Patience) Left() time.Duration {
	more := min(starvedTotal()-p.starved, maxPatience*p.timeout)
	return p.timeout + more - time.Since(p.begin)
}

// guestBegin is the time at which the count of a User-Mode Linux began.
var guestBegin = time.Now()

// starvedTotal reads the count since boot.
func starvedTotal() time.Duration {
	if os.Getenv(GuestEnv) != "" {
		return maxPatience * time.Since(guestBegin)
	}
	b, err := os.ReadFile("/proc/pressure/cpu")
	if err != nil {
		return 0
	}
	return parsePressure(string(b))
}

// parsePressure finds the microseconds of the line "some".
func parsePressure(text string) time.Duration {
	line, _, _ := strings.Cut(text, "\n")
	if !strings.HasPrefix(line, "some ") {
		return 0
	}
	_, total, ok := strings.Cut(line, "total=")
	if !ok {
		return 0
	}
	us, err := strconv.ParseInt(strings.TrimSpace(total), 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(us) * time.Microsecond
}
