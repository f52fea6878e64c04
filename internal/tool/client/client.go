// Package client asks a running daemon for its state, over its control socket.
package client

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	jsonv2 "github.com/go-json-experiment/json"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/act"
)

const (
	// Timeout is how long an answer may take, as a whole, unless a Client has another value. It
	// is longer than the daemon waits for a process of its own that hangs.
	Timeout = 6 * time.Second
	// Limit is how long an answer may be, in bytes.
	Limit = 64 << 20

	headerLimit = 16 << 10
	// actSlack is by how much longer the result of an act is waited for than the daemon does.
	actSlack = 3 * time.Second
	// silence is for how long a daemon may send no line of its events. One that has none says so
	// every 15 seconds.
	silence = 45 * time.Second
	// lineLimit is how long a line of an event may be, in bytes.
	lineLimit = 64 << 10
)

// ErrDown means that no daemon answers, so that it does not run or hangs.
var ErrDown = errors.New("no daemon answers")

// Path is the control socket of the daemon in a network namespace, with a name of its
// configuration (keyword instance) and with a pid file of that name (-p); each may be empty.
func Path(namespace, instance, pidFile string) string {
	return proc.Control(proc.RunDir, namespace, instance, pidFile) + proc.SocketSuffix
}

// Client asks one daemon.
type Client struct {
	Socket  string        // its path; empty: that of a daemon without any of those names
	Timeout time.Duration // of an answer; 0: [Timeout]

	silence time.Duration // 0: [silence]; another one in tests
}

// Status asks for the state of the daemon. The error names the remedy; it is [ErrDown] if
// no daemon answers.
func (c *Client) Status() (*api.Status, error) { return c.status("/v1/status") }

// Brief is Status without history, notices, counters and rejected packets of the virtual routers,
// which are most of it.
func (c *Client) Brief() (*api.Status, error) { return c.status("/v1/status?brief") }

func (c *Client) status(what string) (*api.Status, error) {
	body, err := c.Get(what)
	if err != nil {
		return nil, err
	}
	var s api.Status
	err = jsonv2.Unmarshal(body, &s) // a daemon with thousands of virtual routers answers megabytes
	switch {                         // a field of another type leaves the version as it was read
	case s.Version != 0 && s.Version != api.Version:
		return nil, fmt.Errorf("%s: the daemon answers with version %d of its state, and this program knows version %d; use the program that the daemon was started from", c.path(), s.Version, api.Version)
	case err != nil:
		return nil, fmt.Errorf("%s: the answer is not the state of a daemon: %w", c.path(), err)
	case s.Version == 0:
		return nil, fmt.Errorf("%s: the answer is not the state of a daemon; is it the control socket of keepalived?", c.path())
	}
	return &s, nil
}

// Do has an act done and fills result, a pointer, with what has come of it. Errors are those
// of Status.
func (c *Client) Do(a *act.Act, result any) error {
	request, err := json.Marshal(a)
	if err != nil {
		return err
	}
	body, err := c.do(http.MethodPost, "/v1/"+string(a.Kind), request, a.Kind.Patience()+actSlack)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, result); err != nil {
		return fmt.Errorf("%s: the answer is no result of %s: %w", c.path(), a.Kind, err)
	}
	return nil
}

// Metrics asks for the metrics of the daemon, in the text format of Prometheus. Errors are
// those of Status.
func (c *Client) Metrics() ([]byte, error) { return c.Get("/metrics") }

// History asks for what has happened since a time, to what has that name; an empty name
// means everything. Errors are those of Status.
func (c *Client) History(name string, since time.Time) (events []history.Event, err error) {
	query := url.Values{}
	if name != "" {
		query.Set("name", name)
	}
	if !since.IsZero() {
		query.Set("since", since.UTC().Format(time.RFC3339))
	}
	body, err := c.Get("/v1/history?" + query.Encode())
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, &events); err != nil {
		return nil, fmt.Errorf("%s: the answer is no history: %w", c.path(), err)
	}
	return events, nil
}

// Events calls f for what happens from now on, or after the event with the number after,
// until f or the connection fails, or nothing comes any more. Errors are those of Status.
func (c *Client) Events(after uint64, f func(*history.Event) error) error {
	// A daemon that hangs keeps its connections. That f takes long is not its silence.
	patience := cmp.Or(c.Timeout, Timeout)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	hangs := time.AfterFunc(patience, func() { cancel(context.DeadlineExceeded) })
	defer hangs.Stop()
	failed := func(err error) error { return c.explain(cmp.Or(context.Cause(ctx), err), patience) }
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://keepalived/v1/events", nil)
	if err != nil {
		return err
	}
	if after > 0 {
		r.Header.Set("Last-Event-ID", strconv.FormatUint(after, 10))
	}
	answer, err := c.transport().RoundTrip(r)
	if err != nil {
		return failed(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(answer.Body, lineLimit)) // as much as there is
		return fmt.Errorf("%s: the daemon answers %s: %s", c.path(), answer.Status, reason(body))
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, lineLimit)
	patience = max(patience, cmp.Or(c.silence, silence))
	for hangs.Reset(patience); lines.Scan(); hangs.Reset(patience) {
		hangs.Stop()
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found {
			continue
		}
		var e history.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return fmt.Errorf("%s: the answer is no event: %w", c.path(), err)
		}
		if err := f(&e); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return failed(err)
	}
	return fmt.Errorf("%w any more at %s", ErrDown, c.path())
}

// transport connects to the socket.
func (c *Client) transport() *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: headerLimit,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", c.path())
		},
	}
}

func (c *Client) path() string {
	if c.Socket == "" {
		return Path("", "", "")
	}
	return c.Socket
}

// Get returns the answer to a question, such as /v1/status, as it came. Errors are those of
// Status.
func (c *Client) Get(what string) ([]byte, error) { return c.do(http.MethodGet, what, nil, Timeout) }

// do returns the body of the answer to a request. The timeout counts unless the client has
// one.
func (c *Client) do(method, what string, request []byte, timeout time.Duration) ([]byte, error) {
	timeout = cmp.Or(c.Timeout, timeout)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://keepalived"+what, bytes.NewReader(request))
	if err != nil {
		return nil, err
	}
	answer, err := c.transport().RoundTrip(r)
	if err != nil {
		return nil, c.explain(err, timeout)
	}
	defer answer.Body.Close()
	var body bytes.Buffer
	if n := answer.ContentLength; n > 0 && n <= Limit {
		body.Grow(int(n) + bytes.MinRead)
	}
	_, err = body.ReadFrom(io.LimitReader(answer.Body, Limit+1))
	switch {
	case err != nil:
		return nil, c.explain(err, timeout)
	case body.Len() > Limit:
		return nil, fmt.Errorf("%s: the answer is longer than %d MiB", c.path(), Limit>>20)
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: the daemon answers %s: %s", c.path(), answer.Status, reason(body.Bytes()))
	}
	return body.Bytes(), nil
}

// reason is the body of an answer other than 200, in one line.
func reason(body []byte) string {
	var object struct {
		Error string `json:"error"`
	}
	text := string(body[:min(len(body), 4096)])
	if json.Unmarshal(body, &object) == nil && object.Error != "" {
		text = object.Error
	}
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text[:min(len(text), 200)], ""))
}

// explain returns the meaning of an error of the connection, and the remedy.
func (c *Client) explain(err error, timeout time.Duration) error {
	switch path := c.path(); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w at %s: it does not run, or has another network namespace (-s), instance name (--instance) or pid file (-p)%s", ErrDown, path, others(path))
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w at %s: it has ended without removing its socket, or its control process starts again", ErrDown, path)
	case errors.Is(err, syscall.EAGAIN):
		return fmt.Errorf("%w at %s: it hangs, and the queue of its socket is full", ErrDown, path)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w at %s within %v; --timeout gives it longer", ErrDown, path, timeout)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: permission denied; ask as root, or as a member of the group keepalived if there is one", path)
	default:
		return fmt.Errorf("%s: no answer of a daemon: %w", path, err)
	}
}

// others names the control sockets that there are.
func others(path string) string {
	var found []string
	dir := filepath.Dir(path)
	for _, pattern := range []string{
		filepath.Join(dir, "control*.sock"), filepath.Join(dir, "*", "control*.sock"), filepath.Join(filepath.Dir(dir), "control*.sock"),
	} {
		names, _ := filepath.Glob(pattern) // the pattern is a good one
		found = append(found, names...)
	}
	slices.Sort(found)
	switch found = slices.Compact(found); {
	case len(found) == 0:
		return ""
	case len(found) > 5:
		found = append(found[:5], fmt.Sprintf("%d more", len(found)-5))
	}
	return "; there are " + strings.Join(found, ", ")
}
