package vrrpd

import (
	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/link"
)

// Role is the VRRP process among the processes of the daemon.
var Role = proc.Role{
	Name:   "vrrp",
	Title:  "VRRP",
	Suffix: "_vrrp",
	Unit:   "virtual router",
	Leaves: "addresses",
	// The highest: on a busy machine an advert every 10 ms does not wait its turn.
	Nice:         -20,
	Late:         "adverts",
	Capabilities: capabilities,
	Dumps:        []link.Kind{link.DumpData, link.DumpStats, link.ClearStats, link.DumpJSON},
	Of:           share,
	Named:        func(g *conf.Global) string { return g.VRRPProcessName },
	Run:          runChild,
}

var capabilities = []proc.Capability{
	{Bit: unix.CAP_NET_ADMIN, Name: "CAP_NET_ADMIN", For: "to set addresses"},
	{Bit: unix.CAP_NET_RAW, Name: "CAP_NET_RAW", For: "to send and receive VRRP packets"},
}

func share(c *conf.Config) proc.Share {
	g := &c.Global
	part := *c
	part.VirtualServers, part.ServerGroups, part.TLSClient = nil, nil, nil
	part.BFDInstances = nil
	s := proc.Share{Units: len(c.Instances), Limits: g.VRRP, Config: &part}
	s.Keeps = len(c.StaticAddresses)+len(c.StaticRoutes)+len(c.StaticRules) > 0
	for _, in := range c.Instances {
		stay := policy.MayStay(in)
		if s.MayStay == 0 || stay < s.MayStay {
			s.MayStay = stay
		}
	}
	return s
}

func runChild(c *proc.Child) error {
	return Run(Options{
		Link:         c.Link,
		StateFile:    c.Setup.StateFile,
		DumpDir:      c.Setup.DumpDir,
		InstanceName: c.Setup.InstanceName,
		NetNamespace: c.Setup.NetNamespace,
		DontRelease:  c.Setup.Keep,
		LogAddresses: c.Setup.LogAddresses,
		LogData:      c.Setup.LogData,
		MarkerPath:   c.Setup.ReloadMarker,
		Intents:      c.Setup.Intents,
		Logs:         c.Logs,
	})
}
