// Package act is what a client may have changed in a running daemon, and the one way to
// it:
//
//	client ──HTTP──▶ control process ──link.Act──▶ parent ──link.Act──▶ process that it concerns
//	                              ◀──link.Done──        ◀──link.Done──
//
// The control process knows who asks and whether they may. The parent logs the act, notes
// it for the history and passes it on. The process does it on its loop and replies, at once
// or later, with a result or a refusal.
//
// A new act is a row of [Kinds] and a case where the process of its role takes acts:
// vrrpd/act.go, checkd/act.go, supervisor/acts.go. With the row it has its endpoint of the
// control socket, its limits, its line in the log and its event in the history. Any part
// of the control process that has acts done, such as SNMP or D-Bus, calls [Asker.Do] of
// the asker that controld.Run makes, after it has found out by its own means whether the
// client may.
package act

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Kind is what is to be done.
type Kind string

// The kinds.
const (
	Reload     Kind = "reload"      // read the configuration again; the result is an api.Configuration
	Plan       Kind = "plan"        // read the configuration and report what a reload would change; the result is an api.Plan
	Dump       Kind = "dump"        // write the state of every process into its file, as SIGUSR1
	Stats      Kind = "stats"       // write the statistics, as SIGUSR2
	Clear      Kind = "clear"       // write the statistics and begin them again, as SIGRTMAX-1
	Announce   Kind = "announce"    // send the gratuitous ARP and neighbour adverts of a master again
	Hold       Kind = "hold"        // have a virtual router stay backup, even if there is no master
	Priority   Kind = "priority"    // add Value to the priority of a virtual router; 0 ends that
	Switchover Kind = "switchover"  // hand a virtual router over to a backup, and then leave that alone
	Drain      Kind = "drain"       // send real servers no new connections
	Disable    Kind = "disable"     // have real servers count as down
	Weight     Kind = "weight"      // give real servers the weight Value instead of the configured one
	Enable     Kind = "enable"      // undo drain and disable
	Release    Kind = "release"     // undo the intents about Name
	TestNotify Kind = "test-notify" // report State as if Name had entered it; the result is an api.Tested
)

// Row is what is known of a kind of act.
type Row struct {
	Kind  Kind
	Role  string // whose process does it; empty: the parent, or the one that has Name
	Takes Fields // of an Act
	Needs Fields // of these: an act without them is refused
	// Keeps makes an [Intent] of an act that is done: it holds until it is released.
	Keeps   bool
	Servers bool   // Name is that of [Servers]
	Least   int    // Value from here
	Most    int    // to here
	Undoes  []Kind // intents that it ends
	Doc     string // what it does, for the description of the control socket
}

// Fields is a set of the fields of an [Act]. Reason and By belong to each.
type Fields uint8

// The fields.
const (
	Name Fields = 1 << iota
	Value
	For
	Force
	State
)

var fieldNames = []string{"name", "value", "for", "force", "state"}

// String lists the fields by their names in JSON.
func (f Fields) String() string {
	var names []string
	for i, name := range fieldNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// Kinds is the table of all acts.
var Kinds = []Row{
	{Kind: Announce, Role: "vrrp", Takes: Name, Needs: Name, Doc: "Announce the addresses of a master again"},
	{Kind: Clear, Doc: "Write the statistics into their file, and begin to count again"},
	{Kind: Dump, Doc: "Write the state of every process into its file"},
	{Kind: Stats, Doc: "Write the statistics into their file"},
	{Kind: Hold, Role: "vrrp", Takes: Name | For, Needs: Name, Keeps: true, Doc: "Have a virtual router or a sync group stay backup, even if there is no master; a master makes way"},
	{Kind: Priority, Role: "vrrp", Takes: Name | Value | For, Needs: Name, Keeps: true, Least: -mostAdded, Most: mostAdded, Doc: "Add value to the priority of a virtual router; 0 ends that"},
	{Kind: Drain, Role: "checkers", Takes: Name | For | Force, Needs: Name, Keeps: true, Servers: true, Doc: "Send real servers no new connections, and let those that they have go on"},
	{Kind: Disable, Role: "checkers", Takes: Name | For | Force, Needs: Name, Keeps: true, Servers: true, Doc: "Have real servers count as down, whatever their checks find"},
	{Kind: Weight, Role: "checkers", Takes: Name | Value | For | Force, Needs: Name | Value, Keeps: true, Servers: true, Least: 1, Most: math.MaxInt32, Doc: "Give real servers the weight value instead of the configured one"},
	{Kind: Enable, Takes: Name, Needs: Name, Undoes: []Kind{Drain, Disable}, Doc: "Undo drain and disable of real servers"},
	{Kind: Release, Takes: Name, Needs: Name, Undoes: []Kind{Hold, Priority, Switchover, Drain, Disable, Weight}, Doc: "Undo all that is in force about that name"},
	{Kind: Switchover, Role: "vrrp", Takes: Name | For | Force, Needs: Name, Keeps: true, Doc: "Hand a virtual router or a sync group over to a backup, without a gap, and leave that master alone from then on"},
	{Kind: TestNotify, Takes: Name | State, Needs: Name, Doc: "Report a state as if it had been entered, by the scripts, FIFOs and mail that are configured, and return what has become of each report; afterwards the present state is reported again"},
	{Kind: Plan, Doc: "Read the configuration and report what a reload would change, without any change"},
	{Kind: Reload, Doc: "Read the configuration again; the answer comes when that is done or refused"},
}

// RowOf is the row of a kind; nil: there is none.
func RowOf(k Kind) *Row {
	i := slices.IndexFunc(Kinds, func(r Row) bool { return r.Kind == k })
	if i < 0 {
		return nil
	}
	return &Kinds[i]
}

// Act is a change that a client asks for.
type Act struct {
	Kind   Kind   `json:"-"`
	Name   string `json:"name,omitempty" doc:"of the vrrp_instance, or of a vrrp_sync_group where a group can do it; of drain, enable, disable and weight: ADDRESS or ADDRESS:PORT of real servers, or the name of one, behind that of a virtual server and a blank if it is about that alone; of test-notify: any of these, or a virtual server"`
	Value  int    `json:"value,omitempty" doc:"number"`
	For    int    `json:"for,omitempty" doc:"seconds after which it is undone; without it: when it is released"`
	Force  bool   `json:"force,omitempty" doc:"do it even if that interrupts the service"`
	State  string `json:"state,omitempty" doc:"of test-notify: the word that a notify_fifo would get, such as MASTER, or UP; without it: that of the present state"`
	Reason string `json:"reason,omitempty" doc:"why, for the log and the history"`
	By     By     `json:"-"`
}

// By is who asks.
type By struct {
	UID  uint32
	PID  int32  // 0: unknown
	Over string // the way by which they ask, such as "the control socket"
	Name string // as which they are known there, such as a bus name; empty: by the uid alone
}

// String is who asks, for the log: "uid 0, pid 7, over the control socket".
func (b By) String() string {
	who := fmt.Sprintf("uid %d", b.UID)
	if b.Name != "" {
		who = b.Name + ", " + who
	}
	if b.PID != 0 {
		who += fmt.Sprintf(", pid %d", b.PID)
	}
	return who + ", over " + b.Over
}

// String is what is asked for: "announce VI_1".
func (a *Act) String() string { return strings.TrimSpace(string(a.Kind) + " " + a.Object()) }

// Object is what the act is about; empty: the daemon.
func (a *Act) Object() string { return a.Name }

// Lasts is the end of a sentence: until when what the act has done is in force.
func (a *Act) Lasts() string {
	if a.For == 0 {
		return " until it is released"
	}
	return fmt.Sprintf(" for %v", time.Duration(a.For)*time.Second)
}

const (
	maxName   = 255 // bytes of a name
	maxReason = 200 // bytes of a reason
	mostAdded = 253 // to a priority: from one end of the range to the other
	// MaxFor is for how long an act may last that ends by itself, in seconds: a year.
	MaxFor = 366 * 24 * 60 * 60
)

// Check returns why the act cannot be done, whatever the state of the daemon; it is then
// an [Invalid] error.
func (a *Act) Check() error {
	row := RowOf(a.Kind)
	if row == nil {
		return Refuse(Invalid, "there is no act %q", cut(string(a.Kind), maxName))
	}
	has := a.fields()
	if more := has &^ row.Takes; more != 0 {
		return Refuse(Invalid, "%s takes no %s", a.Kind, more)
	}
	if less := row.Needs &^ has; less != 0 {
		if less == Value {
			return Refuse(Invalid, "%s needs value, from %d to %d", a.Kind, row.Least, row.Most)
		}
		return Refuse(Invalid, "%s needs %s", a.Kind, less)
	}
	if a.For < 0 || a.For > MaxFor {
		return Refuse(Invalid, "%s for %d s: it may be 1 to %d s", a.Kind, a.For, MaxFor)
	}
	if a.Value < row.Least || a.Value > row.Most {
		return Refuse(Invalid, "%s with the value %d: it may be %d to %d", a.Kind, a.Value, row.Least, row.Most)
	}
	for _, t := range []struct {
		what, text string
		most       int
	}{{"the name", a.Name, maxName}, {"the reason", a.Reason, maxReason}, {"the state", a.State, maxName}, {"the name of the client", a.By.Name, maxName}, {"the way", a.By.Over, maxName}} {
		if len(t.text) > t.most {
			return Refuse(Invalid, "%s has %d bytes; it may have %d", t.what, len(t.text), t.most)
		}
		if !utf8.ValidString(t.text) || strings.ContainsFunc(t.text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return Refuse(Invalid, "%s has characters that cannot be printed", t.what)
		}
	}
	if row.Servers {
		_, err := ParseServers(a.Name)
		return err
	}
	return nil
}

// fields are those that the act has.
func (a *Act) fields() (f Fields) {
	if a.Name != "" {
		f |= Name
	}
	if a.Value != 0 {
		f |= Value
	}
	if a.For != 0 {
		f |= For
	}
	if a.Force {
		f |= Force
	}
	if a.State != "" {
		f |= State
	}
	return f
}

// cut is s, or its beginning.
func cut(s string, most int) string { return strings.ToValidUTF8(s[:min(len(s), most)], "") }

// Code is the kind of a refusal.
type Code uint8

// The codes.
const (
	Impossible  Code = iota + 1 // in the present state of the daemon
	Unknown                     // it is about something that does not exist
	Invalid                     // no daemon would do it
	Unavailable                 // the process does not run, does not answer or has too much to do
)

// Refusal is the error of an act that is not done.
type Refusal struct {
	Code Code
	Why  string
}

func (r *Refusal) Error() string { return r.Why }

// Refuse returns a [Refusal].
func Refuse(code Code, format string, args ...any) error {
	return &Refusal{code, fmt.Sprintf(format, args...)}
}

// Result is the answer to an act.
type Result struct {
	Body []byte // what has come of it, as JSON; nil: it was refused
	Code Code   // of the refusal
	Why  string // of the refusal
}

// maxBody bounds a result, in bytes.
const maxBody = 512 << 10

// Answer is the result of an act that ended with v or, if err is not nil, with err. An error
// that is no [Refusal] is Impossible.
func Answer(v any, err error) Result {
	var body []byte
	if err == nil {
		body, err = json.Marshal(v)
	}
	if err == nil && len(body) > maxBody {
		err = fmt.Errorf("it is done; its result has %d bytes, and at most %d are passed on", len(body), maxBody)
	}
	if err == nil {
		return Result{Body: body}
	}
	var r *Refusal
	if !errors.As(err, &r) {
		r = &Refusal{Impossible, err.Error()}
	}
	return Result{Code: r.Code, Why: r.Why}
}

// Err is the refusal, nil if there is none.
func (r *Result) Err() error {
	if r.Code == 0 {
		return nil
	}
	return &Refusal{r.Code, r.Why}
}

// Reply ends an act. It is called once, on the loop of the process or beside it.
type Reply func(result any, err error)

// SwitchoverPatience is the patience with a switchover, in which a backup waits for some
// adverts.
const SwitchoverPatience = 2 * time.Minute

// Patience is how long a client waits for the result of an act of the kind: longer than it
// takes, but for a process that hangs.
func (k Kind) Patience() time.Duration {
	if k == Switchover {
		return SwitchoverPatience
	}
	return 25 * time.Second
}
