package policy

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"keepalived-go/conf"
	"keepalived-go/lvs"
)

// fullCheck returns a check with a value in every part.
func fullCheck() *conf.Check {
	return &conf.Check{
		CheckTiming: &conf.CheckTiming{},
		Connect:     &conf.Connection{Addr: netip.MustParseAddr("192.0.2.1"), Bind: netip.MustParseAddr("192.0.2.2")},
		HTTP:        &conf.HTTPCheck{URLs: []conf.URL{{Path: "/", Status: []conf.StatusRange{{First: 200, Last: 299}}, Regex: &conf.Regex{Options: []string{"a"}}}}},
		SMTP:        &conf.SMTPCheck{}, DNS: &conf.DNSCheck{}, Misc: &conf.MiscCheck{Command: conf.Command{Args: []string{"x"}}},
		BFD: &conf.BFDCheck{}, UDP: &conf.UDPCheck{Payload: []byte{1}, Reply: []byte{1}, ReplyMask: []byte{1}}, File: &conf.FileCheck{},
	}
}

// TestCheckKey checks that every field of a check is part of its key, except its
// intervals, what is logged about it and its position.
func TestCheckKey(t *testing.T) {
	outside := []string{".Alpha", ".LogAllFailures", ".Pos", ".CheckTiming", ".Connect.Timeout", ".Misc.Command.Pos", ".Misc.Timeout", ".HTTP.FastRecovery"}
	before := CheckKey(fullCheck())
	var visit func(path string, of func(*conf.Check) reflect.Value)
	visit = func(path string, of func(*conf.Check) reflect.Value) {
		if slices.Contains(outside, path) {
			return
		}
		switch v := of(fullCheck()); v.Kind() {
		case reflect.Pointer:
			visit(path, func(c *conf.Check) reflect.Value { return of(c).Elem() })
			return
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[netip.Addr]() {
				break
			}
			for i := range v.NumField() {
				visit(path+"."+v.Type().Field(i).Name, func(c *conf.Check) reflect.Value { return of(c).Field(i) })
			}
			return
		case reflect.Slice:
			visit(path+"[]", func(c *conf.Check) reflect.Value { return of(c).Index(0) })
			return
		}
		c := fullCheck()
		switch v := of(c); v.Interface().(type) {
		case netip.Addr:
			v.Set(reflect.ValueOf(netip.MustParseAddr("198.51.100.7")))
		default:
			switch {
			case v.CanInt():
				v.SetInt(v.Int() + 1)
			case v.CanUint():
				v.SetUint(v.Uint() + 1)
			case v.Kind() == reflect.Bool:
				v.SetBool(!v.Bool())
			case v.Kind() == reflect.String:
				v.SetString(v.String() + "x")
			default:
				t.Fatalf("%s: kind %v", path, v.Kind())
			}
		}
		if CheckKey(c) == before {
			t.Errorf("%s is no part of the key", path)
		}
	}
	visit("", func(c *conf.Check) reflect.Value { return reflect.ValueOf(c).Elem() })
	for _, path := range outside {
		c := fullCheck()
		v := reflect.ValueOf(c).Elem()
		for _, name := range strings.Split(path[1:], ".") {
			if v = reflect.Indirect(v).FieldByName(name); !v.IsValid() {
				t.Fatalf("%s: no such field", path)
			}
		}
		switch {
		case v.Kind() == reflect.Bool:
			v.SetBool(!v.Bool())
		case v.CanInt():
			v.SetInt(1)
		case v.Kind() == reflect.Pointer:
			v.Set(reflect.ValueOf(&conf.CheckTiming{DelayLoop: time.Second}))
		}
		if CheckKey(c) != before {
			t.Errorf("%s is part of the key", path)
		}
	}
}

func loadBalancer(t *testing.T, text string) *LoadBalancer {
	t.Helper()
	c, problems := conf.Load("k.conf", conf.Options{Unsaved: func(string) (string, bool) { return text, true }})
	for _, p := range problems {
		if p.Severity >= conf.Error {
			t.Fatal(p)
		}
	}
	return ServiceConfig(c, nil)
}

// TestEndpoints checks that a group is replaced by its addresses, with ranges expanded,
// and its marks.
func TestEndpoints(t *testing.T) {
	const text = `
virtual_server_group w {
    10.0.0.254-255 80
    10.0.1.1 443
    fwmark 7 inet
    2001:db8::1-2 80
}
virtual_server group w {
    protocol TCP
    lb_algo rr
    lb_kind DR
    real_server 10.0.2.1 80 {
        TCP_CHECK {
        }
    }
}
`
	list := func(b *LoadBalancer) string {
		var words []string
		for _, e := range b.Config.Services[0].Endpoints {
			words = append(words, e.String())
		}
		return strings.Join(words, " ")
	}
	b := loadBalancer(t, text)
	const want = "[10.0.0.254]:tcp:80 [10.0.0.255]:tcp:80 [10.0.1.1]:tcp:443 FWM 7 [2001:db8::1]:tcp:80 [2001:db8::2]:tcp:80"
	if got := list(b); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if id := b.Config.Services[0].ID; id.Group != "w" || id.Protocol != lvs.TCP {
		t.Errorf("identity %+v", id)
	}
	// With nftables_ipvs a group that has a mark itself does not change.
	if got := list(loadBalancer(t, "global_defs {\n nftables_ipvs\n}\n"+text)); got != want {
		t.Errorf("with nftables_ipvs %s", got)
	}
}

// TestServiceConfig checks that a service in the kernel has the configured values.
func TestServiceConfig(t *testing.T) {
	b := loadBalancer(t, `
virtual_server 192.0.2.1 53 {
    protocol UDP
    ops
    lb_algo sh
    sh-port
    sh-fallback
    lb_kind TUN
    persistence_timeout 50
    persistence_granularity 255.255.255.0
    quorum 3
    hysteresis 1
    alpha
    omega
    inhibit_on_failure
    sorry_server 192.0.2.9 53
    real_server 192.0.2.2 53 {
        weight 4
        lvs_method TUN type gue port 6080 csum
        uthreshold 10
        lthreshold 5
        DNS_CHECK {
            name a.example
        }
        MISC_CHECK {
            misc_path "/bin/false x"
        }
    }
    real_server 192.0.2.3 53 {
        UDP_CHECK {
        }
    }
}
`)
	s := &b.Config.Services[0]
	if s.ID.String() != "[192.0.2.1]:udp:53" || s.Quorum != 3 || s.Hysteresis != 1 || !s.Omega || s.HASuspend {
		t.Errorf("%+v", s)
	}
	want := lvs.Attributes{Scheduler: "sh", Flags: lvs.OnePacket | lvs.SchedFlag1 | lvs.SchedFlag2, Persistence: 50, Granularity4: s.Attributes.Granularity4}
	if s.Attributes != want || s.Attributes.Granularity4 == 0 {
		t.Errorf("attributes %+v", s.Attributes)
	}
	r := s.Servers[0]
	method := lvs.DestinationAttributes{Method: lvs.Tunnel, Tunnel: lvs.GUE, TunnelPort: 6080, Checksum: lvs.Checksum, UpperThreshold: 10, LowerThreshold: 5}
	if r.Attributes != method || r.Weight != 4 || !r.Inhibit || len(r.Checks) != 2 || !r.Checks[0].Alpha {
		t.Errorf("server %+v", r)
	}
	if s.Sorry == nil || s.Sorry.Addr.String() != "192.0.2.9:53" || s.Sorry.Weight != 1 {
		t.Errorf("sorry server %+v", s.Sorry)
	}
	var names []string
	for i := range b.Checks {
		k := &b.Checks[i]
		names = append(names, fmt.Sprintf("%v %s", k.Check.Kind, k.Name()))
	}
	if got := strings.Join(names, ", "); got != "DNS_CHECK [192.0.2.2]:udp:53, MISC_CHECK [192.0.2.2]:udp:53, UDP_CHECK [192.0.2.3]:udp:53" {
		t.Errorf("checks %s", got)
	}
}

func TestSubjects(t *testing.T) {
	if s, name := SubjectOf(InstanceState.Of("VI 1")); s != InstanceState || name != "VI 1" {
		t.Errorf("%q %q", s, name)
	}
}
