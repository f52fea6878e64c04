package track

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"

	"keepalived-go/conf"
)

// commLength is how much of its name the kernel keeps of a process.
const commLength = 15

// matcher reports whether a process is counted.
type matcher struct {
	comm    string // name of the process, as in /proc/PID/comm; empty: any
	command string // first word of the command line, with full_command
	params  []string
	match   conf.ParamMatch
}

func newMatcher(p *conf.TrackProcess) matcher {
	m := matcher{params: p.Params, match: p.Match}
	if p.FullCommand {
		m.command = p.Process
	} else {
		name := filepath.Base(p.Process)
		m.comm = name[:min(len(name), commLength)]
	}
	return m
}

// needsCommand reports whether the command line matters.
func (m *matcher) needsCommand() bool { return m.command != "" || m.match != conf.MatchNone }

// matches reports whether a process matches whose /proc/PID/cmdline is
// cmdline; its name has been compared before.
func (m *matcher) matches(cmdline []byte) bool {
	if !m.needsCommand() {
		return true
	}
	// A process that sets its title leaves zeros after it.
	cmdline = bytes.TrimRight(cmdline, "\x00")
	if len(cmdline) == 0 {
		return false // of the kernel, or gone
	}
	args := strings.Split(string(cmdline), "\x00")
	if m.command != "" && args[0] != m.command &&
		(strings.Contains(m.command, "/") || filepath.Base(args[0]) != m.command) {
		return false
	}
	args = args[1:]
	n := len(m.params)
	switch {
	case m.match == conf.MatchNone:
		return true
	case m.match == conf.MatchExact || n == 0:
		return slices.Equal(args, m.params)
	case len(args) < n:
		return false
	case m.match == conf.MatchPartial:
		return slices.Equal(args[:n], m.params)
	}
	return slices.Equal(args[:n-1], m.params[:n-1]) && strings.HasPrefix(args[n-1], m.params[n-1])
}
