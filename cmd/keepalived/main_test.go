package main

import (
	"flag"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"keepalived-go/internal/tool/lab"
	"keepalived-go/internal/tool/userns"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata/script")

func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"keepalived": main})
}

// tests are those of m, of an ordinary user in a user namespace.
type tests struct{ m *testing.M }

func (t tests) Run() int { return userns.Tests(t.m) }

func TestCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
	})
}

// The scripts below run daemons, each in a network namespace of its own.
func TestDaemon(t *testing.T) {
	lab.Need(t, lab.Root)
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/daemon",
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			return os.WriteFile(e.Cd+"/wait.sh", []byte(waitScript), 0o644)
		},
	})
}

// waitScript is what the scripts use instead of sleeping for luck.
const waitScript = `
# wait_for FILE TEXT: until FILE has a line with TEXT, 20 s at most
wait_for() {
	for _ in $(seq 1000); do
		grep -q -- "$2" "$1" 2>/dev/null && return
		sleep 0.02
	done
	echo "no '$2' in $1:"; cat "$1"; exit 1
}
`
