package conf

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"
)

// Options are what a configuration is read with. The zero value will do.
type Options struct {
	// ConfigID is compared with @id; the first label of the host name if empty.
	ConfigID string
	// AllChecks applies all include checks from the start.
	AllChecks bool
	// Env looks up environment variables for ${_ENV NAME}; os.LookupEnv if nil.
	Env func(string) (string, bool)
	// Interface reports whether a network interface exists. If nil, interfaces
	// are taken to exist.
	Interface func(name string) bool
	// Interfaces lists the names that exist, for those that are misspelt. If nil,
	// no name is suggested.
	Interfaces func() []string
	// Addresses are those that an interface has and that no VRRP daemon of ours
	// has set. If nil, they are not known.
	Addresses func(iface string) []netip.Prefix
	// CheckCommand reports why a command cannot be run, with what to do about
	// it. A command without arguments asks for the account of p alone. If nil,
	// commands are not checked.
	CheckCommand func(c Command, p ScriptPolicy) error
	// CPUs is how many processors the machine has; 0: it is not known.
	CPUs int
	// HasAddress reports whether the machine has an address. If nil, addresses
	// are taken to be there.
	HasAddress func(netip.Addr) bool
	// Unsaved is the text to read instead of that of a file, as an editor holds
	// it; ok is false for any other file. If nil, there is none.
	Unsaved func(name string) (text string, ok bool)
	// Statement, if not nil, is called with each outermost statement that Load
	// decodes.
	Statement func(*Statement)
}

// Load reads a configuration. The Config holds what can be run even when there
// are problems; Diagnostics.Fatal says whether it may be. It is nil only if the
// file cannot be read at all.
func Load(path string, o Options) (*Config, Diagnostics) {
	diags := &diagnosing{}
	d := &decoder{
		Options: o, diags: diags,
		cfg:     &Config{Path: path},
		names:   make(map[string]*instance),
		peers:   make(map[netip.Addr]*instance),
		groupAt: make(map[string]Pos),
		strings: make(map[string]string),
		present: make(map[string]bool),
	}
	d.cfg.Global.ChildWait = defaultChildWait
	d.cfg.Global.RxBufMultiplier = 3
	d.cfg.Global.JSONVersion = 1
	d.cfg.Global.DefaultInterface = "eth0"
	d.cfg.Global.Firewall = Firewall{Priority: -1, IPVSPriority: -1, IPVSFirstMark: 1000}
	d.cfg.Global.StartupTimeout = 10 * time.Second
	d.cfg.Global.ShutdownTimeout = 10 * time.Second
	d.cfg.Global.Mail.Port = 25
	d.cfg.Global.Mail.ConnectTimeout = 30 * time.Second

	p, ok := parse(path, o, diags, func(s *Statement) {
		if o.Statement != nil {
			o.Statement(s)
		}
		d.outer = s
		d.statement(root(), s)
	})
	if !ok {
		return nil, diags.sorted(p.files)
	}
	d.cfg.Global.RouterID = cmp.Or(d.cfg.Global.RouterID, hostName())
	d.resolve()
	d.reportIdle()
	d.point(path)
	found := diags.sorted(p.files)
	d.lost.hush(found)
	return d.cfg, found
}

// Parse reads a configuration and yields its outermost statements in order,
// expanded but not interpreted.
func Parse(path string, o Options) ([]*Statement, Diagnostics) {
	diags := &diagnosing{}
	var tree []*Statement
	p, _ := parse(path, o, diags, func(s *Statement) { tree = append(tree, s) })
	return tree, diags.sorted(p.files)
}

// ParseText reads the text of a file called name as it stands, alone: an include
// line is a statement of its word and its pattern, a parameter that the text does
// not define stands for itself, ${_RANDOM} is its minimum, a sequence ends after
// 64 steps and, without Options.Env, an environment variable has its name as
// value.
func ParseText(name, text string, o Options) ([]*Statement, Diagnostics) {
	if o.Env == nil {
		o.Env = func(name string) (string, bool) { return name, true }
	}
	diags := &diagnosing{}
	var tree []*Statement
	b := &builder{diags: diags, emit: func(s *Statement) { tree = append(tree, s) }}
	p := newPipeline(o, diags, b)
	p.alone = true
	p.files[name] = 0
	content := pieces{text}
	if err := content.usable(); err != nil {
		diags.add(err.problem(name))
		return nil, diags.sorted(p.files)
	}
	p.readLines(&file{name: name, dir: filepath.Dir(name)}, content)
	p.finish()
	return tree, diags.sorted(p.files)
}

// parse reads a file and hands over each outermost statement as soon as it is
// complete; ok is false if the file cannot be read.
func parse(path string, o Options, diags *diagnosing, emit func(*Statement)) (p *pipeline, ok bool) {
	b := &builder{diags: diags, emit: emit}
	p = newPipeline(o, diags, b)
	if err := p.readFile(path, row{}); err != nil {
		problem := Diagnostic{
			Pos: Pos{File: path}, Severity: Fatal, Class: ClassMissingFile, Exit: 6, Code: "no-file",
			Message: fmt.Sprintf("Config files missing '%s': %v", path, err),
			Fix:     "name an existing file with -f",
		}
		if u := (*unusable)(nil); errors.As(err, &u) {
			problem = u.problem(path)
		}
		diags.add(problem)
		return p, false
	}
	p.finish()
	return p, true
}
