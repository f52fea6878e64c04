package text

import (
	"keepalived-go/conf"
	"keepalived-go/internal/output/status"
)

// BFD writes the section of BFD sessions as configured.
func BFD(t *Writer, c *conf.Config) {
	if len(c.BFDInstances) == 0 {
		return
	}
	t.Section("BFD Topology")
	for _, b := range c.BFDInstances {
		bfdInstance(t, b)
	}
}

// Sessions is the state dump of the BFD process: what is configured, and what is if
// the sessions have begun.
func Sessions(s *status.Sessions) []byte {
	t := &Writer{}
	Global(t, &s.Conf.Global, Process{NetNamespace: s.NetNamespace}, &Accounts{Policy: s.Conf.Global.Scripts})
	if s.List == nil {
		BFD(t, s.Conf)
		return t.Bytes()
	}
	t.Section("BFD Topology")
	for i := range s.List {
		bfdInstance(t, s.List[i].Conf)
		bfdState(t, &s.List[i])
	}
	loop(t, &s.Loop)
	return t.Bytes()
}

func bfdInstance(t *Writer, b *conf.BFDInstance) {
	t.Line(" BFD Instance = %s", b.Name)
	t.Line("   Neighbor IP = %v", b.Neighbor)
	if b.Source.IsValid() {
		t.Line("   Source IP = %v", b.Source)
	}
	t.Line("   Required min RX interval = %d us", b.MinRx.Microseconds())
	t.Line("   Desired min TX interval = %d us", b.MinTx.Microseconds())
	t.Line("   Desired idle TX interval = %d us", b.IdleTx.Microseconds())
	t.Line("   Detection multiplier = %d", b.Multiplier)
	name := "hoplimit"
	if b.Neighbor.Is4() {
		name = "TTL"
	}
	t.Line("   %s = %d", name, b.TTL)
	t.Line("   max_hops = %d", b.MaxHops)
	t.Line("   passive = %t", b.Passive)
	t.Line("   send event to VRRP process = %s", yes(b.VRRP))
	t.Line("   send event to checker process = %s", yes(b.Checker))
}

func bfdState(t *Writer, s *status.BFDSession) {
	t.Line("   source port = %d", s.SourcePort)
	t.Line("   send error = %t", s.SendError)
	if s.Unknown {
		t.Line("   continues after a restart, nothing heard yet")
	}
	t.Line("   local state = %s", s.State)
	t.Line("   remote state = %s", s.RemoteState)
	t.Line("   local discriminator = 0x%x", s.Discriminator)
	t.Line("   remote discriminator = 0x%x", s.Remote)
	t.Line("   local diag = %s", s.Diag)
	t.Line("   remote diag = %s", s.RemoteDiag)
	t.Line("   remote min tx intv = %d us", s.RemoteMinTx.Microseconds())
	t.Line("   remote min rx intv = %d us", s.RemoteMinRx.Microseconds())
	t.Line("   remote detect multiplier = %d", s.RemoteMult)
	t.Line("   %spoll", map[bool]string{false: "!"}[s.Polling])
	t.Line("   local tx intv = %d us", s.Tx.Microseconds())
	t.Line("   remote tx intv = %d us", s.RemoteTx.Microseconds())
	t.Line("   local detection time = %d us", s.Detection.Microseconds())
	t.Line("   remote detection time = %d us", s.RemoteDetects.Microseconds())
	if !s.Seen.IsZero() {
		t.Line("   last seen = %d.%06d (%s)", s.Seen.Unix(), s.Seen.Nanosecond()/1000, s.Seen.Format("Mon Jan _2 15:04:05.000000 2006"))
	}
	t.Line("   packets sent = %d, received = %d", s.Sent, s.Received)
	t.Line("   times up = %d, down = %d", s.Ups, s.Downs)
	for _, c := range s.Dropped {
		t.Line("   packets dropped, %s = %d", c.Name, c.N)
	}
}

func yes(b bool) string {
	if b {
		return "Yes"
	}
	return "No"
}
