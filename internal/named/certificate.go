package named

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"strings"

	"keepalived-go/conf"
	"keepalived-go/internal/readfile"
)

// maxPEM bounds a file of certificates or a key, in bytes.
const maxPEM = 1 << 20

// file is what a word of the configuration names.
type file struct{ word, path string }

// Certificate reads the certificate of http_listen and its key. The error is a
// [*conf.Unusable].
func Certificate(h *conf.HTTP) (*tls.Certificate, error) {
	return pairOf(file{"http_tls_cert", h.Cert}, file{"http_tls_key", h.Key}, "")
}

// Identity reads what SSL_GET shows to servers: the certificate of the SSL block, followed
// by those of ca. It is nil if there is none. The error is a [*conf.Unusable].
func Identity(c *conf.TLSClient) (*tls.Certificate, error) {
	var cas []byte
	if c.CA != "" {
		ca := file{"ca", c.CA}
		var err error
		if cas, err = ca.read(); err != nil {
			return nil, err
		}
		if !x509.NewCertPool().AppendCertsFromPEM(cas) {
			return nil, ca.is(errNoCertificate)
		}
	}
	cert, key := file{"certificate", c.Certificate}, file{"key", c.Key}
	switch {
	case c.Certificate == "" && c.Key == "":
		return nil, nil
	case c.Certificate == "":
		return nil, key.is(errors.New("there is no certificate for it"))
	case c.Key == "":
		return nil, cert.is(errors.New("there is no key for it"))
	}
	pair, err := pairOf(cert, key, string(c.Password))
	if err != nil {
		return nil, err
	}
	for rest := cas; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return pair, nil
		}
		if block.Type == "CERTIFICATE" {
			pair.Certificate = append(pair.Certificate, block.Bytes)
		}
	}
}

var errNoCertificate = errors.New("it holds no certificate in PEM")

// pairOf reads a certificate and its key.
func pairOf(cert, key file, password string) (*tls.Certificate, error) {
	public, err := cert.read()
	if err != nil {
		return nil, err
	}
	private, err := key.read()
	if err != nil {
		return nil, err
	}
	// A pool takes the certificates that can be parsed, and passes over a key in the same file.
	if !x509.NewCertPool().AppendCertsFromPEM(public) {
		return nil, cert.is(errNoCertificate)
	}
	if private, err = decryptKey(private, password); err != nil {
		return nil, key.is(err)
	}
	pair, err := tls.X509KeyPair(public, private)
	if err != nil {
		return nil, key.is(wrongKey(err))
	}
	return &pair, nil
}

// wrongKey is the error of a pair in the words of its key.
func wrongKey(err error) error {
	text := strings.TrimPrefix(err.Error(), "tls: ")
	switch {
	case strings.HasPrefix(text, "private key does not match"), strings.HasPrefix(text, "private key type does not match"):
		return errors.New("it is not the key of the certificate")
	case strings.Contains(text, "failed to find any PEM data"), strings.Contains(text, "failed to find PEM block with type"),
		strings.Contains(text, "found a certificate rather than a key"):
		return errors.New("it holds no private key in PEM")
	}
	return errors.New(text)
}

// read reads a file of certificates or a key.
func (f file) read() ([]byte, error) {
	b, err := readfile.Head(f.path, maxPEM)
	if err != nil {
		return nil, f.is(err)
	}
	return b, nil
}

// is the error of the file, with what to do about it.
func (f file) is(err error) error {
	u := unusable(f.word, f.path, err)
	switch {
	case u.Unseen:
	case errors.Is(err, fs.ErrPermission):
		u.Fix = "give it to root and let root read it; the process that reads it may not read the files of others"
	case errors.Is(err, fs.ErrNotExist):
		u.Fix = "write the path of a file in PEM"
	case errors.Is(err, readfile.ErrWaiting):
		u.Fix = "write the path of a regular file"
	case errors.Is(err, errNoCertificate):
		u.Fix = "write a file with -----BEGIN CERTIFICATE-----"
	case errors.Is(err, errPassword):
		u.Fix = "write the password of the key in the SSL block"
	default:
		u.Fix = "write the certificate and the key that were made for each other"
	}
	return u
}
