package nl

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRefusal(t *testing.T) {
	word := func(v int32) []byte { return native.AppendUint32(nil, uint32(v)) }
	header, _ := Begin(nil, unix.RTM_NEWADDR, 0, 1)
	header = End(header, 0)
	request, _ := Begin(nil, unix.RTM_NEWADDR, 0, 1)
	request = End(AppendUint32(append(request, make([]byte, unix.SizeofIfAddrmsg)...), unix.IFA_FLAGS, 1), 0)
	sentence := AppendAttr(nil, unix.NLMSGERR_ATTR_MSG, []byte("ipv4: Address already assigned\x00"))
	tests := []struct {
		name string
		m    Message
		want string
	}{
		{"success", Message{Type: unix.NLMSG_ERROR, Body: append(word(0), header...)}, ""},
		{"a number alone", Message{Type: unix.NLMSG_ERROR, Body: append(word(-17), request...)}, "file exists"},
		{"a sentence after the capped request",
			Message{Type: unix.NLMSG_ERROR, Flags: unix.NLM_F_ACK_TLVS | unix.NLM_F_CAPPED, Body: append(append(word(-17), request[:16]...), sentence...)},
			"ipv4: Address already assigned: file exists"},
		{"a sentence after the whole request",
			Message{Type: unix.NLMSG_ERROR, Flags: unix.NLM_F_ACK_TLVS, Body: append(append(word(-17), request...), sentence...)},
			"ipv4: Address already assigned: file exists"},
		{"the end of a dump", Message{Type: unix.NLMSG_DONE, Body: append(word(-16), sentence...), Flags: unix.NLM_F_ACK_TLVS},
			"ipv4: Address already assigned: device or resource busy"},
		{"a length that lies", Message{Type: unix.NLMSG_ERROR, Flags: unix.NLM_F_ACK_TLVS, Body: append(word(-17), 0xff, 0xff, 0xff, 0xff)}, "file exists"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := tt.m.Refusal()
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
	if _, err := (Message{Type: unix.NLMSG_ERROR, Body: []byte{1}}).Refusal(); err == nil {
		t.Error("an acknowledgement of one byte was taken")
	}
	if !errors.Is(&Error{Errno: unix.EEXIST}, unix.EEXIST) {
		t.Error("an Error does not match its number")
	}
}

// FuzzFamily checks that the description of a family with any contents can be decoded.
func FuzzFamily(f *testing.F) {
	group := AppendUint32(AppendString(nil, unix.CTRL_ATTR_MCAST_GRP_NAME, "notify"), unix.CTRL_ATTR_MCAST_GRP_ID, 16)
	b := append([]byte{unix.CTRL_CMD_NEWFAMILY, 2, 0, 0}, AppendString(nil, unix.CTRL_ATTR_FAMILY_NAME, "nlctrl")...)
	b = AppendAttr(b, unix.CTRL_ATTR_FAMILY_ID, []byte{16, 0})
	f.Add(AppendAttr(b, unix.CTRL_ATTR_MCAST_GROUPS, AppendAttr(nil, 1, group)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if family, ok := decodeFamily(Message{Body: b}); ok && family.ID == 0 {
			t.Error("a family without a number")
		}
	})
}
