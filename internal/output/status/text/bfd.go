package text

import "keepalived-go/conf"

// BFD writes the section of BFD sessions as configured.
func BFD(t *Writer, c *conf.Config) {
	if len(c.BFDInstances) == 0 {
		return
	}
	t.Section("BFD Topology")
	for _, b := range c.BFDInstances {
		t.Line(" BFD Instance = %s", b.Name)
		t.Line("   Neighbor IP = %v", b.Neighbor)
		if b.Source.IsValid() {
			t.Line("   Source IP = %v", b.Source)
		}
		t.Line("   Required min RX interval = %d us", b.MinRx.Microseconds())
		t.Line("   Desired min TX interval = %d us", b.MinTx.Microseconds())
		t.Line("   Desired idle TX interval = %d us", b.IdleTx.Microseconds())
		t.Line("   Detection multiplier = %d", b.Multiplier)
		if b.Neighbor.Is4() {
			t.Line("   TTL = %d", b.TTL)
		}
		t.Line("   max_hops = %d", b.MaxHops)
		t.Line("   passive = %t", b.Passive)
		t.Line("   send event to VRRP process = %s", yes(b.VRRP))
		t.Line("   send event to checker process = %s", yes(b.Checker))
	}
}

func yes(b bool) string {
	if b {
		return "Yes"
	}
	return "No"
}
