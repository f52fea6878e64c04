package link

import "keepalived-go/internal/proc/act"

// Order is an act that a process is to do.
type Order struct {
	ID  uint32 // under which the result is awaited; the parent passes it on under its own
	Act act.Act
}

// Intents are all that a process is to heed.
type Intents struct{ List []act.Intent }

// Outcome is the result of an [Order].
type Outcome struct {
	ID     uint32
	Result act.Result
}
