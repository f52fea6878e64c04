package main

import (
	"fmt"
	"io"
	"os"

	"keepalived-go/internal/getopt"
	"keepalived-go/internal/report"
	"keepalived-go/internal/supervisor"
)

// check is keepalived check: -t for people, with the report on standard output.
func check(args []string) int {
	c := newCommandLine()
	flags, help := c.checkFlags()
	operands, err := getopt.Parse(flags, args)
	switch {
	case err == nil && *help:
		checkUsage(os.Stdout, flags)
		return supervisor.ExitOK
	case err == nil && len(operands) > 1:
		err = fmt.Errorf("unexpected argument: %s", operands[1])
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "keepalived check: %v\n\n", err)
		checkUsage(os.Stderr, flags)
		return supervisor.ExitFatal
	}
	if len(operands) > 0 {
		c.run.Config = operands[0]
	}
	return c.check(os.Stdout)
}

func (c *commandLine) checkFlags() (flags []getopt.Flag, help *bool) {
	help = new(bool)
	return []getopt.Flag{
		{Long: "format", Arg: getopt.Required, Value: "FORMAT", Set: c.setFormat, Choices: report.Formats,
			Help: "Form of the report: text (default), json or sarif"},
		{Long: "namespace", Short: 's', Arg: getopt.Required, Value: "NAME", Set: func(v string) error { c.run.Namespace = v; return nil },
			Help: "Look for interfaces in the network namespace NAME"},
		{Long: "all-config", Short: 'e', Set: func(string) error { c.run.AllConfig = true; return nil },
			Help: "Demand that every included file is there"},
		{Long: "config-id", Short: 'i', Arg: getopt.Required, Value: "ID", Set: func(v string) error { c.run.ConfigID = v; return nil },
			Help: "Take the lines for @ID (default: the name of the host)"},
		{Long: "help", Short: 'h', Set: func(string) error { *help = true; return nil },
			Help: "Print this text and end"},
	}, help
}

func checkUsage(w io.Writer, flags []getopt.Flag) {
	fmt.Fprintln(w, "Usage: keepalived check [OPTION...] [FILE]")
	fmt.Fprintf(w, "Checks a configuration, %s unless given, and reports everything that is wrong.\n", defaultConfig)
	getopt.Usage(w, flags)
}
