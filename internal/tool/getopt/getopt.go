// Package getopt reads a command line the way getopt_long(3) does: bundled
// short flags (-nlD), values attached or in the next word (-f FILE, -fFILE,
// --use-file=FILE, --use-file FILE), optional values only attached (-tFILE,
// --config-test=FILE), abbreviated long names as long as they are unambiguous,
// flags after operands, and "--" before the last operands.
//
// One table describes the flags; parsing, the usage text and the manual page
// come from it.
package getopt

import (
	"fmt"
	"slices"
	"strings"
)

// Arg reports whether a flag takes a value.
type Arg uint8

const (
	None Arg = iota
	Required
	Optional
)

// Flag is one row of the table.
type Flag struct {
	Long  string // without dashes; empty: none
	Short byte   // 0: none
	Arg   Arg
	Value string // what the value is called in the usage text
	Help  string // one line
	// Choices are the values there are, for completion; nil: any.
	Choices []string
	// Set takes the value, "" without one. Its error is reported with the name
	// of the flag.
	Set func(value string) error
}

// Parse calls Set of the flags in args, in order, and returns the other words.
func Parse(flags []Flag, args []string) (operands []string, err error) {
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		switch {
		case word == "--":
			return append(operands, args...), nil
		case strings.HasPrefix(word, "--"):
			args, err = parseLong(flags, word[2:], args)
		case len(word) > 1 && word[0] == '-':
			args, err = parseShort(flags, word[1:], args)
		default:
			operands = append(operands, word)
		}
		if err != nil {
			return nil, err
		}
	}
	return operands, nil
}

// parseLong handles the flag word, without its dashes, and returns what it
// leaves of the words after it.
func parseLong(flags []Flag, word string, after []string) ([]string, error) {
	name, value, hasValue := strings.Cut(word, "=")
	f, err := find(flags, name)
	if err != nil {
		return nil, err
	}
	switch {
	case f.Arg == None && hasValue:
		return nil, fmt.Errorf("option --%s takes no value", f.Long)
	case f.Arg == Required && !hasValue:
		if len(after) == 0 {
			return nil, fmt.Errorf("option --%s needs a value", f.Long)
		}
		value, after = after[0], after[1:]
	}
	if err := f.Set(value); err != nil {
		return nil, fmt.Errorf("option --%s: %w", f.Long, err)
	}
	return after, nil
}

// parseShort handles a bundle, without its dash.
func parseShort(flags []Flag, bundle string, after []string) ([]string, error) {
	for bundle != "" {
		c := bundle[0]
		bundle = bundle[1:]
		i := slices.IndexFunc(flags, func(f Flag) bool { return f.Short == c })
		if i < 0 || c == 0 {
			return nil, fmt.Errorf("unknown option -%c", c)
		}
		f, value := flags[i], ""
		switch {
		case f.Arg == Optional, f.Arg == Required && bundle != "":
			value, bundle = bundle, ""
		case f.Arg == Required:
			if len(after) == 0 {
				return nil, fmt.Errorf("option -%c needs a value", c)
			}
			value, after = after[0], after[1:]
		}
		if err := f.Set(value); err != nil {
			return nil, fmt.Errorf("option -%c: %w", c, err)
		}
	}
	return after, nil
}

// find returns the flag with the long name, or the only one beginning with it.
func find(flags []Flag, name string) (Flag, error) {
	var found []Flag
	for _, f := range flags {
		switch {
		case f.Long == "" || name == "":
		case f.Long == name:
			return f, nil
		case strings.HasPrefix(f.Long, name):
			found = append(found, f)
		}
	}
	switch len(found) {
	case 0:
		return Flag{}, fmt.Errorf("unknown option --%s", name)
	case 1:
		return found[0], nil
	}
	var names []string
	for _, f := range found {
		names = append(names, "--"+f.Long)
	}
	return Flag{}, fmt.Errorf("option --%s is ambiguous: %s", name, strings.Join(names, ", "))
}
