package notify

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"sync"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/output/status"
)

const (
	// maxMails is how many mails wait for the server.
	maxMails = 256
	// dialogueTimeout bounds the delivery of one mail once the server has
	// accepted the connection.
	dialogueTimeout = time.Minute
)

// retries are the pauses after the attempts to deliver a mail; when they are
// used up it is given up.
var retries = [...]time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}

// settings are how mails are sent, nothing left to be completed.
type settings struct {
	conf.Mail
	RouterID string
}

// title is the subject of a as it is sent.
func (s *settings) title(a *alert) string { return "[" + s.RouterID + "] " + a.Subject }

// complete fills what the configuration leaves open.
func complete(m conf.Mail, routerID, hostname string) settings {
	return settings{m.Complete(script.OwnUser(), hostname), cmp.Or(routerID, hostname)}
}

// mailer sends mails in the order in which they were reported, one at a time.
type mailer struct {
	hostname string
	roots    *x509.CertPool // of authorities; nil: those of the system
	dial     func(ctx context.Context, network, addr string) (net.Conn, error)

	cancel context.CancelFunc // ends what is under way
	done   chan struct{}

	mu       sync.Mutex
	settings settings
	queue    []alert // the first one is being delivered
	closing  bool
	wake     chan struct{} // one of the above has changed
	accepted uint64
	sent     uint64
	lost     uint64
	last     string // why the last attempt did not succeed; empty: it has
}

func newMailer(hostname string) *mailer {
	ctx, cancel := context.WithCancel(context.Background())
	m := &mailer{
		hostname: hostname,
		dial:     new(net.Dialer).DialContext,
		cancel:   cancel,
		done:     make(chan struct{}),
		wake:     make(chan struct{}, 1),
	}
	m.settings = complete(conf.Mail{}, "", hostname)
	go m.run(ctx)
	return m
}

// configure takes effect for what waits, too: it goes to the new server. A mail
// that waits to be tried again is tried at once if the settings differ.
func (m *mailer) configure(c conf.Mail, routerID string) {
	s := complete(c, routerID, m.hostname)
	m.mu.Lock()
	defer m.mu.Unlock()
	if reflect.DeepEqual(s, m.settings) {
		return
	}
	m.settings = s
	if n := len(m.queue); n > 0 && (s.Server == "" || len(s.To) == 0) {
		for i := range m.queue {
			m.queue[i].attempt(errors.New("mail is no longer configured"))
		}
		m.queue = nil
		m.lost += uint64(n)
		slog.Warn(fmt.Sprintf("mail is no longer configured: %d waiting mails are not sent", n))
	}
	m.signal()
}

// queueMail queues a mail, and returns to whom it goes; empty: none is sent. If attempted is
// not nil, it takes the result of the first attempt, and must not block.
func (m *mailer) queueMail(mail *Mail, attempted func(error)) (to string) {
	a := alert{Mail: *mail, date: time.Now(), attempted: attempted}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.settings.Server == "" || len(m.settings.To) == 0 || m.closing || mail.Fault && m.settings.NoFaults {
		return ""
	}
	to = fmt.Sprintf("%s by %s", strings.Join(m.settings.To, ", "), m.settings.Server)
	if len(m.queue) >= maxMails {
		m.giveUp(&a, fmt.Sprintf("%d mails are already waiting", len(m.queue)))
		return to
	}
	m.accepted++
	a.id = m.accepted
	m.queue = append(m.queue, a)
	m.signal()
	return to
}

// close lets the mailer end when everything is sent, at the latest at deadline.
func (m *mailer) close(deadline time.Time) {
	m.mu.Lock()
	m.closing = true
	m.signal()
	m.mu.Unlock()
	time.AfterFunc(time.Until(deadline), m.cancel)
}

func (m *mailer) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// run delivers what is in the queue until it is closed. Then what cannot be
// delivered at once is lost.
func (m *mailer) run(ctx context.Context) {
	defer close(m.done)
	defer m.cancel()
	for {
		a, s, closing := m.first()
		switch {
		case a != nil:
			pause := m.outcome(a, m.deliver(ctx, s, a))
			if ctx.Err() != nil || closing && pause > 0 {
				m.abandon()
				return
			}
			m.pause(s, pause)
		case closing:
			return
		default:
			<-m.wake
		}
	}
}

// first returns a copy of the mail to be delivered now, nil if none waits.
func (m *mailer) first() (a *alert, s *settings, closing bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	settings := m.settings
	if len(m.queue) > 0 {
		first := m.queue[0]
		a = &first
	}
	return a, &settings, m.closing
}

// outcome takes note of an attempt to deliver a, the first of the queue, and
// returns how long to wait before the next one. When the server could not be
// talked to the attempt counts for all that wait; when it has refused this mail
// for now, for this one; what it refuses permanently is not tried again.
func (m *mailer) outcome(a *alert, err error) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) == 0 || m.queue[0].id != a.id {
		return 0 // a reload has dropped it
	}
	a.attempt(err)
	m.queue[0].attempted = nil
	if err == nil {
		slog.Log(context.Background(), logging.LevelDetail, "SMTP alert successfully sent.", "subject", a.Subject)
		m.sent++
		m.last = ""
		m.queue = m.queue[1:]
		return 0
	}
	m.last = err.Error()
	affected := m.queue
	if code := replyCode(err); code >= 500 {
		m.queue = m.queue[1:]
		m.giveUp(a, m.last)
		return 0
	} else if code > 0 {
		affected = m.queue[:1]
	}
	for i := range affected {
		affected[i].attempts++
	}
	for len(m.queue) > 0 && m.queue[0].attempts > len(retries) {
		m.giveUp(&m.queue[0], m.last)
		m.queue = m.queue[1:]
	}
	if len(m.queue) == 0 || m.queue[0].attempts == 0 {
		return 0
	}
	pause := retries[m.queue[0].attempts-1]
	slog.Warn(fmt.Sprintf("mail %q has not been sent: %s; trying again in %v", m.queue[0].Subject, m.last, pause))
	return pause
}

// giveUp logs what is lost, and why. The mutex is held.
func (m *mailer) giveUp(a *alert, why string) {
	m.lost++
	a.attempt(errors.New(why))
	slog.Error(fmt.Sprintf("mail %q of %s is lost: %s", a.Subject, a.date.Format(time.DateTime), why))
}

// pause waits before the next attempt, the last one having been with s. It ends
// early when the settings change or the mailer closes.
func (m *mailer) pause(s *settings, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		m.mu.Lock()
		changed := m.closing || !reflect.DeepEqual(*s, m.settings)
		m.mu.Unlock()
		if changed {
			return
		}
		select {
		case <-timer.C:
			return
		case <-m.wake:
		}
	}
}

// abandon logs what is lost because there is no more time.
func (m *mailer) abandon() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.queue {
		m.giveUp(&m.queue[i], cmp.Or(m.last, "the daemon is stopping"))
	}
	m.queue = nil
}

func (m *mailer) status() status.Mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return status.Mail{Server: m.settings.Server, Waiting: len(m.queue), Sent: m.sent, Lost: m.lost, LastError: m.last}
}
