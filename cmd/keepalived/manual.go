package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"keepalived-go/internal/proc"
	"keepalived-go/internal/tool/getopt"
	"keepalived-go/internal/tool/reference"
)

// manual is keepalived man [5|8].
func manual(args []string) int {
	section := "8"
	if len(args) > 0 {
		section = args[0]
	}
	switch {
	case len(args) > 1:
		fmt.Fprintf(os.Stderr, "keepalived man: unexpected argument: %s\n", args[1])
	case section == "8":
		writeManual(os.Stdout)
		return proc.ExitOK
	case section == "5":
		reference.Man(os.Stdout, version, isoDate())
		return proc.ExitOK
	default:
		fmt.Fprintf(os.Stderr, "keepalived man: there is no section %q; expected 5 for keepalived.conf(5) or 8 for keepalived(8)\n", section)
	}
	return proc.ExitFatal
}

// writeManual writes keepalived(8) in man(7) macros.
func writeManual(w io.Writer) {
	fmt.Fprintf(w, `.TH KEEPALIVED 8 "%s" "keepalived %s" "System Administration"
.SH NAME
keepalived \- keep virtual addresses alive with VRRP
.SH SYNOPSIS
.B keepalived
.RI [ OPTION ...]
.br
.B keepalived
.I VERB
.RI [ ARGUMENT ...]
.SH DESCRIPTION
A group of nodes shares virtual IP addresses. The nodes use the Virtual Router
Redundancy Protocol to agree which node holds the addresses. When that node stops
sending adverts, another node takes over.
.P
.BR keepalived.conf (5)
describes the configuration.
.SH OPTIONS
`, isoDate(), reference.Troff(version))
	getopt.Man(w, newCommandLine().flags())
	fmt.Fprintln(w, ".SH VERBS")
	for _, v := range verbs() {
		fmt.Fprintf(w, ".TP\n\\fBkeepalived %s\\fR %s\n%s.\n", v.name, reference.Troff(v.args), reference.Troff(upper(v.summary)))
		if v.flags != nil {
			fmt.Fprintln(w, ".RS")
			getopt.Man(w, v.flags())
			fmt.Fprintln(w, ".RE")
		}
	}
	fmt.Fprint(w, `.SH SIGNALS
Send signals to the process whose number is in the pid file.
.TP
.B TERM, INT
Give up the addresses and exit.
.TP
.B HUP
Read the configuration again. If an error in it would prevent a start, the running
configuration stays in force.
.TP
.B USR1
Write the state of all virtual routers to /tmp/keepalived.data.
.TP
.B USR2
Write the statistics to /tmp/keepalived.stats.
.SH EXIT STATUS
.TP
0
Stopped on request. Configuration test: nothing to correct. Notes, and warnings about
keywords without effect, do not count.
.TP
1
The daemon could not start or continue.
.TP
2
The configuration is refused. Configuration test: a keyword lacks its argument.
.TP
4
A capability is missing. Configuration test: the configuration cannot work on this
host.
.TP
5
Configuration test only: the daemon would run, but the reported errors should be
corrected.
.TP
6
There is no configuration, or a required include is missing. Configuration test: also
if other users can change a script that root runs.
.SH FILES
/etc/keepalived/keepalived.conf, /run/keepalived.pid, /run/vrrp.pid
.SH SEE ALSO
.BR keepalived.conf (5)
`)
}

// isoDate is the date of the program as manual pages have it.
func isoDate() string {
	t, err := time.Parse("01/02,2006", date)
	if err != nil {
		return date
	}
	return t.Format(time.DateOnly)
}

func upper(s string) string { return string(s[0]-'a'+'A') + s[1:] }
