package metrics

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"

	"keepalived-go/internal/output/status/api"
)

type adder = func(value float64, labels ...string)

// single is a metric with one series.
func single(name, kind, help string, value func(s *api.Status) float64) Family {
	return Family{name, kind, help, nil, func(s *api.Status, add adder) { add(value(s)) }}
}

// processes is a metric of each process.
func processes(name, kind, help string, value func(p *api.Process) float64) Family {
	return Family{name, kind, help, ofProcess, func(s *api.Status, add adder) {
		for i := range s.Processes {
			add(value(&s.Processes[i]), s.Processes[i].Name)
		}
	}}
}

// snapshots is a metric of each process that has ever answered.
func snapshots(name, kind, help string, value func(s *api.Snapshot) float64) Family {
	return Family{name, kind, help, ofProcess, func(s *api.Status, add adder) {
		for process, answer := range s.Answers() {
			if answer != nil {
				add(value(answer), process)
			}
		}
	}}
}

// loops is a metric of the event loop of each process that answers.
func loops(name, kind, help string, value func(l *api.Loop) float64) Family {
	return Family{name, kind, help, ofProcess, func(s *api.Status, add adder) {
		for process, answer := range s.Answers() {
			if answer != nil && answer.Stale == "" {
				add(value(&answer.Loop), process)
			}
		}
	}}
}

// present is what a process knows, if it answers.
func present[T any](known *T, s func(*T) *api.Snapshot) *T {
	if known == nil || s(known).Stale != "" {
		return nil
	}
	return known
}

func vrrpOf(s *api.Status) *api.VRRP {
	return present(s.VRRP, func(v *api.VRRP) *api.Snapshot { return &v.Snapshot })
}

func lvsOf(s *api.Status) *api.LVS {
	l := present(s.LVS, func(l *api.LVS) *api.Snapshot { return &l.Snapshot })
	if l == nil || !l.Running { // then nothing has a state yet
		return nil
	}
	return l
}

func bfdOf(s *api.Status) *api.BFD {
	return present(s.BFD, func(b *api.BFD) *api.Snapshot { return &b.Snapshot })
}

var daemonFamilies = []Family{
	{"keepalived_up", "gauge", "Each process that the configuration needs runs it and answers.", nil, func(s *api.Status, add adder) {
		answers := maps.Collect(s.Answers())
		up := true
		for i := range s.Processes {
			p := &s.Processes[i]
			answer, asked := answers[p.Name]
			serves := p.PID != 0 && p.Serves && (!asked || answer != nil && answer.Stale == "")
			up = up && (serves || !p.Wanted)
		}
		add(bit(up))
	}},
	{"keepalived_build_info", "gauge", "1, with the release of keepalived.", []string{"version"}, func(s *api.Status, add adder) { add(1, s.Node.Release) }},
	single("keepalived_start_time_seconds", "gauge", "When the daemon was started.", func(s *api.Status) float64 { return unix(s.Node.Started) }),
	single("keepalived_stopping", "gauge", "The daemon is about to end.", func(s *api.Status) float64 { return bit(s.Node.Stopping) }),

	processes("keepalived_process_wanted", "gauge", "The configuration has work for the process.", func(p *api.Process) float64 { return bit(p.Wanted) }),
	processes("keepalived_process_up", "gauge", "The process runs.", func(p *api.Process) float64 { return bit(p.PID != 0) }),
	processes("keepalived_process_deaths_total", "counter", "Processes that have ended without being asked to.", func(p *api.Process) float64 { return float64(p.Deaths) }),
	snapshots("keepalived_process_stale", "gauge", "The process does not answer; its other metrics are left out.", func(s *api.Snapshot) float64 { return bit(s.Stale != "") }),
	snapshots("keepalived_process_answered_time_seconds", "gauge", "When the process answered last.", func(s *api.Snapshot) float64 { return unix(s.At) }),

	loops("keepalived_loop_turns_total", "counter", "Turns of the event loop.", func(l *api.Loop) float64 { return float64(l.Turns) }),
	loops("keepalived_loop_stalls_total", "counter", "Turns of the event loop that took longer than 50 ms.", func(l *api.Loop) float64 { return float64(l.Stalls) }),
	loops("keepalived_loop_longest_turn_seconds", "gauge", "The longest turn of the event loop since its start.", func(l *api.Loop) float64 { return float64(l.Longest) }),
	loops("keepalived_loop_latest_timer_seconds", "gauge", "By how much a timer, such as that of an advert, was late at most since the start.", func(l *api.Loop) float64 { return float64(l.Late) }),

	{"keepalived_loop_late_turns_total", "counter", "Turns of the event loop whose timers, such as those of adverts, expired so late, or later.", append(ofProcess[:1:1], "from"), func(s *api.Status, add adder) {
		for process, answer := range s.Answers() {
			if answer == nil || answer.Stale != "" {
				continue
			}
			later := uint64(0)
			for i, b := range slices.Backward(answer.Loop.Lateness) {
				later += b.Turns
				if i > 0 {
					add(float64(later), process, fmt.Sprint(float64(answer.Loop.Lateness[i-1].Below)))
				}
			}
		}
	}},

	single("keepalived_configuration_read_time_seconds", "gauge", "When the configuration in force was read.", func(s *api.Status) float64 { return unix(s.Configuration.Read) }),
	single("keepalived_configuration_reloads_total", "counter", "Configurations that have taken the place of one before.", func(s *api.Status) float64 { return float64(s.Configuration.Reloads) }),
	single("keepalived_configuration_errors", "gauge", "Errors in the configuration in force.", func(s *api.Status) float64 { return float64(s.Configuration.Errors) }),
	single("keepalived_configuration_refused", "gauge", "The last reload was refused.", func(s *api.Status) float64 { return bit(s.Configuration.Refused != nil) }),
}

// instances is a metric of each virtual router.
func instances(name, kind, help string, value func(i *api.Instance) float64) Family {
	return Family{name, kind, help, ofInstance, func(s *api.Status, add adder) {
		for i := range routers(s) {
			add(value(i), i.Name, i.Interface, vrid(i))
		}
	}}
}

func routers(s *api.Status) iter.Seq[*api.Instance] {
	return func(yield func(*api.Instance) bool) {
		if v := vrrpOf(s); v != nil {
			for i := range v.Instances {
				if !yield(&v.Instances[i]) {
					return
				}
			}
		}
	}
}

func vrid(i *api.Instance) string { return strconv.Itoa(int(i.VRID)) }

// addresses is the state of the virtual router of each address.
func addresses(name, help string, excluded bool) Family {
	return Family{name, "gauge", help, ofAddress, func(s *api.Status, add adder) {
		for i := range routers(s) {
			for k := range i.Addresses {
				if a := &i.Addresses[k]; a.Excluded == excluded {
					add(states[i.State], i.Name, a.Interface, vrid(i), a.Address)
				}
			}
		}
	}}
}

// trackers is a metric of each tracker that has one.
func trackers(name, help string, labels func(t *api.Tracker) []string, value func(t *api.Tracker) (n float64, ok bool), names ...string) Family {
	return Family{name, "gauge", help, names, func(s *api.Status, add adder) {
		if v := vrrpOf(s); v != nil {
			for i := range v.Trackers {
				if n, ok := value(&v.Trackers[i]); ok {
					add(n, labels(&v.Trackers[i])...)
				}
			}
		}
	}}
}

func script(t *api.Tracker) []string    { return []string{t.Name} }
func ofTracker(t *api.Tracker) []string { return []string{t.Kind, t.Name} }

func vrrpFamilies() (all []Family) {
	for _, c := range counters {
		all = append(all, instances(c.counter, "counter", c.help, func(i *api.Instance) float64 { return float64(i.Counters.Get(c.name)) }))
	}
	for _, c := range counters {
		all = append(all, Family{"keepalived_vrrp_" + c.name, "untyped", c.help, []string{"name", "intf", "vrid", "state"}, func(s *api.Status, add adder) {
			for i := range routers(s) {
				add(float64(i.Counters.Get(c.name)), i.Name, i.Interface, vrid(i), i.State)
			}
		}})
	}
	return append(all,
		addresses("keepalived_vrrp_state", "State of the virtual router of an address: 0 INIT, 1 BACKUP, 2 MASTER, 3 FAULT, 98 STOP.", false),
		addresses("keepalived_vrrp_excluded_state", "The same of an address that is not in adverts.", true),
		trackers("keepalived_script_status", "Result of a vrrp_script: 0 bad, 1 good.", script, func(t *api.Tracker) (float64, bool) {
			return bit(t.State == "up"), t.Kind == "track_script" && (t.State == "up" || t.State == "down")
		}, "name"),
		trackers("keepalived_script_state", "Whether a vrrp_script runs: 0 idle, 1 running.", script, func(t *api.Tracker) (float64, bool) {
			return bit(t.Running), t.Kind == "track_script"
		}, "name"),

		instances("keepalived_vrrp_instance_state", "gauge", "State of a virtual router: 0 INIT, 1 BACKUP, 2 MASTER, 3 FAULT, 98 STOP.", func(i *api.Instance) float64 { return states[i.State] }),
		Family{"keepalived_vrrp_instance_since_seconds", "gauge", "When the virtual router entered its state.", ofInstance, func(s *api.Status, add adder) {
			for i := range routers(s) {
				if i.Since != nil {
					add(unix(*i.Since), i.Name, i.Interface, vrid(i))
				}
			}
		}},
		instances("keepalived_vrrp_instance_priority", "gauge", "Effective priority.", func(i *api.Instance) float64 { return float64(i.Priority.Effective) }),
		instances("keepalived_vrrp_instance_base_priority", "gauge", "Configured priority.", func(i *api.Instance) float64 { return float64(i.Priority.Base) }),
		Family{"keepalived_vrrp_instance_fault", "gauge", "1 for each fault that keeps the virtual router from serving.", append(ofInstance[:3:3], "fault"), func(s *api.Status, add adder) {
			for i := range routers(s) {
				for _, fault := range i.Faults {
					add(1, i.Name, i.Interface, vrid(i), fault)
				}
			}
		}},
		instances("keepalived_vrrp_instance_addresses", "gauge", "Virtual addresses.", func(i *api.Instance) float64 { return float64(len(i.Addresses)) }),
		instances("keepalived_vrrp_instance_addresses_set", "gauge", "Virtual addresses that the kernel has confirmed.", func(i *api.Instance) (n float64) {
			for k := range i.Addresses {
				n += bit(i.Addresses[k].Set)
			}
			return n
		}),
		instances("keepalived_vrrp_instance_advert_interval_seconds", "gauge", "Interval of its own adverts.", func(i *api.Instance) float64 { return float64(i.AdvertInterval) }),
		instances("keepalived_vrrp_instance_stalls_total", "counter", "Times the process was late by longer than peers wait.", func(i *api.Instance) float64 { return float64(i.Counters.Get("stalls")) }),
		Family{"keepalived_vrrp_instance_rejected_total", "counter", "Packets dropped, by reason.", append(ofInstance[:3:3], "reason"), func(s *api.Status, add adder) {
			for i := range routers(s) {
				for reason, n := range sorted(i.Rejected) {
					add(float64(n), i.Name, i.Interface, vrid(i), reason)
				}
			}
		}},
		Family{"keepalived_vrrp_unclaimed_total", "counter", "Packets that reached no virtual router, by reason.", []string{"reason"}, func(s *api.Status, add adder) {
			if v := vrrpOf(s); v != nil {
				for reason, n := range sorted(v.Unclaimed) {
					add(float64(n), reason)
				}
			}
		}},
		trackers("keepalived_tracker_up", "A tracked script, process or BFD session is up; without a result there is no series.", ofTracker, func(t *api.Tracker) (float64, bool) {
			return bit(t.State == "up"), t.Kind != "track_file" && (t.State == "up" || t.State == "down")
		}, "kind", "name"),
		trackers("keepalived_tracker_disabled", "A tracker cannot work and does not count.", ofTracker, func(t *api.Tracker) (float64, bool) { return bit(t.State == "disabled"), true }, "kind", "name"),
		trackers("keepalived_tracker_number", "The number in a tracked file, or of tracked processes that run.", ofTracker, func(t *api.Tracker) (float64, bool) {
			if t.Number == nil {
				return 0, false
			}
			return float64(*t.Number), true
		}, "kind", "name"),
		Family{"keepalived_link_up", "gauge", "A network interface that virtual routers depend on is up and has a carrier.", []string{"intf"}, func(s *api.Status, add adder) {
			if v := vrrpOf(s); v != nil {
				for _, l := range v.Links {
					add(bit(l.Up && l.Running), l.Name)
				}
			}
		}},
	)
}

// services is a metric of each virtual server.
func services(name, help string, value func(v *api.VirtualServer) float64) Family {
	return Family{name, "gauge", help, ofService, func(s *api.Status, add adder) {
		for _, v := range pools(s) {
			add(value(&v), v.Name)
		}
	}}
}

func pools(s *api.Status) []api.VirtualServer {
	if l := lvsOf(s); l != nil {
		return l.Services
	}
	return nil
}

// servers is a metric of each real server.
func servers(name, help string, value func(r *api.RealServer) float64) Family {
	return Family{name, "gauge", help, ofServer, func(s *api.Status, add adder) {
		for _, v := range pools(s) {
			for k := range v.Servers {
				add(value(&v.Servers[k]), v.Name, v.Servers[k].Name)
			}
		}
	}}
}

// checks is a metric of each health check that has one.
func checks(name, kind, help string, value func(c *api.Check) (n float64, ok bool)) Family {
	return Family{name, kind, help, ofCheck, func(s *api.Status, add adder) {
		for _, v := range pools(s) {
			for k := range v.Servers {
				r := &v.Servers[k]
				for n := range r.Checks {
					if x, ok := value(&r.Checks[n]); ok {
						add(x, v.Name, r.Name, r.Checks[n].Kind, strconv.Itoa(n))
					}
				}
			}
		}
	}}
}

// table is a metric of the kernel's load balancer.
func table(name, kind, help string, value func(t *api.Table) float64) Family {
	return Family{name, kind, help, nil, func(s *api.Status, add adder) {
		if l := lvsOf(s); l != nil {
			add(value(&l.Table))
		}
	}}
}

var lvsFamilies = []Family{
	services("keepalived_virtual_server_up", "The virtual server has its quorum.", func(v *api.VirtualServer) float64 { return bit(v.Up) }),
	services("keepalived_virtual_server_weight", "Sum of the weights of the real servers that are up.", func(v *api.VirtualServer) float64 { return float64(v.Weight) }),
	services("keepalived_virtual_server_quorum", "Quorum in force, as a sum of weights.", func(v *api.VirtualServer) float64 { return float64(v.Quorum) }),
	services("keepalived_virtual_server_servers", "Real servers.", func(v *api.VirtualServer) float64 { return float64(len(v.Servers)) }),
	services("keepalived_virtual_server_servers_up", "Real servers that are up.", func(v *api.VirtualServer) float64 { return float64(v.Alive) }),
	services("keepalived_virtual_server_sorry", "The sorry server has taken the place of the pool.", func(v *api.VirtualServer) float64 { return bit(v.SorryInUse) }),
	services("keepalived_virtual_server_suspended", "The checks do not run, because no address of the virtual server is on this machine.", func(v *api.VirtualServer) float64 { return bit(v.Suspended) }),
	servers("keepalived_real_server_up", "No check of the real server is down.", func(r *api.RealServer) float64 { return bit(r.Up) }),
	servers("keepalived_real_server_in_pool", "Clients are sent to the real server, if its weight is not 0.", func(r *api.RealServer) float64 { return bit(r.InPool) }),
	servers("keepalived_real_server_weight", "Effective weight.", func(r *api.RealServer) float64 { return float64(r.Weight) }),
	checks("keepalived_check_up", "gauge", "The health check has passed; without a result there is no series.", func(c *api.Check) (float64, bool) {
		return bit(c.State == "up"), c.State == "up" || c.State == "down"
	}),
	checks("keepalived_check_attempts_total", "counter", "Attempts of the health check.", func(c *api.Check) (float64, bool) { return float64(c.Attempts), true }),
	checks("keepalived_check_overdue_seconds", "gauge", "For how long the health check has not run though it should; 0: it has.", func(c *api.Check) (float64, bool) { return float64(c.Overdue), true }),
	table("keepalived_ipvs_reachable", "gauge", "The kernel's load balancer can be asked.", func(t *api.Table) float64 { return bit(t.Unreachable == "") }),
	table("keepalived_ipvs_services", "gauge", "Virtual services that the kernel is to hold.", func(t *api.Table) float64 { return float64(t.Services) }),
	table("keepalived_ipvs_waiting", "gauge", "Virtual services of which changes are still to be accepted by the kernel.", func(t *api.Table) float64 { return float64(t.Waiting) }),
	table("keepalived_ipvs_refusing", "gauge", "Changes that the kernel refuses.", func(t *api.Table) float64 { return float64(t.Refusing) }),
	table("keepalived_ipvs_repairs_total", "counter", "Virtual services that another program had changed.", func(t *api.Table) float64 { return float64(t.Repairs) }),
}

// sessions is a metric of each BFD session.
func sessions(name, kind, help string, value func(b *api.Session) float64) Family {
	return Family{name, kind, help, ofSession, func(s *api.Status, add adder) {
		if all := bfdOf(s); all != nil {
			for _, b := range all.Sessions {
				add(value(&b), b.Name, b.Neighbour)
			}
		}
	}}
}

var bfdFamilies = []Family{
	sessions("keepalived_bfd_up", "gauge", "The BFD session is up.", func(b *api.Session) float64 { return bit(b.State == "Up") }),
	sessions("keepalived_bfd_downs_total", "counter", "Changes of the BFD session from up.", func(b *api.Session) float64 { return float64(b.Downs) }),
	sessions("keepalived_bfd_sent_total", "counter", "BFD packets sent.", func(b *api.Session) float64 { return float64(b.Sent) }),
	sessions("keepalived_bfd_received_total", "counter", "BFD packets accepted.", func(b *api.Session) float64 { return float64(b.Received) }),
	{"keepalived_bfd_dropped_total", "counter", "BFD packets dropped, by reason.", append(ofSession[:2:2], "reason"), func(s *api.Status, add adder) {
		if all := bfdOf(s); all != nil {
			for _, b := range all.Sessions {
				for reason, n := range sorted(b.Dropped) {
					add(float64(n), b.Name, b.Neighbour, reason)
				}
			}
		}
	}},
}

// eachNotifier calls f for the notifications of each process that has some.
func eachNotifier(s *api.Status, f func(process string, n *api.Notifications)) {
	if v := vrrpOf(s); v != nil && v.Notifications != nil {
		f("vrrp", v.Notifications)
	}
	if l := lvsOf(s); l != nil && l.Notifications != nil {
		f("checkers", l.Notifications)
	}
}

// owners is a metric of each owner of scripts.
func owners(name, kind, help string, value func(o *api.Owner) float64) Family {
	return Family{name, kind, help, ofOwner, func(s *api.Status, add adder) {
		eachNotifier(s, func(process string, n *api.Notifications) {
			for i := range n.Owners {
				add(value(&n.Owners[i]), process, n.Owners[i].Kind, n.Owners[i].Name)
			}
		})
	}}
}

// pipes is a metric of each FIFO.
func pipes(name, kind, help string, value func(f *api.FIFO) float64) Family {
	return Family{name, kind, help, ofFIFO, func(s *api.Status, add adder) {
		eachNotifier(s, func(process string, n *api.Notifications) {
			for i := range n.FIFOs {
				add(value(&n.FIFOs[i]), process, n.FIFOs[i].Path)
			}
		})
	}}
}

// mails is a metric of each queue of mails.
func mails(name, kind, help string, value func(m *api.Mail) float64) Family {
	return Family{name, kind, help, ofProcess, func(s *api.Status, add adder) {
		eachNotifier(s, func(process string, n *api.Notifications) {
			if n.Mail != nil {
				add(value(n.Mail), process)
			}
		})
	}}
}

var notificationFamilies = []Family{
	owners("keepalived_notify_waiting", "gauge", "Changes of state that wait for the script of the one before.", func(o *api.Owner) float64 { return float64(o.Waiting) }),
	owners("keepalived_notify_overtaken_total", "counter", "Changes of state whose scripts were not run because newer ones had come.", func(o *api.Owner) float64 { return float64(o.Overtaken) }),
	owners("keepalived_notify_failed", "gauge", "The script that ended last did not succeed.", func(o *api.Owner) float64 { return bit(o.Failed) }),
	pipes("keepalived_fifo_written_total", "counter", "Lines written into a FIFO.", func(f *api.FIFO) float64 { return float64(f.Written) }),
	pipes("keepalived_fifo_dropped_total", "counter", "Lines dropped because the FIFO was full.", func(f *api.FIFO) float64 { return float64(f.Dropped) }),
	mails("keepalived_mail_waiting", "gauge", "Mails that are to be sent.", func(m *api.Mail) float64 { return float64(m.Waiting) }),
	mails("keepalived_mail_sent_total", "counter", "Mails sent.", func(m *api.Mail) float64 { return float64(m.Sent) }),
	mails("keepalived_mail_lost_total", "counter", "Mails given up.", func(m *api.Mail) float64 { return float64(m.Lost) }),
}
