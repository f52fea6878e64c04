// Keepalived keeps virtual IP addresses alive: it speaks VRRP with its peers,
// and one of them holds the addresses.
package main

import (
	"fmt"
	"io"
	"os"

	"keepalived-go/internal/bfdd"
	"keepalived-go/internal/checkd"
	"keepalived-go/internal/controld"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/supervisor"
	"keepalived-go/internal/tool/getopt"
	"keepalived-go/internal/vrrpd"
)

// Set by the linker.
var (
	version = "2.4.3-go"
	date    = "11/22,2026"
)

// roles is the table of the processes that the parent starts, in the order of
// their start.
var roles = []*proc.Role{&vrrpd.Role, &checkd.Role, &bfdd.Role, &controld.Role}

func main() {
	if code, ok := proc.RunChild(roles); ok {
		os.Exit(code)
	}
	if len(os.Args) > 1 {
		// The tool has flags of its own, so that this one comes first.
		if a := os.Args[1]; a == "--genhash" || a == "-T" {
			os.Exit(genhash(os.Args[2:]))
		}
		if run := findVerb(os.Args[1]); run != nil {
			os.Exit(run(os.Args[2:]))
		}
	}
	os.Exit(daemon(os.Args[1:]))
}

// daemon parses the command line and runs it.
func daemon(args []string) int {
	c := newCommandLine()
	flags := c.flags()
	operands, err := getopt.Parse(flags, args)
	if err == nil && len(operands) > 0 {
		err = unknownVerb(operands[0])
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "keepalived: %v\n\n", err)
		usage(os.Stderr, flags)
		return proc.ExitFatal
	}
	switch {
	case c.help:
		usage(os.Stderr, flags)
		return proc.ExitOK
	case c.version:
		writeVersion(os.Stderr)
		return proc.ExitOK
	case c.signum != "":
		n, ok := supervisor.SignalNumber(c.signum)
		if !ok {
			fmt.Fprintf(os.Stderr, "Unknown sigfunc %s\n", c.signum)
			return proc.ExitFatal
		}
		fmt.Println(n)
		return proc.ExitOK
	case c.genhash:
		fmt.Fprintln(os.Stderr, "keepalived: --genhash must be the first argument")
		return proc.ExitFatal
	case c.test:
		return c.configTest()
	case c.format != "":
		fmt.Fprintln(os.Stderr, "keepalived: option --format is for the configuration test; use it with -t")
		return proc.ExitFatal
	}
	return supervisor.Run(c.options())
}

func usage(w io.Writer, flags []getopt.Flag) {
	fmt.Fprintln(w, "Usage: keepalived [OPTION...]")
	fmt.Fprintln(w, "       keepalived VERB [ARGUMENT...]")
	getopt.Usage(w, flags)
	writeVerbs(w)
}
