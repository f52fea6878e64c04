package conf

// trackers are the names of what can be tracked, and where they are tracked.
type trackers struct {
	defined map[string]bool // "track_script NAME"
	used    []trackUse
}

type trackUse struct {
	kind, name string
	owner      string
	s          *Statement
}

func (t *trackers) define(kind, name string) {
	if t.defined == nil {
		t.defined = make(map[string]bool)
	}
	t.defined[kind+" "+name] = true
}

func trackEntry(kind string) func(*decoder, *Statement) {
	low, high := int64(-253), int64(253)
	if kind == "track_file" || kind == "track_process" {
		low, high = -254, 254
	}
	return func(d *decoder, s *Statement) {
		owner := ""
		switch {
		case d.inst != nil:
			owner = d.inst.Name
		case d.group != nil:
			owner = d.group.Name
		}
		name := s.Words[0].Text
		if kind == "track_interface" {
			d.needInterface(s, 0, "("+owner+") tracked interface %s doesn't exist")
		} else {
			d.tracked.used = append(d.tracked.used, trackUse{kind, d.intern(name), owner, s})
		}
		d.trackWeight(s, owner, low, high)
	}
}

// trackWeight checks [weight N [reverse|noreverse]].
func (d *decoder) trackWeight(s *Statement, owner string, low, high int64) {
	name := printable(s.Words[0].Text)
	for i := 1; i < len(s.Words); i++ {
		switch option := s.Words[i].Text; option {
		case "reverse", "noreverse":
		case "weight":
			if i++; i == len(s.Words) {
				d.wrong(s, i-1, "missing-argument", "(%s) weight of %s has no value - ignoring", owner, name)
				return
			}
			n, ok := d.number(s, i, -254, 254)
			if ok && (n < low || n > high) {
				d.wrong(s, i, "track-weight", "(%s) weight for %s cannot be +/-254. Setting to +/-253", owner, name)
			}
		default:
			d.wrong(s, i, "track-option", "(%s) unknown track option '%s' for %s; expected weight or reverse", owner, printable(option), name)
			return
		}
	}
}

// resolve reports trackers that are not defined where an instance or group ends.
func (t *trackers) resolve(d *decoder) {
	for _, u := range t.used {
		if t.defined[u.kind+" "+u.name] {
			if u.kind == "track_script" {
				d.scripts.track(d, u)
			}
			continue
		}
		what := map[string]string{
			"track_script": "track script", "track_file": "track file",
			"track_process": "track process", "track_bfd": "track bfd",
		}[u.kind]
		p := Diagnostic{
			Severity: Error, Class: ClassOrdinary, Code: "no-tracker",
			Message: "(" + u.owner + ") " + what + " " + printable(u.name) + " not found, ignoring...",
			Fix:     "define it before the block that tracks it",
		}
		if r := d.whyMissing(u.name); r != 0 {
			d.diags.follow(r, p)
			continue
		}
		d.report(u.s, 0, p)
	}
	t.used = nil
}

// defines makes a block's name known to the track_* words.
func defines(kind string) func(*decoder, *Statement) bool {
	return func(d *decoder, s *Statement) bool {
		d.tracked.define(kind, d.intern(s.Words[1].Text))
		return true
	}
}

func trackGroupBlock() *block {
	return vocabulary("track_group",
		kw("group", braced("{ INSTANCE... }"), "", "instances that follow the group").
			holds((&block{path: "track_group.group"}).lines(nil, &Keyword{Name: "INSTANCE", Args: "INSTANCE...", Doc: "name of a vrrp_instance", Effect: PendingEffect}).filled("Warning - track group has empty group block")),
	)
}

func trackFileBlock(path string) *block {
	b := vocabulary(path,
		kw("file", word("PATH").soft("track file file name missing"), "", "the file; required"),
		kw("weight", weight(-254, 254).soft("No weight specified for track file - ignoring"), "1", "factor of its number; 0: any number but 0 is a fault"),
		kw("init_file", several("[N] [overwrite]").opt(), "off", "create the file at start"),
	)
	b.open = defines("track_file")
	return b.needs("file", "No file set for track_file %s - ignoring")
}

func trackProcessBlock() *block {
	b := vocabulary("vrrp_track_process",
		kw("process", several("CMD [ARGS...]"), "", "name of the processes, and their arguments; required"),
		kw("param_match", oneOf("initial", "partial").opt(), "exact", "how arguments are compared"),
		kw("weight", weight(-254, 254).soft("No weight specified for track process - ignoring"), "0", "change of priority; 0: a fault"),
		kw("quorum", number(1, 65535), "1", "smallest number of processes that is up"),
		kw("quorum_max", number(0, 65535), "unlimited", "largest number of processes that is up"),
		kw("delay", seconds(0.000001, 3600), "0", "fork_delay and terminate_delay"),
		kw("fork_delay", seconds(0.000001, 3600), "0", "how long it must be up to count"),
		kw("terminate_delay", seconds(0.000001, 3600), "0", "how long it must be down to count"),
		kw("full_command", bare(), "off", "look at the whole command line instead of the name"),
	)
	b.open = defines("track_process")
	return b.needs("process", "track process '%s' process name not specified")
}

func scriptBlock() *block {
	b := vocabulary("vrrp_script",
		kw("script", cmd().as("CMD").soft("vrrp_script has no script"), "", "the command; required"),
		kw("interval", seconds(0.000001, 4294), "1", "period of the runs"),
		kw("timeout", seconds(0, 4294), "interval", "how long a run may take"),
		kw("weight", weight(-253, 253), "0", "change of priority; 0: failure is a fault"),
		kw("fall", number(1, 1<<31-1), "1", "failures in a row that make it down"),
		kw("rise", number(1, 1<<31-1), "1", "successes in a row that make it up"),
		kw("user", several("USER [GROUP]"), "script_user", "user that runs it"),
		kw("init_fail", bare(), "off", "down until it has succeeded"),
	)
	b.open = defines("track_script")
	b.close = closeScript
	return b
}
