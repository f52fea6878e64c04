package wire

import (
	"encoding/binary"
	"fmt"
	"io"
	"reflect"
	"slices"
)

// A frame is a body with its length (4 bytes, little endian) and its kind (1
// byte) before it.
const frameHead = 5

// maxAhead is how much memory a length field alone gets, in bytes.
const maxAhead = 2 << 20

// AppendFrame appends a frame of a kind to b. Its body is v as [Append] encodes
// it; it is empty if v is nil.
func AppendFrame(b []byte, kind uint8, v any) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, kind)
	if v != nil {
		b = Append(b, v)
	}
	binary.LittleEndian.PutUint32(b[start:], uint32(len(b)-start-frameHead))
	return b
}

// A File is what WriteFrame writes to.
type File interface {
	io.Writer
	io.WriterAt
}

// WriteFrame writes to an empty file what AppendFrame appends, in pieces: of a large
// configuration there is never more than a piece in memory.
func WriteFrame(f File, kind uint8, v any) error {
	out := &sink{to: f}
	b := append(make([]byte, 0, piece), 0, 0, 0, 0, kind)
	if v != nil {
		b = appendValue(b, reflect.ValueOf(v), out)
	}
	out.write(b)
	if out.err != nil {
		return out.err
	}
	_, err := f.WriteAt(binary.LittleEndian.AppendUint32(nil, uint32(out.size-frameHead)), 0)
	return err
}

// piece is about how many bytes are written at a time.
const piece = 64 << 10

// sink is where encoded bytes go.
type sink struct {
	to   io.Writer
	size int // so far
	err  error
}

// spill writes b if it is almost a piece, and returns what is to be continued.
func (s *sink) spill(b []byte) []byte {
	if s == nil || len(b) < piece/2 {
		return b
	}
	s.write(b)
	return b[:0]
}

func (s *sink) write(b []byte) {
	s.size += len(b)
	if s.err == nil {
		_, s.err = s.to.Write(b)
	}
}

// ReadFrame reads the next frame. limit is how many bytes the body of a kind may
// have. The error is io.EOF where a frame could begin and [io.ErrUnexpectedEOF]
// within one. Memory follows what has come, whatever the length field is.
func ReadFrame(r io.Reader, limit func(kind uint8) uint32) (kind uint8, body []byte, err error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	kind = head[4]
	size := binary.LittleEndian.Uint32(head[:4])
	if size > limit(kind) {
		return kind, nil, fmt.Errorf("message of kind %d of %d bytes", kind, size)
	}
	for left := int(size); left > 0; {
		n := min(left, max(maxAhead, len(body)))
		body = slices.Grow(body, n)[:len(body)+n]
		if _, err := io.ReadFull(r, body[len(body)-n:]); err == io.EOF {
			return kind, nil, io.ErrUnexpectedEOF
		} else if err != nil {
			return kind, nil, err
		}
		left -= n
	}
	return kind, body, nil
}
