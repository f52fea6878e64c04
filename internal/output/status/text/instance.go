package text

import (
	"fmt"
	"net"

	"keepalived-go/conf"
)

// Link writes what an instance makes on top of its interface: its name, and whether that
// is there and up.
func Link(t *Writer, c *conf.VRRPInstance, name string, up bool) {
	l := c.Link
	if l == nil {
		return
	}
	switch l.Kind {
	case conf.LinkVMAC:
		t.Line("   Use VMAC, i/f name %s, is_up = %t, xmit_base = %t", name, up, l.TransmitBase)
		if l.MACSet {
			of := ""
			if l.MAC[5] == c.VRID {
				of = " (using VRID)"
			}
			t.Line("     MAC = %v%s", net.HardwareAddr(l.MAC[:]), of)
		}
	case conf.LinkIPVLAN:
		address := ""
		switch a := l.Address; {
		case a.IsValid() && a.IsSingleIP():
			address = fmt.Sprintf(", i/f address = %v", a.Addr())
		case a.IsValid():
			address = fmt.Sprintf(", i/f address = %v", a)
		}
		t.Line("   Use IPVLAN, i/f %s, is_up = %t%s, type %v", name, up, address, l.Mode)
	}
	if l.AddressVMACs {
		t.Line("   Use VMAC for VIPs on other interfaces")
	}
}

// LinkName is the name of the interface by which the adverts of an instance leave, with
// what it is above. own is the one that is made for it; empty: none.
func LinkName(c *conf.VRRPInstance, own string) string {
	switch {
	case own == "":
		return c.Interface
	case c.Link.Kind == conf.LinkIPVLAN:
		return fmt.Sprintf("%s, ipvlan on %s", own, c.Interface)
	case c.Link.TransmitBase:
		return fmt.Sprintf("%s, vmac on %s, xmit base i/f", own, c.Interface)
	}
	return fmt.Sprintf("%s, vmac on %s", own, c.Interface)
}

// Routing writes the routes and rules of an instance.
func Routing(t *Writer, c *conf.Routing) {
	routes, rules := RoutingTexts(c)
	t.List("   Virtual Routes :", routes)
	t.List("   Virtual Rules :", rules)
}

// RoutingTexts are the routes and rules of an instance, one text each.
func RoutingTexts(c *conf.Routing) (routes, rules []string) {
	if c == nil {
		return nil, nil
	}
	for i := range c.Routes {
		routes = append(routes, Route(&c.Routes[i]))
	}
	for i := range c.Rules {
		rules = append(rules, Rule(&c.Rules[i]))
	}
	return routes, rules
}

// linkNameOf is the name of the interface of an instance that is not made yet.
func linkNameOf(c *conf.VRRPInstance, prefix string) string {
	if c.Link == nil {
		return ""
	}
	return or(c.Link.Name, fmt.Sprintf("%s.%d", prefix, c.VRID))
}
