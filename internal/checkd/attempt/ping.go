package attempt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/checkd/life"
)

// Ping is PING_CHECK: the server is good if it answers an ICMP echo request.
type Ping struct {
	Names
	*Connection // the ports mean nothing
}

// pingRun is one attempt: what it sent, and where the ICMP message begins in
// what it receives.
type pingRun struct {
	*Ping
	request []byte
	raw     bool // with the identifier that we chose; IPv4: after the IP header
}

const (
	echoReply4, echoRequest4 = 0, 8
	echoRequest6, echoReply6 = 128, 129
	echoHeader               = 8
)

func (k *Ping) begin(a *Attempt, _ int) {
	run := &pingRun{Ping: k}
	a.run = run
	c := *k.Connection
	c.Port, c.BindPort = 0, 0
	protocol, request := unix.IPPROTO_ICMP, byte(echoRequest4)
	if !c.Addr.Unmap().Is4() {
		protocol, request = unix.IPPROTO_ICMPV6, echoRequest6
	}
	id, seq := a.env.number(), a.env.number()
	run.request = echo(request, id, seq)
	// Who may use an ICMP socket without being root is a range of groups, which
	// begins empty in a new network namespace, for root too.
	fd, remote, err := c.open(unix.SOCK_DGRAM, protocol)
	if errors.Is(err, unix.EACCES) {
		run.raw = true
		fd, remote, err = c.open(unix.SOCK_RAW, protocol)
	}
	if err != nil {
		a.void("ICMP socket", err)
		return
	}
	a.fd = fd
	if run.raw {
		run.filter(fd, protocol, id, seq)
	}
	c.exchange(a, remote, run.request, run.failed)
}

func (k *Ping) failed(err error) string {
	return fmt.Sprintf("ICMP connection to %s of %s failed.%s", k.Server, k.Service, why(err))
}

// echo is an ICMP echo request.
func echo(request byte, id, seq uint16) []byte {
	p := append(make([]byte, echoHeader, echoHeader+len(filler)), filler...)
	p[0] = request
	binary.BigEndian.PutUint16(p[4:], id)
	binary.BigEndian.PutUint16(p[6:], seq)
	if request == echoRequest4 { // the kernel fills that of IPv6
		binary.BigEndian.PutUint16(p[2:], checksum(p))
	}
	return p
}

// checksum is that of RFC 1071, for an even length.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// filter keeps the answers to all other requests of this host from a raw socket.
func (r *pingRun) filter(fd, protocol int, id, seq uint16) {
	reply := uint32(echoReply4)
	begin := []bpf.Instruction{bpf.LoadMemShift{Off: 0}} // after the IP header
	if protocol == unix.IPPROTO_ICMPV6 {
		reply = echoReply6
		begin = []bpf.Instruction{bpf.LoadConstant{Dst: bpf.RegX, Val: 0}}
	}
	program, err := bpf.Assemble(append(begin,
		bpf.LoadIndirect{Off: 0, Size: 1}, bpf.JumpIf{Val: reply, SkipFalse: 5},
		bpf.LoadIndirect{Off: 4, Size: 2}, bpf.JumpIf{Val: uint32(id), SkipFalse: 3},
		bpf.LoadIndirect{Off: 6, Size: 2}, bpf.JumpIf{Val: uint32(seq), SkipFalse: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	))
	if err != nil {
		return // what is not filtered is compared all the same
	}
	raw := make([]unix.SockFilter, len(program))
	for i, ins := range program {
		raw[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(raw)), Filter: &raw[0]})
}

func (r *pingRun) ready(a *Attempt, _ uint32) {
	n, err := unix.Read(a.fd, a.env.buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
	case err != nil:
		a.fail(r.failed(err))
	case r.answers(a.env.buf[:n]):
		a.pass()
	}
}

// answers reports whether p is the reply to the request. A socket without
// privileges gets the replies to its own identifier only, which the kernel
// chose.
func (r *pingRun) answers(p []byte) bool {
	reply := byte(echoReply6)
	if r.request[0] == echoRequest4 {
		reply = echoReply4
		if r.raw {
			if len(p) < 20 || len(p) < int(p[0]&15)*4 {
				return false
			}
			p = p[int(p[0]&15)*4:]
		}
	}
	own := 6
	if r.raw {
		own = 4
	}
	return len(p) >= echoHeader && p[0] == reply && p[1] == 0 && bytes.Equal(p[own:], r.request[own:])
}

func (r *pingRun) expire(a *Attempt) {
	a.fail(fmt.Sprintf("ICMP connection to address %s timeout.", r.Server))
}

func (k *Ping) line(v *life.Verdict) string {
	switch {
	case v.OK:
		return fmt.Sprintf("ICMP connection to %s success.", k.Server)
	case v.Retries == 0:
		return sentence(v, fmt.Sprintf("ICMP CHECK on service %s failed.", k.Server))
	}
	return sentence(v, fmt.Sprintf("ICMP CHECK on service %s of %s failed%s.", k.Server, k.Service, after(v)))
}

// Mail is in the words of the C daemon.
func (k *Ping) Mail(v *life.Verdict) string { return serviceMail("ICMP CHECK", v) }
