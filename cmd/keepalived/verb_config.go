package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"keepalived-go/conf"
	"keepalived-go/conf/view"
	"keepalived-go/internal/tool/getopt"
)

// viewer is keepalived config.
type viewer struct {
	expanded, effective, onlySet, json, diff, help bool

	options conf.Options
}

func (v *viewer) flags() []getopt.Flag {
	on := func(b *bool) func(string) error {
		return func(string) error { *b = true; return nil }
	}
	return []getopt.Flag{
		{Long: "expanded", Set: on(&v.expanded), Help: "Print the text after all substitutions, with the included files"},
		{Long: "effective", Set: on(&v.effective), Help: "Print the values that the daemon runs with, and the source of each"},
		{Long: "json", Set: on(&v.json), Help: "Print these values as JSON, with the keywords, values and units of the language"},
		{Long: "only-set", Set: on(&v.onlySet), Help: "With --effective or --json: omit values that the file does not set"},
		{Long: "diff", Set: on(&v.diff), Help: "Print what changes from the file OLD to the file NEW; exit with 1 if anything does"},
		{Long: "all-config", Short: 'e', Set: on(&v.options.AllChecks), Help: "Require that every included file exists"},
		{Long: "config-id", Short: 'i', Arg: getopt.Required, Value: "ID", Set: func(id string) error { v.options.ConfigID = id; return nil },
			Help: "Use the lines for @ID (default: the name of the host)"},
		{Long: "help", Short: 'h', Set: on(&v.help), Help: "Print this text and exit"},
	}
}

// asked is how many of the views are.
func (v *viewer) asked() int {
	n := 0
	for _, b := range []bool{v.expanded, v.effective, v.json, v.diff} {
		if b {
			n++
		}
	}
	return n
}

func configMain(args []string) int {
	v := viewer{options: conf.Options{Names: conf.HostNames}}
	flags := v.flags()
	files, err := getopt.Parse(flags, args)
	switch {
	case err == nil && v.help:
		configUsage(os.Stdout, flags)
		return exitSame
	case err == nil && v.asked() != 1:
		err = errors.New("expected one of --expanded, --effective, --json and --diff")
	case err == nil && v.diff && len(files) != 2:
		err = errors.New("--diff takes two files: OLD NEW")
	case err == nil && !v.diff && len(files) > 1:
		err = fmt.Errorf("unexpected argument: %s", files[1])
	case err == nil && v.onlySet && !v.effective && !v.json:
		err = errors.New("--only-set is for --effective and --json")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "keepalived config: %v\n\n", err)
		configUsage(os.Stderr, flags)
		return exitTrouble
	}
	if v.diff {
		return v.compare(files[0], files[1])
	}
	return v.show(append(files, defaultConfig)[0])
}

func configUsage(w io.Writer, flags []getopt.Flag) {
	fmt.Fprintln(w, "Usage: keepalived config [FILE] --expanded | --effective | --json")
	fmt.Fprintln(w, "       keepalived config --diff OLD NEW")
	fmt.Fprintf(w, "Shows the result of a configuration (default %s), and reports its problems.\n", defaultConfig)
	fmt.Fprintln(w, "Secrets are shown as stars. Interfaces need not exist.")
	getopt.Usage(w, flags)
}

// show prints the view; the result is 2 if a daemon would refuse the file.
func (v *viewer) show(name string) int {
	cfg, tree, code := v.load(name)
	if cfg == nil {
		return code
	}
	var text string
	switch {
	case v.expanded:
		var err error
		if text, err = view.Expanded(tree); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return exitTrouble
		}
	default:
		sections := view.Effective(cfg, tree)
		if v.onlySet {
			sections = view.OnlySet(sections)
		}
		if v.effective {
			text = view.Text(sections)
			break
		}
		out, err := json.MarshalIndent(sections, "", "  ")
		if err != nil {
			fmt.Fprintf(os.Stderr, "keepalived config: %v\n", err)
			return exitTrouble
		}
		text = string(out) + "\n"
	}
	if _, err := os.Stdout.WriteString(text); err != nil {
		return exitTrouble
	}
	return code
}

// compare prints what changes from one file to another; the result is 1 if
// anything does, and 2 if a daemon would refuse one of them.
func (v *viewer) compare(old, new string) int {
	from, fromTree, code := v.load(old)
	to, toTree, c := v.load(new)
	if code = max(code, c); from == nil || to == nil {
		return code
	}
	text := view.Diff(view.Effective(from, fromTree), view.Effective(to, toTree))
	if text == "" {
		return code
	}
	if _, err := fmt.Printf("--- %s\n+++ %s\n\n%s", old, new, text); err != nil {
		return exitTrouble
	}
	return max(code, exitDiffers)
}

// load reads a configuration and reports its problems.
func (v *viewer) load(name string) (cfg *conf.Config, tree []*conf.Statement, code int) {
	o := v.options
	o.Statement = func(s *conf.Statement) { tree = append(tree, s) }
	cfg, diags := conf.Load(name, o)
	for _, d := range diags {
		fmt.Fprintln(os.Stderr, d)
	}
	if diags.Fatal() != 0 {
		code = exitTrouble
	}
	return cfg, tree, code
}
