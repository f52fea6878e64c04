package kernel

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAckError(t *testing.T) {
	word := func(v int32) []byte { return native.AppendUint32(nil, uint32(v)) }
	header, _ := beginMessage(nil, unix.RTM_NEWADDR, 0, 1)
	header = endMessage(header, 0)
	request := endMessage(appendChange(nil, Change{AddAddr, Addr{Link: 1, Prefix: prefix("192.0.2.1/32")}}, 0, 1), 0)
	sentence := appendAttr(nil, unix.NLMSGERR_ATTR_MSG, []byte("ipv4: Address already assigned\x00"))
	tests := []struct {
		name string
		m    message
		want string
	}{
		{"success", message{typ: unix.NLMSG_ERROR, body: append(word(0), header...)}, ""},
		{"a number alone", message{typ: unix.NLMSG_ERROR, body: append(word(-17), request...)}, "file exists"},
		{"a sentence after the capped request",
			message{typ: unix.NLMSG_ERROR, flags: unix.NLM_F_ACK_TLVS | unix.NLM_F_CAPPED, body: append(append(word(-17), request[:16]...), sentence...)},
			"ipv4: Address already assigned: file exists"},
		{"a sentence after the whole request",
			message{typ: unix.NLMSG_ERROR, flags: unix.NLM_F_ACK_TLVS, body: append(append(word(-17), request...), sentence...)},
			"ipv4: Address already assigned: file exists"},
		{"the end of a dump", message{typ: unix.NLMSG_DONE, body: append(word(-16), sentence...), flags: unix.NLM_F_ACK_TLVS},
			"ipv4: Address already assigned: device or resource busy"},
		{"a length that lies", message{typ: unix.NLMSG_ERROR, flags: unix.NLM_F_ACK_TLVS, body: append(word(-17), 0xff, 0xff, 0xff, 0xff)}, "file exists"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := ackError(tt.m)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if e != nil {
				got = e.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if _, err := ackError(message{typ: unix.NLMSG_ERROR, body: []byte{1}}); err == nil {
		t.Error("an acknowledgement of one byte was taken")
	}
	if !errors.Is(&Error{Errno: unix.EEXIST}, unix.EEXIST) {
		t.Error("an Error does not match its number")
	}
}

// Whatever the kernel sends, decoding it neither panics nor runs on; and an
// address that was understood survives being sent back.
func FuzzDecode(f *testing.F) {
	f.Add(appendChange(nil, Change{AddAddr, Addr{
		Link: 3, Prefix: prefix("192.0.2.1/24"), Peer: prefix("192.0.2.2/24"), Label: "eth0:1", Scope: unix.RT_SCOPE_LINK,
		Flags: unix.IFA_F_NOPREFIXROUTE, Proto: AddrProto,
	}}, 0, 1))
	f.Add(appendChange(nil, Change{RemoveAddr, Addr{Link: 3, Prefix: prefix("2001:db8::1/64"), Flags: unix.IFA_F_NODAD}}, 0, 1))
	link, _ := beginMessage(nil, unix.RTM_NEWLINK, 0, 1)
	link = appendLinkHeader(link, 3)
	link = appendAttr(link, unix.IFLA_IFNAME, []byte("eth0.10\x00"))
	link = appendAttr(link, unix.IFLA_LINKINFO, appendAttr(nil, unix.IFLA_INFO_KIND, []byte("vlan\x00")))
	f.Add(endMessage(link, 0))
	refusal, _ := beginMessage(nil, unix.NLMSG_ERROR, unix.NLM_F_ACK_TLVS|unix.NLM_F_CAPPED, 1)
	refusal = append(refusal, 0xef, 0xff, 0xff, 0xff)
	refusal, _ = beginMessage(refusal, unix.RTM_NEWADDR, 0, 1)
	f.Add(endMessage(appendAttr(refusal, unix.NLMSGERR_ATTR_MSG, []byte("no\x00")), 0))

	f.Fuzz(func(t *testing.T, b []byte) {
		names := make(names)
		for _, e := range appendEvents(nil, b, names) {
			if e.Kind != AddrNew {
				continue
			}
			sent := appendChange(nil, Change{AddAddr, e.Addr}, 0, 1)
			again := appendEvents(nil, sent, names)
			if len(again) != 1 || again[0].Addr.wish() != e.Addr.wish() || again[0].Addr.Proto != e.Addr.Proto {
				t.Fatalf("sent %+v\nback %+v", e.Addr, again)
			}
		}
		for {
			m, rest, ok := nextMessage(b)
			if !ok {
				break
			}
			if e, err := ackError(m); err == nil && e != nil && e.Error() == "" {
				t.Fatal("an error without words")
			}
			b = rest
		}
	})
}
