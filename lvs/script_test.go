package lvs

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what the scenarios in testdata do now")

// TestScenarios plays testdata/*.txt. A line that is not indented is a command
// or a comment, the indented lines below it are what the engine then reports, in
// keepalived's words (sentences), or what the table holds:
//
//	service tcp:10.0.0.1:80 quorum=2 hysteresis=1 sorry=10.0.0.9:80 sorry-inhibit ha-suspend omega
//	service fwm:9 …
//	service group:w:tcp endpoints=10.0.0.1:80,fwm:7 addresses=10.0.0.5,10.0.0.6 …
//	server 10.0.0.2:80 weight=3 inhibit drain disable method=DR check=a check=b alpha=c
//	options init-notifies flush flush-on-stop
//	configure                  a configuration of the lines above
//	restart                    the same, in a new engine that continues with the snapshot
//	up 10.0.0.2:80/a set=5     the check named a passes, with weight 5
//	down 10.0.0.2:80/a
//	address 10.0.0.1 on
//	suspend tcp:10.0.0.1:80
//	shutdown keep
//	table                      Engine.All
//	changes                    Engine.Changes
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios: ", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newScript(t).play(string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

type script struct {
	t      *testing.T
	e      *Engine
	next   Config
	now    *Config
	nextID CheckID
	line   string
}

func newScript(t *testing.T) *script { return &script{t: t, e: New()} }

func (s *script) play(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "  ") {
			continue
		}
		out.WriteString(line + "\n")
		if f := strings.Fields(line); len(f) > 0 && f[0] != "#" {
			s.line = line
			for _, l := range s.command(f) {
				out.WriteString("  " + l + "\n")
			}
		}
	}
	return out.String()
}

func (s *script) fatal(args ...any) { s.t.Fatal(append([]any{s.line, ": "}, args...)...) }

func (s *script) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		s.fatal(err)
	}
	return n
}

func (s *script) endpoint(text string) Endpoint {
	kind, rest, _ := strings.Cut(text, ":")
	if kind == "fwm" {
		mark, six := strings.CutSuffix(rest, ":IPv6")
		ep := Endpoint{FWMark: uint32(s.number(mark)), Family: IPv4}
		if six {
			ep.Family = IPv6
		}
		return ep
	}
	return Endpoint{Protocol: map[string]Protocol{"tcp": TCP, "udp": UDP, "sctp": SCTP}[kind], Addr: s.addr(rest)}
}

func (s *script) addr(text string) netip.AddrPort {
	a, err := netip.ParseAddrPort(text)
	if err != nil {
		s.fatal(err)
	}
	return a
}

func (s *script) id(text string) ServiceID {
	if rest, ok := strings.CutPrefix(text, "group:"); ok {
		name, _, _ := strings.Cut(rest, ":")
		return ServiceID{Group: name, Endpoint: Endpoint{Protocol: TCP}}
	}
	return ServiceID{Endpoint: s.endpoint(text)}
}

func (s *script) command(f []string) []string {
	switch f[0] {
	case "options":
		for _, o := range f[1:] {
			switch o {
			case "init-notifies":
				s.next.InitNotifies = true
			case "flush":
				s.next.Flush = true
			case "flush-on-stop":
				s.next.FlushOnStop = true
			}
		}
	case "service":
		s.service(f[1:])
	case "server":
		s.server(f[1:])
	case "configure":
		c := s.next
		s.now, s.next = &c, Config{}
		return s.step(Event{Kind: Configure, Config: s.now})
	case "restart":
		snapshot := s.e.Snapshot()
		s.e = New()
		return s.step(Event{Kind: Configure, Config: s.now, Resume: snapshot})
	case "up", "down":
		ev := Event{Kind: CheckResult, Up: f[0] == "up", Check: s.check(f[1])}
		for _, o := range f[2:] {
			k, v, _ := strings.Cut(o, "=")
			ev.Weight = Weight{Kind: map[string]WeightKind{"set": WeightSet, "add": WeightAdd}[k], Value: int32(s.number(v))}
		}
		return s.step(ev)
	case "address":
		return s.step(Event{Kind: AddressChanged, Addr: netip.MustParseAddr(f[1]), Present: f[2] == "on"})
	case "suspend":
		return s.step(Event{Kind: Suspend, Service: s.id(f[1])})
	case "unsuspend":
		return s.step(Event{Kind: Unsuspend, Service: s.id(f[1])})
	case "shutdown":
		return s.step(Event{Kind: Shutdown, Keep: len(f) > 1})
	case "table", "changes":
		seq := s.e.All()
		if f[0] == "changes" {
			seq = s.e.Changes()
		}
		var out []string
		for entry := range seq {
			if entry.Gone {
				out = append(out, fmt.Sprintf("-%v", entry.Endpoint))
				continue
			}
			out = append(out, strings.TrimSpace(fmt.Sprintf("%v %s", entry.Endpoint, entry.Attributes.Scheduler)))
			for _, d := range entry.Destinations {
				out = append(out, "  -> "+d.String())
			}
		}
		return out
	default:
		s.fatal("unknown command")
	}
	return nil
}

func (s *script) service(f []string) {
	v := Service{ID: s.id(f[0])}
	for _, o := range f[1:] {
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "quorum":
			v.Quorum = uint32(s.number(value))
		case "hysteresis":
			v.Hysteresis = uint32(s.number(value))
		case "sched":
			v.Attributes.Scheduler = value
		case "sorry":
			v.Sorry = &RealServer{Addr: s.addr(value), Weight: 1}
		case "sorry-inhibit":
			v.Sorry.Inhibit = true
		case "sorry-method":
			v.Sorry.Attributes.Method = methods[value]
		case "ha-suspend":
			v.HASuspend = true
		case "omega":
			v.Omega = true
		case "endpoints":
			for e := range strings.SplitSeq(value, ",") {
				if !strings.HasPrefix(e, "fwm:") {
					e = "tcp:" + e
				}
				v.Endpoints = append(v.Endpoints, s.endpoint(e))
			}
		case "addresses":
			for a := range strings.SplitSeq(value, ",") {
				v.Addresses = append(v.Addresses, netip.MustParseAddr(a))
			}
		default:
			s.fatal("unknown option ", o)
		}
	}
	s.next.Services = append(s.next.Services, v)
}

var methods = map[string]Method{"NAT": Masquerade, "DR": Direct, "TUN": Tunnel}

func (s *script) server(f []string) {
	r := RealServer{Addr: s.addr(f[0]), Weight: 1}
	for _, o := range f[1:] {
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "weight":
			r.Weight = s.number(value)
		case "inhibit":
			r.Inhibit = true
		case "drain":
			r.Order = Drain
		case "disable":
			r.Order = Disable
		case "method":
			r.Attributes.Method = methods[value]
		case "check", "alpha":
			s.nextID++
			r.Checks = append(r.Checks, Check{ID: s.nextID, Key: value, Alpha: key == "alpha"})
		default:
			s.fatal("unknown option ", o)
		}
	}
	v := &s.next.Services[len(s.next.Services)-1]
	v.Servers = append(v.Servers, r)
}

// check returns the check of a server with a key.
func (s *script) check(text string) CheckID {
	addr, key, _ := strings.Cut(text, "/")
	for _, v := range s.now.Services {
		for _, r := range v.Servers {
			for _, c := range r.Checks {
				if r.Addr.String() == addr && c.Key == key {
					return c.ID
				}
			}
		}
	}
	s.fatal("no such check")
	return 0
}

func (s *script) step(ev Event) (out []string) {
	for _, a := range s.e.Step(0, ev, nil) {
		out = append(out, sentences(a)...)
	}
	return out
}
