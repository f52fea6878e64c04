package kernel

import (
	"testing"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
)

// FuzzDecode checks that decoding any message of the kernel neither panics nor reads
// beyond its end, and that a decoded address is the same after encoding.
func FuzzDecode(f *testing.F) {
	f.Add(appendRequest(nil, Change{Add, &Addr{
		Link: 3, Prefix: prefix("192.0.2.1/24"), Peer: prefix("192.0.2.2/24"), Label: "eth0:1", Scope: unix.RT_SCOPE_LINK,
		Flags: unix.IFA_F_NOPREFIXROUTE, Proto: AddrProto,
	}}))
	f.Add(appendRequest(nil, Change{Remove, &Addr{Link: 3, Prefix: prefix("2001:db8::1/64"), Flags: unix.IFA_F_NODAD}}))
	link, _ := nl.Begin(nil, unix.RTM_NEWLINK, 0, 1)
	link = appendLinkHeader(link, 3)
	link = nl.AppendAttr(link, unix.IFLA_IFNAME, []byte("eth0.10\x00"))
	link = nl.AppendAttr(link, unix.IFLA_LINKINFO, nl.AppendAttr(nil, unix.IFLA_INFO_KIND, []byte("vlan\x00")))
	f.Add(nl.End(link, 0))
	refusal, _ := nl.Begin(nil, unix.NLMSG_ERROR, unix.NLM_F_ACK_TLVS|unix.NLM_F_CAPPED, 1)
	refusal = append(refusal, 0xef, 0xff, 0xff, 0xff)
	refusal, _ = nl.Begin(refusal, unix.RTM_NEWADDR, 0, 1)
	f.Add(nl.End(nl.AppendAttr(refusal, unix.NLMSGERR_ATTR_MSG, []byte("no\x00")), 0))

	f.Fuzz(func(t *testing.T, b []byte) {
		names := make(nl.Names)
		for _, e := range appendEvents(nil, b, names) {
			if e.Kind != AddrNew {
				continue
			}
			sent := appendRequest(nil, Change{Add, &e.Addr})
			again := appendEvents(nil, sent, names)
			if len(again) != 1 || again[0].Addr.wish() != e.Addr.wish() || again[0].Addr.Proto != e.Addr.Proto {
				t.Fatalf("sent %+v\nback %+v", e.Addr, again)
			}
		}
		for {
			m, rest, ok := nl.Next(b)
			if !ok {
				break
			}
			if e, err := m.Refusal(); err == nil && e != nil && e.Error() == "" {
				t.Fatal("an error without words")
			}
			b = rest
		}
	})
}
