package supervisor

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"keepalived-go/conf"
	"keepalived-go/internal/output/dump"
)

// logConfiguration logs what c says of processes that do not exist in this
// version (-d); the VRRP process logs its own part.
func (s *supervisor) logConfiguration(c *conf.Config) {
	var t dump.Text
	if !slices.ContainsFunc(s.slots, (*slot).wanted) {
		dump.Global(&t, &c.Global, s.process(), &dump.Accounts{Policy: c.Global.Scripts})
	}
	dump.BFD(&t, c)
	dump.Servers(&t, c)
	s.logs.InfoLines(string(t.Bytes()))
}

// process is what dumps say of this one.
func (s *supervisor) process() dump.Process {
	return dump.Process{Parent: true, NetNamespace: s.settings.namespace, Reload: s.schedule.at, MarkerPath: s.files.reloadMarker}
}

// dumpData writes keepalived_parent.data.
func (s *supervisor) dumpData() {
	slog.Info(fmt.Sprintf("Printing parent data for process(%d) on signal", os.Getpid()))
	g := s.global
	path := filepath.Join(os.TempDir(), "keepalived_parent.data")
	if g.StateDumpFile != "" {
		ext := filepath.Ext(g.StateDumpFile)
		path = strings.TrimSuffix(g.StateDumpFile, ext) + "_parent" + ext
	} else if g.DataUseInst {
		path = dump.Name(path, s.settings.namespace, s.settings.instance)
	}
	process := s.process()
	go func() {
		var t dump.Text
		dump.Global(&t, &g, process, &dump.Accounts{Policy: g.Scripts})
		if err := dump.Replace(path, t.Bytes()); err != nil {
			slog.Error(err.Error())
		}
	}()
}
