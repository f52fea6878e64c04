package nft

import (
	"os"
	"testing"

	"keepalived-go/internal/tool/userns"
)

func TestMain(m *testing.M) { os.Exit(userns.Tests(m)) }
