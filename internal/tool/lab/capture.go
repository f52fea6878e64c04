package lab

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/mdlayher/socket"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// capture records the frames that the nodes send, where they enter the switch.
type capture struct {
	lab    *Lab
	conn   *socket.Conn
	cancel context.CancelFunc
	done   chan struct{}

	mu    sync.Mutex
	ports map[int]port // by interface index
}

type port struct {
	node    *Node
	segment int
}

// frame is a recorded frame, kept for tshark.
type frame struct {
	time time.Time
	data []byte
}

func openCapture(l *Lab) (*capture, error) {
	c := &capture{lab: l, done: make(chan struct{})}
	if err := c.learnPorts(); err != nil {
		return nil, err
	}
	err := l.sw.do(func() error {
		bridge, err := net.InterfaceByName(fmt.Sprintf("br%d", l.segments-1))
		if err != nil {
			return err
		}
		prog, err := bpf.Assemble(sentByNodes(uint32(bridge.Index)))
		if err != nil {
			return err
		}
		// Protocol 0 receives nothing until the filter is set.
		if c.conn, err = socket.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0, "capture", nil); err != nil {
			return fmt.Errorf("open capture: %w", err)
		}
		setReadBuffer(c.conn)
		if err := c.conn.SetBPF(prog); err != nil {
			return err
		}
		if err := c.conn.SetsockoptInt(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
			return err
		}
		all := uint16(unix.ETH_P_ALL)<<8 | uint16(unix.ETH_P_ALL)>>8
		return c.conn.Bind(&unix.SockaddrLinklayer{Protocol: all})
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	go c.read(ctx)
	return c, nil
}

// sentByNodes accepts VRRP, ARP and neighbour advertisements that enter the switch by a
// port: neither frames that leave by one nor a bridge's own copy. The bridges have the
// indexes up to lastBridge.
func sentByNodes(lastBridge uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OUTGOING, SkipTrue: 14},
		bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
		bpf.JumpIf{Cond: bpf.JumpLessOrEqual, Val: lastBridge, SkipTrue: 12},
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_ARP, SkipTrue: 9},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_IP, SkipFalse: 3},
		bpf.LoadAbsolute{Off: 14 + 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.IPPROTO_AH, SkipTrue: 6},
		bpf.Jump{Skip: 4}, // to the comparison with VRRP
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_IPV6, SkipFalse: 5},
		bpf.LoadAbsolute{Off: 14 + 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.IPPROTO_ICMPV6, SkipFalse: 1},
		bpf.LoadAbsolute{Off: 14 + 40, Size: 1}, // ICMPv6 type
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoVRRP, SkipFalse: 2},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeNeighbourAdvertisement, SkipFalse: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	}
}

// learnPorts reads which interface of the switch leads to which node.
func (c *capture) learnPorts() error {
	var links []net.Interface
	err := c.lab.sw.do(func() (err error) {
		links, err = net.Interfaces()
		return err
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ports = map[int]port{}
	for _, link := range links {
		name, segment, found := strings.Cut(link.Name, ".")
		if !found {
			continue
		}
		var k int
		if _, err := fmt.Sscan(segment, &k); err != nil {
			continue
		}
		c.ports[link.Index] = port{c.lab.Node(name), k}
	}
	return nil
}

func (c *capture) read(ctx context.Context) {
	defer close(c.done)
	buf := make([]byte, 1<<16)
	oob := make([]byte, 256)
	for {
		n, oobn, _, from, err := c.conn.Recvmsg(ctx, buf, oob, 0)
		if err != nil {
			if ctx.Err() == nil {
				c.lab.fail(fmt.Errorf("capture: %w", err))
			}
			return
		}
		at := kernelTime(oob[:oobn])
		c.mu.Lock()
		p, ok := c.ports[from.(*unix.SockaddrLinklayer).Ifindex]
		c.mu.Unlock()
		if !ok {
			continue
		}
		if e, ok := decode(buf[:n]); ok {
			e.Time, e.Node, e.Segment = at, p.node, p.segment
			e.Frame = append([]byte(nil), buf[:n]...)
			c.lab.mu.Lock()
			c.lab.frames = append(c.lab.frames, frame{at, e.Frame})
			c.lab.mu.Unlock()
			c.lab.record(e)
		}
	}
}

func kernelTime(oob []byte) time.Time {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return time.Now()
	}
	for _, m := range msgs {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			sec := binary.NativeEndian.Uint64(m.Data)
			nsec := binary.NativeEndian.Uint64(m.Data[8:])
			return time.Unix(int64(sec), int64(nsec))
		}
	}
	return time.Now()
}

func (c *capture) close() {
	if c == nil {
		return
	}
	if st, err := unix.GetsockoptTpacketStats(c.fd(), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil && st.Drops > 0 {
		c.lab.fail(fmt.Errorf("capture lost %d frames", st.Drops))
	}
	c.cancel()
	c.conn.Close()
	<-c.done
}

func (c *capture) fd() (fd int) {
	rc, err := c.conn.SyscallConn()
	if err != nil {
		return -1
	}
	rc.Control(func(f uintptr) { fd = int(f) })
	return fd
}

// setReadBuffer enlarges the buffer for bursts of thousands of frames. An ordinary user
// gets the maximum of the system.
func setReadBuffer(c *socket.Conn) {
	const size = 64 << 20
	if c.SetsockoptInt(unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) != nil {
		c.SetReadBuffer(size)
	}
}
