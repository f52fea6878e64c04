package conf

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Named looks at what a configuration names on the machine and the daemon needs only when it
// runs. An error is why it cannot be used. What a nil function would look at is taken to be
// there.
type Named struct {
	Certificate func(*HTTP) error          // http_tls_cert and http_tls_key
	Identity    func(*TLSClient) error     // of the SSL block
	Group       func(name string) error    // of the control socket
	Directory   func(path string) error    // wraps fs.ErrNotExist if there is none
	Namespace   func(network string) error // of net_namespace_ipvs
}

// Unusable is why something that the configuration names cannot be used.
type Unusable struct {
	Word string // that names it, as http_tls_key; empty: whoever asks knows it
	Path string // of the file that is at fault; empty: no file is
	Err  error  // without the path
	Fix  string // what to do about it; may be empty
	// Unseen means that nothing is known of it: whoever asks may not look at it, or the look-up failed.
	Unseen bool
}

// Error is the word, the path and the reason: "http_tls_key /etc/page.key: permission denied".
func (u *Unusable) Error() string {
	what := strings.TrimSpace(u.Word + " " + u.Path)
	if what != "" {
		what += ": "
	}
	return what + u.Err.Error()
}

func (u *Unusable) Unwrap() error { return u.Err }

// namedPath is a word of global_defs with the path of a directory, or of a file in one, that
// has to be there when the daemon needs it.
type namedPath struct {
	word  string
	value func(*Global) string
	is    namedKind
	lacks string // what the daemon does without it
}

type namedKind uint8

const (
	aDirectory  namedKind = iota
	inDirectory           // a file that the daemon makes, or looks for again
	isMade                // a directory that the daemon makes, if the one above it is there
)

var namedPaths = []namedPath{
	{"config_save_dir", func(g *Global) string { return g.ConfigSaveDir }, isMade, "no configuration is saved"},
	{"tmp_config_directory", func(g *Global) string { return g.TmpConfigDir }, aDirectory, "the configuration is kept in memory"},
	{"reload_check_config", func(g *Global) string { return g.Reload.CheckLog }, inDirectory, "the findings of a reload are not written"},
	{"reload_file", func(g *Global) string { return g.Reload.MarkerPath }, inDirectory, "it does not show when the configuration is being read"},
	{"reload_time_file", func(g *Global) string { return g.Reload.TimeFile }, inDirectory, "it is looked for at a reload only"},
	{"state_dump_file", func(g *Global) string { return g.StateDumpFile }, inDirectory, "the state is not written"},
	{"stats_dump_file", func(g *Global) string { return g.StatsDumpFile }, inDirectory, "the statistics are not written"},
	{"json_dump_file", func(g *Global) string { return g.JSONDumpFile }, inDirectory, "the JSON dump is not written"},
	{"notify_fifo", func(g *Global) string { return g.FIFO.Path }, inDirectory, "nothing is written to it"},
	{"vrrp_notify_fifo", func(g *Global) string { return g.VRRPFIFO.Path }, inDirectory, "nothing is written to it"},
	{"lvs_notify_fifo", func(g *Global) string { return g.LVSFIFO.Path }, inDirectory, "nothing is written to it"},
}

// named looks at what the configuration names. Nothing of it keeps a daemon from starting, and
// only that counts in a configuration test which counts in that of the C daemon.
func (d *decoder) named() {
	look, c, g := &d.Named, &d.cfg.Global.Control, &d.cfg.Global
	if h := &c.HTTP; look.Certificate != nil && h.Listen != "" && h.Cert != "" {
		d.unusable(&need{block: "global_defs", code: "tls-file", lacks: "http_listen serves nobody meanwhile"}, look.Certificate(h))
	}
	if look.Identity != nil && d.cfg.TLSClient != nil && d.cfg.usesSSL() {
		d.unusable(&need{block: "SSL", code: "tls-file", lacks: "SSL_GET shows no certificate"}, look.Identity(d.cfg.TLSClient))
	}
	if look.Group != nil && !c.Off {
		for _, v := range []struct{ word, name, lacks string }{
			{"control_group", c.Group, "its members may not ask"},
			{"control_admin_group", c.Admin, "only root may have something changed"},
		} {
			if v.name != "" && v.name != ControlGroup {
				d.unusable(&need{block: "global_defs", word: v.word, code: "no-group", lacks: v.lacks,
					fix: "write the name of a group that exists, or create it: groupadd --system " + printable(v.name)}, look.Group(v.name))
			}
		}
	}
	if name := g.NetNamespaceIPVS; look.Namespace != nil && d.cfg.HasVirtualServers && name != g.NetNamespace && name != FirstNamespace {
		d.unusable(&need{word: "net_namespace_ipvs", code: "no-namespace", lacks: "no virtual server works without it",
			fix: "create it first: ip netns add " + printable(name)}, look.Namespace(name))
	}
	if look.Directory != nil {
		for i := range namedPaths {
			d.namedPath(&namedPaths[i])
		}
	}
}

// namedPath looks at a directory. One below /run may be made when the service is started; one
// that is relative depends on where it is started.
func (d *decoder) namedPath(p *namedPath) {
	path := p.value(&d.cfg.Global)
	if !filepath.IsAbs(path) {
		return
	}
	n := need{block: "global_defs", word: p.word, code: "no-directory", lacks: p.lacks, counts: p.is == isMade}
	dir := filepath.Clean(path)
	if p.is == inDirectory {
		dir = filepath.Dir(dir)
	}
	if p.is != isMade && (strings.HasPrefix(dir, "/run/") || strings.HasPrefix(dir, "/var/run/")) {
		return
	}
	err := d.Named.Directory(dir)
	if p.is == isMade && errors.Is(err, fs.ErrNotExist) {
		dir = filepath.Dir(dir)
		err = d.Named.Directory(dir)
	}
	if n.fix = "write the path of a directory"; errors.Is(err, fs.ErrNotExist) {
		n.fix = "create it first: mkdir -p " + printable(dir)
	}
	d.unusable(&n, err)
}

// need is what the daemon needs of what a word of a block names.
type need struct {
	block, word string
	code        string
	lacks       string // what the daemon does without it
	fix         string
	counts      bool // in the exit code of a configuration test
}

// unusable reports that it cannot be used, if there is an error. That may be about another
// word of the block.
func (d *decoder) unusable(n *need, err error) {
	if err == nil {
		return
	}
	u, ok := errors.AsType[*Unusable](err)
	if !ok {
		u = &Unusable{Err: err}
	}
	what := cmp.Or(u.Word, n.word)
	path := strings.TrimPrefix(n.block+"."+what, ".")
	at, ok := d.placed[path]
	if !ok {
		at = d.placed[path+"_location"] // the manual's name
	}
	if n.block == "SSL" {
		what = "SSL " + what
	}
	if u.Path != "" {
		what += " " + printable(u.Path)
	}
	p := Diagnostic{
		Severity: Warning, Class: ClassNone, Code: n.code,
		Message: fmt.Sprintf("%s: %v - %s", what, u.Err, n.lacks), Fix: cmp.Or(u.Fix, n.fix),
	}
	switch {
	case u.Unseen:
		p.Severity, p.Message, p.Fix = Note, fmt.Sprintf("%s could not be looked at: %v", what, u.Err), "do this as root, as the daemon does"
	case n.counts:
		p.Severity, p.Class = Error, ClassOrdinary
	}
	d.reportAt(at, p)
}

// usesSSL reports whether a check shows the certificate of the SSL block.
func (c *Config) usesSSL() bool {
	return slices.ContainsFunc(c.VirtualServers, func(v *VirtualServer) bool {
		return slices.ContainsFunc(v.RealServers, func(r *RealServer) bool {
			return slices.ContainsFunc(r.Checks, func(k *Check) bool { return k.Kind == CheckSSL })
		})
	})
}
