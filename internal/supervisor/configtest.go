package supervisor

import (
	"errors"
	"io/fs"
	"os"
	"runtime/debug"

	"keepalived-go/conf"
	"keepalived-go/internal/proc"
)

// testGC keeps a test as small as what it reads. It shares the machine with the
// daemon, and has time.
const testGC = 10

// Test reads the configuration and returns what is wrong with it, for
// keepalived -t.
func Test(o Options) (conf.Diagnostics, error) {
	debug.SetGCPercent(testGC)
	_, diagnostics, err := Load(o)
	return diagnostics, err
}

// Load reads the configuration as a configuration test does. Interfaces are
// looked for where the daemon would run: in the network namespace of -s, or of
// the configuration if that exists; this process goes there. The configuration
// is nil if it cannot be read.
func Load(o Options) (*conf.Config, conf.Diagnostics, error) {
	inside := os.Getenv(envNamespace) != ""
	if o.Namespace != "" && !inside {
		return nil, nil, enterNamespace(o.Namespace)
	}
	opt := o.ConfOptions()
	config, diagnostics := conf.Load(o.Config, opt)
	if config != nil && config.Global.NetNamespace != "" && !inside {
		if err := enterNamespace(config.Global.NetNamespace); err != nil {
			opt.Interface, opt.Addresses, opt.HasAddress = nil, nil, nil // it is unknown which are there
			config, diagnostics = conf.Load(o.Config, opt)
			if errors.Is(err, fs.ErrNotExist) {
				diagnostics = append(diagnostics, conf.Diagnostic{
					Pos: conf.Pos{File: o.Config}, Severity: conf.Fatal, Class: conf.ClassCannotRun, Exit: proc.ExitFatal, Code: "no-namespace",
					Message: "net_namespace " + config.Global.NetNamespace + " does not exist", Fix: "create it first: ip netns add " + config.Global.NetNamespace,
				})
			}
		}
	}
	return config, diagnostics, nil
}
