// Package text writes what a process of ours knows as text, for people and for
// the programs that read the files of SIGUSR1 and SIGUSR2: the sections, lines
// and words are those of the C daemon, in its order, and after them comes what
// only this daemon knows.
package text

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/script"
)

// Writer is a dump in the making.
type Writer struct {
	b   bytes.Buffer
	out *bufio.Writer // gets each line; nil: they stay in b
}

// Line adds a line. What would end it or begin another is written as a blank:
// nothing that is shown can pass for a line of the dump.
func (t *Writer) Line(format string, args ...any) {
	begin := t.b.Len()
	fmt.Fprintf(&t.b, format, args...)
	for i, c := range t.b.Bytes()[begin:] {
		if c < ' ' && c != '\t' {
			t.b.Bytes()[begin+i] = ' '
		}
	}
	t.b.WriteByte('\n')
	if t.out != nil {
		t.out.Write(t.b.Bytes())
		t.b.Reset()
	}
}

// Section begins a section.
func (t *Writer) Section(title string) { t.Line("------< %s >------", title) }

// List adds a title and a line for each item; without items it adds nothing.
func (t *Writer) List(title string, items []string) {
	if len(items) == 0 {
		return
	}
	t.Line("%s", title)
	indent := title[:len(title)-len(strings.TrimLeft(title, " "))]
	for _, i := range items {
		t.Line("%s  %s", indent, i)
	}
}

// Bytes is the text so far, if it stays in the Writer.
func (t *Writer) Bytes() []byte { return t.b.Bytes() }

// Seconds is a number of seconds, with decimals as far as needed.
func Seconds(d time.Duration) string { return fmt.Sprintf("%g", d.Seconds()) }

// When is a time as seconds since 1970 and, for people, in the local zone.
func When(t time.Time) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	t = t.Local()
	return fmt.Sprintf("%d.%06d (%s.%06d %d)", t.Unix(), t.Nanosecond()/1000, t.Format("Mon Jan _2 15:04:05"), t.Nanosecond()/1000, t.Year())
}

// Enabled is the word for a switch of an instance.
func Enabled(on bool) string {
	if on {
		return "enabled"
	}
	return "disabled"
}

// YesNo is the word for a question.
func YesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// Command is a command as it is written, with each word in single quotes.
func Command(c *conf.Command) string { return quoted(c.Args...) }

func quoted(words ...string) string { return "'" + strings.Join(words, "' '") + "'" }

// Accounts finds the files of commands, and the users that run them. It remembers
// what it has looked up, so it is for one dump only.
type Accounts struct {
	Policy conf.ScriptPolicy
	known  map[[2]string]string
	found  map[string]string
}

// Program is a command with each word in single quotes, where its program has
// been found.
func (a *Accounts) Program(c *conf.Command) string {
	if len(c.Args) == 0 {
		return quoted()
	}
	name := c.Args[0]
	path, ok := a.found[name]
	if !ok {
		path = script.Find(name, a.Policy)
		if a.found == nil {
			a.found = map[string]string{}
		}
		a.found[name] = path
	}
	return quoted(slices.Concat([]string{path}, c.Args[1:])...)
}

// Of is "UID:GID" of a command, or of a FIFO, with that user and group.
func (a *Accounts) Of(user, group string) string {
	key := [2]string{user, group}
	text, ok := a.known[key]
	if !ok {
		uid, gid, err := script.Account(user, group, a.Policy)
		if text = fmt.Sprintf("%d:%d", uid, gid); err != nil {
			text = fmt.Sprintf("unknown (%v)", err)
		}
		if a.known == nil {
			a.known = map[[2]string]string{}
		}
		a.known[key] = text
	}
	return text
}

// Command is a command, as Program writes it, and as whom it runs.
func (a *Accounts) Command(c *conf.Command) string {
	return a.Program(c) + ", uid:gid " + a.Of(c.User, c.Group)
}

// Prefix is a network, or without length a single address.
func Prefix(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func scopeName(scope uint8) string {
	switch scope {
	case unix.RT_SCOPE_UNIVERSE:
		return "global"
	case unix.RT_SCOPE_SITE:
		return "site"
	case unix.RT_SCOPE_LINK:
		return "link"
	case unix.RT_SCOPE_HOST:
		return "host"
	}
	return fmt.Sprint(scope)
}

// Address is a virtual address on the interface dev.
func Address(a *conf.Address, dev string) string {
	var b strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	b.WriteString(Prefix(a.Prefix))
	if a.Broadcast.IsValid() {
		add(" brd %v", a.Broadcast)
	}
	add(" dev %s", dev)
	if a.UseVMAC {
		add(" use_vmac")
	}
	add(" scope %s", scopeName(a.Scope))
	if a.Label != "" {
		add(" label %s", a.Label)
	}
	if a.Peer.IsValid() {
		add(" peer %v", a.Peer)
	}
	for _, f := range []struct {
		set  bool
		word string
	}{
		{a.Home, "home"}, {a.NoDAD, "-nodad"}, {a.MngTmpAddr, "mngtmpaddr"},
		{a.NoPrefixRoute, "noprefixroute"}, {a.AutoJoin, "autojoin"}, {a.NoTrack, "no_track"},
	} {
		if f.set {
			add(" %s", f.word)
		}
	}
	switch {
	case a.Prefix.Addr().Is4():
	case a.PreferredLft == ^uint32(0):
		add(" preferred_lft forever")
	case a.PreferredLft == 0:
		add(" deprecated")
	default:
		add(" preferred_lft %d", a.PreferredLft)
	}
	return b.String()
}
