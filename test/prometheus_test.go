package test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
)

// prometheus is a Prometheus server on a node.
type prometheus struct {
	*scene
	client http.Client
}

// startPrometheus starts a Prometheus server that scrapes targets over TLS and has our
// alert rules.
func (s *scene) startPrometheus(node, ca, token string, targets ...string) *prometheus {
	s.Helper()
	rules, err := filepath.Abs("../packaging/prometheus/keepalived.rules.yml")
	s.must(err)
	list, err := json.Marshal(targets)
	s.must(err)
	s.write(node, "prometheus.yml", fmt.Sprintf(`
global: {scrape_interval: 500ms, evaluation_interval: 500ms}
rule_files: [%s]
scrape_configs:
  - job_name: keepalived
    scheme: https
    tls_config: {ca_file: %s}
    authorization: {credentials: %s}
    static_configs:
      - targets: %s
`, rules, ca, token, list))
	s.must(s.Node(node).IP("link set lo up"))
	const listen = "127.0.0.1:9090"
	_, err = s.Node(node).StartWith(lab.Program{Name: "prometheus", Path: "prometheus"},
		"--config.file="+s.path(node, "prometheus.yml"), "--storage.tsdb.path="+s.path(node, "tsdb"), "--web.listen-address="+listen)
	s.must(err)
	return &prometheus{s, http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return s.dial(s.Node(node), "tcp", netip.Addr{}, netip.MustParseAddrPort(listen))
	}}}}
}

// ask decodes an answer of its API into a value. An error means that it does not run yet.
func (p *prometheus) ask(path string, into any) error {
	answer, err := p.client.Get("http://prometheus/api/v1/" + path)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %w: %s", path, answer.Status, err, body)
	}
	return json.Unmarshal(body, &struct {
		Data any `json:"data"`
	}{into})
}

// becomes waits until a query has these values, in any order of the series.
func (p *prometheus) becomes(query string, want ...string) {
	p.Helper()
	var last any
	ok := p.Until(30*time.Second, func() bool {
		var found struct {
			Result []struct{ Value [2]any }
		}
		if err := p.ask("query?query="+url.QueryEscape("sort("+query+")"), &found); err != nil {
			last = err
			return false
		}
		got := []string{}
		for _, r := range found.Result {
			got = append(got, fmt.Sprint(r.Value[1]))
		}
		last = got
		return fmt.Sprint(got) == fmt.Sprint(want)
	})
	if !ok {
		p.Fatalf("%s: %v, want %v", query, last, want)
	}
}

// TestPrometheus checks that Debian's Prometheus scrapes a pair over TLS with a token and
// evaluates our alerts, and that none of them fires while one node serves.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	differs(t, "has no metrics")
	lab.Need(t, lab.Root, lab.Prometheus)
	s := newScene(t, "a", "b")
	const token = "0123456789abcdef"
	own, other := s.Node("a").Addr(0), s.Node("b").Addr(0)
	certificate := s.certificate(own.AsSlice(), other.AsSlice())
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	s.must(err)
	config := func(node string, on netip.Addr, priority int) string {
		for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}, "key": {Type: "PRIVATE KEY", Bytes: key}} {
			s.must(os.WriteFile(s.path(node, name), pem.EncodeToMemory(block), 0o600))
		}
		return configWith(fmt.Sprintf("http_listen %v:8443\nhttp_tls_cert %s\nhttp_tls_key %s\nhttp_token %s", on, s.path(node, "cert"), s.path(node, "key"), token),
			instance{Name: "web"}.at(priority))
	}
	a := s.start("a", ours, config("a", own, 150))
	b := s.start("b", ours, config("b", other, 100))
	s.awaitOwner(vip, 12*time.Second, "a")
	p := s.startPrometheus("a", s.path("a", "cert"), token, own.String()+":8443", other.String()+":8443")

	p.becomes("up", "1", "1")
	p.becomes("keepalived_up", "1", "1")
	p.becomes("keepalived_vrrp_state", "1", "2")
	p.becomes(`keepalived_vrrp_instance_priority{iname="web"}`, "100", "150")
	p.becomes("count by (instance) (keepalived_advertisements_sent_total) > bool 0", "1", "1")
	var loaded struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError, State string }
		}
	}
	s.must(p.ask("rules", &loaded))
	if len(loaded.Groups) == 0 || len(loaded.Groups[0].Rules) < 10 {
		t.Fatalf("the rules are %+v", loaded)
	}
	for _, r := range loaded.Groups[0].Rules {
		if r.Health != "ok" || r.State == "firing" { // one alert may be pending: a was not scraped as master yet
			t.Errorf("%+v", r)
		}
	}
	s.must(a.Stop())
	p.becomes("up", "0", "1")
	p.becomes("keepalived_vrrp_state", "2")
	s.must(b.Stop())
}
