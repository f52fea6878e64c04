package reap

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The tests need a process with no other children: the test binary, which runs the
// function that this variable names.
const envHelper = "REAP_TEST_HELPER"

func TestMain(m *testing.M) {
	switch os.Getenv(envHelper) {
	case "":
		os.Exit(m.Run())
	case "children":
		helpChildren()
	case "signals":
		helpSignals()
	}
}

func shell(text string) (int, error) {
	return Fork(func() (int, error) {
		return syscall.ForkExec("/bin/sh", []string{"sh", "-c", text}, &syscall.ProcAttr{
			Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, Files: []uintptr{0, 1, 2}})
	})
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// await waits until cond is true. There is no event for the end of a child here.
func await(what string, cond func() bool) {
	for end := time.Now().Add(30 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			fmt.Println("not in time:", what)
			os.Exit(1)
		}
	}
}

// children lists the children of this process, zombies included.
func children() []string {
	var all []string
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, t := range tasks {
		b, _ := os.ReadFile("/proc/self/task/" + t.Name() + "/children")
		all = append(all, strings.Fields(string(b))...)
	}
	return all
}

// helpChildren is a process to which orphans are reparented. It waits for half of its own
// children, and polls the others. Each must have its status.
func helpChildren() {
	check(unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	if !Inherits() {
		fmt.Println("a subreaper does not know that it is one")
	}
	// A child that existed before, such as the child of a shell that has executed this
	// program.
	before, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "exit 9"}, &syscall.ProcAttr{})
	check(err)
	await("zombie", func() bool {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", before))
		return strings.Contains(string(b), ") Z ")
	})
	Others()
	await("end of the foreign child", func() bool { return unix.Kill(before, 0) == unix.ESRCH })

	const each = 20
	results := make(chan string)
	for i := range each {
		leave := fmt.Sprintf("(exit 7)& (sleep 0.0%d; exit 8)& exit %d", i, i)
		waited, err := shell(leave)
		check(err)
		asked, err := shell(leave)
		check(err)
		go func() {
			status, err := Wait(waited)
			results <- fmt.Sprint(status.ExitStatus() == i, err)
		}()
		go func() {
			var status unix.WaitStatus
			var err error
			await("own child", func() (over bool) {
				status, over, err = Collect(asked)
				return over
			})
			results <- fmt.Sprint(status.ExitStatus() == i, err)
		}()
	}
	for range 2 * each {
		if got := <-results; got != "true <nil>" {
			fmt.Println("own child:", got)
		}
	}
	await("orphans", func() bool { return len(children()) == 0 })

	killed, err := shell("exec sleep 600")
	check(err)
	Kill(killed, unix.SIGTERM)
	if status, err := Wait(killed); status.Signal() != unix.SIGTERM || err != nil {
		fmt.Println("killed child:", status, err)
	}
	Kill(killed, unix.SIGKILL) // no effect: the number may be another process's
	if _, err := Wait(killed); err != unix.ECHILD {
		fmt.Println("waited for nobody:", err)
	}
	fmt.Println("done")
}

// helpSignals is a process that survives signals that it cannot handle, and whose
// children are not affected.
func helpSignals() {
	IgnoreStray()
	for _, sig := range uncatchable {
		check(unix.Kill(os.Getpid(), sig))
	}
	before, err := os.ReadFile("/proc/self/status")
	check(err)
	Others()
	child, err := shell("grep SigIgn /proc/self/status")
	check(err)
	_, err = Wait(child)
	check(err)
	after, err := os.ReadFile("/proc/self/status")
	check(err)
	for line := range strings.Lines(string(before)) {
		if strings.HasPrefix(line, "SigIgn") && !strings.Contains(string(after), line) {
			fmt.Println("ignored no more after a fork:", line)
		}
	}
	fmt.Println("done")
}

// help runs a helper and returns its output.
func help(t *testing.T, what string) string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), envHelper+"="+what)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	return string(out)
}

func TestOthersAreReapedOwnAreNot(t *testing.T) {
	if out := help(t, "children"); out != "done\n" {
		t.Error(out)
	}
}

func TestStraySignals(t *testing.T) {
	out := help(t, "signals")
	var ignored uint64
	if _, err := fmt.Sscanf(out, "SigIgn:\t%x\ndone\n", &ignored); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, sig := range uncatchable {
		if ignored&(1<<(sig-1)) != 0 {
			t.Errorf("a child ignores signal %d", sig)
		}
	}
}
