//go:build race

package loop

// raceDetector says that the test runs under it: it allocates by itself.
const raceDetector = true
