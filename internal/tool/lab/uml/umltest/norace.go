//go:build !race

package umltest

const raceEnabled = false
