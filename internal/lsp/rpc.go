package lsp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxMessage bounds a message: what is larger is no text of a configuration.
const maxMessage = 64 << 20

// message is one of JSON-RPC 2.0: a request, a notification (without id) or an
// answer (without method).
type message struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  any             `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
}

// rpcError is the error of an answer, with the codes of the specification.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string { return e.Message }

const (
	codeParse          = -32700
	codeInvalidRequest = -32600
	codeNoMethod       = -32601
	codeInvalidParams  = -32602
	codeNotInitialized = -32002
	codeFailed         = -32803
)

// null is a result that is there, but nothing.
var null = json.RawMessage("null")

// readMessage reads the header lines and the text of one message. io.EOF is the
// end between two messages.
func readMessage(r *bufio.Reader) ([]byte, error) {
	length := -1
	for first := true; ; first = false {
		line, err := readHeader(r)
		switch {
		case errors.Is(err, io.EOF) && first && line == "":
			return nil, io.EOF
		case err != nil:
			return nil, fmt.Errorf("read a header: %w", broken(err))
		case line == "" && length < 0:
			return nil, errors.New("a message has no Content-Length")
		case line == "":
			var body bytes.Buffer
			if _, err := io.CopyN(&body, r, int64(length)); err != nil {
				return nil, fmt.Errorf("read a message of %d bytes: %w", length, broken(err))
			}
			return body.Bytes(), nil
		}
		name, value, _ := strings.Cut(line, ":")
		if !strings.EqualFold(strings.TrimSpace(name), "Content-Length") {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil || n < 0 || n > maxMessage {
			return nil, fmt.Errorf("Content-Length %q is not a number of bytes up to %d", strings.TrimSpace(value), maxMessage)
		}
		length = n
	}
}

// broken is the reason of an end within a message.
func broken(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readHeader reads one line of at most the size of the reader's buffer.
func readHeader(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	return strings.TrimRight(string(line), "\r\n"), err
}

func writeMessage(w io.Writer, m message) error {
	m.Version = "2.0"
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "Content-Length: %d\r\n\r\n%s", len(text), text)
	return err
}
