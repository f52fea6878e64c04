package statefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"keepalived-go/internal/proc/loop"
)

// Header begins the state of a process.
type Header struct {
	Version int    // of its layout
	Boot    string // of the machine: nothing outlives that
}

// Decode reads a state, a struct with a [Header]; nil: it is of another boot.
func Decode[T any](b []byte, want Header) (*T, error) {
	var is Header
	if err := json.Unmarshal(b, &is); err != nil {
		return nil, fmt.Errorf("state file: %w", err)
	}
	switch {
	case is.Version != want.Version:
		return nil, errors.New("state file of another version ignored")
	case is.Boot != want.Boot:
		return nil, nil
	}
	s := new(T)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("state file: %w", err)
	}
	return s, nil
}

// Load reads what a predecessor has left, limit bytes at most; nil if it ended in good
// order, was of another boot, or path is empty.
func Load[T any](path string, limit int64, want Header) (*T, error) {
	b, err := Read(path, limit)
	if b == nil || err != nil {
		return nil, err
	}
	return Decode[T](b, want)
}

// saveRest bounds the part of the time that a loop spends on putting states together:
// for so many times as long as the last one took, it puts together no other. writeRest is the
// same for the time that it took to write it.
const saveRest, writeRest = 50, 20

// longestDelay bounds that: a loop whose process did not run for a while has spent nothing.
const longestDelay = 10 * time.Second

// A Saver keeps the state of a process in a file, as JSON. The loop puts it together,
// soon after a change, and a goroutine writes it: the loop does not wait for the file
// system.
type Saver struct {
	Path  string        // empty: nothing is saved
	Delay time.Duration // in which changes are collected
	Lost  string        // what is lost while the file cannot be written, for the log

	// Collect returns the state and the steps that complete it, each in a turn of the
	// loop. Nothing changes the state after the last one.
	Collect func() (state any, steps []func())

	loop    *loop.Loop
	timer   loop.Timer
	delay   time.Duration // as Delay, or longer: see saveRest and writeRest
	writing bool          // or it is being put together
	wrong   bool          // it could not be written

	mu      sync.Mutex // of writing and removing the file
	removed bool
}

// Begin has the saver use l. It is called once, before Changed.
func (s *Saver) Begin(l *loop.Loop) {
	s.loop, s.delay, s.timer.Expire = l, s.Delay, s.save
}

// Changed has the state written soon.
func (s *Saver) Changed() {
	if s.Path != "" && !s.timer.Running() {
		s.loop.Set(&s.timer, s.loop.Now()+s.delay)
	}
}

// Busy reports whether something is still to be written.
func (s *Saver) Busy() bool { return s.writing || s.timer.Running() }

// Remove ends the saving and removes the file: there is nothing that a successor could
// continue.
func (s *Saver) Remove() {
	s.loop.Stop(&s.timer)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = true
	if s.Path != "" {
		os.Remove(s.Path) // where it cannot be, a successor finds that nothing holds any more
	}
}

// save puts the state together and has it written. Until that is done, the next one waits.
func (s *Saver) save(at time.Duration) {
	if s.writing {
		s.loop.Set(&s.timer, at+s.delay)
		return
	}
	s.writing = true
	begun := s.loop.Now()
	state, steps := s.Collect()
	spent := s.loop.Now() - begun
	for i, step := range steps {
		steps[i] = func() {
			begun := s.loop.Now()
			step()
			spent += s.loop.Now() - begun
		}
	}
	s.loop.Slices(steps, func() {
		s.delay = max(s.Delay, min(saveRest*spent, longestDelay))
		go func() {
			begun := time.Now()
			err := s.write(state)
			took := time.Since(begun)
			s.loop.Post(func() {
				s.writing = false
				s.delay = max(s.delay, min(writeRest*took, longestDelay))
				if err != nil && !s.wrong {
					slog.Warn(fmt.Sprintf("state file: %v; %s", err, s.Lost))
				}
				s.wrong = err != nil
			})
		}()
	})
}

// write writes a state, unless the file was removed permanently. The state of thousands of
// checks takes megabytes as JSON, of which only a part is in memory at a time.
func (s *Saver) write(state any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed {
		return nil
	}
	return Write(s.Path, func(w io.Writer) error { return jsonv2.MarshalWrite(w, state, jsonv1.DefaultOptionsV1()) })
}
