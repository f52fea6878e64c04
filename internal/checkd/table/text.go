package table

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"

	"keepalived-go/internal/output/status"
	"keepalived-go/lvs/ipvs"
)

// command is what the C daemon calls a change in its log.
func command(c *ipvs.Change) string {
	names := [...]string{"IP_VS_SO_SET_ADD(1154)", "IP_VS_SO_SET_EDIT(1155)", "IP_VS_SO_SET_DEL(1156)"}
	if c.Destination != nil {
		names = [...]string{"IP_VS_SO_SET_ADDDEST(1159)", "IP_VS_SO_SET_EDITDEST(1161)", "IP_VS_SO_SET_DELDEST(1160)"}
	}
	return names[c.Op]
}

// name is a service in the manner of the C daemon's messages about the kernel.
func name(id ipvs.ServiceID) string {
	if id.Mark != 0 {
		return fmt.Sprintf("FWM %d", id.Mark)
	}
	return fmt.Sprintf("%v:%v:%d", id.Addr.Addr(), id.Protocol, id.Addr.Port())
}

func subject(c *ipvs.Change) string {
	if c.Destination == nil {
		return name(c.Service.ServiceID)
	}
	return fmt.Sprintf("%s -> %v:%d", name(c.Service.ServiceID), c.Destination.Addr.Addr(), c.Destination.Addr.Port())
}

// reason is why the kernel refused.
func reason(err error) string {
	var e *ipvs.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	text := e.Errno.Error()
	if e.Kind != nil {
		text = e.Kind.Error()
	}
	if e.Message != "" {
		text = e.Message
	}
	return fmt.Sprintf("%s(%d)", text, int(e.Errno))
}

// refusal is a change that the kernel refuses.
type refusal struct {
	status.Refusal
	service ipvs.ServiceID
}

// complain logs that the kernel has refused a change; once until it has agreed. It
// returns what the change is known by.
func (t *Table) complain(c *ipvs.Change, err error) (key string) {
	key = command(c) + subject(c)
	_, logged := t.refused[key]
	t.mu.Lock()
	t.refused[key] = refusal{status.Refusal{Change: c.String(), Reason: reason(err)}, c.Service.ServiceID}
	t.mu.Unlock()
	if !logged {
		slog.Error(fmt.Sprintf("IPVS cmd %s error: %s (%s)", command(c), reason(err), subject(c)), "change", c.String())
	}
	return key
}

// forgive forgets the refusals of services, except the ones that still stand: the
// kernel has agreed, or they are not wanted any more.
func (t *Table) forgive(ids []ipvs.ServiceID, still map[string]bool) {
	if len(t.refused) == len(still) {
		return // those are all
	}
	asked := make(map[ipvs.ServiceID]bool, len(ids))
	for _, id := range ids {
		asked[id] = true
	}
	t.mu.Lock()
	maps.DeleteFunc(t.refused, func(key string, r refusal) bool { return asked[r.service] && !still[key] })
	t.mu.Unlock()
}

// summary names the first changes of a plan.
func summary(plan []ipvs.Change) string {
	const most = 3
	words := make([]string, 0, most+1)
	for i := range plan {
		if i == most {
			words = append(words, "…")
			break
		}
		words = append(words, plan[i].String())
	}
	return strings.Join(words, ", ")
}
