package api

import (
	"fmt"
	"reflect"
	"strings"

	"keepalived-go/vrrp"
)

// Counters are the statistics of a virtual router, as vrrp.Stats.All has them: in its order,
// under its names.
type Counters struct {
	AdvertRcvd       uint64 `json:"advert_rcvd" doc:"adverts received"`
	AdvertSent       uint64 `json:"advert_sent" doc:"adverts sent"`
	BecomeMaster     uint64 `json:"become_master" doc:"changes to master"`
	ReleaseMaster    uint64 `json:"release_master" doc:"changes from master"`
	PacketLength     uint64 `json:"packet_len_err" doc:"packets dropped for their length"`
	AdvertInterval   uint64 `json:"advert_interval_err" doc:"packets dropped for another advertisement interval"`
	TTL              uint64 `json:"ip_ttl_err" doc:"packets dropped for their TTL"`
	Type             uint64 `json:"invalid_type_rcvd" doc:"packets dropped because they are no adverts"`
	AddressList      uint64 `json:"addr_list_err" doc:"adverts with other addresses than ours"`
	AuthType         uint64 `json:"invalid_authtype" doc:"packets dropped for an undefined type of authentication"`
	AuthMismatch     uint64 `json:"authtype_mismatch" doc:"packets dropped for another type of authentication"`
	AuthFailure      uint64 `json:"auth_failure" doc:"packets dropped for a wrong password or authentication header"`
	PriorityZeroRcvd uint64 `json:"pri_zero_rcvd" doc:"adverts with priority 0 received"`
	PriorityZeroSent uint64 `json:"pri_zero_sent" doc:"adverts with priority 0 sent"`
	HMACMissing      uint64 `json:"auth_ext_missing" doc:"packets dropped because they have no signature"`
	HMACMalformed    uint64 `json:"auth_ext_malformed" doc:"packets dropped for a signature that cannot be read"`
	HMACUnknownKey   uint64 `json:"auth_ext_unknown_key" doc:"packets dropped for a key that this node has not"`
	HMACInvalid      uint64 `json:"auth_ext_invalid_hmac" doc:"packets dropped for a wrong signature"`
	HMACStale        uint64 `json:"auth_ext_stale" doc:"packets dropped because their signature is too old"`
	HMACReplayed     uint64 `json:"auth_ext_replay" doc:"packets dropped because they are a repetition"`
	Checksum         uint64 `json:"chk_err" doc:"packets dropped for their checksum"`
	Version          uint64 `json:"version_err" doc:"packets dropped for their version of VRRP"`
	VRID             uint64 `json:"vrid_err" doc:"packets dropped for a virtual router identifier that is not theirs"`
	Stalls           uint64 `json:"stalls" doc:"times that the process was late by longer than peers wait"`
}

func countersOf(s *vrrp.Stats) (c Counters) {
	to, i := reflect.ValueOf(&c).Elem(), 0
	for _, n := range s.All() {
		to.Field(i).SetUint(n)
		i++
	}
	return c
}

// Get is the counter with a name of vrrp.Stats.All, and 0 if there is none.
func (c *Counters) Get(name string) uint64 {
	i, known := counterPlaces[name]
	if !known {
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
	return reflect.TypeFor[Counters]().Field(i).Tag.Get("json")
}

// counterPlaces are the places of the counters in [Counters], by their names.
var counterPlaces = func() map[string]int {
	places := map[string]int{}
	for i := range reflect.TypeFor[Counters]().NumField() {
		places[counterName(i)] = i
	}
	return places
}()
