package userns

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"keepalived-go/internal/tool/required"
)

// envHelper makes the tests of the test binary print their namespace.
const envHelper = "USERNS_TEST_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(envHelper) == "" {
		os.Exit(m.Run()) // each test enters its own
	}
	os.Exit(Tests(helper{}))
}

// helper prints its namespace.
type helper struct{}

func (helper) Run() int {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(os.Getuid(), Full(), lo.Flags&net.FlagUp != 0, os.Args[1:], os.Getenv(entered))
	return 7
}

// TestRun checks that an ordinary user becomes root of a namespace with one user and lo
// up, that arguments and the exit code are passed, and that programs that the tests start
// do not get the mark.
func TestRun(t *testing.T) {
	c := exec.Command(os.Args[0], "one", "two words")
	c.Env = append(os.Environ(), envHelper+"=1")
	want := "0 false true [one two words] \n"
	if os.Geteuid() == 0 {
		// The real root keeps its namespace.
		want = fmt.Sprintf("0 %v true [one two words] \n", Full())
	}
	out, err := c.CombinedOutput()
	if os.Geteuid() != 0 && strings.Contains(string(out), "enter a user namespace") {
		required.Missing(t, string(out))
	}
	if c.ProcessState.ExitCode() != 7 || string(out) != want {
		t.Errorf("%v: %q, want exit code 7 and %q", err, out, want)
	}
}

// TestCommand checks that root of a namespace with only one user is not Full.
func TestCommand(t *testing.T) {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), envHelper+"=1", entered+"=1")
	Command(c)
	out, err := c.CombinedOutput()
	if len(out) == 0 {
		required.Missing(t, "user namespaces: ", err)
	}
	if want := "0 false true [] \n"; string(out) != want {
		t.Errorf("%v: %q, want %q", err, out, want)
	}
}
