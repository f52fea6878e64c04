package controld

import (
	"keepalived-go/conf"
	"keepalived-go/internal/output/status/snmp"
	"keepalived-go/internal/proc"
)

// Role is the control process among the processes of the daemon. It needs no
// capability, and nothing needs it.
var Role = proc.Role{
	Name:    "control",
	Title:   "Control",
	Suffix:  "_control",
	Unit:    "control socket",
	Late:    "answers",
	Attends: true,
	Of:      share,
	Named:   func(*conf.Global) string { return "" },
	Run:     runChild,
}

// share is what the process gets of a configuration: its own settings, and for SNMP all but
// secrets.
func share(c *conf.Config) proc.Share {
	part := &conf.Config{Global: conf.Global{Control: c.Global.Control, DBus: c.Global.DBus}}
	agent := wantsSNMP(&c.Global.SNMP)
	if agent {
		part = snmp.Share(c)
	}
	control := &c.Global.Control
	return proc.Share{Keeps: !control.Off || control.HTTP.Listen != "" || c.Global.DBus.Enabled || agent, Config: part}
}

func runChild(c *proc.Child) error {
	return Run(Options{Link: c.Link, Socket: c.Setup.Socket, History: c.Setup.History, LogFile: c.Setup.File})
}
