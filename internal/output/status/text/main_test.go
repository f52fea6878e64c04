package text

import (
	"os"
	"testing"

	"keepalived-go/internal/tool/userns"
)

// The user of the golden files is root.
func TestMain(m *testing.M) { os.Exit(userns.Tests(m)) }
