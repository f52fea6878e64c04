package conf

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"keepalived-go/conf/syntax"
)

// scripts are the commands that a configuration names.
type scripts struct {
	// first is the first command that would run.
	first place
	exist map[string]bool // by path: an executable file
	used  []commandUse
	user  place // of script_user
}

// commandUse is a command and what it is for.
type commandUse struct {
	at    place
	what  string  // "(VI_1) notify_master script", "vrrp_script chk"
	cmd   Command // without words: whose a FIFO is
	track string  // the name of a vrrp_script
	words int     // after the command: its user and group, or arguments without quotes
}

// note remembers the command of a keyword.
func (c *scripts) note(a *argument) {
	if len(a.line) > 0 && c.executable(a.line[0]) && !c.first.Known() {
		c.first = a.Place(1)
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

// keep stores the command of a keyword, which is for what. The first one stays.
func (d *decoder) keep(into *Command, a *argument, what, twice string) {
	c := a.command(d)
	switch {
	case into.Given():
		d.report(a.Statement, 0, Diagnostic{
			Severity: Error, Class: ClassOrdinary, Code: "command-twice",
			Message: twice, Fix: "the first is at " + into.Pos.String(),
		})
	case !c.Given():
		d.report(a.Statement, 1, Diagnostic{
			Severity: Warning, Class: ClassNone, Code: "empty-command",
			Message: what + " is empty - ignoring", Fix: "write the path of a program",
		})
	default:
		*into = c
		d.scripts.used = append(d.scripts.used, commandUse{at: a.Place(1), what: what, cmd: c, words: len(a.cmd) - 1})
	}
}

// orNil is c, or nil if there is no command.
func (c *Command) orNil() *Command {
	if c == nil || !c.Given() {
		return nil
	}
	return c
}

// commands judges the commands, when it is known how they are run.
func (d *decoder) commands() {
	c := &d.scripts
	policy := d.cfg.Global.Scripts
	noUser := false
	if at, asked := c.user, policy.User != ""; d.CheckCommand != nil {
		if !asked && policy.Secure {
			at, asked = c.usesDefault()
		}
		if err := error(nil); asked {
			if err = d.CheckCommand(Command{Pos: at.Pos()}, policy); err != nil {
				noUser = true
				d.noUser(at, policy, err)
			}
		}
	}
	for _, u := range c.used {
		d.shellSyntax(u)
		switch {
		case u.cmd.Args == nil: // a FIFO
			if d.CheckCommand != nil && u.cmd.User != "" {
				if err := d.CheckCommand(u.cmd, policy); err != nil {
					text, fix := remedied(err)
					d.reportAt(u.at, Diagnostic{
						Severity: Warning, Class: ClassNone, Code: "script-disabled",
						Message: u.what + " is not opened: " + text, Fix: fix,
					})
				}
			}
		case d.CheckCommand == nil:
			if path := u.cmd.Args[0]; u.track != "" && filepath.IsAbs(path) && !c.executable(path) {
				d.reportAt(u.at, Diagnostic{
					Severity: Error, Class: ClassOrdinary, Code: "script-missing",
					Message: "Disabling track script " + u.track + " since not found/accessible: " + printable(path),
				})
			}
		case noUser && u.cmd.User == "":
			// It is not run either, for the reason just given.
		default:
			if err := d.CheckCommand(u.cmd, policy); err != nil {
				d.disabled(u, err)
			} else if !c.first.Known() {
				c.first = u.at
			}
		}
	}
	if !c.first.Known() || policy.Secure {
		return
	}
	d.reportAt(c.first, Diagnostic{
		Severity: Warning, Class: ClassSecurity, Code: "script-security",
		Message: "SECURITY VIOLATION - scripts are being executed but script_security not enabled.",
		Fix:     "write enable_script_security in global_defs",
	})
}

// shellSyntax reports words of a command that only a shell would understand.
// Code that an interpreter is given in quotes has blanks, and is left alone.
func (d *decoder) shellSyntax(u commandUse) {
	if len(u.cmd.Args) < 2 {
		return
	}
	for _, w := range u.cmd.Args[1:] {
		redirection := strings.TrimLeft(w, "0123456789")
		switch {
		case strings.ContainsAny(w, syntax.Blanks):
			continue
		case slices.Contains([]string{"&&", "||", "|", "&", ";"}, w), len(w) > 1 && strings.HasSuffix(w, ";") && w != `\;`,
			strings.HasPrefix(redirection, ">"), w == "<", strings.HasPrefix(w, "</"), strings.HasPrefix(w, "$("), strings.HasPrefix(w, "`"):
		default:
			continue
		}
		line := strings.Join(u.cmd.Args, " ")
		fix := "put the command into a script that begins with #!/bin/sh"
		if !strings.ContainsAny(line, `'"\`) && len(line) < 100 {
			fix = `have a shell run it: "/bin/sh -c '` + printable(line) + `'"`
		}
		d.reportAt(u.at, Diagnostic{
			Severity: Warning, Class: ClassNone, Code: "shell-syntax",
			Message: u.what + " is not run by a shell: " + printable(w) + " is passed as an argument", Fix: fix,
		})
		return
	}
}

// usesDefault is the first command that names no user of its own.
func (c *scripts) usesDefault() (at place, ok bool) {
	for _, u := range c.used {
		if u.cmd.User == "" {
			return u.at, true
		}
	}
	return at, false
}

// noUser reports that commands without a user of their own cannot be run.
func (d *decoder) noUser(at place, policy ScriptPolicy, err error) {
	message := "Error setting global script uid/gid: "
	if policy.User == "" {
		message = "Unable to set default user keepalived_script for script: "
	}
	text, fix := remedied(err)
	d.reportAt(at, Diagnostic{
		Severity: Error, Class: ClassOrdinary, Code: "script-user", Message: message + text, Fix: fix,
	})
}

// remedied separates the remedy of CheckCommand from its error.
func remedied(err error) (text, fix string) {
	text, fix, found := strings.Cut(err.Error(), "; try: ")
	if found {
		fix = "try: " + fix
	}
	return text, fix
}

// disabled reports a command that cannot be run. Like the C daemon, a
// configuration test counts those of vrrp_script blocks only.
func (d *decoder) disabled(u commandUse, err error) {
	text, fix := remedied(err)
	p := Diagnostic{
		Severity: Warning, Class: ClassNone, Code: "script-disabled",
		Message: u.what + " cannot be run: " + text, Fix: fix,
	}
	if u.track != "" {
		p.Severity, p.Class = Error, ClassOrdinary
		p.Message = "Disabling track script " + u.track + ": " + text
	}
	var look interface{ Passes() bool }
	if errors.As(err, &look) && look.Passes() { // nothing is wrong with it, as far as is known
		p.Severity, p.Class, p.Fix = Warning, ClassNone, "try again; if the error remains, raise the limit of open files (ulimit -n)"
		p.Message = u.what + " could not be looked up; this is tried again before it runs: " + text
		d.reportAt(u.at, p)
		return
	}
	alone := u.cmd
	alone.User, alone.Group = "", ""
	switch {
	case len(u.cmd.Args) == 0:
	case assignment(u.cmd.Args[0]):
		p.Fix = "write a blank and the command after the keyword, without = or :"
	case u.words > 0 && d.CheckCommand(alone, d.cfg.Global.Scripts) == nil:
		p.Fix = "put the command and its arguments in quotes, as in \"/path/program argument\": the words after the command are its user and group"
	}
	d.reportAt(u.at, p)
}
