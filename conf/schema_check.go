package conf

// checkWords are the kinds of health checks of a real server.
func checkWords(path string) []*Keyword {
	check := func(name, doc string, words ...[]*Keyword) *Keyword {
		b := vocabulary(path + "." + name)
		for _, w := range words {
			b.add(w...)
		}
		switch name {
		case "HTTP_GET", "SSL_GET":
			b.needs("url", "HTTP/SSL_GET checker has no urls specified - ignoring")
		case "MISC_CHECK":
			b.needs("misc_path", "No script path has been specified for MISC_CHECKER - skipping")
		case "BFD_CHECK":
			b.needs("name", "No name has been specified for BFD_CHECKER - skipping")
		}
		return kw(name, braced("{}"), "", doc).holds(b)
	}
	return []*Keyword{
		check("TCP_CHECK", "check that a TCP connection opens", connectWords(), repeatWords()),
		check("HTTP_GET", "fetch pages and look at the answers", connectWords(), repeatWords(), httpWords(path+".HTTP_GET")),
		check("SSL_GET", "fetch pages over TLS and look at the answers", connectWords(), repeatWords(), httpWords(path+".SSL_GET"),
			[]*Keyword{kw("tls_compliant", onOff(), "off", "demand a proper end of the TLS session").newer()}),
		check("SMTP_CHECK", "talk to a mail server", connectWords(), repeatWords(), []*Keyword{
			kw("helo_name", word("NAME").soft("SMTP_CHECK helo name missing"), "smtpchecker.keepalived.org", "name to greet with"),
			kw("host", braced("{}"), "", "where to connect, old notation").gone("the words outside of host").holds(vocabulary(path+".SMTP_CHECK.host", connectWords()...)),
		}),
		check("DNS_CHECK", "ask a name server", connectWords(), repeatWords(), []*Keyword{
			kw("type", word("A|NS|CNAME|SOA|MX|TXT|AAAA|RRSIG|DNSKEY"), "SOA", "type of the record asked for"),
			kw("name", word("NAME"), ".", "name asked for"),
		}),
		check("MISC_CHECK", "run a command", repeatWords(), []*Keyword{
			kw("misc_path", cmd().as("CMD").soft("misc_path has no command"), "", "the command; required"),
			kw("misc_timeout", number(0, 4294).as("SECS"), "delay_loop", "how long it may take"),
			kw("misc_dynamic", bare(), "off", "exit status 2 to 255 sets the weight to itself less 2"),
			kw("user", several("USER [GROUP]").soft("No user specified for misc checker script"), "script_user", "user that runs it"),
		}),
		check("BFD_CHECK", "follow a BFD session", []*Keyword{
			kw("name", word("BFD_INSTANCE").soft("BFD_CHECK - No or too many names specified - skipping checker"), "", "the session; required"),
			kw("alpha", onOff(), "of the real server", "down until the session is up"),
		}),
		check("UDP_CHECK", "send a datagram and perhaps wait for an answer", connectWords(), repeatWords(), []*Keyword{
			kw("payload", word("HEX").soft("UDP_CHECK payload requires a payload"), "a text", "what to send, in hexadecimal"),
			kw("require_reply", several("[HEX [MASK]]").opt(), "off", "demand an answer, and which"),
			kw("min_reply_length", number(0, 65535), "0", "shortest good answer"),
			kw("max_reply_length", number(0, 65535), "255", "longest good answer"),
		}),
		check("PING_CHECK", "check that it answers pings", connectWords(), repeatWords()),
		fileCheck(path + ".FILE_CHECK"),
	}
}

func fileCheck(path string) *Keyword {
	b := vocabulary(path,
		kw("track_file", word("NAME").soft("FILE_CHECK has no track_file specified - ignoring"), "", "the track_file block whose number counts; required"),
		kw("weight", weight(-254, 254).soft("track file weight missing"), "of the file", "factor of its number"),
	)
	b.needs("track_file", "FILE_CHECK has no track_file specified - ignoring")
	return kw("FILE_CHECK", braced("{}"), "", "follow a tracked file").holds(b)
}

// connectWords say where a check connects, and from where.
func connectWords() []*Keyword {
	return []*Keyword{
		kw("connect_ip", address(), "the real server", "address to connect to"),
		kw("connect_port", number(1, 65535).as("PORT"), "that of the real server", "port to connect to"),
		kw("bindto", address(), "any", "own address"),
		kw("bind_port", number(1, 65535).as("PORT"), "any", "own port"),
		kw("bind_if", word("IFNAME"), "any", "interface to use"),
		kw("connect_timeout", seconds(0.000001, 4294), "of the real server", "how long a connection may take"),
		kw("fwmark", number(0, 1<<32-1), "0", "mark of the packets sent"),
	}
}

func repeatWords() []*Keyword {
	return append(timerWords("of the real server", 0),
		kw("alpha", onOff(), "of the real server", "down until it succeeds"),
		kw("log_all_failures", onOff(), "checker_log_all_failures", "log every failed attempt"),
	)
}

func httpWords(path string) []*Keyword {
	const regexOptions = "allow_empty_class|alt_bsux|auto_callout|caseless|dollar_endonly|dotall|dupnames|extended|firstline|" +
		"match_unset_backref|multiline|never_ucp|never_utf|no_auto_capture|no_auto_possess|no_dotstar_anchor|" +
		"no_start_optimize|ucp|ungreedy|utf|never_backslash_c|alt_circumflex|alt_verbnames|use_offset_limit"
	url := vocabulary(path+".url",
		kw("path", word("PATH"), "/", "what to fetch"),
		kw("digest", word("HEX"), "", "MD5 sum of the body, 32 digits"),
		kw("status_code", several("N[-N]..."), "200-299", "good status codes, 100 to 599"),
		kw("virtualhost", word("NAME"), "of the check", "host name to send"),
		kw("regex", cmd().as("PATTERN"), "", "pattern that the body must match"),
		kw("regex_no_match", bare(), "off", "the body must not match"),
		kw("regex_options", several(regexOptions), "", "how the pattern is read"),
		kw("regex_stack", several("START MAX"), "", "bytes of working memory for the pattern"),
		kw("regex_min_offset", number(0, 1<<31-1), "0", "where a match may begin at the earliest"),
		kw("regex_max_offset", number(0, 1<<31-1), "unlimited", "where a match may begin at the latest"),
		kw("tls_compliant", onOff(), "of the check", "demand a proper end of the TLS session").newer(),
	)
	url.needs("path", "url has no path")
	return []*Keyword{
		kw("nb_get_retry", number(0, 1<<32-1), "", "old name of retry").gone("retry"),
		kw("virtualhost", word("NAME"), "of the real server", "host name to send"),
		kw("http_protocol", word("1.0|1.0C|1.1"), "1.0", "version of HTTP"),
		kw("enable_sni", onOff(), "off", "send the host name in the TLS handshake"),
		kw("sni_name", word("NAME"), "virtualhost", "host name in the TLS handshake").newer(),
		kw("fast_recovery", onOff(), "off", "fetch all pages without a pause while recovering"),
		kw("url", braced("{}"), "", "a page; required, repeatable").holds(url),
	}
}
