package main

import (
	"slices"
	"testing"

	"keepalived-go/conf"
)

// What keepalived -v says a daemon can do is told by keywords of the language.
func TestFeatures(t *testing.T) {
	configure, config := buildOptions()
	for _, f := range features {
		effect, found := conf.PendingEffect, false
		for k := range conf.Schema() {
			if k.Block == f.block && k.Name == f.keyword {
				effect, found = k.Effect, true
			}
		}
		if !found {
			t.Errorf("there is no keyword %s in %q", f.keyword, f.block)
		}
		if said := slices.Contains(config, f.config); said != (effect != conf.PendingEffect) {
			t.Errorf("%s is listed: %t", f.config, said)
		}
		if said := slices.Contains(configure, f.configure); f.configure != "" && said != (effect != conf.PendingEffect) {
			t.Errorf("%s is listed: %t", f.configure, said)
		}
	}
	if !slices.Contains(configure, "--enable-json") || !slices.Contains(config, "JSON") {
		t.Error("exporters find no JSON")
	}
}
