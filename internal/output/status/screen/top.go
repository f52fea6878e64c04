package screen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/explain"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/proc/act"
)

// Names of keys that are no letters, for [Top.Key].
const (
	KeyUp        = "up"
	KeyDown      = "down"
	KeyPageUp    = "page up"
	KeyPageDown  = "page down"
	KeyHome      = "home"
	KeyEnd       = "end"
	KeyEnter     = "enter"
	KeyEscape    = "escape"
	KeyBackspace = "backspace"
	KeyInterrupt = "interrupt" // Ctrl-C
)

const (
	keptEvents = 100 // of a live view
	longFilter = 40  // runes of a filter, at most
)

// Top is the live view of a daemon. It is pure: states, events and keys go in, lines come
// out, and an act that the user has confirmed. The zero value knows no state; Width and
// Height are those of the terminal.
type Top struct {
	Options
	Height int

	state  *api.Status
	wrong  string // why there is no later state; empty: there will be one
	events []history.Event

	order  int // index into orders
	filter string
	typing bool     // the filter
	chosen item     // of the list
	first  int      // line of the list that is the first on the screen
	detail bool     // why the chosen virtual router is in its state, in place of the list
	asked  *act.Act // the user is asked whether it shall be done
	note   string   // what has come of the last act
}

// item is what a row of the list is about.
type item struct {
	kind history.Kind
	name string
}

// syncGroup is what an item is about that no event is.
const syncGroup history.Kind = "group"

// entry is a row of the list.
type entry struct {
	item
	cells []string // the second one is the state
	since *time.Time
}

// sheet is a part of the list.
type sheet struct {
	heading []string
	entries []entry
	bad     []string // states that come first in the order of states
}

// orders are the orders of the list; nil: as in the configuration.
var orders = []struct {
	name    string
	compare func(s *sheet, a, b *entry) int
}{
	{"file", nil},
	{"state", func(s *sheet, a, b *entry) int {
		return cmp.Or(cmp.Compare(order(a.cells[1], s.bad), order(b.cells[1], s.bad)), strings.Compare(a.cells[1], b.cells[1]))
	}},
	{"latest", func(_ *sheet, a, b *entry) int { return moment(b.since).Compare(moment(a.since)) }},
	{"name", func(_ *sheet, a, b *entry) int { return strings.Compare(a.name, b.name) }},
}

func moment(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// kinds are those of rows that an act may be about, and what they are called.
type kinds struct {
	of   []history.Kind
	name string
}

var (
	routers = kinds{[]history.Kind{history.Router, syncGroup}, "a virtual router or a sync group"}
	servers = kinds{[]history.Kind{history.Server}, "a real server"}
	both    = kinds{slices.Concat(routers.of, servers.of), routers.name + ", or " + servers.name}
)

// acts are the keys that change the daemon.
var acts = []struct {
	key  string
	kind act.Kind
	on   kinds
	ask  string // with the name of what is chosen
}{
	{"h", act.Hold, routers, "Have %s stay backup until it is released, and make way if it is master?"},
	{"s", act.Switchover, routers, "Hand %s over to another node, and leave that alone until it is released?"},
	{"a", act.Announce, routers, "Announce the addresses of %s again?"},
	{"d", act.Drain, servers, "Send no new connections to %s until it is released?"},
	{"x", act.Disable, servers, "Have %s count as down until it is released?"},
	{"r", act.Release, both, "Undo all that is in force about %s?"},
}

// State takes up the state of the daemon, or why there is none.
func (t *Top) State(s *api.Status, err error) {
	if err != nil {
		t.wrong = err.Error()
		return
	}
	t.state, t.wrong = s, ""
}

// Event takes up what has happened.
func (t *Top) Event(e *history.Event) {
	t.events = append(t.events, *e)
	t.events = t.events[max(0, len(t.events)-keptEvents):]
}

// Done takes up what has come of an act, as a sentence.
func (t *Top) Done(result string) { t.note = result }

// Key takes up a key: a letter, or the name of another one. It returns the act that is to be
// done, if the user has confirmed one, and whether the user wants to leave.
func (t *Top) Key(key string) (do *act.Act, quit bool) {
	if key == KeyInterrupt {
		return nil, true
	}
	t.note = ""
	switch {
	case t.asked != nil:
		if key == "y" {
			do = t.asked
			t.note = "Asking for it: " + do.String() + " ..."
		}
		t.asked = nil
	case t.typing:
		t.edit(key)
	case key == "q":
		return nil, true
	default:
		t.command(key)
	}
	return do, false
}

// edit is a key while the filter is typed.
func (t *Top) edit(key string) {
	switch {
	case key == KeyEnter:
		t.typing = false
	case key == KeyEscape:
		t.typing, t.filter = false, ""
	case key == KeyBackspace:
		_, size := utf8.DecodeLastRuneInString(t.filter)
		t.filter = t.filter[:len(t.filter)-size]
	case utf8.RuneCountInString(key) == 1 && utf8.RuneCountInString(t.filter) < longFilter:
		t.filter += key
	}
}

func (t *Top) command(key string) {
	switch key {
	case "/":
		t.typing, t.detail = true, false
	case "o":
		t.order = (t.order + 1) % len(orders)
	case KeyEscape:
		if !t.detail {
			t.filter = ""
		}
		t.detail = false
	case KeyEnter:
		t.detail = !t.detail && t.chosen.kind == history.Router
	case KeyUp, "k":
		t.move(-1)
	case KeyDown, "j":
		t.move(1)
	case KeyPageUp:
		t.move(-t.room())
	case KeyPageDown:
		t.move(t.room())
	case KeyHome:
		t.move(-1 << 30)
	case KeyEnd:
		t.move(1 << 30)
	}
	for _, a := range acts {
		switch {
		case key != a.key:
		case !slices.Contains(a.on.of, t.chosen.kind):
			t.note = "Choose " + a.on.name + " first."
		default:
			t.asked = &act.Act{Kind: a.kind, Name: t.chosen.name}
		}
	}
}

// move chooses the entry that is so many below.
func (t *Top) move(by int) {
	var all []item
	for _, s := range t.sheets() {
		for i := range s.entries {
			all = append(all, s.entries[i].item)
		}
	}
	if len(all) == 0 {
		return
	}
	at := max(0, slices.Index(all, t.chosen))
	t.chosen = all[max(0, min(len(all)-1, at+by))]
}

// sheets are the parts of the list as they are shown: filtered and in order.
func (t *Top) sheets() (list []sheet) {
	if t.state == nil {
		return nil
	}
	for _, s := range sheetsOf(t.state) {
		s.entries = slices.DeleteFunc(s.entries, func(e entry) bool { return !strings.Contains(strings.Join(e.cells, " "), t.filter) })
		if compare := orders[t.order].compare; compare != nil {
			slices.SortStableFunc(s.entries, func(a, b entry) int { return compare(&s, &a, &b) })
		}
		if len(s.entries) > 0 {
			list = append(list, s)
		}
	}
	return list
}

func sheetsOf(s *api.Status) (list []sheet) {
	if v := s.VRRP; v != nil {
		routers := sheet{heading: routerHeading, bad: badRouters}
		for i := range v.Instances {
			in := &v.Instances[i]
			routers.entries = append(routers.entries, entry{item{history.Router, in.Name}, routerRow(v, in), in.Since})
		}
		groups := sheet{heading: groupHeading, bad: badRouters}
		for i := range v.Groups {
			g := &v.Groups[i]
			groups.entries = append(groups.entries, entry{item{syncGroup, g.Name}, groupRow(v, g), nil})
		}
		list = append(list, routers, groups)
	}
	if l := s.LVS; l != nil {
		services := sheet{heading: serviceHeading, bad: badServices}
		servers := sheet{heading: []string{"REAL SERVER", "STATE", "FOR", "WEIGHT", "VIRTUAL SERVER", "RESULT"}, bad: badServices}
		for i := range l.Services {
			v := &l.Services[i]
			services.entries = append(services.entries, entry{item{history.Service, v.Name}, serviceRow(l, v), v.Since})
			for k := range v.Servers {
				r := &v.Servers[k]
				servers.entries = append(servers.entries, entry{item{history.Server, v.Name + " " + r.Name}, liveServer(l, v, r), r.Since})
			}
		}
		list = append(list, services, servers)
	}
	if b := s.BFD; b != nil {
		sessions := sheet{heading: sessionHeading, bad: badSessions}
		for i := range b.Sessions {
			n := &b.Sessions[i]
			sessions.entries = append(sessions.entries, entry{item{history.Session, n.Name}, sessionRow(b, n), nil})
		}
		list = append(list, sessions)
	}
	return list
}

// liveServer is a real server in one row: with the result of the check that is down, or else
// of the first.
func liveServer(l *api.LVS, v *api.VirtualServer, r *api.RealServer) []string {
	rows := serverRows(l, r)
	check := rows[max(0, slices.IndexFunc(rows, func(row []string) bool { return row[5] == "down" }))]
	result := check[4]
	if check[7] != "" {
		result += ": " + check[7]
	}
	return append(rows[0][:4:4], v.Name, result)
}

const headLines, footLines = 3, 1

// latest is how many events are shown.
func (t *Top) latest() int { return min(len(t.events), max(1, t.Height/4)) }

// room is how many lines the list has.
func (t *Top) room() int {
	below := t.latest()
	if below > 0 {
		below += 2 // their heading, after an empty line
	}
	return max(1, t.Height-headLines-below-footLines)
}

// Lines are the lines of the screen: Height lines of at most Width columns.
func (t *Top) Lines(now time.Time) []string {
	lines := t.head(now)
	room := t.room()
	body := t.list()
	if t.detail {
		body = t.explanation()
	}
	lines = append(lines, body[:min(len(body), room)]...)
	for len(lines) < headLines+room {
		lines = append(lines, "")
	}
	if n := t.latest(); n > 0 {
		lines = append(lines, "", t.paint(bold, t.cut("LATEST EVENTS")))
		for _, e := range t.events[len(t.events)-n:] {
			lines = append(lines, t.paint(colorOf(e.To), t.cut(eventLine(&e, time.TimeOnly))))
		}
	}
	lines = append(lines, t.foot())
	return lines[max(0, len(lines)-max(t.Height, 1)):]
}

// cut is a text in one line of the screen.
func (t *Top) cut(text string) string {
	text = plain(text)
	if t.Width > 0 && utf8.RuneCountInString(text) > t.Width {
		return string([]rune(text)[:t.Width])
	}
	return text
}

func (t *Top) head(now time.Time) []string {
	if t.state == nil {
		return []string{t.cut("keepalived top"), t.paint(red, t.cut(t.wrong)), ""}
	}
	s := t.state
	about := fmt.Sprintf("%s  %s: %s", s.At.Local().Format(time.TimeOnly), s.Node.Host, counted(s))
	problem := "Nothing is wrong."
	color := ""
	if list := explain.Problems(s); len(list) > 0 {
		word := list[0].Severity.String()
		problem, color = word+"  "+list[0].Text, colorOf(word)
		if n := len(list) - 1; n > 0 {
			problem = fmt.Sprintf("%s (and %d more)  %s", word, n, list[0].Text)
		}
	}
	if t.wrong != "" {
		problem, color = fmt.Sprintf("This is the state of %s ago: %s", explain.Age(now.Sub(s.At)), t.wrong), red
	}
	return []string{t.cut(about), t.paint(color, t.cut(problem)), ""}
}

// counted reports how many virtual routers are in which state, and how many servers are up.
func counted(s *api.Status) string {
	var parts []string
	if s.VRRP != nil {
		n := map[string]int{}
		for i := range s.VRRP.Instances {
			n[s.VRRP.Instances[i].State]++
		}
		for _, state := range sortedKeys(n) {
			parts = append(parts, fmt.Sprintf("%d %s", n[state], state))
		}
	}
	if s.LVS != nil {
		up, all := 0, 0
		for i := range s.LVS.Services {
			up, all = up+s.LVS.Services[i].Alive, all+len(s.LVS.Services[i].Servers)
		}
		parts = append(parts, fmt.Sprintf("%d of %s up", up, number(all, "server")))
	}
	return strings.Join(parts, ", ")
}

// list is what is shown of the list: the chosen entry is among it.
func (t *Top) list() []string {
	sheets := t.sheets()
	if len(sheets) == 0 {
		if t.filter != "" {
			return []string{t.cut(fmt.Sprintf("Nothing contains %q.", t.filter))}
		}
		return nil
	}
	if !slices.ContainsFunc(sheets, func(s sheet) bool {
		return slices.ContainsFunc(s.entries, func(e entry) bool { return e.item == t.chosen })
	}) {
		t.chosen = sheets[0].entries[0].item
	}
	var lines []string
	at := 0
	for i, s := range sheets {
		if i > 0 {
			lines = append(lines, "")
		}
		widths := s.widths()
		lines = append(lines, t.paint(bold, t.row("  ", s.heading, widths, "")))
		for _, e := range s.entries {
			mark := "  "
			if e.item == t.chosen {
				at, mark = len(lines), "> "
			}
			lines = append(lines, t.row(mark, e.cells, widths, colorOf(e.cells[1])))
		}
	}
	room := t.room()
	if at < t.first+1 { // the heading above it is shown, too
		t.first = at - 1
	}
	t.first = max(0, min(max(t.first, at-room+1), len(lines)-room))
	return lines[t.first:]
}

// widths are those of the columns.
func (s *sheet) widths() []int {
	widths := make([]int, len(s.heading))
	for i, cell := range s.heading {
		widths[i] = len(cell)
	}
	for _, e := range s.entries {
		for i, cell := range e.cells {
			if e.cells[i] = plain(cell); cell == "" {
				e.cells[i] = "-"
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

// row is a row of a table; color is that of the second cell.
func (t *Top) row(line string, cells []string, widths []int, color string) string {
	begin, end := 0, 0
	for i, cell := range cells {
		if i == 1 {
			begin, end = len(line), len(line)+len(cell)
		}
		line += cell
		if i < len(cells)-1 {
			line += strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
		}
	}
	line = t.cut(line)
	if end > len(line) {
		return line
	}
	return line[:begin] + t.paint(color, line[begin:end]) + line[end:]
}

func (t *Top) explanation() []string {
	e := explain.Instance(t.state, t.chosen.name)
	if e == nil {
		t.detail = false
		return t.list()
	}
	return strings.Split(strings.TrimSuffix(Explanations([]*explain.Explanation{e}, t.Options), "\n"), "\n")
}

func (t *Top) foot() string {
	switch {
	case t.asked != nil:
		for _, a := range acts {
			if a.kind == t.asked.Kind {
				return t.paint(bold, t.cut(fmt.Sprintf(a.ask, t.asked.Name)+" y/n"))
			}
		}
	case t.typing:
		return t.cut("Filter: " + t.filter + "_  (Enter keeps it, Escape ends it)")
	case t.note != "":
		return t.paint(bold, t.cut(t.note))
	}
	keys := "q quit  / filter  o order: " + orders[t.order].name
	if t.filter != "" {
		keys = fmt.Sprintf("q quit  / filter: %s  o order: %s", t.filter, orders[t.order].name)
	}
	for _, a := range acts {
		if slices.Contains(a.on.of, t.chosen.kind) {
			keys += fmt.Sprintf("  %s %s", a.key, a.kind)
		}
	}
	return t.cut(keys)
}
