package vrrpd

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/conf"
	"keepalived-go/internal/output/notify"
	"keepalived-go/internal/output/status"
)

func command(words ...string) conf.Command { return conf.Command{Args: words} }

// everyScript returns a Notify with a different script for each keyword.
func everyScript() *conf.Notify {
	return &conf.Notify{
		Any: command("any", "1"), Master: command("master"), Backup: command("backup"), Fault: command("fault"),
		Stop: command("stop"), Deleted: command("deleted"), MasterRxLowerPri: command("rx_lower"),
		SignalDeleted: true,
	}
}

func TestWhichScriptsAndLines(t *testing.T) {
	with := func(change func(*conf.Notify)) *conf.Notify {
		to := everyScript()
		change(to)
		return to
	}
	all := everyScript()
	instance := func(h happening, to *conf.Notify) notice { return notice{name: "VI_1", what: h, priority: 105, to: to} }
	for _, c := range []struct {
		name   string
		notice notice
		steps  []string
		line   string
	}{
		{"master", instance(becameMaster, all), []string{"master", "any 1 INSTANCE VI_1 MASTER 105"}, `INSTANCE "VI_1" MASTER 105`},
		{"backup", instance(becameBackup, all), []string{"backup", "any 1 INSTANCE VI_1 BACKUP 105"}, `INSTANCE "VI_1" BACKUP 105`},
		{"fault", instance(becameFault, all), []string{"fault", "any 1 INSTANCE VI_1 FAULT 105"}, `INSTANCE "VI_1" FAULT 105`},
		{"stop", instance(stopped, all), []string{"stop", "any 1 INSTANCE VI_1 STOP 105"}, `INSTANCE "VI_1" STOP 105`},
		{"deleted", instance(deleted, all), []string{"deleted", "any 1 INSTANCE VI_1 DELETED 105"}, `INSTANCE "VI_1" DELETED 105`},
		{"deleted with notify_deleted that names no script",
			instance(deleted, with(func(n *conf.Notify) { n.Deleted = conf.Command{} })),
			[]string{"any 1 INSTANCE VI_1 DELETED 105"}, `INSTANCE "VI_1" DELETED 105`},
		{"deleted without notify_deleted is a fault to all but notify_fault",
			instance(deleted, with(func(n *conf.Notify) { n.Deleted, n.SignalDeleted = conf.Command{}, false })),
			[]string{"any 1 INSTANCE VI_1 FAULT 105"}, `INSTANCE "VI_1" FAULT 105`},
		{"lower priority received: not by notify", instance(receivedLower, all), []string{"rx_lower"}, `INSTANCE "VI_1" MASTER_RX_LOWER_PRI 105`},
		{"priority of a master", instance(masterPriorityChanged, with(func(n *conf.Notify) { n.PriorityChanges = true })),
			nil, `INSTANCE "VI_1" MASTER_PRIORITY 105`},
		{"priority of a backup", instance(backupPriorityChanged, with(func(n *conf.Notify) { n.PriorityChanges = true })),
			nil, `INSTANCE "VI_1" BACKUP_PRIORITY 105`},
		{"priority without notify_priority_changes", instance(masterPriorityChanged, all), nil, ""},
		{"nobody to tell but FIFOs", instance(deleted, &conf.Notify{}), nil, `INSTANCE "VI_1" FAULT 105`},
		{"group", notice{group: true, name: "G 1", what: becameBackup, to: all},
			[]string{"backup", "any 1 GROUP G 1 BACKUP 0"}, `GROUP "G 1" BACKUP 0`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var steps []string
			for _, s := range c.notice.Event().Steps {
				steps = append(steps, strings.Join(append(slices.Clone(s.Command.Args), s.Extra...), " "))
			}
			if diff := cmp.Diff(c.steps, steps); diff != "" {
				t.Errorf("scripts (-want +got):\n%s", diff)
			}
			want := c.line
			if want != "" {
				want += "\n"
			}
			if got := c.notice.Event().Line; got != want {
				t.Errorf("FIFO line %q, want %q", got, want)
			}
		})
	}
	e := instance(becameMaster, nil)
	if got := e.Event().Line; got != "INSTANCE \"VI_1\" MASTER 105\n" {
		t.Errorf("FIFO line of an instance without notifications: %q", got)
	}
}

// TestMailWords checks that subjects and bodies of mails are those of the C daemon, and
// that an event that is not a change of state has no mail.
func TestMailWords(t *testing.T) {
	const gained, lost = "=> VRRP Instance is now owning VRRP VIPs <=", "=> VRRP Instance is no longer owning VRRP VIPs <="
	all := &conf.Notify{SMTPAlert: true, SignalDeleted: true, PriorityChanges: true}
	plain := &conf.Notify{SMTPAlert: true}
	for _, c := range []struct {
		notice notice
		want   notify.Mail
	}{
		{notice{name: "A", what: becameMaster, to: all}, notify.Mail{Subject: "VRRP Instance A - Entering MASTER state", Body: gained}},
		{notice{name: "A", what: becameBackup, to: all}, notify.Mail{Subject: "VRRP Instance A - Entering BACKUP state", Body: lost}},
		{notice{name: "A", what: becameFault, to: all}, notify.Mail{Subject: "VRRP Instance A - Entering FAULT state", Body: lost, Fault: true}},
		{notice{name: "A", what: stopped, to: all}, notify.Mail{Subject: "VRRP Instance A - Stopping", Body: "=> VRRP Instance stopping <="}},
		{notice{name: "A", what: deleted, to: all}, notify.Mail{Subject: "VRRP Instance A - Deleted", Body: "=> VRRP Deleted at reload <="}},
		{notice{name: "A", what: deleted, to: plain}, notify.Mail{Subject: "VRRP Instance A - Entering FAULT state", Body: lost, Fault: true}},
		{notice{group: true, name: "G", what: becameFault, to: all}, notify.Mail{Subject: "VRRP Group G - Entering FAULT state",
			Body: "=> All VRRP group instances are now in FAULT state <=", Fault: true}},
		{notice{group: true, name: "G", what: stopped, to: all}, notify.Mail{Subject: "VRRP Group G - Stopping", Body: "=> VRRP Group stopping <="}},
		{notice{name: "A", what: receivedLower, to: all}, notify.Mail{}},
		{notice{name: "A", what: masterPriorityChanged, to: all}, notify.Mail{}},
		{notice{name: "A", what: backupPriorityChanged, to: all}, notify.Mail{}},
		{notice{name: "A", what: becameMaster}, notify.Mail{}},
		{notice{name: "A", what: becameMaster, to: &conf.Notify{}}, notify.Mail{}},
		{notice{name: "A", what: becameMaster, to: all, fifoOnly: true}, notify.Mail{}},
	} {
		if got := c.notice.Event().Mail; got != c.want {
			t.Errorf("%+v: %+v, want %+v", c.notice, got, c.want)
		}
	}
}

// TestNotifyConfig checks that the owners of notifications are known before the first
// event, with all their scripts in the order of dumps.
func TestNotifyConfig(t *testing.T) {
	c := &conf.Config{
		Instances:  []*conf.VRRPInstance{{Name: "A", Notify: everyScript()}, {Name: "silent"}},
		SyncGroups: []*conf.SyncGroup{{Name: "G", Notify: &conf.Notify{SMTPAlert: true}}},
	}
	c.Global.VRRPFIFO.Path, c.Global.LVSFIFO.Path = "/run/vrrp", "/run/lvs"
	got := notifyConfig(c)
	if len(got.Owners) != 2 || got.Owners[0].Owner != groupOwner("G") || len(got.Owners[0].Steps) != 0 || got.Owners[1].Owner != instanceOwner("A") {
		t.Errorf("owners %+v", got.Owners)
	}
	var keywords []string
	for _, s := range got.Owners[1].Steps {
		keywords = append(keywords, s.Keyword)
	}
	want := []string{"notify_master", "notify_backup", "notify_fault", "notify_stop", "notify_deleted", "notify_master_rx_lower_pri", "notify"}
	if diff := cmp.Diff(want, keywords); diff != "" {
		t.Errorf("scripts (-want +got):\n%s", diff)
	}
	if len(got.FIFOs) != 2 || got.FIFOs[1].Path != "/run/vrrp" {
		t.Errorf("FIFOs %+v", got.FIFOs)
	}
	owners := []status.Owner{{Kind: status.KindInstance, Name: "B"}, {Kind: status.KindInstance, Name: "A"}, {Kind: status.KindGroup, Name: "Z"}}
	slices.SortFunc(owners, status.CompareOwners)
	if owners[0].Name != "Z" || owners[1].Name != "A" {
		t.Errorf("order %+v", owners)
	}
}
