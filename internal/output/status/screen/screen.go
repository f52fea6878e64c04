// Package screen shows the state of a daemon to people: as one screen, as lists of virtual
// routers, peers and servers, as a history, and with all fields. It is a pure function of
// the model (package api).
package screen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/explain"
	"keepalived-go/internal/output/status/history"
)

const (
	rows  = 40 // of a table on one screen, at most
	lines = 20 // of problems
)

// colorOf are the words that matter.
func colorOf(word string) string {
	switch strings.TrimPrefix(word, "was ") {
	case "MASTER", "up", "Up", "runs", "passed", "OK":
		return green
	case "FAULT", "STOP", "down", "Down", "failed", "CRITICAL", "does not run":
		return red
	case "INIT", "unknown", "disabled", "drains", "suspended", "Init", "WARNING", "starts", "sorry server":
		return yellow
	}
	return ""
}

// Status is the state of a daemon on one screen: what is wrong first, then what serves.
func Status(s *api.Status, o Options) string {
	p := &page{Options: o}
	n := &s.Node
	about := fmt.Sprintf("%s: keepalived %s, pid %d, runs for %s", n.Host, n.Release, n.PID, explain.Age(s.At.Sub(n.Started)))
	if n.NetNamespace != "" {
		about += ", network namespace " + n.NetNamespace
	}
	if n.Instance != "" {
		about += ", instance " + n.Instance
	}
	p.line("%s", about)
	c := &s.Configuration
	about = fmt.Sprintf("Configuration %s, read %s ago, %s", c.File, explain.Age(s.At.Sub(c.Read)), number(c.Reloads, "reload"))
	if c.Reloading {
		about += ", a reload is under way"
	}
	p.line("%s", about)
	p.problems(explain.Problems(s))
	if s.VRRP != nil {
		p.routers(s.VRRP)
		p.groups(s.VRRP)
	}
	if s.LVS != nil {
		p.services(s.LVS)
	}
	if s.BFD != nil {
		p.sessions(s.BFD)
	}
	p.processes(s)
	return p.String()
}

func number(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (p *page) problems(list []explain.Problem) {
	p.line("")
	if len(list) == 0 {
		p.line("Nothing is wrong.")
	}
	for i, one := range list {
		if i == lines {
			p.line("and %d more", len(list)-lines)
			break
		}
		word := one.Severity.String()
		p.sentence(colorOf(word), word, 10, one.Text)
	}
}

// section writes a table with an empty line before it. Of many rows it shows the first;
// those whose state (in column 1) is in bad come first then.
func (p *page) section(heading []string, list [][]string, bad ...string) {
	if len(list) == 0 {
		return
	}
	p.line("")
	rest := map[string]int{}
	left := 0
	if len(list) > rows {
		slices.SortStableFunc(list, func(a, b []string) int {
			return cmp.Compare(order(a[1], bad), order(b[1], bad))
		})
		for _, row := range list[rows:] {
			rest[row[1]]++
		}
		left = len(list) - rows
		list = list[:rows]
	}
	p.table(0, heading, list, func(column int, cell string) string {
		if column == 1 {
			return colorOf(cell)
		}
		return ""
	})
	if left > 0 {
		var text []string
		for _, state := range sortedKeys(rest) {
			text = append(text, fmt.Sprintf("%d %s", rest[state], state))
		}
		p.line("and %d more: %s", left, strings.Join(text, ", "))
	}
}

func order(state string, bad []string) int {
	if slices.Contains(bad, state) {
		return 0
	}
	return 1
}

// was is a state of a process that may not answer any more.
func was(s *api.Snapshot, state string) string {
	if s.Stale != "" {
		return "was " + state
	}
	return state
}

// age is how long ago a moment was; empty: there is none.
func age(now time.Time, at *time.Time) string {
	if at == nil {
		return ""
	}
	return explain.Age(now.Sub(*at))
}

// Headings of tables whose second column is a state, and the states that come first.
var (
	routerHeading  = []string{"VIRTUAL ROUTER", "STATE", "FOR", "PRIORITY", "MASTER", "ADDRESSES"}
	groupHeading   = []string{"SYNC GROUP", "STATE", "MEMBERS"}
	serviceHeading = []string{"VIRTUAL SERVER", "STATE", "FOR", "SERVERS UP", "WEIGHT", "QUORUM"}
	sessionHeading = []string{"BFD SESSION", "STATE", "NEIGHBOUR", "HEARD"}

	badRouters  = []string{"FAULT", "INIT", "STOP"}
	badServices = []string{"down", "sorry server"}
	badSessions = []string{"Down", "unknown"}
)

func (p *page) routers(v *api.VRRP) {
	var list [][]string
	for i := range v.Instances {
		list = append(list, routerRow(v, &v.Instances[i]))
	}
	p.section(routerHeading, list, badRouters...)
}

func routerRow(v *api.VRRP, in *api.Instance) []string {
	master := ""
	switch {
	case in.State == "MASTER":
		master = "this node"
	case in.Master != nil:
		master = fmt.Sprintf("%s, priority %d", in.Master.Address, in.Master.Priority)
	}
	return []string{in.Name, was(&v.Snapshot, in.State), age(v.At, in.Since), fmt.Sprint(in.Priority.Effective), master, addresses(in.Addresses)}
}

// addresses names the first, and how many more there are.
func addresses(list []api.Address) string {
	switch len(list) {
	case 0:
		return ""
	case 1:
		return list[0].Address
	}
	return fmt.Sprintf("%s and %d more", list[0].Address, len(list)-1)
}

func (p *page) groups(v *api.VRRP) {
	var list [][]string
	for i := range v.Groups {
		list = append(list, groupRow(v, &v.Groups[i]))
	}
	p.section(groupHeading, list, badRouters...)
}

func groupRow(v *api.VRRP, g *api.Group) []string {
	members := strings.Join(g.Members[:min(len(g.Members), 6)], ", ")
	if n := len(g.Members) - 6; n > 0 {
		members += fmt.Sprintf(" and %d more", n)
	}
	return []string{g.Name, was(&v.Snapshot, g.State), members}
}

// serviceState is the state of a virtual server in a word.
func serviceState(l *api.LVS, v *api.VirtualServer) string {
	state := history.UpDown(v.Up)
	switch {
	case !l.Running:
		state = "unknown"
	case v.Suspended:
		state = "suspended"
	case v.SorryInUse:
		state = "sorry server"
	}
	return was(&l.Snapshot, state)
}

func (p *page) services(l *api.LVS) {
	var list [][]string
	for i := range l.Services {
		list = append(list, serviceRow(l, &l.Services[i]))
	}
	p.section(serviceHeading, list, badServices...)
}

func serviceRow(l *api.LVS, v *api.VirtualServer) []string {
	return []string{v.Name, serviceState(l, v), age(l.At, v.Since), fmt.Sprintf("%d of %d", v.Alive, len(v.Servers)), fmt.Sprint(v.Weight), fmt.Sprint(v.Quorum)}
}

func (p *page) sessions(b *api.BFD) {
	var list [][]string
	for i := range b.Sessions {
		list = append(list, sessionRow(b, &b.Sessions[i]))
	}
	p.section(sessionHeading, list, badSessions...)
}

func sessionRow(b *api.BFD, s *api.Session) []string {
	state := s.State
	if s.Unknown {
		state = "unknown"
	}
	heard := age(b.At, s.Heard)
	if heard != "" {
		heard += " ago"
	}
	return []string{s.Name, was(&b.Snapshot, state), s.Neighbour, heard}
}

func (p *page) processes(s *api.Status) {
	var list [][]string
	for i := range s.Processes {
		q := &s.Processes[i]
		state, pid := "runs", fmt.Sprint(q.PID)
		switch {
		case q.PID == 0 && !q.Wanted:
			continue
		case q.PID == 0:
			state, pid = "does not run", ""
		case !q.Serves:
			state = "starts"
		}
		deaths := ""
		if q.Deaths > 0 {
			deaths = fmt.Sprint(q.Deaths)
		}
		list = append(list, []string{q.Name, state, age(s.At, q.Started), pid, deaths})
	}
	p.section([]string{"PROCESS", "STATE", "FOR", "PID", "DEATHS"}, list, "does not run")
}

// Check is the line of a monitoring plugin, and its severity.
func Check(s *api.Status) (string, explain.Severity) {
	list := explain.Problems(s)
	worst := explain.Worst(list)
	text := "nothing is wrong"
	if len(list) > 0 {
		text = list[0].Text
		if n := len(list) - 1; n > 0 {
			text += fmt.Sprintf(" (and %s)", number(n, "more problem"))
		}
	}
	states := map[string]int{}
	if s.VRRP != nil {
		for i := range s.VRRP.Instances {
			states[s.VRRP.Instances[i].State]++
		}
	}
	data := fmt.Sprintf("master=%d backup=%d fault=%d", states["MASTER"], states["BACKUP"], states["FAULT"])
	if s.LVS != nil {
		up, servers, all := 0, 0, 0
		for i := range s.LVS.Services {
			v := &s.LVS.Services[i]
			if v.Up {
				up++
			}
			servers, all = servers+v.Alive, all+len(v.Servers)
		}
		data += fmt.Sprintf(" services_up=%d;;;0;%d servers_up=%d;;;0;%d", up, len(s.LVS.Services), servers, all)
	}
	return Line(worst, strings.ReplaceAll(text, "|", "/")+" | "+data), worst
}

// Line is a line of a monitoring plugin.
func Line(s explain.Severity, text string) string {
	return fmt.Sprintf("KEEPALIVED %v - %s", s, plain(text))
}

// Explanations shows why virtual routers are in their states.
func Explanations(list []*explain.Explanation, o Options) string {
	p := &page{Options: o}
	for i, e := range list {
		if i > 0 {
			p.line("")
		}
		for _, s := range e.Sentences {
			if s.Part == explain.Verdict {
				p.sentence(bold, "", 0, s.Text)
				continue
			}
			p.sentence(bold, "  "+string(s.Part), 12, s.Text)
		}
	}
	return p.String()
}

// Servers shows the pools of the virtual servers, with what their checks found last.
func Servers(l *api.LVS, o Options) string {
	p := &page{Options: o}
	if l == nil || len(l.Services) == 0 {
		p.line("There is no virtual server.")
		return p.String()
	}
	if l.Stale != "" {
		p.sentence(red, "", 0, "The health-check process does not answer: "+l.Stale+". This is the last that it knew.")
	}
	for i := range l.Services {
		v := &l.Services[i]
		if i > 0 || l.Stale != "" {
			p.line("")
		}
		about := fmt.Sprintf("%s %s", v.Name, serviceState(l, v))
		if v.Since != nil {
			about += " for " + age(l.At, v.Since)
		}
		about += fmt.Sprintf(", scheduler %s, %d of %s up, weight %d, quorum %d", v.Scheduler, v.Alive, number(len(v.Servers), "server"), v.Weight, v.Quorum)
		if v.Hysteresis != 0 {
			about += fmt.Sprintf(" with hysteresis %d", v.Hysteresis)
		}
		if v.Sorry != "" {
			about += ", sorry server " + v.Sorry
		}
		p.sentence("", "", 0, about)
		var list [][]string
		for k := range v.Servers {
			list = append(list, serverRows(l, &v.Servers[k])...)
		}
		if len(list) > 0 {
			p.table(2, []string{"SERVER", "STATE", "FOR", "WEIGHT", "CHECK", "STATE", "LAST", "RESULT"}, list, func(column int, cell string) string {
				if column == 1 || column == 5 {
					return colorOf(cell)
				}
				return ""
			})
		}
		for k := range v.Servers {
			if r := &v.Servers[k]; r.Order() != nil {
				text := r.Name + ": " + explain.IntentText(r.Order(), l.At)
				if r.Drains() {
					text += " " + Left(r.Connections(v)) + "."
				}
				p.sentence("", "", 2, text)
			}
		}
	}
	return p.String()
}

// Left is a sentence, without a full stop, about connections.
func Left(n uint64) string {
	verb := "are"
	if n == 1 {
		verb = "is"
	}
	return fmt.Sprintf("%s %s left", number(int(n), "connection"), verb)
}

// serverRows are a row for each check of a real server, the first with the server itself.
func serverRows(l *api.LVS, r *api.RealServer) [][]string {
	state := history.UpDown(r.Up)
	switch {
	case !l.Running:
		state = "unknown"
	case r.Disabled():
		state = "disabled"
	case r.Up && r.Drains():
		state = "drains"
	}
	weight := fmt.Sprint(r.Weight)
	if r.Weight != r.Configured {
		weight += fmt.Sprintf(" of %d", r.Configured)
	}
	server := []string{r.Name, was(&l.Snapshot, state), age(l.At, r.Since), weight}
	if len(r.Checks) == 0 {
		return [][]string{append(server, "none", "", "", "")}
	}
	var list [][]string
	for i := range r.Checks {
		c := &r.Checks[i]
		last, result := "", c.Disabled
		if c.Last != nil {
			last = age(l.At, c.Last) + " ago"
			if result = "failed"; c.OK {
				result = "passed"
			}
			if c.Reason != "" {
				result += ": " + c.Reason
			}
			if c.Failures > 0 {
				result += fmt.Sprintf(" (%d of %d forgiven)", c.Failures, c.Retries)
			}
		}
		list = append(list, append(server[:4:4], c.Kind, c.State, last, result))
		server = []string{" ", " ", " ", " "}
	}
	return list
}

// Neighbours are the other nodes of a virtual router.
type Neighbours struct {
	Instance string            `json:"instance" doc:"name of the virtual router"`
	VRID     uint8             `json:"vrid" doc:"virtual router identifier"`
	State    string            `json:"state" doc:"of this node"`
	Master   *api.Master       `json:"master,omitempty" doc:"the other node that is master, if one is known"`
	Peers    []string          `json:"peers,omitempty" doc:"unicast peers; none: adverts are multicast"`
	Rejected map[string]uint64 `json:"rejected,omitempty" doc:"dropped packets by reason"`
	Heard    []api.Neighbour   `json:"heard,omitempty" doc:"who sends adverts for it"`
}

// NeighboursOf are those of each virtual router, and, without an instance, of those that
// this node has not.
func NeighboursOf(v *api.VRRP) []Neighbours {
	list := []Neighbours{}
	if v == nil {
		return list
	}
	heard := map[string][]api.Neighbour{}
	for _, n := range v.Neighbours {
		heard[n.Instance] = append(heard[n.Instance], n)
	}
	for i := range v.Instances {
		in := &v.Instances[i]
		list = append(list, Neighbours{in.Name, in.VRID, was(&v.Snapshot, in.State), in.Master, in.Peers, in.Rejected, heard[in.Name]})
	}
	for _, n := range heard[""] {
		list = append(list, Neighbours{VRID: n.VRID, Heard: []api.Neighbour{n}})
	}
	return list
}

// Peers shows the other nodes of each virtual router: the master that is heard, the peers
// that are configured, and why packets were dropped; and who sends adverts, also for
// virtual routers that this node has not.
func Peers(list []Neighbours, o Options) string {
	p := &page{Options: o}
	if len(list) == 0 {
		p.line("There is no virtual router.")
		return p.String()
	}
	var table, heard [][]string
	for i := range list {
		n := &list[i]
		for _, h := range n.Heard {
			heard = append(heard, []string{h.Address, h.Interface, fmt.Sprint(h.VRID), n.Instance, fmt.Sprint(h.Priority),
				explain.Span(h.Interval.Duration()), fmt.Sprint(h.Adverts), h.Last.Local().Format(time.DateTime), strings.Join(h.Addresses, ", ")})
		}
		if n.Instance == "" {
			continue
		}
		row := []string{n.Instance, fmt.Sprint(n.VRID), n.State, "", "", "", "multicast", counts(n.Rejected)}
		switch m := n.Master; {
		case m != nil:
			row[3], row[4], row[5] = m.Address, fmt.Sprint(m.Priority), explain.Span(m.Interval.Duration())
		case n.State == "MASTER":
			row[3] = "this node"
		}
		if len(n.Peers) > 0 {
			row[6] = strings.Join(n.Peers, ", ")
		}
		table = append(table, row)
	}
	p.table(0, []string{"VIRTUAL ROUTER", "VRID", "STATE", "MASTER", "PRIORITY", "INTERVAL", "PEERS", "DROPPED"}, table, func(column int, cell string) string {
		if column == 2 {
			return colorOf(cell)
		}
		return ""
	})
	if len(heard) > 0 {
		p.line("")
		p.table(0, []string{"ADVERTS FROM", "INTERFACE", "VRID", "VIRTUAL ROUTER", "PRIORITY", "INTERVAL", "ADVERTS", "LAST", "ADDRESSES"}, heard, func(int, string) string { return "" })
	}
	return p.String()
}

// counts are numbers with their names.
func counts(m map[string]uint64) string {
	var all []string
	for _, name := range sortedKeys(m) {
		all = append(all, fmt.Sprintf("%d %s", m[name], name))
	}
	return strings.Join(all, ", ")
}

// Events shows what has happened, in local time.
func Events(list []history.Event, o Options) string {
	p := &page{Options: o}
	if len(list) == 0 {
		p.line("Nothing has happened.")
		return p.String()
	}
	var table [][]string
	for i := range list {
		e := &list[i]
		table = append(table, []string{stamp(e), string(e.Kind), e.Name, e.From, e.To, because(e)})
	}
	p.table(0, []string{"TIME", "WHAT", "NAME", "FROM", "TO", "CAUSE"}, table, func(column int, cell string) string {
		if column == 4 {
			return colorOf(cell)
		}
		return ""
	})
	return p.String()
}

// Reloaded shows the result of a reload: the configuration that runs after it.
func Reloaded(c *api.Configuration, o Options) string {
	p := &page{Options: o}
	if c.Refused != nil {
		p.line("%s", p.paint(colorOf("FAULT"), "Reload refused: the running configuration stays."))
		for _, why := range c.Refused.Reasons {
			p.line("  %s", plain(why))
		}
		return p.String()
	}
	text := "Reloaded " + c.File
	if c.Errors > 0 {
		text += "; it has " + number(c.Errors, "error") + ", which the log names"
	}
	p.line("%s.", plain(text))
	return p.String()
}

// Planned shows what a reload would change.
func Planned(plan *api.Plan, o Options) string {
	p := &page{Options: o}
	if plan.Refused != "" {
		p.line("%s", p.paint(colorOf("FAULT"), "A reload of "+plain(plan.File)+" would be refused: "+plain(plan.Refused)+"."))
	}
	if len(plan.Errors) > 0 {
		p.line("The file has errors:")
		for _, e := range plan.Errors {
			p.line("  %s", plain(e))
		}
	}
	if plan.Refused != "" {
		return p.String()
	}
	kinds := []struct {
		what string
		of   *api.Effects
	}{{"vrrp_instance", &plan.Routers}, {"virtual_server", &plan.Services}, {"bfd_instance", &plan.Sessions}}
	same := plan.Changes == "" && len(plan.Fixed)+len(plan.Processes) == 0
	var list [][]string
	for _, k := range kinds {
		same = same && len(k.of.List) == 0
		for _, e := range k.of.List {
			list = append(list, []string{k.what, e.Name, e.Effect})
		}
		if k.of.More > 0 {
			list = append(list, []string{k.what, "", fmt.Sprintf("and %d more", k.of.More)})
		}
	}
	for _, e := range plan.Processes {
		list = append(list, []string{"process", e.Name, e.Effect})
	}
	if same {
		p.line("A reload of %s would change nothing.", plain(plan.File))
		return p.String()
	}
	p.line("A reload of %s would change:", plain(plan.File))
	if plan.Changes != "" {
		p.line("")
		for l := range strings.Lines(plan.Changes) {
			p.line("%s", plain(strings.TrimSuffix(l, "\n")))
		}
	}
	if len(list) > 0 {
		p.line("")
		p.table(0, []string{"WHAT", "NAME", "EFFECT"}, list, nil)
	}
	if n := plan.Routers.Same + plan.Services.Same + plan.Sessions.Same; n > 0 {
		p.line("")
		p.line("Nothing happens to the %d others.", n)
	}
	if len(plan.Fixed) > 0 {
		p.line("")
		p.line("Only a restart changes %s.", strings.Join(plan.Fixed, ", "))
	}
	return p.String()
}

// Tested shows what has become of the reports of a test.
func Tested(t *api.Tested, o Options) string {
	p := &page{Options: o}
	var list [][]string
	for _, r := range t.Reports {
		took := "-"
		if d := r.Took.Duration(); d > 0 {
			took = d.Round(100 * time.Microsecond).String()
		}
		list = append(list, []string{r.Keyword, r.To, took, r.Result})
	}
	p.line("%s was reported of %s.", plain(t.State), plain(t.Name))
	p.line("")
	p.table(0, []string{"BY", "TO", "TOOK", "RESULT"}, list, nil)
	if t.Present != t.State {
		p.line("")
		p.line("It is %s, which was reported afterwards.", plain(t.Present))
	}
	return p.String()
}

// Event shows one thing that has happened, as a line.
func Event(e *history.Event, o Options) string {
	return o.paint(colorOf(e.To), plain(eventLine(e, stampFormat))) + "\n"
}

// eventLine is an event as a line that begins with its time.
func eventLine(e *history.Event, format string) string {
	change := e.To
	if e.From != "" {
		change = e.From + " -> " + e.To
	}
	text := fmt.Sprintf("%s  %s %s: %s", e.At.Local().Format(format), e.Kind, e.Name, change)
	if why := because(e); why != "" {
		text += " (" + why + ")"
	}
	return text
}

const stampFormat = "2006-01-02 15:04:05.000"

func stamp(e *history.Event) string { return e.At.Local().Format(stampFormat) }

// because is the cause of an event: its code and its sentence, as far as there are any. The
// sentence of a tracker begins with the code.
func because(e *history.Event) string {
	if e.Cause != "" && e.Why != "" && !strings.HasPrefix(e.Why, e.Cause+" ") {
		return e.Cause + ": " + e.Why
	}
	return cmp.Or(e.Why, e.Cause)
}
