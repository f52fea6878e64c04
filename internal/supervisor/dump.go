package supervisor

import (
	"fmt"
	"log/slog"
	"os"
	"slices"

	"keepalived-go/conf"
	"keepalived-go/internal/output/dump"
	"keepalived-go/internal/output/status/text"
)

// logConfiguration logs the parts of c for processes that do not exist in this
// version (-d); the VRRP process logs its own part.
func (s *supervisor) logConfiguration(c *conf.Config) {
	var t text.Writer
	if !slices.ContainsFunc(s.slots, (*slot).works) {
		text.Global(&t, &c.Global, s.process(), &text.Accounts{Policy: c.Global.Scripts})
	}
	text.BFD(&t, c)
	s.logs.InfoLines(string(t.Bytes()))
}

// process describes this process in dumps.
func (s *supervisor) process() text.Process {
	return text.Process{Parent: true, NetNamespace: s.settings.namespace, Reload: s.schedule.at, MarkerPath: s.files.reloadMarker}
}

// dumpData writes keepalived_parent.data.
func (s *supervisor) dumpData() {
	slog.Info(fmt.Sprintf("Printing parent data for process(%d) on signal", os.Getpid()))
	g := s.global
	files := dump.Files{Process: "_parent", Dir: os.TempDir(), Namespace: s.settings.namespace, Instance: s.settings.instance}
	process := s.process()
	dump.Save(files.Data(&g), dump.Text(func() []byte {
		var t text.Writer
		text.Global(&t, &g, process, &text.Accounts{Policy: g.Scripts})
		text.Readers(&t, s.fifos.status())
		return t.Bytes()
	}))
}
