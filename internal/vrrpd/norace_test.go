//go:build !race

package vrrpd

// raceDetector says that the test runs under it: it allocates by itself.
const raceDetector = false
