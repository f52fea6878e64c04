package test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"

	"keepalived-go/internal/tool/lab"
)

// States of all servers in this file: down is a closed port, cut a network that delivers
// nothing.

// tcpServer serves port 80 of 127.0.N.1.
func tcpServer(serve func(c net.Conn, state string)) func(s *scene, n *lab.Node, i int) func(state string) {
	return func(s *scene, n *lab.Node, i int) func(state string) {
		var l net.Listener
		var mu sync.Mutex
		var now string
		s.Cleanup(func() {
			if l != nil {
				l.Close()
			}
		})
		return cuttable(s, n, i, func(state string) {
			mu.Lock()
			now = state
			mu.Unlock()
			if state == "down" && l != nil {
				l.Close()
				l = nil
			}
			if state == "down" || l != nil {
				return
			}
			if err := n.Do(func() (err error) {
				l, err = net.Listen("tcp", fmt.Sprintf("127.0.%d.1:80", i))
				return err
			}); err != nil {
				s.Error(err)
				return
			}
			go acceptAll(l, func(c net.Conn) {
				mu.Lock()
				state := now
				mu.Unlock()
				if state == "mute" {
					hold(c, state)
					return
				}
				serve(c, state)
			})
		})
	}
}

// hold accepts a connection and sends nothing until the peer closes it.
func hold(c net.Conn, _ string) { io.Copy(io.Discard, c) }

// udpServer serves port 80 of 127.0.N.1. answer returns the answer to a datagram.
func udpServer(answer func(question []byte, state string) []byte) func(s *scene, n *lab.Node, i int) func(state string) {
	return func(s *scene, n *lab.Node, i int) func(state string) {
		var p net.PacketConn
		var mu sync.Mutex
		var now string
		s.Cleanup(func() {
			if p != nil {
				p.Close()
			}
		})
		return cuttable(s, n, i, func(state string) {
			mu.Lock()
			now = state
			mu.Unlock()
			if state == "down" && p != nil {
				p.Close()
				p = nil
			}
			if state == "down" || p != nil {
				return
			}
			if err := n.Do(func() (err error) {
				p, err = net.ListenPacket("udp", fmt.Sprintf("127.0.%d.1:80", i))
				return err
			}); err != nil {
				s.Error(err)
				return
			}
			go func(p net.PacketConn) {
				b := make([]byte, 1<<16)
				for {
					size, from, err := p.ReadFrom(b)
					if err != nil {
						return
					}
					mu.Lock()
					state := now
					mu.Unlock()
					if state != "mute" {
						p.WriteTo(answer(b[:size], state), from)
					}
				}
			}(p)
		})
	}
}

// host is a server that only answers echo requests.
func host(s *scene, n *lab.Node, i int) func(state string) {
	return cuttable(s, n, i, func(string) {})
}

// cuttable adds the state cut to the states of a server.
func cuttable(s *scene, n *lab.Node, i int, set func(state string)) func(state string) {
	cut := false
	route := func(verb string) {
		if err := n.IP(fmt.Sprintf("route %s table local unicast 127.0.%d.1 dev lost src 192.0.2.1", verb, i)); err != nil {
			s.Error(err)
		}
	}
	return func(state string) {
		switch {
		case cut:
			route("del")
		case state == "cut":
			route("add")
		}
		if cut = state == "cut"; !cut {
			set(state)
		}
	}
}

// withAddress is a server whose virtual address is on the machine in the state here.
func withAddress(serve func(s *scene, n *lab.Node, i int) func(state string)) func(s *scene, n *lab.Node, i int) func(state string) {
	return func(s *scene, n *lab.Node, i int) func(state string) {
		serve(s, n, i)("up")
		here := false
		return func(state string) {
			if here == (state == "here") {
				return
			}
			here = !here
			verb := map[bool]string{true: "add", false: "del"}[here]
			if err := n.IP(fmt.Sprintf("addr %s 10.8.%d.1/32 dev lo", verb, i)); err != nil {
				s.Error(err)
			}
		}
	}
}

// httpServer sends the page that pages has for a path and a state, or else the page "ok".
func httpServer(pages map[string]string) func(s *scene, n *lab.Node, i int) func(state string) {
	return tcpServer(func(c net.Conn, state string) { answerHTTP(c, state, pages) })
}

func answerHTTP(c net.Conn, state string, pages map[string]string) {
	in := bufio.NewReader(c)
	line, err := in.ReadString('\n')
	for more := line; err == nil && more != "\r\n"; {
		more, err = in.ReadString('\n')
	}
	fields := strings.Fields(line)
	if err != nil || len(fields) < 2 || state == "empty" {
		return
	}
	page, ok := pages[fields[1]+" "+state]
	if !ok {
		page = page200("ok\n")
	}
	io.WriteString(c, page)
}

func page200(body string) string { return page("200 OK", body) }

func page(status, body string) string {
	return fmt.Sprintf("HTTP/1.0 %s\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

// tlsServer is httpServer with TLS.
func tlsServer(pages map[string]string) func(s *scene, n *lab.Node, i int) func(state string) {
	return func(s *scene, n *lab.Node, i int) func(state string) {
		config := &tls.Config{Certificates: []tls.Certificate{s.certificate()}}
		return tcpServer(func(c net.Conn, state string) {
			session := tls.Server(c, config)
			answerHTTP(session, state, pages)
			session.Close()
		})(s, n, i)
	}
}

// certificate returns a self-signed certificate for addresses.
func (s *scene) certificate(of ...net.IP) tls.Certificate {
	s.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.must(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: of, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	body, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	s.must(err)
	return tls.Certificate{Certificate: [][]byte{body}, PrivateKey: key}
}

// mailExchange is an SMTP server. In the states greeting and helo it refuses at that
// point.
var mailExchange = tcpServer(func(c net.Conn, state string) {
	if state == "greeting" {
		io.WriteString(c, "554 no\r\n")
		return
	}
	io.WriteString(c, "220 mail.example ESMTP\r\n")
	for in := bufio.NewScanner(c); in.Scan(); {
		switch {
		case strings.HasPrefix(in.Text(), "QUIT"):
			io.WriteString(c, "221 bye\r\n")
			return
		case state == "helo":
			io.WriteString(c, "500 no\r\n")
		default:
			io.WriteString(c, "250 ok\r\n")
		}
	}
})

// nameServer answers every question without records. In the state servfail it refuses.
var nameServer = udpServer(func(question []byte, state string) []byte {
	answer := append([]byte(nil), question...)
	answer[2] |= 0x80 // QR
	if state == "servfail" {
		answer[3] |= 2
	}
	return answer
})
