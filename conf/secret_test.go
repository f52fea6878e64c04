package conf_test

import (
	"bytes"
	"strings"
	"testing"

	"keepalived-go/conf"
)

// masked returns a text with its secrets replaced by stars, byte for byte.
func masked(text string) string {
	lines := strings.Split(text, "\n")
	for i, spans := range conf.SecretSpans(lines) {
		b := []byte(lines[i])
		for _, at := range spans {
			copy(b[at[0]:at[1]], bytes.Repeat([]byte("*"), at[1]-at[0]))
		}
		lines[i] = string(b)
	}
	return strings.Join(lines, "\n")
}

func TestSecretSpans(t *testing.T) {
	const block = "vrrp_instance A {\nauthentication {\n"
	for _, tt := range []struct{ line, secret, kept string }{
		{"  auth_pass hunter2", "hunter2", "auth_pass"},
		{"  auth_pass hunter2 # here", "hunter2", "# here"},
		{"  auth_pass \"two words\"", "two words", "auth_pass"},
		{"  auth_pass two words", "words", "auth_pass"},
		{"authentication { auth_type PASS auth_pass hunter2 }", "hunter2", "auth_type PASS"},
		{"  auth_pas hunter2", "hunter2", "auth_pas"},
		{"  auht_pass hunter2", "hunter2", "auht_pass"},
		{"  pasword hunter2", "hunter2", "pasword"},
		{"  auth_pass=hunter2", "hunter2", "auth_pass"},
		{"auth_hmac { }ey 1 0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef", "ey 1"},
		{"  nothing /usr/lib/a/path/that/is/longer/than/a/key", "", "/usr/lib/a/path/that/is/longer/than/a/key"},
		{"  auth_pass = hunter2", "hunter2", "auth_pass"},
		{"  auth_pass: hunter2", "hunter2", "auth_pass"},
		{"  auth_passhunter2", "hunter2", "auth_pass"},
		{"  auth_pashunter2", "hunter2", "auth_pas"},
		{"  \"auth_pass hunter2\"", "hunter2", "auth_pass"},
		{"  \"auth_pass hunter2", "hunter2", "auth_pass"},
		{"  auth_pass hun#ter2", "ter2", "auth_pass"},
		{"  auth_p#ass hunter2", "hunter2", "auth_p"},
		{"# auth_pass hunter2", "hunter2", "auth_pass"},
		{"priority abc # auth_pass hunter2", "hunter2", "priority abc"},
		{"  auth_type PASS hunter2", "", "auth_type PASS"},
		{block + "  auth_type PASS hunter2", "hunter2", "auth_type PASS"},
		{block + "  auth_type hunter2", "hunter2", "auth_type"},
		{block + "  auth_type PASSS", "", "PASSS"},
		{block + "  hunter2", "hunter2", "authentication"},
		{block + "  auth_pass\nhunter2", "hunter2", "auth_pass"},
		{block + "  auth_pass\n}\nhunter2", "hunter2", "auth_pass"},
		{block + "  auth_pa}ss hunter2", "hunter2", "auth_pa"},
		{block + "  word hunter2", "hunter2", "authentication"},
		{"vrrp_instance A {\nauthentcation {\nword hunter2\n", "hunter2", "authentcation"},
		{"vrrp_instance A {\nvirtual_router_id 51 authentication {\nword hunter2\n", "hunter2", "51"},
		{"SSL { password hunter2 }", "hunter2", "SSL"},
		{"SSL {\nkey /etc/ssl/key.pem\n", "", "/etc/ssl/key.pem"},
		{"SSL {\npass\nword hunter2", "hunter2", "SSL"},
		{"  key 1 0123456789abcdef", "0123456789abcdef", "key 1"},
		{"  key 1 hex:00ff", "00ff", "key 1"},
		{"  key 1 file:/etc/key", "", "file:/etc/key"},
		{"  key /etc/ssl/key.pem", "", "/etc/ssl/key.pem"},
		{"vrrp_instance A {\nauth_hmac {\nkey 0123456789abcdef", "0123456789abcdef", "key"},
		{"vrrp_instance A {\nauth_hmac {\nkey 1=0123456789abcdef", "0123456789abcdef", "key 1"},
		{"vrrp_instance A {\nauth_hmac {\nkey1 0123456789abcdef", "0123456789abcdef", "key"},
		{"vrrp_instance A {\nauth_hmac {\nkey=1 0123456789abcdef", "0123456789abcdef", "key"},
		{"vrrp_instance A {\nauth_hmac {\nkey 1\n0123456789abcdef", "0123456789abcdef", "key 1"},
		{"vrrp_instance A {\nauth_hmac {\nactive_key 300", "", "300"},
		{"vrrp_instance A {\nauth_hmac {\nmode enforce", "", "enforce"},
		{"  active_key 300", "", "300"},
		{"global_defs {\nsmtp_auth user hunter2", "hunter2", "smtp_auth user"},
		{"global_defs {\nsmtp_auth hunter2", "hunter2", "smtp_auth"},
		{"global_defs {\nsmtp_auht user hunter2", "hunter2", "smtp_auht user"},
		{"global_defs {\nuser hunter2", "hunter2", "user"},
		{"global_defs {\nsmtp_auth user\nhunter2", "hunter2", "smtp_auth"},
		{"$PASSWORD=hunter2", "hunter2", "$PASSWORD="},
		{"$X=hunter2\nauth_pass $X", "hunter2", "auth_pass $X"},
		{"@node1 $X=hunter2\nauth_pass ${X}", "hunter2", "@node1 $X="},
		{"$Y=hunter2\n$X=${Y}\nauth_pass ${X}", "hunter2", "auth_pass ${X}"},
		{"$X =hunter2", "hunter2", "$X"},
		{"$X = hunter2", "hunter2", "$X"},
		{"X=hunter2", "hunter2", "X"},
		{"$X=\nhunter2", "hunter2", "$X="},
		{"$X\n=hunter2", "hunter2", "$X"},
		{"$Xhunter2\nauth_pass $X", "hunter2", "$X"},
		{"$X=a\nauth_pass x$X", "x$X", "auth_pass"},
		{"auth_pass $hunter2", "hunter2", "auth_pass"},
		{"$A=auth_pass hunter2\n$A\n", "hunter2", "$A=auth_pass"},
		{"@id auth_pass hunter2", "hunter2", "@id auth_pass"},
		{"~SEQ(X, 1, 3) auth_pass hunter2", "hunter2", "~SEQ(X, 1, 3) auth_pass"},
		{"track_script { chk_passage weight 300 }", "", "chk_passage weight 300"},
		{"vrrp_instance A {\nnotify /etc/password-change.sh x", "", "x"},
		{"vrrp_instance A {\npriority=100", "", "priority=100"},
		{"vrrp_instance A {\nprioriti 100", "", "prioriti 100"},
		{"vrrp_script A {\nscript \"/x --token abc\"", "", "--token abc"},
		{"$VIP=10.0.0.1\nvirtual_ipaddress {\n$VIP\n", "", "10.0.0.1"},
		{"$VPI=hunter2\nauth_pass $VIP\n", "hunter2", "$VPI="},
	} {
		t.Run(tt.line, func(t *testing.T) {
			got := masked(tt.line)
			if len(got) != len(tt.line) {
				t.Errorf("columns move: %q", got)
			}
			if tt.secret != "" && strings.Contains(got, tt.secret) || !strings.Contains(got, tt.kept) {
				t.Errorf("%q: want %q and not %q", got, tt.kept, tt.secret)
			}
		})
	}
}
