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
)

// enterVariable makes the test binary enter the namespace it names and print
// the inode of every thread's namespace.
const enterVariable = "KERNEL_TEST_ENTER"

func TestMain(m *testing.M) {
	if name := os.Getenv(enterVariable); name != "" {
		if err := printNamespaces(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
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
		missing(t, "root, for a network namespace")
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
		t.Skip("a binary with cgo, as the race detector needs, cannot enter a namespace as a whole")
	}
	var st unix.Stat_t
	if err := unix.Stat(netnsDir+"/"+name, &st); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("net:[%d]", st.Ino)
	threads := strings.Fields(string(out))
	if len(threads) < 2 {
		t.Errorf("%d threads: too few to tell", len(threads))
	}
	for _, ns := range threads {
		if ns != want {
			t.Errorf("a thread is in %s, want %s", ns, want)
		}
	}
}
