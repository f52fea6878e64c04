package nft

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// elements returns n IPv4 addresses.
func elements(n int) (all []nftables.SetElement) {
	a := netip.MustParseAddr("10.0.0.0")
	for range n {
		all = append(all, nftables.SetElement{Key: a.AsSlice()})
		a = a.Next()
	}
	return all
}

// TestTransactions checks that a transaction of more elements than fit into one message
// is carried out as a whole or not at all, and that tables of other programs stay.
func TestTransactions(t *testing.T) {
	lab.Need(t, lab.Root, lab.Nft)
	l, err := lab.New(1, "a")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	n := l.Node("a")
	var c *Conn
	if err := n.Do(func() (err error) { c, err = Dial(0); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	list := func() string {
		t.Helper()
		text, err := n.Run("nft", "list", "ruleset")
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return text
	}
	const theirs = "table ip theirs {\n}\n"
	if out, err := n.Run("nft", theirs); err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	const many = 3*chunk + 7
	set := &nftables.Set{Table: c.AddTable(&nftables.Table{Name: "ours", Family: nftables.TableFamilyIPv4}), Name: "s", KeyType: nftables.TypeIPAddr}
	if err := errors.Join(c.AddSet(set, nil), c.AddElements(set, elements(many)), c.Commit()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(list(), "10.0."); got != many {
		t.Errorf("%d elements, want %d", got, many)
	}
	if err := errors.Join(c.RemoveElements(set, elements(many-1)), c.Commit()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(list(), "10.0."); got != 1 {
		t.Errorf("%d elements are left, want 1", got)
	}
	// The first of these does not exist any more: nothing is removed.
	before := list()
	if err := errors.Join(c.RemoveElements(set, elements(many)), c.Commit()); !errors.Is(err, unix.ENOENT) || !strings.HasPrefix(err.Error(), "nftables: ") {
		t.Errorf("removing what is not there: %v", err)
	}
	if after := list(); after != before {
		t.Errorf("a refused transaction has changed\n%s\nto\n%s", before, after)
	}
	for _, name := range []string{"ours", "never-there"} {
		c.RemoveTable(name, nftables.TableFamilyIPv4)
	}
	if err := c.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := list(); got != theirs {
		t.Errorf("left: %q, want %q", got, theirs)
	}
}

// TestRemedies checks that an error names its remedy.
func TestRemedies(t *testing.T) {
	for _, row := range []struct {
		err         error
		unsupported bool
		want        string
	}{
		{nil, false, "<nil>"},
		{unix.EPERM, false, "nftables: operation not permitted (missing capability: CAP_NET_ADMIN)"},
		{unix.EOPNOTSUPP, true, "nftables: operation not supported (does the kernel have nf_tables for IPv4 and IPv6?)"},
		{unix.EPROTONOSUPPORT, true, "nftables: protocol not supported (does the kernel have nf_tables for IPv4 and IPv6?)"},
		{unix.EINVAL, false, "nftables: invalid argument"},
	} {
		if got := remedied(row.err); fmt.Sprint(got) != row.want || Unsupported(got) != row.unsupported {
			t.Errorf("%v: %v, unsupported %v", row.err, got, Unsupported(got))
		}
	}
}
