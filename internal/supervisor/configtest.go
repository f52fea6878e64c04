package supervisor

import (
	"fmt"
	"io"
	"os"

	"keepalived-go/conf"
)

// Test reads the configuration, writes what is wrong with it to w, and returns
// the exit code of keepalived -t.
func Test(o Options, w io.Writer) int {
	if o.Namespace != "" && os.Getenv(envNamespace) == "" {
		fmt.Fprintf(w, "%v\n", enterNamespace(o.Namespace))
		return ExitFatal
	}
	_, diagnostics := conf.Load(o.Config, o.ConfOptions())
	for _, d := range diagnostics {
		fmt.Fprintln(w, d)
	}
	return diagnostics.TestExitCode()
}
