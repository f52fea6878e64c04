package supervisor

import (
	"os"

	"keepalived-go/conf"
)

// Test reads the configuration and returns what is wrong with it, for
// keepalived -t. Interfaces are looked for where the daemon would run: in the
// network namespace of -s, or of the configuration if that exists.
func Test(o Options) (conf.Diagnostics, error) {
	inside := os.Getenv(envNamespace) != ""
	if o.Namespace != "" && !inside {
		return nil, enterNamespace(o.Namespace)
	}
	config, diagnostics := conf.Load(o.Config, o.ConfOptions())
	if config != nil && config.Global.NetNamespace != "" && !inside {
		if err := enterNamespace(config.Global.NetNamespace); err != nil {
			elsewhere := o.ConfOptions()
			elsewhere.Interface = nil // nobody can say which are there
			_, diagnostics = conf.Load(o.Config, elsewhere)
		}
	}
	return diagnostics, nil
}
