package notify

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/conf"
)

// sink is an SMTP server. It records the lines that it receives, and replies to each verb
// with the text in answers or, without one, as an ordinary server would.
type sink struct {
	tls *tls.Config

	mu       sync.Mutex
	answers  map[string]string // "-" closes the connection, "" sends nothing
	received []string
	mail     chan string // accepted mails
}

func (s *sink) answer(answers map[string]string) {
	s.mu.Lock()
	s.answers = answers
	s.mu.Unlock()
}

func (s *sink) note(line string) {
	s.mu.Lock()
	s.received = append(s.received, line)
	s.mu.Unlock()
}

// take returns the lines received since the last call.
func (s *sink) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	received := s.received
	s.received = nil
	return received
}

func (s *sink) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	answer := func(verb, usual string) bool {
		s.mu.Lock()
		if a, ok := s.answers[verb]; ok {
			usual = a
		}
		s.mu.Unlock()
		if usual == "-" {
			return false
		}
		if usual != "" {
			fmt.Fprintf(c, "%s\r\n", strings.ReplaceAll(usual, "\n", "\r\n"))
		}
		return true
	}
	if !answer("", "220-sink\n220 speaks ESMTP") {
		return
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line, ok := strings.CutSuffix(line, "\r\n")
		if !ok {
			line += " without CR"
		}
		s.note(line)
		verb, _, _ := strings.Cut(line, " ")
		if verb == "DATA" {
			if !answer(verb, "354 go on") {
				return
			}
			var text []string
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line = strings.TrimSuffix(line, "\r\n"); line == "." {
					break
				}
				text = append(text, line)
			}
			if !answer(".", "250 accepted") {
				return
			}
			s.mail <- strings.Join(text, "\n")
			continue
		}
		usual := map[string]string{
			"EHLO": "250-sink\n250-STARTTLS\n250-AUTH LOGIN PLAIN\n250 8BITMIME",
			"QUIT": "221 bye", "STARTTLS": "220 begin", "AUTH": "235 welcome",
		}[verb]
		if usual == "" {
			usual = "250 fine"
		}
		if !answer(verb, usual) {
			return
		}
		if verb == "STARTTLS" {
			t := tls.Server(c, s.tls)
			if t.Handshake() != nil {
				return
			}
			c, r = t, bufio.NewReader(t)
		}
	}
}

func newSink(answers map[string]string) *sink {
	return &sink{answers: answers, mail: make(chan string, 300)}
}

// listen serves on loopback and returns the port.
func (s *sink) listen(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func closeMailer(t *testing.T, m *mailer) {
	m.close(time.Now().Add(time.Second))
	<-m.done
}

func TestDialogue(t *testing.T) {
	captureLog(t)
	s := newSink(nil)
	m := newMailer("host")
	defer closeMailer(t, m)
	m.configure(conf.Mail{
		Server: "127.0.0.1", Port: s.listen(t), ConnectTimeout: patience, HeloName: "helo", From: "Ka Lived <ka@example.com>",
		To: []string{"ops@example.com", "On Duty <duty@example.com>"},
	}, "LB1")
	m.queueMail(&Mail{Subject: "VRRP Instance VI_1 - Entering MASTER state", Body: "=> VRRP Instance is now owning VRRP VIPs <="}, nil)
	text := <-s.mail
	date, rest, _ := strings.Cut(text, "\n")
	if _, err := time.Parse("Date: "+time.RFC1123Z, date); err != nil {
		t.Error(err)
	}
	eventually(t, "QUIT", func() bool { return m.status().Sent == 1 })
	golden(t, "dialogue.txt", strings.Join(s.take(), "\n")+"\n\n"+rest+"\n")
}

func TestDotsAreStuffed(t *testing.T) {
	captureLog(t)
	s := newSink(nil)
	m := newMailer("host")
	defer closeMailer(t, m)
	m.configure(conf.Mail{Server: "127.0.0.1", Port: s.listen(t), ConnectTimeout: patience, To: []string{".\n.@example.com"}}, "LB1")
	set := m.settings
	if err := m.deliver(context.Background(), &set, &alert{Mail: Mail{Body: ".first\n.\nlast"}}); err != nil {
		t.Fatal(err)
	}
	if _, body, _ := strings.Cut(<-s.mail, "\n\n"); body != "..first\n..\nlast\n" {
		t.Errorf("%q", body)
	}
}

// authority makes a certificate for the names, and a pool that trusts it.
func authority(t *testing.T, names ...string) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: names, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}

func TestEncryptionAndAuthentication(t *testing.T) {
	const password = "s3cret-w0rd"
	plain := "AUTH PLAIN AG9wcwBzM2NyZXQtdzByZA=="
	ehlo := []string{"EHLO host", "STARTTLS", "EHLO host"}
	transaction := []string{"MAIL FROM:<ka@example.com>", "RCPT TO:<ops@example.com>", "DATA", "QUIT"}
	for _, c := range []struct {
		name      string
		mail      conf.Mail
		answers   map[string]string
		loopback  bool // the peer has an address of this node
		otherName bool // the certificate is for another name
		received  []string
		err       string
	}{
		{name: "STARTTLS", mail: conf.Mail{STARTTLS: true}, received: slices.Concat(ehlo, transaction)},
		{name: "STARTTLS and PLAIN", mail: conf.Mail{STARTTLS: true, User: "ops"}, received: slices.Concat(ehlo, []string{plain}, transaction)},
		{name: "STARTTLS and LOGIN", mail: conf.Mail{STARTTLS: true, User: "ops"},
			answers: map[string]string{"EHLO": "250-sink\n250-starttls\n250 AUTH LOGIN", "AUTH": "334 VXNlcm5hbWU6",
				"b3Bz": "334 UGFzc3dvcmQ6", "czNjcmV0LXcwcmQ=": "235 welcome"},
			received: slices.Concat(ehlo, []string{"AUTH LOGIN", "b3Bz", "czNjcmV0LXcwcmQ="}, transaction)},
		{name: "on this node", mail: conf.Mail{User: "ops"}, loopback: true, received: slices.Concat([]string{"EHLO host", plain}, transaction)},
		{name: "password in clear", mail: conf.Mail{User: "ops"}, received: []string{"EHLO host"}, err: "is not sent in clear"},
		{name: "STARTTLS is not offered", mail: conf.Mail{STARTTLS: true}, answers: map[string]string{"EHLO": "250 sink"},
			received: []string{"EHLO host"}, err: "does not offer STARTTLS"},
		{name: "nothing we know is offered", mail: conf.Mail{STARTTLS: true, User: "ops"},
			answers: map[string]string{"EHLO": "250-STARTTLS\n250-STARTTLS\n250 AUTH GSSAPI"}, received: ehlo, err: "neither AUTH PLAIN nor AUTH LOGIN"},
		{name: "another name", mail: conf.Mail{STARTTLS: true}, otherName: true, received: ehlo[:2], err: "certificate is valid for other.example"},
		{name: "wrong password, repeated by the server", mail: conf.Mail{STARTTLS: true, User: "ops"},
			answers: map[string]string{"AUTH": "535 " + password + " " + plain}, received: append(slices.Clone(ehlo), plain),
			err: `AUTH PLAIN as configured: 535 "refused"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := captureLog(t)
			s := newSink(c.answers)
			name := "mail.example"
			if c.otherName {
				name = "other.example"
			}
			m := newMailer("host")
			defer closeMailer(t, m)
			s.tls, m.roots = authority(t, name)
			port := s.listen(t)
			m.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr != "mail.example:25" {
					return nil, fmt.Errorf("asked for %s", addr)
				}
				conn, err := new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+strconv.Itoa(port))
				if err == nil && !c.loopback {
					conn = elsewhere{conn}
				}
				return conn, err
			}
			c.mail.Server, c.mail.From, c.mail.To, c.mail.Password = "mail.example", "ka@example.com", []string{"ops@example.com"}, password
			c.mail.Port, c.mail.ConnectTimeout = 25, patience
			set := complete(c.mail, "LB1", "host")
			err := m.deliver(t.Context(), &set, &alert{Mail: Mail{Subject: "s", Body: "b"}})
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if diff := cmp.Diff(c.received, s.take()); diff != "" {
				t.Errorf("received (-want +got):\n%s", diff)
			}
			for _, secret := range []string{password, plain, "AG9wcwBzM2NyZXQtdzByZA=="} {
				if strings.Contains(fmt.Sprint(log, err), secret) {
					t.Errorf("secret in %v\n%v", err, log)
				}
			}
		})
	}
}

// elsewhere is a connection to another node.
type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)} }

func TestServersThatDoNotTakeMail(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers map[string]string
		err     string
		code    int
	}{
		{"closes at once", map[string]string{"": "-"}, "greeting of the server: EOF", 0},
		{"refuses everybody", map[string]string{"": "554 go away"}, `greeting of the server: 554 "go away"`, 554},
		{"closes midway", map[string]string{"RCPT": "-"}, "RCPT TO:<ops@example.com>: EOF", 0},
		{"refuses the sender", map[string]string{"MAIL": "550 not you"}, `MAIL FROM:<ka@example.com>: 550 "not you"`, 550},
		{"refuses all recipients", map[string]string{"RCPT": "450 later"}, `450 "later"`, 450},
		{"refuses the message", map[string]string{".": "552 too big"}, `the message: 552 "too big"`, 552},
		{"is no mail server", map[string]string{"": "* OK IMAP4rev1"}, "greeting of the server", 0},
		{"does not know QUIT", map[string]string{"QUIT": "-"}, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			captureLog(t)
			s := newSink(c.answers)
			m := newMailer("host")
			defer closeMailer(t, m)
			set := complete(conf.Mail{Server: "127.0.0.1", Port: s.listen(t), ConnectTimeout: patience, From: "ka@example.com", To: []string{"ops@example.com"}}, "", "host")
			err := m.deliver(t.Context(), &set, &alert{})
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if got := replyCode(err); got != c.code {
				t.Errorf("reply code %d, want %d", got, c.code)
			}
		})
	}
}

func TestOneRecipientRefused(t *testing.T) {
	log := captureLog(t)
	s := newSink(map[string]string{"RCPT": "550 unknown"})
	m := newMailer("host")
	defer closeMailer(t, m)
	set := complete(conf.Mail{Server: "127.0.0.1", Port: s.listen(t), ConnectTimeout: patience, To: []string{"a@example.com", "b@example.com"}}, "", "host")
	m.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return &once{conn, func() { s.answer(nil) }}, err
	}
	if err := m.deliver(t.Context(), &set, &alert{}); err != nil {
		t.Fatal(err)
	}
	<-s.mail
	log.expect(t, 1, `refuses a recipient: RCPT TO:<a@example.com>: 550 "unknown"`)
}

// once calls f when the client is about to send the second recipient.
type once struct {
	net.Conn
	f func()
}

func (o *once) Write(b []byte) (int, error) {
	if strings.Contains(string(b), "b@example.com") {
		o.f()
	}
	return o.Conn.Write(b)
}

// inMemory connects the mailer to s by an in-memory pipe, in the virtual time of a test.
func inMemory(m *mailer, s *sink) {
	m.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		ours, theirs := net.Pipe()
		go s.serve(theirs)
		return ours, nil
	}
}

var someMail = conf.Mail{Port: 25, ConnectTimeout: 30 * time.Second, Server: "mail.example", From: "ka@example.com", To: []string{"ops@example.com"}}

// numberedMail returns mail number n of a test.
func numberedMail(n int) *Mail { return &Mail{Subject: "mail " + strconv.Itoa(n) + " of all"} }

// numberOf returns the number that numberedMail put into a mail.
func numberOf(text string) string {
	_, rest, _ := strings.Cut(text, "mail ")
	n, _, _ := strings.Cut(rest, " ")
	return n
}

func TestMailsAreTriedAgainAndGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := captureLog(t)
		m := newMailer("host")
		var attempts []time.Duration
		start := time.Now()
		s := newSink(nil)
		up := false
		m.dial = func(context.Context, string, string) (net.Conn, error) {
			attempts = append(attempts, time.Since(start))
			if !up {
				return nil, errors.New("connection refused")
			}
			ours, theirs := net.Pipe()
			go s.serve(theirs)
			return ours, nil
		}
		m.configure(someMail, "LB1")
		m.queueMail(numberedMail(1), nil)
		time.Sleep(time.Minute)
		m.queueMail(numberedMail(2), nil) // counts the attempts from here on
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		second := time.Second
		want := []time.Duration{0, 5 * second, 35 * second, 155 * second, 755 * second, // 1 is dropped, 2 has failed twice
			785 * second, 905 * second}
		if diff := cmp.Diff(want, attempts); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		log.expect(t, 1, "is lost: connect to mail.example:25: connection refused")
		if st := m.status(); st.Waiting != 1 || st.Lost != 1 || !strings.Contains(st.LastError, "refused") {
			t.Errorf("status %+v", st)
		}
		up = true
		m.configure(someMail, "LB2") // a reload with a change tries at once
		synctest.Wait()
		if got := numberOf(<-s.mail); got != "2" {
			t.Errorf("mail %s", got)
		}
		if st := m.status(); st.Waiting != 0 || st.Sent != 1 || st.LastError != "" {
			t.Errorf("status %+v", st)
		}
		closeMailer(t, m)
	})
}

// TestMailsAreInOrder checks that a mail that the server refuses temporarily delays only
// itself, that one refused permanently is not tried again, and that the order is kept.
func TestMailsAreInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := captureLog(t)
		m := newMailer("host")
		s := newSink(map[string]string{"MAIL": "451 later"})
		inMemory(m, s)
		m.configure(someMail, "LB1")
		for n := 1; n <= 3; n++ {
			m.queueMail(numberedMail(n), nil)
		}
		time.Sleep(time.Second)
		s.answer(map[string]string{"MAIL": "550 never"})
		time.Sleep(5 * time.Second) // 1 is tried again and dropped, then 2 and 3 are sent
		log.expect(t, 3, `is lost: MAIL FROM:<ka@example.com>: 550 "never"`)
		s.answer(nil)
		for n := 4; n <= 6; n++ {
			m.queueMail(numberedMail(n), nil)
		}
		for n := 4; n <= 6; n++ {
			if got := numberOf(<-s.mail); got != strconv.Itoa(n) {
				t.Errorf("mail %s, want %d", got, n)
			}
		}
		closeMailer(t, m)
	})
}

func TestSilentServer(t *testing.T) {
	for verb, after := range map[string]time.Duration{"": dialogueTimeout, "DATA": dialogueTimeout} {
		synctest.Test(t, func(t *testing.T) {
			log := captureLog(t)
			m := newMailer("host")
			inMemory(m, newSink(map[string]string{verb: ""}))
			m.configure(someMail, "LB1")
			m.queueMail(numberedMail(1), nil)
			time.Sleep(after - time.Second)
			log.expect(t, 0, "has not been sent")
			time.Sleep(2 * time.Second)
			log.expect(t, 1, "the server did not answer in time); trying again in 5s")
			closeMailer(t, m)
		})
	}
}

func TestConnectTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := captureLog(t)
		m := newMailer("host")
		m.dial = func(ctx context.Context, _, _ string) (net.Conn, error) { // such as for a name that is not resolved
			<-ctx.Done()
			return nil, ctx.Err()
		}
		c := someMail
		c.ConnectTimeout = 3 * time.Second
		m.configure(c, "LB1")
		m.queueMail(numberedMail(1), nil)
		time.Sleep(3*time.Second + time.Millisecond)
		log.expect(t, 1, "connect to mail.example:25: context deadline exceeded; trying again")
		closeMailer(t, m)
	})
}

func TestMailQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := captureLog(t)
		m := newMailer("host")
		s := newSink(map[string]string{"": ""})
		inMemory(m, s)
		m.configure(someMail, "LB1")
		for n := range maxMails + 2 {
			m.queueMail(numberedMail(n), nil)
		}
		log.expect(t, 2, "is lost: 256 mails are already waiting")

		start := time.Now() // the server is silent: waiting mails are dropped at the deadline
		m.close(start.Add(time.Second))
		<-m.done
		if took := time.Since(start); took != time.Second {
			t.Errorf("closing took %v", took)
		}
		if st := m.status(); st.Lost != maxMails+2 || st.Waiting != 0 {
			t.Errorf("status %+v", st)
		}
	})
}

func TestClosingSendsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		captureLog(t)
		m := newMailer("host")
		s := newSink(nil)
		inMemory(m, s)
		m.configure(someMail, "LB1")
		for n := range 3 {
			m.queueMail(numberedMail(n), nil)
		}
		m.close(time.Now().Add(time.Second))
		<-m.done
		if st := m.status(); st.Sent != 3 {
			t.Errorf("status %+v", st)
		}
		m.queueMail(numberedMail(4), nil) // no goroutine is left to send it
		if st := m.status(); st.Waiting != 0 {
			t.Errorf("status %+v", st)
		}
		time.Sleep(time.Minute) // the timer of close
	})
}

func TestNoFaultsAndNoServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		captureLog(t)
		m := newMailer("host")
		s := newSink(nil)
		inMemory(m, s)
		m.queueMail(numberedMail(0), nil)
		c := someMail
		c.NoFaults = true
		m.configure(c, "LB1")
		m.queueMail(&Mail{Subject: "one", Fault: true}, nil)
		m.queueMail(&Mail{Subject: "another"}, nil)
		if got := <-s.mail; !strings.Contains(got, "] another\n") {
			t.Error(got)
		}
		synctest.Wait()
		m.configure(conf.Mail{}, "LB1")
		m.queueMail(numberedMail(4), nil)
		closeMailer(t, m)
		if st := m.status(); st.Sent != 1 || st.Lost != 0 {
			t.Errorf("status %+v", st)
		}
	})
}

func TestReloadWithoutMailDropsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := captureLog(t)
		m := newMailer("host")
		inMemory(m, newSink(map[string]string{"": "-"}))
		m.configure(someMail, "LB1")
		m.queueMail(numberedMail(1), nil)
		synctest.Wait()
		m.configure(conf.Mail{}, "LB1")
		log.expect(t, 1, "mail is no longer configured: 1 waiting mails are not sent")
		closeMailer(t, m)
	})
}

func TestDefaults(t *testing.T) {
	s := complete(conf.Mail{}, "", "host")
	if s.RouterID != "host" || s.HeloName != "host" || !strings.HasSuffix(s.From, "@host") {
		t.Errorf("%+v", s)
	}
}
