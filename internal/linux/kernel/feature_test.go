package kernel

import "testing"

func TestReleaseAtLeast(t *testing.T) {
	for _, c := range []struct {
		release string
		want    bool
	}{
		{"5.17.9", false},
		{"5.18.0-rc1", true},
		{"6.1.0-18-amd64", true},
		{"4.19.0", false},
		{"10.0", true},
		{"weird", false},
		{"", false},
	} {
		if got := releaseAtLeast(c.release, 5, 18); got != c.want {
			t.Errorf("release %q at least 5.18: got %v, want %v", c.release, got, c.want)
		}
	}
}
