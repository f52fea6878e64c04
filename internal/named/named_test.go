package named

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/tool/required"
)

// files makes files in a directory of the test.
type files struct {
	*testing.T
	dir string
}

func (f files) path(name string) string { return filepath.Join(f.dir, name) }

func (f files) write(name string, b []byte) string {
	f.Helper()
	if err := os.WriteFile(f.path(name), b, 0o600); err != nil {
		f.Fatal(err)
	}
	return f.path(name)
}

// pair returns a new certificate and its key in PEM.
func pair(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// says checks that an error is about the value of a word, with the reason and a remedy.
func says(t *testing.T, name string, err error, want string) {
	t.Helper()
	switch u, ok := errors.AsType[*conf.Unusable](err); {
	case err == nil && want == "":
	case err == nil, want == "", !strings.Contains(err.Error(), want):
		t.Errorf("%s: %v, want %q", name, err, want)
	case !ok || u.Word == "" || u.Fix == "" || u.Unseen:
		t.Errorf("%s: %+v", name, u)
	}
}

// TestCertificate reads certificates of http_listen that can be used and that cannot.
func TestCertificate(t *testing.T) {
	f := files{t, t.TempDir()}
	certText, keyText := pair(t, "a")
	_, otherText := pair(t, "b")
	cert, key, other := f.write("cert", certText), f.write("key", keyText), f.write("other", otherText)
	both, secret := f.write("both", append(bytes.Clone(keyText), certText...)), f.write("secret", []byte("-----BEGIN hunter2-----\nhunter2\n"))
	endless := f.path("endless")
	if err := unix.Mkfifo(endless, 0o600); err != nil {
		t.Fatal(err)
	}
	writer, err := os.OpenFile(endless, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	for _, test := range []struct{ name, cert, key, want string }{
		{"a pair", cert, key, ""},
		{"both in one file", both, both, ""},
		{"no certificate", f.path("none"), key, "http_tls_cert " + f.path("none") + ": no such file or directory"},
		{"no key", cert, f.path("none"), "http_tls_key " + f.path("none") + ": no such file or directory"},
		{"a directory", f.dir, key, "http_tls_cert " + f.dir + ": is a directory"},
		{"another key", cert, other, "http_tls_key " + other + ": it is not the key of the certificate"},
		{"the other way round", key, cert, "http_tls_cert " + key + ": it holds no certificate in PEM"},
		{"a certificate as key", cert, cert, "http_tls_key " + cert + ": it holds no private key in PEM"},
		{"text as key", cert, secret, "http_tls_key " + secret + ": it holds no private key in PEM"},
		{"text as certificate", secret, key, "http_tls_cert " + secret + ": it holds no certificate in PEM"},
		{"a file that does not end", endless, key, "http_tls_cert " + endless + ": it keeps its reader waiting"},
	} {
		h := &conf.HTTP{Cert: test.cert, Key: test.key}
		_, err := Certificate(h)
		says(t, test.name, err, test.want)
		says(t, test.name+", as a test", Checks().Certificate(h), test.want)
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: it shows what is in the file: %v", test.name, err)
		}
	}
}

// TestCertificateOfAnotherUser checks that root's test of a configuration does not find a key
// good that the control process, which has no capabilities, cannot read. Later looks of the
// test have root's rights again.
func TestCertificateOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		required.Missing(t, "root")
	}
	f := files{t, t.TempDir()}
	certText, keyText := pair(t, "a")
	h := &conf.HTTP{Cert: f.write("cert", certText), Key: f.write("key", keyText)}
	if err := os.Chown(h.Key, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		says(t, "as a test", Checks().Certificate(h), "http_tls_key "+h.Key+": permission denied")
		if _, err := Certificate(h); err != nil {
			t.Fatalf("with root's rights: %v", err)
		}
	}
}

// TestIdentity reads SSL blocks, with keys as OpenSSL encrypts them.
func TestIdentity(t *testing.T) {
	f := files{t, t.TempDir()}
	certText, keyText := pair(t, "client")
	caText, otherText := pair(t, "ca")
	cert, plain, ca, other, none := f.write("cert", certText), f.write("plain", keyText), f.write("ca", caText), f.write("other", otherText), f.path("none")
	keys := map[string]string{"plain": plain}
	if _, err := exec.LookPath("openssl"); err == nil {
		for name, args := range map[string][]string{
			"pkcs8":      {"pkcs8", "-topk8", "-v2", "aes-256-cbc"},
			"pkcs8-sha1": {"pkcs8", "-topk8", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"},
			"legacy":     {"ec", "-aes128"},
		} {
			keys[name] = f.path(name)
			if out, err := exec.Command("openssl", append(args, "-in", plain, "-out", keys[name], "-passout", "pass:secret")...).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, out)
			}
		}
	}
	for name, path := range keys {
		_, err := Identity(&conf.TLSClient{Certificate: cert, Key: path, Password: "secret"})
		says(t, name, err, "")
		if name != "plain" {
			_, err = Identity(&conf.TLSClient{Certificate: cert, Key: path, Password: "hunter2"})
			says(t, name+" with a wrong password", err, "key "+path+": the password does not open it")
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: the password is in %v", name, err)
			}
		}
	}
	for _, test := range []struct {
		name  string
		block conf.TLSClient
		want  string
		shown int // certificates
	}{
		{"nothing", conf.TLSClient{}, "", 0},
		{"ca alone", conf.TLSClient{CA: ca}, "", 0},
		{"a certificate", conf.TLSClient{Certificate: cert, Key: plain}, "", 1},
		{"a certificate and its issuer", conf.TLSClient{CA: ca, Certificate: cert, Key: plain}, "", 2},
		{"no key", conf.TLSClient{Certificate: cert}, "certificate " + cert + ": there is no key for it", 0},
		{"no certificate", conf.TLSClient{Key: plain}, "key " + plain + ": there is no certificate for it", 0},
		{"a key as certificate", conf.TLSClient{Certificate: plain, Key: plain}, "certificate " + plain + ": it holds no certificate", 0},
		{"a certificate as key", conf.TLSClient{Certificate: cert, Key: cert}, "key " + cert + ": it holds no private key", 0},
		{"another key", conf.TLSClient{Certificate: cert, Key: other}, "key " + other + ": it is not the key of the certificate", 0},
		{"a key as ca", conf.TLSClient{CA: plain}, "ca " + plain + ": it holds no certificate", 0},
		{"no ca", conf.TLSClient{CA: none, Certificate: cert, Key: plain}, "ca " + none + ": no such file", 0},
		{"no file of the certificate", conf.TLSClient{Certificate: none, Key: plain}, "certificate " + none + ": no such file", 0},
		{"no file of the key", conf.TLSClient{Certificate: cert, Key: none}, "key " + none + ": no such file", 0},
	} {
		got, err := Identity(&test.block)
		says(t, test.name, err, test.want)
		says(t, test.name+", as a test", Checks().Identity(&test.block), test.want)
		shown := 0
		if got != nil {
			shown = len(got.Certificate)
		}
		if shown != test.shown {
			t.Errorf("%s: %d certificates are shown, want %d", test.name, shown, test.shown)
		}
	}
}

// TestWrongPasswords checks that a wrong password is recognised, too, where the padding of
// what it makes of a key is right, as of one in 256.
func TestWrongPasswords(t *testing.T) {
	_, text := pair(t, "a")
	block, _ := pem.Decode(text)
	for range 2000 {
		//lint:ignore SA1019 it is weak, but files have it
		locked, err := x509.EncryptPEMBlock(rand.Reader, "PRIVATE KEY", block.Bytes, []byte("secret"), x509.PEMCipherAES128)
		if err != nil {
			t.Fatal(err)
		}
		text := pem.EncodeToMemory(locked)
		if _, err := decryptKey(text, "other"); err != errPassword {
			t.Fatalf("a wrong password: %v", err)
		}
		if _, err := decryptKey(text, "secret"); err != nil {
			t.Fatalf("the password: %v", err)
		}
	}
}

// TestOthers looks for groups, directories and network namespaces.
func TestOthers(t *testing.T) {
	look := Checks()
	if gid, err := Group("root"); gid != 0 || err != nil || look.Group("root") != nil {
		t.Errorf("the group root: %d %v", gid, err)
	}
	for _, name := range []string{"no-such-group", "", "12345"} {
		u, ok := errors.AsType[*conf.Unusable](look.Group(name))
		if !ok || u.Unseen || !strings.Contains(u.Error(), "there is no group") {
			t.Errorf("the group %q: %v", name, u)
		}
	}
	dir := t.TempDir()
	file := files{t, dir}.write("file", nil)
	for path, want := range map[string]error{dir: nil, file: unix.ENOTDIR, dir + "/none": fs.ErrNotExist, file + "/x": unix.ENOTDIR} {
		if err := look.Directory(path); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("the directory %s: %v, want %v", path, err, want)
		}
	}
	if err := look.Namespace("no-such-namespace"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "/run/netns/no-such-namespace") {
		t.Errorf("a namespace: %v", err)
	}
}
