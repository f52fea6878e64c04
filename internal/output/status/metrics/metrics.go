// Package metrics writes the state of a daemon as metrics in the text format of
// Prometheus (version 0.0.4).
//
// Metrics of the exporters that people use with keepalived keep their names, labels and
// meanings, so that dashboards and alerts work as before: those of mehdy (formerly
// cafebazaar)/keepalived-exporter, and those of gen2brain/keepalived_exporter. The latter
// are counters whose names lack the ending of counters, so they are written untyped.
// What the model does not have is left out: the delay of gratuitous ARPs, the packets of
// the kernel's load balancer.
//
// What a process does not answer any more is left out too: its series end, and
// keepalived_process_stale is 1.
package metrics

import (
	"bufio"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/vrrp"
)

// ContentType is the media type of what [Write] writes.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Family is a metric with all its series.
type Family struct {
	Name   string
	Type   string // counter, gauge or untyped
	Help   string
	Labels []string

	samples func(s *api.Status, add func(value float64, labels ...string))
}

// The labels that several families have.
var (
	ofInstance = []string{"iname", "intf", "vrid"}
	ofAddress  = []string{"iname", "intf", "vrid", "ip_address"}
	ofProcess  = []string{"process"}
	ofService  = []string{"virtual_server"}
	ofServer   = []string{"virtual_server", "real_server"}
	ofCheck    = []string{"virtual_server", "real_server", "check", "index"}
	ofSession  = []string{"session", "neighbour"}
	ofOwner    = []string{"process", "kind", "name"}
	ofFIFO     = []string{"process", "path"}
)

// counters are the statistics of a virtual router: their names in the model, which the
// untyped metrics have after keepalived_vrrp_, and those of the counters.
var counters = []struct{ name, counter, help string }{
	{"advert_rcvd", "keepalived_advertisements_received_total", "Adverts received."},
	{"advert_sent", "keepalived_advertisements_sent_total", "Adverts sent."},
	{"become_master", "keepalived_become_master_total", "Changes to master."},
	{"release_master", "keepalived_release_master_total", "Changes from master."},
	{"packet_len_err", "keepalived_packet_length_errors_total", "Packets dropped for their length."},
	{"advert_interval_err", "keepalived_advertisements_interval_errors_total", "Packets dropped for another advertisement interval."},
	{"ip_ttl_err", "keepalived_ip_ttl_errors_total", "Packets dropped for their TTL."},
	{"invalid_type_rcvd", "keepalived_invalid_type_received_total", "Packets dropped because they are no adverts."},
	{"addr_list_err", "keepalived_address_list_errors_total", "Adverts with other addresses than ours."},
	{"invalid_authtype", "keepalived_authentication_invalid_total", "Packets dropped for an undefined type of authentication."},
	{"authtype_mismatch", "keepalived_authentication_mismatch_total", "Packets dropped for another type of authentication."},
	{"auth_failure", "keepalived_authentication_failure_total", "Packets dropped for a wrong password or authentication header."},
	{"pri_zero_rcvd", "keepalived_priority_zero_received_total", "Adverts with priority 0 received."},
	{"pri_zero_sent", "keepalived_priority_zero_sent_total", "Adverts with priority 0 sent."},
}

// states are the numbers of states, as the JSON dump and the exporters have them.
var states = func() map[string]float64 {
	all := map[string]float64{}
	for _, s := range []vrrp.State{vrrp.Init, vrrp.Backup, vrrp.Master, vrrp.Fault, vrrp.Stopped} {
		all[s.String()] = float64(s)
	}
	return all
}()

// Families lists all metrics, in the order in which they are written.
func Families() []Family {
	return slices.Concat(daemonFamilies, vrrpFamilies(), lvsFamilies, bfdFamilies, notificationFamilies)
}

// Write writes all metrics of a daemon.
func Write(w io.Writer, s *api.Status) error {
	out := bufio.NewWriterSize(w, 64<<10)
	all := series{}
	for _, f := range Families() {
		f.write(out, s, all)
	}
	return out.Flush() // reports the first error of all
}

// series are the labels that were written, as text, with the family that was the last to
// have them: a second series of a family with the same labels would spoil all.
type series map[string]**Family

func (f *Family) write(w *bufio.Writer, s *api.Status, all series) {
	var line []byte
	begun := false
	f.samples(s, func(value float64, labels ...string) {
		line = append(line[:0], f.Name...)
		for i, label := range f.Labels {
			line = append(line, "{,"[min(i, 1)])
			line = append(line, label...)
			line = append(line, `="`...)
			line = appendEscaped(line, labels[i])
			line = append(line, '"')
		}
		if len(f.Labels) > 0 {
			line = append(line, '}')
		}
		last := all[string(line[len(f.Name):])]
		switch {
		case last == nil:
			last = new(*Family)
			all[string(line[len(f.Name):])] = last
		case *last == f:
			return
		}
		*last = f
		if !begun {
			begun = true
			w.WriteString("# HELP " + f.Name + " " + f.Help + "\n# TYPE " + f.Name + " " + f.Type + "\n")
		}
		line = append(line, ' ')
		line = strconv.AppendFloat(line, value, 'g', -1, 64)
		w.Write(append(line, '\n'))
	})
}

// appendEscaped appends the value of a label.
func appendEscaped(b []byte, s string) []byte {
	if !strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || r == '"' || r == '\n' || r == utf8.RuneError }) {
		return append(b, s...)
	}
	for _, r := range s { // what is not UTF-8 becomes U+FFFD
		switch r {
		case '\\', '"':
			b = append(b, '\\', byte(r))
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, string(r)...)
		}
	}
	return b
}

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMicro()) / 1e6
}

// sorted yields a map in the order of its keys.
func sorted(m map[string]uint64) iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if !yield(name, m[name]) {
				return
			}
		}
	}
}
