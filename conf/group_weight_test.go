package conf

import (
	"fmt"
	"strings"
	"testing"
)

// TestWeightsInSyncGroup checks that the weights of a member of a sync group, which
// cannot leave the group by its priority alone, are treated as by the C daemon.
func TestWeightsInSyncGroup(t *testing.T) {
	const trackers = `
vrrp_script chk {
 script /bin/true
 weight -20
}
vrrp_script fault {
 script /bin/true
}
track_file level {
 file /tmp/level
 weight 2
}
vrrp_track_process daemon {
 process nginx
 weight 5
}
`
	instance := func(name string, vrid int, more string) string {
		return fmt.Sprintf("vrrp_instance %s {\n interface eth0\n virtual_router_id %d\n virtual_ipaddress {\n  192.0.2.%d\n }\n%s}\n", name, vrid, vrid, more)
	}
	const tracks = " track_script {\n  chk\n  fault\n }\n track_file {\n  level\n }\n track_process {\n  daemon\n }\n track_interface {\n  eth1 weight 10\n }\n"
	for _, tt := range []struct{ word, want string }{
		{"", "track_script fault 0, track_file level 0"},
		{"sync_group_tracking_weight\n", "track_script chk -20, track_script fault 0, track_file level 2, track_process daemon 5, track_interface eth1 10"},
	} {
		text := trackers + "vrrp_sync_group G {\n group {\n  A\n  B\n }\n" + tt.word + "}\n" +
			instance("A", 1, tracks) + instance("B", 2, "")
		c, diags := load(t, text, Options{})
		var got []string
		for _, k := range c.Instances[0].Track {
			got = append(got, fmt.Sprint(k.Kind, " ", k.Name, " ", k.Weight))
		}
		if s := strings.Join(got, ", "); s != tt.want {
			t.Errorf("%q: tracked are %s\nwant %s\n%v", tt.word, s, tt.want, diags)
		}
	}
}
