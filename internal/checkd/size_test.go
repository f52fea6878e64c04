package checkd

import (
	"testing"
	"unsafe"
)

// TestSizes bounds what each check takes in memory, in bytes: there may be tens of thousands.
func TestSizes(t *testing.T) {
	for _, s := range []struct {
		name       string
		size, most uintptr
	}{
		{"a check", unsafe.Sizeof(check{}), 240},
		{"what is planned of a check", unsafe.Sizeof(planned{}), 80},
	} {
		if s.size > s.most {
			t.Errorf("%s takes %d bytes, more than %d", s.name, s.size, s.most)
		}
	}
}
