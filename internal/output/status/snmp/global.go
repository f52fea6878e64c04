package snmp

import (
	"net/netip"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/snmp/agentx"
)

// globals are the objects of global.
func (s *State) globals() []node {
	self := []row[*State]{{agentx.OID{0}, s}}
	return []node{
		&table[*State]{global, globalColumns, self},
		&table[*State]{global.Append(3), mailColumns, self},
		&table[*string]{global.Append(3, 5, 1), emailColumns, numbered(s.Config.Global.Mail.To, nil, func(to *string) *string { return to })},
	}
}

var globalColumns = []column[*State]{
	{"version", 1, func(s *State) agentx.Value { return text("Keepalived " + s.Status.Node.Release) }},
	{"routerId", 2, func(s *State) agentx.Value { return text(s.Config.Global.RouterID) }},
	{"trapEnable", 4, func(s *State) agentx.Value { return which(s.Config.Global.SNMP.Traps) }},
	{"linkBeat", 5, func(s *State) agentx.Value {
		for i := range s.Config.Interfaces {
			if s.Config.Interfaces[i].LinkBeat != conf.LinkBeatNone {
				return agentx.Int(2) // polling
			}
		}
		return agentx.Int(1) // netlink
	}},
	{"lvsFlush", 6, func(s *State) agentx.Value { return which(s.Config.Global.LVS.Flush) }},
	{"ipvs64BitStats", 7, func(*State) agentx.Value { return which(true) }},
	{"netNamespace", 8, func(s *State) agentx.Value { return text(s.Config.Global.NetNamespace) }},
	{"dbus", 9, func(s *State) agentx.Value { return which(s.Config.Global.DBus.Enabled) }},
	{"dynamicInterfaces", 10, func(s *State) agentx.Value { return which(s.Config.Global.DynamicInterfaces) }},
	{"lvsFlushOnStop", 11, func(s *State) agentx.Value {
		switch s.Config.Global.LVS.FlushOnStop {
		case conf.FlushAll:
			return agentx.Int(1)
		case conf.FlushServices:
			return agentx.Int(3)
		}
		return agentx.Int(2)
	}},
	{"v3ChecksumAsV2", 12, func(s *State) agentx.Value { return which(s.Config.Global.Defaults.ChecksumAsV2) }},
}

var mailColumns = []column[*State]{
	{"smtpServerAddressType", 1, func(s *State) agentx.Value { return addressType(s.mailServer()) }},
	{"smtpServerAddress", 2, func(s *State) agentx.Value { return address(s.mailServer()) }},
	{"smtpServerTimeout", 3, func(s *State) agentx.Value { return wholeSeconds(s.Config.Global.Mail.ConnectTimeout) }},
	{"emailFrom", 4, func(s *State) agentx.Value { return given(s.Config.Global.Mail.From) }},
	{"smtpServerPort", 6, func(s *State) agentx.Value {
		return when(s.mailServer().IsValid(), unsigned(s.Config.Global.Mail.Port))
	}},
	{"smtpEmailFaults", 7, func(s *State) agentx.Value { return which(!s.Config.Global.Mail.NoFaults) }},
	{"smtpEmailSmtpAlert", 8, func(s *State) agentx.Value { return switched(s.Config.Global.Defaults.Alert) }},
	{"smtpEmailSmtpAlertVrrp", 9, func(s *State) agentx.Value { return switched(s.Config.Global.Defaults.AlertVRRP) }},
	{"smtpEmailSmtpAlertChecker", 10, func(s *State) agentx.Value { return switched(s.Config.Global.Defaults.AlertChecker) }},
}

var emailColumns = []column[*string]{
	{"emailAddress", 2, func(to *string) agentx.Value { return text(*to) }},
}

// mailServer is the address of the mail server; invalid: it has a name, or there is none.
func (s *State) mailServer() netip.Addr { return parseAddr(s.Config.Global.Mail.Server) }
