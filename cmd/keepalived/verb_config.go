package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"keepalived-go/conf"
	"keepalived-go/conf/view"
	"keepalived-go/internal/getopt"
)

// viewer is keepalived config.
type viewer struct {
	expanded, effective, json, help bool

	other   string // of --diff
	options conf.Options
}

func (v *viewer) flags() []getopt.Flag {
	on := func(b *bool) func(string) error {
		return func(string) error { *b = true; return nil }
	}
	return []getopt.Flag{
		{Long: "expanded", Set: on(&v.expanded), Help: "Print the text after all substitution, with the included files"},
		{Long: "effective", Set: on(&v.effective), Help: "Print the values the daemon runs with, and where each is from"},
		{Long: "json", Set: on(&v.json), Help: "Print these values as JSON"},
		{Long: "diff", Arg: getopt.Required, Value: "FILE", Set: v.against, Help: "Print how the values of the other FILE differ; end with 1 if they do"},
		{Long: "all-config", Short: 'e', Set: on(&v.options.AllChecks), Help: "Demand that every included file is there"},
		{Long: "config-id", Short: 'i', Arg: getopt.Required, Value: "ID", Set: func(id string) error { v.options.ConfigID = id; return nil },
			Help: "Take the lines for @ID (default: the name of the host)"},
		{Long: "help", Short: 'h', Set: on(&v.help), Help: "Print this text and end"},
	}
}

func (v *viewer) against(other string) error {
	if other == "" {
		return errors.New("needs the name of a file")
	}
	v.other = other
	return nil
}

// asked is how many of the views are.
func (v *viewer) asked() int {
	n := 0
	for _, b := range []bool{v.expanded, v.effective, v.json, v.other != ""} {
		if b {
			n++
		}
	}
	return n
}

func configMain(args []string) int {
	var v viewer
	flags := v.flags()
	files, err := getopt.Parse(flags, args)
	switch {
	case err == nil && v.help:
		configUsage(os.Stdout, flags)
		return exitSame
	case err == nil && len(files) > 1:
		err = fmt.Errorf("unexpected argument: %s", files[1])
	case err == nil && v.asked() != 1:
		err = errors.New("expected one of --expanded, --effective, --json and --diff")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "keepalived config: %v\n\n", err)
		configUsage(os.Stderr, flags)
		return exitTrouble
	}
	name := defaultConfig
	if len(files) > 0 {
		name = files[0]
	}
	return v.show(name)
}

func configUsage(w io.Writer, flags []getopt.Flag) {
	fmt.Fprintln(w, "Usage: keepalived config [FILE] --expanded | --effective | --json | --diff FILE")
	fmt.Fprintf(w, "Shows what a configuration, %s unless given, comes to. Problems are reported too.\n", defaultConfig)
	fmt.Fprintln(w, "Secrets are stars. Interfaces need not exist.")
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
	case v.effective:
		text = view.Text(view.Effective(cfg, tree))
	case v.json:
		out, err := json.MarshalIndent(cfg, "", "  ")
		if err != nil {
			fmt.Fprintf(os.Stderr, "keepalived config: %v\n", err)
			return exitTrouble
		}
		text = string(out) + "\n"
	default:
		other, otherTree, c := v.load(v.other)
		if other == nil {
			return c
		}
		text = view.Diff(view.Effective(cfg, tree), view.Effective(other, otherTree))
		if code = max(code, c); text != "" {
			code = max(code, exitDiffers)
		}
	}
	if _, err := os.Stdout.WriteString(text); err != nil {
		return exitTrouble
	}
	return code
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
