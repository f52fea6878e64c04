package supervisor

import (
	"fmt"
	"io"
	"os"

	"keepalived-go/conf"
)

// Test reads the configuration, writes what is wrong with it to w, and returns
// the exit code of keepalived -t. Interfaces are looked for where the daemon
// would run: in the network namespace of -s, or of the configuration if that
// exists.
func Test(o Options, w io.Writer) int {
	inside := os.Getenv(envNamespace) != ""
	if o.Namespace != "" && !inside {
		fmt.Fprintln(w, enterNamespace(o.Namespace))
		return ExitFatal
	}
	config, diagnostics := conf.Load(o.Config, o.ConfOptions())
	if config != nil && config.Global.NetNamespace != "" && !inside {
		if err := enterNamespace(config.Global.NetNamespace); err != nil {
			elsewhere := o.ConfOptions()
			elsewhere.Interface = nil // nobody can say which are there
			_, diagnostics = conf.Load(o.Config, elsewhere)
		}
	}
	for _, d := range diagnostics {
		fmt.Fprintln(w, d)
	}
	return diagnostics.TestExitCode()
}
