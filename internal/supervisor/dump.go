package supervisor

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"
	"unicode"

	"keepalived-go/conf"
	"keepalived-go/internal/dump"
)

// logConfiguration logs what c says of processes that do not exist in this
// version (-d); the VRRP process logs its own part.
func (s *supervisor) logConfiguration(c *conf.Config) {
	var t dump.Text
	if !s.needed() {
		dump.Global(&t, &c.Global, s.process(), &dump.Accounts{Policy: c.Global.Scripts})
	}
	dump.BFD(&t, c)
	if len(c.VirtualServers) > 0 {
		t.Section("LVS Topology")
		for _, v := range c.VirtualServers {
			t.Line(" VIP = %v", v)
			dumpFields("   ", reflect.ValueOf(*v), func(line string) { t.Line("%s", line) })
		}
	}
	// Without overrunning the queues of the log.
	const slice = 500
	n := 0
	for line := range strings.Lines(string(t.Bytes())) {
		slog.Info(strings.TrimSuffix(line, "\n"))
		if n++; n%slice == 0 {
			s.logs.Flush(time.Now().Add(time.Second))
		}
	}
}

// process is what dumps say of this one.
func (s *supervisor) process() dump.Process {
	return dump.Process{Parent: true, NetNamespace: s.settings.namespace, Reload: s.schedule.at, MarkerPath: s.files.reloadMarker}
}

// dumpData writes keepalived_parent.data.
func (s *supervisor) dumpData() {
	slog.Info(fmt.Sprintf("Printing parent data for process(%d) on signal", os.Getpid()))
	g := s.global
	path := filepath.Join(os.TempDir(), "keepalived_parent.data")
	if g.StateDumpFile != "" {
		ext := filepath.Ext(g.StateDumpFile)
		path = strings.TrimSuffix(g.StateDumpFile, ext) + "_parent" + ext
	} else if g.DataUseInst {
		path = dump.Name(path, s.settings.namespace, s.settings.instance)
	}
	process := s.process()
	go func() {
		var t dump.Text
		dump.Global(&t, &g, process, &dump.Accounts{Policy: g.Scripts})
		if err := dump.Replace(path, t.Bytes()); err != nil {
			slog.Error(err.Error())
		}
	}()
}

func dumpFields(indent string, v reflect.Value, yield func(string)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Name != "Name" && f.Name != "Pos" {
			dumpValue(indent, label(f.Name), v.Field(i), yield)
		}
	}
}

func dumpValue(indent, name string, v reflect.Value, yield func(string)) {
	if v.IsZero() {
		return
	}
	switch x := v.Interface().(type) {
	case time.Duration, fmt.Stringer:
		yield(fmt.Sprintf("%s%s = %v", indent, name, x))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		yield(indent + name + ":")
		dumpFields(indent+"  ", v, yield)
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Struct {
			yield(fmt.Sprintf("%s%s = %v", indent, name, v))
			return
		}
		yield(fmt.Sprintf("%s%s (%d):", indent, name, v.Len()))
		for i := range v.Len() {
			yield(indent + "  " + oneLine(v.Index(i)))
		}
	default:
		yield(fmt.Sprintf("%s%s = %v", indent, name, v))
	}
}

// oneLine is a struct as "Field value, Field value".
func oneLine(v reflect.Value) string {
	var parts []string
	for i := range v.NumField() {
		if f := v.Field(i); !f.IsZero() && v.Type().Field(i).Name != "Pos" {
			parts = append(parts, fmt.Sprintf("%s %v", label(v.Type().Field(i).Name), f))
		}
	}
	return strings.Join(parts, ", ")
}

// label makes words of the name of a field: "Advert interval" of
// AdvertInterval, "VRID" of VRID.
func label(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) && unicode.IsLower(runes[i-1]) {
			b.WriteByte(' ')
			if i+1 < len(runes) && unicode.IsLower(runes[i+1]) {
				r = unicode.ToLower(r)
			}
		}
		b.WriteRune(r)
	}
	return b.String()
}
