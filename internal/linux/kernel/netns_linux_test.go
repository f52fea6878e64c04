package kernel

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
	"keepalived-go/internal/tool/required"
	"keepalived-go/internal/tool/userns"
)

// These make the test binary run as a helper: it enters the named namespace and prints
// the inode of every thread's namespace, or uses what a user namespace permits.
const (
	enterVariable = "KERNEL_TEST_ENTER"
	usersVariable = "KERNEL_TEST_USERS"
)

func TestMain(m *testing.M) {
	var err error
	if name := os.Getenv(enterVariable); name != "" {
		err = printNamespaces(name)
	} else if os.Getenv(usersVariable) != "" {
		err = useEverything()
	} else {
		os.Exit(userns.Tests(m))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func printNamespaces(name string) error {
	if err := EnterNetNS(name); err != nil {
		if errors.Is(err, unix.ENOTSUP) {
			fmt.Println("built with cgo")
			return nil
		}
		return err
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		ns, err := os.Readlink("/proc/self/task/" + task.Name() + "/ns/net")
		if err != nil {
			return err
		}
		fmt.Println(ns)
	}
	return nil
}

func namedNetNS(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		required.Missing(t, "root, for a network namespace")
	}
	name := fmt.Sprintf("kernel-%d-%s", os.Getpid(), t.Name())
	ip(t, "netns add "+name)
	t.Cleanup(func() { ip(t, "netns del "+name) })
	return name
}

func TestInNetNS(t *testing.T) {
	name := namedNetNS(t)
	ip(t, "-n "+name+" link add only-here type veth peer name peer0")
	var conn *Conn
	err := InNetNS(name, func() (err error) {
		conn, err = Dial(0, false)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	links, err := conn.Links()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, l := range links {
		found = found || l.Name == "only-here"
	}
	if !found {
		t.Errorf("a connection made in the namespace sees %+v", links)
	}
	if _, err := net.InterfaceByName("only-here"); err == nil {
		t.Error("the caller is in the namespace, too")
	}
	want := errors.New("f's error")
	if err := InNetNS(name, func() error { return want }); err != want {
		t.Errorf("error %v", err)
	}
	for _, bad := range []string{"", "..", "../netns/" + name, name + "-missing"} {
		if err := InNetNS(bad, func() error { return nil }); err == nil {
			t.Errorf("namespace %q was entered", bad)
		}
	}
}

func TestEnterNetNS(t *testing.T) {
	name := namedNetNS(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), enterVariable+"="+name)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	if strings.HasPrefix(string(out), "built with cgo") {
		required.Excluded(t, "a binary with cgo, as the race detector needs, cannot enter a namespace as a whole")
	}
	var st unix.Stat_t
	if err := unix.Stat(netnsDir+"/"+name, &st); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("net:[%d]", st.Ino)
	threads := strings.Fields(string(out))
	if len(threads) < 2 {
		t.Errorf("%d threads: too few to show anything", len(threads))
	}
	for _, ns := range threads {
		if ns != want {
			t.Errorf("a thread is in %s, want %s", ns, want)
		}
	}
}

// useEverything opens every kind of socket and sets an address.
func useEverything() error {
	m, err := Watch(8<<20, true, nil, func([]Event) {})
	if err != nil {
		return err
	}
	defer m.Close()
	c, err := Dial(8<<20, true)
	if err != nil {
		return err
	}
	var errs []error
	e := NewExecutor(c, nil, func(c Completion) { errs = append(errs, c.Errs...) })
	const lo = 1
	e.Submit(1, DiffAddrs(nil, []Addr{{Link: lo, Prefix: prefix("192.0.2.1/32")}, {Link: lo, Prefix: prefix("2001:db8::1/128")}}))
	e.Close()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, family := range []int{4, 6} {
		s, err := OpenRaw(family, 112, lo, RawOptions{})
		if err != nil {
			return err
		}
		defer s.Close()
		if err := nl.SetReceiveBuffer(s.FD(), 8<<20, true); err != nil {
			return err
		}
	}
	fd, err := OpenPacket()
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// TestUserNamespace checks that in a user namespace an ordinary user has all the
// permissions that the daemon needs.
func TestUserNamespace(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), usersVariable+"=1")
	userns.Command(cmd)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		required.Missing(t, fmt.Sprintf("user namespaces: %v", err))
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}
