// Package named looks at what a configuration names on the machine and the daemon needs when
// it runs: certificates, groups, directories, network namespaces. The processes that need
// them and a test of the configuration call the same functions, so that the test finds what
// a process would.
package named

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"keepalived-go/conf"
	"keepalived-go/internal/readfile"
)

// Checks are what a test of a configuration asks on this machine.
func Checks() conf.Named {
	return conf.Named{
		Certificate: func(h *conf.HTTP) error {
			return withoutRights(func() error { // as the control process has none
				_, err := Certificate(h)
				return err
			})
		},
		Identity:  func(c *conf.TLSClient) error { _, err := Identity(c); return err },
		Group:     func(name string) error { _, err := Group(name); return err },
		Directory: directory,
		Namespace: func(name string) error {
			f, err := Namespace(name)
			if err == nil {
				f.Close()
			}
			return err
		},
	}
}

// Group is the number of a group. The error is a [*conf.Unusable].
func Group(name string) (int, error) {
	g, err := user.LookupGroup(name)
	if err == nil {
		return strconv.Atoi(g.Gid)
	}
	_, unknown := errors.AsType[user.UnknownGroupError](err)
	if unknown {
		err = fmt.Errorf("there is no group %q", name)
	}
	return 0, &conf.Unusable{Err: err, Unseen: !unknown}
}

// Namespace opens the network namespace of that name. The error is a [*conf.Unusable].
func Namespace(name string) (*os.File, error) {
	path := "/run/netns/" + name
	if name == conf.FirstNamespace {
		path = name
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, unusable("", path, err)
	}
	return f, nil
}

// directory reports why there is no directory with this path.
func directory(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return unusable("", path, err)
	}
	return nil
}

// unusable is the error of the path that a word has as its value. What only root may look
// at may be good for the daemon.
func unusable(word, path string, err error) *conf.Unusable {
	return &conf.Unusable{
		Word: word, Path: path, Err: readfile.Cause(err),
		Unseen: errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0,
	}
}
