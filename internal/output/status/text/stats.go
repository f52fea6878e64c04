package text

import (
	"keepalived-go/internal/output/status"
	"keepalived-go/vrrp"
)

// Stats is the dump of the counters of the VRRP process.
func Stats(s *status.VRRP) []byte {
	var t Writer
	for i := range s.Instances {
		t.Line("VRRP Instance: %s", s.Instances[i].Conf.Name)
		counters(&t, &s.Instances[i].Stats)
	}
	return t.Bytes()
}

type counter struct {
	name  string
	value uint64
}

func counters(t *Writer, s *vrrp.Stats) {
	for _, section := range []struct {
		title string
		rows  []counter
	}{
		{"Advertisements", []counter{{"Received", s.AdvertsReceived}, {"Sent", s.AdvertsSent}}},
		{"", []counter{{"Became master", s.BecomeMaster}, {"Released master", s.ReleaseMaster}}},
		{"Packet Errors", []counter{
			{"Length", s.PacketLengthErrors()}, {"TTL", s.TTLErrors()},
			{"Invalid Type", s.Rejected[vrrp.RejectType]},
			{"Advertisement Interval", s.Rejected[vrrp.RejectInterval]},
			{"Address List", s.AddressErrors()},
			{"Checksum", s.Rejected[vrrp.RejectChecksum]},
			{"Version", s.Rejected[vrrp.RejectVersion]}}},
		{"Authentication Errors", []counter{
			{"Invalid Type", s.Rejected[vrrp.RejectAuthType]},
			{"Type Mismatch", s.Rejected[vrrp.RejectAuthMismatch]},
			{"Failure", s.AuthFailures()}}},
		{"Authentication Extension Errors", []counter{
			{"Missing", s.Rejected[vrrp.RejectHMACMissing]},
			{"Malformed", s.Rejected[vrrp.RejectHMACMalformed]},
			{"Unknown Key", s.Rejected[vrrp.RejectHMACUnknownKey]},
			{"Invalid HMAC", s.Rejected[vrrp.RejectHMACInvalid]},
			{"Stale", s.Rejected[vrrp.RejectHMACStale]},
			{"Replay", s.Rejected[vrrp.RejectHMACReplayed]}}},
		{"Priority Zero", []counter{{"Received", s.PriorityZeroReceived}, {"Sent", s.PriorityZeroSent}}},
	} {
		indent := "  "
		if section.title != "" {
			t.Line("  %s:", section.title)
			indent = "    "
		}
		for _, row := range section.rows {
			t.Line("%s%s: %d", indent, row.name, row.value)
		}
	}
}
