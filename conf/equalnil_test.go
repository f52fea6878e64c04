package conf

import "testing"

// TestEqualOfNothing checks that a nil pointer is equal to a nil pointer only.
func TestEqualOfNothing(t *testing.T) {
	for name, got := range map[string][3]bool{
		"instance": equalities((*VRRPInstance).Equal), "notify": equalities((*Notify).Equal), "command": equalities((*Command).Equal),
		"virtual server": equalities((*VirtualServer).Equal), "BFD session": equalities((*BFDInstance).Equal),
		"link": equalities((*Link).Equal), "routing": equalities((*Routing).Equal), "encap": equalities(equal[Encap]),
	} {
		if got != [3]bool{true, false, false} {
			t.Errorf("%s: nil with nil, with a value, a value with nil: %v", name, got)
		}
	}
}

func equalities[T any](equal func(a, b *T) bool) [3]bool {
	return [3]bool{equal(nil, nil), equal(nil, new(T)), equal(new(T), nil)}
}
