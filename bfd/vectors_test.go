package bfd

// Digests of the packets of TestDigestVectors, computed with another implementation of
// MD5 and SHA1.
const (
	md5Vector  = "30011f16708f23ecf6aec05740556be5"
	sha1Vector = "eb17dda4c96d55572d765ed78a5da6e33f0e1ac5"
)
