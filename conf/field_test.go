package conf

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEachWordHasItsField finds words whose value is stored nowhere in the model, or
// whose row does not name the field.
func TestEachWordHasItsField(t *testing.T) {
	// Words that only change the effect of others.
	without := []string{
		"include_check", "linkbeat_use_polling", "native_ipv6", "no_virtual_ipaddress", "global_tracking", "user",
		"lvs_sync_daemon_interface", "tls_compliant", "virtualhost",
		"vrrp_garp_interval", "vrrp_gna_interval", "vrrp_min_garp", "garp_interval", "gna_interval", "interface",
		"smtp_alert", "smtp_alert_vrrp", "smtp_alert_checker", "vrrp_garp_extra_if", "vrrp_vmac_garp_intvl",
		"fwmark",
	}
	fields := 0
	for k := range Schema() {
		fields += len(k.Fields)
		if len(k.Fields) > 0 || k.HasBlock() || k.Entry() || k.option || k.home == nil || slices.Contains(without, k.Name) {
			continue
		}
		if strings.HasPrefix(k.Name, "vrrp_garp_") { // shown where they take effect
			continue
		}
		t.Errorf("%s names no field", k.Path())
	}
	if fields < 400 {
		t.Errorf("only %d fields", fields)
	}
}

// TestRowsThatCannotBe builds rows whose arguments do not fit the type of their field.
func TestRowsThatCannotBe(t *testing.T) {
	for name, row := range map[string]func() *Keyword{
		"a word for a number": func() *Keyword {
			return kw("x", word("X"), "", "").fills(inGlobal(func(g *Global) *int { return &g.JSONVersion }))
		},
		"a number for a switch": func() *Keyword {
			return kw("x", number(0, 1), "", "").fills(inGlobal(func(g *Global) *bool { return &g.UsePidDir }))
		},
		"too large": func() *Keyword {
			return kw("x", number(0, 256), "", "").fills(inInstance(func(v *VRRPInstance) *uint8 { return &v.VRID }))
		},
		"negative": func() *Keyword {
			return kw("x", number(-1, 5), "", "").fills(inInstance(func(v *VRRPInstance) *uint8 { return &v.TTL }))
		},
		"no field": func() *Keyword {
			return kw("x", seconds(0, 1), "", "").fills(inGlobal(func(*Global) *time.Duration { return new(time.Duration) }))
		},
		"no heir": func() *Keyword {
			b := vocabulary("x", kw("x", onOff(), global("vrrp_strict"), "").fills(inInstance(func(v *VRRPInstance) *bool { return &v.Strict })))
			b.link(nil, map[string]*Keyword{})
			return nil
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: the row is taken", name)
				}
			}()
			vocabulary("x", row())
		}()
	}
}

// TestRowAlone checks the effect of a row that names nothing but its field.
func TestRowAlone(t *testing.T) {
	read := func(words string) *VRRPInstance {
		cfg, diags := load(t, "global_defs {\nvrrp_skip_check_adv_addr\n}\n"+instanceText("V", 1, words), Options{})
		if len(cfg.Instances) != 1 || len(diags) > 0 {
			t.Fatal(words, diags)
		}
		return cfg.Instances[0]
	}
	if v := read(""); v.AdvertInterval != time.Second || v.TTL != 255 || !v.SkipCheckAdvertAddresses || v.NoPreempt || v.HMAC.Mode != HMACOff {
		t.Errorf("defaults: %+v", v)
	}
	v := read("advert_int 2.5\nversion 3\nskip_check_adv_addr off\nnopreempt\nstate BACKUP\ndebug 3\ndown_timer_adverts 7\n")
	if v.AdvertInterval != 2500*time.Millisecond || v.SkipCheckAdvertAddresses || !v.NoPreempt || v.Debug != 3 || v.DownTimerAdverts != 7 {
		t.Errorf("written: %+v", v)
	}
	if v := read("nopreempt\npreempt\n"); v.NoPreempt {
		t.Error("preempt does not undo nopreempt")
	}
	if v := read("auth_hmac {\nkey 1 0123456789abcdef0123456789abcdef\nactive_key 1\nmode receive-only\ntime_window 9\n}\n"); v.HMAC.Mode != HMACReceiveOnly || v.HMAC.Window != 9*time.Second {
		t.Errorf("hmac: %+v", v.HMAC)
	}
}
