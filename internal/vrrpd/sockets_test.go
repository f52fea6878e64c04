package vrrpd

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
)

// buffered returns virtual routers on one interface, each with a kernel_rx_buf_size.
func buffered(g conf.Global, sizes ...int) *conf.Config {
	c := &conf.Config{Global: g}
	for i, size := range sizes {
		c.Instances = append(c.Instances, &conf.VRRPInstance{
			Accept: true,
			GARP:   &conf.GARP{},
			Name:   fmt.Sprint("VI_", i), Interface: "eth0", Version: 3, Family: conf.IPv4, VRID: uint8(i + 1), Priority: 100, TTL: 255,
			AdvertInterval: 1e9, DownTimerAdverts: 3, Group: netip.MustParseAddr("224.0.0.18"), RxBuf: size,
		})
	}
	return c
}

// TestReceiveBuffer checks that the socket of several virtual routers has the sum of the
// buffer sizes that they request, also after reloads, and its initial size if none
// requests a size.
func TestReceiveBuffer(t *testing.T) {
	mtu := conf.Global{RxBufPolicy: conf.RxBufMTU, RxBufMultiplier: 4}
	d := newTestDaemon(t, buffered(conf.Global{}, 0, 0))
	size := func() int {
		t.Helper()
		if d.unsized {
			d.sizeBuffers()
		}
		if len(d.sockets) != 1 {
			t.Fatalf("%d sockets, want 1", len(d.sockets))
		}
		for _, s := range d.sockets {
			n, err := unix.GetsockoptInt(s.raw.FD(), unix.SOL_SOCKET, unix.SO_RCVBUF)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		return 0
	}
	begun := size()
	for _, c := range []struct {
		name string
		conf *conf.Config
		want int // without the doubling for the kernel's own use
	}{
		{"one", buffered(conf.Global{}, 30000, 0), 60000},
		{"both", buffered(conf.Global{}, 30000, 20000), 100000},
		{"smaller", buffered(conf.Global{}, 10000, 20000), 60000},
		{"beside the policy", buffered(mtu, 10000, 0), 2 * (10000 + 4*1500)},
		{"the policy", buffered(mtu, 0, 0), 2 * 2 * 4 * 1500},
		{"the policy of adverts", buffered(conf.Global{RxBufPolicy: conf.RxBufAdvert, RxBufMultiplier: 3}, 0, 9000), 2 * (3*advertRoom + 9000)},
		{"the policy of bytes", buffered(conf.Global{RxBufPolicy: conf.RxBufBytes, RxBufSize: 7000}, 0, 0), 2 * 2 * 7000},
		{"one more", buffered(conf.Global{}, 30000, 20000, 5000), 110000},
		{"one fewer", buffered(conf.Global{}, 30000), 60000},
		{"none", buffered(conf.Global{}, 0, 0), begun},
	} {
		d.reloadNow(c.conf)
		open(t, d)
		if got := size(); got != c.want {
			t.Errorf("%s: %d bytes, want %d", c.name, got, c.want)
		}
	}
	d.reloadNow(buffered(mtu, 0))
	open(t, d)
	ip(t, "link set eth0 mtu 1400")
	for i := 0; size() != 2*4*1400; i++ { // until the event has arrived
		if i == 100 {
			t.Fatalf("%d bytes after a change of the MTU, want %d", size(), 2*4*1400)
		}
		d.turn()
	}
}

// TestEachReceivePolicy checks that each vrrp_rx_bufs_policy requests another size.
func TestEachReceivePolicy(t *testing.T) {
	seen := map[int]string{}
	for i, word := range conf.Names(reflect.TypeFor[conf.RxBufPolicy]()) {
		d := &daemon{conf: &conf.Config{Global: conf.Global{RxBufPolicy: conf.RxBufPolicy(i), RxBufMultiplier: 3, RxBufSize: 77}}}
		size := d.receiveBuffer(&router{conf: &conf.VRRPInstance{}, link: &netLink{Link: kernel.Link{MTU: 1500}}})
		if other, taken := seen[size]; taken {
			t.Errorf("%s and %s both ask for %d bytes", other, word, size)
		}
		seen[size] = word
	}
}
