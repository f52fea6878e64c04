package conf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Path is the name of a keyword with that of its block: vrrp_instance.priority.
// It is also the Block of what stands in its braces.
func (k Keyword) Path() string {
	if k.Block == "" {
		return k.Name
	}
	return k.Block + "." + k.Name
}

// HasBlock reports whether a block in braces belongs to the keyword.
func (k Keyword) HasBlock() bool { return k.block != nil }

// Entry reports whether the declaration is of lines that begin with no keyword;
// Name is a placeholder then.
func (k Keyword) Entry() bool { return k.entry }

// Unit is what the argument is measured in, "" if it is no quantity.
func (k Keyword) Unit() string {
	switch k.args.kind {
	case argSeconds:
		return "seconds, with up to 6 decimal places"
	case argMillis:
		return "milliseconds, with up to 3 decimal places"
	}
	switch strings.Trim(k.Args, "[]") {
	case "SECS":
		return "whole seconds"
	case "USECS":
		return "microseconds"
	case "BYTES":
		return "bytes"
	}
	return ""
}

// Choices are the words that may be the first argument, nil if it is free.
func (k Keyword) Choices() []string {
	switch k.args.kind {
	case argBool:
		return []string{"on", "off", "true", "false", "yes", "no"}
	case argChoice:
		return k.args.choices
	case argWord, argWords:
		// The notation of the manual: PASS|AH, MTU|ADVERT|BYTES.
		list := strings.Split(k.args.text, "|")
		if len(list) < 2 || strings.ContainsAny(k.args.text, " []") {
			return nil
		}
		return slices.DeleteFunc(list, func(s string) bool { return s == "BYTES" || s == "NUMBER" || s == "BITS" || s == "LEN" || s == "MASK" })
	}
	return nil
}

// examples are arguments for words whose notation does not show enough: by path,
// by name, or by placeholder.
var examples = map[string]string{
	"virtual_server":                "192.0.2.10 80",
	"process":                       "nginx",
	"umask":                         "022",
	"vrrp_rx_bufs_policy":           "MTU",
	"vrrp_mcast_group4":             "224.0.0.50",
	"vrrp_mcast_group6":             "ff02::50",
	"mcast_dst_ip":                  "224.0.0.51",
	"mcast_src_ip":                  "192.0.2.2",
	"unicast_src_ip":                "192.0.2.2",
	"source_ip":                     "192.0.2.2",
	"bindto":                        "192.0.2.2",
	"neighbor_ip":                   "192.0.2.3",
	"neighbour_ip":                  "192.0.2.3",
	"state":                         "BACKUP",
	"priority":                      "150",
	"virtual_router_id":             "51",
	"advert_int":                    "1",
	"preempt_delay":                 "300",
	"interval":                      "2",
	"timeout":                       "3",
	"fall":                          "3",
	"rise":                          "2",
	"weight":                        "10",
	"delay_loop":                    "5",
	"delay_before_retry":            "1",
	"retry":                         "3",
	"connect_timeout":               "3",
	"connect_port":                  "8080",
	"stop_handover":                 "5",
	"vrrp_startup_delay":            "5",
	"vrrp_garp_interval":            "0.001",
	"vrrp_gna_interval":             "0.001",
	"garp_interval":                 "0.001",
	"gna_interval":                  "0.001",
	"vrrp_priority":                 "-10",
	"vrrp_rt_priority":              "50",
	"min_rx":                        "100",
	"min_tx":                        "100",
	"lb_kind":                       "DR",
	"lvs_method":                    "DR",
	"protocol":                      "TCP",
	"persistence_timeout":           "600",
	"persistence_engine":            "sip",
	"persistence_granularity":       "255.255.255.0",
	"quorum":                        "2",
	"auth_type":                     "PASS",
	"key":                           "1 file:/etc/keepalived/vrrp.key",
	"SSL.key":                       "/etc/keepalived/client.key",
	"SSL.ca":                        "/etc/keepalived/ca.pem",
	"SSL.certificate":               "/etc/keepalived/client.pem",
	"include_check":                 "+readable",
	"lvs_timeouts":                  "tcp 900",
	"lvs_sync_daemon":               "eth0 VI_1 id 10",
	"notification_email_from":       "keepalived@example.org",
	"smtp_server":                   "192.0.2.25",
	"smtp_helo_name":                "node1.example.org",
	"smtp_auth":                     "keepalived secret",
	"router_id":                     "node1",
	"net_namespace":                 "blue",
	"net_namespace_ipvs":            "blue",
	"instance":                      "blue",
	"vrf":                           "blue",
	"dbus_service_name":             "org.example.Vrrp1",
	"control_group":                 "netops",
	"control_admin_group":           "netadmin",
	"http_listen":                   "8080",
	"http_tls_cert":                 "/etc/keepalived/page.pem",
	"http_tls_key":                  "/etc/keepalived/page.key",
	"http_token":                    "file:/etc/keepalived/page.pass",
	"snmp_socket":                   "unix:/var/agentx/master",
	"vrrp_iptables":                 "INPUT OUTPUT",
	"vrrp_ipsets":                   "keepalived keepalived6",
	"vmac_prefix":                   "vip",
	"vmac_addr_prefix":              "vipa",
	"use_vmac":                      "vrrp.51",
	"use_ipvlan":                    "ipvl.51",
	"misc_path":                     `"/usr/local/bin/check-shop --quick"`,
	"script":                        `"/usr/local/bin/check-shop --quick"`,
	"regex":                         `"^ready"`,
	"regex_stack":                   "32768 1048576",
	"digest":                        "640205b7b0fc66c1ea91c463fac6334d",
	"status_code":                   "200-299 302",
	"require_reply":                 "706f 6e67",
	"payload":                       "7069 6e67",
	"init_file":                     "0 overwrite",
	"virtualhost":                   "www.example.org",
	"sni_name":                      "www.example.org",
	"helo_name":                     "node1.example.org",
	"vrrp_instance":                 "VI_1",
	"vrrp_sync_group":               "VG_1",
	"vrrp_script":                   "chk_nginx",
	"track_file":                    "maintenance",
	"vrrp_track_file":               "maintenance",
	"vrrp_track_process":            "nginx",
	"bfd_instance":                  "node2",
	"bfd_peer":                      "node2",
	"track_group":                   "TG_1",
	"virtual_server_group":          "web",
	"track_file.file":               "/run/keepalived/maintenance",
	"vrrp_track_file.file":          "/run/keepalived/maintenance",
	"virtual_server_group.fwmark":   "3",
	"FILE_CHECK.track_file":         "maintenance",
	"BFD_CHECK.name":                "node2",
	"DNS_CHECK.name":                "www.example.org",
	"url.path":                      "/health",
	"vrrp_instance.track_file":      "",
	"vrrp_sync_group.track_file":    "",
	"vrrp_instance.debug":           "2",
	"reload_time_file":              "/etc/keepalived/reload-at",
	"snmp_vs_stats_update_interval": "5",
	"snmp_rs_stats_update_interval": "5",

	"ADDRESS": "192.0.2.10/24 dev eth0",
	"RULE":    "from 192.0.2.0/24 table 100 priority 100",
	"ROUTE":   "198.51.100.0/24 via 192.0.2.1 dev eth0",

	"unicast_peer.ADDRESS":         "192.0.2.3",
	"virtual_server_group.ADDRESS": "192.0.2.10 80",
	"notification_email.ADDRESS":   "admin@example.org",

	"IFNAME": "eth0",
	"GLOB":   "/etc/keepalived/conf.d/*.conf",
	"PATH":   "/run/keepalived/file",
	"DIR":    "/var/lib/keepalived",
	"TABLE":  "keepalived",
	"NAME":   "name",
	"USER":   "keepalived_script",
	"CPU...": "0 1",
	"IP":     "192.0.2.21 80",
	"ADDR":   "192.0.2.21",
	"[all]":  "60",
	"STRING": "secret",
	"PORT":   "8080",
	"BYTES":  "65536",
	"PREFIX": "192.0.2.0/24",
}

// exampleArgument looks from the most particular name to the placeholder.
func (k Keyword) exampleArgument() string {
	path := k.Path()
	for {
		if v, ok := examples[path]; ok && (path != k.Name || k.args.kind != argBlock) {
			return v
		}
		_, inner, ok := strings.Cut(path, ".")
		if !ok {
			break
		}
		path = inner
	}
	first, _, _ := strings.Cut(k.Args, " ")
	if v, ok := examples[strings.Trim(first, "[]")]; ok && k.args.kind != argBlock {
		return v
	}
	if v, ok := examples[first]; ok {
		return v
	}
	switch k.args.kind {
	case argBool:
		return "on"
	case argNumber, argWeight:
		return strconv.FormatInt(max(k.args.min, 1), 10)
	case argSeconds:
		return strconv.FormatFloat(max(float64(k.args.min)/1e6, min(1, float64(k.args.max)/1e6)), 'f', -1, 64)
	case argMillis:
		return strconv.FormatInt(max(k.args.min/1000, 1), 10)
	case argChoice:
		return k.args.choices[0]
	case argAddress:
		return "192.0.2.1"
	case argCommand:
		return "/etc/keepalived/" + k.Name + ".sh"
	case argWord, argWords:
		if c := k.Choices(); len(c) > 0 {
			return c[0]
		}
		return strings.ToLower(k.Name)
	}
	return ""
}

// Example is a line with the keyword that is accepted in its place. A block is
// only begun: { stands at the end.
func (k Keyword) Example() string {
	arg := k.exampleArgument()
	switch {
	case k.entry:
		return arg
	case k.option:
		return ""
	}
	s := k.Name
	if arg != "" && k.args.kind != argNone {
		s += " " + arg
	}
	if k.block != nil {
		s += " {"
	}
	return s
}

// Find is the declarations that a word means: a keyword wherever it stands, or
// one of them, as BLOCK.KEYWORD with as much of the block's path as it takes.
// Words within a line and old words come after the others.
func Find(word string) []Keyword {
	var found, options, old []Keyword
	for k := range Schema() {
		switch path := k.Path(); {
		case path != word && !strings.HasSuffix(path, "."+word):
		case k.Successor != "":
			old = append(old, k)
		case k.option:
			options = append(options, k)
		default:
			found = append(found, k)
		}
	}
	return slices.Concat(found, options, old)
}

// Keywords is the whole language by path, for look-ups.
var Keywords = sync.OnceValue(func() map[string]Keyword {
	all := make(map[string]Keyword)
	for k := range Schema() {
		all[k.Path()] = k
	}
	return all
})

// Missing says that none of names is name: "no vrrp_instance is called "VI1"; did you mean
// "VI_1"?". what is what they name.
func Missing(what, name string, names []string) string {
	why := fmt.Sprintf("no %s is called %q", what, name)
	if near := Nearest(name, names); len(near) > 0 {
		why += fmt.Sprintf("; did you mean %q?", near[0])
	}
	return why
}

// Nearest are the words most like a misspelt one, the best first: few changes
// away, or with it inside of them.
func Nearest(word string, words []string) []string {
	const most = 5
	type candidate struct {
		word string
		rank int
	}
	limit := max(1, len(word)/3) + 1
	var near []candidate
	for _, w := range words {
		rank := limit
		if len(word) >= 3 && len(word) <= 64 {
			rank = editDistance(word, w, limit)
		}
		if rank == limit && (len(word) < 3 || !strings.Contains(w, word)) {
			continue
		}
		near = append(near, candidate{w, rank})
	}
	slices.SortStableFunc(near, func(a, b candidate) int {
		if a.rank != b.rank {
			return a.rank - b.rank
		}
		return len(a.word) - len(b.word)
	})
	var out []string
	for _, c := range near {
		if !slices.Contains(out, c.word) && len(out) < most {
			out = append(out, c.word)
		}
	}
	return out
}
