package nl

import (
	"errors"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

func dial(t testing.TB, family int) *Conn {
	t.Helper()
	c, err := Dial(family, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestGeneric checks requests with the kernel's own family of generic netlink.
func TestGeneric(t *testing.T) {
	c := dial(t, unix.NETLINK_GENERIC)
	control, err := FindFamily(c, "nlctrl")
	if err != nil {
		t.Fatal(err)
	}
	if control.ID != unix.GENL_ID_CTRL || control.Version == 0 || control.Groups["notify"] == 0 {
		t.Errorf("nlctrl: %+v", control)
	}
	all, err := Families(c)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(f Family) bool { return f.Name == "nlctrl" })
	if i < 0 || all[i].ID != control.ID {
		t.Errorf("nlctrl is not in the list of %d families", len(all))
	}
	if _, err := FindFamily(c, "no such family"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a family that is not there: %v", err)
	}
	// An unknown command of the family, and a malformed argument, are refused, and the
	// connection serves the next request.
	var refusal *Error
	if err := c.Do(control.ID, 0, control.Body(200, nil), nil); !errors.As(err, &refusal) || refusal.Errno != unix.EOPNOTSUPP {
		t.Errorf("an unknown command: %v", err)
	}
	refused := make([]*Error, 3)
	err = c.Batch(3, func(i int, b []byte) ([]byte, Request) {
		name := []string{"nlctrl", "no such family", "nlctrl"}[i]
		body := control.Body(unix.CTRL_CMD_GETFAMILY, func(b []byte) []byte {
			return AppendString(b, unix.CTRL_ATTR_FAMILY_NAME, name)
		})
		return body(b), Request{Type: control.ID}
	}, refused)
	if err != nil || refused[0] != nil || !errors.Is(refused[1], unix.ENOENT) || refused[2] != nil {
		t.Errorf("a batch of commands: %v, %v", err, refused)
	}
	if again, err := FindFamily(c, "nlctrl"); err != nil || again.ID != control.ID {
		t.Errorf("after the refusals: %+v, %v", again, err)
	}
}

// TestExtendedError checks that the error has the kernel's sentence about a refusal.
func TestExtendedError(t *testing.T) {
	c := dial(t, unix.NETLINK_ROUTE)
	err := c.Do(unix.RTM_GETLINK, 0, func(b []byte) []byte { return append(b, 1) }, nil)
	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Message == "" || !errors.Is(err, unix.EINVAL) {
		t.Errorf("a request that is too short: %v", err)
	}
}

func TestEvents(t *testing.T) {
	e, err := Listen(unix.NETLINK_ROUTE, Options{Groups: []uint32{unix.RTNLGRP_LINK}}, 4, 8<<10)
	if err != nil {
		t.Fatal(err)
	}
	ignore := func(Message) {}
	if n, err := e.ReadNow(ignore); err != nil || n > 4 {
		t.Errorf("%d datagrams, %v", n, err)
	}
	e.Remind(0)
	for err = nil; err == nil; {
		err = e.Read(ignore)
	}
	if !errors.Is(err, ErrReminder) {
		t.Errorf("error %v, want a reminder", err)
	}
	closed := make(chan error)
	go func() {
		var err error
		for err == nil {
			err = e.Read(ignore)
		}
		closed <- err
	}()
	e.Close()
	select {
	case err := <-closed:
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("error %v, want that it is closed", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("Close does not end a Read")
	}
}

// BenchmarkReceive lists the links, with the messages of the library and with ours.
func BenchmarkReceive(b *testing.B) {
	b.Run("library", func(b *testing.B) {
		c, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{Strict: true, MessageBufferSize: connBuffer})
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		request := netlink.Message{Header: netlink.Header{Type: unix.RTM_GETLINK, Flags: netlink.Request | netlink.Dump}, Data: make([]byte, unix.SizeofIfInfomsg)}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Send(request); err != nil {
				b.Fatal(err)
			}
			for _, err := range c.ReceiveIter() {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("ours", func(b *testing.B) {
		c := dial(b, unix.NETLINK_ROUTE)
		body := func(b []byte) []byte { return append(b, make([]byte, unix.SizeofIfInfomsg)...) }
		b.ReportAllocs()
		for b.Loop() {
			if err := c.Dump(unix.RTM_GETLINK, body, func(Message) {}); err != nil && !errors.Is(err, ErrInterrupted) {
				b.Fatal(err)
			}
		}
	})
}
