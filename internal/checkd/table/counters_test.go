package table

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"keepalived-go/lvs/ipvs"
	"keepalived-go/lvs/ipvs/ipvstest"
)

// TestCounters checks that counters are read again when they are old enough, over a new
// connection after a failure, and that there are none for what the kernel does not have.
func TestCounters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := ipvstest.New()
		dials := 0
		c := NewCounters(func() (Conn, error) { dials++; return k.Dial() })
		defer c.Close()
		one, two := service(1), service(2)
		for _, change := range []ipvs.Change{
			{Op: ipvs.Add, Service: one},
			{Op: ipvs.Add, Service: one, Destination: &destinations(1)[0]},
		} {
			if err := k.Change(change); err != nil {
				t.Fatal(err)
			}
		}
		count := func(n uint64) {
			k.SetStats(one.ServiceID, netip.AddrPort{}, ipvs.Connections{}, ipvs.Stats{Connections: n})
			k.SetStats(one.ServiceID, addr(1000), ipvs.Connections{Active: uint32(n)}, ipvs.Stats{Connections: n})
		}
		read := func(want uint64) {
			t.Helper()
			services, servers, err := c.Read([]ipvs.ServiceID{one.ServiceID, two.ServiceID}, time.Second, 3*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if got := services[one.ServiceID].Connections; got != want || len(services) != 1 {
				t.Errorf("%d connections of the service, want %d; %d services", got, want, len(services))
			}
			if len(servers) != 1 {
				t.Errorf("servers of %d services", len(servers))
			}
		}
		active := func(want uint32) {
			t.Helper()
			if got := c.servers[one.ServiceID][addr(1000)].Connections.Active; got != want {
				t.Errorf("%d active connections of the server, want %d", got, want)
			}
		}
		count(1)
		read(1)
		active(1)
		count(2)
		read(1) // from a moment ago
		time.Sleep(time.Second)
		read(2) // only the service
		active(1)
		time.Sleep(2 * time.Second)
		read(2)
		active(2)
		count(3)
		c.Renew()
		read(3)
		active(3)

		k.SetLoaded(false)
		time.Sleep(3 * time.Second)
		if _, _, err := c.Read([]ipvs.ServiceID{one.ServiceID}, time.Second, time.Second); err == nil {
			t.Error("no error of a kernel without IPVS")
		}
		k.SetLoaded(true)
		if services, _, err := c.Read([]ipvs.ServiceID{one.ServiceID}, time.Second, time.Second); err != nil || len(services) > 1 || dials != 2 {
			t.Errorf("%v, %d dials, %v", services, dials, err)
		}
	})
}
