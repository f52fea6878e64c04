// Keepalived keeps virtual IP addresses alive: it speaks VRRP with its peers,
// and one of them holds the addresses.
package main

import (
	"fmt"
	"io"
	"os"

	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/supervisor"
	"keepalived-go/internal/tool/getopt"
	"keepalived-go/internal/vrrpd"
)

// Set by the linker.
var (
	version = "2.4.3-go"
	date    = "11/22,2026"
)

func main() {
	if supervisor.IsChild() {
		os.Exit(supervisor.RunChild(runVRRP))
	}
	if len(os.Args) > 1 {
		if run := findVerb(os.Args[1]); run != nil {
			os.Exit(run(os.Args[2:]))
		}
	}
	os.Exit(daemon(os.Args[1:]))
}

// runVRRP is the VRRP process.
func runVRRP(conn *link.Conn, s *link.Setup, logs *logging.Logs) int {
	return vrrpd.Run(vrrpd.Options{
		Link:         conn,
		StateFile:    s.StateFile,
		DumpDir:      s.DumpDir,
		InstanceName: s.InstanceName,
		NetNamespace: s.NetNamespace,
		DontRelease:  s.DontRelease,
		LogAddresses: s.LogAddresses,
		LogData:      s.LogData,
		MarkerPath:   s.ReloadMarker,
		Logs:         logs,
	})
}

// daemon understands the command line and does what it says.
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
		return supervisor.ExitFatal
	}
	switch {
	case c.help:
		usage(os.Stderr, flags)
		return supervisor.ExitOK
	case c.version:
		writeVersion(os.Stderr)
		return supervisor.ExitOK
	case c.signum != "":
		n, ok := supervisor.SignalNumber(c.signum)
		if !ok {
			fmt.Fprintf(os.Stderr, "Unknown sigfunc %s\n", c.signum)
			return supervisor.ExitFatal
		}
		fmt.Println(n)
		return supervisor.ExitOK
	case c.genhash:
		fmt.Fprintln(os.Stderr, "keepalived: the digest tool (--genhash) is not part of this version")
		return supervisor.ExitFatal
	case c.test:
		return c.configTest()
	case c.format != "":
		fmt.Fprintln(os.Stderr, "keepalived: option --format is for the configuration test; use it with -t")
		return supervisor.ExitFatal
	}
	return supervisor.Run(c.options())
}

func usage(w io.Writer, flags []getopt.Flag) {
	fmt.Fprintln(w, "Usage: keepalived [OPTION...]")
	fmt.Fprintln(w, "       keepalived VERB [ARGUMENT...]")
	getopt.Usage(w, flags)
	writeVerbs(w)
}
