package checkd

import (
	"strings"
	"testing"

	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/proc/act"
)

// TestActTestNotify checks which virtual and real servers a name denotes, and which
// requests are refused.
func TestActTestNotify(t *testing.T) {
	logtest.Capture(t)
	p := start(t, virtual("quorum_down /no/such/down",
		"    real_server 10.1.0.2 80 {\n        notify_up /no/such/up\n    }\n    real_server 10.1.0.2 81 { }\n")+
		"virtual_server fwmark 9 {\n    protocol TCP\n    lb_algo rr\n    lb_kind NAT\n    quorum_up /no/such/quorum\n    real_server 10.1.0.4 81 { }\n}\n", nil)
	for _, test := range []struct{ name, state, want string }{
		{"10.0.0.1:80", "down", `{"name":"[10.0.0.1]:tcp:80","state":"DOWN","present":"UP","reports":[{"keyword":"quorum_down","to":"/no/such/down","result":"could not be started: `},
		{"10.0.0.1", "", "nobody is notified of UP of [10.0.0.1]:tcp:80"},
		{"FWM 9", "", `{"name":"FWM 9","state":"UP","present":"UP","reports":[{"keyword":"quorum_up"`},
		{"10.1.0.2:80", "", `{"name":"[10.0.0.1]:tcp:80 [10.1.0.2]:tcp:80","state":"UP","present":"UP","reports":[{"keyword":"notify_up"`},
		{"10.1.0.2:80", "DOWN", "nobody is notified of DOWN of [10.0.0.1]:tcp:80 [10.1.0.2]:tcp:80"},
		{"10.1.0.2", "", "10.1.0.2 are 2 real servers; name one, such as [10.0.0.1]:tcp:80 [10.1.0.2]:tcp:80"},
		{"10.1.0.9", "", "there is no virtual or real server 10.1.0.9; keepalived servers lists those that there are"},
		{"10.0.0.1:8080", "", `there is no virtual or real server 10.0.0.1:8080; did you mean "[10.0.0.1]:tcp:80"? keepalived servers`},
		{"10.1.0.4:8081", "", `there is no virtual or real server 10.1.0.4:8081; did you mean "FWM 9 [10.1.0.4]:none:81"? keepalived servers`},
		{"FWM 8", "", `there is no virtual or real server FWM 8; did you mean "FWM 9"? keepalived servers`},
		{"[web]:0", "", "there is no virtual or real server [web]:0; keepalived servers lists those that there are"},
		{"10.0.0.1", "MASTER", `10.0.0.1 reports no "MASTER"; expected UP or DOWN`},
	} {
		if got := p.acted(act.Act{Kind: act.TestNotify, Name: test.name, State: test.state}); !strings.Contains(got, test.want) {
			t.Errorf("%s %s: %s\nwant %s", test.name, test.state, got, test.want)
		}
	}
}
