package checkd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"keepalived-go/internal/checkd/table"
	"keepalived-go/internal/named"
	"keepalived-go/lvs/ipvs"
)

// moduleWait is how long modprobe(8) may take.
const moduleWait = 10 * time.Second

// dialer opens connections to the kernel's load balancer in a network namespace,
// nil: that of this process. Where the kernel does not have it the module is loaded
// first.
func dialer(namespace *os.File) func() (table.Conn, error) {
	dial := func() (*ipvs.Conn, error) {
		defer runtime.KeepAlive(namespace)
		return ipvs.Dial(ipvs.Options{NetNS: descriptor(namespace)})
	}
	var load sync.Once
	return func() (table.Conn, error) {
		c, err := dial()
		if errors.Is(err, ipvs.ErrNoModule) {
			load.Do(func() {
				ctx, cancel := context.WithTimeout(context.Background(), moduleWait)
				defer cancel()
				if failed := ipvs.LoadModule(ctx); failed != nil {
					err = fmt.Errorf("%w; %w", err, failed)
					return
				}
				c, err = dial()
			})
		}
		if err != nil {
			return nil, err
		}
		return c, nil
	}
}

// descriptor is that of an open namespace; 0: that of this process. Whoever dials with it has
// to keep the file as long: one that is not used any more is closed, and the next file, such
// as the namespace of this process, gets its number.
func descriptor(namespace *os.File) int {
	if namespace == nil {
		return 0
	}
	return int(namespace.Fd())
}

// openNamespace opens the namespace of net_namespace_ipvs, unless it is the one that
// this process is in, for which no privilege is needed: own, or another name of it.
func openNamespace(name, own string) (*os.File, error) {
	if name == own {
		return nil, nil
	}
	f, err := named.Namespace(name)
	if err != nil {
		return nil, fmt.Errorf("net_namespace_ipvs %s: %w", name, err)
	}
	here, err := os.Stat("/proc/self/ns/net")
	if err != nil {
		f.Close()
		return nil, err
	}
	if there, err := f.Stat(); err != nil || os.SameFile(here, there) {
		f.Close()
		return nil, err
	}
	return f, nil
}
