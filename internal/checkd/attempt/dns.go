package attempt

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/checkd/life"
)

// DNS is DNS_CHECK: the server is good if it answers a question without an
// error. What it answers does not matter.
type DNS struct {
	Names
	*Connection
	Type string // type: A, NS, CNAME, SOA, MX, TXT, AAAA, RRSIG, DNSKEY; default SOA
	Name string // name, with or without the last dot; empty is the root
}

// dnsTypes are the types of records that can be asked for.
var dnsTypes = map[string]dnsmessage.Type{
	"A": dnsmessage.TypeA, "NS": dnsmessage.TypeNS, "CNAME": dnsmessage.TypeCNAME, "SOA": dnsmessage.TypeSOA,
	"MX": dnsmessage.TypeMX, "TXT": dnsmessage.TypeTXT, "AAAA": dnsmessage.TypeAAAA, "RRSIG": 46, "DNSKEY": 48,
}

// dnsRun is one attempt: what was asked, and how much came that was no answer.
type dnsRun struct {
	*DNS
	id       uint16
	question dnsmessage.Question
	foreign  int
}

// mostForeign is how many datagrams that are no answer an attempt looks at.
const mostForeign = 64

func (k *DNS) begin(a *Attempt, _ int) {
	run := &dnsRun{DNS: k, id: a.env.number()}
	a.run = run
	query, err := run.query()
	if err != nil {
		a.fail("cannot be asked: " + err.Error())
		return
	}
	k.datagram(a, query, func(err error) string { return "connection error." + why(err) })
}

// query makes the question and its message.
func (r *dnsRun) query() ([]byte, error) {
	kind, ok := dnsTypes[r.Type]
	if !ok {
		return nil, fmt.Errorf("unknown type %q", r.Type)
	}
	name := strings.TrimSuffix(r.Name, ".")
	if strings.Contains(name, "..") || strings.HasPrefix(name, ".") {
		return nil, errors.New("empty label in " + r.Name)
	}
	full, err := dnsmessage.NewName(name + ".")
	if err != nil {
		return nil, err
	}
	r.question = dnsmessage.Question{Name: full, Type: kind, Class: dnsmessage.ClassINET}
	b := dnsmessage.NewBuilder(make([]byte, 0, 512), dnsmessage.Header{ID: r.id, RecursionDesired: true})
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	if err := b.Question(r.question); err != nil {
		return nil, err
	}
	return b.Finish()
}

func (r *dnsRun) ready(a *Attempt, _ uint32) {
	n, err := unix.Read(a.fd, a.env.buf)
	if err == unix.EAGAIN || err == unix.EINTR {
		return
	}
	if err != nil {
		var errno unix.Errno
		errors.As(err, &errno)
		a.fail(fmt.Sprintf("failed to read socket; errno %d (%s)", int(errno), capital(err.Error())))
		return
	}
	rcode, ours := r.answer(a.env.buf[:n])
	switch {
	case ours && rcode == dnsmessage.RCodeSuccess:
		a.pass()
	case ours:
		a.fail(fmt.Sprintf("read error occurred. (rcode = %d)", int(rcode)))
	default:
		// Garbage, and an answer for anyone else, proves nothing about the server.
		// But no one can keep an attempt busy with it.
		if r.foreign++; r.foreign == mostForeign {
			a.fail(fmt.Sprintf("read error occurred. (%d datagrams that are no answer)", mostForeign))
		}
	}
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// answer judges a datagram: whether it answers the question, and how. A server
// may leave out the question of an error.
func (r *dnsRun) answer(p []byte) (rcode dnsmessage.RCode, ours bool) {
	var parser dnsmessage.Parser
	h, err := parser.Start(p)
	if err != nil || !h.Response || h.ID != r.id || h.OpCode != 0 {
		return 0, false
	}
	q, err := parser.Question()
	switch {
	case errors.Is(err, dnsmessage.ErrSectionDone):
		return h.RCode, h.RCode != dnsmessage.RCodeSuccess
	case err != nil:
		return 0, false
	}
	same := q.Type == r.question.Type && q.Class == r.question.Class && strings.EqualFold(q.Name.String(), r.question.Name.String())
	return h.RCode, same
}

func (r *dnsRun) expire(a *Attempt) {
	if r.foreign > 0 {
		a.fail(fmt.Sprintf("read timeout from socket (%d datagrams that are no answer)", r.foreign))
		return
	}
	a.fail("read timeout from socket")
}

func (k *DNS) line(v *life.Verdict) string {
	if v.OK {
		return ""
	}
	return fmt.Sprintf("DNS_CHECK (%s) %s%s", k.Server, v.Reason, after(v))
}

// Mail is in the words of the C daemon.
func (k *DNS) Mail(v *life.Verdict) string {
	if v.Up {
		return "=> DNS_CHECK: succeed on service <="
	}
	return "=> DNS_CHECK: failed on service <="
}
