package kernel

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// sysctlPath joins the elements of a sysctl's name. They are not split at dots:
// an interface may be called eth0.10.
func sysctlPath(name []string) (string, error) {
	for _, element := range name {
		if element == "" || element == "." || element == ".." || strings.ContainsAny(element, "/\x00") {
			return "", fmt.Errorf("sysctl %s: %q is not an element of a name", strings.Join(name, "/"), element)
		}
	}
	return filepath.Join(append([]string{"/proc/sys"}, name...)...), nil
}

// ReadSysctl returns the value of a sysctl, without surrounding white space:
// ReadSysctl("net", "ipv4", "conf", "eth0.10", "rp_filter").
func ReadSysctl(name ...string) (string, error) {
	path, err := sysctlPath(name)
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read sysctl: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// SetSysctl sets a sysctl and reports whether that changed it; one that has
// the value is not written.
func SetSysctl(value string, name ...string) (changed bool, err error) {
	old, err := ReadSysctl(name...)
	if err != nil {
		return false, err
	}
	if old == value {
		return false, nil
	}
	path, err := sysctlPath(name)
	if err != nil {
		return false, err
	}
	// Never created: what is missing is an error.
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return false, fmt.Errorf("set sysctl: %w", err)
	}
	_, err = f.WriteString(value)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return false, fmt.Errorf("set sysctl to %q: %w", value, err)
	}
	return true, nil
}
