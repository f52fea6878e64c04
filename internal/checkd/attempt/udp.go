package attempt

import (
	"golang.org/x/sys/unix"

	"keepalived-go/internal/checkd/life"
)

// UDP is UDP_CHECK: the server is good unless the network reports that no one
// takes the datagram, or if it sends the right answer.
type UDP struct {
	Names
	*Connection
	Payload []byte // payload; nil: a filler text

	// RequireReply demands an answer (require_reply). Its bytes are compared with
	// Reply under Mask, as far as both go; nil: any bytes, the whole byte.
	RequireReply bool
	Reply, Mask  []byte
	// MinLength and MaxLength are the bounds of a good answer's length
	// (min_reply_length, max_reply_length); 0 to 65535, default 0 and 255.
	MinLength, MaxLength int
}

// filler is what datagrams of checks carry unless configured otherwise.
var filler = fill(56)

func fill(n int) []byte {
	const text = "keepalived check - "
	b := make([]byte, n)
	for i := range b {
		b[i] = text[i%len(text)]
	}
	return b
}

func (k *UDP) begin(a *Attempt, _ int) {
	a.run = k
	payload := k.Payload
	if payload == nil {
		payload = filler
	}
	k.datagram(a, payload, func(err error) string { return k.failed(why(err)) })
}

func (k *UDP) ready(a *Attempt, _ uint32) {
	n, err := unix.Read(a.fd, a.env.buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
	case err != nil:
		a.fail(k.failed(why(err)))
	case !k.RequireReply || k.good(a.env.buf[:n]):
		a.pass()
	default:
		a.fail("UDP check to " + k.Server + " reply data mismatch.")
	}
}

// good judges an answer.
func (k *UDP) good(reply []byte) bool {
	if len(reply) < k.MinLength || len(reply) > k.MaxLength {
		return false
	}
	for i := range min(len(reply), len(k.Reply)) {
		mask := byte(0xff)
		if i < len(k.Mask) {
			mask = k.Mask[i]
		}
		if (reply[i]^k.Reply[i])&mask != 0 {
			return false
		}
	}
	return true
}

// expire: silence is what an open port has for a datagram that it does not know.
func (k *UDP) expire(a *Attempt) {
	if k.RequireReply {
		a.fail(k.failed(" (no reply)"))
		return
	}
	a.pass()
}

func (k *UDP) failed(why string) string { return k.portFailed("UDP", why) }

func (k *UDP) line(v *life.Verdict) string { return k.portLine("UDP", v) }

// Mail is in the words of the C daemon.
func (k *UDP) Mail(v *life.Verdict) string { return serviceMail("UDP CHECK", v) }
