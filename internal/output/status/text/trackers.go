package text

import (
	"fmt"
	"strings"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status"
)

// tracked writes what an instance or a sync group tracks.
func (t *data) tracked(list []conf.Track) {
	for _, k := range []struct {
		kind  conf.TrackKind
		title string
		glue  string
	}{
		{conf.TrackedInterface, "interfaces", ""}, {conf.TrackedScript, "scripts", ""},
		{conf.TrackedFile, "files", ","}, {conf.TrackedProcess, "processes", ","}, {conf.TrackedBFD, "BFDs", ":"},
	} {
		var lines []string
		for _, c := range list {
			if c.Kind == k.kind {
				lines = append(lines, c.Name+k.glue+" weight "+weight(c.Weight, c.Reverse))
			}
		}
		t.List("   Tracked "+k.title+" :", lines)
	}
}

func weight(n int, reverse bool) string {
	text := fmt.Sprint(n)
	if reverse {
		text += " reverse"
	}
	return text
}

// users writes which instances a tracker counts for.
func (t *data) users(title string, list []status.User) {
	var lines []string
	for _, u := range list {
		lines = append(lines, u.Instance+", weight "+weight(u.Weight, u.Reverse))
	}
	t.List(title, lines)
}

const trackingInstances = "   Tracking instances :"

func (t *data) trackScripts() {
	if len(t.Scripts) == 0 {
		return
	}
	t.Section("VRRP Scripts")
	for i := range t.Scripts {
		s := &t.Scripts[i]
		c := s.Conf
		t.Line(" VRRP Script = %s", c.Name)
		t.Line("   Command = %s", t.accounts.Program(&c.Command))
		t.Line("   Interval = %s sec", Seconds(c.Interval))
		t.Line("   Timeout = %s sec", Seconds(c.Timeout))
		t.Line("   Weight = %s", weight(c.Weight, c.Reverse))
		t.Line("   Rise = %d", c.Rise)
		t.Line("   Fall = %d", c.Fall)
		t.Line("   Result = %d", s.Count)
		t.Line("   Insecure = %s", YesNo(s.Disabled))
		init, verdict := "INIT", "BAD"
		if s.Known {
			init = "unknown"
		}
		if s.Up {
			verdict = "GOOD"
		}
		t.Line("   Init state = %s", init)
		t.Line("   Status = %s", verdict)
		t.Line("   Script uid:gid = %s", t.accounts.Of(c.Command.User, c.Command.Group))
		t.users(trackingInstances, s.Users)
		state := "idle"
		if s.Running {
			state = "running"
		}
		t.Line("   State = %s", state)
	}
}

func (t *data) trackFiles() {
	if len(t.Files) == 0 {
		return
	}
	t.Section("VRRP Track files")
	for i := range t.Files {
		f := &t.Files[i]
		t.Line(" Track file = %s", f.Conf.Name)
		t.Line("   File = %s", f.Conf.Path)
		t.Line("   Status = %d", f.Number)
		t.Line("   Weight = %s", weight(f.Conf.Weight, f.Conf.Reverse))
		t.users(trackingInstances, f.Users)
	}
}

func (t *data) trackProcesses() {
	if len(t.Processes) == 0 {
		return
	}
	t.Section("VRRP Track processes")
	for i := range t.Processes {
		p := &t.Processes[i]
		c := p.Conf
		t.Line(" VRRP Track process = %s", c.Name)
		t.Line("   Process = %s", c.Process)
		if len(c.Params) > 0 {
			t.Line("   Parameters = %s", strings.Join(c.Params, " "))
			t.Line("   Param match = %s", c.Match)
		}
		t.Line("   Min processes = %d", c.Quorum)
		if c.QuorumMax >= 0 {
			t.Line("   Max processes = %d", c.QuorumMax)
		}
		t.Line("   Current processes = %d", p.Count)
		t.Line("   Have quorum = %t", p.Quorum)
		t.Line("   Weight = %s", weight(c.Weight, c.Reverse))
		t.Line("   Terminate delay = %fs", c.TerminateDelay.Seconds())
		t.Line("   Fork delay = %fs", c.ForkDelay.Seconds())
		t.Line("   Fork delay timer %srunning", not(p.ForkDelay))
		t.Line("   Terminate delay timer %srunning", not(p.TerminateDelay))
		t.Line("   Full command = %t", c.FullCommand)
		t.users(trackingInstances, p.Users)
	}
}

func not(yes bool) string {
	if yes {
		return ""
	}
	return "not "
}

func (t *data) trackBFDs() {
	if len(t.BFDs) == 0 {
		return
	}
	t.Section("VRRP Track BFDs")
	for i := range t.BFDs {
		b := &t.BFDs[i]
		t.Line(" VRRP Track BFD = %s", b.Conf.Name)
		t.Line("   Weight = %s", weight(b.Conf.Weight, b.Conf.Reverse))
		state := "down"
		if b.Up {
			state = "up"
		}
		t.Line("   Bfd is %s", state)
		t.users(trackingInstances, b.Users)
	}
}
