package policy_test

import (
	"bufio"
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/tool/lab"
	"keepalived-go/vrrp"
)

// The words that determine the packets on the wire are each left out, given and given
// wrongly. The result is compared with the packets that keepalived 2.2.7 sent, which
// -update records (as root, with /usr/sbin/keepalived).

var update = flag.Bool("update", false, "record what the C daemon sends")

const recordings = "testdata/words.txt"

const (
	peer     = "unicast_peer {\n10.0.0.2\n}"
	authPass = "authentication {\nauth_type PASS\nauth_pass %s\n}"
)

// words lists the cases. A line that begins with "global" belongs to global_defs. Where
// 2.4.3 differs from 2.2.7, newer names the behaviour of 2.4.3: it sends nothing, or the
// packet of another case.
var words = []struct {
	name, lines, newer string
	exitIgnored        bool // whether -t complains is not compared
}{
	{name: "nothing"},
	{name: "version 2", lines: "version 2"},
	{name: "version 3", lines: "version 3"},
	{name: "version 4", lines: "version 4"},
	{name: "version of the globals", lines: "global vrrp_version 3"},
	{name: "version against the globals", lines: "global vrrp_version 3\nversion 2"},
	{name: "interval 2", lines: "advert_int 2"},
	{name: "interval 0.5, version 2", lines: "advert_int 0.5"},
	{name: "interval 1.6, version 2", lines: "advert_int 1.6"},
	{name: "interval 0.5, version 3", lines: "version 3\nadvert_int 0.5"},
	{name: "interval 0.255, version 3", lines: "version 3\nadvert_int 0.255"},
	{name: "interval 0", lines: "advert_int 0"},
	{name: "interval no number", lines: "advert_int abc"},
	{name: "interval 300, version 2", lines: "advert_int 300"},
	{name: "interval 50, version 3", lines: "version 3\nstate MASTER\nadvert_int 50"},
	{name: "password", lines: fmt.Sprintf(authPass, "secret12")},
	{name: "short password", lines: fmt.Sprintf(authPass, "abc")},
	{name: "long password", lines: fmt.Sprintf(authPass, "secret1234567")},
	{name: "type without password", lines: "authentication {\nauth_type PASS\n}"},
	{name: "password without type", lines: "authentication {\nauth_pass secret12\n}"},
	{name: "authentication empty", lines: "authentication {\n}"},
	{name: "authentication of an unknown type", lines: "authentication {\nauth_type MD5\nauth_pass secret12\n}"},
	{name: "password with version 3", lines: "version 3\n" + fmt.Sprintf(authPass, "secret12")},
	{name: "AH", lines: "authentication {\nauth_type AH\nauth_pass secret12\n}"},
	{name: "AH without password", lines: "authentication {\nauth_type AH\n}"},
	{name: "AH with version 3", lines: "version 3\nauthentication {\nauth_type AH\nauth_pass secret12\n}"},
	{name: "AH unicast", lines: "authentication {\nauth_type AH\nauth_pass secret12\n}\n" + peer},
	{name: "source", lines: "mcast_src_ip 10.0.0.1"},
	{name: "source that is none", lines: "mcast_src_ip abc"},
	{name: "group", lines: "mcast_dst_ip 224.0.0.50"},
	{name: "group of the globals", lines: "global vrrp_mcast_group4 224.0.0.77"},
	{name: "group of the globals that is none", lines: "global vrrp_mcast_group4 10.0.0.9"},
	{name: "peer", lines: peer},
	{name: "peer, version 3", lines: "version 3\n" + peer},
	{name: "peer and source", lines: "unicast_src_ip 10.0.0.1\n" + peer},
	{name: "peers, none", lines: "unicast_peer {\n}", exitIgnored: true},
	{name: "source of unicast without peer", lines: "unicast_src_ip 10.0.0.1"},
	{name: "TTL", lines: "unicast_ttl 33\n" + peer},
	{name: "TTL without peer", lines: "unicast_ttl 33", newer: "source of unicast without peer"},
	{name: "TTL too large", lines: "unicast_ttl 300\n" + peer},
	{name: "TTL no number", lines: "unicast_ttl abc\n" + peer},
	{name: "old checksum", lines: "version 3\nold_unicast_checksum\n" + peer},
	{name: "old checksum never", lines: "version 3\nold_unicast_checksum never\n" + peer},
	{name: "old checksum, multicast", lines: "version 3\nold_unicast_checksum"},
	{name: "VRID 77", lines: "virtual_router_id 77"},
	{name: "VRID 256", lines: "virtual_router_id 256"},
	{name: "VRID 0", lines: "virtual_router_id 0"},
	{name: "priority", lines: "priority 200"},
	{name: "priority 1", lines: "priority 1"},
	{name: "priority 0", lines: "priority 0"},
	{name: "priority 256", lines: "priority 256"},
	{name: "priority no number", lines: "priority high"},
	{name: "priority 255", lines: "priority 255"},
	{name: "state MASTER", lines: "state MASTER"},
	{name: "state MASTER with a priority", lines: "state MASTER\npriority 150"},
	{name: "state BACKUP with priority 255", lines: "state BACKUP\npriority 255"},
	{name: "state unknown", lines: "state FOO"},
	{name: "strict", lines: "global vrrp_strict"},
	{name: "strict and a password", lines: "global vrrp_strict\n" + fmt.Sprintf(authPass, "secret12")},
	{name: "strict and MASTER with a priority", lines: "global vrrp_strict\nstate MASTER\npriority 150"},
	{name: "strict and a peer", lines: "global vrrp_strict\n" + peer, newer: "silent"},
	{name: "strict mode off again", lines: "global vrrp_strict\nstrict_mode off\n" + fmt.Sprintf(authPass, "secret12")},
	{name: "accept", lines: "accept"},
	{name: "no_accept", lines: "version 3\nno_accept"},
	{name: "comparison skipped", lines: "global vrrp_skip_check_adv_addr"},
	{name: "two addresses and an excluded one", lines: "virtual_ipaddress {\n10.0.0.101/16\n10.0.0.102/16\n}\nvirtual_ipaddress_excluded {\n10.0.0.103/16\n}"},
}

func configuration(lines string) string {
	var global, in strings.Builder
	given := map[string]bool{}
	for line := range strings.SplitSeq(lines, "\n") {
		if word, ok := strings.CutPrefix(line, "global "); ok {
			global.WriteString(word + "\n")
			continue
		}
		in.WriteString(line + "\n")
		word, _, _ := strings.Cut(line, " ")
		given[word] = true
	}
	if !given["virtual_router_id"] {
		in.WriteString("virtual_router_id 51\n")
	}
	if !given["virtual_ipaddress"] {
		in.WriteString("virtual_ipaddress {\n10.0.0.100/16\n}\n")
	}
	return "global_defs {\nrouter_id lab\n" + global.String() + "}\nvrrp_instance VI_1 {\ninterface eth0\n" + in.String() + "}\n"
}

// recorded is the result of the C daemon: whether -t complained, and its first packet;
// nil: it sent none.
type recorded struct {
	complains bool
	packet    []byte
}

func TestWords(t *testing.T) {
	if *update {
		record(t)
	}
	all := readRecordings(t)
	for _, w := range words {
		t.Run(w.name, func(t *testing.T) {
			want, ok := all[w.name]
			if !ok {
				t.Fatal("not recorded; run with -update")
			}
			switch w.newer {
			case "":
			case "silent":
				want = recorded{complains: true}
			default:
				want = all[w.newer]
			}
			file := filepath.Join(t.TempDir(), "keepalived.conf")
			if err := os.WriteFile(file, []byte(configuration(w.lines)), 0o600); err != nil {
				t.Fatal(err)
			}
			c, found := conf.Load(file, conf.Options{Interface: func(string) bool { return true }})
			var got []byte
			if c != nil && len(c.Instances) == 1 {
				got = first(c.Instances[0])
			}
			if hex.EncodeToString(got) != hex.EncodeToString(want.packet) {
				t.Errorf("sends\n%x, the C daemon\n%x\n%v", got, want.packet, found)
			}
			if complains := found.TestExitCode() != 0; complains != want.complains && !w.exitIgnored {
				t.Errorf("complains: %v, the C daemon: %v\n%v", complains, want.complains, found)
			}
		})
	}
}

// first returns the first packet of an instance on a node with the address 10.0.0.1.
func first(in *conf.VRRPInstance) []byte {
	source := in.SourceIP
	if !source.IsValid() {
		source = netip.AddrFrom4([4]byte{10, 0, 0, 1})
	}
	i := vrrp.New(policy.EngineConfig(in))
	i.Step(0, vrrp.Event{Kind: vrrp.SourceChanged, Source: source}, nil)
	slot := -1
	if in.Unicast {
		slot = 0
	}
	return i.Advert(slot, i.Priority(), time.Unix(1e9, 0))
}

func readRecordings(t *testing.T) map[string]recorded {
	f, err := os.Open(recordings)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string]recorded{}
	for in := bufio.NewScanner(f); in.Scan(); {
		name, rest, _ := strings.Cut(in.Text(), ": ")
		verdict, packet, _ := strings.Cut(rest, " ")
		r := recorded{complains: verdict == "complains"}
		if packet != "silent" {
			if r.packet, err = hex.DecodeString(packet); err != nil {
				t.Fatal(err)
			}
		}
		all[name] = r
	}
	return all
}

func record(t *testing.T) {
	lab.Need(t, lab.Root, lab.Peer)
	lines := make([]string, len(words))
	var wait sync.WaitGroup
	room := make(chan bool, 8)
	for n, w := range words {
		wait.Add(1)
		go func() {
			defer wait.Done()
			room <- true
			defer func() { <-room }()
			l, err := lab.New(1, "a", "b")
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Close()
			node := l.Node("a")
			file := filepath.Join(node.Dir, "test.conf")
			if err := os.WriteFile(file, []byte(configuration(w.lines)), 0o600); err != nil {
				t.Error(err)
				return
			}
			verdict, packet := "accepts", "silent"
			if _, err := node.Run("/usr/sbin/keepalived", "-t", "-f", file); err != nil {
				verdict = "complains"
			}
			if _, err := node.Start(lab.C(), configuration(w.lines)); err != nil {
				t.Error(err)
				return
			}
			if e, ok := l.Wait(time.Time{}, 14*time.Second, func(e *lab.Event) bool { return e.Kind == lab.Advert }); ok {
				packet = hex.EncodeToString(e.Frame[14:])
			}
			lines[n] = fmt.Sprintf("%s: %s %s\n", w.name, verdict, packet)
		}()
	}
	wait.Wait()
	if !t.Failed() {
		if err := os.WriteFile(recordings, []byte(strings.Join(lines, "")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHMACWords checks the effect of each word of auth_hmac on sent and on accepted
// adverts. 2.2.7 does not have the block; this is the behaviour of 2.4.3.
func TestHMACWords(t *testing.T) {
	const (
		one   = "key 1 0123456789abcdef0123456789abcdef\n"
		two   = "key 2 fedcba9876543210fedcba9876543210\n"
		three = "key 3 short\n"
	)
	key := map[uint8][]byte{1: []byte("0123456789abcdef0123456789abcdef"), 2: []byte("fedcba9876543210fedcba9876543210")}
	for _, c := range []struct {
		name, block string
		complains   bool
		signs       uint8  // the key's number; 0: adverts are plain
		accepts     string // plain, and signed with one key or the other
	}{
		{"no block", "", false, 0, "plain"},
		{"no active_key", one, true, 0, "plain"},
		{"no active_key, permissive", one + "mode permissive", true, 0, "plain"},
		{"active_key of another", one + "active_key 2", true, 0, "plain"},
		{"active_key 0", one + "active_key 0", true, 0, "plain"},
		{"active_key of a key that is too short", one + three + "active_key 3", true, 0, "plain"},
		{"active_key", one + "active_key 1", false, 1, "1"},
		{"active_key before its key", "active_key 1\n" + one, false, 1, "1"},
		{"two keys", one + two + "active_key 2", false, 2, "1 2"},
		{"one of two keys too short", one + three + "active_key 1", true, 1, "1"},
		{"no key", "active_key 1", true, 0, "plain"},
		{"mode enforce", one + "active_key 1\nmode enforce", false, 1, "1"},
		{"mode permissive", one + "active_key 1\nmode permissive", false, 1, "plain 1"},
		{"mode receive-only", one + "active_key 1\nmode receive-only", false, 0, "plain 1"},
		{"mode unknown", one + "active_key 1\nmode lenient", true, 1, "1"},
		{"anti_replay monotonic", one + "active_key 1\nanti_replay monotonic", false, 1, "1"},
		{"anti_replay unknown", one + "active_key 1\nanti_replay sometimes", true, 1, "1"},
		{"time_window", one + "active_key 1\ntime_window 20", false, 1, "1"},
		{"time_window too large", one + "active_key 1\ntime_window 301", true, 1, "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines := "version 3"
			if c.block != "" {
				lines += "\nauth_hmac {\n" + c.block + "\n}"
			}
			file := filepath.Join(t.TempDir(), "keepalived.conf")
			if err := os.WriteFile(file, []byte(configuration(lines)), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, found := conf.Load(file, conf.Options{Interface: func(string) bool { return true }})
			if complains := found.TestExitCode() != 0; complains != c.complains {
				t.Errorf("complains: %v, want %v\n%v", complains, c.complains, found)
			}
			in := cfg.Instances[0]
			const plain = 20 + 8 + 4
			if b := first(in); len(b) != plain && len(b) != plain+28 || (len(b) > plain) != (c.signs != 0) ||
				len(b) > plain && b[plain+1] != c.signs {
				t.Errorf("sends %x, want key %d", b, c.signs)
			}
			var accepts []string
			for _, sender := range []struct {
				name string
				hmac vrrp.HMAC
			}{
				{"plain", vrrp.HMAC{}},
				{"1", vrrp.HMAC{Mode: vrrp.HMACEnforce, SendKey: 1, Keys: key}},
				{"2", vrrp.HMAC{Mode: vrrp.HMACEnforce, SendKey: 2, Keys: key}},
			} {
				other := *in
				other.HMAC = conf.HMAC{}
				ec := policy.EngineConfig(&other)
				ec.HMAC = sender.hmac
				from := vrrp.New(ec)
				from.Step(0, vrrp.Event{Kind: vrrp.SourceChanged, Source: netip.AddrFrom4([4]byte{10, 0, 0, 2})}, nil)
				var p vrrp.Packet
				if r := vrrp.ParseIPv4(from.Advert(-1, 200, time.Unix(1e9, 0)), &p); r != vrrp.RejectNone {
					t.Fatal(r)
				}
				to := vrrp.New(policy.EngineConfig(in))
				to.Step(0, vrrp.Event{Kind: vrrp.SourceChanged, Source: netip.AddrFrom4([4]byte{10, 0, 0, 1})}, nil)
				to.Step(0, vrrp.Event{Kind: vrrp.Start}, nil)
				to.Step(0, vrrp.Event{Kind: vrrp.Received, Packet: &p, Wall: time.Unix(1e9, 0)}, nil)
				if to.Stats().AdvertsReceived == 1 {
					accepts = append(accepts, sender.name)
				}
			}
			if got := strings.Join(accepts, " "); got != c.accepts {
				t.Errorf("accepts %q, want %q", got, c.accepts)
			}
		})
	}
}
