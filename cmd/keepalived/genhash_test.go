package main

import (
	"bytes"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/internal/checkd/attempt"
	"keepalived-go/internal/tool/getopt"
)

// page serves a response on loopback, and returns the port.
func page(t *testing.T, response string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 4096))
			c.Write([]byte(response))
			c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// hashOf runs keepalived genhash.
func hashOf(t *testing.T, args ...string) (string, error) {
	t.Helper()
	h := hasher{http: attempt.HTTP{Connection: new(attempt.Connection)}}
	h.http.Timeout = 1 << 40
	if _, err := getopt.Parse(h.flags(), args); err != nil {
		return "", err
	}
	var b bytes.Buffer
	err := h.run(&b)
	return regexp.MustCompile(`= \d+ usecs`).ReplaceAllString(b.String(), "= N usecs"), err
}

// verboseHash is the output of the C daemon's genhash.
const verboseHash = `-----------------------[    HTTP Header Buffer    ]-----------------------
0000  48 54 54 50 2f 31 2e 31 - 20 32 30 30 20 4f 4b 0d   HTTP/1.1 200 OK.
0016  0a 58 3a 20 79 0d 0a 0d - 0a                        .X: y....       
-----------------------[ HTTP Header Ascii Buffer ]-----------------------
HTTP/1.1 200 OK
X: y


-----------------------[        HTML Buffer        ]-----------------------
0000  68 65 6c 6c 6f          -                           hello           

-----------------------[    HTML hash resulting    ]-----------------------
0000  5d 41 40 2a bc 4b 2a 76 - b9 71 9d 91 10 17 c5 92   ]A@*.K*v.q......
-----------------------[ HTML hash final resulting ]-----------------------
5d41402abc4b2a76b9719d911017c592

Global response time for [/h] = N usecs
`

func TestGenhash(t *testing.T) {
	port := page(t, "HTTP/1.1 200 OK\r\nX: y\r\n\r\nhello")
	missing := page(t, "HTTP/1.1 404 Not Found\r\n\r\nhello")
	broken := page(t, "hello")
	for _, test := range []struct {
		args, want, wrong string
	}{
		{"-s 127.0.0.1 -p " + port + " -u /h", "5d41402abc4b2a76b9719d911017c592\n", ""},
		{"--server=127.0.0.1 --port=" + port + " --url=/h --protocol=1.1 --use-virtualhost=x --timeout=20", "5d41402abc4b2a76b9719d911017c592\n", ""},
		{"-s 127.0.0.1 -p " + missing + " -u /h -P 1.0C", "5d41402abc4b2a76b9719d911017c592\n", ""},
		{"-v -s 127.0.0.1 -p " + port + " -u /h", verboseHash, ""},
		{"-s 127.0.0.1 -p " + broken + " -u /h", "", "without the end of an HTTP header"},
		{"-S -s 127.0.0.1 -p " + port + " -u /h", "", "TLS"},
		{"-s 127.0.0.1 -p 1 -u /h", "", "connection refused"},
		{"-s nohost", "", "server should be an IP, not nohost"},
		{"-P 1.7", "", "invalid HTTP protocol version '1.7'"},
		{"-p 65536", "", "0 to 65535"},
		{"-u /\r\nX:", "", "a blank or a control character"},
	} {
		got, err := hashOf(t, strings.Split(test.args, " ")...)
		if (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
			t.Errorf("%s: %v, want %q", test.args, err, test.wrong)
		}
		if err == nil {
			if diff := cmp.Diff(test.want, strings.ReplaceAll(got, "\r", "")); diff != "" {
				t.Errorf("%s (-want +got)\n%s", test.args, diff)
			}
		}
	}
}
