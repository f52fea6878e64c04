package api

import (
	"time"

	"keepalived-go/internal/output/status"
)

// BFD is what the BFD process knows.
type BFD struct {
	Snapshot
	Sessions []Session `json:"sessions" doc:"in the order of the configuration"`
}

// Session is a BFD session (RFC 5880).
type Session struct {
	Name          string            `json:"name" doc:"of the bfd_instance"`
	Neighbour     string            `json:"neighbour" doc:"address of the other system"`
	State         string            `json:"state" doc:"AdminDown, Down, Init or Up"`
	Unknown       bool              `json:"unknown" doc:"a predecessor of the process had it, and it has not been up since"`
	RemoteState   string            `json:"remote_state" doc:"which the neighbour has reported"`
	Diagnostic    string            `json:"diagnostic" doc:"why it left Up last"`
	RemoteDiag    string            `json:"remote_diagnostic" doc:"the same of the neighbour"`
	Discriminator uint32            `json:"discriminator" doc:"of this side"`
	Remote        uint32            `json:"remote_discriminator" doc:"of the neighbour"`
	Tx            Seconds           `json:"tx_interval" doc:"between packets sent"`
	RemoteTx      Seconds           `json:"remote_tx_interval" doc:"between packets of the neighbour"`
	Detection     Seconds           `json:"detection_time" doc:"after which a silent neighbour counts as down"`
	Heard         *time.Time        `json:"heard,omitempty" doc:"when its last packet came, if one has"`
	Sent          uint64            `json:"sent" doc:"packets"`
	Received      uint64            `json:"received" doc:"packets that were accepted"`
	Ups           uint64            `json:"ups" doc:"changes to Up"`
	Downs         uint64            `json:"downs" doc:"changes from Up"`
	Dropped       map[string]uint64 `json:"dropped,omitempty" doc:"packets by reason, those that are not 0"`
	SendError     bool              `json:"send_error" doc:"the last packet could not be sent"`
}

// OfBFD is the view of a snapshot.
func OfBFD(s *status.Sessions) *BFD {
	out := &BFD{Snapshot: Snapshot{At: s.At.UTC(), Loop: loopOf(&s.Loop)}, Sessions: make([]Session, len(s.List))}
	for i := range s.List {
		b := &s.List[i]
		out.Sessions[i] = Session{
			Name: b.Conf.Name, Neighbour: b.Conf.Neighbor.String(), State: b.State, Unknown: b.Unknown, RemoteState: b.RemoteState,
			Diagnostic: b.Diag, RemoteDiag: b.RemoteDiag, Discriminator: b.Discriminator, Remote: b.Remote,
			Tx: seconds(b.Tx), RemoteTx: seconds(b.RemoteTx), Detection: seconds(b.Detection), Heard: moment(b.Seen),
			Sent: b.Sent, Received: b.Received, Ups: b.Ups, Downs: b.Downs, SendError: b.SendError,
		}
		for _, d := range b.Dropped {
			count(&out.Sessions[i].Dropped, d.Name, d.N)
		}
	}
	return out
}
