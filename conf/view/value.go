package view

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"keepalived-go/conf"
)

// show is a value as the word k takes it.
func show(value reflect.Value, f reflect.StructField, k conf.Keyword) (text string, ok bool) {
	if k.Default == "off" && value.IsZero() && conf.Names(value.Type()) == nil {
		return "off", true
	}
	switch v := value.Interface().(type) {
	case bool:
		switch f.Name {
		case "Master":
			return choose(v, "MASTER", "BACKUP"), true
		case "Monotonic":
			return choose(v, "monotonic", "time"), true
		}
	case time.Duration:
		if unit := unitOf(k); unit != time.Second {
			return strconv.FormatFloat(float64(v)/float64(unit), 'f', -1, 64), true
		}
	case uint32:
		if f.Name == "Umask" {
			return fmt.Sprintf("%#o", v), true
		}
	}
	return oneLine(value)
}

func choose(on bool, yes, no string) string {
	if on {
		return yes
	}
	return no
}

func unitOf(k conf.Keyword) time.Duration {
	switch unit := k.Unit(); {
	case strings.HasPrefix(unit, "milli"):
		return time.Millisecond
	case strings.HasPrefix(unit, "micro"):
		return time.Microsecond
	}
	return time.Second
}

// oneLine is a value as text; ok is false for what has no text of one line.
func oneLine(value reflect.Value) (text string, ok bool) {
	switch v := value.Interface().(type) {
	case conf.Secret:
		if v == "" {
			return "", true
		}
		return v.String(), true
	case time.Duration:
		return strconv.FormatFloat(v.Seconds(), 'f', -1, 64), true
	case netip.Addr:
		if !v.IsValid() {
			return "", true
		}
		return v.String(), true
	case conf.Family:
		return fmt.Sprintf("IPv%d", v), true
	case conf.Address:
		return address(v), true
	case conf.Peer:
		return peer(v), true
	case conf.Track:
		return track(v), true
	case conf.Command:
		return command(v), true
	case conf.Forward:
		return forward(v), true
	case conf.GroupEntry:
		return groupEntry(v), true
	case conf.StatusRange:
		if v.First == v.Last {
			return fmt.Sprint(v.First), true
		}
		return fmt.Sprintf("%d-%d", v.First, v.Last), true
	case []byte:
		return fmt.Sprintf("%x", v), true
	case fmt.Stringer:
		if value.Kind() != reflect.Struct {
			return v.String(), true
		}
	}
	switch value.Kind() {
	case reflect.Bool:
		return choose(value.Bool(), "on", "off"), true
	case reflect.String:
		return printable(value.String()), true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(value.Int(), 10), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(value.Uint(), 10), true
	}
	return "", false
}

// plain is a secret itself, so that two can be compared.
func plain(value reflect.Value) string {
	if s, ok := value.Interface().(conf.Secret); ok {
		return string(s)
	}
	return ""
}

func address(a conf.Address) string {
	var b strings.Builder
	b.WriteString(a.Prefix.String())
	add := func(yes bool, text ...string) {
		if yes {
			b.WriteString(" " + strings.Join(text, " "))
		}
	}
	add(a.Peer.IsValid(), "peer", a.Peer.String())
	add(a.Interface != "", "dev", printable(a.Interface))
	add(a.Broadcast.IsValid(), "brd", a.Broadcast.String())
	add(a.Label != "", "label", printable(a.Label))
	add(a.Scope != 0, "scope", scope(a.Scope))
	add(a.Home, "home")
	add(a.NoDAD, "-nodad")
	add(a.MngTmpAddr, "mngtmpaddr")
	add(a.NoPrefixRoute, "noprefixroute")
	add(a.AutoJoin, "autojoin")
	add(a.NoTrack, "no_track")
	add(a.PreferredLft != ^uint32(0), "preferred_lft", strconv.FormatUint(uint64(a.PreferredLft), 10))
	return b.String()
}

// scope is an rtnetlink scope by the names that the language has for them.
func scope(n uint8) string {
	switch n {
	case 200:
		return "site"
	case 253:
		return "link"
	case 254:
		return "host"
	case 255:
		return "nowhere"
	}
	return strconv.Itoa(int(n))
}

func peer(p conf.Peer) string {
	text := p.Addr.String()
	if p.MinTTL != 0 || p.MaxTTL != 255 {
		text += fmt.Sprintf(" min_ttl %d max_ttl %d", p.MinTTL, p.MaxTTL)
	}
	return text
}

func track(t conf.Track) string {
	text := printable(t.Name)
	if t.Weight != 0 {
		text += fmt.Sprintf(" weight %d", t.Weight)
	}
	if t.Reverse {
		text += " reverse"
	}
	return text
}

// command is a command with its words quoted where a shell would need it, and
// as whom it runs.
func command(c conf.Command) string {
	var words []string
	for _, a := range c.Args {
		if a == "" || strings.ContainsAny(a, " \t\n\"'\\#!$&|;<>()*?[]{}") {
			a = strconv.Quote(a)
		}
		words = append(words, a)
	}
	if c.User != "" {
		words = append(words, "as "+printable(c.User))
		if c.Group != "" {
			words = append(words, printable(c.Group))
		}
	}
	return strings.Join(words, " ")
}

func forward(f conf.Forward) string {
	text := f.Method.String()
	if f.Method != conf.ForwardTunnel {
		return text
	}
	text += " type " + f.Tunnel.String()
	if f.Port != 0 {
		text += fmt.Sprintf(" port %d", f.Port)
	}
	return text + " " + f.Checksum.String()
}

func groupEntry(e conf.GroupEntry) string {
	if !e.First.IsValid() {
		return fmt.Sprintf("fwmark %d", e.FWMark)
	}
	text := e.First.String()
	if e.Last != e.First {
		text += "-" + e.Last.String()
	}
	return fmt.Sprintf("%s %d", text, e.Port)
}

// matchesWord reports whether a statement of the word w, of which k is the declaration,
// has the value, as far as that can be compared; was is the argument.
func matchesWord(s *conf.Statement, w word, value reflect.Value, f reflect.StructField, k conf.Keyword) (same bool, was string) {
	switch {
	case w.argument == 0:
		return true, ""
	case w.argument < len(s.Words):
		was = s.Words[w.argument].Text
	case value.Kind() != reflect.Bool:
		return true, ""
	default:
		was = choose(!w.inverted, "on", "off")
	}
	return matches(was, value, f, k), was
}

// matches reports whether an argument is the value. What cannot be compared does.
func matches(argument string, value reflect.Value, f reflect.StructField, k conf.Keyword) bool {
	switch v := value.Interface().(type) {
	case conf.Secret:
		return string(v) == argument
	case time.Duration:
		n, err := strconv.ParseFloat(argument, 64)
		d := time.Duration(n * float64(unitOf(k)))
		return err == nil && (d-v).Abs() < 2*time.Microsecond
	case netip.Addr:
		a, err := netip.ParseAddr(argument)
		return err == nil && a == v
	case bool:
		switch argument {
		case "on", "true", "yes":
			return v
		case "off", "false", "no":
			return !v
		}
		text, _ := show(value, f, k)
		return text == argument || f.Name != "Master" && f.Name != "Monotonic"
	case string:
		return v == argument
	}
	if names := conf.Names(value.Type()); names != nil {
		text, _ := oneLine(value)
		return text == argument || !slices.Contains(names, argument)
	}
	if value.Type().PkgPath() != "" {
		return true
	}
	if argument == "off" {
		return value.IsZero()
	}
	switch value.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(argument, 10, 64)
		return err == nil && n == value.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(argument, 10, 64)
		return err == nil && n == value.Uint()
	}
	return true
}

// isDefault reports whether a value is the one that the word has where no one writes
// it. What cannot be compared is.
func isDefault(value reflect.Value, k conf.Keyword) bool {
	if names := conf.Names(value.Type()); names != nil {
		return names[value.Uint()] == k.Default || !slices.Contains(names, k.Default)
	}
	switch def := k.Value.(type) {
	case bool:
		if value.Kind() == reflect.Bool {
			return value.Bool() == def
		}
		return value.IsZero() != def
	case time.Duration:
		v, ok := value.Interface().(time.Duration)
		return !ok || (def-v).Abs() < 2*time.Microsecond
	case string:
		return value.Kind() != reflect.String || value.String() == def
	case int64:
		v, ok := value.Interface().(time.Duration)
		switch {
		case ok:
			return v == time.Duration(def)*unitOf(k)
		case value.Type().PkgPath() != "": // the names of its numbers are not known here
		case value.CanInt():
			return value.Int() == def
		case value.CanUint():
			return def >= 0 && value.Uint() == uint64(def)
		}
	}
	return true
}
