package supervisor

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/conf"
)

func TestDumpFields(t *testing.T) {
	v := &conf.VRRPInstance{
		Name: "VI_1", Interface: "eth0", VRID: 51, AdvertInterval: 250 * time.Millisecond,
		Auth: conf.Auth{Type: conf.AuthPass, Password: "hidden"},
		HMAC: conf.HMAC{Keys: map[uint8]conf.Secret{1: "hidden"}},
		Addresses: []conf.Address{{Prefix: netip.MustParsePrefix("192.0.2.10/24"), Interface: "eth0",
			Pos: conf.Pos{File: "k.conf", Line: 5}}},
	}
	var lines []string
	dumpFields("   ", reflect.ValueOf(*v), func(l string) { lines = append(lines, l) })
	want := `   Interface = eth0
   VRID = 51
   Advert interval = 250ms
   Auth:
     Type = 1
     Password = ********
   HMAC:
     Keys = map[1:********]
   Addresses (1):
     Prefix 192.0.2.10/24, Interface eth0`
	if diff := cmp.Diff(want, strings.Join(lines, "\n")); diff != "" {
		t.Errorf("dump (-want +got):\n%s", diff)
	}
}
