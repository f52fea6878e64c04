package test

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
	"keepalived-go/vrrp"
)

// speaker sends arbitrary VRRP packets from any address.
type speaker struct {
	*scene
	node *lab.Node
	fd   int
}

// speaker opens a speaker on a node.
func (s *scene) speaker(node string) *speaker {
	s.Helper()
	p := &speaker{scene: s, node: s.Node(node), fd: -1}
	s.must(p.node.Do(func() (err error) {
		if p.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
			return err
		}
		return unix.SetsockoptInet4Addr(p.fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, p.node.Addr(0).As4())
	}))
	s.Cleanup(func() { unix.Close(p.fd) })
	return p
}

// send sends a whole IPv4 packet.
func (p *speaker) send(b []byte) {
	p.Helper()
	p.scene.must(unix.Sendto(p.fd, b, 0, &unix.SockaddrInet4{Addr: [4]byte(b[16:20])}))
}

// advertiser is a virtual router that sends through a speaker. in has the values of a daemon's
// instance, change the values that that type does not have.
type advertiser struct {
	*speaker
	engine *vrrp.Instance
}

func (p *speaker) advertiser(in instance, source netip.Addr, change func(*vrrp.Config)) *advertiser {
	c := vrrp.Config{
		Name: "advertiser", VRID: uint8(in.vrid()), Version: uint8(max(in.Version, 2+btoi(in.Version == 0))), Family: vrrp.IPv4,
		Priority: uint8(in.Priority), AdvertInterval: in.interval(),
		Addresses: []netip.Addr{vip}, Group: addr("224.0.0.18"),
	}
	if change != nil {
		change(&c)
	}
	v := &advertiser{p, vrrp.New(c)}
	v.engine.Step(0, vrrp.Event{Kind: vrrp.SourceChanged, Source: source}, nil)
	return v
}

// advert returns the next packet.
func (v *advertiser) advert(priority uint8) []byte {
	return slices.Clone(v.engine.Advert(-1, priority, time.Now()))
}

// every sends adverts with a priority at intervals while f runs.
func (v *advertiser) every(pause time.Duration, priority uint8, f func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for {
			v.send(v.advert(priority))
			select {
			case <-end:
				return
			case <-tick.C:
			}
		}
	}()
	defer func() { close(end); <-ended }()
	f()
}
