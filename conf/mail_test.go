package conf

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompleteMail(t *testing.T) {
	given := Mail{From: "ka@example.org", HeloName: "mx.example.org", Port: 26, Server: "192.0.2.1"}
	for _, c := range []struct {
		name, user string
		mail, want Mail
	}{
		{"everything is given", "root", given, given},
		{"the account and the host are asked", "root", Mail{Port: 25}, Mail{From: "root@host", HeloName: "host", Port: 25}},
		{"an account without a name", "", Mail{}, Mail{From: "keepalived@host", HeloName: "host"}},
	} {
		if diff := cmp.Diff(c.want, c.mail.Complete(c.user, "host")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
