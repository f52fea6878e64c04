package conf

import (
	"cmp"
	"net/netip"

	"keepalived-go/conf/syntax"
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
	// Interfaces lists the names that exist, to find misspelt ones. If nil,
	// no name is suggested.
	Interfaces func() []string
	// Addresses are the addresses that an interface has and that no VRRP daemon of ours
	// has set. If nil, they are not known.
	Addresses func(iface string) []netip.Prefix
	// CheckCommand reports why a command cannot be run, with what to do about
	// it. A command without arguments asks for the account of p alone. If nil,
	// commands are not checked.
	CheckCommand func(c Command, p ScriptPolicy) error
	// Named looks at files, groups and the like that the configuration names.
	Named Named
	// CPUs is how many processors the machine has; 0: it is not known.
	CPUs int
	// HasAddress reports whether the machine has an address. If nil, addresses
	// are taken to be there.
	HasAddress func(netip.Addr) bool
	// Names is the directory below which the files are that name routing tables,
	// protocols, scopes and so on, those of iproute2 and /etc/protocols; HostNames
	// for this machine. If empty, only names that need no file are known.
	Names string
	// Unsaved is the text to read instead of that of a file, as an editor holds
	// it; ok is false for any other file. If nil, there is none.
	Unsaved func(name string) (text string, ok bool)
	// Statement, if not nil, is called with each outermost statement that Load
	// decodes.
	Statement func(*Statement)
}

// HostNames is Options.Names for the names of this machine.
const HostNames = "/"

// Load reads a configuration. The Config holds what can be run even when there
// are problems; Diagnostics.Fatal reports whether it may be. It is nil only if the
// file cannot be read at all.
func Load(path string, o Options) (*Config, Diagnostics) {
	diags := &syntax.Collector{Remedies: remedies}
	d := &decoder{
		Options: o, diags: diags,
		cfg:     &Config{Path: path},
		names:   make(map[string]*instance),
		peers:   make(map[netip.Addr]*instance),
		groupAt: make(map[string]Pos),
		strings: make(map[string]string),
		present: make(map[string]bool),
		placed:  make(map[string]place),
	}
	d.cfg.Global.Mail.Port = 25
	root().begin(d)
	root().words["global_defs"].block.begin(d)

	ok := syntax.Read(path, o.reading(), diags, func(s *Statement) {
		if o.Statement != nil {
			o.Statement(s)
		}
		d.outer = s
		d.statement(root(), s)
	})
	if !ok {
		return nil, diags.Sorted()
	}
	d.cfg.Global.RouterID = cmp.Or(d.cfg.Global.RouterID, syntax.HostName())
	d.resolve()
	d.point(path)
	found := diags.Sorted()
	d.lost.hush(found)
	return d.cfg, found
}

// Parse reads a configuration and yields its outermost statements in order,
// expanded but not interpreted.
func Parse(path string, o Options) ([]*Statement, Diagnostics) {
	return syntax.Parse(path, o.reading())
}

// reading is the part of the options that the syntax needs.
func (o Options) reading() syntax.Options {
	return syntax.Options{ConfigID: o.ConfigID, AllChecks: o.AllChecks, Env: o.Env, Unsaved: o.Unsaved, Vocabulary: Vocabulary()}
}
