package notify

import (
	"mime"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/conf"
)

// golden compares got with a file, or rewrites it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

var mailDate = time.Date(2026, 11, 2, 7, 8, 9, 0, time.FixedZone("", -3*3600))

func TestMails(t *testing.T) {
	var b strings.Builder
	for _, c := range []struct {
		title    string
		settings conf.Mail
		mail     Mail
	}{
		{"master", conf.Mail{From: "ka@example.com", To: []string{"ops@example.com"}}, Mail{Subject: "VRRP Instance VI_1 - Entering MASTER state", Body: "=> VRRP Instance is now owning VRRP VIPs <="}},
		{"backup", conf.Mail{From: "ka@example.com", To: []string{"ops@example.com"}}, Mail{Subject: "VRRP Instance VI_1 - Entering BACKUP state", Body: "=> VRRP Instance is no longer owning VRRP VIPs <="}},
		{"fault", conf.Mail{From: "ka@example.com", To: []string{"ops@example.com"}}, Mail{Subject: "VRRP Instance VI_1 - Entering FAULT state", Body: "=> VRRP Instance is no longer owning VRRP VIPs <="}},
		{"stop", conf.Mail{From: "ka@example.com", To: []string{"ops@example.com"}}, Mail{Subject: "VRRP Instance VI_1 - Stopping", Body: "=> VRRP Instance stopping <="}},
		{"deleted", conf.Mail{From: "ka@example.com", To: []string{"ops@example.com"}}, Mail{Subject: "VRRP Instance VI_1 - Deleted", Body: "=> VRRP Deleted at reload <="}},
		{"deleted without notify_deleted", conf.Mail{From: "ka@example.com", To: []string{"ops@example.com"}}, Mail{Subject: "VRRP Instance VI_1 - Entering FAULT state", Body: "=> VRRP Instance is no longer owning VRRP VIPs <="}},
		{"group", conf.Mail{From: "ka@example.com", To: []string{"ops@example.com"}}, Mail{Subject: "VRRP Group G1 - Entering FAULT state", Body: "=> All VRRP group instances are now in FAULT state <="}},
		{"group stops", conf.Mail{From: "ka@example.com", To: []string{"ops@example.com"}}, Mail{Subject: "VRRP Group G1 - Stopping", Body: "=> VRRP Group stopping <="}},
		{"display names", conf.Mail{From: "Ka Lived <ka@example.com>",
			To: []string{"ops@example.com", "On Duty <duty@example.com>", "root"}}, Mail{Subject: "VRRP Instance VI_1 - Entering MASTER state", Body: "=> VRRP Instance is now owning VRRP VIPs <="}},
		{"beyond ASCII", conf.Mail{From: "Wächter <ka@example.com>", To: []string{"Örtlicher Dienst <ops@example.com>"}},
			Mail{Subject: "VRRP Instance Zürich, Büro im sehr weit entfernten Außenbezirk der Stadt – 2. Stock - Entering MASTER state", Body: "=> VRRP Instance is now owning VRRP VIPs <="}},
		{"a name that would be a header", conf.Mail{From: "ka@example.com", To: []string{"ops@example.com"}},
			Mail{Subject: "VRRP Instance VI_1\r\nBcc: all@example.com - Entering MASTER state", Body: "=> VRRP Instance is now owning VRRP VIPs <="}},
	} {
		s := complete(c.settings, "LB1", "host")
		a := alert{Mail: c.mail, date: mailDate}
		text := a.message(&s)
		b.WriteString("-- " + c.title + " --\n" + text)
		m, err := mail.ReadMessage(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", c.title, err)
		}
		if got, err := m.Header.Date(); err != nil || !got.Equal(mailDate) {
			t.Errorf("%s: date %v, %v", c.title, got, err)
		}
		if len(m.Header) != 5 {
			t.Errorf("%s: headers %v", c.title, m.Header)
		}
	}
	golden(t, "mails.txt", b.String())
}

func TestEnvelopeAddress(t *testing.T) {
	for configured, want := range map[string]string{
		"ops@example.com":                  "ops@example.com",
		"On Duty <ops@example.com>":        "ops@example.com",
		`"Duty, On" <ops@example.com>`:     "ops@example.com",
		"<ops@example.com>":                "ops@example.com",
		"root":                             "root",
		"ops@example.com> SIZE=1\r\nDATA ": "ops@example.comSIZE=1DATA",
	} {
		if got := envelopeAddress(configured); got != want {
			t.Errorf("%q: %q, want %q", configured, got, want)
		}
	}
}

// FuzzHeaderText checks that for any name a header is ASCII, contains no line that could
// be read as another header, and decodes to the name.
func FuzzHeaderText(f *testing.F) {
	for _, s := range []string{"", "VI_1", "Zürich", "a\r\nBcc: b", "\xff\xfe", strings.Repeat("ü", 200), " a ", "=?utf-8?q?x?=", "?= =?"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text := headerText(s)
		for i, line := range strings.Split(text, "\n") {
			if i > 0 && !strings.HasPrefix(line, " =?utf-8?q?") {
				t.Errorf("line %d of %q", i, text)
			}
			if strings.HasPrefix(line, "=?") && len(line) > 76 {
				t.Errorf("line of %d bytes in %q", len(line), text)
			}
		}
		if !plain(strings.ReplaceAll(text, "\n", "")) {
			t.Errorf("not ASCII: %q", text)
		}
		if plain(s) {
			if text != s {
				t.Errorf("%q became %q", s, text)
			}
			return
		}
		got, err := new(mime.WordDecoder).DecodeHeader(text)
		want := strings.ToValidUTF8(s, "\uFFFD")
		if err != nil || got != want || !utf8.ValidString(got) {
			t.Errorf("%q is read as %q, %v", text, got, err)
		}
	})
}
