package table

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"keepalived-go/lvs/ipvs"
)

// Counters reads what the kernel counts, over a connection of its own: the table does not
// wait for it. It may be used by several goroutines.
type Counters struct {
	dial  func() (Conn, error)
	renew atomic.Bool // what was read is too old, whatever its age

	mu       sync.Mutex
	conn     Conn // nil: none
	services map[ipvs.ServiceID]ipvs.Stats
	read     time.Time // when they were
	servers  map[ipvs.ServiceID]map[netip.AddrPort]ipvs.DestinationState
	readEach time.Time // when they were
}

// NewCounters returns counters that connect when they are asked for.
func NewCounters(dial func() (Conn, error)) *Counters { return &Counters{dial: dial} }

// Read returns the counters of services and those of the servers of the services ids, none
// older than an age. It may take its time. What the kernel does not give is left out. The maps
// must not be changed.
func (c *Counters) Read(ids []ipvs.ServiceID, age, serverAge time.Duration) (map[ipvs.ServiceID]ipvs.Stats, map[ipvs.ServiceID]map[netip.AddrPort]ipvs.DestinationState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.renew.Swap(false) {
		c.read, c.readEach = time.Time{}, time.Time{}
	}
	err := c.readServices(now, age)
	if err == nil {
		err = c.readServers(now, ids, serverAge)
	}
	if err != nil && c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
	return c.services, c.servers, err
}

// Renew has the next Read ask the kernel, whatever the age of what is known. It does not
// wait.
func (c *Counters) Renew() { c.renew.Store(true) }

func (c *Counters) connect() (err error) {
	if c.conn == nil {
		c.conn, err = c.dial()
	}
	return err
}

func (c *Counters) readServices(now time.Time, age time.Duration) error {
	if now.Sub(c.read) < age {
		return nil
	}
	c.services = nil
	if err := c.connect(); err != nil {
		return err
	}
	all, err := c.conn.Services()
	if err != nil {
		return err
	}
	c.read, c.services = now, make(map[ipvs.ServiceID]ipvs.Stats, len(all))
	for i := range all {
		c.services[all[i].ServiceID] = all[i].Stats
	}
	return nil
}

func (c *Counters) readServers(now time.Time, ids []ipvs.ServiceID, age time.Duration) error {
	if now.Sub(c.readEach) < age {
		return nil
	}
	c.servers = nil
	if err := c.connect(); err != nil {
		return err
	}
	servers := make(map[ipvs.ServiceID]map[netip.AddrPort]ipvs.DestinationState, len(ids))
	for _, id := range ids {
		if _, there := c.services[id]; !there {
			continue
		}
		all, err := c.conn.Destinations(id)
		if err != nil {
			return err
		}
		servers[id] = make(map[netip.AddrPort]ipvs.DestinationState, len(all))
		for _, d := range all {
			servers[id][d.Addr] = d
		}
	}
	c.readEach, c.servers = now, servers
	return nil
}

// Close closes the connection, unless the kernel is just being asked: it does not wait.
func (c *Counters) Close() {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
