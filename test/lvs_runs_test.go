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

// script returns a check by the state in the file DIR/N, which is an exit code, hang, deaf
// (hang, and ignore SIGTERM) or a signal.
func script(lines ...string) string { return scriptFor(20, lines...) }

// scriptFor is script with another timeout, in seconds.
func scriptFor(timeout int, lines ...string) string {
	return check("MISC_CHECK", append([]string{fmt.Sprint("misc_timeout ", timeout), "misc_path \"DIR/state N\""}, lines...)...)
}

// grouped makes a virtual server one of the group gN.
func grouped(virtualServer string) string {
	return strings.ReplaceAll(virtualServer, "virtual_server 10.8.N.1 80", "virtual_server group gN")
}

// file adds a track_file block, fN, for the file DIR/N.
func file(before string) string { return "track_file fN {\nfile DIR/N\n}\n" + before }

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
		{name: "group with a range", before: group("gN", "10.8.N.1-3 80", "10.8.N.9 81") + grouped(alone(tcp)), serve: tcpServer(hold), steps: []step{{"up", "success"}, {"down", "Lost quorum"}, {"up", "Gained quorum"}}},
	}
	reloads := func(name, before, after, until string, steps ...step) checkRun {
		return checkRun{name: name, before: before, after: after, serve: tcpServer(hold), steps: steps, reloaded: until}
	}
	const sorryServer = "sorry_server 127.0.N.9 80"
	other := server("127.0.N.2 80", "notify_down \"DIR/notify other: down 127.0.N.2\"", "notify_up \"DIR/notify other: up 127.0.N.2\"")
	isDown := step{"down", removed}
	disabled := []step{{"up", "success"}, {"down", "Disabling service"}}
	further := []checkRun{
		reloads("omega, server removed", alone(tcp, "omega", other), alone(tcp, "omega"), removed+" [127.0.N.2]", checked...),
		reloads("omega, virtual server removed", balanced(tcp, "omega"), "-", "Removing Virtual Server", checked...),
		reloads("omega added", balanced(tcp), balanced(tcp, "omega"), "", isDown),
		reloads("virtual server added", alone(tcp), alone(tcp)+strings.NewReplacer("10.8.N.1 80", "10.8.N.1 81", "127.0.N.1 80", "127.0.N.1 81", tcp, check("TCP_CHECK", "connect_port 80")).Replace(alone(tcp)), "TCP connection to [127.0.N.1]:tcp:81 success", step{"up", "success"}),
		reloads("inhibit_on_failure, weight", balanced(tcp, "inhibit_on_failure"), alone(tcp, "inhibit_on_failure", other), "Changing weight", disabled...),
		reloads("inhibit_on_failure, server removed", alone(tcp, "inhibit_on_failure", other), alone(tcp, "inhibit_on_failure"), removed+" [127.0.N.2]", disabled[0]),
		reloads("inhibit_on_failure added", balanced(tcp), balanced(tcp, "inhibit_on_failure"), "", isDown),
		reloads("inhibit_on_failure taken away", balanced(tcp, "inhibit_on_failure"), balanced(tcp), "", disabled...),
		reloads("sorry_server_inhibit added", alone(tcp, sorryServer), alone(tcp, sorryServer, "sorry_server_inhibit"), "", lost...),
		reloads("sorry_server_inhibit taken away", alone(tcp, sorryServer, "sorry_server_inhibit"), alone(tcp, sorryServer), "", lost[:2]...),
		reloads("hysteresis added", balanced(tcp, "quorum 2"), balanced(tcp, "quorum 2", "hysteresis 1"), "", isDown),
		reloads("check removed", balanced(tcp), balanced(""), added, isDown),
		reloads("check changed", balanced(tcp), balanced(check("TCP_CHECK", "retry 3")), "failed", isDown),
		reloads("delay_loop", balanced(tcp), balanced(tcp, "delay_loop 2"), "", isDown),
		reloads("alpha, server added", alone(tcp, "alpha"), alone(tcp, "alpha", server("127.0.N.3 80", check("TCP_CHECK", "connect_ip 127.0.N.1"))), added+" [127.0.N.3]", step{"up", "Gained quorum"}),
		reloads("ha_suspend added", alone(tcp), alone(tcp, "ha_suspend"), "", step{"up", "success"}),
		reloads("group, entry removed", group("gN", "10.8.N.1 80", "10.8.N.2 80")+grouped(alone(tcp)), group("gN", "10.8.N.1 80")+grouped(alone(tcp)), "no longer exists", step{"up", "success"}),
		{name: "ha_suspend, away", before: alone(tcp, "ha_suspend"), after: alone(tcp, "ha_suspend", "quorum 1"), serve: withAddress(tcpServer(hold)), steps: []step{{"here", "success"}, {"away", "healthchecker for"}}},
		{name: "quorum lowered", before: balanced(tcp, "quorum 3"), after: balanced(tcp, "quorum 2"), serve: tcpServer(hold), steps: []step{isDown}, reloaded: "Gained quorum",
			differs: map[string]string{"[node] Virtualserver [10.8.N.1]:tcp:80 - UP | => Starting with quorum up 2+0=2 <= 2 <=": "[node] Virtualserver [10.8.N.1]:tcp:80 - UP | => Gained quorum 2+0=2 <= 2 <="}},
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
	// The scripts of all runs share one processor: these are few runs with many steps.
	scripts := []checkRun{
		{name: "retries", before: balanced(script("retry 2")), steps: []step{{"0", scriptPassed}, {"KILL", removed}, {"0", added}, {"3", removed}}},
		{name: "one retry, log_all_failures", before: balanced(script("retry 1", "log_all_failures")), steps: []step{{"1", removed}, {"0", added}, {"TERM", removed}}},
		{name: "alpha", before: alone(script(), "alpha"), steps: []step{{"1", "exited"}, {"0", "Gained quorum"}, {"KILL", "Lost quorum"}}},
		// See docs/differences.md: the weight of a MISC_CHECK that has failed.
		{name: "misc_dynamic", before: balanced(script("misc_dynamic")), steps: []step{{"12", "from 1 to 10"}, {"2", "from 10 to 0"}, {"1", removed}, {"7", added}, {"0", "from 5 to 1"}},
			differs: map[string]string{
				"Changing weight from 1 to 5 for inactive service [127.0.N.1]:tcp:80 of VS [10.8.N.1]:tcp:80": "Changing weight from 0 to 5 for inactive service [127.0.N.1]:tcp:80 of VS [10.8.N.1]:tcp:80",
			}},
		{name: "misc_dynamic, quorum", before: alone(script("misc_dynamic"), sorryServer), steps: []step{{"2", "Removing alive servers"}, {"3", "Adding alive servers"}, {"1", "Removing alive servers"}, {"0", "Adding alive servers"}}},
		{name: "misc_dynamic, inhibit_on_failure", before: balanced(script("misc_dynamic") + "\ninhibit_on_failure"), steps: []step{{"3", scriptPassed}, {"1", "Disabling service"}, {"9", "Enabling service"}, {"0", "from 7 to 1"}}},
		{name: "misc_dynamic, twice", before: balanced(script("misc_dynamic") + "\n" + script("misc_dynamic")), steps: []step{{"7", "from 5 to 9"}, {"2", "to 0"}, {"0", "to 1"}}},
		{name: "FILE_CHECK", before: file(balanced(check("FILE_CHECK", "track_file fN"), "quorum 2")), steps: []step{{"0", "Gained quorum"}, {"4", "from 1 to 5"}, {"-1", "from 5 to 0"}, {"0", "from 0 to 1"}}},
		{name: "FILE_CHECK, weight 0", before: file(balanced(check("FILE_CHECK", "track_file fN", "weight 0") + "\nsmtp_alert off")), steps: []step{{"0", "Gained quorum"}, {"1", removed}, {"0", added}},
			differs: map[string]string{"([127.0.N.1]:tcp:80): tracked file fN now FAULT state": "", "([127.0.N.1]:tcp:80): tracked file fN leaving FAULT state": ""}},
	}
	timeouts := []checkRun{
		{name: "ends by itself", before: balanced(scriptFor(8, "retry 1", "log_all_failures")), steps: fails("0", "hang", scriptPassed)},
		{name: "is killed", before: balanced(scriptFor(8)), steps: []step{{"deaf", removed}, {"0", added}}},
	}
	ends := []checkRun{
		{name: "omega", before: balanced(tcp+"\nsmtp_alert", "omega", "smtp_alert"), serve: tcpServer(hold), steps: checked},
		{name: "omega, a server is down", before: balanced(tcp, "omega"), serve: tcpServer(hold), steps: []step{isDown}},
		{name: "omega, sorry server", before: alone(tcp, "omega", sorryServer), serve: tcpServer(hold), steps: lost[:2]},
		{name: "omega, sorry_server_inhibit", before: alone(tcp, "omega", sorryServer, "sorry_server_inhibit"), serve: tcpServer(hold), steps: lost},
		{name: "omega, inhibit_on_failure", before: balanced(tcp, "omega", "inhibit_on_failure"), serve: tcpServer(hold), steps: disabled},
		{name: "omega, alpha", before: alone(tcp, "omega", "alpha"), serve: tcpServer(hold), steps: []step{{"down", "failed"}}},
		{name: "omega, ha_suspend", before: alone(tcp, "omega", "ha_suspend"), serve: withAddress(tcpServer(hold)), steps: []step{{"here", "success"}, {"away", "healthchecker for"}}},
		{name: "omega, group", before: group("gN", "10.8.N.1-3 80") + grouped(alone(tcp, "omega")), serve: tcpServer(hold), steps: []step{{"up", "success"}}},
		{name: "inhibit_on_failure", before: balanced(tcp, "inhibit_on_failure"), serve: tcpServer(hold), steps: disabled},
		{name: "ha_suspend, away at the start", before: alone(tcp, "ha_suspend", "alpha"), serve: withAddress(tcpServer(hold)), steps: []step{{"away", "healthchecker for"}, {"here", "Gained quorum"}, {"away", "healthchecker for"}}},
		{name: "retry of the service", before: balanced(check("TCP_CHECK", "log_all_failures"), "retry 3"), serve: tcpServer(hold), steps: checked},
		{name: "retry of the server", before: balanced(tcp+"\nretry 2\ndelay_before_retry 0.2", "delay_before_retry 30"), serve: tcpServer(hold), steps: checked},
		{name: "alpha of the server", before: balanced(tcp + "\nalpha"), serve: tcpServer(hold), steps: []step{{"down", "failed"}, {"up", added}, isDown}},
		{name: "alpha of the check", before: balanced(check("TCP_CHECK", "alpha")), serve: tcpServer(hold), steps: []step{{"down", "failed"}, {"up", added}, isDown}},
		{name: "alpha, hysteresis", before: balanced(tcp+"\nalpha\nweight 3", "quorum 4", "hysteresis 1", sorryServer), serve: tcpServer(hold), steps: []step{{"up", "Adding alive servers"}, {"down", "Removing alive servers"}, {"up", "Adding alive servers"}},
			differs: map[string]string{"Starting with quorum down 4-1=5 > 2 for VS [10.8.N.1]:tcp:80": "Starting with quorum down 4-1=3 > 2 for VS [10.8.N.1]:tcp:80"}}, // a slip of its words
		// Each step waits for both checks, one after the other.
		{name: "two checks", before: balanced(tcp + "\n" + check("TCP_CHECK", "connect_port 80")), serve: tcpServer(hold),
			steps: []step{{"up", "success"}, {"up", "success"}, {"down", "failed after"}, {"down", "failed after"}, {"up", added}}},
		{name: "no mail of a server", before: balanced(tcp+"\nsmtp_alert off", "smtp_alert"), serve: tcpServer(hold), steps: checked},
	}
	words := []checkRun{
		{name: "init, server", before: balanced(tcp), serve: tcpServer(hold), steps: checked},
		{name: "init, alpha", before: alone(tcp, "alpha"), serve: tcpServer(hold), steps: fails("up", "down", "Gained quorum")},
	}
	return []checkFile{
		{name: "checks", runs: checks},
		{name: "reload", global: []string{"smtp_alert_checker"}, reload: true, runs: changes},
		{name: "global", global: []string{"rs_init_notifies", "no_checker_emails"}, runs: words},
		{name: "changes", global: []string{"smtp_alert_checker"}, reload: true, runs: further},
		{name: "scripts", global: []string{"smtp_alert_checker"}, runs: scripts},
		{name: "timeouts", global: []string{"smtp_alert_checker"}, runs: timeouts},
		{name: "ends", runs: ends},
		{name: "pages", runs: pages},
		{name: "rules", runs: rules},
	}
}
