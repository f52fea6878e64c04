package supervisor

import (
	"log/slog"
	"os"
)

const corePatternFile = "/proc/sys/kernel/core_pattern"

// setCorePattern sets the name of core files on this host and returns what
// sets it back.
func setCorePattern(pattern string) (restore func()) {
	old, err := os.ReadFile(corePatternFile)
	if err == nil {
		err = os.WriteFile(corePatternFile, []byte(pattern), 0)
	}
	if err != nil {
		slog.Warn("set core pattern: " + err.Error())
		return func() {}
	}
	return func() {
		if err := os.WriteFile(corePatternFile, old, 0); err != nil {
			slog.Warn("set core pattern back: " + err.Error())
		}
	}
}
