// Package view shows what a configuration comes to: the text after all
// substitution, and the values that the daemon runs with, each with the place it
// is from.
package view

import (
	"strings"
	"sync"

	"keepalived-go/conf"
)

// keywords are all of the language by their path: vrrp_instance.priority.
var keywords = sync.OnceValue(func() map[string]conf.Keyword {
	all := make(map[string]conf.Keyword)
	for k := range conf.Schema() {
		all[k.Path()] = k
	}
	return all
})

func join(path, word string) string {
	if path == "" {
		return word
	}
	return path + "." + word
}

// printable is text from a file as one line shows it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}
