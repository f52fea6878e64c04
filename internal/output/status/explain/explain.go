// Package explain puts the state of a daemon into sentences: why a virtual router is
// master or not, what would change that, and what is wrong with the daemon.
//
// Each sentence has a code, which programs read; the text is for people. It is a pure
// function of the model (package api).
package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/vrrp"
)

// Part is what a sentence is about.
type Part string

// The parts of an explanation, in their order.
const (
	Verdict  Part = "verdict"  // the state, and why it is that one
	Stale    Part = "stale"    // why this is not of the present
	Cause    Part = "cause"    // what led into the state
	Blocker  Part = "blocker"  // what keeps it from being master
	Priority Part = "priority" // how its priority comes about
	Change   Part = "change"   // what would change the state
	Rejected Part = "rejected" // adverts that it dropped
	Noticed  Part = "noticed"  // what else it has reported since it entered its state
)

// Sentence is one sentence of an explanation.
type Sentence struct {
	Part Part   `json:"part" doc:"what it is about: verdict, stale, cause, blocker, priority, change, rejected or noticed"`
	Code string `json:"code" doc:"what it says, for programs"`
	Text string `json:"text" doc:"the sentence"`
}

// Explanation is why a virtual router is in its state.
type Explanation struct {
	At        time.Time  `json:"at" doc:"of when the state is"`
	Instance  string     `json:"instance" doc:"name of the virtual router"`
	State     string     `json:"state" doc:"INIT, BACKUP, MASTER, FAULT or STOP"`
	Sentences []Sentence `json:"sentences" doc:"in their order: the verdict first"`
}

// most is how many things of one kind are named, for example members of a group.
const most = 8

// clauses are the causes of changes of state, for those that have no sentence of their own.
var clauses = map[string]string{
	"none":               "the cause is not known",
	"start":              "the daemon has started",
	"owner":              "the owner of the address becomes master at once",
	"master-down":        "the master fell silent",
	"priority-zero":      "the master has stopped",
	"higher-priority":    "a master with a higher priority was heard",
	"higher-address":     "a master with the same priority and a higher address was heard",
	"fault":              "a fault came up",
	"fault-cleared":      "no fault is left",
	"group":              "another member of its sync group changed",
	"address-lost":       "another program removed an address",
	"stall":              "this process was late by longer than peers wait",
	"resumed":            "it continues after its predecessor",
	"shutdown":           "it was told to stop",
	"sequence-exhausted": "the sequence numbers of AH are used up",
	"no-master":          "no master was heard",
	"preempt":            "the master had a lower priority",
	"adverts-rejected":   "the adverts of the master were dropped",
	"session-down":       "the BFD session with the master went down",
	"held":               "an operator holds this node in BACKUP",
	"handed-over":        "another node has taken over in a planned switchover",
	"firewall":           "no adverts are heard, and a firewall on this machine blocks sent adverts",
}

// remedies are the faults, and when each is over.
var remedies = map[string]struct{ is, over string }{
	"link-missing":   {"an interface that it needs does not exist", "that interface exists and is up"},
	"link-down":      {"an interface that it needs is down", "that interface is up and has a carrier"},
	"no-source":      {"its interface has no address of its family to send adverts from", "the interface has an address of that family"},
	"source-missing": {"its configured source address is not on this machine", "that address is on an interface of this machine"},
	"no-peers":       {"it has no unicast peer", "unicast_peer names a peer and the configuration is read again"},
	"tracker":        {"a tracker of weight 0 has failed", "each tracker of weight 0 succeeds"},
	"group":          {"another member of its sync group has a fault", "no member of its sync group has a fault"},
	"config":         {"its configuration cannot be run", "the configuration is corrected and read again"},
	"socket":         {"its socket cannot be opened", "the socket can be opened; it is tried again"},
	"removed":        {"another program removed what it must hold as master", "the configuration is read again (HUP)"},
}

// obstacles are what keeps a backup from being master that could be: the word before the
// hindrance, and when it is over.
var obstacles = map[string]struct{ by, over string }{
	"start-delay":   {"the ", "the start-up delay has passed"},
	"nopreempt":     {"", "the present master stops, or falls silent for longer than %v; without nopreempt it would take over at once"},
	"preempt-delay": {"", "the delay has passed, or the present master falls silent for longer than %v"},
	"group":         {"", "each member of its sync group can be master"},
	"held":          {"a hold: ", "it is released (keepalived release)"},
	"leaves-master": {"a switchover: ", "the present master stops, or falls silent for longer than %v; released (keepalived release) it would take over at once"},
}

// builder collects the sentences about one virtual router.
type builder struct {
	*api.Instance
	status *api.Status
	was    string // is, or was: of the last state that is known
	at     time.Time
	out    []Sentence
}

func (t *builder) add(part Part, code, format string, args ...any) {
	t.out = append(t.out, Sentence{part, code, line(format, args...)})
}

// Instance explains the virtual router of that name; nil: there is none, or the VRRP
// process has never answered.
func Instance(s *api.Status, name string) *Explanation {
	if s.VRRP == nil {
		return nil
	}
	i := 0
	for i < len(s.VRRP.Instances) && s.VRRP.Instances[i].Name != name {
		i++
	}
	if i == len(s.VRRP.Instances) {
		return nil
	}
	t := builder{Instance: &s.VRRP.Instances[i], status: s, was: "is", at: s.VRRP.At}
	if s.VRRP.Stale != "" {
		t.was = "was"
	}
	t.verdict()
	t.process()
	t.blockers()
	t.priority()
	if s.VRRP.Stale == "" && s.VRRP.Running && !s.Node.Stopping {
		t.change()
	}
	t.rejected()
	t.noticed()
	return &Explanation{At: s.VRRP.At, Instance: name, State: t.State, Sentences: t.out}
}

// has is the word to go with is or was.
var has = map[string]string{"is": "has", "was": "had"}

// because is a cause as the end of a sentence.
func because(cause, why string) string {
	if why != "" && cause != "group" { // its words say no more than the code
		return why
	}
	if clause, ok := clauses[cmp.Or(cause, "none")]; ok {
		return clause
	}
	return "the cause is " + cause
}

func (t *builder) verdict() {
	state := fmt.Sprintf("%s %s %s", t.Name, t.was, t.State)
	if t.Since != nil {
		state += " for " + Age(t.at.Sub(*t.Since))
	}
	why := because(t.Instance.Cause, t.Why)
	entered := t.Instance.Cause != ""
	m := t.Master
	switch {
	case t.State == "INIT" || !t.status.VRRP.Running:
		t.add(Verdict, "init", "%s %s not started.", t.Name, has[t.was])
	case t.State == "BACKUP" && m == nil:
		t.add(Verdict, "backup-unheard", "%s: it has heard no master.", state)
	case t.State == "BACKUP" && m.Priority > t.Priority.Effective:
		t.add(Verdict, "backup-higher", "%s because %s, with the higher priority %d, %s master.", state, m.Address, m.Priority, t.was)
	case t.State == "BACKUP" && m.Priority == t.Priority.Effective:
		t.add(Verdict, "backup-equal", "%s because %s, with the same priority %d, %s master.", state, m.Address, m.Priority, t.was)
	case t.State == "BACKUP":
		t.add(Verdict, "backup-lower", "%s although the master %s %s the lower priority %d.", state, m.Address, has[t.was], m.Priority)
	case t.State == "FAULT" && t.Fault != "":
		t.add(Verdict, "fault", "%s: %s.", state, t.Fault)
		entered = t.Why != "" && t.Why != t.Fault
	default:
		t.add(Verdict, strings.ToLower(t.State), "%s: %s.", state, why)
		entered = false
	}
	if old := t.status.VRRP.Stale; old != "" {
		t.add(Stale, "stale", "The VRRP process does not answer: %s. This is the last that is known, %s old.", old, Age(t.status.At.Sub(t.at)))
	}
	if entered {
		t.add(Cause, t.Instance.Cause, "It entered %s: %s.", t.State, why)
	}
}

// process is what the process or the daemon as a whole keeps it from.
func (t *builder) process() {
	if t.status.Node.Stopping {
		t.add(Blocker, "stopping", "The daemon is about to end.")
	}
	if p := processNamed(t.status, "vrrp"); p != nil && p.PID == 0 {
		t.add(Blocker, "process-down", "%s", processText(t.status, p))
	} else if !t.status.VRRP.Running {
		t.add(Blocker, "not-running", "The virtual routers have not begun.")
	}
}

func (t *builder) blockers() {
	if t.WaitsFor != "" {
		t.add(Blocker, "waits-for", "It waits for the first result of %s.", t.WaitsFor)
	}
	for n, code := range t.Faults {
		text := remedies[code].is
		if text == "" {
			text = "there is the fault " + code
		}
		if n == 0 && t.Fault != "" {
			text = t.Fault
		}
		if code != "tracker" || !t.trackers() {
			t.add(Blocker, code, "%s.", upper(text))
		}
	}
	t.intents()
	if o, ok := obstacles[t.Obstacle]; ok {
		t.add(Blocker, t.Obstacle, "It is kept from MASTER by %s%s.", o.by, t.Hindrance)
	}
	if slices.Contains(t.Faults, "group") || t.Obstacle == "group" || t.State == "FAULT" && len(t.Faults) == 0 {
		t.members()
	}
	if set := t.set(); t.Held && set < len(t.Addresses) {
		t.add(Blocker, "address-missing", "The kernel has confirmed %d of its %s.", set, count(len(t.Addresses), "address", "addresses"))
	}
}

// intents are what operators have asked for that concerns it.
func (t *builder) intents() {
	for i := range t.status.Intents {
		if n := &t.status.Intents[i]; n.Name == t.Name || t.Group != "" && n.Name == t.Group {
			t.add(Blocker, "operator", "%s", IntentText(n, t.status.At))
		}
	}
}

// IntentText is the sentence about what an operator has asked for.
func IntentText(n *api.Intent, now time.Time) string {
	text := "An operator holds " + n.Name + " in BACKUP"
	switch n.Kind {
	case "drain":
		text = "An operator has stopped new connections to " + n.Name
	case "disable":
		text = "An operator has disabled " + n.Name
	case "weight":
		text = fmt.Sprintf("An operator has given %s the weight %d", n.Name, n.Value)
	case "priority":
		text = fmt.Sprintf("An operator has changed the priority of %s by %+d", n.Name, n.Value)
	case "switchover":
		text = "After a switchover of " + n.Name + " this node leaves the other master alone"
	}
	text += ", as asked for " + Age(now.Sub(n.Since)) + " ago"
	if n.Until != nil {
		text += " and for " + Age(max(0, n.Until.Sub(now))) + " more"
	}
	text += " (" + n.By + ")"
	if n.Reason != "" {
		text += ": " + n.Reason
	}
	return text + "; keepalived release " + n.Name + " ends that."
}

// set is how many of the addresses the kernel has confirmed.
func (t *builder) set() (n int) {
	for i := range t.Addresses {
		if t.Addresses[i].Set {
			n++
		}
	}
	return n
}

// trackers reports which of them are a fault, and whether any is.
func (t *builder) trackers() (found bool) {
	n := 0
	for i := range t.Trackers {
		r := &t.Trackers[i]
		if !r.Fault {
			continue
		}
		if n++; n > most {
			continue
		}
		detail := ""
		if r.Detail != "" {
			detail = ": " + r.Detail
		}
		t.add(Blocker, "tracker-fault", "%s %s is %s, with weight %s%s.", upper(r.Kind), r.Name, r.State, weight(r), detail)
	}
	t.rest(n, "tracker", "trackers")
	return n > 0
}

// rest names how many are left out.
func (t *builder) rest(n int, one, many string) {
	if n > most {
		t.add(Blocker, "more", "And %s.", count(n-most, "more "+one, "more "+many))
	}
}

func weight(r *api.Tracking) string {
	if r.Reverse {
		return fmt.Sprintf("%d reverse", r.Weight)
	}
	return fmt.Sprint(r.Weight)
}

// members are those of its sync group that have a fault or have not started.
func (t *builder) members() {
	n := 0
	for i := range t.status.VRRP.Instances {
		m := &t.status.VRRP.Instances[i]
		if m.Name == t.Name || m.Group != t.Group || t.Group == "" {
			continue
		}
		own := slices.ContainsFunc(m.Faults, func(code string) bool { return code != "group" })
		if !own && m.State != "INIT" {
			continue
		}
		if n++; n > most {
			continue
		}
		why := ""
		switch {
		case own && m.Fault != "":
			why = ": " + m.Fault
		case m.WaitsFor != "":
			why = ": it waits for " + m.WaitsFor
		}
		t.add(Blocker, "member", "Member %s of its sync group %s %s %s%s.", m.Name, t.Group, t.was, m.State, why)
	}
	t.rest(n, "member", "members")
}

func (t *builder) priority() {
	p := &t.Priority
	switch {
	case p.Owner:
		t.add(Priority, "owner", "Its priority is %d: this node owns the addresses.", p.Effective)
	case p.Arithmetic != "":
		t.add(Priority, "arithmetic", "Its priority is %d: %s.", p.Effective, p.Arithmetic)
	default:
		t.add(Priority, "configured", "Its priority is %d, as configured.", p.Effective)
	}
	if !p.Owner && p.Total != int(p.Effective) {
		t.add(Priority, "limited", "The sum %d is outside the range of priorities, 1 to 254.", p.Total)
	}
	n := 0
	for i := range t.Trackers {
		r := &t.Trackers[i]
		if p.Owner || r.Weight == 0 || r.Kind == "track_file" || r.State != "up" && r.State != "down" || (r.State == "down") == r.Reverse {
			continue
		}
		if n++; n <= most {
			t.add(Priority, "tracker-costs", "It would be higher by %d if %s %s were %s.", max(r.Weight, -r.Weight), r.Kind, r.Name, map[string]string{"up": "down", "down": "up"}[r.State])
		}
	}
}

func (t *builder) change() {
	silent := Span(t.MasterDown.Duration())
	m, own := t.Master, t.Priority.Effective
	switch {
	case len(t.Faults) > 0 || t.State == "FAULT":
		for _, code := range t.Faults {
			if over := remedies[code].over; over != "" {
				t.add(Change, code, "It takes part again when %s.", over)
			}
		}
	case t.State == "INIT":
		if t.WaitsFor != "" {
			t.add(Change, "waits-for", "It starts as %s when %s has reported.", t.Wanted, t.WaitsFor)
		}
	case t.Obstacle != "":
		over := obstacles[t.Obstacle].over
		if strings.Contains(over, "%v") {
			over = fmt.Sprintf(over, silent)
		}
		t.add(Change, t.Obstacle, "It becomes MASTER when %s.", over)
	case t.State == "BACKUP" && m == nil:
		when := "when its timer ends"
		if t.Timer != nil {
			when = "in " + Span(max(0, t.Timer.Sub(t.at)))
		}
		at := fmt.Sprintf(" with a priority of at least %d", own)
		if t.NoPreempt {
			at = ""
		}
		t.add(Change, "timer", "It becomes MASTER %s, unless it hears an advert%s before.", when, at)
	case t.State == "BACKUP":
		t.add(Change, "silence", "It becomes MASTER when no advert has come from %s for %s, or when that node stops.", m.Address, silent)
		switch {
		case m.Priority < own:
		case m.Priority == 255:
			t.add(Change, "owner", "No priority exceeds 255: that node owns the addresses.")
		case m.Priority == 254:
			t.add(Change, "highest", "No priority of a node that does not own the addresses exceeds 254; lower that of %s.", m.Address)
		case t.NoPreempt:
			t.add(Change, "nopreempt", "A higher priority alone does not make it MASTER: nopreempt is set.")
		default:
			t.add(Change, "priority", "It also takes over when its priority is above %d: raise it by %d, or lower that of %s.", m.Priority, int(m.Priority)-int(own)+1, m.Address)
		}
	case t.State == "MASTER" && t.Priority.Owner:
		t.add(Change, "owner", "It stays MASTER until it has a fault or is stopped.")
	case t.State == "MASTER":
		higher := ""
		if t.Source != "" {
			higher = fmt.Sprintf(", or with priority %d from an address above %s", own, t.Source)
		}
		t.add(Change, "master", "It stays MASTER until it hears an advert with a priority above %d%s, has a fault or is stopped.", own, higher)
	}
}

// quiet are reasons to drop packets that are no sign of anything wrong.
var quiet = []vrrp.Reject{vrrp.RejectNone, vrrp.RejectInactive, vrrp.RejectVRID, vrrp.RejectFamily, vrrp.RejectOwnAddress, vrrp.RejectOwner}

func (t *builder) rejected() {
	for r := vrrp.Reject(0); ; r++ {
		name := r.String()
		if name == fmt.Sprint(uint8(r)) {
			return // that was the last one
		}
		if n := t.Instance.Rejected[name]; n > 0 && !slices.Contains(quiet, r) {
			t.add(Rejected, name, "It has dropped %s: %s.", count(int(n), "packet", "packets"), r.Text())
		}
	}
}

// notices are the notices that no other part reports.
var notices = []vrrp.Note{
	vrrp.NoteOwnAddressReceived, vrrp.NoteOwnerConflict, vrrp.NoteStall, vrrp.NoteClockSkew,
	vrrp.NoteAddressCountMismatch, vrrp.NoteAddressMismatch, vrrp.NoteNotTakenOver,
}

// noticed repeats the last notice of each kind since the state was entered.
func (t *builder) noticed() {
	for _, note := range notices {
		for k := range slices.Backward(t.Notices) {
			n := &t.Notices[k]
			if n.Cause != note.String() || t.Since != nil && n.At.Before(*t.Since) {
				continue
			}
			t.add(Noticed, n.Cause, "It reported %s ago: %s.", Age(t.at.Sub(n.At)), n.Why)
			break
		}
	}
}

// line is one line of text: what others have written may have more than that.
func line(format string, args ...any) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, fmt.Sprintf(format, args...))
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// upper begins a sentence; a word of the language stays as it is.
func upper(s string) string {
	if word, _, _ := strings.Cut(s, " "); s == "" || strings.Contains(word, "_") {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// Age is a duration in its largest unit: 3 d, 5 h, 12 min, 45 s.
func Age(d time.Duration) string {
	switch d = max(d, 0); {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d d", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// Span is a duration of a protocol or a timer, to the hundredth of a second.
func Span(d time.Duration) string {
	text := fmt.Sprintf("%.2f", d.Seconds())
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + " s"
}
