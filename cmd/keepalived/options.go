package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/supervisor"
	"keepalived-go/internal/tool/getopt"
	"keepalived-go/internal/tool/report"
)

const defaultConfig = "/etc/keepalived/keepalived.conf"

// commandLine holds the values of the flags.
type commandLine struct {
	run supervisor.Options

	help, version, genhash bool

	signum   string
	test     bool
	testFile string // empty: stderr
	format   string // of the report of a test

	wanted   []string // roles: -P, -C
	noBFD    bool     // -B
	console  bool
	noSyslog bool
	detail   int // how often -D was given
}

func newCommandLine() *commandLine {
	return &commandLine{run: supervisor.Options{
		Version:  "v" + version + " (" + date + ")",
		Config:   defaultConfig,
		Umask:    -1,
		Roles:    roles,
		PidFiles: map[string]string{},
		Keep:     map[string]bool{},
	}}
}

// flags is the table of all flags.
func (c *commandLine) flags() []getopt.Flag {
	on := func(b *bool) func(string) error {
		return func(string) error { *b = true; return nil }
	}
	text := func(s *string) func(string) error {
		return func(v string) error { *s = v; return nil }
	}
	o := &c.run
	keep := func(role string) func(string) error {
		return func(string) error { o.Keep[role] = true; return nil }
	}
	return []getopt.Flag{
		{Long: "use-file", Short: 'f', Arg: getopt.Required, Value: "FILE", Set: text(&o.Config),
			Help: "Configuration file (default " + defaultConfig + ")"},
		{Long: "vrrp", Short: 'P', Set: c.only("vrrp"),
			Help: "Run VRRP but no health checkers"},
		{Long: "check", Short: 'C', Set: c.only("checkers"),
			Help: "Run the health checkers but no VRRP"},
		{Long: "no_bfd", Short: 'B', Set: func(string) error { c.noBFD = true; return nil },
			Help: "Do not run BFD"},
		{Long: "all", Set: on(&o.All),
			Help: "Start each process even if the configuration does not need it"},
		{Long: "log-console", Short: 'l', Set: on(&c.console),
			Help: "Also log to standard error"},
		{Long: "log-detail", Short: 'D', Set: func(string) error { c.detail++; return nil },
			Help: "Log more; twice: much more"},
		{Long: "log-facility", Short: 'S', Arg: getopt.Required, Value: "FACILITY", Set: c.logFacility,
			Help: "Syslog facility: 0-7, local0-local7, user or daemon (default)"},
		{Long: "log-file", Short: 'g', Arg: getopt.Required, Value: "FILE", Set: text(&o.Log.File),
			Help: "Also log to FILE; the VRRP process inserts _vrrp before the last dot"},
		{Long: "flush-log-file", Set: on(&o.Log.FlushFile),
			Help: "Write each line of the log file to the disk at once"},
		{Long: "no-syslog", Short: 'G', Set: on(&c.noSyslog),
			Help: "Do not log to syslog"},
		{Long: "umask", Short: 'u', Arg: getopt.Required, Value: "MASK", Set: c.umask,
			Help: "File mode creation mask, as a number (0 octal, 0x hexadecimal)"},
		{Long: "release-vips", Short: 'X', Set: func(string) error { delete(o.Keep, "vrrp"); return nil },
			Help: "Remove the addresses at stop (default; overrides -V)"},
		{Long: "dont-release-vrrp", Short: 'V', Set: keep("vrrp"),
			Help: "Leave the addresses in place at stop"},
		{Long: "dont-release-ipvs", Short: 'I', Set: keep("checkers"),
			Help: "Leave the IPVS table in place at stop"},
		{Long: "dont-respawn", Short: 'R', Set: on(&o.NoRespawn),
			Help: "Exit when a child process dies instead of restarting it"},
		{Long: "dont-fork", Short: 'n', Set: on(&o.Foreground),
			Help: "Stay in the foreground"},
		{Long: "dump-conf", Short: 'd', Set: on(&o.DumpConfig),
			Help: "Log the configuration as the daemon reads it"},
		{Long: "pid", Short: 'p', Arg: getopt.Required, Value: "FILE", Set: text(&o.ParentPid),
			Help: "Pid file of the parent process"},
		{Long: "vrrp_pid", Short: 'r', Arg: getopt.Required, Value: "FILE", Set: c.pidFile("vrrp"),
			Help: "Pid file of the VRRP process"},
		{Long: "checkers_pid", Short: 'c', Arg: getopt.Required, Value: "FILE", Set: c.pidFile("checkers"),
			Help: "Pid file of the health check process"},
		{Long: "bfd_pid", Short: 'b', Arg: getopt.Required, Value: "FILE", Set: c.pidFile("bfd"),
			Help: "Pid file of the BFD process"},
		{Long: "genhash", Short: 'T', Set: on(&c.genhash),
			Help: "As the first argument: print the digest of a web page, see keepalived genhash -h"},
		{Long: "address-monitoring", Short: 'a', Set: on(&o.LogAddresses),
			Help: "Log every address that is added or removed"},
		{Long: "snmp", Short: 'x', Set: func(string) error { o.SNMP.All = true; return nil },
			Help: "Provide all MIBs to the SNMP master agent"},
		{Long: "snmp-agent-socket", Short: 'A', Arg: getopt.Required, Value: "SOCKET", Set: text(&o.SNMP.Socket),
			Help: "Socket of the SNMP master agent"},
		{Long: "namespace", Short: 's', Arg: getopt.Required, Value: "NAME", Set: text(&o.Namespace),
			Help: "Run in the network namespace NAME; overrides the configuration"},
		{Long: "core-dump", Short: 'm', Set: on(&o.CoreDump),
			Help: "Write a core file on a crash"},
		{Long: "core-dump-pattern", Short: 'M', Arg: getopt.Optional, Value: "PATTERN", Set: c.corePattern,
			Help: "Set the core pattern of the host while running (default core)"},
		{Long: "all-config", Short: 'e', Set: on(&o.AllConfig),
			Help: "Refuse to start if an included file is missing"},
		{Long: "config-id", Short: 'i', Arg: getopt.Required, Value: "ID", Set: text(&o.ConfigID),
			Help: "Use the lines for @ID (default: the name of the host)"},
		{Long: "signum", Arg: getopt.Required, Value: "FUNCTION", Set: text(&c.signum),
			Choices: []string{"STOP", "RELOAD", "DATA", "STATS", "STATS_CLEAR", "JSON"},
			Help:    "Print the signal for STOP, RELOAD, DATA, STATS, STATS_CLEAR or JSON"},
		{Long: "config-test", Short: 't', Arg: getopt.Optional, Value: "FILE", Set: c.testTo,
			Help: "Check the configuration, report to FILE (default standard error) and exit"},
		{Long: "format", Arg: getopt.Required, Value: "FORMAT", Set: c.setFormat, Choices: report.Formats,
			Help: "Format of the report of -t: text (default), json or sarif"},
		{Long: "ignore-sigint", Set: on(&o.IgnoreSIGINT),
			Help: "Do not stop on SIGINT, for debuggers"},
		{Long: "version", Short: 'v', Set: on(&c.version),
			Help: "Print the version and exit"},
		{Long: "help", Short: 'h', Set: on(&c.help),
			Help: "Print this text and exit"},
	}
}

// only is a flag that asks for one role and no other that is not asked for in the
// same way.
func (c *commandLine) only(name string) func(string) error {
	return func(string) error {
		c.wanted = append(c.wanted, name)
		c.run.Without = nil
		for _, r := range roles {
			if r.Name != "bfd" && !r.Attends && !slices.Contains(c.wanted, r.Name) { // BFD serves both
				c.run.Without = append(c.run.Without, r.Name)
			}
		}
		return nil
	}
}

func (c *commandLine) logFacility(v string) (err error) {
	c.run.Log.Facility, err = logging.ParseFacility(v)
	return err
}

func (c *commandLine) umask(v string) error {
	n, err := strconv.ParseUint(v, 0, 32)
	if err != nil || n > 0o777 {
		return fmt.Errorf("%q is not a file mode mask from 0 to 0777", v)
	}
	c.run.Umask = int(n)
	return nil
}

func (c *commandLine) corePattern(v string) error {
	if v == "" {
		v = "core"
	}
	c.run.CoreDump, c.run.CorePattern = true, v
	return nil
}

func (c *commandLine) testTo(v string) error {
	c.test, c.testFile = true, v
	return nil
}

// pidFile is a flag that names the pid file of a role.
func (c *commandLine) pidFile(role string) func(string) error {
	return func(v string) error { c.run.PidFiles[role] = v; return nil }
}

// absolute makes a file name independent of the working directory, if it can.
func absolute(name string) string {
	if abs, err := filepath.Abs(name); err == nil && name != "" {
		return abs
	}
	return name
}

// options returns what the daemon needs of the command line.
func (c *commandLine) options() supervisor.Options {
	if c.noBFD && !slices.Contains(c.run.Without, "bfd") {
		c.run.Without = append(c.run.Without, "bfd")
	}
	log := &c.run.Log
	log.Syslog = !c.noSyslog
	// A daemon leaves the directory it was started in.
	log.File, c.run.ParentPid = absolute(log.File), absolute(c.run.ParentPid)
	for role, name := range c.run.PidFiles {
		c.run.PidFiles[role] = absolute(name)
	}
	if c.console {
		log.Console = os.Stderr
	}
	switch {
	case c.detail == 1:
		log.Level = logging.LevelDetail
	case c.detail > 1:
		log.Level = slog.LevelDebug
	}
	return c.run
}

func (c *commandLine) setFormat(v string) error {
	c.format = v
	_, err := report.ParseFormat(v)
	return err
}

// configTest is keepalived -t.
func (c *commandLine) configTest() int {
	if c.testFile == "" {
		return c.check(os.Stderr)
	}
	f, err := os.OpenFile(c.testFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NONBLOCK, 0o644) // a FIFO must not wait for its reader
	if err != nil {
		fmt.Fprintf(os.Stderr, "keepalived: open test report: %v\n", err)
		return proc.ExitFatal
	}
	code := c.check(f)
	if err := f.Close(); err != nil {
		fmt.Fprintf(os.Stderr, "keepalived: write test report: %v\n", err)
		return proc.ExitFatal
	}
	return code
}

// check writes what is wrong with the configuration to a file or terminal.
func (c *commandLine) check(to *os.File) int {
	diagnostics, err := supervisor.Test(c.run)
	if err != nil {
		fmt.Fprintln(to, err)
		return proc.ExitFatal
	}
	o := report.Options{Color: report.Terminal(to), Version: version}
	if c.format != "" {
		o.Format, _ = report.ParseFormat(c.format) // checked when it was set
	}
	if err := report.Write(to, diagnostics, o); err != nil {
		fmt.Fprintf(os.Stderr, "keepalived: write test report: %v\n", err)
		return proc.ExitFatal
	}
	return diagnostics.TestExitCode()
}
