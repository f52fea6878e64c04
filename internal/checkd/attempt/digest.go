package attempt

import (
	"crypto/md5"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Digest fetches the first page and returns the MD5 of its body, as a check
// compares it, whatever the status. see is handed the header, and then the body
// in pieces; nil: not needed. It blocks, for a tool.
func (k *HTTP) Digest(see func(header, body []byte)) (string, error) {
	fd, remote, err := k.open(unix.SOCK_STREAM, 0)
	if err != nil {
		return "", err
	}
	file := os.NewFile(uintptr(fd), "connection")
	defer file.Close()
	if err := k.connectWait(fd, remote); err != nil {
		return "", fmt.Errorf("connect to %s port %d: %w", k.Addr, k.Port, err)
	}
	run := &httpRun{HTTP: k, page: &k.Pages[0]}
	got := &response{digest: md5.New(), see: see}
	if _, err := run.session(file, got); err != nil {
		return "", fmt.Errorf("read %s from %s port %d: %w", run.page.Path, k.Addr, k.Port, err)
	}
	if !got.whole {
		return "", fmt.Errorf("read %s from %s port %d: %d bytes without the end of an HTTP header", run.page.Path, k.Addr, k.Port, len(got.header))
	}
	return got.sum(), nil
}

// connectWait connects a socket that does not block, and waits for it.
func (k *HTTP) connectWait(fd int, remote unix.Sockaddr) error {
	if err := k.dial(fd, remote); err != nil {
		return err
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(k.Timeout.Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return errors.New("timeout")
		default:
			return sockErr(fd)
		}
	}
}
