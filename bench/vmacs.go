package main

import (
	"fmt"
	"time"

	"keepalived-go/internal/tool/lab"
)

// vmacs measures a hundred virtual MAC addresses: from the start to the last first
// advert, and from SIGTERM to the end, when all their links are removed.
func vmacs(_ *bench, l *lab.Lab, p lab.Program) ([]sample, error) {
	routers := many(100, 255)
	for i := range routers {
		routers[i].more = "  use_vmac\n"
	}
	d, err := l.Node("a").Start(p, config(routers...))
	if err != nil {
		return nil, err
	}
	last, err := allMaster(l, routers, d.Started)
	if err != nil {
		return nil, err
	}
	time.Sleep(2 * time.Second) // the first announcements are over
	began := time.Now()
	if err := d.Stop(); err != nil {
		return nil, err
	}
	took := time.Since(began)
	if left, err := l.Node("a").Run("ip", "-o", "link", "show", "type", "macvlan"); err != nil || left != "" {
		return nil, fmt.Errorf("left behind: %s %w", left, err)
	}
	return []sample{
		{What: "start until all 100 are master", Unit: "ms", Value: ms(last.Sub(d.Started)), Target: atMost(1)},
		{What: "SIGTERM until exit", Unit: "ms", Value: ms(took), Target: atMost(0.1)},
	}, nil
}
