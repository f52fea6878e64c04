package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/explain"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/output/status/screen"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/tool/client"
	"keepalived-go/internal/tool/getopt"
	"keepalived-go/internal/tool/report"
)

// question is a verb that asks a running daemon and shows what it answers.
type question struct {
	name, args, summary string

	outputs []string // formats, the one without -o first; nil: there is one alone
	operand string   // name of the operand that it may have; empty: none
	watches bool     // --watch and --check
	// looksBack is for --since.
	looksBack bool
	ask       func(a *asker, operand string) (answer, error)
	act       func(a *asker, w io.Writer) int // does it all itself, instead
	// request has something changed, by an act of the kind that is called like the verb, and
	// returns its result as a text and for programs.
	request  func(a *asker, c *act.Act, o screen.Options) (result any, text string, err error)
	operands []string // names of the operands that it needs then
	within   bool     // the name of a virtual server may stand before them
	lasts    bool     // it has --for
	forces   string   // what --force does; empty: there is none
	tries    bool     // it has --dry-run
	drains   bool     // it shows connections that are left, and has --wait
	longHelp string   // more lines of its help
}

// answer is what a question is answered with: data for programs, and a text of it.
type answer struct {
	data any
	text func(o screen.Options) string
}

// asker is one use of a question.
type asker struct {
	question
	client client.Client

	namespace, instance, pid string // of the daemon
	output                   string
	check, watch, help       bool
	every                    time.Duration
	since                    time.Time
	reason                   string
	period                   int // of --for, in seconds
	force, wait, dry         bool
	longest                  time.Duration // of --wait; 0: as long as it takes
}

const (
	interval = 2 * time.Second // of --watch without a number
	again    = time.Second     // after which a daemon that was gone is asked for events

	// askerGC lets the answer of a daemon with thousands of virtual routers be read with few
	// collections (debug.SetGCPercent).
	askerGC = 400
)

const (
	serverHelp = "SERVER is ADDRESS, ADDRESS:PORT or the name that keepalived servers shows: all real\nservers with that, or those of VIRTUAL_SERVER, which is named likewise."
	// forceQuorum is the help of --force.
	forceQuorum = "Also if a virtual server loses its quorum by that"
)

// questions are the verbs that ask a running daemon.
func questions() []question {
	machine := []string{"text", "json", "yaml"}
	return []question{
		{name: "explain", args: "[OPTION...] [INSTANCE]", summary: "explain why this node is master or not, and what would change that", outputs: machine, operand: "INSTANCE", ask: askExplain},
		{name: "announce", args: "[OPTION...] INSTANCE", summary: "have a running daemon announce the addresses of a master again", outputs: []string{"text", "json"}, operands: []string{"INSTANCE"}, request: do,
			longHelp: "Gratuitous ARPs and unsolicited neighbour adverts are sent as after a take-over."},
		{name: "events", args: "[OPTION...]", summary: "show what happens to a running daemon, as it happens, until interrupted", outputs: []string{"text", "json"}, act: followEvents},
		{name: "hold", args: "[OPTION...] INSTANCE|GROUP", summary: "have a running daemon stay backup, and make way if it is master", outputs: []string{"text", "json"}, operands: []string{"INSTANCE|GROUP"}, request: do, lasts: true,
			longHelp: "It stays backup even if no other node is master, until it is released."},
		{name: "priority", args: "[OPTION...] INSTANCE +N|-N|0", summary: "change the priority of a virtual router of a running daemon", outputs: []string{"text", "json"}, operands: []string{"INSTANCE", "NUMBER"}, request: do, lasts: true,
			longHelp: "The number is added to the configured priority; 0 ends that."},
		{name: "release", args: "[OPTION...] INSTANCE|GROUP|[VIRTUAL_SERVER] SERVER", summary: "undo what hold, priority, switchover, drain, disable and weight have changed", outputs: []string{"text", "json"}, operands: []string{"NAME"}, within: true, request: do},
		{name: "drain", args: "[OPTION...] [VIRTUAL_SERVER] SERVER", summary: "have a running daemon send real servers no new connections", outputs: []string{"text", "json"}, operands: []string{"SERVER"}, within: true, request: do, lasts: true, forces: forceQuorum, drains: true,
			longHelp: "The connections that they have go on, until enable or release.\n" + serverHelp},
		{name: "disable", args: "[OPTION...] [VIRTUAL_SERVER] SERVER", summary: "have real servers of a running daemon count as down", outputs: []string{"text", "json"}, operands: []string{"SERVER"}, within: true, request: do, lasts: true, forces: forceQuorum,
			longHelp: "Whatever their checks find, they get no connections, until enable or release.\n" + serverHelp},
		{name: "enable", args: "[OPTION...] [VIRTUAL_SERVER] SERVER", summary: "undo drain and disable of a running daemon", outputs: []string{"text", "json"}, operands: []string{"SERVER"}, within: true, request: do,
			longHelp: serverHelp},
		{name: "weight", args: "[OPTION...] [VIRTUAL_SERVER] SERVER N", summary: "give real servers of a running daemon another weight than the configured one", outputs: []string{"text", "json"}, operands: []string{"SERVER", "N"}, within: true, request: do, lasts: true, forces: forceQuorum,
			longHelp: "It holds until release. What checks add to the weight, they add to this one.\n" + serverHelp},
		{name: "switchover", args: "[OPTION...] INSTANCE|GROUP", summary: "hand a master of a running daemon over to another node, without a gap", outputs: []string{"text", "json"}, operands: []string{"INSTANCE|GROUP"}, request: do, lasts: true, forces: "If no node takes over, end the service here all the same",
			longHelp: "The daemon serves until another node has taken over, and then leaves that node alone\nas long as it lives, until it is released. If no node takes over, nothing changes."},
		{name: "history", args: "[OPTION...] [NAME]", summary: "list what has happened to a running daemon, or to one router, server or session, and why", outputs: machine, operand: "NAME", looksBack: true, ask: askHistory},
		{name: "metrics", args: "[OPTION...]", summary: "print the metrics of a running daemon, in the text format of Prometheus", ask: askMetrics},
		{name: "peers", args: "[OPTION...]", summary: "show the other nodes of each virtual router of a running daemon", outputs: machine, ask: askPeers},
		{name: "reload", args: "[OPTION...]", summary: "have a running daemon read its configuration again, and show the result", outputs: []string{"text", "json"}, request: reloadIt, tries: true,
			longHelp: "The exit status is 1 if the reload is refused: the running configuration stays."},
		{name: "servers", args: "[OPTION...]", summary: "show the virtual servers of a running daemon, their pools and checks", outputs: machine, ask: askServers},
		{name: "status", args: "[OPTION...]", summary: "show the state of a running daemon: what serves, and what is wrong", outputs: []string{"text", "wide", "json", "yaml"}, watches: true, ask: askStatus,
			longHelp: "With --check, the exit status is 0 if nothing is wrong, 1 for a warning, 2 if it is\ncritical or no daemon answers, and 3 if the state cannot be found out."},
		{name: "test-notify", args: "[OPTION...] INSTANCE|GROUP|SERVER [STATE]", summary: "have a running daemon run its notify scripts as if a state had been entered", outputs: []string{"text", "json"}, operands: []string{"NAME"}, within: true, request: testIt,
			longHelp: "STATE is MASTER, BACKUP, FAULT or STOP, of a virtual or real server UP or DOWN; without it,\nthe present state is reported. FIFOs get their line and a mail is sent, as configured.\nScripts find KEEPALIVED_TEST=1 in their environment. If the state is not the present one,\nthat is reported afterwards. The exit status is 1 if a report has not arrived."},
		{name: "top", args: "[OPTION...]", summary: "follow the state of a running daemon on the whole terminal, and change it", act: showTop,
			longHelp: "The arrow keys choose a row, Enter explains it, / filters, o changes the order, q ends.\nh holds, s switches over and a announces the virtual router or sync group that is chosen,\nd drains and x disables the real server, r releases either: each after a question."},
	}
}

// verb is the question as a row of the table of verbs.
func (q question) verb() verb {
	return verb{
		name: q.name, args: q.args, summary: q.summary,
		run:   func(args []string) int { return (&asker{question: q}).main(args, os.Stdout) },
		flags: func() []getopt.Flag { return (&asker{question: q}).flags() },
	}
}

func (a *asker) flags() []getopt.Flag {
	on := func(b *bool) func(string) error {
		return func(string) error { *b = true; return nil }
	}
	text := func(s *string) func(string) error {
		return func(v string) error { *s = v; return nil }
	}
	var flags []getopt.Flag
	if len(a.outputs) > 0 {
		flags = append(flags,
			getopt.Flag{Long: "output", Short: 'o', Arg: getopt.Required, Value: "FORMAT", Choices: a.outputs, Set: a.setOutput,
				Help: "Format: " + a.outputs[0] + " (default), " + list(a.outputs[1:])},
			getopt.Flag{Long: "json", Set: func(string) error { a.output = "json"; return nil }, Help: "The same as -o json"})
	}
	if a.watches {
		flags = append(flags,
			getopt.Flag{Long: "watch", Arg: getopt.Optional, Value: "SECONDS", Set: a.setWatch, Help: "Show it again every SECONDS (default 2), until interrupted"},
			getopt.Flag{Long: "check", Set: on(&a.check), Help: "Print one line and exit with 0, 1, 2 or 3, as monitoring plugins do"})
	}
	if a.looksBack {
		flags = append(flags, getopt.Flag{Long: "since", Arg: getopt.Required, Value: "TIME", Set: a.setSince,
			Help: "Only what has happened since TIME: 2026-11-22T12:00:00Z, or how long ago, such as 90s, 15m or 24h"})
	}
	if a.request != nil {
		flags = append(flags, getopt.Flag{Long: "reason", Arg: getopt.Required, Value: "TEXT", Set: text(&a.reason), Help: "Why, for the log and the history"})
	}
	if a.lasts {
		flags = append(flags, getopt.Flag{Long: "for", Arg: getopt.Required, Value: "DURATION", Set: a.setFor, Help: "Undo it after DURATION, such as 90s, 15m or 24h; without it: when it is released"})
	}
	if a.forces != "" {
		flags = append(flags, getopt.Flag{Long: "force", Set: on(&a.force), Help: a.forces})
	}
	if a.tries {
		flags = append(flags, getopt.Flag{Long: "dry-run", Set: on(&a.dry), Help: "Only show what would change"})
	}
	if a.drains {
		flags = append(flags, getopt.Flag{Long: "wait", Arg: getopt.Optional, Value: "DURATION", Set: a.setWait, Help: "Return when no connections are left, or with status 1 after DURATION"})
	}
	return append(flags,
		getopt.Flag{Long: "socket", Arg: getopt.Required, Value: "SOCKET", Set: text(&a.client.Socket), Help: "Control socket of the daemon (default " + client.Path("", "", "") + ")"},
		getopt.Flag{Long: "namespace", Short: 's', Arg: getopt.Required, Value: "NAME", Set: text(&a.namespace), Help: "Ask the daemon in the network namespace NAME"},
		getopt.Flag{Long: "instance", Arg: getopt.Required, Value: "NAME", Set: text(&a.instance), Help: "Ask the daemon whose configuration has the instance name NAME"},
		getopt.Flag{Long: "pid", Short: 'p', Arg: getopt.Required, Value: "FILE", Set: text(&a.pid), Help: "Ask the daemon that was started with -p FILE"},
		getopt.Flag{Long: "timeout", Arg: getopt.Required, Value: "SECONDS", Set: func(v string) (err error) { a.client.Timeout, err = seconds(v); return err },
			Help: "Longest wait for the answer (default " + strconv.Itoa(int(client.Timeout/time.Second)) + ")"},
		getopt.Flag{Long: "help", Short: 'h', Set: on(&a.help), Help: "Print this text and exit"},
	)
}

// list is a list of alternatives in a sentence.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	n := len(words) - 1
	return strings.Join(words[:n], ", ") + " or " + words[n]
}

func (a *asker) setOutput(v string) error {
	if a.output = v; !slices.Contains(a.outputs, v) {
		return fmt.Errorf("%q is no format; expected %s", v, list(a.outputs))
	}
	return nil
}

func (a *asker) setWatch(v string) (err error) {
	if a.watch, a.every = true, interval; v != "" {
		a.every, err = seconds(v)
	}
	return err
}

func (a *asker) setSince(v string) (err error) {
	if d, err := time.ParseDuration(v); err == nil && d >= 0 {
		a.since = time.Now().Add(-d)
		return nil
	}
	if a.since, err = time.Parse(time.RFC3339, v); err != nil {
		return fmt.Errorf("%q is neither a time such as 2026-11-22T12:00:00Z nor a duration such as 15m", v)
	}
	return nil
}

// setWait reads how long connections may take to end.
func (a *asker) setWait(v string) (err error) {
	a.wait = true
	if v == "" {
		return nil
	}
	if a.longest, err = time.ParseDuration(v); err != nil || a.longest <= 0 {
		return fmt.Errorf("%q is not a duration such as 90s, 15m or 24h", v)
	}
	return nil
}

// setFor reads a duration of whole seconds.
func (a *asker) setFor(v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < time.Second || d > act.MaxFor*time.Second || d%time.Second != 0 {
		return fmt.Errorf("%q is not a duration of whole seconds, such as 90s, 15m or 24h, of a year at most", v)
	}
	a.period = int(d / time.Second)
	return nil
}

// seconds reads a duration from 10 ms to an hour.
func seconds(v string) (time.Duration, error) {
	n, err := strconv.ParseFloat(v, 64)
	if err != nil || !(n >= 0.01 && n <= 3600) {
		return 0, fmt.Errorf("%q is not a number of seconds from 0.01 to 3600", v)
	}
	return time.Duration(n * float64(time.Second)), nil
}

// main parses the arguments of the verb and runs it.
func (a *asker) main(args []string, w io.Writer) int {
	flags := a.flags()
	var number []string // the last operand, which may begin like a flag
	if i := slices.IndexFunc(args, signed); i >= 0 && len(a.operands) > 1 {
		number, args = []string{args[i]}, slices.Delete(slices.Clone(args), i, i+1)
	}
	operands, err := getopt.Parse(flags, args)
	operands = append(operands, number...)
	most := 0
	if a.operand != "" {
		most = 1
	}
	if a.request != nil {
		most = len(a.operands)
	}
	if a.within {
		most += 2 // such as FWM 9
	}
	switch {
	case err != nil:
	case a.help:
		a.usage(w, flags)
		return proc.ExitOK
	case len(operands) > most:
		err = fmt.Errorf("unexpected argument: %s", operands[most])
	case len(operands) < len(a.operands):
		err = fmt.Errorf("%s is missing", a.operands[len(operands)])
	case a.check && (a.watch || a.output != ""):
		err = errors.New("--check prints one line; it goes with neither --watch nor -o")
	case a.client.Socket != "" && a.namespace+a.instance+a.pid != "":
		err = errors.New("--socket names the daemon already; it goes with none of -s, --instance and -p")
	case a.client.Socket == "":
		a.client.Socket = client.Path(a.namespace, a.instance, a.pid)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "keepalived %s: %v\n\n", a.name, err)
		a.usage(os.Stderr, flags)
		if a.check {
			return int(explain.Unknown)
		}
		return proc.ExitFatal
	}
	debug.SetGCPercent(askerGC)
	operand := strings.Join(operands, "")
	switch {
	case a.check:
		return a.plugin(w)
	case a.watch:
		return a.watchIt(w)
	case a.act != nil:
		return a.act(a, w)
	case a.request != nil:
		return a.change(operands, w)
	}
	text, err := a.text(operand, options(w))
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "keepalived %s: %v\n", a.name, err)
		return proc.ExitFatal
	}
	return proc.ExitOK
}

// signed reports whether an argument is a number with a sign.
func signed(v string) bool {
	_, err := strconv.Atoi(v)
	return err == nil && (v[0] == '+' || v[0] == '-')
}

func (a *asker) usage(w io.Writer, flags []getopt.Flag) {
	fmt.Fprintf(w, "Usage: keepalived %s %s\n", a.name, a.args)
	fmt.Fprintln(w, upper(a.summary)+".")
	if a.longHelp != "" {
		fmt.Fprintln(w, a.longHelp)
	}
	getopt.Usage(w, flags)
}

// options are those of a text for w: of a terminal its width, and colours if its user
// wants some.
func options(w io.Writer) screen.Options {
	f, ok := w.(*os.File)
	if !ok {
		return screen.Options{}
	}
	o := screen.Options{Color: report.Terminal(f)}
	if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil {
		o.Width = int(size.Col)
	}
	return o
}

// text is the answer in the format that is wanted.
func (a *asker) text(operand string, o screen.Options) (string, error) {
	got, err := a.ask(a, operand)
	if err != nil {
		return "", err
	}
	switch a.output {
	case "json":
		return screen.JSON(got.data)
	case "yaml":
		return screen.YAML(got.data)
	case "wide":
		return screen.Wide(got.data, o), nil
	}
	return got.text(o), nil
}

// watchIt shows the answer again and again, until it cannot be written.
func (a *asker) watchIt(w io.Writer) int {
	for {
		o := options(w) // a terminal may get another width
		clear := "\n"
		if o.Width > 0 {
			clear = "\x1b[H\x1b[2J"
		}
		text, err := a.text("", o)
		if err != nil { // the daemon may be there again the next time
			text = fmt.Sprintf("keepalived %s: %v\n", a.name, err)
		}
		if _, err := io.WriteString(w, clear+text); err != nil {
			return proc.ExitFatal
		}
		time.Sleep(a.every)
	}
}

// plugin is --check.
func (a *asker) plugin(w io.Writer) int {
	s, err := a.client.Brief()
	var line string
	severity := explain.Unknown
	switch {
	case err == nil:
		line, severity = screen.Check(s)
	case errors.Is(err, client.ErrDown):
		severity = explain.Critical
		line = screen.Line(severity, err.Error())
	default:
		line = screen.Line(severity, err.Error())
	}
	if _, err := fmt.Fprintln(w, line); err != nil {
		return int(explain.Unknown)
	}
	return int(severity)
}

func askStatus(a *asker, _ string) (answer, error) {
	ask := a.client.Status
	if a.output == "" || a.output == "text" {
		ask = a.client.Brief // one screen shows no more
	}
	s, err := ask()
	return answer{s, func(o screen.Options) string { return screen.Status(s, o) }}, err
}

func askServers(a *asker, _ string) (answer, error) {
	s, err := a.client.Brief()
	if err != nil {
		return answer{}, err
	}
	return answer{s.LVS, func(o screen.Options) string { return screen.Servers(s.LVS, o) }}, nil
}

func askPeers(a *asker, _ string) (answer, error) {
	s, err := a.client.Status()
	if err != nil {
		return answer{}, err
	}
	list := screen.NeighboursOf(s.VRRP)
	return answer{list, func(o screen.Options) string { return screen.Peers(list, o) }}, nil
}

func askMetrics(a *asker, _ string) (answer, error) {
	text, err := a.client.Metrics()
	return answer{text: func(screen.Options) string { return string(text) }}, err
}

// routers are the names of the virtual routers: of the one that is asked for, or of all.
func routers(s *api.Status, name string) ([]string, error) {
	var names []string
	if s.VRRP != nil {
		for i := range s.VRRP.Instances {
			names = append(names, s.VRRP.Instances[i].Name)
		}
	}
	switch {
	case len(names) == 0:
		return nil, errors.New("the daemon has no virtual router, or its VRRP process has not answered yet")
	case name == "":
		return names, nil
	case slices.Contains(names, name):
		return []string{name}, nil
	}
	if near := conf.Nearest(name, names); len(near) > 0 {
		return nil, fmt.Errorf("there is no virtual router %s; did you mean %q?", name, near[0])
	}
	return nil, fmt.Errorf("there is no virtual router %s; there are %s", name, list(names[:min(len(names), 10)]))
}

func askExplain(a *asker, name string) (answer, error) {
	s, err := a.client.Status()
	if err != nil {
		return answer{}, err
	}
	names, err := routers(s, name)
	if err != nil {
		return answer{}, err
	}
	var all []*explain.Explanation
	for _, name := range names {
		all = append(all, explain.Instance(s, name))
	}
	return answer{all, func(o screen.Options) string { return screen.Explanations(all, o) }}, nil
}

func askHistory(a *asker, name string) (answer, error) {
	events, err := a.client.History(name, a.since)
	return answer{events, func(o screen.Options) string { return screen.Events(events, o) }}, err
}

// followEvents shows what happens, until it cannot be written. While no daemon answers it
// tries again, and continues after the last event shown.
func followEvents(a *asker, w io.Writer) int {
	o := options(w)
	var last uint64
	down := false
	for {
		var wrong error
		err := a.client.Events(last, func(e *history.Event) error {
			last, down = e.ID, false
			text := screen.Event(e, o)
			if a.output == "json" {
				b, err := json.Marshal(e)
				if err != nil {
					return err
				}
				text = string(b) + "\n"
			}
			_, wrong = io.WriteString(w, text)
			return wrong
		})
		switch {
		case wrong != nil:
			return proc.ExitFatal
		case last == 0:
			fmt.Fprintf(os.Stderr, "keepalived %s: %v\n", a.name, err)
			return proc.ExitFatal
		case !down:
			fmt.Fprintf(os.Stderr, "keepalived %s: %v; asking again\n", a.name, err)
			down = true
		}
		time.Sleep(again)
	}
}
