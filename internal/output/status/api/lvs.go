package api

import (
	"bufio"
	"time"

	"keepalived-go/internal/output/status"
	"keepalived-go/internal/proc/act"
)

// LVS is what the health-check process knows.
type LVS struct {
	Snapshot
	Running       bool            `json:"running" doc:"the checks have begun; before that nothing has a state"`
	Services      []VirtualServer `json:"virtual_servers" doc:"in the order of the configuration"`
	Table         Table           `json:"table" doc:"the kernel's load balancer (IPVS)"`
	Notifications *Notifications  `json:"notifications,omitempty" doc:"scripts, pipes and mails, if there are any"`
}

// VirtualServer is a virtual_server and its pool.
type VirtualServer struct {
	Name         string       `json:"name" doc:"as log lines have it"`
	Protocol     string       `json:"protocol,omitempty" doc:"tcp, udp or sctp"`
	Scheduler    string       `json:"scheduler" doc:"which spreads the connections"`
	Up           bool         `json:"up" doc:"it has its quorum"`
	Since        *time.Time   `json:"since,omitempty" doc:"when that last changed, if it has"`
	Suspended    bool         `json:"suspended" doc:"its checks do not run: no address of it is on this machine"`
	Sorry        string       `json:"sorry_server,omitempty" doc:"if it has one"`
	SorryInUse   bool         `json:"sorry_server_in_use" doc:"it has taken the place of the pool"`
	Quorum       int64        `json:"quorum" doc:"in force, as a sum of weights"`
	Hysteresis   int64        `json:"hysteresis" doc:"in force: the quorum is gained that much above, lost that much below"`
	Weight       int64        `json:"weight" doc:"sum of those of the servers that are up"`
	Alive        int          `json:"alive" doc:"servers that are up"`
	Traffic      *Traffic     `json:"traffic,omitempty" doc:"of all its addresses, if the kernel has been asked"`
	SorryTraffic *Traffic     `json:"sorry_server_traffic,omitempty" doc:"of its sorry server, if the kernel has that"`
	Servers      []RealServer `json:"real_servers" doc:"its pool, in the order of the configuration"`
}

// RealServer is a real_server.
type RealServer struct {
	Name       string     `json:"name" doc:"as log lines have it"`
	Forward    string     `json:"forward" doc:"how packets reach it: NAT, DR or TUN"`
	Up         bool       `json:"up" doc:"no check of it is down, and it is not disabled"`
	InPool     bool       `json:"in_pool" doc:"clients are sent to it, if its weight is not 0"`
	Since      *time.Time `json:"since,omitempty" doc:"when it last went up or down, if it has"`
	Weight     int        `json:"weight" doc:"effective; 0 while it drains"`
	Configured int        `json:"configured_weight" doc:"of the configuration"`
	Traffic    *Traffic   `json:"traffic,omitempty" doc:"which it has got, if the kernel has it and has been asked"`
	Failed     int        `json:"failed_checks" doc:"checks that are down or have not passed yet"`
	Intents    []Intent   `json:"intents,omitempty" doc:"drain, disable and weight that are in force about it; the last one counts"`
	Checks     []Check    `json:"checks,omitempty" doc:"in the order of the configuration"`
}

// Order is the intent about the server that counts; nil: there is none.
func (r *RealServer) Order() *Intent {
	if n := len(r.Intents); n > 0 {
		return &r.Intents[n-1]
	}
	return nil
}

// Disabled reports whether the server counts as down because an operator wants that.
func (r *RealServer) Disabled() bool { return r.ordered(act.Disable) }

// Drains reports whether the server gets no new connections because an operator wants that.
func (r *RealServer) Drains() bool { return r.ordered(act.Drain) }

func (r *RealServer) ordered(kind act.Kind) bool {
	o := r.Order()
	return o != nil && o.Kind == string(kind)
}

// Connections is how many the server, of v, has, besides those that end. Of UDP the kernel
// counts all as ending: they do when the client is silent.
func (r *RealServer) Connections(v *VirtualServer) uint64 {
	switch t := r.Traffic; {
	case t == nil:
		return 0
	case v.Protocol == "udp":
		return t.Active + t.Inactive
	default:
		return t.Active
	}
}

// Draining is how many servers drain by an act with that name, and how many connections they
// have.
func (l *LVS) Draining(name string) (servers int, connections uint64) {
	for i := range l.Services {
		v := &l.Services[i]
		for k := range v.Servers {
			if r := &v.Servers[k]; r.Drains() && r.Order().Name == name {
				servers++
				connections += r.Connections(v)
			}
		}
	}
	return servers, connections
}

// Traffic is what the kernel has counted since the entry was made, and the rates of the last
// seconds. It is as old as snmp_vs_stats_update_interval and snmp_rs_stats_update_interval
// allow.
type Traffic struct {
	Connections    uint64 `json:"connections" doc:"so far"`
	InPackets      uint64 `json:"in_packets" doc:"from clients"`
	OutPackets     uint64 `json:"out_packets" doc:"to clients"`
	InBytes        uint64 `json:"in_bytes" doc:"from clients"`
	OutBytes       uint64 `json:"out_bytes" doc:"to clients"`
	ConnectionRate uint64 `json:"connection_rate" doc:"a second"`
	InPacketRate   uint64 `json:"in_packet_rate" doc:"a second"`
	OutPacketRate  uint64 `json:"out_packet_rate" doc:"a second"`
	InByteRate     uint64 `json:"in_byte_rate" doc:"a second"`
	OutByteRate    uint64 `json:"out_byte_rate" doc:"a second"`
	Active         uint64 `json:"active" doc:"connections of a server now"`
	Inactive       uint64 `json:"inactive" doc:"connections of a server that end"`
	Persistent     uint64 `json:"persistent" doc:"clients that are bound to a server"`
}

// Check is a health check of a real server.
type Check struct {
	Kind     string     `json:"kind" doc:"word of its block"`
	State    string     `json:"state" doc:"up, down, unknown, disabled or suspended"`
	Disabled string     `json:"disabled,omitempty" doc:"why it cannot be done, if it cannot"`
	Attempts uint64     `json:"attempts" doc:"so far"`
	Failures int        `json:"failures" doc:"failures in a row that are forgiven"`
	Retries  int        `json:"retries" doc:"how many are"`
	Running  bool       `json:"running" doc:"an attempt is on its way"`
	Next     *time.Time `json:"next,omitempty" doc:"when the next attempt begins, if one is planned"`
	Overdue  Seconds    `json:"overdue" doc:"for which it has not run though it should; 0: it has"`
	Last     *time.Time `json:"last,omitempty" doc:"when the last attempt ended, if one has"`
	OK       bool       `json:"last_ok" doc:"it passed"`
	Took     Seconds    `json:"last_duration,omitempty" doc:"how long it took, if it was an attempt: what reports by itself has none"`
	Reason   string     `json:"last_reason,omitempty" doc:"of a failure, or what a success had to report"`
	Weight   int        `json:"weight_change" doc:"which it adds to that of its server"`
}

// Table is the state of the kernel's load balancer.
type Table struct {
	Unreachable string   `json:"unreachable,omitempty" doc:"why the kernel cannot be asked, if it cannot"`
	Services    int      `json:"services" doc:"that it is to hold"`
	Waiting     int      `json:"waiting" doc:"services of which changes are still to be accepted"`
	Refusing    int      `json:"refusing" doc:"changes that the kernel refuses; they are tried again"`
	Refused     []string `json:"refused,omitempty" doc:"the first of them, and why"`
	Repairs     uint64   `json:"repairs" doc:"services that another program had changed"`
	Repaired    string   `json:"last_repair,omitempty" doc:"the last of them, if there was one"`
}

// OfLVS is the view of a snapshot.
func OfLVS(s *status.LVS) *LVS {
	out := withoutServices(s)
	out.Services = make([]VirtualServer, len(s.Services))
	for i := range s.Services {
		out.Services[i] = serviceOf(&s.Services[i])
	}
	return out
}

// WriteLVS writes the view of a snapshot as JSON, one virtual server after the other: there may
// be thousands of real servers. The errors of w wait for its Flush.
func WriteLVS(w *bufio.Writer, s *status.LVS) error {
	return writeListed(w, "virtual_servers", func(yield func(any) bool) {
		var one VirtualServer
		for i := range s.Services {
			one = serviceOf(&s.Services[i])
			if !yield(&one) {
				return
			}
		}
	}, func() any {
		return struct {
			*LVS
			Services struct{} `json:"virtual_servers,omitzero"` // in place of those of LVS
		}{LVS: withoutServices(s)}
	})
}

func withoutServices(s *status.LVS) *LVS {
	out := &LVS{Snapshot: Snapshot{At: s.At.UTC(), Loop: loopOf(&s.Loop)}, Running: s.Running, Notifications: notificationsOf(s.Notifications)}
	t := &s.Table
	out.Table = Table{Unreachable: t.Unreachable, Services: t.Services, Waiting: t.Waiting, Refusing: t.Refusing, Repairs: t.Repairs}
	for _, r := range t.Refused {
		out.Table.Refused = append(out.Table.Refused, r.Change+": "+r.Reason)
	}
	if !t.LastRepair.At.IsZero() {
		out.Table.Repaired = t.LastRepair.Service + ": " + t.LastRepair.Changes
	}
	return out
}

func serviceOf(v *status.VirtualServer) VirtualServer {
	c := v.Conf
	out := VirtualServer{
		Name: c.String(), Scheduler: c.Scheduler, Up: v.Up, Since: moment(v.Since), Suspended: v.Suspended, SorryInUse: v.Sorry(),
		Quorum: v.Quorum, Hysteresis: v.Hysteresis, Weight: v.Sum, Alive: v.Alive, Servers: make([]RealServer, len(v.Servers)),
	}
	if c.FWMark == 0 {
		out.Protocol = c.Protocol.String()
	}
	if c.Sorry != nil {
		out.Sorry = c.Endpoint(c.Sorry.Addr, c.Sorry.Port)
	}
	out.Traffic, out.SorryTraffic = (*Traffic)(v.Traffic), (*Traffic)(v.SorryTraffic)
	for i := range v.Servers {
		r := &v.Servers[i]
		s := &out.Servers[i]
		*s = RealServer{
			Name: v.Name(r), Forward: r.Conf.Forward.Method.String(), Up: r.Up, InPool: r.InPool, Since: moment(r.Since),
			Weight: r.Weight, Configured: r.Conf.Weight, Traffic: (*Traffic)(r.Traffic), Failed: r.Failed, Checks: make([]Check, len(r.Checks)),
		}
		for k := range r.Intents {
			s.Intents = append(s.Intents, IntentOf(&r.Intents[k]))
		}
		for k := range r.Checks {
			s.Checks[k] = checkOf(&r.Checks[k])
		}
	}
	return out
}

func checkOf(c *status.Check) Check {
	out := Check{
		Kind: c.Conf.Kind.String(), State: trackState(c.Known, c.Up, c.Disabled != ""), Disabled: c.Disabled, Attempts: c.Attempts,
		Failures: c.Failures, Retries: c.Conf.Retry, Running: c.Running, Next: moment(c.Next), Overdue: seconds(c.Silent),
		Last: moment(c.Last.At), OK: c.Last.OK, Took: seconds(c.Last.Took), Reason: c.Last.Reason, Weight: c.Weight,
	}
	if c.Disabled == "" && !c.Active {
		out.State = "suspended"
	}
	return out
}
