package checkd

import (
	"crypto/tls"
	"fmt"
	"reflect"
	"testing"

	"keepalived-go/conf"
	"keepalived-go/internal/checkd/attempt"
	"keepalived-go/internal/policy"
)

// TestEachWordHasAnEffect checks that each kind of check has its own implementation,
// and each http_protocol its own value.
func TestEachWordHasAnEffect(t *testing.T) {
	kinds := map[string]string{}
	for i, word := range conf.Names(reflect.TypeFor[conf.CheckKind]()) {
		c := &conf.Check{Kind: conf.CheckKind(i), Connect: &conf.Connection{}, HTTP: &conf.HTTPCheck{}, SMTP: &conf.SMTPCheck{}, DNS: &conf.DNSCheck{},
			Misc: &conf.MiscCheck{Command: conf.Command{Args: []string{"/bin/true"}}}, BFD: &conf.BFDCheck{}, UDP: &conf.UDPCheck{}, File: &conf.FileCheck{}}
		kind, err := kindOf(&policy.ServerCheck{Service: &conf.VirtualServer{}, Server: &conf.RealServer{}, Check: c}, "", &conf.Config{}, &tls.Config{})
		if err != nil {
			t.Errorf("%s: %v", word, err)
			continue
		}
		what := fmt.Sprintf("%T", kind)
		if h, ok := kind.(*attempt.HTTP); ok {
			what += fmt.Sprintf(" with TLS: %t", h.TLS != nil)
		}
		if other, taken := kinds[what]; taken {
			t.Errorf("%s and %s are both %s", other, word, what)
		}
		kinds[what] = word
	}
	protocols := map[attempt.Protocol]string{}
	for i, word := range conf.Names(reflect.TypeFor[conf.HTTPProtocol]()) {
		p := protocolOf(conf.HTTPProtocol(i))
		if other, taken := protocols[p]; taken {
			t.Errorf("%s and %s are both %d", other, word, p)
		}
		protocols[p] = word
	}
}
