package snmp

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"keepalived-go/internal/output/status/snmp/agentx"
	"keepalived-go/internal/tool/required"
)

// syntax lists the values that an object of a syntax may have.
var syntax = map[string]agentx.Type{
	"Integer32": agentx.Integer, "InetAddressType": agentx.Integer,
	"Gauge32": agentx.Gauge32, "InetAddressPrefixLength": agentx.Gauge32,
	"Counter32": agentx.Counter32, "Counter64": agentx.Counter64,
	"DisplayString": agentx.OctetString, "InetAddress": agentx.OctetString, "OCTET": agentx.OctetString,
}

// TestMIB checks that the module in packaging has each object with its name, number and
// syntax, and the right access for objects that can be set.
func TestMIB(t *testing.T) {
	text, err := os.ReadFile("../../../../packaging/mibs/KEEPALIVED-MIB.txt")
	if err != nil {
		t.Fatal(err)
	}
	type definition struct {
		name, syntax string
		written      bool
	}
	oids, defined := map[string]agentx.OID{"keepalived": keepalived}, map[string]definition{}
	one := regexp.MustCompile(`(?s)\n(\w+) (?:OBJECT IDENTIFIER|(?:OBJECT|NOTIFICATION)-TYPE\n(?:    SYNTAX      (\w+)[^\n]*\n    MAX-ACCESS  (\S+)\n)?.*?) ?(?:\n    )?::= \{ (\w+) (\d+) \}`)
	for _, m := range one.FindAllStringSubmatch(string(text), -1) {
		name, below, parent := m[1], m[2], oids[m[4]]
		if parent == nil {
			t.Fatalf("%s is below %s, which is nothing", name, m[4])
		}
		n, err := strconv.ParseUint(m[5], 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		oids[name] = parent.Append(uint32(n))
		defined[oids[name].String()] = definition{name, below, m[3] == "read-write"}
	}
	tree := NewTree(daemon(t))
	for oid, name := range names(tree) {
		d := defined[oid]
		if !keepalivedHas(oid) {
			continue
		}
		if d.name != name {
			t.Errorf("%s is %s, and %q in the module", oid, name, d.name)
		}
		if d.written != (oid == basePriority.String() || oid == serverWeight.String()) {
			t.Errorf("%s: whether it can be set in the module: %v", name, d.written)
		}
	}
	byOID := names(tree)
	for _, v := range walk(tree) {
		n := len(v.Name)
		for byOID[v.Name[:n].String()] == "" {
			n--
		}
		oid := v.Name[:n].String()
		if !keepalivedHas(oid) {
			continue
		}
		if d := defined[oid]; syntax[d.syntax] != v.Value.Type {
			t.Errorf("%s has a value of type %d, and the syntax %q in the module", d.name, v.Value.Type, d.syntax)
		}
	}
}

// TestMIBIsValid checks that smilint finds no error in the module, and only those
// warnings that follow from keepalived's objects: no conformance groups, and addresses
// whose type is that of another object.
func TestMIBIsValid(t *testing.T) {
	smilint, err := exec.LookPath("smilint")
	if err != nil {
		required.Missing(t, "smilint")
	}
	config := filepath.Join(t.TempDir(), "smi.conf")
	if err := os.WriteFile(config, []byte("path testdata/smi\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	module := "../../../../packaging/mibs/KEEPALIVED-MIB.txt"
	out, err := exec.Command(smilint, "-c", config, "-l", "5", "-m", module).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	read := false
	for line := range strings.Lines(string(out)) {
		switch {
		case strings.Contains(line, "{group-membership}"), strings.Contains(line, "{node-implicit}"), strings.Contains(line, "{inetaddress-inetaddresstype}"):
			read = true
		default:
			t.Error(line)
		}
	}
	if !read {
		t.Errorf("it has not read the module:\n%s", out)
	}
}

// keepalivedHas reports whether an object is one of KEEPALIVED-MIB.
func keepalivedHas(oid string) bool {
	root := keepalived.String() + "."
	return len(oid) > len(root) && oid[:len(root)] == root
}
