package policy

import (
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"keepalived-go/conf"
	"keepalived-go/vrrp"
)

// StartDelay is how long a virtual router that starts now waits: what is left of
// vrrp_startup_delay since the process has begun, and of vrrp_delay_after_boot. Both
// times are counted from boot.
func StartDelay(g *conf.Global, begun, now time.Duration) time.Duration {
	return max(0, g.StartupDelay-(now-begun), g.DelayAfterBoot-now)
}

// MayStart reports whether a virtual router may start, given the outcome of its
// trackers and of those of the other members of its sync group; nil: there is none. It
// waits for trackers that could be a fault: whether the node may serve is not known
// before. One that continues as the master that its predecessor was does not wait.
func MayStart(resumes bool, group ...*Outcome) bool {
	return resumes || !slices.ContainsFunc(group, func(o *Outcome) bool { return o != nil && o.Waiting })
}

// KeepsPriority reports whether a virtual router that continues as master has the
// priority of its predecessor for now, as a tracker that may change it has not reported
// yet.
func KeepsPriority(resumes bool, o *Outcome) bool { return resumes && o != nil && o.Partial }

// MayStay is how long the addresses of a master may stay after the end of its process:
// its peers do not take over before. The last advert may be an interval old by then.
// It is never 0.
func MayStay(c *conf.VRRPInstance) time.Duration {
	return max(vrrp.Patience(c.DownTimerAdverts, c.AdvertInterval)-c.AdvertInterval, time.Millisecond)
}

// Identity is what a virtual router is known by to the successor of its process.
func Identity(c *conf.VRRPInstance) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s\x00%d\x00%d", c.Name, Bound(c), c.Family, c.VRID)
	return h.Sum64()
}

// Leftover is an address that a process finds when it starts.
type Leftover struct {
	Marked     bool // it has our mark
	Marks      bool // the kernel keeps our mark
	Listed     bool // the predecessor's state names it, and not as one that it had found
	Configured bool // the configuration has it as a virtual address
}

// Ours reports whether a predecessor has set the address.
func (l Leftover) Ours() bool { return l.Marked || l.Listed && !l.Marks }

// Inherited reports whether the process takes the address over: if no virtual router
// holds it, it is removed. Addresses that anyone else has set stay.
func (l Leftover) Inherited() bool { return l.Ours() && (l.Configured || l.Listed) }

// Continuation is what of a configuration is running already when it is taken up. A
// start is the case in which nothing is.
type Continuation struct {
	From   []int  // by virtual router: the place of the running one in the configuration before; -1: none
	Same   []bool // likewise: nothing about it changes
	Groups bool   // the sync groups are the same, with their members
}

// routerKey is what a virtual router is known by at a reload, whatever its name is.
type routerKey struct {
	link    string
	family  conf.Family
	vrid    uint8
	unicast bool
}

func keyOf(c *conf.VRRPInstance) routerKey {
	return routerKey{Bound(c), c.Family, c.VRID, c.Unicast}
}

// Continue compares two configurations. It takes some microseconds for each virtual
// router.
func Continue(before, after *conf.Config) *Continuation {
	running := make(map[routerKey][]int, len(before.Instances))
	for i, c := range before.Instances {
		running[keyOf(c)] = append(running[keyOf(c)], i)
	}
	k := &Continuation{From: make([]int, len(after.Instances)), Same: make([]bool, len(after.Instances))}
	for i, c := range after.Instances {
		k.From[i] = -1
		list := running[keyOf(c)]
		if len(list) == 0 {
			continue
		}
		// If several have the key, the one of the same name.
		n := max(0, slices.IndexFunc(list, func(i int) bool { return before.Instances[i].Name == c.Name }))
		k.From[i] = list[n]
		k.Same[i] = before.Instances[list[n]].Equal(c)
		running[keyOf(c)] = slices.Delete(list, n, n+1)
	}
	k.Groups = slices.EqualFunc(before.SyncGroups, after.SyncGroups, func(a, b *conf.SyncGroup) bool {
		return a.Name == b.Name && a.TrackingWeight == b.TrackingWeight && slices.Equal(a.Members, b.Members)
	}) && slices.EqualFunc(before.Instances, after.Instances, func(a, b *conf.VRRPInstance) bool {
		return a.Name == b.Name && keyOf(a) == keyOf(b)
	})
	return k
}
