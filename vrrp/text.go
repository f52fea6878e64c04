package vrrp

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Names in logs, recordings and scenario files. Every enumeration prints as
// its name and marshals as that text.

func name[T ~uint8](names []string, v T) string {
	if int(v) < len(names) && names[v] != "" {
		return names[v]
	}
	return fmt.Sprintf("%d", uint8(v))
}

func (s State) String() string {
	switch s {
	case Init:
		return "INIT"
	case Backup:
		return "BACKUP"
	case Master:
		return "MASTER"
	case Fault:
		return "FAULT"
	case Stopped:
		return "STOP"
	}
	return fmt.Sprintf("%d", uint8(s))
}

var eventNames = [...]string{
	Expiry:          "expiry",
	Start:           "start",
	Received:        "received",
	PriorityChanged: "priority-changed",
	FaultsChanged:   "faults-changed",
	SourceChanged:   "source-changed",
	AddressLost:     "address-lost",
	Reconfigure:     "reconfigure",
	Shutdown:        "shutdown",
	SendStatus:      "send-status",
	SessionDown:     "session-down",
	SessionUp:       "session-up",
	Restrain:        "restrain",
	StandDown:       "stand-down",
	HandOver:        "hand-over",
}

func (k EventKind) String() string { return name(eventNames[:], k) }

var actionNames = [...]string{
	SendAdvert:      "send-advert",
	Transition:      "transition",
	GroupTransition: "group-transition",
	SetAddresses:    "set-addresses",
	ClearAddresses:  "clear-addresses",
	Announce:        "announce",
	Notify:          "notify",
}

func (k ActionKind) String() string { return name(actionNames[:], k) }

var reasonNames = [...]string{
	ReasonNone:              "none",
	ReasonStart:             "start",
	ReasonOwner:             "owner",
	ReasonMasterDown:        "master-down",
	ReasonPriorityZero:      "priority-zero",
	ReasonHigherPriority:    "higher-priority",
	ReasonHigherAddress:     "higher-address",
	ReasonFault:             "fault",
	ReasonFaultCleared:      "fault-cleared",
	ReasonGroup:             "group",
	ReasonAddressLost:       "address-lost",
	ReasonStall:             "stall",
	ReasonResumed:           "resumed",
	ReasonShutdown:          "shutdown",
	ReasonSequenceExhausted: "sequence-exhausted",
	ReasonNoMaster:          "no-master",
	ReasonPreempt:           "preempt",
	ReasonRejected:          "adverts-rejected",
	ReasonSession:           "session-down",
	ReasonFirewall:          "firewall",
	ReasonHeld:              "held",
	ReasonHandedOver:        "handed-over",
}

func (r Reason) String() string { return name(reasonNames[:], r) }

var noteNames = [...]string{
	NoteNone:                   "none",
	NoteMasterDownExpired:      "master-down-expired",
	NotePriorityZeroReceived:   "priority-zero-received",
	NoteLowerPriorityDiscarded: "lower-priority-discarded",
	NoteLowerPriorityReceived:  "lower-priority-received",
	NoteHigherPriorityReceived: "higher-priority-received",
	NoteHigherAddressReceived:  "higher-address-received",
	NoteOwnAddressReceived:     "own-address-received",
	NoteMasterChanged:          "master-changed",
	NoteIntervalLearned:        "interval-learned",
	NotePreemptDelayStarted:    "preempt-delay-started",
	NotePreemptDelayStopped:    "preempt-delay-stopped",
	NotePriorityZeroSent:       "priority-zero-sent",
	NotePriorityEffective:      "priority-effective",
	NoteAddressCountMismatch:   "address-count-mismatch",
	NoteAddressMismatch:        "address-mismatch",
	NoteRejected:               "rejected",
	NoteOldChecksumDetected:    "old-checksum-detected",
	NoteOwnerConflict:          "owner-conflict",
	NoteStall:                  "stall",
	NoteHoldEnded:              "hold-ended",
	NoteSequenceExhausted:      "sequence-exhausted",
	NoteClockSkew:              "clock-skew",
	NoteNoPreempt:              "no-preempt",
	NoteGroupWaits:             "group-waits",
	NoteHeld:                   "held",
	NoteNotTakenOver:           "not-taken-over",
}

var obstacleNames = [...]string{
	ObstacleNone:         "none",
	ObstacleStartDelay:   "start-delay",
	ObstacleNoPreempt:    "nopreempt",
	ObstaclePreemptDelay: "preempt-delay",
	ObstacleGroup:        "group",
	ObstacleHeld:         "held",
	ObstacleLeaves:       "leaves-master",
}

func (o Obstacle) String() string { return name(obstacleNames[:], o) }

func (n Note) String() string   { return name(noteNames[:], n) }
func (r Reject) String() string { return name(rejectNames[:], r) }

func (s State) MarshalText() ([]byte, error)      { return []byte(s.String()), nil }
func (k EventKind) MarshalText() ([]byte, error)  { return []byte(k.String()), nil }
func (k ActionKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
func (r Reason) MarshalText() ([]byte, error)     { return []byte(r.String()), nil }
func (n Note) MarshalText() ([]byte, error)       { return []byte(n.String()), nil }
func (r Reject) MarshalText() ([]byte, error)     { return []byte(r.String()), nil }
func (f Faults) MarshalText() ([]byte, error)     { return []byte(f.String()), nil }

var faultNames = [...]string{
	"link-missing", "link-down", "no-source", "source-missing", "no-peers",
	"tracker", "group", "config", "socket", "removed",
}

// Names are those of the reasons, in their order.
func (f Faults) Names() (names []string) {
	for n, s := range faultNames {
		if f&(1<<n) != 0 {
			names = append(names, s)
			f &^= 1 << n
		}
	}
	if f != 0 {
		names = append(names, fmt.Sprintf("%#x", uint32(f)))
	}
	return names
}

// String lists the reasons, separated by commas; the empty set is "none".
func (f Faults) String() string {
	if f == 0 {
		return "none"
	}
	return strings.Join(f.Names(), ",")
}

// String describes the event in one line, as scenario files print it.
func (e Event) String() string {
	var b strings.Builder
	b.WriteString(e.Kind.String())
	switch e.Kind {
	case Received:
		if p := e.Packet; p != nil && p.check() == RejectNone {
			fmt.Fprintf(&b, " from=%v prio=%d", p.Src, p.Priority())
		}
	case PriorityChanged:
		fmt.Fprintf(&b, " prio=%d", e.Priority)
	case FaultsChanged:
		fmt.Fprintf(&b, " faults=%v", e.Faults)
	case SourceChanged:
		fmt.Fprintf(&b, " source=%v", e.Source)
	case SendStatus:
		fmt.Fprintf(&b, " blocked=%v", e.Blocked)
	case Start:
		if e.Hold != 0 {
			fmt.Fprintf(&b, " hold=%v", e.Hold)
		}
		if e.Resume != nil {
			fmt.Fprintf(&b, " resume=%v", e.Resume.State)
		}
	}
	if e.Cause.Code != "" {
		fmt.Fprintf(&b, " cause=%s", e.Cause.Code)
	}
	return b.String()
}

// String describes the action in one line, as scenario files print it.
func (a Action) String() string {
	var b strings.Builder
	if a.Instance != nil {
		b.WriteString(a.Instance.cfg.Name)
		b.WriteByte(' ')
	}
	b.WriteString(a.Kind.String())
	switch a.Kind {
	case SendAdvert:
		fmt.Fprintf(&b, " prio=%d", a.Priority)
	case Transition:
		fmt.Fprintf(&b, " %v->%v reason=%v", a.From, a.To, a.Reason)
		a.writeNumbers(&b)
	case GroupTransition:
		fmt.Fprintf(&b, " %s %v->%v", a.Group.Name(), a.From, a.To)
	case Announce:
		fmt.Fprintf(&b, " count=%d", a.Count)
		if a.Quiet {
			b.WriteString(" quiet")
		}
	case Notify:
		fmt.Fprintf(&b, " %v", a.Note)
		a.writeNumbers(&b)
	}
	if a.Addr.IsValid() {
		fmt.Fprintf(&b, " addr=%v", a.Addr)
	}
	if a.Time != 0 {
		fmt.Fprintf(&b, " time=%v", a.Time)
	}
	if a.Missed != 0 {
		fmt.Fprintf(&b, " missed=%d", a.Missed)
	}
	if a.Cause.Code != "" {
		fmt.Fprintf(&b, " cause=%s", a.Cause.Code)
	}
	return b.String()
}

func (a Action) writeNumbers(b *strings.Builder) {
	if a.Reject != RejectNone {
		fmt.Fprintf(b, " reject=%v", a.Reject)
	}
	if a.Priority != 0 {
		fmt.Fprintf(b, " prio=%d", a.Priority)
	}
	if a.Count != 0 {
		fmt.Fprintf(b, " count=%d", a.Count)
	}
}

// MarshalJSON names instance and group instead of spelling them out, and
// leaves out the fields that do not belong to the kind of action.
func (a Action) MarshalJSON() ([]byte, error) {
	out := struct {
		Kind       ActionKind    `json:"kind"`
		Instance   string        `json:"instance,omitzero"`
		Group      string        `json:"group,omitzero"`
		Note       Note          `json:"note,omitzero"`
		Reject     Reject        `json:"reject,omitzero"`
		From       *State        `json:"from,omitzero"`
		To         *State        `json:"to,omitzero"`
		Reason     Reason        `json:"reason,omitzero"`
		Priority   *uint8        `json:"priority,omitzero"`
		Addr       netip.Addr    `json:"addr,omitzero"`
		Count      int           `json:"count,omitzero"`
		Time       time.Duration `json:"time_ns,omitzero"`
		Missed     int           `json:"missed,omitzero"`
		Quiet      bool          `json:"quiet,omitzero"`
		Cause      string        `json:"cause,omitzero"`
		Object     string        `json:"object,omitzero"`
		Detail     string        `json:"detail,omitzero"`
		Arithmetic string        `json:"arithmetic,omitzero"`
	}{
		Kind: a.Kind, Note: a.Note, Reject: a.Reject, Reason: a.Reason,
		Addr: a.Addr, Count: a.Count, Time: a.Time, Missed: a.Missed, Quiet: a.Quiet,
		Cause: a.Cause.Code, Object: a.Cause.Object, Detail: a.Cause.Detail, Arithmetic: a.Cause.Arithmetic,
	}
	if a.Instance != nil {
		out.Instance = a.Instance.cfg.Name
	}
	if a.Group != nil {
		out.Group = a.Group.Name()
	}
	switch a.Kind {
	case Transition, GroupTransition:
		out.From, out.To = &a.From, &a.To
	case SendAdvert: // 0 is a priority
		out.Priority = &a.Priority
	default:
		if a.Priority != 0 {
			out.Priority = &a.Priority
		}
	}
	return json.Marshal(out)
}

// MarshalJSON leaves out the fields that do not belong to the kind of event,
// and the configuration, which contains keys.
func (e Event) MarshalJSON() ([]byte, error) {
	out := struct {
		Kind       EventKind     `json:"kind"`
		Src        netip.Addr    `json:"src,omitzero"`
		Dst        netip.Addr    `json:"dst,omitzero"`
		TTL        uint8         `json:"ttl,omitzero"`
		Protocol   uint8         `json:"protocol,omitzero"`
		IPHeader   []byte        `json:"ip_header,omitzero"`
		Payload    []byte        `json:"payload,omitzero"`
		Priority   uint8         `json:"priority,omitzero"`
		Faults     *Faults       `json:"faults,omitzero"`
		Source     *netip.Addr   `json:"source,omitzero"`
		Hold       time.Duration `json:"hold_ns,omitzero"`
		Resume     *Snapshot     `json:"resume,omitzero"`
		Blocked    bool          `json:"blocked,omitzero"`
		Wall       time.Time     `json:"wall,omitzero"`
		Cause      string        `json:"cause,omitzero"`
		Object     string        `json:"object,omitzero"`
		Detail     string        `json:"detail,omitzero"`
		Arithmetic string        `json:"arithmetic,omitzero"`
	}{
		Kind: e.Kind, Priority: e.Priority, Hold: e.Hold, Resume: e.Resume, Blocked: e.Blocked,
		Wall: e.Wall, Cause: e.Cause.Code, Object: e.Cause.Object, Detail: e.Cause.Detail, Arithmetic: e.Cause.Arithmetic,
	}
	switch e.Kind {
	case Received:
		if p := e.Packet; p != nil {
			out.Src, out.Dst, out.TTL, out.Protocol = p.Src, p.Dst, p.TTL, p.Protocol
			out.IPHeader, out.Payload = p.IPHeader, p.Payload
		}
	case FaultsChanged:
		out.Faults = &e.Faults
	case SourceChanged:
		out.Source = &e.Source
	}
	return json.Marshal(out)
}
