package bfdd

import (
	"time"

	"keepalived-go/bfd"
	"keepalived-go/internal/output/status"
)

// status is what is known now.
func (d *daemon) status() *status.Sessions {
	now, wall := d.loop.Now(), time.Now()
	s := &status.Sessions{At: wall, Conf: d.conf, NetNamespace: d.NetNamespace, List: make([]status.BFDSession, 0, len(d.peers))}
	for _, p := range d.peers {
		e := p.engine
		x := status.BFDSession{
			Conf: p.conf, SendError: p.out.wrong, SourcePort: p.out.port, Unknown: p.unknown,
			State: e.State().String(), RemoteState: e.RemoteState().String(), Diag: e.Diag().String(), RemoteDiag: e.RemoteDiag().String(),
			Discriminator: e.Config().Discriminator, Remote: e.RemoteDiscriminator(),
			RemoteMinTx: e.RemoteMinTx(), RemoteMinRx: e.RemoteMinRx(), RemoteMult: e.RemoteMult(), Polling: e.Polling(),
			Tx: e.TxInterval(), RemoteTx: e.RemoteTxInterval(), Detection: e.DetectionTime(), RemoteDetects: e.RemoteDetectionTime(),
		}
		stats := e.Stats()
		x.Sent, x.Received, x.Ups, x.Downs = stats.Sent, stats.Received, stats.Ups, stats.Downs
		for i, n := range stats.Rejected {
			if n > 0 {
				x.Dropped = append(x.Dropped, status.Count{Name: bfd.Reject(i).String(), N: n})
			}
		}
		if at, heard := e.Heard(); heard {
			x.Seen = wall.Add(at - now)
		}
		s.List = append(s.List, x)
	}
	s.Loop = status.Loop(d.loop.Measure())
	return s
}
