package conf

import "keepalived-go/conf/syntax"

// pointed is a problem of an instance that is about some of its words.
type pointed struct {
	problem reason
	at      Pos // of the instance
	words   []string
}

// aboutWord are the words of vrrp_instance that the problems of an instance are
// about.
var aboutWord = map[string][]string{
	"advert-int":           {"advert_int"},
	"auth-ah":              {"authentication"},
	"auth-both":            {"authentication"},
	"auth-ipv6":            {"authentication"},
	"auth-v3":              {"authentication"},
	"group-family":         {"mcast_dst_ip"},
	"master-ah":            {"state"},
	"many-addresses":       {"virtual_ipaddress"},
	"no-password":          {"authentication"},
	"nopreempt-master":     {"nopreempt"},
	"nopreempt-owner":      {"nopreempt"},
	"owner-ignore":         {"owner_ignore_adverts"},
	"peer-self":            {"unicast_peer"},
	"peers-lost":           {"unicast_peer"},
	"preempt-delay":        {"preempt_delay"},
	"source-missing":       {"unicast_src_ip"},
	"strict-accept":        {"accept"},
	"strict-auth":          {"authentication"},
	"strict-down-timer":    {"down_timer_adverts"},
	"strict-garp":          {"garp_lower_prio_repeat", "garp_lower_prio_delay"},
	"strict-higher-prio":   {"higher_prio_send_advert"},
	"strict-hmac":          {"auth_hmac"},
	"strict-lower-prio":    {"lower_prio_no_advert"},
	"strict-no-address":    {"no_virtual_ipaddress"},
	"strict-owner-ignore":  {"owner_ignore_adverts"},
	"strict-preempt-delay": {"preempt_delay"},
	"strict-state":         {"state"},
	"strict-unicast":       {"unicast_peer"},
	"strict-version":       {"version"},
	"timer-expired":        {"timer_expired_backup", "thread_timer_expired"},
}

// point moves the problems of instances from their first line to the word they
// are about. Where every word stands is not kept, so the file is read again;
// a word that comes from global_defs is not found, and the problem stays.
func (d *decoder) point(path string) {
	if len(d.pointed) == 0 {
		return
	}
	byInstance := make(map[Pos][]pointed)
	for _, p := range d.pointed {
		byInstance[p.at] = append(byInstance[p.at], p)
	}
	syntax.Read(path, d.reading(), &syntax.Collector{}, func(s *Statement) {
		for _, p := range byInstance[s.Pos(0)] {
			problem := d.diags.At(p.problem)
			for _, word := range p.words {
				for _, inner := range s.Block {
					if inner.Keyword() == word && problem.Pos == p.at {
						problem.Pos, problem.Chain = inner.Pos(0), inner.Chain(0)
					}
				}
			}
		}
	})
}
