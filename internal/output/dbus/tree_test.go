package dbus

import (
	"slices"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"keepalived-go/internal/output/status/api"
)

// TestObjects checks that characters that a path may not have become underscores, and
// that of two virtual routers with the same path the first one has it.
func TestObjects(t *testing.T) {
	s := &api.Status{
		Node: api.Node{NetNamespace: "red-1", Instance: "a.b"},
		VRRP: &api.VRRP{Instances: []api.Instance{
			{Name: "V1", Interface: "eth0.5", VRID: 51, Family: "inet", State: "BACKUP"},
			{Name: "V2", VRID: 1, Family: "inet6", State: "MASTER", NotifyDeleted: true},
			{Name: "V3", Interface: "eth0-5", VRID: 51, Family: "inet", State: "FAULT"},
		}},
	}
	all := objectsOf(s, "none")
	var got []string
	for _, r := range all.routers {
		got = append(got, strings.Join([]string{r.name, string(r.path), r.state, r.deleted}, " "))
	}
	want := []string{
		"V1 /org/keepalived/Vrrp1/red_1/a_b/Instance/eth0_5/51/IPv4 BACKUP FAULT",
		"V2 /org/keepalived/Vrrp1/red_1/a_b/Instance/none/1/IPv6 MASTER DELETED",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if want := "/org/keepalived/Vrrp1/red_1/a_b/Vrrp"; string(all.root) != want {
		t.Errorf("%s, want %s", all.root, want)
	}
	for _, r := range all.routers {
		if !r.path.IsValid() {
			t.Errorf("%s is no path", r.path)
		}
	}

	// There are paths from the root to the objects.
	var tr tree
	tr.set(all)
	for path, want := range map[string][]string{
		"/": {"org"}, "/org/keepalived/Vrrp1/red_1/a_b": {"Instance", "Vrrp"},
		"/org/keepalived/Vrrp1/red_1/a_b/Instance": {"eth0_5", "none"},
	} {
		n := tr.nodes[dbus.ObjectPath(path)]
		got := slices.Clone(n.children)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", path, diff)
		}
	}
}

// TestStates checks that every state of the model has a number and a name.
func TestStates(t *testing.T) {
	for _, name := range []string{"INIT", "BACKUP", "MASTER", "FAULT", "STOP"} {
		if s, ok := states[name]; !ok || !strings.EqualFold(s.Name, name) {
			t.Errorf("%s: %v", name, s)
		}
	}
}
