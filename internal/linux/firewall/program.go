package firewall

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/proc/reap"
)

const (
	// programPatience is how long a program may take, which waits for others of its kind.
	programPatience = 10 * time.Second
	// maxOutput bounds what is read of a program's output: 100,000 lines of a set are less.
	maxOutput = 8 << 20
	// maxReason bounds what a message has of it.
	maxReason = 300
)

// programPlaces are where programs of the system are: those of another place are not
// ours to run with all privileges.
var programPlaces = []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin"}

// programError is the failure of a program.
type programError struct {
	command string // with its arguments
	status  int    // -1: a signal ended it
	output  string
	line    string // of the input that the output names; empty: none
}

// outputLine is how the programs name a line of their input.
var outputLine = regexp.MustCompile(`\bline:? (\d+)`)

// lineIn is the line of the input that an output names; empty: none.
func lineIn(input, output string) string {
	m := outputLine.FindStringSubmatch(output)
	if m == nil {
		return ""
	}
	n, err := strconv.Atoi(m[1])
	for line := range strings.Lines(input) {
		if n--; n == 0 && err == nil {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

func (e *programError) Error() string {
	reason := strings.Join(strings.Fields(strings.ToValidUTF8(e.output, "?")), " ")
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") + "…"
	}
	at := ""
	if e.line != "" {
		at = fmt.Sprintf(" at %q", e.line)
	}
	return fmt.Sprintf("%s failed with status %d%s: %q", e.command, e.status, at, reason)
}

// find returns the path of a program; the error wraps [fs.ErrNotExist].
func find(name string) (string, error) {
	for _, dir := range programPlaces {
		path := filepath.Join(dir, name)
		if unix.Access(path, unix.X_OK) == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed in %s: %w", name, strings.Join(programPlaces, ", "), fs.ErrNotExist)
}

// run runs a program with an input, in the namespaces of the calling thread, and returns
// its output. It blocks until the program ends, which it has to do in time.
func run(input, name string, args ...string) (string, error) {
	path, err := find(name)
	if err != nil {
		return "", err
	}
	in, err := memoryFile(input)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := memoryFile("")
	if err != nil {
		return "", err
	}
	defer out.Close()
	pidfd := -1
	pid, err := reap.Fork(func() (int, error) {
		return syscall.ForkExec(path, append([]string{name}, args...), &syscall.ProcAttr{
			Env:   []string{"PATH=" + strings.Join(programPlaces, ":"), "LC_ALL=C"},
			Files: []uintptr{in.Fd(), out.Fd(), out.Fd()},
			Sys:   &syscall.SysProcAttr{PidFD: &pidfd},
		})
	})
	if err != nil {
		return "", fmt.Errorf("start %s: %w", path, err)
	}
	if pidfd >= 0 {
		defer unix.Close(pidfd)
	}
	status, err := await(pid, pidfd)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	text, err := io.ReadAll(io.NewSectionReader(out, 0, maxOutput))
	if err != nil {
		return "", fmt.Errorf("read the output of %s: %w", path, err)
	}
	if !status.Exited() || status.ExitStatus() != 0 {
		code := -1
		if status.Exited() {
			code = status.ExitStatus()
		}
		output := string(text[:min(len(text), 4*maxReason)])
		return "", &programError{strings.Join(append([]string{name}, args...), " "), code, output, lineIn(input, output)}
	}
	return string(text), nil
}

// await waits for the end of a child, and kills it when it takes too long.
func await(pid, pidfd int) (unix.WaitStatus, error) {
	end, killed := time.Now().Add(programPatience), false
	for {
		if status, over, err := reap.Collect(pid); over {
			if killed {
				err = fmt.Errorf("no end within %v: %w", programPatience, os.ErrDeadlineExceeded)
			}
			return status, err
		}
		left := time.Until(end)
		if left <= 0 && !killed {
			reap.Kill(pid, unix.SIGKILL)
			killed = true
		}
		wait := int(max(left, time.Second).Milliseconds())
		if pidfd < 0 { // before Linux 5.2
			wait = 2
		}
		unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, wait)
	}
}

// memoryFile is a file in memory with a content, to be read from its begin.
func memoryFile(content string) (*os.File, error) {
	fd, err := unix.MemfdCreate("firewall", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "firewall")
	if _, err := f.WriteString(content); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := f.Seek(0, 0); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// failed reports whether err is that of a program with an output that has one of texts.
func failed(err error, texts ...string) bool {
	var p *programError
	if !errors.As(err, &p) {
		return false
	}
	for _, t := range texts {
		if strings.Contains(p.output, t) {
			return true
		}
	}
	return false
}
