package lsp

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxMessage bounds a message: what is larger is no text of a configuration.
const maxMessage = 64 << 20

// message is one of JSON-RPC 2.0 that is sent: a notification (without id) or an
// answer (without method).
type message struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  any             `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
}

// received is a message of the editor: a request, a notification (without id)
// or an answer (without method).
type received struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// parse reads a message. What is none has an error, and the id as far as it can
// be read.
func parse(text []byte) (received, *rpcError) {
	var m received
	err := json.Unmarshal(text, &m)
	var wrong *json.UnmarshalTypeError
	switch {
	case err != nil && !errors.As(err, &wrong):
		return received{ID: null}, &rpcError{codeParse, "the message is no JSON: " + err.Error()}
	case len(m.ID) > 0 && strings.IndexByte("[{tf", m.ID[0]) >= 0:
		return received{ID: null}, &rpcError{codeInvalidRequest, "the id of a request is a number or a string"}
	case err != nil:
	case m.Method == "" && m.Result == nil && m.Error == nil:
		err = errors.New("it has neither method nor result")
	default:
		return m, nil
	}
	if m.ID == nil {
		m.ID = null
	}
	return m, &rpcError{codeInvalidRequest, "the message is neither request nor answer: " + wrongJSON(err)}
}

// wrongJSON describes a mistake in JSON in the words of the protocol.
func wrongJSON(err error) string {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err.Error()
	}
	return fmt.Sprintf("%s cannot be of the type %s", cmp.Or(wrong.Field, "it"), wrong.Value)
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
