package vrrpd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"keepalived-go/conf"
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
	GARPDelay                float64     `json:"garp_delay"`
	GARPRefresh              float64     `json:"garp_refresh"`
	GARPRepeat               int         `json:"garp_rep"`
	GARPRefreshRepeat        int         `json:"garp_refresh_rep"`
	GARPLowerDelay           float64     `json:"garp_lower_prio_delay"`
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
	PreemptDelay             float64     `json:"preempt_delay"`
	State                    uint8       `json:"state"`
	WantState                uint8       `json:"wantstate"`
	Version                  int         `json:"version"`
	SMTPAlert                bool        `json:"smtp_alert"`
	NotifyDeleted            bool        `json:"notify_deleted"`
	Addresses                []string    `json:"vips,omitempty"`
	Excluded                 []string    `json:"evips,omitempty"`
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

// jsonText is the JSON dump, in the layout that json_version asks for.
func (d *daemon) jsonText() []byte {
	var b bytes.Buffer
	open, end := "[", "]"
	if d.conf.Global.JSONVersion == 2 {
		open, end = `{"vrrp":[`, `]}`
	}
	b.WriteString(open)
	for i, r := range d.routers {
		if i > 0 {
			b.WriteByte(',')
		}
		data, err := json.Marshal(d.jsonRouter(r))
		if err != nil { // every field can be marshalled
			data = []byte("null")
		}
		fmt.Fprintf(&b, `{"data":%s,"stats":{`, data)
		separator := ""
		for name, n := range r.engine.Stats().All() {
			fmt.Fprintf(&b, `%s%q:%d`, separator, name, n)
			separator = ","
		}
		b.WriteString("}}")
	}
	b.WriteString(end)
	return b.Bytes()
}

func (d *daemon) jsonRouter(r *router) jsonData {
	c, e := r.conf, r.engine
	want := uint8(1)
	if c.Master {
		want = 2
	}
	out := jsonData{
		Name:                     c.Name,
		DontTrackPrimary:         jsonFlag(c.DontTrackPrimary),
		SkipCheckAdvertAddresses: jsonFlag(c.SkipCheckAdvertAddresses),
		Strict:                   jsonFlag(c.Strict),
		Interface:                c.Interface,
		MasterPriority:           e.MasterPriority(),
		LastTransition:           json.Number(fmt.Sprintf("%d.%06d", r.lastTransition.Unix(), r.lastTransition.Nanosecond()/1000)),
		GARPDelay:                c.GARP.Delay.Seconds(),
		GARPRefresh:              c.GARP.Refresh.Seconds(),
		GARPRepeat:               c.GARP.Repeat,
		GARPRefreshRepeat:        c.GARP.RefreshRepeat,
		GARPLowerDelay:           c.GARP.LowerDelay.Seconds(),
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
		PreemptDelay:             c.PreemptDelay.Seconds(),
		State:                    uint8(e.State()),
		WantState:                want,
		Version:                  c.Version,
		AuthType:                 uint8(c.Auth.Type),
	}
	if c.Auth.Type != conf.AuthNone {
		out.AuthData = c.Auth.Password.String() // masked
	}
	for i := range c.Addresses {
		out.Addresses = append(out.Addresses, d.addressText(r, &c.Addresses[i]))
	}
	for i := range c.Excluded {
		out.Excluded = append(out.Excluded, d.addressText(r, &c.Excluded[i]))
	}
	return out
}

// stamp notes the wall clock of a transition, for people and programs that read
// dumps; the engines never see it.
func (r *router) stamp() { r.lastTransition = time.Now() }
