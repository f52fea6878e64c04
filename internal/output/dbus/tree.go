// Package dbus is keepalived on the D-Bus system bus: an object for each virtual router
// and one for all of them, with the names, properties, signals and methods of the C
// daemon. It is a view of the model in package api: what it reports of is known to others.
package dbus

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/introspect"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/proc/act"
)

// The interfaces of the objects, and the standard ones (D-Bus Specification, Standard
// Interfaces).
const (
	vrrpInterface     = "org.keepalived.Vrrp1.Vrrp"
	instanceInterface = "org.keepalived.Vrrp1.Instance"
	introspectable    = "org.freedesktop.DBus.Introspectable"
	properties        = "org.freedesktop.DBus.Properties"
)

// State is the property State of a virtual router, of type (us).
type State struct {
	Number uint32
	Name   string
}

// states are the values of the property by the states of package api.
var states = map[string]State{
	"INIT": {0, "Init"}, "BACKUP": {1, "Backup"}, "MASTER": {2, "Master"}, "FAULT": {3, "Fault"},
	"DELETED": {97, "Deleted"}, "STOP": {98, "Stop"},
}

// router is the object of a virtual router.
type router struct {
	name    string
	path    dbus.ObjectPath
	state   string    // as in package api
	since   time.Time // of the state that it had first
	known   time.Time // since when the state was that was introduced; zero: none was
	deleted string    // state that is reported when a reload removes it
}

// objects of the daemon: root is that of all virtual routers.
type objects struct {
	root    dbus.ObjectPath
	routers []*router          // in the order of the configuration
	byName  map[string]*router // the same
}

// escaped is a part of a path: what may not be in one becomes an underscore.
func escaped(part string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, part)
}

// objectsOf are the objects for a state of the daemon. A virtual router without an
// interface has noInterface in its path. Of two with the same path the first has it.
func objectsOf(s *api.Status, noInterface string) objects {
	base := "/org/keepalived/Vrrp1"
	for _, part := range []string{s.Node.NetNamespace, s.Node.Instance} {
		if part != "" {
			base += "/" + escaped(part)
		}
	}
	all := objects{root: dbus.ObjectPath(base + "/Vrrp"), byName: map[string]*router{}}
	if s.VRRP == nil {
		return all
	}
	taken := map[dbus.ObjectPath]bool{}
	for i := range s.VRRP.Instances {
		in := &s.VRRP.Instances[i]
		link, family := in.Interface, "IPv4"
		if link == "" {
			link = noInterface
		}
		if in.Family == "inet6" {
			family = "IPv6"
		}
		r := &router{name: in.Name, state: in.State, deleted: "FAULT"}
		if in.Since != nil {
			r.since = *in.Since
		}
		if in.NotifyDeleted {
			r.deleted = "DELETED"
		}
		r.path = dbus.ObjectPath(fmt.Sprintf("%s/Instance/%s/%d/%s", base, escaped(link), in.VRID, family))
		if !taken[r.path] {
			taken[r.path] = true
			all.routers = append(all.routers, r)
			all.byName[in.Name] = r
		}
	}
	return all
}

// tree answers calls: it is what the objects are to the bus.
type tree struct {
	do func(context.Context, *act.Act) ([]byte, error)

	mu    sync.RWMutex
	conn  *dbus.Conn
	nodes map[dbus.ObjectPath]*node
}

// node is a path at which there is an object, or below which there are some.
type node struct {
	tree     *tree
	children []string
	root     bool
	router   *router // nil: of none
}

// set replaces the objects of the tree.
func (t *tree) set(all objects) {
	nodes := map[dbus.ObjectPath]*node{}
	add := func(path dbus.ObjectPath) *node {
		have := nodes[path]
		if have != nil {
			return have
		}
		leaf := &node{tree: t}
		nodes[path] = leaf
		for below := path; below != "/"; {
			i := strings.LastIndexByte(string(below), '/')
			name := string(below[i+1:])
			below = below[:max(i, 1)]
			up, known := nodes[below]
			if !known {
				up = &node{tree: t}
				nodes[below] = up
			}
			up.children = append(up.children, name)
			if known {
				break
			}
		}
		return leaf
	}
	add(all.root).root = true
	for _, r := range all.routers {
		add(r.path).router = r
	}
	t.mu.Lock()
	t.nodes = nodes
	t.mu.Unlock()
}

// enter notes the state of a virtual router.
func (t *tree) enter(r *router, state string) {
	t.mu.Lock()
	r.state = state
	t.mu.Unlock()
}

func (t *tree) stateOf(r *router) State {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return states[r.state]
}

// LookupObject implements [dbus.Handler].
func (t *tree) LookupObject(path dbus.ObjectPath) (dbus.ServerObject, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n, ok := t.nodes[path]
	return n, ok
}

// LookupInterface implements [dbus.ServerObject]. A call need not name the interface.
func (n *node) LookupInterface(name string) (dbus.Interface, bool) {
	all := n.interfaces()
	if name != "" {
		m, ok := all[name]
		return m, ok
	}
	any := methods{}
	for _, m := range all {
		maps.Copy(any, m)
	}
	return any, true
}

// methods is the methods of an interface.
type methods map[string]*method

// LookupMethod implements [dbus.Interface].
func (m methods) LookupMethod(name string) (dbus.Method, bool) {
	f, ok := m[name]
	return f, ok
}

// method implements [dbus.Method]: args and returns are values of the types of its
// arguments and results. call is given pointers to the arguments.
type method struct {
	args, returns []any
	call          func(args ...any) ([]any, error)
}

func (m *method) Call(args ...any) ([]any, error) { return m.call(args...) }
func (m *method) NumArguments() int               { return len(m.args) }
func (m *method) NumReturns() int                 { return len(m.returns) }
func (m *method) ArgumentValue(i int) any         { return m.args[i] }
func (m *method) ReturnValue(i int) any           { return m.returns[i] }

// does is a method without arguments and results that has an act done.
func (t *tree) does(kind act.Kind, name string) *method {
	return &method{args: []any{dbus.Sender("")}, call: func(args ...any) ([]any, error) {
		ctx, end := context.WithTimeout(context.Background(), kind.Patience())
		defer end()
		by, err := t.client(ctx, string(*args[0].(*dbus.Sender)))
		if err == nil {
			_, err = t.do(ctx, &act.Act{Kind: kind, Name: name, By: by})
		}
		return nil, err
	}}
}

// client is who has a name on the bus.
func (t *tree) client(ctx context.Context, name string) (by act.By, err error) {
	t.mu.RLock()
	conn := t.conn
	t.mu.RUnlock()
	by = act.By{Over: "D-Bus", Name: name}
	if conn == nil {
		return by, errors.New("keepalived does not have its name yet")
	}
	err = conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetConnectionUnixUser", 0, name).Store(&by.UID)
	return by, err
}

// serve has the clients of a connection known.
func (t *tree) serve(conn *dbus.Conn) {
	t.mu.Lock()
	t.conn = conn
	t.mu.Unlock()
}

// interfaces are those of the object.
func (n *node) interfaces() map[string]methods {
	all := map[string]methods{introspectable: {"Introspect": {returns: []any{""}, call: n.introspect}}}
	if n.root {
		all[vrrpInterface] = methods{
			"PrintData": n.tree.does(act.Dump, ""), "PrintStats": n.tree.does(act.Stats, ""),
			"PrintStatsClear": n.tree.does(act.Clear, ""), "ReloadConfig": n.tree.does(act.Reload, ""),
		}
	}
	if r := n.router; r != nil {
		all[instanceInterface] = methods{"SendGarp": n.tree.does(act.Announce, r.name)}
	}
	if n.root || n.router != nil {
		all[properties] = methods{
			"Get":    {args: []any{"", ""}, returns: []any{dbus.Variant{}}, call: n.get},
			"GetAll": {args: []any{""}, returns: []any{map[string]dbus.Variant{}}, call: n.getAll},
			"Set": {args: []any{"", "", dbus.Variant{}}, call: func(...any) ([]any, error) {
				return nil, dbus.NewError("org.freedesktop.DBus.Error.PropertyReadOnly", []any{"no property can be set"})
			}},
		}
	}
	return all
}

// values are the properties of an interface of the object.
func (n *node) values(of string) map[string]dbus.Variant {
	if r := n.router; r != nil && (of == instanceInterface || of == "") {
		return map[string]dbus.Variant{"Name": dbus.MakeVariant(r.name), "State": dbus.MakeVariant(n.tree.stateOf(r))}
	}
	return map[string]dbus.Variant{}
}

func (n *node) get(args ...any) ([]any, error) {
	of, name := *args[0].(*string), *args[1].(*string)
	v, ok := n.values(of)[name]
	if !ok {
		return nil, dbus.NewError("org.freedesktop.DBus.Error.UnknownProperty", []any{fmt.Sprintf("%q has no property %q", of, name)})
	}
	return []any{v}, nil
}

func (n *node) getAll(args ...any) ([]any, error) {
	return []any{n.values(*args[0].(*string))}, nil
}

// described are the interfaces as they are introspected.
var described = map[string]introspect.Interface{
	introspectable: {
		Name:    introspectable,
		Methods: []introspect.Method{{Name: "Introspect", Args: []introspect.Arg{{Name: "xml_data", Type: "s", Direction: "out"}}}},
	},
	properties: {
		Name: properties,
		Methods: []introspect.Method{
			{Name: "Get", Args: []introspect.Arg{{Name: "interface_name", Type: "s", Direction: "in"}, {Name: "property_name", Type: "s", Direction: "in"}, {Name: "value", Type: "v", Direction: "out"}}},
			{Name: "GetAll", Args: []introspect.Arg{{Name: "interface_name", Type: "s", Direction: "in"}, {Name: "properties", Type: "a{sv}", Direction: "out"}}},
			{Name: "Set", Args: []introspect.Arg{{Name: "interface_name", Type: "s", Direction: "in"}, {Name: "property_name", Type: "s", Direction: "in"}, {Name: "value", Type: "v", Direction: "in"}}},
		},
		Signals: []introspect.Signal{
			{Name: "PropertiesChanged", Args: []introspect.Arg{{Name: "interface_name", Type: "s"}, {Name: "changed_properties", Type: "a{sv}"}, {Name: "invalidated_properties", Type: "as"}}},
		},
	},
	vrrpInterface: {
		Name:    vrrpInterface,
		Methods: []introspect.Method{{Name: "PrintData"}, {Name: "PrintStats"}, {Name: "PrintStatsClear"}, {Name: "ReloadConfig"}},
		Signals: []introspect.Signal{{Name: "VrrpStarted"}, {Name: "VrrpReloaded"}, {Name: "VrrpStopped"}},
	},
	instanceInterface: {
		Name:       instanceInterface,
		Methods:    []introspect.Method{{Name: "SendGarp"}},
		Signals:    []introspect.Signal{{Name: "VrrpStatusChange", Args: []introspect.Arg{{Name: "status", Type: "u"}}}},
		Properties: []introspect.Property{{Name: "Name", Type: "s", Access: "read"}, {Name: "State", Type: "(us)", Access: "read"}},
	},
}

func (n *node) introspect(...any) ([]any, error) {
	d := introspect.Node{}
	if n.root || n.router != nil {
		d.Interfaces = append(d.Interfaces, introspect.PeerData)
		for _, name := range slices.Sorted(maps.Keys(n.interfaces())) {
			d.Interfaces = append(d.Interfaces, described[name])
		}
	}
	for _, c := range n.children {
		d.Children = append(d.Children, introspect.Node{Name: c})
	}
	b, err := xml.MarshalIndent(&d, "", "  ")
	if err != nil {
		return nil, err
	}
	return []any{strings.TrimLeft(introspect.IntrospectDeclarationString, "\n\t ") + string(b)}, nil
}
