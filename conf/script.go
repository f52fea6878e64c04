package conf

import (
	"os"
	"path/filepath"
)

// scripts are the commands that a configuration names.
type scripts struct {
	secure bool // enable_script_security
	// first is the first command that exists.
	first place
	exist map[string]bool // by path: an executable file
	// byName are the paths of vrrp_script blocks.
	byName map[string]string
	path   string // of the block being read
}

// note remembers the command of a keyword.
func (c *scripts) note(a *argument) {
	if len(a.cmd) == 0 || a.k.Name == "regex" {
		return
	}
	c.path = a.cmd[0]
	if c.executable(c.path) && c.first.origin == nil {
		c.first = a.place(1)
	}
}

func (c *scripts) executable(path string) bool {
	known, ok := c.exist[path]
	if !ok && filepath.IsAbs(path) {
		info, err := os.Stat(path)
		known = err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
		if c.exist == nil {
			c.exist = make(map[string]bool)
		}
		c.exist[path] = known
	}
	return known
}

// closeScript ends a vrrp_script block.
func closeScript(d *decoder, s *Statement) {
	c := &d.scripts
	if !hasWord(s.Block, "script") {
		d.wrong(s, 0, "no-script", "No script set for vrrp_script %s - removing", printable(s.Words[1].Text))
		return
	}
	if c.byName == nil {
		c.byName = make(map[string]string)
	}
	c.byName[d.intern(s.Words[1].Text)] = d.intern(c.path)
}

// track checks that the command of a tracked vrrp_script can be run.
func (c *scripts) track(d *decoder, u trackUse) {
	path := c.byName[u.name]
	if filepath.IsAbs(path) && !c.executable(path) {
		d.wrong(u.s, 0, "script-missing", "Disabling track script %s since not found/accessible: %s", printable(u.name), printable(path))
	}
}

// check reports commands that would run as they are.
func (c *scripts) check(d *decoder) {
	if c.first.origin == nil || c.secure {
		return
	}
	d.reportAt(c.first, Diagnostic{
		Severity: Warning, Class: ClassSecurity, Code: "script-security",
		Message: "SECURITY VIOLATION - scripts are being executed but script_security not enabled.",
		Fix:     "write enable_script_security in global_defs",
	})
}
