package controld

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keepalived-go/conf"
)

// TestGuard checks that over TCP only reading is allowed, and only with the right name
// and token.
func TestGuard(t *testing.T) {
	const token = "0123456789abcdef"
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reply(w, "inside") })
	for _, test := range []struct {
		listen, token, method, host, authorization string
		code                                       int
	}{
		{"127.0.0.1:80", "", "GET", "localhost:80", "", 200},
		{"127.0.0.1:80", "", "HEAD", "LocalHost", "", 200},
		{"127.0.0.1:80", "", "GET", "127.0.0.1:9999", "", 200},
		{"[::1]:80", "", "GET", "[::1]:80", "", 200},
		{"127.0.0.1:80", "", "GET", "evil.example:80", "", 421},
		{"127.0.0.1:80", "", "GET", "localhost.evil.example", "", 421},
		{"127.0.0.1:80", "", "GET", "", "", 421},
		{"127.0.0.1:80", "", "POST", "localhost", "", 405},
		{"127.0.0.1:80", "", "PUT", "localhost", "", 405},
		{"127.0.0.1:80", token, "GET", "localhost", "", 401},
		{"127.0.0.1:80", token, "POST", "localhost", "Bearer " + token, 405},
		{"192.0.2.1:80", token, "GET", "node.example", "Bearer " + token, 200},
		{"192.0.2.1:80", token, "GET", "node.example", "Basic eDowMTIzNDU2Nzg5YWJjZGVm", 200}, // x:0123…
		{"192.0.2.1:80", token, "GET", "node.example", "Bearer " + token + "0", 401},
		{"192.0.2.1:80", token, "GET", "node.example", "Bearer ", 401},
		{"192.0.2.1:80", token, "GET", "node.example", token, 200}, // without the word before it
		{"192.0.2.1:80", token, "GET", "node.example", "Basic !", 401},
	} {
		s := &web{conf: conf.HTTP{Listen: test.listen, Token: conf.Secret(test.token)}}
		r := httptest.NewRequest(test.method, "/v1/status", nil)
		r.Host = test.host
		if test.authorization != "" {
			r.Header.Set("Authorization", test.authorization)
		}
		w := httptest.NewRecorder()
		s.guard(inner).ServeHTTP(w, r)
		if w.Code != test.code || strings.Contains(w.Body.String(), "inside") != (test.code == 200) {
			t.Errorf("%+v: %d %s", test, w.Code, w.Body)
		}
		for name, want := range headers {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%+v: %s: %q", test, name, got)
			}
		}
		if len(w.Result().Cookies()) > 0 {
			t.Error("a cookie")
		}
	}
}

// certify writes a certificate for a name, and its key.
func certify(t *testing.T, cert, key, name string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	body, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: body}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRenewal checks that a renewed certificate is used, and that an incomplete one is
// not.
func TestRenewal(t *testing.T) {
	dir := t.TempDir()
	c := certificate{files: conf.HTTP{Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}}
	if _, err := c.get(nil); err == nil {
		t.Error("no file, and no error")
	}
	age := time.Hour
	want := func(name string) {
		t.Helper()
		age -= time.Minute
		for _, file := range []string{c.files.Cert, c.files.Key} { // with a later time than before
			if err := os.Chtimes(file, time.Time{}, time.Now().Add(-age)); err != nil {
				t.Fatal(err)
			}
		}
		c.looked = time.Time{}
		got, err := c.get(nil)
		if err != nil || got.Leaf.DNSNames[0] != name {
			t.Errorf("%v, want %s", err, name)
		}
	}
	certify(t, c.files.Cert, c.files.Key, "first.example")
	want("first.example")
	if err := os.WriteFile(c.files.Cert, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	want("first.example")
	certify(t, c.files.Cert, c.files.Key, "second.example")
	want("second.example")
}

// TestTCP checks that the answers are served over TLS, and that many silent clients do
// not take connections from clients of the socket.
func TestTCP(t *testing.T) {
	dir := t.TempDir()
	c := conf.HTTP{Listen: "127.0.0.1:0", Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key"), Token: "0123456789abcdef"}
	certify(t, c.Cert, c.Key, "first.example")
	s, err := listenTCP(&c)
	if err != nil {
		t.Fatal(err)
	}
	s.serve(served(t, answering(t, nil)))
	t.Cleanup(s.close)
	address := s.listener.Addr().String()
	client, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	io.WriteString(client, "GET /v1/instances/A HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n")
	if b, err := io.ReadAll(client); err != nil || !bytes.Contains(b, []byte(`"name":"A"`)) {
		t.Errorf("%.200s %v", b, err)
	}
	local := socket(t, "no-such-group")
	for range 4 * maxWeb {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	u, err := net.Dial("unix", local)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	io.WriteString(u, "GET /v1/instances/A HTTP/1.0\r\n\r\n")
	if b, err := io.ReadAll(u); err != nil || !bytes.Contains(b, []byte(`"name":"A"`)) {
		t.Errorf("%.100s %v", b, err)
	}
}

// TestFreeAddress checks that the address may be added to this machine later.
func TestFreeAddress(t *testing.T) {
	for _, address := range []string{"192.0.2.77:0", "[2001:db8::77]:0"} {
		s, err := listenTCP(&conf.HTTP{Listen: address})
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		s.listener.Close()
	}
}
