package lab

import (
	"testing"
	"time"
)

func TestParsePressure(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"some avg10=0.00 avg60=0.10 avg300=0.05 total=1500\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n": 1500 * time.Microsecond,
		"some avg10=0.00 total=": 0,
		"full total=7\n":         0,
		"":                       0,
	} {
		if got := parsePressure(text); got != want {
			t.Errorf("parsePressure(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestPatience(t *testing.T) {
	p := Patience{begin: time.Now().Add(-time.Second), starved: starvedTotal(), timeout: 2 * time.Second}
	if left := p.Left(); left <= 0 {
		t.Errorf("after one of two seconds %v is left", left)
	}
	p.begin = p.begin.Add(-time.Duration(maxPatience+2) * p.timeout)
	if left := p.Left(); left > 0 {
		t.Errorf("after %d times the timeout %v is left", maxPatience+2, left)
	}
}
