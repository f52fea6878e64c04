package demo

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"keepalived-go/internal/tool/lab"
)

// serve answers every request with the node's name, as HTTP/1.0, and every other
// line too, until the listener is closed. (The daemon's binary shall not carry an
// HTTP server for its demo.)
func serve(n *lab.Node) (net.Listener, error) {
	var l net.Listener
	err := n.Do(func() (err error) {
		l, err = net.Listen("tcp4", ":80")
		return err
	})
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					c.SetDeadline(time.Now().Add(sessionPatience))
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					if strings.HasPrefix(line, "GET ") {
						fmt.Fprintf(c, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s\n", len(n.Name)+1, n.Name)
						return
					}
					fmt.Fprintln(c, n.Name)
				}
			}()
		}
	}()
	return l, nil
}

const (
	patience = 250 * time.Millisecond // of a client with a request
	askers   = 16                     // enough for all that are waiting at a time
)

// client polls the service at a fixed rate.
type client struct {
	ticker *time.Ticker
	done   chan struct{}
	wg     sync.WaitGroup

	mu      sync.Mutex
	answers map[string]int // by node
	lost    int
	fresh   tally // since the last look
}

type tally struct {
	answered, lost int
	by             map[string]bool // nodes that have answered
}

func newClient(n *lab.Node, pollsPerSecond int) (*client, error) {
	c := &client{
		ticker: time.NewTicker(time.Second / time.Duration(pollsPerSecond)), done: make(chan struct{}),
		answers: map[string]int{}, fresh: tally{by: map[string]bool{}},
	}
	for range askers {
		c.wg.Add(1)
		err := n.Go(func() {
			defer c.wg.Done()
			for {
				select {
				case <-c.ticker.C:
					c.count(ask())
				case <-c.done:
					return
				}
			}
		})
		if err != nil {
			c.wg.Done()
			c.stop()
			return nil, err
		}
	}
	return c, nil
}

// ask makes one request and returns the name of the node that answered, or
// nothing.
func ask() string {
	deadline := time.Now().Add(patience)
	d := net.Dialer{Deadline: deadline}
	conn, err := d.Dial("tcp4", net.JoinHostPort(virtual.String(), "80"))
	if err != nil {
		return ""
	}
	defer conn.Close()
	conn.SetDeadline(deadline)
	fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
	r := bufio.NewReader(conn)
	var last string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return last
		}
		last = strings.TrimSpace(line)
	}
}

func (c *client) count(node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if node == "" {
		c.lost++
		c.fresh.lost++
		return
	}
	c.answers[node]++
	c.fresh.answered++
	c.fresh.by[node] = true
}

// look returns what happened since the last look.
func (c *client) look() tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.fresh
	c.fresh = tally{by: map[string]bool{}}
	return t
}

// reset forgets the requests so far.
func (c *client) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost, c.fresh = 0, tally{by: map[string]bool{}}
	clear(c.answers)
}

// answeredBy reports whether each of the nodes has answered since the last reset.
func (c *client) answeredBy(nodes []*lab.Node) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !slices.ContainsFunc(nodes, func(n *lab.Node) bool { return c.answers[n.Name] == 0 })
}

// summary is how many requests were answered, by each of the nodes, and lost.
func (c *client) summary(nodes []*lab.Node) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	total := 0
	var by []string
	for _, n := range nodes {
		total += c.answers[n.Name]
		by = append(by, fmt.Sprintf("%s %d", n.Name, c.answers[n.Name]))
	}
	return fmt.Sprintf("Requests: %d answered (%s), %d lost", total, strings.Join(by, ", "), c.lost)
}

func (c *client) stop() {
	c.ticker.Stop()
	close(c.done)
	c.wg.Wait()
}
