package test

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/tool/client"
	"keepalived-go/internal/tool/executable"
	"keepalived-go/internal/tool/lab"
)

// checkRun is a virtual server in the configuration of both daemons, and the events of
// its real servers. N in its texts is its number, DIR the directory of the daemon.
type checkRun struct {
	name   string
	before string // configuration
	after  string // the configuration after a reload; "": as before; "-": none

	// serve runs the real server 127.0.N.1; nil: the file DIR/N has the state.
	serve func(s *scene, n *lab.Node, i int) func(state string)

	// steps are the events of both daemons' servers. The first state is that at the
	// start. A step ends when both daemons have logged its text, after the text of the
	// step before it.
	steps []step

	reloaded string // ends the reload; "": no text does

	// differs maps lines of the C daemon to the lines of this one: "": none.
	differs map[string]string
}

type step struct{ state, until string }

// checkFile is a configuration with several runs.
type checkFile struct {
	name   string
	global []string // of global_defs
	reload bool
	runs   []checkRun
}

// side is one of the two daemons with one checkFile, and all its reports.
type side struct {
	scene   *scene
	node    *lab.Node
	program lab.Program
	daemon  *lab.Daemon
	file    *checkFile
	dir     string
	mail    *mailServer
	set     []func(state string) // for each run

	mu       sync.Mutex
	lines    []string   // lines of the FIFO
	logs     [][]string // by run
	sorted   int        // lines of the daemon's log that are in logs
	reloaded bool       // the log has the reload
}

// testChecks compares the logs, FIFO lines, script arguments and mails of both daemons
// while servers fail and return.
func testChecks(t *testing.T) {
	t.Parallel()
	for _, file := range checkFiles() {
		t.Run(file.name, file.compare)
	}
}

func (f *checkFile) compare(t *testing.T) {
	own, c := f.prepare(t, ours), f.prepare(t, lab.C())
	sides := []*side{own, c}
	for _, d := range sides {
		d.daemon = d.scene.start("a", d.program, f.config(d, false), "-C")
	}
	missing := f.run(sides)
	await := func(what func(d *side, i int) []string) {
		own.scene.Until(patience, func() bool {
			for i := range f.runs {
				if len(missing[i]) == 0 && !slices.Equal(what(own, i), what(c, i)) {
					return false
				}
			}
			return true
		})
	}
	if f.reload {
		// A reload of the C daemon drops the mails that it is sending.
		own.scene.Until(patience, func() bool {
			for i := range f.runs {
				for _, d := range sides {
					due := slices.DeleteFunc(slices.Clone(d.log(i)), func(line string) bool { return !mailed.MatchString(line) })
					if len(missing[i]) == 0 && len(d.mails(i)) < len(due) {
						return false
					}
				}
			}
			return true
		})
		for _, d := range sides {
			d.scene.must(d.daemon.Reload(f.config(d, true)))
		}
		late := func(d *side, i int) bool {
			text := numbered(f.runs[i].reloaded, firstRun+i)
			return !d.daemon.Logged(d.daemon.Started, "Reload complete") ||
				text != "" && !slices.ContainsFunc(d.sort(i), func(line string) bool { return strings.Contains(line, text) })
		}
		own.scene.Until(patience, func() bool {
			for i := range f.runs {
				if late(own, i) || late(c, i) {
					return false
				}
			}
			return true
		})
		for i, r := range f.runs {
			for _, d := range sides {
				if late(d, i) {
					missing[i] = append(missing[i], fmt.Sprintf("%s: no %q after the reload", d.program.Name, r.reloaded))
				}
			}
		}
	}
	// Both may have the same mails and scripts while more are on their way: ours are complete
	// when none waits.
	own.scene.Until(patience, func() bool {
		s, err := (&client.Client{Socket: filepath.Join(own.daemon.Dir, "keepalived.control.sock")}).Brief()
		return err == nil && s.LVS != nil && rests(s.LVS.Notifications)
	})
	// The C daemon sends no mails after SIGTERM, and its scripts end with it.
	await((*side).mails)
	await((*side).scripts)
	var mails, scripts [2][][]string
	for i := range f.runs {
		for j, d := range sides {
			mails[j], scripts[j] = append(mails[j], d.mails(i)), append(scripts[j], d.scripts(i))
		}
	}
	for _, d := range sides {
		// The C daemon kills itself with the scripts that still run then.
		if err := d.daemon.Stop(); err != nil && d == own {
			t.Error(err)
		}
	}
	await((*side).fifo)
	starved := own.daemon.Logged(own.daemon.Started, "has not ended")
	for i, r := range f.runs {
		t.Run(r.name, func(t *testing.T) {
			for _, m := range missing[i] {
				t.Error(m)
			}
			sameLines(t, "log", own.log(i), c.log(i))
			sameLines(t, "FIFO", own.fifo(i), c.fifo(i))
			sameLines(t, "scripts", scripts[0][i], scripts[1][i])
			if lost := without(c.scripts(i), own.scripts(i)); len(lost) > 0 && !starved {
				t.Errorf("scripts of the C daemon's end that did not run: %q", lost)
			}
			sameLines(t, "mails", mails[0][i], mails[1][i])
		})
	}
}

// rests reports whether no notification is on its way.
func rests(n *api.Notifications) bool {
	if n == nil || n.Mail != nil && n.Mail.Waiting > 0 {
		return false
	}
	return !slices.ContainsFunc(n.Owners, func(o api.Owner) bool { return o.Running != "" || o.Waiting > 0 })
}

// without returns the lines of a that b does not have as often.
func without(a, b []string) []string {
	a = slices.Clone(a)
	for _, line := range b {
		if i := slices.Index(a, line); i >= 0 {
			a = slices.Delete(a, i, i+1)
		}
	}
	return a
}

// prepare makes a network with the real servers, and the receivers of notifications.
func (f *checkFile) prepare(t *testing.T, p lab.Program) *side {
	s := newScene(t, "a")
	d := &side{scene: s, node: s.Node("a"), program: p, file: f, mail: s.mailServer("a", accept), logs: make([][]string, len(f.runs))}
	// Packets to the link lost are dropped.
	s.must(d.node.IPBatch("link add lost type dummy\nlink set lost up\naddr add 192.0.2.1/32 dev lost\n"))
	d.dir = filepath.Join(d.node.Dir, "files")
	s.must(os.Mkdir(d.dir, 0o755))
	s.must(executable.Write(filepath.Join(d.dir, "notify"), "#!/bin/sh\necho \"$@\" >>"+d.dir+"/notified\n"))
	s.must(executable.Write(filepath.Join(d.dir, "state"), "#!/bin/sh\nread -r state <"+d.dir+"/$1\n"+
		"case $state in deaf) trap '' TERM; exec sleep 1000;; hang) exec sleep 1000;; [A-Z]*) kill -$state $$;; esac\nexit $state\n"))
	s.must(unix.Mkfifo(filepath.Join(d.dir, "fifo"), 0o600))
	in, err := os.OpenFile(filepath.Join(d.dir, "fifo"), os.O_RDWR, 0)
	s.must(err)
	s.Cleanup(func() { in.Close() })
	go func() {
		for lines := bufio.NewScanner(in); lines.Scan(); {
			d.mu.Lock()
			d.lines = append(d.lines, lines.Text())
			d.mu.Unlock()
		}
	}()
	for i, r := range f.runs {
		serve := r.serve
		if serve == nil {
			serve = d.stateFile
		}
		d.set = append(d.set, serve(s, d.node, firstRun+i))
		d.set[i](r.steps[0].state)
	}
	return d
}

// stateFile writes the state of a run into DIR/N.
func (d *side) stateFile(s *scene, _ *lab.Node, i int) func(state string) {
	path := filepath.Join(d.dir, strconv.Itoa(i))
	return func(state string) {
		err := os.WriteFile(path+"~", []byte(state+"\n"), 0o644)
		if err == nil {
			err = os.Rename(path+"~", path)
		}
		if err != nil {
			s.Error(err)
		}
	}
}

func (f *checkFile) config(d *side, reloaded bool) string {
	var b strings.Builder
	b.WriteString(global(append([]string{"router_id node", "script_user root", "smtp_server 127.0.0.1", "notification_email {\nops@example.com\n}",
		"notification_email_from keepalived@example.com", "lvs_notify_fifo DIR/fifo"}, f.global...)...))
	for i, r := range f.runs {
		text := r.before
		if reloaded && r.after != "" {
			text = r.after
		}
		if text != "-" {
			b.WriteString(numbered(text, firstRun+i))
		}
	}
	return strings.ReplaceAll(b.String(), "DIR", d.dir)
}

// run runs the steps of all runs in parallel. It returns the missing texts of each run.
func (f *checkFile) run(sides []*side) (missing [][]string) {
	missing = make([][]string, len(f.runs))
	progress := make([]struct {
		step int
		seen [2]int // lines of the log up to the end of the last step
		come [2]bool
	}, len(f.runs))
	ended, known := 0, 0
	sides[0].scene.Until(patience, func() bool {
		lines := len(sides[0].daemon.Log()) + len(sides[1].daemon.Log())
		if lines == known {
			return false
		}
		known = lines
		for i, r := range f.runs {
			p := &progress[i]
			if p.step == len(r.steps) {
				continue
			}
			text := numbered(r.steps[p.step].until, firstRun+i)
			for j, d := range sides {
				if !p.come[j] {
					at := slices.IndexFunc(d.sort(i)[p.seen[j]:], func(line string) bool { return strings.Contains(line, text) })
					p.come[j], p.seen[j] = at >= 0, p.seen[j]+at+1
				}
			}
			if p.come != [2]bool{true, true} {
				continue
			}
			p.come = [2]bool{}
			if p.step++; p.step == len(r.steps) {
				ended++
				continue
			}
			for _, d := range sides {
				d.set[i](r.steps[p.step].state)
			}
		}
		return ended == len(f.runs)
	})
	for i, r := range f.runs {
		p := &progress[i]
		for j, d := range sides {
			if p.step < len(r.steps) && !p.come[j] {
				missing[i] = append(missing[i], fmt.Sprintf("%s: no %q in step %d, %q", d.program.Name, numbered(r.steps[p.step].until, firstRun+i), p.step, r.steps[p.step].state))
			}
		}
	}
	return missing
}

// patience is for steps that take both daemons a few seconds on an idle machine.
const patience = 15 * time.Second

// firstRun is the number of the first run of a file.
const firstRun = 100

var (
	ofRun = regexp.MustCompile(`\b(?:10\.8|127\.0)\.(\d+)\.|\bg(\d+)\b|\bFWM (\d+)\b`)
	stamp = regexp.MustCompile(`^\w{3} \w{3} +\d+ [\d:]+ \d{4}: `)

	// additions of this daemon to a sentence, and the lines that only one of both has:
	// of what a slow machine does to checks, scripts and mails, of FILE_CHECK, of addresses.
	cause     = regexp.MustCompile(` \([^()]*\)( <=)?$`)
	additions = regexp.MustCompile(` has not run for | has been running for | has not ended| is lost: | has not been sent: |^FILE check of |^Netlink reflector reports `)
)

// mailed matches the lines that have a mail, with smtp_alert_checker.
var mailed = regexp.MustCompile(`^(Adding|Removing|Enabling|Disabling) service |^(Gained|Lost) quorum |^Starting with quorum `)

// activity matches the lines about checks that begin or rest.
var activity = regexp.MustCompile(`^(Dea|A)ctivating healthchecker `)

// older replaces the words of the C daemon that have changed since 2.2.7.
var older = strings.NewReplacer(" : HTTP request failed ", " : HTTP/SSL request failed ", "Suspending healthchecker ", "Deactivating healthchecker ")

var olderSMTP = regexp.MustCompile(`^(Remote SMTP server \[[\d.]+\]:)tcp:`)

// lostQuorum matches text in mails of the C daemon that has the comparison of a gained
// quorum.
var lostQuorum = regexp.MustCompile(`(=> (?:Lost quorum|Starting with quorum down) \d+)\+(\d+=\d+) <= (\d+ <=)`)

// runOf returns the run that a line is about.
func runOf(line string) (i int, ok bool) {
	m := ofRun.FindStringSubmatch(line)
	if m == nil {
		return 0, false
	}
	number, err := strconv.Atoi(cmp.Or(m[1:]...))
	return number - firstRun, err == nil && number >= firstRun
}

// about returns the lines about a run.
func (d *side) about(i int, lines []string) (found []string) {
	r := &d.file.runs[i]
	for _, line := range lines {
		if of, ok := runOf(line); !ok || of != i {
			continue
		}
		if d.program != ours {
			line = lostQuorum.ReplaceAllString(older.Replace(olderSMTP.ReplaceAllString(line, "$1")), "$1-$2 > $3")
			for c, own := range r.differs {
				if line == numbered(c, firstRun+i) {
					line = numbered(own, firstRun+i)
				}
			}
		}
		if line != "" {
			found = append(found, line)
		}
	}
	return found
}

// log returns the lines that the daemon has logged about a run.
func (d *side) log(i int) []string { return d.about(i, d.sort(i)) }

// sort distributes the log to the runs, and returns the lines of one. They only grow.
func (d *side) sort(i int) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.daemon.Log()
	for _, l := range all[d.sorted:] {
		text := cause.ReplaceAllString(stamp.ReplaceAllString(l.Text, ""), "$1")
		d.reloaded = d.reloaded || strings.HasPrefix(text, "Reloading")
		number, ok := runOf(text)
		switch {
		case !ok || number >= len(d.logs) || additions.MatchString(text):
		case d.reloaded && activity.MatchString(text): // version 2.2.7 writes the line again
		default:
			d.logs[number] = append(d.logs[number], strings.ReplaceAll(text, d.dir, "DIR"))
		}
	}
	d.sorted = len(all)
	return slices.Clip(d.logs[i])
}

func (d *side) fifo(i int) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.about(i, d.lines)
}

// scripts returns the arguments of the scripts, in the order of their text, because the C
// daemon runs several at the same time.
func (d *side) scripts(i int) []string {
	b, err := os.ReadFile(filepath.Join(d.dir, "notified"))
	if err != nil {
		return nil
	}
	lines := d.about(i, strings.Split(strings.TrimSpace(string(b)), "\n"))
	slices.Sort(lines)
	return lines
}

// mails returns the subjects and texts of the mails, in the order of their text, because
// the C daemon sends several at the same time.
func (d *side) mails(i int) []string {
	d.mail.mu.Lock()
	defer d.mail.mu.Unlock()
	var all []string
	for _, m := range d.mail.mails {
		_, subject, _ := strings.Cut(strings.ReplaceAll(m, "\n ", " "), "Subject: ")
		subject, _, _ = strings.Cut(subject, "\n")
		_, text, _ := strings.Cut(m, "\n\n")
		text, _, _ = strings.Cut(text, "\n.\n")
		all = append(all, cause.ReplaceAllString(subject+" | "+strings.TrimSpace(text), "$1"))
	}
	slices.Sort(all)
	lines := d.about(i, all)
	if d.program == ours {
		return lines
	}
	// Version 2.2.7 also sends a mail about the first result of a MISC_CHECK if it changes
	// nothing.
	before, log := d.file.runs[i].before, d.log(i)
	k := slices.IndexFunc(log, func(line string) bool { return strings.HasPrefix(line, "Misc check ") })
	if k < 0 {
		return lines
	}
	alpha, passed, first := strings.Contains(before, "\nalpha\n"), strings.HasSuffix(log[k], " succeeded."), "=> MISC CHECK failed "
	if passed {
		first = "=> MISC CHECK succeeded "
	}
	if alpha == passed {
		return lines
	}
	for range strings.Count(before, "MISC_CHECK") {
		if k := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, first) }); k >= 0 {
			lines = slices.Delete(lines, k, k+1)
		}
	}
	return lines
}
