package checkd

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/proc/act"
	"keepalived-go/lvs"
)

// orders are the intents in force, by the address of the real servers that they are about,
// in the order in which they were asked for.
type orders map[netip.Addr][]order

type order struct {
	act.Intent
	about act.Servers
}

func ordersOf(list []act.Intent) orders {
	if len(list) == 0 {
		return nil
	}
	o := orders{}
	for _, n := range list {
		about, err := act.ParseServers(n.Name)
		if err != nil { // no act makes such an intent
			slog.Error("intents: " + err.Error())
			continue
		}
		o[about.Addr()] = append(o[about.Addr()], order{n, about})
	}
	return o
}

// on are the orders about a real server, the one that counts last.
func (o orders) on(v *conf.VirtualServer, r *conf.RealServer) (list []act.Intent) {
	some := o[r.Addr]
	if len(some) == 0 {
		return nil
	}
	server := serversOf(v, r)
	for i := range some {
		if some[i].about.Have(server) {
			list = append(list, some[i].Intent)
		}
	}
	return list
}

// serversOf is one real server.
func serversOf(v *conf.VirtualServer, r *conf.RealServer) act.Servers {
	s, err := act.ParseServers(v.ServerName(r))
	if err != nil { // names of the configuration are no others
		slog.Error(err.Error())
	}
	return s
}

// wanted is what the last order makes of a real server, and the weight that it has instead
// of the configured one, or that.
func (o orders) wanted(v *conf.VirtualServer, r *conf.RealServer) (lvs.Order, int) {
	list := o.on(v, r)
	if len(list) == 0 {
		return lvs.Serve, r.Weight
	}
	switch last := &list[len(list)-1]; last.Kind {
	case act.Drain:
		return lvs.Drain, r.Weight
	case act.Disable:
		return lvs.Disable, r.Weight
	default:
		return lvs.Serve, last.Value
	}
}

// apply is services with the orders in them.
func (o orders) apply(services []lvs.Service) []lvs.Service {
	if len(o) == 0 {
		return services
	}
	services = slices.Clone(services)
	for i := range services {
		v := &services[i]
		v.Servers = slices.Clone(v.Servers)
		for j := range v.Servers {
			s := &v.Servers[j]
			s.Order, s.Weight = o.wanted(v.Data.(*conf.VirtualServer), s.Data.(*conf.RealServer))
		}
	}
	return services
}

// intend makes these the intents in force.
func (d *daemon) intend(list []act.Intent) {
	d.Intents, d.orders = list, ordersOf(list)
	d.configureEngine(nil)
}

// configureEngine gives the engine what is configured, with the orders.
func (d *daemon) configureEngine(left *lvs.Snapshot) {
	c := *d.services
	c.Services = d.orders.apply(c.Services)
	d.step(lvs.Event{Kind: lvs.Configure, Config: &c, Resume: left})
}

// obey does what a client has asked for.
func (d *daemon) obey(a *act.Act, reply act.Reply) {
	if a.Kind == act.TestNotify {
		d.testNotify(a, reply)
		return
	}
	result, err := d.order(a)
	d.loop.Post(func() { // the kernel has got the changes of this turn then
		d.counters.Renew()
		reply(result, err)
	})
}

// order adds an order to those in force.
func (d *daemon) order(a *act.Act) (*api.Done, error) {
	does, known := map[act.Kind]string{
		act.Drain: "gets no new connections", act.Disable: "counts as down", act.Weight: fmt.Sprintf("has the weight %d", a.Value),
	}[a.Kind]
	if !known {
		return nil, act.Refuse(act.Invalid, "the health-check process does not know it")
	}
	about, err := act.ParseServers(a.Name)
	if err != nil {
		return nil, err
	}
	var services []lvs.Service
	var names []string // of servers
	for _, s := range d.services.Services {
		v := s.Data.(*conf.VirtualServer)
		before := len(names)
		for _, r := range v.RealServers {
			if r.Addr == about.Addr() && about.Have(serversOf(v, r)) {
				names = append(names, v.Endpoint(r.Addr, r.Port)+" of "+v.String())
			}
		}
		if len(names) > before {
			services = append(services, s)
		}
	}
	if len(names) == 0 {
		return nil, d.noServer(a.Name, false)
	}
	list := act.Put(d.Intents, act.IntentOf(a, time.Now()))
	lost := d.lostBy(ordersOf(list), services)
	if len(lost) > 0 && !a.Force {
		return nil, act.Refuse(act.Impossible, "that would take the quorum from %s; --force does it all the same", counted(lost))
	}
	d.intend(list)
	text := names[0]
	if n := len(names); n > 1 {
		text = fmt.Sprintf("%s (%d real servers)", a.Name, n)
	}
	text += " " + does + a.Lasts()
	if len(lost) > 0 {
		text += "; that takes the quorum from " + counted(lost)
	}
	return &api.Done{Result: text}, nil
}

// noServer is the refusal of an act about a server that does not exist: a real one or, if
// virtual, also a virtual one. It suggests one that has the address, or whose service has a
// similar name; that an address is similar to another one means nothing.
func (d *daemon) noServer(name string, virtual bool) error {
	what := "real server"
	if virtual {
		what = "virtual or real server"
	}
	about, _ := act.ParseServers(name) // else about no address
	var same, named []string
	for i := range d.services.Services {
		v := d.services.Services[i].Data.(*conf.VirtualServer)
		add := func(addr netip.Addr, own string) {
			if addr.IsValid() && addr == about.Addr() {
				same = append(same, own)
			} else if !v.Addr.IsValid() {
				named = append(named, own)
			}
		}
		if virtual {
			add(v.Addr, v.String())
		}
		for _, r := range v.RealServers {
			add(r.Addr, v.ServerName(r))
		}
	}
	hint := ""
	if near := append(same, conf.Nearest(name, named)...); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %q? ", near[0])
	}
	return act.Refuse(act.Unknown, "there is no %s %s; %skeepalived servers lists those that there are", what, name, hint)
}

// counted is the first of some names, and how many more there are.
func counted(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return fmt.Sprintf("%s and %d more", names[0], len(names)-1)
}

// lostBy are the services, of some, that have their quorum and would lose it by orders.
func (d *daemon) lostBy(o orders, services []lvs.Service) (names []string) {
	now := &lvs.Snapshot{}
	for i := range services {
		if s, ok := d.engine.ServiceSnapshot(services[i].ID); ok {
			now.Services = append(now.Services, s)
		}
	}
	trial := lvs.New()
	trial.Step(d.loop.Now(), lvs.Event{Kind: lvs.Configure, Config: &lvs.Config{Services: o.apply(services)}, Resume: now}, nil)
	for _, s := range now.Services {
		if then, ok := trial.Service(s.ID); s.Up && ok && !then.Up {
			names = append(names, s.ID.String())
		}
	}
	return names
}
