package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/supervisor"
	"keepalived-go/internal/tool/getopt"
	"keepalived-go/internal/tool/report"
	"keepalived-go/lint"
)

// exitWarnings is the status of a check that found warnings, as that of -t.
const exitWarnings = 5

// checker is keepalived check: what -t finds and what the lint finds, in one
// report on standard output.
type checker struct {
	*commandLine
	cluster bool
	help    bool
}

func check(args []string) int {
	c := &checker{commandLine: newCommandLine()}
	flags := c.flags()
	operands, err := getopt.Parse(flags, args)
	var nodes []lint.Node
	var found conf.Diagnostics
	switch {
	case err != nil:
	case c.help:
		checkUsage(os.Stdout, flags)
		return proc.ExitOK
	case c.cluster:
		nodes, found, err = c.load(operands)
	case len(operands) == 0:
		operands = []string{c.run.Config}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "keepalived check: %v\n\n", err)
		checkUsage(os.Stderr, flags)
		return proc.ExitFatal
	}
	if c.cluster {
		return c.checkCluster(nodes, found, len(nodes) == len(operands))
	}
	return c.checkFiles(operands)
}

func (c *checker) flags() []getopt.Flag {
	return []getopt.Flag{
		{Long: "cluster", Set: func(string) error { c.cluster = true; return nil },
			Help: "Check the files of all nodes together, and report which node is master after each failure"},
		{Long: "format", Arg: getopt.Required, Value: "FORMAT", Set: c.setFormat, Choices: report.Formats,
			Help: "Format of the report: text (default), json or sarif"},
		{Long: "namespace", Short: 's', Arg: getopt.Required, Value: "NAME", Set: func(v string) error { c.run.Namespace = v; return nil },
			Help: "Look for interfaces in the network namespace NAME"},
		{Long: "all-config", Short: 'e', Set: func(string) error { c.run.AllConfig = true; return nil },
			Help: "Require that every included file exists"},
		{Long: "config-id", Short: 'i', Arg: getopt.Required, Value: "ID", Set: func(v string) error { c.run.ConfigID = v; return nil },
			Help: "Use the lines for @ID (default: the name of the host; with --cluster, the name of the node)"},
		{Long: "help", Short: 'h', Set: func(string) error { c.help = true; return nil },
			Help: "Print this text and exit"},
	}
}

func checkUsage(w io.Writer, flags []getopt.Flag) {
	fmt.Fprintln(w, "Usage: keepalived check [OPTION...] [FILE...]")
	fmt.Fprintln(w, "       keepalived check --cluster [OPTION...] NODE=FILE NODE=FILE...")
	fmt.Fprintf(w, "Checks a configuration (default %s) and reports all errors, and what is legal but wrong.\n", defaultConfig)
	fmt.Fprintln(w, "A comment '# keepalived: ignore CODE' on a line or above it suppresses a finding.")
	getopt.Usage(w, flags)
	fmt.Fprintf(w, "\nThe exit code is that of -t, and %d if there are only warnings, including warnings about\nkeywords without effect; notes do not count.\n", exitWarnings)
}

// checkFiles checks each file as that of a node of its own.
func (c *checker) checkFiles(names []string) int {
	host := thisHost()
	var all conf.Diagnostics
	for _, name := range names {
		c.run.Config = name
		config, found, err := supervisor.Load(c.run)
		if err != nil {
			fmt.Println(err)
			return proc.ExitFatal
		}
		if config != nil {
			found = append(found, lint.Check(config, host)...)
		}
		all = append(all, found...)
	}
	all = lint.Silence(all, report.ReadFile)
	if err := report.Write(os.Stdout, all, c.reportOptions()); err != nil {
		return writeFailed(err)
	}
	return checkStatus(all)
}

func (c *checker) reportOptions() report.Options {
	o := report.Options{Color: report.Terminal(os.Stdout), Codes: true, Version: version}
	if c.format != "" {
		o.Format, _ = report.ParseFormat(c.format) // checked when it was set
	}
	return o
}

func writeFailed(err error) int {
	fmt.Fprintf(os.Stderr, "keepalived check: write report: %v\n", err)
	return proc.ExitFatal
}

// checkStatus is the exit status for what was found.
func checkStatus(ds conf.Diagnostics) int {
	if code := ds.TestExitCode(); code != 0 {
		return code
	}
	if ds.Count(conf.Warning) > 0 {
		return exitWarnings
	}
	return proc.ExitOK
}

// thisHost is the one that this program runs on, in the network namespace where
// it is asked first.
func thisHost() lint.Host {
	known := sync.OnceValue(kernel.ForeignAddrs)
	return lint.Host{
		CheckCommand: script.Check,
		Networks:     func(name string) []netip.Prefix { return known()[name] },
		Holder: func(a netip.Addr) string {
			for _, name := range slices.Sorted(maps.Keys(known())) {
				if slices.ContainsFunc(known()[name], func(p netip.Prefix) bool { return p.Addr() == a }) {
					return name
				}
			}
			return ""
		},
		Sysctl: func(name ...string) string {
			value, err := kernel.ReadSysctl(name...)
			if err != nil {
				return ""
			}
			return value
		},
	}
}

// load reads the files of a cluster, which are those of other hosts: their
// interfaces and scripts are not looked for here. It returns the problems too
// that keep a configuration from being run as written.
func (c *checker) load(operands []string) ([]lint.Node, conf.Diagnostics, error) {
	var nodes []lint.Node
	var found conf.Diagnostics
	seen := make(map[string]bool)
	for _, operand := range operands {
		name, path, ok := strings.Cut(operand, "=")
		if !ok || name == "" || path == "" {
			return nil, nil, fmt.Errorf("%q does not have the form NODE=FILE", operand)
		}
		if seen[name] {
			return nil, nil, fmt.Errorf("the node %s is given twice", name)
		}
		seen[name] = true
		id := c.run.ConfigID
		if id == "" {
			id = name
		}
		config, diagnostics := conf.Load(path, conf.Options{
			ConfigID: id, AllChecks: c.run.AllConfig, Names: conf.HostNames,
			CheckCommand: func(conf.Command, conf.ScriptPolicy) error { return nil },
		})
		for _, d := range diagnostics {
			if d.Severity >= conf.Error {
				found = append(found, d)
			}
		}
		if config != nil {
			nodes = append(nodes, lint.Node{Name: name, Config: config})
		}
	}
	if len(operands) < 2 {
		return nil, nil, errors.New("--cluster needs at least two nodes; expected NODE=FILE for each")
	}
	return nodes, found, nil
}

// checkCluster reports what is found in all files together, and the tables of
// failures. If one of the files is missing, only that is reported.
func (c *checker) checkCluster(nodes []lint.Node, found conf.Diagnostics, complete bool) int {
	cluster := lint.Report{Outcomes: []lint.Outcome{}}
	if complete {
		cluster = lint.Cluster(nodes)
	}
	found = lint.Silence(append(found, cluster.Diagnostics...), report.ReadFile)
	var err error
	switch o := c.reportOptions(); o.Format {
	case report.JSON:
		err = report.EncodeJSON(os.Stdout, struct {
			report.Document
			Outcomes []lint.Outcome `json:"outcomes"`
		}{report.NewDocument(found), cluster.Outcomes})
	case report.Text:
		if err = report.Write(os.Stdout, found, o); err == nil && len(found) > 0 && complete {
			fmt.Println()
		}
		if err == nil {
			err = cluster.WriteText(os.Stdout)
		}
	default:
		err = report.Write(os.Stdout, found, o)
	}
	if err != nil {
		return writeFailed(err)
	}
	return checkStatus(found)
}
