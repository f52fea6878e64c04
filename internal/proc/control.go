package proc

import (
	"path/filepath"
	"strings"
)

// RunDir is where a daemon keeps the files of its processes.
const RunDir = "/run"

// Control is the beginning of the names of the files of the control process, such as its
// socket, Control + SocketSuffix. They are in a directory of keepalived's own below
// runDir, with a directory in it for each network namespace, and the name of an instance
// in their names. An explicit name of the parent's pid file (-p) wins: they are beside it.
func Control(runDir, namespace, instance, parentPid string) string {
	if parentPid != "" {
		return strings.TrimSuffix(parentPid, ".pid") + ".control"
	}
	if instance != "" {
		instance = "_" + instance
	}
	return filepath.Join(runDir, Name, namespace, "control"+instance)
}

// SocketSuffix ends the name of the control socket.
const SocketSuffix = ".sock"
