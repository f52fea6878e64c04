package supervisor

import (
	"fmt"
	"log/slog"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/script"
)

// onceScript is startup_script or shutdown_script: a program that runs once,
// while nothing else of the daemon does.
type onceScript struct {
	name    string // as log lines begin
	command conf.Command
	timeout time.Duration
	policy  conf.ScriptPolicy
	wait    time.Duration // after SIGTERM, when the daemon is to stop
}

// run waits for the script, its timeout, or a signal to stop, and returns
// false after the latter. That the script fails is only logged: it cannot keep
// a service from starting or ending.
func (o onceScript) run(orders *orders) bool {
	if !o.command.Given() {
		return true
	}
	failed := func(why any) { slog.Error(fmt.Sprintf("%s script %s: %v", o.name, o.command.Args[0], why)) }
	program, err := script.Resolve(o.command, o.policy)
	if err != nil {
		failed(err)
		return true
	}
	runner, err := script.NewRunner()
	if err != nil {
		failed(err)
		return true
	}
	defer runner.Close(0)
	slog.Info(fmt.Sprintf("Running %s script %s", o.name, o.command.Args[0]))
	ended := make(chan script.Result, 1)
	runner.Start(script.Request{
		Program: program,
		Timeout: o.timeout,
		Done:    func(r script.Result) { ended <- r },
	})
	select {
	case r := <-ended:
		if !r.OK() {
			text := r.String()
			if r.Output != "" {
				text += ": " + r.Output
			}
			failed(text)
		}
		return true
	case <-orders.stop:
		runner.Close(o.wait)
		return false
	}
}
