package bfdd

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"keepalived-go/bfd"
	"keepalived-go/conf"
	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/wire"
)

// The sentences are those of the C daemon.

func (p *peer) logTransition(a *bfd.Action) {
	text := fmt.Sprintf("(%s) Entering %v state", p.conf.Name, a.To)
	if a.To == bfd.Down {
		text += fmt.Sprintf(" (Local diagnostic - %v, Remote diagnostic - %v)", a.Diag, a.RemoteDiag)
	}
	slog.Info(text, "bfd_instance", p.conf.Name, "from", a.From.String(), "to", a.To.String())
}

func (p *peer) logExpired(a *bfd.Action) {
	slog.Info(fmt.Sprintf("(%s) Expired after %d ms (%d usec overdue)", p.conf.Name, a.Time.Milliseconds(), a.Late.Microseconds()))
}

func (p *peer) logPoll() {
	if slog.Default().Enabled(context.Background(), logging.LevelDetail) {
		slog.Log(context.Background(), logging.LevelDetail, fmt.Sprintf("(%s) Starting poll sequence", p.conf.Name))
	}
}

// logParameters logs the table of the C daemon, which it logs for each packet, when
// something in it has changed.
func (p *peer) logParameters(a *bfd.Action) {
	if !slog.Default().Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	us := func(t time.Duration) int64 { return t.Microseconds() }
	s := p.engine
	tx, rx := s.Announced()
	slog.Debug(fmt.Sprintf("(%s) ---------------< Session parameters >--------------", p.conf.Name))
	slog.Debug("              min_tx  min_rx  tx_intv  mult  detect_time")
	slog.Debug(fmt.Sprintf("     local  %8d%8d%9d%6d%13d", us(tx), us(rx), us(s.TxInterval()), p.conf.Multiplier, us(s.DetectionTime())))
	slog.Debug(fmt.Sprintf("     remote %8d%8d%9d%6d%13d", us(s.RemoteMinTx()), us(s.RemoteMinRx()), us(s.RemoteTxInterval()), s.RemoteMult(), us(s.RemoteDetectionTime())))
	slog.Debug(fmt.Sprintf("     Detection time is %d us (was %d us)", us(a.Time), us(a.Was)))
}

// refuse counts a packet that is not of the session that it names.
func (d *daemon) refuse(p *peer, why bfd.Reject, g *datagram) {
	before := p.engine.Stats().Rejected
	p.engine.Stats().Rejected[why]++
	d.reportRefusal(p, &before, g)
}

// reportRefusal logs why a packet was dropped: each reason once until the state
// changes.
func (d *daemon) reportRefusal(p *peer, before *[bfd.Rejects]uint64, g *datagram) {
	now := &p.engine.Stats().Rejected
	for i := range now {
		why := bfd.Reject(i)
		if now[i] == before[i] || why == bfd.RejectAdminDown || why == bfd.RejectInactive || p.refused>>i&1 == 1 {
			continue
		}
		p.refused |= 1 << i
		text := fmt.Sprintf("(%s) packet from %v dropped: %s", p.conf.Name, g.src, why.Text())
		if why == bfd.RejectTTL {
			name := "hop_limit"
			if g.src.Is4() {
				name = "ttl"
			}
			text = fmt.Sprintf("(%s) Packet %s(%d) < %d - discarding", p.conf.Name, name, g.HopLimit, p.engine.Config().MinTTL)
		}
		slog.Warn(text, "bfd_instance", p.conf.Name, "reason", why.String())
	}
}

// changed has the other processes informed of the state of p at the end of the turn.
func (d *daemon) changed(p *peer) {
	up := p.engine.State() == bfd.Up
	if up {
		p.unknown = false
		d.loop.Stop(&p.patience)
	}
	if p.unknown || p.left || p.everReported && p.reported == up && !p.pending {
		return
	}
	p.everReported, p.reported, p.since = true, up, d.loop.Now()
	if !p.pending {
		p.pending = true
		d.news = append(d.news, p)
	}
}

// decided ends the time in which nothing is known of a session that a predecessor had.
func (d *daemon) decided(p *peer) {
	p.unknown = false
	d.loop.Stop(&p.patience)
	d.changed(p)
}

// resendPause is the time after which events that the parent did not take are sent again.
const resendPause = time.Millisecond

// spread reports the sessions that have changed. What the parent does not take now it
// gets soon.
func (d *daemon) spread() {
	if len(d.news) > 0 && d.session != nil {
		d.session.Signal(link.Changed)
	}
	for len(d.news) > 0 {
		p := d.news[0]
		if p.left {
			d.news = d.news[1:]
			continue
		}
		s := policy.Session{Up: p.reported, Neighbor: p.conf.Neighbor, At: p.since}
		if !s.Up && p.engine.Diag() == bfd.DiagExpired {
			s.Silent = p.silent
		}
		if !d.report(p.conf, wire.Append(nil, s)) {
			d.loop.Set(&d.resend, d.loop.Now()+resendPause)
			return
		}
		p.pending = false
		d.news = d.news[1:]
	}
	d.news = nil
}

// withdraw cancels what was reported of a session.
func (d *daemon) withdraw(b *conf.BFDInstance) { d.report(b, nil) }

// report sends the state of a session to the processes that use it.
func (d *daemon) report(b *conf.BFDInstance, body []byte) bool {
	for _, r := range [...]struct {
		to   string
		uses bool
	}{{"vrrp", b.VRRP}, {"checkers", b.Checker}} {
		if r.uses && !d.emit(link.Message{Kind: link.Report, Event: &link.Event{
			To: r.to, Subject: policy.SessionState.Of(b.Name), Body: body,
		}}) {
			return false
		}
	}
	return true
}
