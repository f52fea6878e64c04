package vrrp

// setFaults sets the reasons that keep this instance from serving. FAULT is a
// function of the present set, never of a count of what came and went.
func (i *Instance) setFaults(t *turn, f Faults) {
	i.faults = f&^FaultGroup | i.faults&FaultGroup
	if i.group != nil {
		i.group.spreadFaults(t, i)
		return
	}
	i.applyFaults(t)
}

// applyFaults enters or leaves FAULT as the set of reasons demands.
func (i *Instance) applyFaults(t *turn) {
	reason := ReasonFault
	switch i.state {
	case Backup, Master:
		if i.faults == 0 {
			return
		}
		if i.faults == FaultGroup {
			reason = ReasonGroup
		}
		if i.state == Master {
			i.abdicate(t)
		}
		i.become(t, Fault, Action{Reason: reason})
	case Fault:
		if i.faults != 0 {
			return
		}
		i.masterInterval = i.cfg.AdvertInterval
		i.enterBackup(t)
		i.become(t, Backup, Action{Reason: ReasonFaultCleared})
	}
}
