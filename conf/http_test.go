package conf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHTTP checks which data is served on which address, and that none is if the token or
// certificate is not valid.
func TestHTTP(t *testing.T) {
	file := func(name string, mode os.FileMode, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const token, tls = "0123456789abcdef", " http_tls_cert c\n http_tls_key k\n"
	good, open, long := file("good", 0o600, token+"\n"), file("open", 0o644, token), file("long", 0o600, strings.Repeat("x", 4096))
	for _, test := range []struct {
		text, listen, code string
		token              Secret
	}{
		{"", "", "", ""},
		{"http_listen 8080", "127.0.0.1:8080", "", ""},
		{"http_listen [::1]:8080", "[::1]:8080", "", ""},
		{"http_listen 127.0.0.1:8080\n http_token " + token, "127.0.0.1:8080", "", token},
		{"http_listen 8080\n http_token file:" + good, "127.0.0.1:8080", "", token},
		{"http_listen 8080\n http_token file:" + open, "", "hmac-file-mode", ""},
		{"http_listen 8080\n http_token file:" + long, "", "http-token", ""},
		{"http_listen 8080\n http_token file:/nowhere", "", "http-token", ""},
		{"http_listen 8080\n http_token short", "", "http-token", ""},
		{"http_listen 192.0.2.1:8080", "", "http-open", ""},
		{"http_listen 0.0.0.0:8080\n" + tls, "", "http-open", ""},
		{"http_listen [::]:8080\n http_token " + token, "", "http-open", token},
		{"http_listen 192.0.2.1:8080\n http_token " + token + "\n" + tls, "192.0.2.1:8080", "", token},
		{"http_listen 8080\n http_tls_key k", "", "http-tls", ""},
		{"http_listen 8080\n no_control_socket", "", "http-alone", ""},
		{"http_listen 0", "", "http-address", ""},
		{"http_listen 192.0.2.1", "", "http-address", ""},
		{"http_listen :8080", "", "http-address", ""},
	} {
		c, diags := load(t, "global_defs {\n "+test.text+"\n}\n", Options{})
		codes := ""
		for _, d := range diags {
			codes += d.Code
			if strings.Contains(fmt.Sprint(d), token) {
				t.Errorf("%q: the token is in %v", test.text, d)
			}
		}
		if h := c.Global.Control.HTTP; h.Listen != test.listen || h.Token != test.token || codes != test.code {
			t.Errorf("%q: at %q, token of %d bytes, codes %q", test.text, h.Listen, len(h.Token), codes)
		}
	}
}
