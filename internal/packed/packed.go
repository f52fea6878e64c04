// Package packed keeps long texts that are hardly ever read.
package packed

import (
	"bytes"
	"compress/flate"
	"io"
)

// Text is a text, compressed as quickly as can be. The configuration of thousands of virtual
// routers takes a fifteenth of its length.
type Text []byte

// Of returns text as one to keep.
func Of[T string | []byte](text T) Text {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestSpeed) // the level is a valid one
	w.Write([]byte(text))
	w.Close()
	return bytes.Clone(b.Bytes())
}

// Open returns what the text was made of. It fails only if the memory has changed.
func (t Text) Open() ([]byte, error) { return io.ReadAll(flate.NewReader(bytes.NewReader(t))) }
