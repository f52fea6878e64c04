//go:build race

package vrrpd

// raceDetector reports whether the race detector, which allocates memory, is on.
const raceDetector = true
