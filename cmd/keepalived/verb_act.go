package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/screen"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/act"
)

// change has something changed, and shows what has come of it.
func (a *asker) change(operands []string, w io.Writer) int {
	c := &act.Act{Kind: act.Kind(a.name), Reason: a.reason, For: a.period, Force: a.force}
	var text string
	err := fill(c, operands)
	if err == nil {
		err = c.Check()
	}
	if err == nil {
		var result any
		result, text, err = a.request(a, c, options(w))
		if a.output == "json" && result != nil {
			var failed error
			if text, failed = screen.JSON(result); failed != nil {
				err = failed
			}
		}
	}
	if _, failed := io.WriteString(w, text); failed != nil {
		err = failed
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "keepalived %s: %v\n", a.name, err)
		return proc.ExitFatal
	}
	return proc.ExitOK
}

// fill takes the operands of a verb into its act.
func fill(c *act.Act, operands []string) error {
	if len(operands) > 0 {
		c.Name = operands[0]
	}
	if len(operands) < 2 {
		return nil
	}
	n, err := strconv.Atoi(operands[1])
	if err != nil {
		return fmt.Errorf("%q is not a number such as +20, -20 or 0", operands[1])
	}
	c.Value = n
	return nil
}

// do has an act done whose result is a sentence.
func do(a *asker, c *act.Act, _ screen.Options) (any, string, error) {
	var done api.Done
	if err := a.client.Do(c, &done); err != nil {
		return nil, "", err
	}
	return &done, done.Result + ".\n", nil
}

// reloadIt has the daemon reload. A refused reload has a result, too.
func reloadIt(a *asker, c *act.Act, o screen.Options) (any, string, error) {
	var now api.Configuration
	if err := a.client.Do(c, &now); err != nil {
		return nil, "", err
	}
	var err error
	if now.Refused != nil {
		err = errors.New("the reload was refused")
	}
	return &now, screen.Reloaded(&now, o), err
}
