package conf

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"keepalived-go/conf/syntax"
)

// trackers are what can be tracked, and where it is.
type trackers struct {
	defined map[trackerKey]*tracker
	order   []*tracker
	used    []*trackUse

	// What is being read.
	script   *Script
	scriptAt place // of its command
	file     *TrackFile
	process  *TrackProcess
	given    []string // words of the block that were given
}

type trackerKey struct {
	kind TrackKind
	name string
}

// tracker is something that can be tracked.
type tracker struct {
	trackerKey
	at      place
	weight  *int // of its block
	reverse *bool
	keep    func(*Config) // adds it to what is run
	list    *[]Track      // the last that it was added to
	named   bool          // some line tracks it
	tracked bool          // some instance or group that runs does
}

// trackUse is a line of a track_* block.
type trackUse struct {
	Track
	at       place
	weighted bool // the line has a weight of its own
	turned   bool // with reverse or noreverse
	inst     *instance
	group    *syncGroup
}

// define makes a tracker known to the track_* words. The first of a name counts.
func (t *trackers) define(d *decoder, s *Statement, n *tracker) {
	if first := t.defined[n.trackerKey]; first != nil {
		d.report(s, 1, Diagnostic{
			Severity: Warning, Class: ClassNone, Code: "tracker-twice",
			Message: fmt.Sprintf("%s %s is already defined - ignoring", s.Keyword(), printable(n.name)),
			Fix:     "the first is at " + first.at.Pos().String(),
		})
		return
	}
	if t.defined == nil {
		t.defined = make(map[trackerKey]*tracker)
	}
	n.at = s.Place(0)
	t.defined[n.trackerKey] = n
	t.order = append(t.order, n)
}

// words of messages.
var trackerNames = [...]string{"track interface", "track script", "track file", "track process", "track bfd"}

func trackEntry(kind TrackKind) func(*decoder, *Statement) {
	return func(d *decoder, s *Statement) {
		u := &trackUse{
			Track: Track{Kind: kind, Name: d.tracked.name(d, kind, s.Words[0].Text), Pos: s.Pos(0)},
			at:    s.Place(0), inst: d.inst, group: d.group,
		}
		if kind == TrackedInterface {
			d.needInterface(s, 0, "("+u.owner()+") tracked interface %s doesn't exist")
		}
		if d.trackWeight(s, u) {
			d.tracked.used = append(d.tracked.used, u)
		}
	}
}

// name is a copy of the name of a tracker: that of its definition, if that comes
// first, as it usually does.
func (t *trackers) name(d *decoder, kind TrackKind, name string) string {
	if n := t.defined[trackerKey{kind, name}]; n != nil {
		return n.name
	}
	return d.intern(name)
}

func (u *trackUse) owner() string {
	if u.inst != nil {
		return u.inst.Name
	}
	return u.group.Name
}

// trackWeight reads [weight N [reverse|noreverse]]; false: the line is dropped.
func (d *decoder) trackWeight(s *Statement, u *trackUse) bool {
	if len(s.Words) == 1 {
		return true
	}
	owner, name, what := u.owner(), printable(u.Name), trackerNames[u.Kind]
	if u.Name == "weight" && d.tracked.defined[u.key()] == nil {
		return true // no name at all; resolve reports what it is
	}
	if option := s.Words[1].Text; option != "weight" {
		p := Diagnostic{
			Severity: Error, Class: ClassOrdinary, Code: "track-option",
			Message: fmt.Sprintf("(%s) unknown %s option %s - ignoring", owner, what, printable(option)),
			Fix:     "write " + name + " weight N [reverse]",
		}
		switch {
		case u.Kind == TrackedScript && strings.Contains(u.Name, "/"):
			p.Fix, _ = d.trackerRemedy(u)
		case u.Kind != TrackedInterface && d.tracked.defined[trackerKey{u.Kind, option}] != nil:
			p.Fix = "write one name per line"
		}
		d.report(s, 1, p)
		return false
	}
	if len(s.Words) == 2 {
		d.wrong(s, 1, "missing-argument", "(%s) weight without value specified for %s %s - ignoring", owner, what, name)
		return false
	}
	limit := int64(253)
	if u.Kind == TrackedFile || u.Kind == TrackedProcess {
		limit = 254
	}
	if n, ok := d.number(s, 2, -254, 254); ok {
		if n < -limit || n > limit {
			d.wrong(s, 2, "track-weight", "(%s) weight for %s cannot be +/-254. Setting to +/-253", owner, name)
			n = max(-limit, min(n, limit))
		}
		u.Weight, u.weighted = int(n), true
	}
	for i := 3; i < len(s.Words); i++ {
		switch option := s.Words[i].Text; {
		case option == "reverse", option == "noreverse" && u.Kind != TrackedInterface:
			u.Reverse, u.turned = option == "reverse", true
		default:
			d.wrong(s, i, "track-option", "(%s) unknown %s %s weight option %s - ignoring", owner, what, name, printable(option))
			return true
		}
	}
	return true
}

// resolve gives the instances and groups their trackers. It runs when all is
// read, so that a tracker may be defined after the block that tracks it.
func (t *trackers) resolve(d *decoder) {
	// What one block tracks stands together, so the last list with a tracker
	// shows whether this one has it.
	links := make(map[string]*[]Track)
	for i, u := range t.used {
		t.used[i] = nil // large files need the room
		var into, last *[]Track
		if u.inst != nil {
			into = &u.inst.Track
		} else {
			into = &u.group.Track
		}
		if u.Kind == TrackedInterface {
			if u.inst != nil && u.Name == u.inst.Interface {
				if r := u.inst.mistakes["interface"]; r != 0 {
					d.followFrom(r, Diagnostic{Class: ClassOrdinary})
					continue
				}
				d.atPlace(u.at, "own-interface", "(%s) Ignoring track_interface %s since own interface", u.owner(), printable(u.Name))
				continue
			}
			last = links[u.Name]
			links[u.Name] = into
		} else {
			n := t.defined[u.key()]
			if n == nil {
				d.noTracker(u)
				continue
			}
			n.named = true
			last, n.list = n.list, into
			if !u.weighted {
				u.Weight = *n.weight
			}
			if !u.turned {
				u.Reverse = *n.reverse
			}
		}
		if last == into && u.Name == "weight" {
			continue // no name, as was said
		}
		if last == into {
			d.atPlace(u.at, "tracked-twice", "(%s) duplicate %s %s - ignoring", u.owner(), u.Kind, printable(u.Name))
			continue
		}
		*into = append(*into, u.Track)
	}
	t.used = nil
}

func (t *Track) key() trackerKey { return trackerKey{t.Kind, t.Name} }

// noTracker reports a tracker that is not defined.
func (d *decoder) noTracker(u *trackUse) {
	p := Diagnostic{
		Severity: Error, Class: ClassOrdinary, Code: "no-tracker",
		Message: "(" + u.owner() + ") " + trackerNames[u.Kind] + " " + printable(u.Name) + " not found, ignoring...",
	}
	p.Fix, p.Edit = d.trackerRemedy(u)
	if r := d.whyMissing(u.Name); r != 0 {
		d.diags.Follow(r, p)
		return
	}
	d.reportAt(u.at, p)
}

// trackerRemedy is what was probably meant by a name that is not defined.
func (d *decoder) trackerRemedy(u *trackUse) (fix string, e Edit) {
	block := map[TrackKind]string{
		TrackedScript: "vrrp_script", TrackedFile: "track_file", TrackedProcess: "vrrp_track_process", TrackedBFD: "bfd_instance",
	}[u.Kind]
	var names []string
	for _, n := range d.tracked.order {
		if n.kind == u.Kind {
			names = append(names, n.name)
		}
	}
	switch {
	case u.Name == "weight":
		return weightAlone + ", or in the " + block + " block", e
	case u.Kind == TrackedScript && strings.Contains(u.Name, "/"):
		for _, c := range d.scripts.used {
			if c.track != "" && c.cmd.Args[0] == u.Name {
				return "write the name of the vrrp_script that runs it: " + printable(c.track), e
			}
		}
		return "track_script takes the name of a vrrp_script block; the path belongs there, as script " + printable(u.Name), e
	}
	if near := Nearest(u.Name, names); len(near) > 0 {
		return fmt.Sprintf("did you mean %q?", printable(near[0])), Edit{Old: u.Name, New: near[0]}
	}
	return "define it: " + block + " " + printable(u.Name) + " { … }", e
}

// keepTracked adds what instances and groups track to the configuration.
func (d *decoder) keepTracked() {
	t := &d.tracked
	mark := func(list []Track) {
		for i := range list {
			if n := t.defined[list[i].key()]; n != nil {
				n.tracked = true
			}
		}
	}
	for _, in := range d.cfg.Instances {
		mark(in.Track)
	}
	for _, g := range d.cfg.SyncGroups {
		mark(g.Track)
	}
	wrong := d.diags.Count(Error) > 0 // it may be what keeps it from being used
	for _, n := range t.order {
		switch {
		case n.tracked:
			n.keep(d.cfg)
		case n.named, wrong, n.kind == TrackedBFD, n.kind == TrackedFile && d.cfg.HasVirtualServers:
		default:
			d.reportAt(n.at, Diagnostic{
				Severity: Warning, Class: ClassNone, Code: "unused-tracker",
				Message: "Warning - " + strings.TrimPrefix(trackerNames[n.kind], "track ") + " " + printable(n.name) + " is not used",
				Fix:     "name it in " + n.kind.String() + " of a vrrp_instance or vrrp_sync_group",
			})
		}
	}
}

// weigh keeps weight N [reverse] of a block. A block that may have it once declares that.
func weigh(once bool, into func(*trackers) (name string, weight *int, reverse *bool)) func(*decoder, *argument) {
	return func(d *decoder, a *argument) {
		name, weight, reverse := into(&d.tracked)
		if once && d.twice(a, name) {
			return
		}
		*weight = int(a.n)
		if len(a.Words) < 3 {
			return
		}
		if a.Words[2].Text == "reverse" {
			*reverse = true
			return
		}
		d.wrong(a.Statement, 2, "track-option", "%s %s unknown weight option %s", a.k.Block, printable(name), printable(a.Words[2].Text))
	}
}

// nearestWeight takes the weight of a range that is nearest to a wrong one, of
// which the C daemon reads the digits before anything else. 0 would turn a
// failure into a fault.
func nearestWeight(set func(*decoder, *argument)) func(*decoder, *argument) string {
	return func(d *decoder, a *argument) string {
		text := strings.TrimPrefix(a.text, "+")
		end := 0
		for end < len(text) && ('0' <= text[end] && text[end] <= '9' || end == 0 && text[end] == '-') {
			end++
		}
		v, err := strconv.ParseInt(text[:end], 10, 64) // the largest there is, if out of range
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			v = 0
		}
		a.n = max(a.k.args.min, min(v, a.k.args.max))
		checking := d.checking
		d.checking = nil // what set reports is another mistake
		set(d, a)
		d.checking = checking
		return fmt.Sprintf("using %d", a.n)
	}
}

// trackerWord is how messages call the block of a keyword.
func trackerWord(a *argument) string {
	return strings.ReplaceAll(strings.TrimPrefix(a.k.Block, "vrrp_"), "_", " ")
}

// twice reports a word that stands in the block of a tracker for the second
// time, where the first one counts.
func (d *decoder) twice(a *argument, name string) bool {
	word := a.k.Name
	if slices.Contains(d.tracked.given, word) {
		d.wrong(a.Statement, 0, "word-twice", "%s already set for %s %s - ignoring %s",
			strings.ToUpper(word[:1])+word[1:], trackerWord(a), printable(name), printable(a.text))
		return true
	}
	d.tracked.given = append(d.tracked.given, word)
	return false
}

func trackFileBlock(path string) *block {
	b := vocabulary(path,
		kw("file", word("PATH").soft("track file file name missing"), "", "the file; required").sets(setTrackFile).shows(shown(func(v *TrackFile) *string { return &v.Path })),
		kw("weight", weight(-254, 254).soft("No weight specified for track file - ignoring"), "1", "factor for the number in the file; 0: any number except 0 is a fault").
			sets(weigh(true, func(t *trackers) (string, *int, *bool) { return t.file.Name, &t.file.Weight, &t.file.Reverse })).
			fills(inFile(func(v *TrackFile) *int { return &v.Weight })).shows(shown(func(v *TrackFile) *bool { return &v.Reverse }).argument(0)),
		kw("init_file", several("[N] [overwrite]").opt(), "off", "create the file at start").sets(setInitFile).
			shows(shown(func(v *TrackFile) *InitFile { return &v.Init }), shown(func(v *TrackFile) *int { return &v.InitValue }).argument(0)),
	)
	b.open = func(d *decoder, s *Statement) bool {
		d.tracked.file = &TrackFile{Name: strings.Clone(s.Words[1].Text), Pos: s.Pos(0)}
		d.tracked.given = d.tracked.given[:0]
		return true
	}
	b.close = func(d *decoder, s *Statement) {
		f := d.tracked.file
		if f.Path == "" {
			d.notDefined(f.Name, d.diags.Last())
			return
		}
		d.tracked.define(d, s, &tracker{
			trackerKey: trackerKey{TrackedFile, f.Name}, weight: &f.Weight, reverse: &f.Reverse,
			keep: func(c *Config) { c.Files = append(c.Files, f) },
		})
	}
	return b.needs("file", "No file set for track_file %s - ignoring")
}

func setTrackFile(d *decoder, a *argument) {
	f := d.tracked.file
	path := syntax.ShellWords(a.Rest())
	if len(path) == 0 || path[0] == "" {
		d.wrong(a.Statement, 1, "missing-argument", "track file file name missing")
		return
	}
	if d.twice(a, f.Name) {
		return
	}
	f.Path = path[0]
}

// setInitFile reads [N] [overwrite], in any order.
func setInitFile(d *decoder, a *argument) {
	f := d.tracked.file
	f.Init = InitFileCreate
	for i := 1; i < len(a.Words); i++ {
		option := a.Words[i].Text
		switch {
		case option == "overwrite":
			f.Init = InitFileOverwrite
		case strings.Trim(option[:min(1, len(option))], "-0123456789") == "" && option != "":
			n, ok := d.number(a.Statement, i, -1<<31, 1<<31-1)
			if !ok {
				d.wrong(a.Statement, i, "init-value", "Track file %s init value %s is invalid", printable(f.Name), printable(option))
				continue
			}
			f.InitValue = int(n)
		default:
			d.wrong(a.Statement, i, "bad-choice", "Unknown track file init option %s; expected a number or overwrite", printable(option))
		}
	}
}

func trackProcessBlock() *block {
	ofProcess := weigh(true, func(t *trackers) (string, *int, *bool) { return t.process.Name, &t.process.Weight, &t.process.Reverse })
	b := vocabulary("vrrp_track_process",
		kw("process", several("CMD [ARGS...]"), "", "name of the processes, and their arguments; required").sets(setProcess).
			shows(shown(func(v *TrackProcess) *string { return &v.Process }), shown(func(v *TrackProcess) *[]string { return &v.Params }).argument(0)),
		kw("param_match", oneOf("initial", "partial").opt(), "exact", "how arguments are compared").sets(setParamMatch).
			shows(shown(func(v *TrackProcess) *ParamMatch { return &v.Match })),
		kw("weight", weight(-254, 254).soft("No weight specified for track process - ignoring"), "0", "added to the priority: if positive while up, if negative while down; 0: down is a fault").
			sets(ofProcess).fallback(nearestWeight(ofProcess)).
			shows(shown(func(v *TrackProcess) *int { return &v.Weight }), shown(func(v *TrackProcess) *bool { return &v.Reverse }).argument(0)),
		kw("quorum", number(1, 65535), "1", "smallest number of processes with which it is up").sets(setQuorum).fills(inProcess(func(v *TrackProcess) *int { return &v.Quorum })),
		kw("quorum_max", number(0, 65535), "unlimited", "largest number of processes with which it is up").sets(setQuorumMax).
			shows(shown(func(v *TrackProcess) *int { return &v.QuorumMax })),
		kw("fork_delay", seconds(0.000001, 3600), "0", "how long it must be up before that counts").
			fills(inProcess(func(v *TrackProcess) *time.Duration { return &v.ForkDelay })),
		kw("terminate_delay", seconds(0.000001, 3600), "0", "how long it must be down before that counts").
			fills(inProcess(func(v *TrackProcess) *time.Duration { return &v.TerminateDelay })),
		kw("delay", seconds(0.000001, 3600), "0", "fork_delay and terminate_delay").
			sets(func(d *decoder, a *argument) {
				d.tracked.process.ForkDelay, d.tracked.process.TerminateDelay = a.d, a.d
			}).
			shows(shown(func(v *TrackProcess) *time.Duration { return &v.ForkDelay }), shown(func(v *TrackProcess) *time.Duration { return &v.TerminateDelay })),
		kw("full_command", bare(), "off", "compare the whole command line instead of the name").
			fills(inProcess(func(v *TrackProcess) *bool { return &v.FullCommand })),
	)
	b.open = func(d *decoder, s *Statement) bool {
		d.tracked.process = &TrackProcess{Name: d.intern(s.Words[1].Text), Pos: s.Pos(0), QuorumMax: -1, Match: MatchNone}
		d.tracked.given = d.tracked.given[:0]
		return true
	}
	b.close = func(d *decoder, s *Statement) {
		p := d.tracked.process
		if p.Process == "" {
			d.notDefined(p.Name, d.diags.Last())
			return
		}
		if len(p.Params) > 0 && p.Match == MatchNone {
			p.Match = MatchExact
		}
		// Only a command line has arguments.
		p.FullCommand = p.FullCommand || p.Match != MatchNone
		d.tracked.define(d, s, &tracker{
			trackerKey: trackerKey{TrackedProcess, p.Name}, weight: &p.Weight, reverse: &p.Reverse,
			keep: func(c *Config) { c.Processes = append(c.Processes, p) },
		})
	}
	return b.needs("process", "track process '%s' process name not specified")
}

func setProcess(d *decoder, a *argument) {
	p := d.tracked.process
	if d.twice(a, p.Name) {
		return
	}
	p.Process = d.intern(a.text)
	for _, w := range a.Words[2:] {
		p.Params = append(p.Params, d.intern(w.Text))
	}
}

func setParamMatch(d *decoder, a *argument) {
	d.tracked.process.Match = map[string]ParamMatch{"": MatchExact, "initial": MatchInitial, "partial": MatchPartial}[a.text]
}

func setQuorum(d *decoder, a *argument) {
	p := d.tracked.process
	if p.QuorumMax >= 0 && int(a.n) > p.QuorumMax {
		d.wrong(a.Statement, 1, "quorum", "Quorum is greater than quorum_max - ignoring")
		return
	}
	p.Quorum = int(a.n)
}

// setQuorumMax keeps the largest number. 0 means that no such process may run.
func setQuorumMax(d *decoder, a *argument) {
	p := d.tracked.process
	if a.n == 0 && p.Quorum == 1 {
		p.Quorum = 0
	}
	if int(a.n) < p.Quorum {
		d.wrong(a.Statement, 1, "quorum", "quorum_max is less than quorum - ignoring")
		return
	}
	p.QuorumMax = int(a.n)
}

func scriptBlock() *block {
	atLeastOne := func(of string, field func(*Script) *int) func(*decoder, *argument) string {
		return func(d *decoder, a *argument) string {
			*field(d.tracked.script) = 1
			return fmt.Sprintf("(%s): vrrp script %s value '%s' invalid, defaulting to 1", d.tracked.script.Name, of, printable(a.text))
		}
	}
	rise := func(s *Script) *int { return &s.Rise }
	fall := func(s *Script) *int { return &s.Fall }
	ofScript := weigh(false, func(t *trackers) (string, *int, *bool) { return t.script.Name, &t.script.Weight, &t.script.Reverse })
	b := vocabulary("vrrp_script",
		kw("script", cmd().as("CMD").soft("vrrp_script has no script"), "", "the command; required").sets(setScript).shows(shown(func(v *Script) *Command { return &v.Command })),
		kw("interval", seconds(0.000001, 4294), "1", "interval between the starts of two runs").
			fills(inScript(func(v *Script) *time.Duration { return &v.Interval })),
		kw("timeout", seconds(0, 4294), sibling("interval"), "time limit for a run").
			sets(setScriptTimeout).shows(shown(func(v *Script) *time.Duration { return &v.Timeout })),
		kw("weight", weight(-253, 253), "0", "added to the priority: if positive while up, if negative while down; 0: down is a fault").
			sets(ofScript).fallback(nearestWeight(ofScript)).
			shows(shown(func(v *Script) *int { return &v.Weight }), shown(func(v *Script) *bool { return &v.Reverse }).argument(0)),
		kw("fall", number(1, 1<<31-1), "1", "number of failures in a row after which it is down").
			fills(inScript(fall)).fallback(atLeastOne("fall", fall)),
		kw("rise", number(1, 1<<31-1), "1", "number of successes in a row after which it is up").
			fills(inScript(rise)).fallback(atLeastOne("rise", rise)),
		kw("user", several("USER [GROUP]"), global("script_user"), "user that runs the command").sets(setScriptBlockUser),
		kw("init_fail", bare(), "off", "the script is down until it has succeeded").
			fills(inScript(func(v *Script) *bool { return &v.InitFail })),
	)
	b.open = func(d *decoder, s *Statement) bool {
		d.tracked.script = &Script{Name: d.intern(s.Words[1].Text), Pos: s.Pos(0)}
		return true
	}
	b.close = closeScript
	return b
}

func setScript(d *decoder, a *argument) {
	c := &d.tracked.script.Command
	v := a.command(d)
	c.Args, c.Pos = v.Args, v.Pos // its user has a word of its own
	d.tracked.scriptAt = a.Place(1)
}

func setScriptTimeout(d *decoder, a *argument) {
	s := d.tracked.script
	s.Timeout = a.d
	if a.d == 0 {
		d.wrong(a.Statement, 1, "out-of-range", "(%s): vrrp script timeout must be greater than 0, setting to 1", s.Name)
		s.Timeout = time.Second
	}
}

func setScriptBlockUser(d *decoder, a *argument) {
	c := &d.tracked.script.Command
	c.User, c.Group = d.userGroup(a)
}

// userGroup is USER [GROUP].
func (d *decoder) userGroup(a *argument) (user, group string) {
	if len(a.Words) > 2 {
		group = d.intern(a.Words[2].Text)
	}
	return d.intern(a.text), group
}

// closeScript ends a vrrp_script block.
func closeScript(d *decoder, s *Statement) {
	v := d.tracked.script
	if !v.Command.Given() {
		d.wrong(s, 0, "no-script", "No script set for vrrp_script %s - removing", printable(v.Name))
		d.notDefined(v.Name, d.diags.Last())
		return
	}
	if v.Timeout == 0 {
		v.Timeout = v.Interval
	}
	d.scripts.used = append(d.scripts.used, commandUse{
		at: d.tracked.scriptAt, what: "vrrp_script " + v.Name, cmd: v.Command, track: v.Name,
	})
	d.tracked.define(d, s, &tracker{
		trackerKey: trackerKey{TrackedScript, v.Name}, weight: &v.Weight, reverse: &v.Reverse,
		keep: func(c *Config) { c.Scripts = append(c.Scripts, v) },
	})
}
