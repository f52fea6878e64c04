package test

import (
	"crypto/md5"
	"fmt"
	"strings"
)

// balanced returns a virtual server with two real servers, of which the first has a
// check.
func balanced(check string, lines ...string) string {
	return alone(check, append(lines, server("127.0.N.2 80", "weight 2"))...)
}

// alone is balanced without the second real server.
func alone(check string, lines ...string) string {
	return virtual("10.8.N.1 80", append([]string{
		"protocol TCP", "lb_algo rr", "lb_kind NAT", "delay_loop 1", "warmup 0", "delay_before_retry 0.5", "connect_timeout 20",
		"quorum_up \"DIR/notify quorum: up 10.8.N.1\"", "quorum_down \"DIR/notify quorum: down 10.8.N.1\""},
		append(lines, server("127.0.N.1 80", "notify_up \"DIR/notify server: up 127.0.N.1\"", "notify_down \"DIR/notify server: down 127.0.N.1\"", check))...)...)
}

// script returns a check by the state in the file DIR/N, which is an exit code or hang.
func script(lines ...string) string {
	return check("MISC_CHECK", append([]string{"misc_timeout 20", "misc_path \"DIR/state N\""}, lines...)...)
}

func check(kind string, lines ...string) string {
	return kind + " {\n" + strings.Join(lines, "\n") + "\n}"
}

func get(kind string, lines ...string) string {
	return check(kind, "delay_before_retry 0.5", "log_all_failures", "url {\npath /a\n"+strings.Join(lines, "\n")+"\n}")
}

// quick is for servers that do not answer: each check has one attempt.
const quick = "connect_timeout 2\nretry 0"

// tcp is a check that passes in the state up.
const tcp = "TCP_CHECK {\n}"

const (
	added, removed = "Adding service", "Removing service"
	scriptPassed   = "Misc check for [[127.0.N.1]:tcp:80 VS [10.8.N.1]:tcp:80] by [DIR/state] succeeded."
)

// fails returns the steps of a server that fails and returns.
func fails(good, bad, passed string) []step {
	return []step{{good, passed}, {bad, removed}, {good, added}}
}

func checkFiles() []checkFile {
	scripted, checked := fails("0", "1", scriptPassed), fails("up", "down", "success")
	web := func(bad string) []step { return fails("good", bad, "Remote Web server") }
	bad := map[string]string{"/a bad": page("500 Internal Server Error", "no\n"), "/a other": page200("other\n")}
	digest := fmt.Sprintf("digest %x", md5.Sum([]byte("ok\n")))
	lost := []step{{"up", "success"}, {"down", "Removing alive servers"}, {"up", "Adding alive servers"}}
	checks := []checkRun{
		{name: "TCP_CHECK, closed port", before: balanced(check("TCP_CHECK")), serve: tcpServer(hold), steps: fails("up", "down", "success")},
		{name: "HTTP_GET, status", before: balanced(get("HTTP_GET", "status_code 200")), serve: httpServer(bad), steps: web("bad")},
		{name: "SSL_GET, status", before: balanced(get("SSL_GET", "status_code 200")), serve: tlsServer(bad), steps: web("bad"),
			differs: map[string]string{"HTTP_CHECK on service [127.0.N.1]:tcp:80 failed after 1 retries.": "SSL_CHECK on service [127.0.N.1]:tcp:80 failed after 1 retries."}},
		{name: "SMTP_CHECK, greeting", before: balanced(check("SMTP_CHECK", "helo_name me.example")), serve: mailExchange, steps: fails("good", "greeting", "Remote SMTP server")},
		{name: "DNS_CHECK, refusal", before: balanced(check("DNS_CHECK", "retry 1", "delay_before_retry 0.5", "name example.org")), serve: nameServer, steps: []step{{"servfail", removed}, {"good", added}, {"servfail", removed}}},
		{name: "UDP_CHECK, closed port", before: balanced(check("UDP_CHECK", quick)), serve: nameServer, steps: fails("good", "down", "UDP connection to")},
		{name: "PING_CHECK", before: balanced(check("PING_CHECK", quick)), serve: host, steps: fails("good", "cut", "ICMP connection to")},
		{name: "MISC_CHECK", before: balanced(script()), steps: scripted},
		{name: "sorry server", before: alone(tcp, "sorry_server 127.0.N.9 80"), serve: tcpServer(hold), steps: lost},
		{name: "quorum above one server", before: balanced(tcp, "quorum 3", "sorry_server 127.0.N.9 80"), serve: tcpServer(hold), steps: lost},
		{name: "inhibit_on_failure", before: balanced(tcp + "\ninhibit_on_failure"), serve: tcpServer(hold), steps: []step{{"up", "success"}, {"down", "Disabling service"}, {"up", "Enabling service"}}},
		{name: "alpha", before: alone(tcp, "alpha"), serve: tcpServer(hold), steps: []step{{"down", "failed"}, {"up", "Gained quorum"}, {"down", "Lost quorum"}, {"up", "Gained quorum"}}},
		{name: "ha_suspend", before: alone(tcp, "ha_suspend"), serve: withAddress(tcpServer(hold)), steps: []step{{"here", "success"}, {"away", "healthchecker for"}, {"here", "healthchecker for"}}},
		{name: "fwmark", before: strings.NewReplacer("protocol TCP\n", "", "virtual_server 10.8.N.1 80", "virtual_server fwmark N").Replace(alone(tcp)), serve: tcpServer(hold), steps: []step{{"up", "success"}, {"down", "Lost quorum"}, {"up", "Gained quorum"}}},
	}
	pages := []checkRun{
		{name: "TCP_CHECK, timeout", before: balanced(check("TCP_CHECK", quick)), serve: tcpServer(hold), steps: fails("up", "cut", "success")},
		{name: "TCP_CHECK, down at the start", before: balanced(check("TCP_CHECK", "retry 2")), serve: tcpServer(hold), steps: []step{{"down", removed}, {"up", added}}},
		{name: "TCP_CHECK, retries", before: balanced(check("TCP_CHECK", "retry 2", "log_all_failures")), serve: tcpServer(hold), steps: fails("up", "down", "success")},
		{name: "HTTP_GET, retries", before: balanced(get("HTTP_GET") + "\nretry 1"), serve: httpServer(bad), steps: web("bad")},
		{name: "HTTP_GET, digest", before: balanced(get("HTTP_GET", digest)), serve: httpServer(bad), steps: web("other")},
		{name: "HTTP_GET, status and digest", before: balanced(get("HTTP_GET", digest, "status_code 200")), serve: httpServer(bad), steps: web("other")},
		{name: "HTTP_GET, regex_no_match", before: balanced(get("HTTP_GET", "regex \"other\"", "regex_no_match")), serve: httpServer(bad), steps: web("other")},
		{name: "HTTP_GET, two pages", before: balanced(check("HTTP_GET", "delay_before_retry 0.5", "url {\npath /a\nstatus_code 200\n}", "url {\npath /b\nstatus_code 200\n}")), serve: httpServer(map[string]string{"/b bad": page("404 Not Found", "no\n")}), steps: web("bad")},
		{name: "HTTP_GET, alpha, fast_recovery", before: alone(check("HTTP_GET", "delay_before_retry 0.5", "fast_recovery", "url {\npath /a\nstatus_code 200\n}", "url {\npath /b\nstatus_code 200\n}"), "alpha"), serve: httpServer(bad), steps: []step{{"good", "Gained quorum"}, {"bad", "Lost quorum"}, {"good", "Gained quorum"}}},
		{name: "HTTP_GET, silence", before: balanced(check("HTTP_GET", quick, "url {\npath /a\n}")), serve: httpServer(bad), steps: web("mute")},
		{name: "HTTP_GET, no answer", before: balanced(get("HTTP_GET")), serve: httpServer(bad), steps: web("empty")},
		{name: "HTTP_GET, all failures", before: balanced(get("HTTP_GET", digest)), serve: httpServer(bad), steps: append(web("other"), step{"bad", removed}, step{"good", added})},
		{name: "HTTP_GET, closed port", before: balanced(get("HTTP_GET")), serve: httpServer(bad), steps: web("down")},
	}
	rules := []checkRun{
		{name: "only server", before: alone(tcp), serve: tcpServer(hold), steps: fails("up", "down", "success")},
		{name: "sorry_server_inhibit", before: alone(tcp, "sorry_server 127.0.N.9 80", "sorry_server_inhibit"), serve: tcpServer(hold), steps: lost},
		{name: "quorum with hysteresis", before: balanced(tcp, "quorum 2", "hysteresis 1"), serve: tcpServer(hold), steps: checked},
		{name: "quorum without a sorry server", before: balanced(tcp, "quorum 3"), serve: tcpServer(hold), steps: checked},
		{name: "alpha, sorry server", before: alone(tcp, "alpha", "sorry_server 127.0.N.9 80"), serve: tcpServer(hold), steps: []step{{"up", "Adding alive servers"}, {"down", "Removing alive servers"}, {"up", "Adding alive servers"}}},
		{name: "alpha, inhibit_on_failure", before: balanced(tcp+"\ninhibit_on_failure", "alpha"), serve: tcpServer(hold), steps: []step{{"up", "Enabling service"}, {"down", "Disabling service"}, {"up", "Enabling service"}}},
		{name: "mail", before: alone(tcp+"\nsmtp_alert", "smtp_alert"), serve: tcpServer(hold), steps: checked},
		{name: "group with a range", before: group("gN", "10.8.N.1-3 80", "10.8.N.9 81") + strings.ReplaceAll(alone(tcp), "virtual_server 10.8.N.1 80", "virtual_server group gN"), serve: tcpServer(hold), steps: []step{{"up", "success"}, {"down", "Lost quorum"}, {"up", "Gained quorum"}}},
	}
	changes := []checkRun{
		{name: "nothing", before: balanced(tcp), serve: tcpServer(hold), steps: checked},
		{name: "a server that is down", before: balanced(tcp), serve: tcpServer(hold), steps: []step{{"down", removed}}},
		{name: "weight", before: balanced(tcp), after: alone(tcp, server("127.0.N.2 80", "weight 7")), serve: tcpServer(hold), steps: checked, reloaded: "Changing weight"},
		{name: "server removed", before: alone(tcp, server("127.0.N.2 80", "notify_down \"DIR/notify other: down 127.0.N.2\"")), after: alone(tcp), serve: tcpServer(hold), steps: checked, reloaded: removed + " [127.0.N.2]"},
		{name: "server added", before: alone(tcp), after: balanced(tcp), serve: tcpServer(hold), steps: checked},
		{name: "last server changed", before: alone(tcp), after: strings.NewReplacer("real_server 127.0.N.1 80", "real_server 127.0.N.1 81", tcp, check("TCP_CHECK", "connect_port 80")).Replace(alone(tcp)), serve: tcpServer(hold), steps: []step{{"up", "success"}}, reloaded: "TCP connection to [127.0.N.1]:tcp:81 success",
			differs: map[string]string{ // see docs/differences.md: a reload that replaces the last server
				"VS [10.8.N.1]:tcp:80 DOWN": "", "quorum: down 10.8.N.1": "",
				"[node] Virtualserver [10.8.N.1]:tcp:80 - DOWN | => Lost quorum 1-0=1 > 0 <=": "",
			}},
		{name: "virtual server removed", before: balanced(tcp), after: "-", serve: tcpServer(hold), steps: checked, reloaded: "Removing Virtual Server"},
		{name: "quorum", before: balanced(tcp), after: balanced(tcp, "quorum 3"), serve: tcpServer(hold), steps: []step{{"up", "success"}, {"down", removed}}, reloaded: "3-0=3 > 2",
			differs: map[string]string{
				"Starting with quorum down 3-0=3 > 2 for VS [10.8.N.1]:tcp:80":                              "Lost quorum 3-0=3 > 2 for VS [10.8.N.1]:tcp:80",
				"[node] Virtualserver [10.8.N.1]:tcp:80 - DOWN | => Starting with quorum down 3-0=3 > 2 <=": "[node] Virtualserver [10.8.N.1]:tcp:80 - DOWN | => Lost quorum 3-0=3 > 2 <=",
			}},
	}
	words := []checkRun{
		{name: "init, server", before: balanced(tcp), serve: tcpServer(hold), steps: checked},
		{name: "init, alpha", before: alone(tcp, "alpha"), serve: tcpServer(hold), steps: fails("up", "down", "Gained quorum")},
	}
	files := []checkFile{
		{name: "checks", runs: checks},
		{name: "reload", global: []string{"smtp_alert_checker"}, reload: true, runs: changes},
	}
	if !nightly() {
		return files
	}
	return append(files,
		checkFile{name: "global", global: []string{"rs_init_notifies", "no_checker_emails"}, runs: words},
		checkFile{name: "pages", runs: pages},
		checkFile{name: "rules", runs: rules})
}
