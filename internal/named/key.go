package named

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
)

var errPassword = errors.New("the password does not open it")

// decryptKey returns a private key in PEM without its encryption, as OpenSSL
// writes it: "ENCRYPTED PRIVATE KEY" (PKCS#8, RFC 8018), or with a DEK-Info line.
// A key that is not encrypted is returned as it is.
func decryptKey(text []byte, password string) ([]byte, error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return text, nil
		}
		var plain []byte
		var err error
		kind := block.Type
		switch {
		case kind == "ENCRYPTED PRIVATE KEY":
			plain, err = decryptPKCS8(block.Bytes, password)
			kind = "PRIVATE KEY"
		case block.Headers["DEK-Info"] != "":
			//lint:ignore SA1019 it is weak, but it is what the file has
			if plain, err = x509.DecryptPEMBlock(block, []byte(password)); err != nil || !isKey(plain) {
				err = errPassword // the padding of one wrong text in 256 is right
			}
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: plain}), nil
	}
}

// isKey reports whether der is a private key, as OpenSSL writes one.
func isKey(der []byte) bool {
	_, rsa := x509.ParsePKCS1PrivateKey(der)
	_, ec := x509.ParseECPrivateKey(der)
	_, pkcs8 := x509.ParsePKCS8PrivateKey(der)
	return rsa == nil || ec == nil || pkcs8 == nil
}

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidAES    = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1} // + 2, 22, 42: CBC of 128, 192, 256 bits
	oidHMAC   = asn1.ObjectIdentifier{1, 2, 840, 113549, 2}        // + 7, 9, 11: SHA-1, SHA-256, SHA-512
)

// mostIterations bounds the time that a key file can take.
const mostIterations = 10_000_000

// decryptPKCS8 opens an EncryptedPrivateKeyInfo with PBES2, PBKDF2 and AES-CBC.
func decryptPKCS8(der []byte, password string) ([]byte, error) {
	var outer struct {
		Algorithm struct {
			OID    asn1.ObjectIdentifier
			Params struct {
				KDF struct {
					OID    asn1.ObjectIdentifier
					Params struct {
						Salt       []byte
						Iterations int
						KeyLength  int                      `asn1:"optional"`
						PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
					}
				}
				Cipher struct {
					OID asn1.ObjectIdentifier
					IV  []byte
				}
			}
		}
		Data []byte
	}
	unsupported := func(what string) error {
		return fmt.Errorf("encrypted in a way that is not supported (%s); openssl pkcs8 -topk8 -v2 aes-256-cbc makes one that is", what)
	}
	if rest, err := asn1.Unmarshal(der, &outer); err != nil || len(rest) > 0 {
		return nil, unsupported("not PBES2")
	}
	params := &outer.Algorithm.Params
	kdf := &params.KDF.Params
	if !outer.Algorithm.OID.Equal(oidPBES2) || !params.KDF.OID.Equal(oidPBKDF2) {
		return nil, unsupported("not PBES2 with PBKDF2")
	}
	var sum func() hash.Hash
	switch last(kdf.PRF.Algorithm, oidHMAC) {
	case -1, 7:
		sum = sha1.New
	case 9:
		sum = sha256.New
	case 11:
		sum = sha512.New
	default:
		return nil, unsupported("hash " + kdf.PRF.Algorithm.String())
	}
	size, ok := map[int]int{2: 16, 22: 24, 42: 32}[last(params.Cipher.OID, oidAES)]
	if !ok || len(params.Cipher.IV) != aes.BlockSize || len(outer.Data) == 0 || len(outer.Data)%aes.BlockSize != 0 {
		return nil, unsupported("cipher " + params.Cipher.OID.String())
	}
	if kdf.Iterations < 1 || kdf.Iterations > mostIterations {
		return nil, unsupported(fmt.Sprintf("%d iterations", kdf.Iterations))
	}
	key, err := pbkdf2.Key(sum, password, kdf.Salt, kdf.Iterations, size)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(outer.Data))
	cipher.NewCBCDecrypter(block, params.Cipher.IV).CryptBlocks(plain, outer.Data)
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > aes.BlockSize {
		return nil, errPassword
	}
	plain = plain[:len(plain)-pad]
	if _, err := x509.ParsePKCS8PrivateKey(plain); err != nil {
		return nil, errPassword
	}
	return plain, nil
}

// last is the arc of oid below parent; -1: oid is empty, or elsewhere.
func last(oid, parent asn1.ObjectIdentifier) int {
	if len(oid) != len(parent)+1 || !oid[:len(parent)].Equal(parent) {
		if len(oid) > 0 {
			return -2
		}
		return -1
	}
	return oid[len(parent)]
}
