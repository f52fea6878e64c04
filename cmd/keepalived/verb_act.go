package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/screen"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/act"
)

// change has something changed, and shows what has come of it.
func (a *asker) change(operands []string, w io.Writer) int {
	kind, request := act.Kind(a.name), a.request
	if a.dry {
		kind, request = act.Plan, planIt
	}
	c := &act.Act{Kind: kind, Reason: a.reason, For: a.period, Force: a.force}
	var text string
	err := fill(c, operands)
	if err == nil {
		err = c.Check()
	}
	if err == nil {
		var result any
		result, text, err = request(a, c, options(w))
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
	if err == nil && a.drains && (a.wait || a.output != "json") {
		err = a.drained(c.Name, w)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "keepalived %s: %v\n", a.name, err)
		return proc.ExitFatal
	}
	return proc.ExitOK
}

// fill takes the operands of a verb into its act: words of a name and, if it takes one, a
// number.
func fill(c *act.Act, operands []string) (err error) {
	if row := act.RowOf(c.Kind); row.Takes&act.Value != 0 {
		last := len(operands) - 1
		if c.Value, err = strconv.Atoi(operands[last]); err != nil {
			return fmt.Errorf("%q is not a number from %d to %d", operands[last], row.Least, row.Most)
		}
		operands = operands[:last]
	}
	if row := act.RowOf(c.Kind); row.Takes&act.State != 0 && len(operands) > 1 && isState(operands[len(operands)-1]) {
		c.State = strings.ToUpper(operands[len(operands)-1])
		operands = operands[:len(operands)-1]
	}
	c.Name = strings.Join(operands, " ")
	return nil
}

// isState reports whether an operand is a state that is reported, rather than the end of a
// name: names that end in two words are those of real servers.
func isState(operand string) bool {
	return !strings.ContainsFunc(operand, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) })
}

// drained shows how many connections are left of the servers that drain by an act with that
// name and, with --wait, returns when there are none.
func (a *asker) drained(name string, w io.Writer) error {
	begun, shown := time.Now(), ""
	for {
		s, err := a.client.Brief()
		if err != nil {
			return err
		}
		l := s.LVS
		unknown := l == nil || l.Stale != "" || l.Table.Unreachable != ""
		switch {
		case unknown && a.wait:
			return errors.New("it is done, but the connections cannot be counted: the health-check process or the kernel's load balancer does not answer")
		case unknown:
			return nil
		}
		servers, left := l.Draining(name)
		if servers == 0 {
			return errors.New("an operator has undone it, or asked for something else")
		}
		if text := screen.Left(left) + ".\n"; a.output != "json" && text != shown {
			shown = text
			if _, err := io.WriteString(w, text); err != nil {
				return err
			}
		}
		switch {
		case left == 0 || !a.wait:
			return nil
		case a.longest > 0 && time.Since(begun) >= a.longest:
			return fmt.Errorf("they have not ended within %v", a.longest)
		}
		time.Sleep(drainPoll)
	}
}

// drainPoll is how often the connections that are left are counted.
const drainPoll = time.Second

// do has an act done whose result is a sentence.
func do(a *asker, c *act.Act, _ screen.Options) (any, string, error) {
	var done api.Done
	if err := a.client.Do(c, &done); err != nil {
		return nil, "", err
	}
	return &done, done.Result + ".\n", nil
}

// testIt has something reported, and shows what has become of that.
func testIt(a *asker, c *act.Act, o screen.Options) (any, string, error) {
	var tested api.Tested
	if err := a.client.Do(c, &tested); err != nil {
		return nil, "", err
	}
	var err error
	failed := 0
	for _, r := range tested.Reports {
		if !r.OK {
			failed++
		}
	}
	if failed > 0 {
		err = fmt.Errorf("%d of %d reports have not arrived", failed, len(tested.Reports))
	}
	return &tested, screen.Tested(&tested, o), err
}

// planIt shows what a reload would change. One that would be refused has a result, too.
func planIt(a *asker, c *act.Act, o screen.Options) (any, string, error) {
	var plan api.Plan
	if err := a.client.Do(c, &plan); err != nil {
		return nil, "", err
	}
	var err error
	if plan.Refused != "" {
		err = errors.New("the reload would be refused")
	}
	return &plan, screen.Planned(&plan, o), err
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
