package vrrpd

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/policy"
	"keepalived-go/vrrp"
)

// The sentences in this file are the ones that operators and their tools look
// for; the attributes beside them are for programs.

func (d *daemon) logAction(a *vrrp.Action) {
	if a.Kind == vrrp.GroupTransition {
		text := fmt.Sprintf("VRRP_Group(%s) Syncing instances to %s state", a.Group.Name(), stateName(a.To))
		slog.Info(text, "group", a.Group.Name(), "state", stateName(a.To), "reason", a.Reason.String())
		return
	}
	r := d.router(a.Instance)
	if r == nil {
		return // removed by a reload, which has logged it
	}
	level, text := logging.LevelDetail, ""
	switch a.Kind {
	case vrrp.Transition:
		level, text = transitionText(a)
	case vrrp.Notify:
		level, text = noteText(a, r)
	case vrrp.SetAddresses:
		text = "setting VIPs."
		r.logDrops("setting")
		defer r.logRouting("setting", "Routes", "Rules")
	case vrrp.ClearAddresses:
		text = "removing VIPs."
		defer r.logDrops("removing")
		r.logRouting("removing", "Rules", "Routes")
	case vrrp.Announce:
		if !a.Quiet {
			d.logAnnouncements(r)
		}
	}
	if text == "" || !slog.Default().Enabled(context.Background(), level) {
		return
	}
	attrs := []slog.Attr{slog.String("instance", r.conf.Name)}
	if a.Kind == vrrp.Transition {
		attrs = append(attrs, slog.String("from", stateName(a.From)), slog.String("state", stateName(a.To)),
			slog.String("reason", a.Reason.String()), slog.String("why", why(a)))
		if a.Reject != vrrp.RejectNone {
			attrs = append(attrs, slog.String("reject", a.Reject.String()), slog.Int("count", a.Count))
		}
	}
	attrs = appendCause(attrs, &a.Cause)
	if a.Addr.IsValid() {
		attrs = append(attrs, slog.String("address", a.Addr.String()))
	}
	text += missedText(a.Missed)
	if a.Missed > 0 {
		attrs = append(attrs, slog.Int("missed", a.Missed))
	}
	slog.LogAttrs(context.Background(), level, "("+r.conf.Name+") "+text, attrs...)
}

// missedText is how many lines of a kind were left out before this one; empty for 0.
func missedText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more of these that were not logged)", n)
}

// appendCause adds why something happened, for programs.
func appendCause(attrs []slog.Attr, c *vrrp.Cause) []slog.Attr {
	for _, f := range [...]struct{ name, value string }{
		{"cause", c.Code}, {"object", c.Object}, {"detail", c.Detail}, {"arithmetic", c.Arithmetic},
	} {
		if f.value != "" {
			attrs = append(attrs, slog.String(f.name, f.value))
		}
	}
	return attrs
}

// causeText is a cause for people: "track_script chk: exited with status 1".
// What is found here names its object in the detail, a tracker does not.
func causeText(c *vrrp.Cause) string {
	if !strings.HasPrefix(c.Code, "track_") {
		return c.Detail
	}
	return c.Code + " " + c.Object + ": " + c.Detail
}

// why is the reason of a transition in words, from the state of the engine and the cause
// that it was given.
func why(a *vrrp.Action) string {
	cause := causeText(&a.Cause)
	switch a.Reason {
	case vrrp.ReasonFault, vrrp.ReasonAddressLost:
		return cmp.Or(cause, a.Why())
	case vrrp.ReasonGroup:
		if cause != "" {
			return a.Why() + ": " + cause
		}
	}
	return a.Why()
}

func transitionText(a *vrrp.Action) (slog.Level, string) {
	switch {
	case a.To == vrrp.Stopped:
		return logging.LevelDetail, ""
	case a.To == vrrp.Fault && a.Cause.Detail != "":
		return slog.LevelInfo, "Entering FAULT STATE (" + causeText(&a.Cause) + ")"
	case a.From == vrrp.Init && a.To != vrrp.Master:
		return slog.LevelInfo, "Entering " + stateName(a.To) + " STATE (init)"
	case a.Reason == vrrp.ReasonResumed:
		return slog.LevelInfo, "Entering MASTER STATE (resumed)"
	}
	text := "Entering " + stateName(a.To) + " STATE"
	if because := why(a); because != "" {
		text += " (" + because + ")"
	}
	return slog.LevelInfo, text
}

// noteText words a note; the level is LevelDetail for what upstream logs with
// -D only.
func noteText(a *vrrp.Action, r *router) (slog.Level, string) {
	own := r.engine.Priority()
	info := func(format string, args ...any) (slog.Level, string) {
		return slog.LevelInfo, fmt.Sprintf(format, args...)
	}
	detail := func(format string, args ...any) (slog.Level, string) {
		return logging.LevelDetail, fmt.Sprintf(format, args...)
	}
	switch a.Note {
	case vrrp.NoteMasterDownExpired:
		return detail("Receive advertisement timeout")
	case vrrp.NotePriorityZeroReceived:
		return detail("Backup received priority 0 advertisement")
	case vrrp.NoteLowerPriorityDiscarded:
		return info("received lower priority (%d) advert from %v - discarding", a.Priority, a.Addr)
	case vrrp.NoteLowerPriorityReceived:
		election := ", forcing new election"
		if r.conf.LowerPriorityNoAdvert {
			election = ""
		}
		return info("Received advert from %v with lower priority %d, ours %d%s", a.Addr, a.Priority, own, election)
	case vrrp.NoteHigherPriorityReceived:
		return info("Master received advert from %v with higher priority %d, ours %d", a.Addr, a.Priority, own)
	case vrrp.NoteHigherAddressReceived:
		return info("Master received advert from %v with same priority %d but higher IP address than ours", a.Addr, a.Priority)
	case vrrp.NoteOwnAddressReceived:
		return slog.LevelWarn, fmt.Sprintf("WARNING - equal priority advert received from remote host with our IP address %v", a.Addr)
	case vrrp.NoteMasterChanged:
		return detail("master set to %v", a.Addr)
	case vrrp.NoteIntervalLearned:
		return info("advertisement interval updated from %v to %v by master",
			time.Duration(a.Count)*time.Millisecond, a.Time)
	case vrrp.NotePreemptDelayStarted:
		return info("start preempt delay (%.6f)", a.Time.Seconds())
	case vrrp.NotePreemptDelayStopped:
		return info("stop preempt delay")
	case vrrp.NotePriorityZeroSent:
		if r.unsent != nil {
			return info("priority 0 could not be sent: %v", r.unsent)
		}
		return detail("sent 0 priority")
	case vrrp.NotePriorityEffective:
		cause := causeText(&a.Cause)
		if strings.Contains(a.Cause.Arithmetic, " ") { // more than the base alone
			if cause != "" {
				cause += "; "
			}
			cause += a.Cause.Arithmetic
		}
		return info("Changing effective priority from %d to %d (%s)", a.Count, a.Priority, cause)
	case vrrp.NoteAddressCountMismatch:
		return info("expected %d VIPs but received %d", len(r.engine.Config().Advertised()), a.Count)
	case vrrp.NoteAddressMismatch:
		return info("ip address associated with VRID %d not present in MASTER advert : %v", r.conf.VRID, a.Addr)
	case vrrp.NoteRejected:
		return slog.LevelWarn, rejectText(a, r)
	case vrrp.NoteOldChecksumDetected:
		return info("Setting unicast VRRPv3 checksum to old version")
	case vrrp.NoteOwnerConflict:
		return slog.LevelWarn, fmt.Sprintf("CONFIGURATION ERROR - both this node and %v claim to own the address (priority 255)", a.Addr)
	case vrrp.NoteStall:
		return slog.LevelWarn, fmt.Sprintf("process was stopped or starved for %v, longer than the peers wait; listening before advertising",
			a.Time.Round(time.Millisecond))
	case vrrp.NoteHoldEnded:
		return info("start-up delay is over")
	case vrrp.NoteSequenceExhausted:
		return slog.LevelWarn, "IPSEC-AH : sequence number exhausted"
	case vrrp.NoteNoPreempt:
		return info("stays BACKUP: nopreempt leaves %v master, with the lower priority %d", a.Addr, a.Priority)
	case vrrp.NoteGroupWaits:
		return info("could be MASTER, but waits for %s of its sync group", a.Cause.Object)
	case vrrp.NoteHeld:
		return info("hears no master, but an operator holds it in BACKUP")
	case vrrp.NoteNotTakenOver:
		return slog.LevelWarn, fmt.Sprintf("switchover: no other node has taken over within %v", a.Time.Round(10*time.Millisecond))
	case vrrp.NoteClockSkew:
		return slog.LevelWarn, fmt.Sprintf("authentication trailer from %v, clock skew %v", a.Addr, a.Time)
	}
	return slog.LevelInfo, a.Note.String()
}

func stateName(s vrrp.State) string { return s.String() }

// logRouting reports that the routes and rules of r are set or removed, in the order
// given.
func (r *router) logRouting(what string, order ...string) {
	if r.conf.Routing == nil || !detailed() {
		return
	}
	for _, kind := range order {
		if kind == "Routes" && len(r.conf.Routing.Routes) > 0 || kind == "Rules" && len(r.conf.Routing.Rules) > 0 {
			slog.Log(context.Background(), logging.LevelDetail,
				fmt.Sprintf("(%s) %s Virtual %s", r.conf.Name, what, kind), "instance", r.conf.Name)
		}
	}
}

// logDrops logs that packets to the addresses of r are dropped from now on, or not any more.
func (r *router) logDrops(what string) {
	if policy.Drops(r.conf) && detailed() {
		slog.Log(context.Background(), logging.LevelDetail, fmt.Sprintf("(%s) %s firewall drop rule", r.conf.Name, what), "instance", r.conf.Name)
	}
}

// logAnnouncements names the addresses that are about to be announced.
func (d *daemon) logAnnouncements(r *router) {
	if !detailed() {
		return
	}
	for _, v := range r.vips {
		if v != nil {
			slog.Log(context.Background(), logging.LevelDetail, fmt.Sprintf("(%s) Sending/queueing %s on %s for %v",
				r.conf.Name, announceName(v.key.Prefix.Addr(), true), d.linkName(v.key.Link), v.key.Prefix.Addr()))
		}
	}
}

// logAddress reports a change of an address for -a.
func (d *daemon) logAddress(a kernel.Addr, added bool) {
	if !d.LogAddresses {
		return
	}
	word := "removed from"
	if added {
		word = "added to"
	}
	slog.Info(fmt.Sprintf("Netlink reflector reports IP %v %s %s", a.Prefix.Addr(), word, d.linkName(a.Link)))
}

// logForeign logs once that an address which r is to hold is not ours.
func (d *daemon) logForeign(v *vip, r *router) {
	name := ""
	if r != nil {
		name = r.conf.Name
	}
	slog.Warn(fmt.Sprintf("(%s) address %v on %s was added by another program: it is used as it is, and keepalived never removes it",
		name, v.key.Prefix, d.linkName(v.key.Link)), "instance", name)
}

// rejectText words why a packet was dropped. The engine reports each reason
// once until the state or the master changes.
func rejectText(a *vrrp.Action, r *router) string {
	c := r.engine.Config()
	switch a.Reject {
	case vrrp.RejectPassword:
		return fmt.Sprintf("received an invalid passwd from %v!", a.Addr)
	case vrrp.RejectAuthMismatch:
		return fmt.Sprintf("received a %d auth from %v, expecting %d!", a.Count, a.Addr, c.Auth)
	case vrrp.RejectAHDigest:
		return "IPSEC-AH : invalid IPSEC HMAC-MD5 value. Due to fields mutation or bad password !"
	case vrrp.RejectAHReplayed:
		return fmt.Sprintf("IPSEC-AH : sequence number %d from %v already processed. Packet dropped. Local(%d)",
			a.Count, a.Addr, r.engine.Snapshot().AHSequence)
	case vrrp.RejectVersion:
		return fmt.Sprintf("wrong VRRP version from %v. Received %d and expect %d", a.Addr, a.Count, c.Version)
	case vrrp.RejectInterval:
		return fmt.Sprintf("advertisement interval mismatch with %v mine=%d sec rcv'd=%d sec",
			a.Addr, int(c.AdvertInterval/time.Second), a.Count)
	case vrrp.RejectTTL:
		return fmt.Sprintf("invalid TTL/HL. Received %d from %v and expect 255", a.Count, a.Addr)
	case vrrp.RejectChecksum:
		return fmt.Sprintf("Invalid VRRP checksum from %v", a.Addr)
	case vrrp.RejectLength, vrrp.RejectTotalLength:
		return fmt.Sprintf("packet of wrong length from %v", a.Addr)
	case vrrp.RejectType:
		return fmt.Sprintf("invalid packet type from %v. Received %d and expect 1", a.Addr, a.Count)
	case vrrp.RejectNotPeer:
		return fmt.Sprintf("unicast advert from %v, which is not a unicast peer", a.Addr)
	case vrrp.RejectDestination:
		if c.Unicast {
			return fmt.Sprintf("multicast advert from %v to a unicast instance", a.Addr)
		}
		return fmt.Sprintf("unicast advert from %v to a multicast instance", a.Addr)
	case vrrp.RejectHMACMissing:
		return fmt.Sprintf("missing authentication trailer from %v", a.Addr)
	case vrrp.RejectHMACMalformed:
		return fmt.Sprintf("malformed authentication trailer from %v", a.Addr)
	case vrrp.RejectHMACUnknownKey:
		return fmt.Sprintf("unknown authentication key id %d from %v", a.Count, a.Addr)
	case vrrp.RejectHMACInvalid:
		return fmt.Sprintf("invalid authentication HMAC from %v", a.Addr)
	case vrrp.RejectHMACStale:
		return fmt.Sprintf("stale authentication trailer from %v, clock skew %d sec exceeds window %d sec",
			a.Addr, int(a.Time/time.Second), a.Count)
	case vrrp.RejectHMACReplayed:
		return fmt.Sprintf("replayed authentication trailer from %v", a.Addr)
	}
	return fmt.Sprintf("advert from %v dropped: %v", a.Addr, a.Reject)
}
