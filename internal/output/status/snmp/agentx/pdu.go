// Package agentx is the side of a subagent of AgentX (RFC 2741): the protocol by which a
// program provides objects of SNMP to the master agent of its machine, such as snmpd(8).
package agentx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// OID is an object identifier.
type OID []uint32

// Compare orders identifiers as SNMP does.
func (o OID) Compare(p OID) int { return slices.Compare(o, p) }

// Under reports whether o begins with prefix.
func (o OID) Under(prefix OID) bool {
	return len(o) >= len(prefix) && slices.Equal(o[:len(prefix)], prefix)
}

// Append returns a new identifier: o and what follows.
func (o OID) Append(more ...uint32) OID { return slices.Concat(o, more) }

// String is o with dots.
func (o OID) String() string {
	parts := make([]string, len(o))
	for i, n := range o {
		parts[i] = strconv.FormatUint(uint64(n), 10)
	}
	return strings.Join(parts, ".")
}

// Type is the type of a value (RFC 2741, section 5.4). The zero value is that of no value.
type Type uint16

// The types.
const (
	Integer        Type = 2
	OctetString    Type = 4
	Null           Type = 5
	ObjectID       Type = 6
	IPAddress      Type = 64
	Counter32      Type = 65
	Gauge32        Type = 66 // Unsigned32 too
	TimeTicks      Type = 67 // hundredths of a second
	Opaque         Type = 68
	Counter64      Type = 70
	NoSuchObject   Type = 128
	NoSuchInstance Type = 129
	EndOfMIBView   Type = 130
)

// Value is the value of an object. Of its fields, Type decides which one counts.
type Value struct {
	Type   Type
	Number uint64 // an Integer: its two's complement
	Bytes  []byte // OctetString, Opaque, IPAddress
	OID    OID
}

// Varbind is an object and its value.
type Varbind struct {
	Name  OID
	Value Value
}

// Range is where a value is searched for: From names the object itself, or it is the
// first one after it, unless Include; To is after the last one, empty: there is none.
type Range struct {
	From, To OID
	Include  bool
}

// Kind is the kind of a PDU (RFC 2741, section 6.1).
type Kind uint8

// The kinds.
const (
	Open       Kind = 1
	Close      Kind = 2
	Register   Kind = 3
	Get        Kind = 5
	GetNext    Kind = 6
	GetBulk    Kind = 7
	TestSet    Kind = 8
	CommitSet  Kind = 9
	UndoSet    Kind = 10
	CleanupSet Kind = 11
	Notify     Kind = 12
	Ping       Kind = 13
	Response   Kind = 18
)

// Flags of a PDU (RFC 2741, section 6.1.1).
const (
	flagContext = 0x08 // one other than the default follows the header
	flagNetwork = 0x10 // most significant byte first
)

// Status is the error of a response: those of SNMP, and those of AgentX from 256 on.
type Status uint16

// The statuses that a subagent has to do with.
const (
	NoError             Status = 0
	GenErr              Status = 5
	NoAccess            Status = 6
	WrongType           Status = 7
	WrongValue          Status = 10
	NoCreation          Status = 11
	CommitFailed        Status = 14
	UndoFailed          Status = 15
	NotWritable         Status = 17
	NotOpen             Status = 257
	UnsupportedContext  Status = 262
	DuplicateRegistered Status = 263
	ParseError          Status = 266
	ProcessingError     Status = 268
)

// PDU is a message. Of its fields, Kind decides which ones count.
type PDU struct {
	Kind                         Kind
	Little                       bool // least significant byte first
	Session, Transaction, Packet uint32
	Context                      []byte // nil: the default one

	Timeout     uint8 // Open, Register: seconds
	ID          OID   // Open: of the subagent; Register: the subtree
	Description []byte
	Priority    uint8 // Register
	Reason      uint8 // Close

	Ranges         []Range // Get, GetNext, GetBulk
	NonRepeaters   uint16  // GetBulk
	MaxRepetitions uint16

	Varbinds []Varbind // TestSet, Notify, Response

	UpTime uint32 // Response: of the master agent, hundredths of a second
	Error  Status
	Index  uint16 // of the varbind with Error, from 1
}

const (
	headerSize = 20
	// MaxPayload is how long a PDU may be without its header, in bytes. A request has at
	// most what fits a datagram.
	MaxPayload = 256 << 10
	// maxSubIDs is how long an identifier may be (RFC 2578, section 3.5).
	maxSubIDs = 128
)

// errMalformed is the error of a PDU that contradicts itself.
var errMalformed = errors.New("malformed AgentX message")

// Append appends the encoded form of p.
func (p *PDU) Append(b []byte) []byte {
	var order binary.AppendByteOrder = binary.BigEndian
	flags := byte(flagNetwork)
	if p.Little {
		order, flags = binary.LittleEndian, 0
	}
	if p.Context != nil {
		flags |= flagContext
	}
	start := len(b)
	b = append(b, 1, byte(p.Kind), flags, 0)
	e := encoder{order, b}
	for _, n := range []uint32{p.Session, p.Transaction, p.Packet, 0} {
		e.long(n)
	}
	if p.Context != nil {
		e.octets(p.Context)
	}
	switch p.Kind {
	case Open:
		e.b = append(e.b, p.Timeout, 0, 0, 0)
		e.oid(p.ID, false)
		e.octets(p.Description)
	case Close:
		e.b = append(e.b, p.Reason, 0, 0, 0)
	case Register:
		e.b = append(e.b, p.Timeout, p.Priority, 0, 0)
		e.oid(p.ID, false)
	case Get, GetNext, GetBulk:
		if p.Kind == GetBulk {
			e.short(p.NonRepeaters)
			e.short(p.MaxRepetitions)
		}
		for i := range p.Ranges {
			e.oid(p.Ranges[i].From, p.Ranges[i].Include)
			e.oid(p.Ranges[i].To, false)
		}
	case Response:
		e.long(p.UpTime)
		e.short(uint16(p.Error))
		e.short(p.Index)
		e.varbinds(p.Varbinds)
	case TestSet, Notify:
		e.varbinds(p.Varbinds)
	}
	size := uint32(len(e.b) - start - headerSize)
	copy(e.b[start+headerSize-4:], order.AppendUint32(nil, size))
	return e.b
}

type encoder struct {
	order binary.AppendByteOrder
	b     []byte
}

func (e *encoder) short(n uint16) { e.b = e.order.AppendUint16(e.b, n) }
func (e *encoder) long(n uint32)  { e.b = e.order.AppendUint32(e.b, n) }

func (e *encoder) octets(s []byte) {
	e.long(uint32(len(s)))
	e.b = append(e.b, s...)
	e.b = append(e.b, make([]byte, -len(s)&3)...)
}

func (e *encoder) oid(o OID, include bool) {
	o = o[:min(len(o), maxSubIDs)]
	head := [4]byte{0: byte(len(o))}
	// 1.3.6.1.N is written as a prefix.
	if len(o) >= 5 && slices.Equal(o[:4], OID{1, 3, 6, 1}) && o[4] > 0 && o[4] < 256 {
		head[0], head[1], o = byte(len(o)-5), byte(o[4]), o[5:]
	}
	if include {
		head[2] = 1
	}
	e.b = append(e.b, head[:]...)
	for _, n := range o {
		e.long(n)
	}
}

func (e *encoder) varbinds(list []Varbind) {
	for i := range list {
		v := &list[i].Value
		e.short(uint16(v.Type))
		e.short(0)
		e.oid(list[i].Name, false)
		switch v.Type {
		case Integer, Counter32, Gauge32, TimeTicks:
			e.long(uint32(v.Number))
		case Counter64:
			e.b = e.order.AppendUint64(e.b, v.Number)
		case OctetString, IPAddress, Opaque:
			e.octets(v.Bytes)
		case ObjectID:
			e.oid(v.OID, false)
		}
	}
}

// Read reads a PDU. After an error the stream cannot be read any further, unless the
// error is a [*BadPDU].
func Read(r io.Reader) (*PDU, error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, err
	}
	p := &PDU{Kind: Kind(h[1]), Little: h[2]&flagNetwork == 0}
	var order binary.ByteOrder = binary.BigEndian
	if p.Little {
		order = binary.LittleEndian
	}
	p.Session, p.Transaction, p.Packet = order.Uint32(h[4:]), order.Uint32(h[8:]), order.Uint32(h[12:])
	size := order.Uint32(h[16:])
	if h[0] != 1 || size > MaxPayload || size%4 != 0 {
		return nil, fmt.Errorf("%w: version %d, %d bytes", errMalformed, h[0], size)
	}
	// What is announced costs nothing before it comes.
	var body bytes.Buffer
	if n, err := io.CopyN(&body, r, int64(size)); n < int64(size) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	d := decoder{order: order, b: body.Bytes()}
	if h[2]&flagContext != 0 {
		p.Context = d.octets()
	}
	d.body(p)
	if d.bad {
		return nil, &BadPDU{p}
	}
	return p, nil
}

// BadPDU is the error of a PDU whose length is right, and the rest is not. It has the
// header.
type BadPDU struct{ PDU *PDU }

func (e *BadPDU) Error() string { return fmt.Sprintf("%v of kind %d", errMalformed, e.PDU.Kind) }

type decoder struct {
	order binary.ByteOrder
	b     []byte
	bad   bool
}

func (d *decoder) take(n int) []byte {
	if n > len(d.b) {
		d.bad, d.b = true, nil
		return make([]byte, min(n, 8)) // of the numbers below
	}
	taken := d.b[:n:n]
	d.b = d.b[n:]
	return taken
}

func (d *decoder) short() uint16 { return d.order.Uint16(d.take(2)) }
func (d *decoder) long() uint32  { return d.order.Uint32(d.take(4)) }

func (d *decoder) octets() []byte {
	n := d.long()
	if n > MaxPayload {
		d.bad = true
		return []byte{}
	}
	padded := d.take((int(n) + 3) &^ 3)
	if d.bad {
		return []byte{}
	}
	return padded[:n:n]
}

func (d *decoder) oid() (o OID, include bool) {
	head := d.take(4)
	n := int(head[0])
	if n > maxSubIDs || 4*n > len(d.b) {
		d.bad = true
		return nil, false
	}
	if head[1] != 0 {
		o = OID{1, 3, 6, 1, uint32(head[1])}
	}
	for range n {
		o = append(o, d.long())
	}
	if len(o) > maxSubIDs {
		d.bad = true
	}
	return o, head[2] != 0
}

func (d *decoder) body(p *PDU) {
	switch p.Kind {
	case Open:
		p.Timeout = d.take(4)[0]
		p.ID, _ = d.oid()
		p.Description = d.octets()
	case Close:
		p.Reason = d.take(4)[0]
	case Register:
		head := d.take(4)
		p.Timeout, p.Priority = head[0], head[1]
		d.bad = d.bad || head[2] != 0 // a range: only in registrations, which an agent does not receive
		p.ID, _ = d.oid()
	case Get, GetNext, GetBulk:
		if p.Kind == GetBulk {
			p.NonRepeaters, p.MaxRepetitions = d.short(), d.short()
		}
		for len(d.b) > 0 && !d.bad {
			var r Range
			r.From, r.Include = d.oid()
			r.To, _ = d.oid()
			p.Ranges = append(p.Ranges, r)
		}
	case Response:
		p.UpTime, p.Error, p.Index = d.long(), Status(d.short()), d.short()
		d.varbinds(p)
	case TestSet, Notify:
		d.varbinds(p)
	}
	d.bad = d.bad || len(d.b) > 0
}

func (d *decoder) varbinds(p *PDU) {
	for len(d.b) > 0 && !d.bad {
		var v Varbind
		v.Value.Type = Type(d.short())
		d.short()
		v.Name, _ = d.oid()
		switch v.Value.Type {
		case Integer, Counter32, Gauge32, TimeTicks:
			v.Value.Number = uint64(d.long())
		case Counter64:
			v.Value.Number = d.order.Uint64(d.take(8))
		case OctetString, IPAddress, Opaque:
			v.Value.Bytes = d.octets()
		case ObjectID:
			v.Value.OID, _ = d.oid()
		case Null, NoSuchObject, NoSuchInstance, EndOfMIBView:
		default:
			d.bad = true
		}
		p.Varbinds = append(p.Varbinds, v)
	}
}

// Int is an Integer (Integer32).
func Int(n int64) Value { return Value{Type: Integer, Number: uint64(uint32(int32(n)))} }

// Unsigned is a Gauge32 or Unsigned32. What is too large for it is the largest.
func Unsigned[N ~int | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64](n N) Value {
	return Value{Type: Gauge32, Number: min(uint64(n), 1<<32-1)}
}

// Count32 is a Counter32, which wraps.
func Count32(n uint64) Value { return Value{Type: Counter32, Number: n & (1<<32 - 1)} }

// Count64 is a Counter64.
func Count64(n uint64) Value { return Value{Type: Counter64, Number: n} }

// Text is an OctetString.
func Text(s string) Value { return Value{Type: OctetString, Bytes: []byte(s)} }

// Octets is an OctetString.
func Octets(b []byte) Value { return Value{Type: OctetString, Bytes: b} }

// IPv4 is an IpAddress; 0.0.0.0 if a is none.
func IPv4(a netip.Addr) Value {
	v := Value{Type: IPAddress, Bytes: make([]byte, 4)}
	if a.Is4() {
		v.Bytes = a.AsSlice()
	}
	return v
}

// Signed is the number of an Integer.
func (v *Value) Signed() int64 { return int64(int32(v.Number)) }
