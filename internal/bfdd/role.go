package bfdd

import (
	"keepalived-go/conf"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/link"
)

// Role is the process of BFD among the processes of the daemon. It needs no
// capability: its ports are not privileged.
var Role = proc.Role{
	Name:   "bfd",
	Title:  "BFD",
	Suffix: "_bfd",
	Unit:   "BFD session",
	// A packet each 10 ms does not wait its turn on a busy machine.
	Nice:  -20,
	Late:  "BFD packets",
	Dumps: []link.Kind{link.DumpData},
	Of:    share,
	Named: func(g *conf.Global) string { return g.BFDProcessName },
	Run:   runChild,
}

// share is what the process gets of a configuration: the sessions.
func share(c *conf.Config) proc.Share {
	g := &c.Global
	part := conf.Config{Global: *g, BFDInstances: c.BFDInstances, HasBFD: c.HasBFD}
	return proc.Share{Units: len(c.BFDInstances), Limits: g.BFD, Config: &part}
}

func runChild(c *proc.Child) error {
	return Run(Options{
		Link:         c.Link,
		StateFile:    c.Setup.StateFile,
		DumpDir:      c.Setup.DumpDir,
		InstanceName: c.Setup.InstanceName,
		NetNamespace: c.Setup.NetNamespace,
		LogData:      c.Setup.LogData,
		Logs:         c.Logs,
	})
}
