package conf

import "strings"

const blanks = " \t\v\f\r\n"

func blank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// closeQuote ends the quote that is open at the end of a line, before the braces
// there: those were not meant to be quoted.
func closeQuote(s string) string {
	text := strings.TrimRight(s, blanks+"{}")
	braces := s[len(text):]
	if braces == "" || !strings.Contains(text, `"`) {
		return s + `"`
	}
	if blank(braces[0]) {
		braces = braces[1:] // the words keep their columns
	}
	return text + `"` + braces
}

// uncomment is the text before an unquoted # or !. Outside of quotes \# and \!
// are the characters themselves. closed is false when a quote is open at the end.
func uncomment(s string) (text string, closed bool) {
	if !strings.ContainsAny(s, "#!\"") {
		return s, true
	}
	inQuotes := false
	var b []byte // the text so far, once a backslash was dropped
	copied := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			inQuotes = !inQuotes
		case inQuotes:
		case c == '\\' && i+1 < len(s) && (s[i+1] == '#' || s[i+1] == '!'):
			b = append(b, s[copied:i]...)
			copied = i + 1
			i++
		case c == '#' || c == '!':
			s = s[:i]
		}
	}
	if b == nil {
		return s, !inQuotes
	}
	return string(append(b, s[copied:]...)), !inQuotes
}
