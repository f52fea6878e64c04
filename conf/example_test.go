package conf_test

import (
	"fmt"
	"os"
	"path/filepath"

	"keepalived-go/conf"
)

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "keepalived.conf")
	text := `
$SITE = 10.0.0
vrrp_instance web {
    interface eth0
    virtual_router_id 51
    prioriti 150
    virtual_ipaddress {
        192.0.2.10/24
    }
}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}

	cfg, diags := conf.Load(path, conf.Options{})
	for _, in := range cfg.Instances {
		fmt.Printf("%s: VRID %d on %s, priority %d, every %v, %v\n",
			in.Name, in.VRID, in.Interface, in.Priority, in.AdvertInterval, in.Addresses[0].Prefix)
	}
	for _, d := range diags {
		fmt.Printf("%d:%d: %s; %s\n", d.Pos.Line, d.Pos.Column, d.Message, d.Fix)
	}
	fmt.Println("exit code of a test:", diags.TestExitCode(), "- may run:", diags.Fatal() == 0)
	// Output:
	// web: VRID 51 on eth0, priority 100, every 1s, 192.0.2.10/24
	// 2:1: Unknown keyword '$SITE'; remove the blank before =, which no definition has
	// 6:5: Unknown keyword 'prioriti' in vrrp_instance web; did you mean "priority"?
	// exit code of a test: 5 - may run: true
}

func ExampleSchema() {
	for k := range conf.Schema() {
		if k.Block == "vrrp_instance" && k.Name == "priority" {
			fmt.Printf("%s %s (%s): %s; default %s\n", k.Name, k.Args, k.Range, k.Doc, k.Default)
		}
	}
	// Output:
	// priority N (1 to 255): rank in the election; 255 is for the owner of the addresses; default 100; 255 with state MASTER
}
