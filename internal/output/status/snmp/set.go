package snmp

import (
	"slices"

	"keepalived-go/internal/output/status/snmp/agentx"
	"keepalived-go/internal/proc/act"
	"keepalived-go/vrrp"
)

// The objects that can be set: vrrpInstanceBasePriority and realServerWeight.
var (
	basePriority = vrrpPart.Append(3, 1, 7)
	serverWeight = checkPart.Append(4, 1, 7)
)

// adjusted is what operators have added to the priority of an instance.
func (s *State) adjusted(instance string) int {
	for i := range s.Status.Intents {
		if n := &s.Status.Intents[i]; n.Kind == string(act.Priority) && n.Name == instance {
			return n.Value
		}
	}
	return 0
}

// Set returns the act that gives an object a value, and the one that gives it back the
// present one. NoError: it may have that value.
func (t *Tree) Set(v agentx.Varbind) (do, undo act.Act, err agentx.Status) {
	if v.Name.Under(serverWeight) {
		return t.setWeight(v)
	}
	if !v.Name.Under(basePriority) || len(v.Name) != len(basePriority)+1 {
		return do, undo, agentx.NotWritable
	}
	n := v.Name[len(basePriority)]
	if n < 1 || int64(n) > int64(len(t.rows)) {
		return do, undo, agentx.NoCreation
	}
	r, value := t.rows[n-1], int64(v.Value.Number)
	switch {
	case v.Value.Type != agentx.Integer:
		return do, undo, agentx.WrongType
	case value < 1 || value >= vrrp.PriorityOwner || r.conf.Priority == vrrp.PriorityOwner:
		return do, undo, agentx.WrongValue // no node becomes the owner of its addresses, or ceases to be
	}
	do = act.Act{Kind: act.Priority, Name: r.conf.Name, Value: int(value) - int(r.conf.Priority)}
	undo = do
	undo.Value = r.adjusted(r.conf.Name)
	return do, undo, agentx.NoError
}

// setWeight is Set of the weight of a real server. One of 0 has it drain.
func (t *Tree) setWeight(v agentx.Varbind) (do, undo act.Act, err agentx.Status) {
	i, found := slices.BinarySearchFunc(t.servers, v.Name[len(serverWeight):], func(r row[*serverRow], o agentx.OID) int { return r.index.Compare(o) })
	if !found {
		return do, undo, agentx.NoCreation
	}
	r, value := t.servers[i].of, v.Value.Signed()
	switch {
	case r.sorry:
		return do, undo, agentx.NotWritable
	case v.Value.Type != agentx.Integer:
		return do, undo, agentx.WrongType
	case value < 0:
		return do, undo, agentx.WrongValue
	}
	// The client of a set cannot be asked whether the quorum may be lost.
	do = act.Act{Kind: act.Weight, Name: r.service.conf.ServerName(r.conf), Value: int(value), Force: true}
	if value == 0 {
		do.Kind = act.Drain
	}
	undo = act.Act{Kind: act.Release, Name: do.Name}
	if o := r.status.Order(); o != nil && o.Name == do.Name {
		undo = act.Act{Kind: act.Kind(o.Kind), Name: o.Name, Value: o.Value, Force: true}
	}
	return do, undo, agentx.NoError
}
