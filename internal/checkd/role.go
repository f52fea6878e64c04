package checkd

import (
	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/link"
)

// Role is the process of the health checks among the processes of the daemon.
var Role = proc.Role{
	Name:   "checkers",
	Title:  "Healthcheck",
	Suffix: "_healthcheckers",
	Unit:   "virtual server",
	// After a process that does not end in good order its services would stay.
	Leaves:       "virtual servers",
	Late:         "health checks",
	Capabilities: capabilities,
	Dumps:        []link.Kind{link.DumpData, link.DumpJSON},
	Of:           share,
	Named:        func(g *conf.Global) string { return g.CheckerProcessName },
	Run:          runChild,
}

var capabilities = []proc.Capability{
	{Bit: unix.CAP_NET_ADMIN, Name: "CAP_NET_ADMIN", For: "to set virtual servers"},
	{Bit: unix.CAP_NET_RAW, Name: "CAP_NET_RAW", For: "to send pings and bind to interfaces"},
}

// share is what the process gets of a configuration: what checks and virtual
// servers need, and the virtual routers not at all.
func share(c *conf.Config) proc.Share {
	g := &c.Global
	part := *c
	part.Instances, part.SyncGroups = nil, nil
	part.StaticAddresses, part.StaticRoutes, part.StaticRules = nil, nil, nil
	part.BFDInstances = nil
	return proc.Share{Units: len(c.VirtualServers), Limits: g.Checker, Config: &part}
}

func runChild(c *proc.Child) error {
	return Run(Options{
		Link:         c.Link,
		StateFile:    c.Setup.StateFile,
		DumpDir:      c.Setup.DumpDir,
		InstanceName: c.Setup.InstanceName,
		NetNamespace: c.Setup.NetNamespace,
		Keep:         c.Setup.Keep,
		LogData:      c.Setup.LogData,
		Intents:      c.Setup.Intents,
		Logs:         c.Logs,
	})
}
