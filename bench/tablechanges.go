package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
	"keepalived-go/internal/tool/lab"
)

// Commands of IPVS (linux/ip_vs.h) that add, change and remove a server.
const (
	newDest = 5
	delDest = 7
)

// tableChanges records when the kernel was asked to change a server of its load balancer. The
// kernel does that before it takes anything else from whoever has asked. An interface of the
// kind nlmon shows the requests of all programs of a network namespace. Who waits for one here
// takes no processor from the program, as who reads the table again and again would.
type tableChanges struct {
	tap
	requests chan time.Time
}

func watchTable(n *lab.Node) (*tableChanges, error) {
	w := &tableChanges{requests: make(chan time.Time, 1000)}
	var family uint16
	err := n.Do(func() error {
		s, err := nl.Open(unix.NETLINK_GENERIC, nl.Options{})
		if err != nil {
			return err
		}
		conn := nl.NewConn(s)
		defer conn.Close()
		f, err := nl.FindFamily(conn, "IPVS")
		if err == nil {
			family = f.ID
		}
		return err
	})
	if err == nil {
		err = n.IPBatch("link add nlmon0 type nlmon\nlink set nlmon0 up\n")
	}
	if err == nil {
		// The command of generic netlink follows the header of netlink, which has 16 bytes.
		err = n.Do(func() error {
			return w.open("nlmon0", unix.ETH_P_ALL, []bpf.Instruction{
				// Only requests: answers have the commands, too.
				bpf.LoadAbsolute{Off: 6, Size: 1}, bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: unix.NLM_F_REQUEST, SkipTrue: 1}, bpf.RetConstant{},
				bpf.LoadAbsolute{Off: 16, Size: 1},
				bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: newDest, SkipTrue: 1}, bpf.RetConstant{},
				bpf.JumpIf{Cond: bpf.JumpLessOrEqual, Val: delDest, SkipTrue: 1}, bpf.RetConstant{},
				bpf.RetConstant{Val: 20},
			})
		})
	}
	if err != nil {
		return nil, fmt.Errorf("watch the changes of the load balancer: %w", err)
	}
	go w.read(func(b []byte, at time.Time, _ bool) {
		if len(b) >= 6 && binary.NativeEndian.Uint16(b[4:]) == family {
			w.requests <- at
		}
	})
	return w, nil
}

// next returns the time of the next request at a time or later.
func (w *tableChanges) next(from time.Time) (time.Time, error) {
	late := time.After(time.Minute)
	for {
		select {
		case at := <-w.requests:
			if !at.Before(from) {
				return at, nil
			}
		case <-late:
			return time.Time{}, errors.New("no server was changed within a minute")
		}
	}
}
