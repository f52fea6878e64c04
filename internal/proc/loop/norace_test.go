//go:build !race

package loop

// raceDetector reports whether the race detector, which allocates memory, is on.
const raceDetector = false
