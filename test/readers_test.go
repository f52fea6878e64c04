package test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// These tests check the values that programs find in the dumps of the C daemon. The
// readers here follow the rules of the two Prometheus exporters in use: which lines they
// read, by which prefix they recognize them, where they split them, and into which types
// they decode the values.

// routerStates lists the states in the order of their numbers.
var routerStates = []string{"INIT", "BACKUP", "MASTER", "FAULT"}

// reading is the data from which an exporter makes its metrics.
type reading struct {
	Name       string   `json:"iname"`
	State      int      `json:"state"`
	Want       int      `json:"wantstate"`
	Interface  string   `json:"ifp_ifname"`
	GARPDelay  int      `json:"garp_delay"`
	VRID       int      `json:"vrid"`
	Addresses  []string `json:"vips"`
	Excluded   []string `json:"evips"`
	Transition float64  `json:"last_transition"`
}

// counters is the counters of keepalived.stats and of the JSON dump.
type counters struct {
	AdvertsReceived   int `json:"advert_rcvd" stats:"Advertisements/Received"`
	AdvertsSent       int `json:"advert_sent" stats:"Advertisements/Sent"`
	BecameMaster      int `json:"become_master" stats:"/Became master"`
	ReleasedMaster    int `json:"release_master" stats:"/Released master"`
	Length            int `json:"packet_len_err" stats:"Packet Errors/Length"`
	Interval          int `json:"advert_interval_err" stats:"Packet Errors/Advertisement Interval"`
	TTL               int `json:"ip_ttl_err" stats:"Packet Errors/TTL"`
	Type              int `json:"invalid_type_rcvd" stats:"Packet Errors/Invalid Type"`
	AddressList       int `json:"addr_list_err" stats:"Packet Errors/Address List"`
	AuthType          int `json:"invalid_authtype" stats:"Authentication Errors/Invalid Type"`
	AuthMismatch      int `json:"authtype_mismatch" stats:"Authentication Errors/Type Mismatch"`
	AuthFailure       int `json:"auth_failure" stats:"Authentication Errors/Failure"`
	PriorityZeroHeard int `json:"pri_zero_rcvd" stats:"Priority Zero/Received"`
	PriorityZeroSent  int `json:"pri_zero_sent" stats:"Priority Zero/Sent"`
}

// cut returns the two parts of a line, without surrounding blanks.
func cut(line, separator string) (key, value string) {
	parts := strings.Split(strings.TrimSpace(line), separator)
	return strings.TrimSpace(parts[0]), strings.TrimSpace(parts[1])
}

// stateNumber returns the number of a state in a dump.
func stateNumber(name string) (int, error) {
	if n := slices.Index(routerStates, name); n >= 0 {
		return n, nil
	}
	return 0, fmt.Errorf("there is no state %q", name)
}

// byInstance reads keepalived.data as the exporter does that stores instances by name: a
// line with a name starts the instance again, a line with less indentation than its lines
// ends it, and a line of a list belongs to the last key.
func byInstance(text string) (map[string]*reading, error) {
	all := map[string]*reading{}
	var in *reading
	key := ""
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		line, value := s.Text(), ""
		switch {
		case strings.HasPrefix(line, " VRRP Instance") && strings.Contains(line, "="):
			_, name := cut(line, "=")
			in = &reading{Name: name}
			all[name] = in
			continue
		case strings.HasPrefix(line, " VRRP Version") || strings.HasPrefix(line, " VRRP Script"):
			continue
		case in == nil || !strings.HasPrefix(line, "   "):
			in = nil
			continue
		case strings.HasPrefix(line, "     "):
			value = strings.TrimSpace(line)
		case strings.Contains(line, "="):
			key, value = cut(line, "=")
		case strings.Contains(line, ":"):
			if key, value = cut(line, ":"); key == "Virtual IP" {
				continue
			}
		default:
			continue
		}
		var err error
		switch {
		case value != "" && (key == "Virtual IP" || strings.HasPrefix(key, "Virtual IP (")):
			in.Addresses = append(in.Addresses, value)
		case value != "" && strings.HasPrefix(key, "Virtual IP Excluded"):
			in.Excluded = append(in.Excluded, value)
		case key == "State":
			in.State, err = stateNumber(value)
		case key == "Wantstate":
			in.Want, err = stateNumber(value)
		case key == "Interface" || key == "Listening device":
			in.Interface = value
		case key == "Gratuitous ARP delay":
			in.GARPDelay, err = strconv.Atoi(value)
		case key == "Virtual Router ID":
			in.VRID, err = strconv.Atoi(value)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
	}
	return all, nil
}

// inOrder reads keepalived.data as the exporter does that stores instances in a list: the
// first line without a value ends an instance.
func inOrder(text string) (all []reading, err error) {
	var in reading
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan() && err == nil; {
		line := s.Text()
		assignment := strings.Contains(line, "=")
		switch {
		case assignment && strings.HasPrefix(line, " VRRP Instance"):
			_, in.Name = cut(line, "=")
		case assignment && strings.HasPrefix(line, "   ") && in.Name != "":
			switch key, value := cut(line, "="); key {
			case "Interface":
				in.Interface = value
			case "Last transition":
				in.Transition, err = strconv.ParseFloat(strings.Fields(value)[0], 64)
			case "Virtual Router ID":
				in.VRID, err = strconv.Atoi(value)
			case "State":
				in.State, err = stateNumber(value)
			case "Wantstate":
				in.Want, err = stateNumber(value)
			}
		case strings.HasPrefix(line, " VRRP Version"):
		case in.Name != "":
			all = append(all, in)
			in = reading{}
		}
	}
	return all, err
}

// scriptReading is a script as an exporter reads it.
type scriptReading struct{ Name, Status, State string }

// readScripts reads the scripts of keepalived.data.
func readScripts(text string) (all []scriptReading) {
	inside := false
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		line := s.Text()
		switch assignment := strings.Contains(line, "="); {
		case assignment && strings.HasPrefix(line, " VRRP Script"):
			_, name := cut(line, "=")
			all = append(all, scriptReading{Name: name})
			inside = true
		case inside && strings.HasPrefix(line, "   "):
			if !assignment {
				continue
			}
			switch key, value := cut(line, "="); key {
			case "Status":
				all[len(all)-1].Status = value
			case "State":
				all[len(all)-1].State = value
			}
		default:
			inside = false
		}
	}
	return all
}

// readStats reads keepalived.stats. Titles of sections are indented by two blanks, their
// rows by four; every other row is a number, too.
func readStats(text string) (names []string, all []map[string]int, err error) {
	section := ""
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		line := s.Text()
		switch {
		case strings.HasPrefix(line, "VRRP Instance") && strings.Contains(line, ":"):
			_, name := cut(line, ":")
			names, all = append(names, name), append(all, map[string]int{})
			continue
		case strings.HasPrefix(line, "  ") && strings.HasSuffix(line, ":"):
			section, _ = cut(line, ":")
			continue
		case strings.HasPrefix(line, "    ") && section != "":
		case strings.HasPrefix(line, "  "):
			section = ""
		default:
			continue
		}
		key, value := cut(line, ":")
		n, err := strconv.Atoi(value)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", line, err)
		}
		all[len(all)-1][section+"/"+key] = n
	}
	return names, all, nil
}

// readJSON decodes the JSON dump into the types of an exporter.
func readJSON(text []byte) (data []reading, stats []counters, err error) {
	var all []struct {
		Data  reading  `json:"data"`
		Stats counters `json:"stats"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, nil, err
	}
	for i := range all {
		data, stats = append(data, all[i].Data), append(stats, all[i].Stats)
	}
	return data, stats, nil
}

// exported is the data that both exporters read from the dumps of one daemon.
type exported struct {
	ByInstance map[string]*reading
	InOrder    []reading
	Scripts    []scriptReading
	JSON       []reading
	Names      []string          // in keepalived.stats
	Counted    []map[string]bool // per instance: errors that have occurred
}

// export reads dumps as exporters do, and removes values that change from moment to
// moment.
func export(t *testing.T, d dumped) (out exported) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("an exporter cannot read this: %v", err)
		}
	}
	var err error
	out.ByInstance, err = byInstance(d.data)
	must(err)
	out.InOrder, err = inOrder(d.data)
	must(err)
	out.Scripts = readScripts(d.data)
	names, stats, err := readStats(d.stats)
	must(err)
	data, fromJSON, err := readJSON(d.json)
	must(err)
	out.Names, out.JSON = names, data

	if len(names) != len(fromJSON) || len(names) != len(out.InOrder) || len(names) != len(out.ByInstance) {
		t.Errorf("instances: %d in keepalived.stats, %d in keepalived.json, %d and %d in keepalived.data", len(names), len(fromJSON), len(out.InOrder), len(out.ByInstance))
		return out
	}
	fields := reflect.TypeFor[counters]()
	for i := range names {
		counted := map[string]bool{}
		for k := range fields.NumField() {
			key := fields.Field(k).Tag.Get("stats")
			n, ok := stats[i][key]
			if !ok {
				t.Errorf("keepalived.stats: %s has no %s", names[i], key)
			}
			// The other counts change from moment to moment: a machine may be so slow
			// that masters become backup for a while.
			if strings.Contains(key, "Errors/") {
				counted[key] = n > 0
			}
			// The JSON dump is the later one.
			if inJSON := reflect.ValueOf(fromJSON[i]).Field(k).Int(); inJSON < int64(n) {
				t.Errorf("%s, %s: %d in keepalived.stats, %d in keepalived.json", names[i], key, n, inJSON)
			}
		}
		out.Counted = append(out.Counted, counted)
	}
	for i := range out.JSON {
		out.JSON[i].Transition = 0
	}
	for i := range out.InOrder {
		out.InOrder[i].Transition = 0
	}
	for _, list := range []*[]reading{&out.JSON, &out.InOrder} {
		for i := range *list {
			hideNFTables((*list)[i].Addresses, (*list)[i].Excluded)
		}
	}
	for _, r := range out.ByInstance {
		hideNFTables(r.Addresses, r.Excluded)
	}
	return out
}

// hideNFTables removes the lines of the C daemon about its firewall.
func hideNFTables(lists ...[]string) {
	for _, list := range lists {
		for i := range list {
			list[i] = strings.TrimSuffix(list[i], " nftable_set")
		}
	}
}

// readAlike checks that exporters read the same from both.
func readAlike(t *testing.T, mine, upstream dumped) {
	t.Helper()
	a, b := export(t, mine), export(t, upstream)
	if len(b.ByInstance) == 0 {
		t.Error("nothing is read from upstream's dumps")
	}
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range va.NumField() {
		x, _ := json.Marshal(va.Field(i).Interface())
		y, _ := json.Marshal(vb.Field(i).Interface())
		if string(x) != string(y) {
			t.Errorf("exporters read other values, %s:\n%s\nfrom upstream's:\n%s", va.Type().Field(i).Name, x, y)
		}
	}
}

// The layout of state dumps: headings; below them lines with an indentation of one blank,
// which name an object or describe the whole; below those lines with three blanks, and
// with five for the elements of a list. A line has a key and a value, or is a title, or a
// sentence.
var (
	numbers    = regexp.MustCompile(`\d+`)
	numberText = regexp.MustCompile(`^-?\d+(\.\d+)?( .*|s|us|ms)?$`)
	layoutLine = regexp.MustCompile(`^( *)(.*?)(?:( =| :|:)(?: (.*))?)?$`)
)

// layout returns the lines of a state dump without their values: section, key,
// indentation, separator, and the type of the value.
func layout(text string) (lines []string, keys map[string]bool) {
	keys = map[string]bool{}
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if m := sectionLine.FindStringSubmatch(line); m != nil {
			section = m[1]
			continue
		}
		m := layoutLine.FindStringSubmatch(line)
		indent, key, separator, value := len(m[1]), m[2], m[3], m[4]
		if indent >= 5 || indent == 2 { // an element of a list
			continue
		}
		if separator == "" {
			if words := strings.Fields(key); len(words) > 2 {
				key = strings.Join(words[:2], " ")
			}
		} else {
			keys[key] = true
		}
		kind := "text"
		switch n := numberText.FindStringSubmatch(value); {
		case value == "":
			kind = "nothing"
		case n == nil:
		case strings.HasPrefix(n[2], " ("):
			kind = "time"
		case n[1] != "":
			kind = "decimal" + n[2]
		default:
			kind = "integer" + n[2]
		}
		lines = append(lines, fmt.Sprintf("%s|%d|%s%s|%s", section, indent, numbers.ReplaceAllString(key, "#"), separator, kind))
	}
	return lines, keys
}

// more lists lines that upstream's dump of the same configuration does not have, with the
// reason.
var more = []struct{ line, why string }{
	{`^GARP delay group`, "groups are numbered; nothing waits for its turn"},
	{`^VRRP Topology\|3\|Flags:\|text`, "the C daemon has flags that it does not name"},
	{`CPU Affinity =`, "the C daemon does not show CPU 0"},
	{`^VRRP Topology\|3\|Multicast address`, "the two run on different machines"},
}

// sameLayout checks that among upstream's lines there is none that upstream does not
// write, and that no later line begins as one of upstream's.
func sameLayout(t *testing.T, mine, upstream string) {
	t.Helper()
	theirs, keys := layout(upstream)
	shown, own, found := strings.Cut(mine, "------< Reasons >------\n")
	if !found {
		t.Fatalf("there are no reasons in\n%s", mine)
	}
	ours, _ := layout(shown)
lines:
	for _, line := range ours {
		if slices.Contains(theirs, line) {
			continue
		}
		for _, m := range more {
			if regexp.MustCompile(m.line).MatchString(line) {
				continue lines
			}
		}
		t.Errorf("keepalived.data: upstream's has no line like %q", line)
	}
	ownBegins(t, own, keys)
}

// ownBegins checks that no line of our own sections begins as one of upstream's.
func ownBegins(t *testing.T, own string, keys map[string]bool) {
	t.Helper()
	for line := range strings.Lines(own) {
		m := layoutLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m[3] != "" && keys[m[2]] || itemLine.MatchString(line) {
			t.Errorf("keepalived.data: %q begins as a line of upstream's", line)
		}
	}
}

// TestOwnLinesAreKnown checks that the keys by which readers recognize lines are among
// the keys that the check of our own sections uses.
func TestOwnLinesAreKnown(t *testing.T) {
	_, keys := layout(" VRRP Instance = A\n   State = MASTER\n   Virtual IP (1):\n     10.0.0.1 dev eth0\n   Flags: none\n   Tracked scripts :\n     x = y\n")
	want := []string{"Flags", "State", "Tracked scripts", "VRRP Instance", "Virtual IP (1)"}
	if got := slices.Sorted(maps.Keys(keys)); !slices.Equal(got, want) {
		t.Errorf("keys are %q", got)
	}
}
