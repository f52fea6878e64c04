package main

import (
	"slices"
	"testing"

	"keepalived-go/conf"
)

// TestFeatures checks that the features in keepalived -v are determined by keywords of
// the language.
func TestFeatures(t *testing.T) {
	configure, config := buildOptions()
	for _, f := range features {
		found := false
		for k := range conf.Schema() {
			if k.Block == f.block && k.Name == f.keyword {
				found = true
			}
		}
		if !found {
			t.Errorf("there is no keyword %s in %q", f.keyword, f.block)
		}
		if !slices.Contains(config, f.config) {
			t.Errorf("%s is not listed", f.config)
		}
		if f.configure != "" && !slices.Contains(configure, f.configure) {
			t.Errorf("%s is not listed", f.configure)
		}
	}
	if !slices.Contains(configure, "--enable-json") || !slices.Contains(config, "JSON") {
		t.Error("exporters find no JSON")
	}
}
