// Package json writes what a process of ours knows as JSON, for exporters and
// other programs.
package json

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/text"
	"keepalived-go/vrrp"
)

// data is the "data" object of an instance in the JSON dump; names, order
// and types are the ones that exporters rely on.
type data struct {
	Name                     string      `json:"iname"`
	DontTrackPrimary         bit         `json:"dont_track_primary"`
	SkipCheckAdvertAddresses bit         `json:"skip_check_adv_addr"`
	Strict                   bit         `json:"strict_mode"`
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
	LowerPriorityNoAdvert    bit         `json:"lower_prio_no_advert"`
	HigherPrioritySendAdvert bit         `json:"higher_prio_send_advert"`
	VRID                     uint8       `json:"vrid"`
	BasePriority             uint8       `json:"base_priority"`
	EffectivePriority        uint8       `json:"effective_priority"`
	AddressesSet             bool        `json:"vipset"`
	PromoteSecondaries       bool        `json:"promote_secondaries"`
	AdvertInterval           float64     `json:"adver_int"`
	MasterInterval           float64     `json:"master_adver_int"`
	Accept                   bit         `json:"accept"`
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

// bit is a boolean that the dump writes as 0 or 1.
type bit bool

func (b bit) MarshalJSON() ([]byte, error) {
	if b {
		return []byte("1"), nil
	}
	return []byte("0"), nil
}

// process is an element of "track_process" in version 2.
type process struct {
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

// why is what the C daemon's dump does not have: how the state has come about. It
// stands beside the objects that exporters read.
type why struct {
	Reason    string `json:"reason,omitempty"`    // of the last change of state: a vrrp.Reason
	Why       string `json:"why,omitempty"`       // the same in words
	Hindrance string `json:"hindrance,omitempty"` // what keeps a backup from being master that could be

	Trackers []tracker `json:"trackers,omitempty"` // in version 2
}

// tracker is a tracker as it counts for an instance.
type tracker struct {
	Kind     string  `json:"kind"` // the word of the track block
	Name     string  `json:"name"`
	Weight   int     `json:"weight"`
	Reverse  bool    `json:"reverse"`
	Known    bool    `json:"known"`
	Up       bool    `json:"up"`
	Disabled bool    `json:"disabled"`
	Fault    bool    `json:"fault"`
	Detail   string  `json:"detail,omitempty"`
	Last     float64 `json:"last"` // when it reported this: seconds since 1970; 0: never
}

// loop is how well an event loop has kept time since its start; times are seconds.
type loop struct {
	Turns   uint64  `json:"turns"`
	Longest float64 `json:"longest_turn"`
	Stalls  uint64  `json:"stalls"` // turns longer than 50 ms
	Late    float64 `json:"latest_timer"`
}

func loopOf(l *status.Loop) loop {
	return loop{l.Turns, l.Longest.Seconds(), l.Stalls, l.Late.Seconds()}
}

// VRRP is the dump of the VRRP process in the layout that json_version asks for.
func VRRP(s *status.VRRP) []byte {
	v2 := s.Conf.Global.JSONVersion == 2
	accounts := &text.Accounts{Policy: s.Conf.Global.Scripts}
	var out bytes.Buffer
	if v2 {
		out.WriteString(`{"vrrp":`)
	}
	out.WriteByte('[')
	for i := range s.Instances {
		if i > 0 {
			out.WriteByte(',')
		}
		writeInstance(&out, s, &s.Instances[i], accounts)
	}
	out.WriteByte(']')
	if v2 {
		fmt.Fprintf(&out, `,"track_process":%s,"loop":%s}`, marshal(processes(s)), marshal(loopOf(&s.Loop)))
	}
	return out.Bytes()
}

// marshal is for types of which every value can be marshalled.
func marshal(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return data
}

func writeInstance(out *bytes.Buffer, s *status.VRRP, i *status.Instance, accounts *text.Accounts) {
	fmt.Fprintf(out, `{"data":%s,"stats":{`, marshal(dataOf(s, i, accounts)))
	separator := ""
	for name, n := range i.Stats.All() {
		fmt.Fprintf(out, `%s%q:%d`, separator, name, n)
		separator = ","
	}
	fmt.Fprintf(out, `},"why":%s}`, marshal(whyOf(s, i)))
}

func whyOf(s *status.VRRP, i *status.Instance) why {
	w := why{Hindrance: i.Hindrance}
	if n := len(i.History); n > 0 {
		w.Reason, w.Why = i.History[n-1].Reason.String(), i.History[n-1].Why
	}
	if s.Conf.Global.JSONVersion == 2 {
		for k := range i.Trackers {
			t := &i.Trackers[k]
			w.Trackers = append(w.Trackers, tracker{
				Kind: t.Kind.String(), Name: t.Name, Weight: t.Weight, Reverse: t.Reverse,
				Known: t.Known, Up: t.Up, Disabled: t.Disabled, Fault: t.Fault, Detail: t.Detail, Last: seconds(t.At),
			})
		}
	}
	return w
}

func processes(s *status.VRRP) []process {
	all := []process{}
	for i := range s.Processes {
		p := &s.Processes[i]
		c := p.Conf
		j := process{
			Process:               c.Process,
			MinProcesses:          c.Quorum,
			CurrentProcesses:      p.Count,
			HaveQuorum:            p.Quorum,
			Weight:                c.Weight,
			TerminateDelay:        c.TerminateDelay.Seconds(),
			ForkDelay:             c.ForkDelay.Seconds(),
			ForkDelayRunning:      p.ForkDelay,
			TerminateDelayRunning: p.TerminateDelay,
			FullCommand:           c.FullCommand,
		}
		if len(c.Params) > 0 {
			j.Parameters, j.ParamMatch = strings.Join(c.Params, " "), c.Match.String()
		}
		if c.QuorumMax >= 0 {
			j.MaxProcesses = &c.QuorumMax
		}
		all = append(all, j)
	}
	return all
}

func dataOf(s *status.VRRP, i *status.Instance, accounts *text.Accounts) data {
	c, n := i.Conf, i.Conf.Notify
	if n == nil {
		n = &conf.Notify{}
	}
	command := func(c *conf.Command) string {
		if !c.Given() {
			return ""
		}
		return accounts.Program(c)
	}
	out := data{
		Name:                     c.Name,
		DontTrackPrimary:         bit(c.DontTrackPrimary),
		SkipCheckAdvertAddresses: bit(c.SkipCheckAdvertAddresses),
		Strict:                   bit(c.Strict),
		VMACInterface:            i.Own,
		Interface:                cmp.Or(i.Own, c.Interface),
		MasterPriority:           foreignMaster(i),
		LastTransition:           json.Number(fmt.Sprintf("%d.%06d", i.Since.Unix(), i.Since.Nanosecond()/1000)),
		GARPDelay:                int64(c.GARP.Delay / time.Second),
		GARPRefresh:              int64(c.GARP.Refresh / time.Second),
		GARPRepeat:               c.GARP.Repeat,
		GARPRefreshRepeat:        c.GARP.RefreshRepeat,
		GARPLowerDelay:           int64(c.GARP.LowerDelay / time.Second),
		GARPLowerRepeat:          c.GARP.LowerRepeat,
		LowerPriorityNoAdvert:    bit(c.LowerPriorityNoAdvert),
		HigherPrioritySendAdvert: bit(c.HigherPrioritySendAdvert),
		VRID:                     c.VRID,
		BasePriority:             c.Priority,
		EffectivePriority:        i.Priority,
		AddressesSet:             i.Held,
		PromoteSecondaries:       c.PromoteSecondaries,
		AdvertInterval:           c.AdvertInterval.Seconds(),
		MasterInterval:           i.MasterInterval.Seconds(),
		Accept:                   bit(c.Accept),
		NoPreempt:                c.NoPreempt,
		PreemptDelay:             int64(c.PreemptDelay / time.Second),
		State:                    uint8(i.State),
		WantState:                uint8(i.Wanted),
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
		Addresses:                text.Addresses(i.Listed),
		Excluded:                 text.Addresses(i.Excluded),
		AuthType:                 uint8(c.Auth.Type),
	}
	if c.Auth.Type != conf.AuthNone {
		out.AuthData = c.Auth.Password.String() // masked
	}
	out.Routes, out.Rules = text.RoutingTexts(c.Routing)
	for k := range c.Track {
		switch t := &c.Track[k]; t.Kind {
		case conf.TrackedInterface:
			out.TrackedInterfaces = append(out.TrackedInterfaces, t.Name)
		case conf.TrackedProcess:
			out.TrackedProcesses = append(out.TrackedProcesses, t.Name)
		case conf.TrackedScript:
			if s := script(s, t.Name); s != nil {
				out.TrackedScripts = append(out.TrackedScripts, accounts.Program(&s.Command))
			}
		}
	}
	return out
}

// foreignMaster is the priority of another node that is master, or 0.
func foreignMaster(i *status.Instance) uint8 {
	if i.State == vrrp.Backup {
		return i.MasterPriority
	}
	return 0
}

// script finds a vrrp_script.
func script(s *status.VRRP, name string) *conf.Script {
	for i := range s.Scripts {
		if c := s.Scripts[i].Conf; c.Name == name {
			return c
		}
	}
	return nil
}
