package snmp

import (
	"keepalived-go/internal/output/status/snmp/agentx"
	"keepalived-go/internal/proc/act"
	"keepalived-go/vrrp"
)

// basePriority is vrrpInstanceBasePriority, the object that can be set.
var basePriority = agentx.OID{1, 3, 6, 1, 4, 1, 9586, 100, 5, 2, 3, 1, 7}

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
