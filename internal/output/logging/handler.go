package logging

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// An entry is one line on its way to a destination, or a request to it.
type entry struct {
	time   time.Time // zero: not known
	level  slog.Level
	text   string
	fields []field

	do func(sink) // not a line: called in its turn by the goroutine that writes
}

// A field is an attribute; its key names the groups around it, as "peer.addr".
type field struct{ key, value string }

// handler implements [slog.Handler].
type handler struct {
	logs   *Logs
	prefix string  // of keys, ending in '.', inside groups
	fields []field // of WithAttrs
}

// Handler returns the handler that writes to all destinations.
func (l *Logs) Handler() slog.Handler { return &handler{logs: l} }

func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.logs.level }

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	e := &entry{time: r.Time, level: r.Level, text: oneLine(r.Message)}
	if h.logs.fields {
		e.fields = slices.Clone(h.fields)
		r.Attrs(func(a slog.Attr) bool {
			e.fields = appendField(e.fields, h.prefix, a)
			return true
		})
	}
	for _, q := range h.logs.queues {
		q.push(e)
	}
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	fields := slices.Clone(h.fields)
	for _, a := range attrs {
		fields = appendField(fields, h.prefix, a)
	}
	return &handler{h.logs, h.prefix, fields}
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &handler{h.logs, h.prefix + name + ".", h.fields}
}

// appendField appends a, flattening groups.
func appendField(fields []field, prefix string, a slog.Attr) []field {
	v := a.Value.Resolve()
	if v.Kind() != slog.KindGroup {
		if a.Key == "" && v.Equal(slog.Value{}) {
			return fields
		}
		return append(fields, field{prefix + a.Key, v.String()})
	}
	if a.Key != "" {
		prefix += a.Key + "."
	}
	for _, member := range v.Group() {
		fields = appendField(fields, prefix, member)
	}
	return fields
}

// oneLine replaces control characters, so that text from outside cannot forge
// a line or drive a terminal.
func oneLine(s string) string {
	clean := func(b byte) bool { return b >= ' ' && b != 0x7f }
	for i := range len(s) {
		if clean(s[i]) {
			continue
		}
		b := []byte(s)
		for j := i; j < len(b); j++ {
			if !clean(b[j]) {
				b[j] = ' '
			}
		}
		return string(b)
	}
	return s
}
