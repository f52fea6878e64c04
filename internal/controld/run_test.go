package controld

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keepalived-go/conf"
	"keepalived-go/internal/output/logging/logtest"
)

// TestDoors checks that what cannot be opened is logged, and that the rest serves.
func TestDoors(t *testing.T) {
	dir := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	full := filepath.Join(dir, "full")
	if err := os.MkdirAll(filepath.Join(full, "inside"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, path  string
		conf        conf.Control
		socket, web bool
		log         string
	}{
		{"both", dir + "/1", conf.Control{HTTP: conf.HTTP{Listen: "127.0.0.1:0"}}, true, true, ""},
		{"none", dir + "/2", conf.Control{Off: true}, false, false, ""},
		{"no directory", dir + "/missing/3", conf.Control{HTTP: conf.HTTP{Listen: "127.0.0.1:0"}}, false, true, "control socket: "},
		{"a directory", full, conf.Control{}, false, false, "control socket: "},
		{"a port that is taken", dir + "/4", conf.Control{HTTP: conf.HTTP{Listen: taken.Addr().String()}}, true, false, "http_listen: "},
		{"groups that there are not", dir + "/5", conf.Control{Group: "no-such-group", Admin: "no-such-group"}, true, false, "control_admin_group: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := logtest.Capture(t)
			d := open(test.path, &test.conf)
			if (d.socket != nil) != test.socket || (d.web != nil) != test.web || log.Count(test.log) == 0 && test.log != "" {
				t.Errorf("socket %v, web %v", d.socket != nil, d.web != nil)
			}
			if n := log.Count("level=ERROR"); n > 0 && test.log == "" {
				t.Errorf("%d errors are logged", n)
			}
			d.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(w, "served") }))
			ask := func(network, address string) {
				t.Helper()
				c, err := net.Dial(network, address)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				io.WriteString(c, "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
				if b, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(b), "\"served\"\n") {
					t.Errorf("%s: %q %v", network, b, err)
				}
			}
			if test.socket {
				ask("unix", test.path)
			}
			if test.web {
				ask("tcp", d.web.listener.Addr().String())
			}
			d.close()
			if _, err := os.Lstat(test.path); test.socket && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the socket is left: %v", err)
			}
			if test.web {
				if _, err := d.web.listener.Accept(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("the port is open: %v", err)
				}
			}
		})
	}
}

// TestFiles checks that the directories of certificates are those of the files, too, to which
// their names link, as certbot has it.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{"live", "archive"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link, file := filepath.Join(dir, "live", "cert.pem"), filepath.Join(dir, "archive", "cert1.pem")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink("../archive/cert1.pem", link)); err != nil {
		t.Fatal(err)
	}
	if got, want := files(&conf.HTTP{Cert: link, Key: "/no/such/key"}), []string{filepath.Dir(link), filepath.Dir(file), "/no/such"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := files(&conf.HTTP{}); len(got) != 0 {
		t.Errorf("without TLS: %q", got)
	}
}
