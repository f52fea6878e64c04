package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"keepalived-go/internal/tool/lab"
	"keepalived-go/internal/tool/lab/uml"
	"keepalived-go/lvs/ipvs"
)

// balance is the running demo of load balancing: directors, then servers.
//
//	  lb1        lb2        s1   s2   s3      client
//	priority   priority     |    |    |         |  GET http://10.0.0.100/, and
//	   240        20        |    |    |         |  one connection that stays
//	    |          |        |    |    |         |
//	----+----------+--------+----+----+---------+----   a bridge
//
// The director that holds 10.0.0.100 hands requests on (DR); the servers have the
// address too, keep quiet about it, and answer the client themselves.
type balance struct {
	*show
	servers []*lab.Node
	drain   string // the weight of s3 falls by the number in this file
	stays   *session
}

const (
	firstServer = 2 // its place among the nodes
	weight      = 10

	requestsPerSecond = 20
)

// runLVS runs the demo in namespaces, where the kernel balances load, else in a
// User-Mode Linux.
func (o *options) runLVS(ctx context.Context, args []string) error {
	if err := kernelBalances(ctx); err != nil {
		if uml.Inside() {
			return err
		}
		return o.runInUML(ctx, args, err)
	}
	names := []string{"lb1", "lb2", "s1", "s2", "s3"}
	l, err := lab.New(1, append(names, "client")...)
	if err != nil {
		return err
	}
	defer l.Close()
	d := &balance{
		show:    &show{options: *o, lab: l, began: time.Now(), view: newView(*o, names, "█ serves  · waits  × off")},
		servers: l.Nodes[firstServer : firstServer+3], drain: filepath.Join(l.Dir, "drain"),
	}
	d.states = d.serving
	if err := os.WriteFile(d.drain, []byte("0\n"), 0o644); err != nil {
		return err
	}
	for i, n := range d.servers {
		if err := takeQuietly(n); err != nil {
			return err
		}
		if err := d.serve(firstServer + i); err != nil {
			return err
		}
	}
	d.view.printf("Two directors, lb1 and lb2, share %v and hand its requests on to three servers.", virtual)
	d.view.printf("A client asks for http://%v/ %d times a second.", virtual, requestsPerSecond)
	for i := range d.nodes {
		if err := d.start(i, d.director(i)); err != nil {
			return err
		}
	}
	if d.client, err = newClient(l.Node("client"), requestsPerSecond); err != nil {
		return err
	}
	defer d.client.stop()
	return d.play(ctx)
}

// kernelBalances is nil if this kernel has IPVS.
func kernelBalances(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	failed := ipvs.LoadModule(ctx)
	c, err := ipvs.Dial(ipvs.Options{})
	if err != nil {
		return errors.Join(err, failed)
	}
	return c.Close()
}

// runInUML runs this demo again in a kernel that balances load, as that of this
// machine does not for the given reason.
func (o *options) runInUML(ctx context.Context, args []string, reason error) error {
	if _, err := exec.LookPath("linux.uml"); err != nil {
		return fmt.Errorf("%w\nThis kernel has no IPVS. Load it (modprobe ip_vs), or install User-Mode Linux, whose kernel has it:\napt install user-mode-linux", reason)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.Command(self, append([]string{"demo"}, args...)...)
	if !onTerminal() {
		c.Args = append(c.Args, "--plain") // the console of the machine is one
	}
	c.Stdout = os.Stdout
	fmt.Println("          This kernel has no IPVS: the demo runs in a User-Mode Linux, which boots now.")
	m := uml.Machine{Modules: []string{"ip_vs", "veth", "bridge"}, Memory: 384, Timeout: o.duration + 3*time.Minute}
	switch status, err := m.Run(ctx, c); {
	case err != nil:
		return err
	case status != 0:
		return fmt.Errorf("the demo in the User-Mode Linux ends with status %d", status)
	}
	return nil
}

// takeQuietly gives a server the virtual address; nobody who asks the link for it gets
// an answer from the server.
func takeQuietly(n *lab.Node) error {
	err := n.Do(func() error {
		for name, value := range map[string]string{"arp_ignore": "1", "arp_announce": "2"} {
			if err := os.WriteFile("/proc/sys/net/ipv4/conf/all/"+name, []byte(value), 0); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return n.IP(fmt.Sprintf("addr add %v/32 dev lo", virtual))
}

// director is the configuration of lb1 or lb2.
func (d *balance) director(i int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global_defs {\n    router_id lb%d\n    lvs_sync_daemon eth0 demo id 10\n}\n", i+1)
	fmt.Fprintf(&b, "track_file drain {\n    file %s\n    weight -1\n}\n", d.drain)
	b.WriteString(strings.Replace(d.instance(i), "    state BACKUP\n", "    state BACKUP\n    nopreempt\n", 1))
	fmt.Fprintf(&b, "virtual_server %v 80 {\n    protocol TCP\n    lb_kind DR\n    lb_algo wrr\n    delay_loop 1\n    delay_before_retry 0.5\n    warmup 0\n", virtual)
	for k, n := range d.servers {
		check := ""
		if k == len(d.servers)-1 {
			check = "        FILE_CHECK {\n            track_file drain\n        }\n"
		}
		fmt.Fprintf(&b, "    real_server %v 80 {\n        weight %d\n        HTTP_GET {\n            url {\n                path /\n                status_code 200\n            }\n        }\n%s    }\n", n.Addr(0), weight, check)
	}
	b.WriteString("}\n")
	return b.String()
}

// serving is the state of each director and server.
func (d *balance) serving(t tally) []rune {
	states := d.holding(t)
	for i, n := range d.servers {
		switch {
		case d.power[firstServer+i].service == nil:
			states = append(states, off)
		case t.by[n.Name]:
			states = append(states, holds)
		default:
			states = append(states, waits)
		}
	}
	return states
}

// eventPatience is how long the demo waits for what must come; the machine may be
// slow.
const eventPatience = 30 * time.Second

// play goes through the acts: a server's service ends and returns, another server is
// drained, the power of the master is cut.
func (d *balance) play(ctx context.Context) error {
	if !d.await(ctx, eventPatience, func() bool { return d.holder() >= 0 && d.client.answeredBy(d.servers) }) {
		return d.stuck(ctx, "not all servers get requests")
	}
	s3 := d.servers[2]
	var err error
	if d.stays, err = openSession(d.lab.Node("client"), s3.Name); err != nil {
		return err
	}
	defer d.stays.close()
	d.client.reset()
	d.began = time.Now()
	d.view.begin(d.began)
	d.view.printf("%s is master and spreads the requests over s1, s2 and s3. One connection stays: s3 answers it.", d.node(max(d.holder(), 0)).Name)
	until := func(percent int) bool {
		d.watch(ctx, time.Until(d.began.Add(d.duration*time.Duration(percent)/100)))
		return ctx.Err() == nil
	}
	if !until(15) {
		return nil
	}

	d.view.printf("The service of s2 ends.")
	ended := time.Now()
	d.stopService(firstServer + 1)
	if !d.logged(ctx, ended, "Removing service ["+d.servers[1].Addr(0).String()) {
		return d.stuck(ctx, "s2 stays in the table")
	}
	d.view.printf("The checks have noticed: s2 is out of the tables, %s after its end.", lab.Elapsed(time.Since(ended)))
	if !until(30) {
		return nil
	}

	d.view.printf("The service of s2 returns.")
	back := time.Now()
	if err := d.serve(firstServer + 1); err != nil {
		return err
	}
	if !d.logged(ctx, back, "Adding service ["+d.servers[1].Addr(0).String()) {
		return d.stuck(ctx, "s2 does not return to the table")
	}
	d.view.printf("s2 gets requests again.")
	if !until(45) {
		return nil
	}

	d.view.printf("s3 is to rest: echo %d > drain, which a FILE_CHECK takes from its weight.", weight)
	drained := time.Now()
	if err := os.WriteFile(d.drain, fmt.Appendln(nil, weight), 0o644); err != nil {
		return err
	}
	if !d.logged(ctx, drained, fmt.Sprintf("Changing weight from %d to 0", weight)) {
		return d.stuck(ctx, "the weight of s3 stays")
	}
	d.view.printf("The weight of s3 is 0: no new requests. The connection that stays continues.")
	if !until(60) {
		return nil
	}

	if !d.await(ctx, eventPatience, func() bool { return d.holder() >= 0 }) {
		return d.stuck(ctx, "no director is master")
	}
	master := d.holder()
	other := 1 - master
	d.view.printf("Power cut on %s: all its processes get SIGKILL, its link goes down, its table is gone.", d.node(master).Name)
	cut := time.Now()
	if err := d.powerOff(master); err != nil {
		return err
	}
	if err := emptyTable(d.node(master)); err != nil {
		return err
	}
	if !d.await(ctx, eventPatience, func() bool { return d.holder() == other }) {
		return d.stuck(ctx, "the other director does not take over")
	}
	takeover, err := d.takeover(master, other, cut)
	if err != nil {
		return err
	}
	d.view.printf("%s", takeover)
	before, _ := d.stays.state()
	continues := func() bool { answers, err := d.stays.state(); return answers > before+1 || err != nil }
	if !d.await(ctx, eventPatience, continues) {
		return d.stuck(ctx, "the connection to s3 does not continue")
	}
	if _, err := d.stays.state(); err != nil {
		return d.stuck(ctx, fmt.Sprintf("the connection to s3 is lost: %v", err))
	}
	d.view.printf("The connection to s3 continues: %s knew it from %s (lvs_sync_daemon).", d.node(other).Name, d.node(master).Name)
	if !until(80) {
		return nil
	}

	d.view.printf("Power on %s: it is backup now, and leaves the address where it is (nopreempt).", d.node(master).Name)
	if err := d.node(master).Plug(0); err != nil {
		return err
	}
	if err := d.start(master, d.director(master)); err != nil {
		return err
	}
	if !until(100) {
		return nil
	}
	d.view.end()
	answers, err := d.stays.state()
	if err != nil {
		return fmt.Errorf("the connection to s3 is lost: %w", err)
	}
	d.view.printf("%s.", d.client.summary(d.servers))
	d.view.printf("The connection that stays got %d answers, all of s3.", answers)
	return nil
}

// logged waits until each director has logged a line.
func (d *balance) logged(ctx context.Context, from time.Time, text string) bool {
	return d.await(ctx, eventPatience, func() bool {
		return d.power[0].daemon.Logged(from, text) && d.power[1].daemon.Logged(from, text)
	})
}

// emptyTable removes what the kernel of a machine without power does not have.
func emptyTable(n *lab.Node) error {
	return n.Do(func() error {
		c, err := ipvs.Dial(ipvs.Options{})
		if err != nil {
			return err
		}
		defer c.Close()
		return c.Flush()
	})
}

const (
	sessionInterval = 100 * time.Millisecond
	sessionPatience = 30 * time.Second // longer than a failover takes
)

// session is a connection that stays: a line each sessionInterval, and its answer.
type session struct {
	conn   net.Conn
	reader *bufio.Reader
	done   chan struct{}

	mu      sync.Mutex
	answers int
	err     error // that has ended it
}

// openSession opens one to the named server: the scheduler offers each in its turn.
func openSession(n *lab.Node, server string) (*session, error) {
	const tries = 30
	for range tries {
		s := &session{done: make(chan struct{})}
		err := n.Do(func() (err error) {
			s.conn, err = net.DialTimeout("tcp4", net.JoinHostPort(virtual.String(), "80"), sessionPatience)
			return err
		})
		if err != nil {
			return nil, err
		}
		s.reader = bufio.NewReader(s.conn)
		name, err := s.line()
		if err == nil && name == server {
			go s.run(server)
			return s, nil
		}
		s.conn.Close()
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("none of %d connections gets to %s", tries, server)
}

func (s *session) line() (answer string, err error) {
	if err := s.conn.SetDeadline(time.Now().Add(sessionPatience)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintln(s.conn, "hello"); err != nil {
		return "", err
	}
	answer, err = s.reader.ReadString('\n')
	return strings.TrimSpace(answer), err
}

func (s *session) run(server string) {
	defer close(s.done)
	for range time.Tick(sessionInterval) {
		answer, err := s.line()
		if err == nil && answer != server {
			err = fmt.Errorf("%q answers", answer)
		}
		s.mu.Lock()
		if s.err = err; err == nil {
			s.answers++
		}
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *session) state() (answers int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answers, s.err
}

func (s *session) close() {
	s.conn.Close()
	<-s.done
}
