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

// tests runs the tests of m, for an ordinary user in a user namespace.
type tests struct{ m *testing.M }

func (t tests) Run() int { return userns.Tests(t.m) }

func TestCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
	})
}

// TestDaemon runs scripts with daemons, each in a new network namespace.
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

// waitScript waits for a condition, so that the scripts need no sleep.
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
