package view

import (
	"fmt"
	"slices"
	"strings"
)

// Diff is what changes from one configuration to another, in words and by
// section; empty if nothing does. Where in the files it stands is no difference.
func Diff(from, to []Section) string {
	var b strings.Builder
	put := func(title string, lines ...string) {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(title + "\n")
		for _, l := range lines {
			b.WriteString("    " + l + "\n")
		}
	}
	was, is := byTitle(from), byTitle(to)
	for _, s := range from {
		other, ok := is[s.Title]
		if !ok {
			put(s.Title + " is removed")
		} else if lines := changes(s.Settings, other.Settings); len(lines) > 0 {
			put(s.Title, lines...)
		}
	}
	for _, s := range to {
		if _, ok := was[s.Title]; !ok {
			lines := make([]string, 0, len(s.Settings))
			for _, set := range s.Settings {
				if set.Origin != "default" {
					lines = append(lines, set.Name+" "+set.Value)
				}
			}
			put(s.Title+" is added", lines...)
		}
	}
	return b.String()
}

func byTitle(list []Section) map[string]Section {
	m := make(map[string]Section, len(list))
	for _, s := range list {
		m[s.Title] = s
	}
	return m
}

// changes are the differences of two sections of the same thing.
func changes(from, to []Setting) []string {
	var out []string
	for _, s := range from {
		i := slices.IndexFunc(to, s.sameThing)
		switch {
		case i < 0 && s.Item:
			out = append(out, s.Name+" "+s.Value+" is removed")
		case i < 0:
			out = append(out, fmt.Sprintf("%s %s → nothing", s.Name, s.Value))
		case s.Value != to[i].Value:
			out = append(out, fmt.Sprintf("%s %s → %s", s.Name, s.Value, to[i].Value))
		case s.secret != to[i].secret:
			out = append(out, s.Name+" is changed")
		}
	}
	for _, s := range to {
		switch known := slices.ContainsFunc(from, s.sameThing); {
		case known:
		case s.Item:
			out = append(out, s.Name+" "+s.Value+" is added")
		default:
			out = append(out, fmt.Sprintf("%s nothing → %s", s.Name, s.Value))
		}
	}
	if len(out) == 0 && !slices.EqualFunc(items(from), items(to), func(a, b Setting) bool { return a.Name == b.Name && a.Value == b.Value }) {
		out = append(out, "the order of blocks or lines of one kind is changed")
	}
	return out
}

// sameThing reports whether two settings are of the same word or item.
func (s Setting) sameThing(o Setting) bool {
	return s.Name == o.Name && s.field == o.field && s.Item == o.Item && (!s.Item || s.Value == o.Value)
}

func items(list []Setting) []Setting {
	return slices.DeleteFunc(slices.Clone(list), func(s Setting) bool { return !s.Item })
}
