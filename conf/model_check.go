package conf

import (
	"net/netip"
	"time"
)

// CheckKind is a kind of health check.
type CheckKind uint8

const (
	CheckTCP CheckKind = iota
	CheckHTTP
	CheckSSL
	CheckSMTP
	CheckDNS
	CheckMisc
	CheckBFD
	CheckUDP
	CheckPing
	CheckFile
)

// Check is one health check of a real server with effective values. The times
// mean nothing to CheckBFD and CheckFile, which are notified of changes.
type Check struct {
	Kind           CheckKind `view:"-"` // the title has it
	Alpha          bool      // down until it succeeds
	LogAllFailures bool
	Pos            Pos

	*CheckTiming // never nil

	Connect *Connection // nil for CheckMisc, CheckBFD and CheckFile

	// What the kind needs; the others are nil.
	HTTP *HTTPCheck // CheckHTTP, CheckSSL
	SMTP *SMTPCheck
	DNS  *DNSCheck
	Misc *MiscCheck
	BFD  *BFDCheck
	UDP  *UDPCheck
	File *FileCheck
}

// CheckTiming is when a check is repeated. Checks with equal values share one.
type CheckTiming struct {
	DelayLoop        time.Duration // from one check to the next; default 60 s
	Retry            int           // failures in a row that are forgiven; default 1, DNS 3, MISC 0
	DelayBeforeRetry time.Duration // default 1 s, HTTP and SSL 3 s, DNS DelayLoop
	Warmup           time.Duration // longest delay of the first check; default DelayLoop
}

// Connection is where a check connects, and from where.
type Connection struct {
	Addr     netip.Addr // connect_ip; the real server unless given
	Bind     netip.Addr // bindto, of the family of Addr; zero: any
	BindIf   string     // empty: any
	Port     uint16     // connect_port; that of the real server unless given
	BindPort uint16     // 0: any
	FWMark   uint32     // of the packets sent
	Timeout  time.Duration
}

// HTTPProtocol is http_protocol.
type HTTPProtocol uint8

const (
	HTTP10      HTTPProtocol = iota // HTTP/1.0
	HTTP10Close                     // HTTP/1.0 with Connection: close
	HTTP11                          // HTTP/1.1 with Connection: close
)

// HTTPCheck is what HTTP_GET and SSL_GET fetch.
type HTTPCheck struct {
	Protocol     HTTPProtocol
	FastRecovery bool
	SNI          bool
	SNIName      string // sni_name; empty: the host of the page
	URLs         []URL  `view:"url"` // at least one
}

// URL is a page to fetch and what to make of the answer.
type URL struct {
	Path   string
	Host   string // effective virtualhost; empty: address and port of the connection
	Digest string // MD5 of the body, 32 hexadecimal digits; empty: not checked
	Status []StatusRange
	Regex  *Regex // nil: not checked
	// TLSCompliant demands a proper end of the TLS session.
	TLSCompliant bool
}

// StatusRange is good status codes, First to Last.
type StatusRange struct{ First, Last uint16 }

// Regex is a pattern in the notation of PCRE2 that the body must match.
type Regex struct {
	Pattern string
	NoMatch bool     // it must not match
	Options []string // by the names of the manual
	// StackStart and StackMax are bytes of working memory of PCRE2, which the
	// matcher here does not need; 0: not given.
	StackStart, StackMax uint
	MinOffset, MaxOffset int // where a match may begin; MaxOffset -1: anywhere
}

// SMTPCheck is how a SMTP_CHECK talks.
type SMTPCheck struct {
	Helo string // helo_name
}

// BFDCheck is the session that a BFD_CHECK follows.
type BFDCheck struct {
	Name string // of a bfd_instance that exists
}

// DNSCheck is the question of a DNS_CHECK.
type DNSCheck struct {
	Type string // in capitals; default SOA
	Name string // without the last dot; empty is the root
}

// MiscCheck is a command whose exit status counts.
type MiscCheck struct {
	Command Command
	Timeout time.Duration // default DelayLoop
	Dynamic bool          // exit status 2 to 255 sets the weight to itself less 2
}

// UDPCheck is what a UDP_CHECK sends and expects.
type UDPCheck struct {
	Payload      []byte // nil: a filler text
	RequireReply bool
	// The bytes of an answer are compared with Reply under ReplyMask, as far as
	// both go.
	Reply, ReplyMask     []byte
	MinLength, MaxLength int // of an answer; default 0 and 255
}

// FileCheck adds the number in a tracked file to the weight of a real server.
type FileCheck struct {
	File    string // name of a track_file block that exists
	Weight  int    // factor; that of the file unless given
	Reverse bool
}
