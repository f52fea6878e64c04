package vrrpd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/dump"
	"keepalived-go/vrrp"
)

// jsonData is the "data" object of an instance in the JSON dump; names, order
// and types are those that exporters rely on.
type jsonData struct {
	Name                     string      `json:"iname"`
	DontTrackPrimary         jsonFlag    `json:"dont_track_primary"`
	SkipCheckAdvertAddresses jsonFlag    `json:"skip_check_adv_addr"`
	Strict                   jsonFlag    `json:"strict_mode"`
	VMACInterface            string      `json:"vmac_ifname"`
	Interface                string      `json:"ifp_ifname"`
	MasterPriority           uint8       `json:"master_priority"`
	LastTransition           json.Number `json:"last_transition"`
	GARPDelay                int64       `json:"garp_delay"`
	GARPRefresh              int64       `json:"garp_refresh"`
	GARPRepeat               int         `json:"garp_rep"`
	GARPRefreshRepeat        int         `json:"garp_refresh_rep"`
	GARPLowerDelay           int64       `json:"garp_lower_prio_delay"`
	GARPLowerRepeat          int         `json:"garp_lower_prio_rep"`
	LowerPriorityNoAdvert    jsonFlag    `json:"lower_prio_no_advert"`
	HigherPrioritySendAdvert jsonFlag    `json:"higher_prio_send_advert"`
	VRID                     uint8       `json:"vrid"`
	BasePriority             uint8       `json:"base_priority"`
	EffectivePriority        uint8       `json:"effective_priority"`
	AddressesSet             bool        `json:"vipset"`
	PromoteSecondaries       bool        `json:"promote_secondaries"`
	AdvertInterval           float64     `json:"adver_int"`
	MasterInterval           float64     `json:"master_adver_int"`
	Accept                   jsonFlag    `json:"accept"`
	NoPreempt                bool        `json:"nopreempt"`
	PreemptDelay             int64       `json:"preempt_delay"` // whole seconds
	State                    uint8       `json:"state"`
	WantState                uint8       `json:"wantstate"`
	Version                  int         `json:"version"`
	SMTPAlert                bool        `json:"smtp_alert"`
	NotifyDeleted            bool        `json:"notify_deleted"`
	ScriptBackup             string      `json:"script_backup,omitempty"`
	ScriptMaster             string      `json:"script_master,omitempty"`
	ScriptFault              string      `json:"script_fault,omitempty"`
	ScriptStop               string      `json:"script_stop,omitempty"`
	ScriptDeleted            string      `json:"script_deleted,omitempty"`
	Script                   string      `json:"script,omitempty"`
	ScriptMasterRxLowerPri   string      `json:"script_master_rx_lower_pri,omitempty"`
	Addresses                []string    `json:"vips,omitempty"`
	Excluded                 []string    `json:"evips,omitempty"`
	Routes                   []string    `json:"vroutes,omitempty"`
	Rules                    []string    `json:"vrules,omitempty"`
	TrackedInterfaces        []string    `json:"track_ifp,omitempty"`
	TrackedScripts           []string    `json:"track_script,omitempty"` // their commands
	TrackedProcesses         []string    `json:"track_process,omitempty"`
	AuthType                 uint8       `json:"auth_type"`
	AuthData                 string      `json:"auth_data,omitempty"`
}

// jsonFlag is a boolean that the dump writes as 0 or 1.
type jsonFlag bool

func (f jsonFlag) MarshalJSON() ([]byte, error) {
	if f {
		return []byte("1"), nil
	}
	return []byte("0"), nil
}

// jsonProcess is an element of "track_process" in version 2.
type jsonProcess struct {
	Process               string  `json:"process"`
	Parameters            string  `json:"parameters,omitempty"`
	ParamMatch            string  `json:"param_match,omitempty"`
	MinProcesses          int     `json:"min_processes"`
	MaxProcesses          *int    `json:"max_processes,omitempty"`
	CurrentProcesses      int     `json:"current_processes"`
	HaveQuorum            bool    `json:"have_quorum"`
	Weight                int     `json:"weight"`
	TerminateDelay        float64 `json:"terminate_delay"` // seconds
	ForkDelay             float64 `json:"fork_delay"`
	ForkDelayRunning      bool    `json:"fork_delay_timer_running"`
	TerminateDelayRunning bool    `json:"terminate_delay_timer_running"`
	FullCommand           bool    `json:"full_command"`
}

// composeJSON writes the JSON dump, in the layout that json_version asks for,
// in slices, and hands it over on the loop.
func (d *daemon) composeJSON(done func([]byte)) {
	d.askBeside(func(b beside) {
		v2 := d.conf.Global.JSONVersion == 2
		var out bytes.Buffer
		if v2 {
			out.WriteString(`{"vrrp":`)
		}
		separator := byte('[')
		d.forEachRouter(func(r *router) {
			out.WriteByte(separator)
			separator = ','
			d.writeJSON(&out, r, b)
		}, func() {
			if separator == '[' {
				out.WriteByte('[')
			}
			out.WriteByte(']')
			if v2 {
				out.WriteString(`,"track_process":`)
				out.Write(marshal(d.jsonProcesses(b)))
				out.WriteByte('}')
			}
			done(out.Bytes())
		})
	})
}

// marshal is for types of which every value can be marshalled.
func marshal(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return data
}

func (d *daemon) writeJSON(out *bytes.Buffer, r *router, b beside) {
	fmt.Fprintf(out, `{"data":%s,"stats":{`, marshal(d.jsonRouter(r, b)))
	separator := ""
	for name, n := range r.engine.Stats().All() {
		fmt.Fprintf(out, `%s%q:%d`, separator, name, n)
		separator = ","
	}
	fmt.Fprintf(out, `},"why":%s}`, marshal(r.jsonWhy()))
}

// jsonWhy is what the C daemon's dump does not have: how the state has come
// about. It stands beside the objects that exporters read.
type jsonWhy struct {
	Reason    string `json:"reason,omitempty"`    // of the last change of state: a vrrp.Reason
	Why       string `json:"why,omitempty"`       // the same in words
	Hindrance string `json:"hindrance,omitempty"` // what keeps a backup from being master that could be
}

func (r *router) jsonWhy() jsonWhy {
	j := jsonWhy{Hindrance: r.engine.Hindrance(now()).String()}
	if n := len(r.history); n > 0 {
		j.Reason, j.Why = r.history[n-1].reason.String(), r.history[n-1].why
	}
	return j
}

func (d *daemon) jsonProcesses(b beside) []jsonProcess {
	all := []jsonProcess{}
	for _, p := range d.conf.Processes {
		n := b.processes[p.Name]
		j := jsonProcess{
			Process:               p.Process,
			MinProcesses:          p.Quorum,
			CurrentProcesses:      n.Count,
			HaveQuorum:            n.Quorum,
			Weight:                p.Weight,
			TerminateDelay:        p.TerminateDelay.Seconds(),
			ForkDelay:             p.ForkDelay.Seconds(),
			ForkDelayRunning:      n.ForkDelay,
			TerminateDelayRunning: n.TerminateDelay,
			FullCommand:           p.FullCommand,
		}
		if len(p.Params) > 0 {
			j.Parameters, j.ParamMatch = strings.Join(p.Params, " "), matchNames[p.Match]
		}
		if p.QuorumMax >= 0 {
			j.MaxProcesses = &p.QuorumMax
		}
		all = append(all, j)
	}
	return all
}

func (d *daemon) jsonRouter(r *router, b beside) jsonData {
	c, e := r.conf, r.engine
	n := notifyOf(c.Notify)
	advertised, excluded := r.lists()
	command := func(c *conf.Command) string {
		if !c.Given() {
			return ""
		}
		return b.accounts.Program(c)
	}
	out := jsonData{
		Name:                     c.Name,
		DontTrackPrimary:         jsonFlag(c.DontTrackPrimary),
		SkipCheckAdvertAddresses: jsonFlag(c.SkipCheckAdvertAddresses),
		Strict:                   jsonFlag(c.Strict),
		Interface:                c.Interface,
		MasterPriority:           r.foreignMaster(),
		LastTransition:           json.Number(fmt.Sprintf("%d.%06d", r.lastTransition.Unix(), r.lastTransition.Nanosecond()/1000)),
		GARPDelay:                int64(c.GARP.Delay / time.Second),
		GARPRefresh:              int64(c.GARP.Refresh / time.Second),
		GARPRepeat:               c.GARP.Repeat,
		GARPRefreshRepeat:        c.GARP.RefreshRepeat,
		GARPLowerDelay:           int64(c.GARP.LowerDelay / time.Second),
		GARPLowerRepeat:          c.GARP.LowerRepeat,
		LowerPriorityNoAdvert:    jsonFlag(c.LowerPriorityNoAdvert),
		HigherPrioritySendAdvert: jsonFlag(c.HigherPrioritySendAdvert),
		VRID:                     c.VRID,
		BasePriority:             c.Priority,
		EffectivePriority:        e.Priority(),
		AddressesSet:             r.held,
		PromoteSecondaries:       c.PromoteSecondaries,
		AdvertInterval:           c.AdvertInterval.Seconds(),
		MasterInterval:           e.Snapshot().MasterInterval.Seconds(),
		Accept:                   jsonFlag(c.Accept),
		NoPreempt:                c.NoPreempt,
		PreemptDelay:             int64(c.PreemptDelay / time.Second),
		State:                    uint8(e.State()),
		WantState:                uint8(r.wanted()),
		Version:                  c.Version,
		SMTPAlert:                n.SMTPAlert,
		NotifyDeleted:            n.SignalDeleted,
		ScriptBackup:             command(&n.Backup),
		ScriptMaster:             command(&n.Master),
		ScriptFault:              command(&n.Fault),
		ScriptStop:               command(&n.Stop),
		ScriptDeleted:            command(&n.Deleted),
		Script:                   command(&n.Any),
		ScriptMasterRxLowerPri:   command(&n.MasterRxLowerPri),
		Addresses:                d.addressTexts(r, advertised),
		Excluded:                 d.addressTexts(r, excluded),
		AuthType:                 uint8(c.Auth.Type),
	}
	if c.Auth.Type != conf.AuthNone {
		out.AuthData = c.Auth.Password.String() // masked
	}
	out.Routes, out.Rules = dump.RoutingTexts(c.Routing)
	for i := range c.Track {
		switch t := &c.Track[i]; t.Kind {
		case conf.TrackedInterface:
			out.TrackedInterfaces = append(out.TrackedInterfaces, t.Name)
		case conf.TrackedProcess:
			out.TrackedProcesses = append(out.TrackedProcesses, t.Name)
		case conf.TrackedScript:
			if s := d.script(t.Name); s != nil {
				out.TrackedScripts = append(out.TrackedScripts, b.accounts.Program(&s.Command))
			}
		}
	}
	return out
}

// foreignMaster is the priority of another node that is master, or 0.
func (r *router) foreignMaster() uint8 {
	if r.engine.State() == vrrp.Backup {
		return r.engine.MasterPriority()
	}
	return 0
}

// script finds a vrrp_script.
func (d *daemon) script(name string) *conf.Script {
	for _, s := range d.conf.Scripts {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// stamp notes the wall clock of a transition, for people and programs that read
// dumps; the engines never see it.
func (r *router) stamp() { r.lastTransition = time.Now() }
