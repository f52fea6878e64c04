package conf

import (
	"bufio"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"keepalived-go/internal/readfile"
)

// names are the names that iproute2 has for numbers. Each kind is read when it
// is first asked for. The first meaning of a name counts: the one of iproute2
// itself, then that of its file, then those of further files in the order of their
// names. So the file of a routing daemon that calls its protocol static, as well,
// does not change what static is.
type names struct {
	usr, etc  string // what the system brings, what the administrator writes
	protocols string // the file of IP protocols; empty: no file is read at all
	kinds     map[string]map[string]uint32
}

// builtin are names that need no file.
var builtin = map[string]map[string]uint32{
	"rt_tables": {"default": 253, "main": 254, "local": 255},
	"rt_protos": {
		"unspec": 0, "redirect": 1, "kernel": 2, "boot": 3, "static": 4, "gated": 8, "ra": 9, "mrt": 10, "zebra": 11, "bird": 12,
		"dnrouted": 13, "xorp": 14, "ntk": 15, "dhcp": 16, "keepalived": ProtocolKeepalived, "babel": 42,
		"bgp": 186, "isis": 187, "ospf": 188, "rip": 189, "eigrp": 192,
	},
	"rt_scopes": {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255},
	"group":     {"default": 0},
	"protocols": {"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "dccp": 33, "gre": 47, "esp": 50, "ah": 51, "ipv6-icmp": 58, "ospf": 89, "vrrp": 112, "sctp": 132, "udplite": 136},
}

// number is the number of a name, or one written in C notation, of at most the
// given bits.
func (n *names) number(kind, name string, bits int) (uint32, bool) {
	if v, err := strconv.ParseUint(name, 0, bits); err == nil {
		return uint32(v), true
	}
	if v, ok := builtin[kind][name]; ok { // no file changes that
		return v, uint64(v)>>bits == 0
	}
	table, ok := n.kinds[kind]
	if !ok {
		table = make(map[string]uint32)
		if kind == "protocols" && n.protocols != "" {
			readNames(table, n.protocols, true)
		}
		if n.protocols != "" {
			n.readKind(table, kind)
		}
		if n.kinds == nil {
			n.kinds = make(map[string]map[string]uint32)
		}
		n.kinds[kind] = table
	}
	v, ok := table[name]
	return v, ok && uint64(v)>>bits == 0
}

// maxNames bounds what is read of one file of names, in bytes.
const maxNames = 1 << 20

// readKind reads the files of a kind. A file of the administrator stands for that
// of the same name which the system brings.
func (n *names) readKind(table map[string]uint32, kind string) {
	files := make(map[string]string) // by name
	for _, dir := range []string{n.usr, n.etc} {
		if _, err := os.Stat(filepath.Join(dir, kind)); err == nil {
			files[""] = filepath.Join(dir, kind)
		}
		parts, _ := filepath.Glob(filepath.Join(dir, kind+".d", "*.conf"))
		for _, part := range parts {
			files[filepath.Base(part)] = part
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		readNames(table, files[name], false)
	}
}

// readNames adds the lines NUMBER NAME of a file, or NAME NUMBER ALIAS… as
// /etc/protocols has them. A file that is missing adds nothing.
func readNames(table map[string]uint32, path string, nameFirst bool) {
	f, err := readfile.Open(path, readfile.Patience)
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(io.LimitReader(f, maxNames)); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) < 2 {
			continue
		}
		if nameFirst {
			words[0], words[1] = words[1], words[0]
		}
		v, err := strconv.ParseUint(words[0], 0, 32)
		if err != nil {
			continue
		}
		for _, name := range words[1:] {
			if _, ok := table[name]; !ok {
				table[name] = uint32(v)
			}
			if !nameFirst {
				break
			}
		}
	}
}
