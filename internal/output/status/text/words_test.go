package text

import (
	"reflect"
	"testing"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/statustest"
)

// TestEachWordIsShown checks that if a dump shows a value that has words in the language,
// it shows each of them differently.
func TestEachWordIsShown(t *testing.T) {
	vrrp := statustest.VRRP(t, statustest.Load(t))
	vrrp.Conf.Instances[0].Link = &conf.Link{AddressVMACs: true}
	servers := statustest.LVS(t, statustest.LoadLVS(t))
	statustest.Words(t, map[string]statustest.View{
		"data":  {Conf: vrrp.Conf, Dump: func() []byte { return Data(vrrp) }},
		"check": {Conf: servers.Conf, Dump: func() []byte { return LVS(servers) }},
		"check before the start": {Conf: servers.Conf, Dump: func() []byte {
			return LVS(status.Configured(servers.Conf))
		}},
	},
		reflect.TypeFor[conf.AuthType](), reflect.TypeFor[conf.LinkKind](), reflect.TypeFor[conf.ParamMatch](),
		reflect.TypeFor[conf.RxBufPolicy](), reflect.TypeFor[conf.TrackKind](), reflect.TypeFor[conf.ForwardMethod]())
}
