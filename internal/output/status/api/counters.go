package api

import (
	"fmt"
	"reflect"
	"strings"

	"keepalived-go/vrrp"
)

// Counters are the statistics of a virtual router, as vrrp.Stats.All has them: in its order,
// under its names. Those of what should not happen are left out as long as they are 0: of
// thousands of virtual routers they would be most of the answer.
type Counters struct {
	AdvertRcvd       uint64 `json:"advert_rcvd" doc:"adverts received"`
	AdvertSent       uint64 `json:"advert_sent" doc:"adverts sent"`
	BecomeMaster     uint64 `json:"become_master" doc:"changes to master"`
	ReleaseMaster    uint64 `json:"release_master" doc:"changes from master"`
	PacketLength     uint64 `json:"packet_len_err,omitempty" doc:"packets dropped for their length, if there were any"`
	AdvertInterval   uint64 `json:"advert_interval_err,omitempty" doc:"packets dropped for another advertisement interval, if there were any"`
	TTL              uint64 `json:"ip_ttl_err,omitempty" doc:"packets dropped for their TTL, if there were any"`
	Type             uint64 `json:"invalid_type_rcvd,omitempty" doc:"packets dropped because they are no adverts, if there were any"`
	AddressList      uint64 `json:"addr_list_err,omitempty" doc:"adverts with other addresses than ours, if there were any"`
	AuthType         uint64 `json:"invalid_authtype,omitempty" doc:"packets dropped for an undefined type of authentication, if there were any"`
	AuthMismatch     uint64 `json:"authtype_mismatch,omitempty" doc:"packets dropped for another type of authentication, if there were any"`
	AuthFailure      uint64 `json:"auth_failure,omitempty" doc:"packets dropped for a wrong password or authentication header, if there were any"`
	PriorityZeroRcvd uint64 `json:"pri_zero_rcvd,omitempty" doc:"adverts with priority 0 received, if there were any"`
	PriorityZeroSent uint64 `json:"pri_zero_sent,omitempty" doc:"adverts with priority 0 sent, if there were any"`
	HMACMissing      uint64 `json:"auth_ext_missing,omitempty" doc:"packets dropped because they have no signature, if there were any"`
	HMACMalformed    uint64 `json:"auth_ext_malformed,omitempty" doc:"packets dropped for a signature that cannot be read, if there were any"`
	HMACUnknownKey   uint64 `json:"auth_ext_unknown_key,omitempty" doc:"packets dropped for a key that this node has not, if there were any"`
	HMACInvalid      uint64 `json:"auth_ext_invalid_hmac,omitempty" doc:"packets dropped for a wrong signature, if there were any"`
	HMACStale        uint64 `json:"auth_ext_stale,omitempty" doc:"packets dropped because their signature is too old, if there were any"`
	HMACReplayed     uint64 `json:"auth_ext_replay,omitempty" doc:"packets dropped because they are a repetition, if there were any"`
	Checksum         uint64 `json:"chk_err,omitempty" doc:"packets dropped for their checksum, if there were any"`
	Version          uint64 `json:"version_err,omitempty" doc:"packets dropped for their version of VRRP, if there were any"`
	VRID             uint64 `json:"vrid_err,omitempty" doc:"packets dropped for a virtual router identifier that is not theirs, if there were any"`
	Stalls           uint64 `json:"stalls,omitempty" doc:"times that the process was late by longer than peers wait, if there were any"`
}

// set sets every counter to that of s.
func (c *Counters) set(s *vrrp.Stats) {
	to, i := reflect.ValueOf(c).Elem(), 0
	for _, n := range s.All() {
		to.Field(i).SetUint(n)
		i++
	}
}

// Get is the counter with a name of vrrp.Stats.All, and 0 if there is none, as in a brief answer.
func (c *Counters) Get(name string) uint64 {
	i, known := counterPlaces[name]
	if !known || c == nil {
		return 0
	}
	return reflect.ValueOf(c).Elem().Field(i).Uint()
}

// String names the counters that are not 0.
func (c Counters) String() string {
	var all []string
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		if n := v.Field(i).Uint(); n != 0 {
			all = append(all, fmt.Sprintf("%s=%d", counterName(i), n))
		}
	}
	return strings.Join(all, ",")
}

func counterName(i int) string {
	name, _, _ := strings.Cut(reflect.TypeFor[Counters]().Field(i).Tag.Get("json"), ",")
	return name
}

// counterPlaces are the places of the counters in [Counters], by their names.
var counterPlaces = func() map[string]int {
	places := map[string]int{}
	for i := range reflect.TypeFor[Counters]().NumField() {
		places[counterName(i)] = i
	}
	return places
}()
