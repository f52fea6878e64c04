package lab

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"
)

// FRRouting is a daemon of FRR, and the zebra from which it gets its interfaces.
type FRRouting struct {
	*Daemon
	Zebra *Daemon
	Name  string // of the daemon, such as bfdd
	Dir   string // its files: a temporary directory, since the paths of sockets are short
}

// StartFRR starts a daemon of FRR with a configuration. The last word of more, if any, is a
// file next to the configuration.
func (n *Node) StartFRR(daemon, config string, more ...string) (*FRRouting, error) {
	dir, err := os.MkdirTemp("", "keepalived-frr-")
	if err != nil {
		return nil, err
	}
	f := &FRRouting{Name: daemon, Dir: dir}
	if err := f.start(n, config, more); err != nil {
		f.Stop()
		return nil, err
	}
	return f, nil
}

func (f *FRRouting) start(n *Node, config string, more []string) error {
	frr, err := user.Lookup("frr")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(frr.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(frr.Gid)
	if err != nil {
		return err
	}
	for name, text := range map[string]string{"zebra.conf": "hostname " + n.Name + "\n", f.Name + ".conf": config} {
		path := filepath.Join(f.Dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o644), os.Chown(path, uid, gid)); err != nil {
			return err
		}
	}
	if err := errors.Join(os.Chmod(f.Dir, 0o755), os.Chown(f.Dir, uid, gid)); err != nil {
		return err
	}
	if i := len(more) - 1; i >= 0 {
		more[i] = filepath.Join(f.Dir, more[i])
	}
	if f.Zebra, err = f.launch(n, "zebra"); err != nil {
		return err
	}
	listens := func() bool { _, err := os.Stat(filepath.Join(f.Dir, "zserv.api")); return err == nil }
	if !n.lab.Until(20*time.Second, listens) {
		return fmt.Errorf("zebra in %s does not listen", n.Name)
	}
	f.Daemon, err = f.launch(n, f.Name, more...)
	return err
}

func (f *FRRouting) launch(n *Node, name string, more ...string) (*Daemon, error) {
	in := func(name string) string { return filepath.Join(f.Dir, name) }
	args := []string{"-z", in("zserv.api"), "--vty_socket", f.Dir, "-u", "frr", "-g", "frr", "-f", in(name + ".conf"), "-i", in(name + ".pid")}
	return n.StartWith(Program{Name: name, Path: filepath.Join(FRRDir, name)}, append(args, more...)...)
}

// Show returns the output of a show command of vtysh.
func (f *FRRouting) Show(what string) (string, error) {
	return f.Node.Run("vtysh", "--vty_socket", f.Dir, "-d", f.Name, "-c", "show "+what)
}

// Stop kills what runs and removes the files.
func (f *FRRouting) Stop() {
	for _, d := range []*Daemon{f.Daemon, f.Zebra} {
		if d != nil && d.Running() {
			d.Kill()
		}
	}
	os.RemoveAll(f.Dir)
}
