// Package api is what the control socket answers: the state of the whole daemon, typed
// and versioned. Programs read it as JSON; the verbs of the command line, the metrics
// and the page are views of the same values.
//
// Each field is declared once: its tag doc is its documentation, which docs/status.md
// lists. Times are RFC 3339 in UTC, durations are seconds. A field without a value is
// left out where its documentation says "if".
package api

import (
	"time"

	"keepalived-go/internal/output/status"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/proc/loop"
)

// Version is the version of the model. It changes when a field changes its meaning or
// goes; a new field does not change it.
const Version = 1

// Status is the state of a daemon. The parent process knows what is not of one of the
// others.
type Status struct {
	Version       int           `json:"version" doc:"of this model: 1"`
	At            time.Time     `json:"at" doc:"when this was put together"`
	Node          Node          `json:"node" doc:"the daemon"`
	Processes     []Process     `json:"processes" doc:"its processes besides the parent, in the order of their start"`
	Configuration Configuration `json:"configuration" doc:"what it runs"`
	Intents       []Intent      `json:"intents,omitempty" doc:"what clients have asked for that is in force until it is released"`
	Acts          []PastAct     `json:"acts,omitempty" doc:"the last things that were done or refused for a client, at most 64, oldest first"`
	VRRP          *VRRP         `json:"vrrp,omitempty" doc:"virtual routers, if the VRRP process is wanted and has answered once"`
	LVS           *LVS          `json:"lvs,omitempty" doc:"virtual servers, if the health-check process is wanted and has answered once"`
	BFD           *BFD          `json:"bfd,omitempty" doc:"BFD sessions, if the BFD process is wanted and has answered once"`
}

// Node is a daemon.
type Node struct {
	Host         string    `json:"host" doc:"name of the machine"`
	Release      string    `json:"release" doc:"of keepalived"`
	PID          int       `json:"pid" doc:"of the parent process"`
	Started      time.Time `json:"started" doc:"when it was"`
	Instance     string    `json:"instance,omitempty" doc:"name of the configuration (instance), if it has one"`
	NetNamespace string    `json:"net_namespace,omitempty" doc:"network namespace that the configuration or -s names, if one does"`
	Stopping     bool      `json:"stopping" doc:"it is about to end"`
}

// Process is a process that the parent starts.
type Process struct {
	Name    string     `json:"name" doc:"vrrp, checkers, bfd or control"`
	Wanted  bool       `json:"wanted" doc:"the configuration has work for it"`
	PID     int        `json:"pid,omitempty" doc:"if it runs"`
	Started *time.Time `json:"started,omitempty" doc:"when the present one was, if it runs"`
	Serves  bool       `json:"serves" doc:"it runs the configuration"`
	Deaths  int        `json:"deaths" doc:"how many processes of this kind have ended without being asked to"`
	Next    *time.Time `json:"next_start,omitempty" doc:"when it is started again, if that waits"`
}

// Configuration is what the daemon runs.
type Configuration struct {
	File      string    `json:"file" doc:"its name, as the command line has it"`
	Read      time.Time `json:"read" doc:"when the one in force was read"`
	Reloads   int       `json:"reloads" doc:"how often a later one has taken its place"`
	Errors    int       `json:"errors" doc:"which the one in force has; the log lists them"`
	Reloading bool      `json:"reloading" doc:"a later one is being read or taken up"`
	Refused   *Refusal  `json:"refused,omitempty" doc:"the last reload, if it was refused"`
}

// Plan is what a reload would change.
type Plan struct {
	File      string    `json:"file" doc:"its name, as the command line has it"`
	Refused   string    `json:"refused,omitempty" doc:"why the reload would be refused, if it would; nothing changes then"`
	Errors    []string  `json:"errors,omitempty" doc:"which the file has, at most 20"`
	Changes   string    `json:"changes,omitempty" doc:"words whose values change, each below its block, as keepalived config --diff shows them; stars for secrets"`
	Fixed     []string  `json:"fixed,omitempty" doc:"words that differ, and change at a restart alone"`
	Routers   Effects   `json:"virtual_routers" doc:"what becomes of virtual routers"`
	Services  Effects   `json:"virtual_servers" doc:"what becomes of virtual servers"`
	Sessions  Effects   `json:"bfd_sessions" doc:"what becomes of BFD sessions"`
	Processes []Outcome `json:"processes,omitempty" doc:"those that would be started, or would have nothing to do any more"`
}

// Effects are what becomes of the things of a kind.
type Effects struct {
	Same int       `json:"same" doc:"how many are not touched"`
	List []Outcome `json:"list,omitempty" doc:"what becomes of the others, of the first 1000"`
	More int       `json:"more,omitempty" doc:"how many others there are beyond that"`
}

// Outcome is what becomes of something.
type Outcome struct {
	Name   string `json:"name" doc:"its name"`
	Effect string `json:"effect" doc:"what happens to it"`
}

// Refusal is a reload that was refused.
type Refusal struct {
	At      time.Time `json:"at" doc:"when"`
	Reasons []string  `json:"reasons" doc:"why, at most 20"`
}

// Intent is something that a client has asked for and that is in force until it is released.
type Intent struct {
	Kind   string     `json:"kind" doc:"what was asked for: hold, priority, switchover, drain, disable or weight"`
	Name   string     `json:"name" doc:"what it is about"`
	Value  int        `json:"value,omitempty" doc:"of priority: what is added to it; of weight: the number"`
	Reason string     `json:"reason,omitempty" doc:"why, if a reason was given"`
	By     string     `json:"by" doc:"who asked, and by which way"`
	Since  time.Time  `json:"since" doc:"when it was done, in whole seconds"`
	Until  *time.Time `json:"until,omitempty" doc:"when it is released, if that has been set"`
}

// IntentOf is the view of an intent.
func IntentOf(n *act.Intent) Intent {
	v := Intent{Kind: string(n.Kind), Name: n.Name, Value: n.Value, Reason: n.Reason, By: n.By, Since: time.Unix(n.Since, 0).UTC()}
	if n.Until != 0 {
		until := time.Unix(n.Until, 0).UTC()
		v.Until = &until
	}
	return v
}

// PastAct is something that was asked for by a client, and has been done or refused.
type PastAct struct {
	At      time.Time `json:"at" doc:"when it ended"`
	Kind    string    `json:"kind" doc:"what was asked for, such as reload"`
	Name    string    `json:"name,omitempty" doc:"what it was about, if not the daemon"`
	By      string    `json:"by" doc:"who asked, and by which way"`
	Reason  string    `json:"reason,omitempty" doc:"why, if a reason was given"`
	Refused string    `json:"refused,omitempty" doc:"why it was refused, if it was"`
}

// Done is the result of an act that leaves nothing to look at.
type Done struct {
	Result string `json:"result" doc:"what has been done, as a sentence without a full stop"`
}

// Tested is the result of test-notify.
type Tested struct {
	Name    string     `json:"name" doc:"of the virtual router, sync group, virtual server or real server"`
	State   string     `json:"state" doc:"what was reported"`
	Present string     `json:"present" doc:"the state that it is in; if it is another one, it was reported afterwards"`
	Reports []Delivery `json:"reports" doc:"scripts, FIFOs and mail, in this order"`
}

// Delivery is what has become of one report.
type Delivery struct {
	Keyword string  `json:"keyword" doc:"by which it is configured, such as notify_master"`
	To      string  `json:"to" doc:"the command line, the path of the FIFO, or the recipients of the mail"`
	Result  string  `json:"result" doc:"how it ended, with the last line that a script has written"`
	OK      bool    `json:"ok" doc:"whether it has arrived: the script exited with 0, the line was read, the mail was accepted"`
	Took    Seconds `json:"took" doc:"until then"`
}

// TestedOf is the result of a test of the reports of name, which is in the state present.
func TestedOf(name, state, present string, list []status.Delivery) (*Tested, error) {
	if len(list) == 0 {
		return nil, act.Refuse(act.Impossible, "nobody is notified of %s of %s: neither a script nor a FIFO nor mail is configured for it", state, name)
	}
	t := Tested{Name: name, State: state, Present: present}
	for _, d := range list {
		t.Reports = append(t.Reports, Delivery{Keyword: d.Keyword, To: d.To, Result: d.Result, OK: d.OK, Took: seconds(d.Took)})
	}
	return &t, nil
}

// Snapshot is what the answers of all processes have.
type Snapshot struct {
	At    time.Time `json:"at" doc:"when the process was asked: what follows is of then"`
	Stale string    `json:"stale,omitempty" doc:"why the process does not answer any more, if it does not; what follows is the last that it knew"`
	Loop  Loop      `json:"loop" doc:"how well its event loop has kept time since its start"`
}

// Loop is how well an event loop has kept time.
type Loop struct {
	Turns   uint64  `json:"turns" doc:"so far"`
	Longest Seconds `json:"longest_turn" doc:"the longest"`
	Stalls  uint64  `json:"stalls" doc:"turns that took longer than 50 ms"`
	Late    Seconds `json:"latest_timer" doc:"by how much a timer was late at most"`

	Lateness []Bucket `json:"lateness" doc:"turns in which timers, such as those of adverts, expired, by how late the first was"`
}

// Bucket is a number of turns.
type Bucket struct {
	Below Seconds `json:"below,omitempty" doc:"the timer was less late than this, and not less than the bound before; none: the rest"`
	Turns uint64  `json:"turns" doc:"such turns"`
}

// Seconds is a duration in seconds.
type Seconds float64

func seconds(d time.Duration) Seconds { return Seconds(d.Seconds()) }

// Duration is s as a duration, to the microsecond.
func (s Seconds) Duration() time.Duration {
	return time.Duration(float64(s) * float64(time.Second)).Round(time.Microsecond)
}

func loopOf(l *status.Loop) Loop {
	out := Loop{Turns: l.Turns, Longest: seconds(l.Longest), Stalls: l.Stalls, Late: seconds(l.Late)}
	for i, n := range l.Lateness {
		b := Bucket{Turns: n}
		if i < len(loop.LateBounds) {
			b.Below = seconds(loop.LateBounds[i])
		}
		out.Lateness = append(out.Lateness, b)
	}
	return out
}

// moment is t, and nil if there is none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Owner is what notifications are about.
type Owner struct {
	Kind      string     `json:"kind" doc:"VRRP Instance, VRRP Sync Group, Virtual Server or Real Server"`
	Name      string     `json:"name" doc:"its name"`
	Running   string     `json:"running,omitempty" doc:"command of its script that runs, if one does"`
	Since     *time.Time `json:"since,omitempty" doc:"when that was started"`
	Waiting   int        `json:"waiting" doc:"changes that wait for their turn"`
	Overtaken uint64     `json:"overtaken" doc:"changes whose scripts were not run because newer ones had come"`
	Last      string     `json:"last,omitempty" doc:"command of the script that ended last, if one has"`
	Result    string     `json:"last_result,omitempty" doc:"how it ended"`
	Failed    bool       `json:"last_failed" doc:"it did not succeed"`
	Ended     *time.Time `json:"last_ended,omitempty" doc:"when it ended"`
	Disabled  []string   `json:"disabled,omitempty" doc:"scripts that cannot run, and why"`
}

// FIFO is a named pipe for programs.
type FIFO struct {
	Path     string `json:"path" doc:"of the pipe"`
	Disabled string `json:"disabled,omitempty" doc:"why it is not open, if it is not"`
	Written  uint64 `json:"written" doc:"lines"`
	Dropped  uint64 `json:"dropped" doc:"lines, because it was full"`
	Full     bool   `json:"full" doc:"the last line was dropped"`
}

// Mail is the queue of mails.
type Mail struct {
	Server    string `json:"server" doc:"that takes them"`
	Waiting   int    `json:"waiting" doc:"mails that are to be sent"`
	Sent      uint64 `json:"sent" doc:"mails so far"`
	Lost      uint64 `json:"lost" doc:"mails given up, or overtaken by newer ones in a full queue"`
	LastError string `json:"last_error,omitempty" doc:"why the last attempt failed, if it did"`
}

// Notifications is the state of the notifications of a process.
type Notifications struct {
	Owners []Owner `json:"owners,omitempty" doc:"that run scripts"`
	FIFOs  []FIFO  `json:"fifos,omitempty" doc:"that get lines"`
	Mail   *Mail   `json:"mail,omitempty" doc:"if a server is configured"`
}

func notificationsOf(n *status.Notifications) *Notifications {
	if n == nil {
		return nil
	}
	out := &Notifications{}
	for i := range n.Owners {
		o := &n.Owners[i]
		v := Owner{
			Kind: o.Kind, Name: o.Name, Running: o.Command, Since: moment(o.Since), Waiting: o.Waiting, Overtaken: o.Overtaken,
			Last: o.Last.Command, Result: o.Last.Result, Failed: o.Last.Command != "" && !o.Last.OK, Ended: moment(o.Last.Ended),
		}
		for _, d := range o.Disabled {
			v.Disabled = append(v.Disabled, d.Keyword+" "+d.Command+": "+d.Reason)
		}
		out.Owners = append(out.Owners, v)
	}
	for i := range n.FIFOs {
		f := &n.FIFOs[i]
		out.FIFOs = append(out.FIFOs, FIFO{Path: f.Path, Disabled: f.Disabled, Written: f.Written, Dropped: f.Dropped, Full: f.Full})
	}
	if m := &n.Mail; m.Server != "" {
		out.Mail = &Mail{Server: m.Server, Waiting: m.Waiting, Sent: m.Sent, Lost: m.Lost, LastError: m.LastError}
	}
	return out
}
