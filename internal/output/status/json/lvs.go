package json

import (
	"time"

	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/text"
)

// The C daemon has no JSON dump of virtual servers. This one is an object with
// lists, whose elements are known by the names that log lines use. Times are
// seconds since 1970; 0: never.

type lvsDump struct {
	Services []virtualServer `json:"virtual_servers"`
	Table    table           `json:"ipvs"`
	Loop     loop            `json:"loop"`
}

type virtualServer struct {
	Name        string       `json:"name"`
	SNMPName    string       `json:"snmp_name,omitempty"`
	Up          bool         `json:"quorum_up"`
	Since       float64      `json:"since"`
	Suspended   bool         `json:"suspended"`
	SorryServer string       `json:"sorry_server,omitempty"`
	SorryInUse  bool         `json:"sorry_server_in_use"`
	Quorum      int64        `json:"quorum"`
	Hysteresis  int64        `json:"hysteresis"`
	Weight      int64        `json:"weight"` // of the servers that are up
	Alive       int          `json:"alive"`
	WhyQuorum   string       `json:"why"`
	Servers     []realServer `json:"real_servers"`
}

type realServer struct {
	Name             string  `json:"name"`
	SNMPName         string  `json:"snmp_name,omitempty"`
	Up               bool    `json:"up"`
	InPool           bool    `json:"in_pool"`
	Since            float64 `json:"since"`
	Weight           int     `json:"weight"` // effective
	ConfiguredWeight int     `json:"configured_weight"`
	Failed           int     `json:"failed_checks"`
	Checks           []check `json:"checks"`
}

type check struct {
	Kind     string  `json:"kind"`
	Disabled string  `json:"disabled,omitempty"`
	Active   bool    `json:"active"`
	Up       bool    `json:"up"`
	Known    bool    `json:"known"`
	Weight   int     `json:"weight_change"`
	Attempts uint64  `json:"attempts"`
	Failures int     `json:"retries_spent"`
	Retries  int     `json:"retries"`
	Running  bool    `json:"running"`
	Next     float64 `json:"next"`
	Silent   float64 `json:"overdue"` // seconds; 0: not
	Last     float64 `json:"last"`
	OK       bool    `json:"last_ok"`
	Reason   string  `json:"last_reason,omitempty"`
}

type table struct {
	Unreachable string    `json:"unreachable,omitempty"`
	Services    int       `json:"services"`
	Waiting     int       `json:"services_waiting"`
	Refusing    int       `json:"refusing"`
	Refused     []refusal `json:"refused"` // the first of them
	Repairs     uint64    `json:"repairs"`
	LastRepair  float64   `json:"last_repair"`
	Repaired    string    `json:"last_repaired,omitempty"`
	TCP         float64   `json:"timeout_tcp"` // seconds; 0: not set
	TCPFin      float64   `json:"timeout_tcpfin"`
	UDP         float64   `json:"timeout_udp"`
	Daemons     []daemon  `json:"sync_daemons"`
}

type refusal struct {
	Change string `json:"change"`
	Reason string `json:"reason"`
}

type daemon struct {
	Role      string `json:"role"`
	Interface string `json:"interface"`
	ID        uint8  `json:"syncid"`
}

// LVS is the dump of the process of the health checks.
func LVS(s *status.LVS) []byte {
	out := lvsDump{Services: make([]virtualServer, len(s.Services)), Table: tableOf(&s.Table), Loop: loopOf(&s.Loop)}
	for i := range s.Services {
		out.Services[i] = virtualServerOf(&s.Services[i])
	}
	return marshal(out)
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func virtualServerOf(v *status.VirtualServer) virtualServer {
	out := virtualServer{
		Name: v.Conf.String(), SNMPName: v.Conf.SNMPName, Up: v.Up, Since: seconds(v.Since), Suspended: v.Suspended,
		SorryInUse: v.Sorry(), Quorum: v.Quorum, Hysteresis: v.Hysteresis, Weight: v.Sum, Alive: v.Alive,
		WhyQuorum: text.QuorumText(v), Servers: make([]realServer, len(v.Servers)),
	}
	if c := v.Conf.Sorry; c != nil {
		out.SorryServer = v.Conf.Endpoint(c.Addr, c.Port)
	}
	for i := range v.Servers {
		r := &v.Servers[i]
		o := &out.Servers[i]
		*o = realServer{
			Name: v.Name(r), SNMPName: r.Conf.SNMPName, Up: r.Up, InPool: r.InPool, Since: seconds(r.Since),
			Weight: r.Weight, ConfiguredWeight: r.Conf.Weight, Failed: r.Failed, Checks: make([]check, len(r.Checks)),
		}
		for j := range r.Checks {
			c := &r.Checks[j]
			o.Checks[j] = check{
				Kind: c.Conf.Kind.String(), Disabled: c.Disabled, Active: c.Active, Up: c.Up, Known: c.Known, Weight: c.Weight,
				Attempts: c.Attempts, Failures: c.Failures, Retries: c.Conf.Retry, Running: c.Running, Next: seconds(c.Next),
				Silent: c.Silent.Seconds(), Last: seconds(c.Last.At), OK: c.Last.OK, Reason: c.Last.Reason,
			}
		}
	}
	return out
}

func tableOf(t *status.Table) table {
	out := table{
		Unreachable: t.Unreachable, Services: t.Services, Waiting: t.Waiting, Refusing: t.Refusing, Refused: []refusal{}, Repairs: t.Repairs,
		LastRepair: seconds(t.LastRepair.At), Repaired: t.LastRepair.Service,
		TCP: t.Timeouts.TCP.Seconds(), TCPFin: t.Timeouts.TCPFin.Seconds(), UDP: t.Timeouts.UDP.Seconds(), Daemons: []daemon{},
	}
	for _, r := range t.Refused {
		out.Refused = append(out.Refused, refusal(r))
	}
	for _, d := range t.Daemons {
		out.Daemons = append(out.Daemons, daemon{d.Role, d.Interface, d.ID})
	}
	return out
}
