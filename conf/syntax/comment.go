package syntax

import "strings"

// Blanks are the characters that separate words.
const Blanks = " \t\v\f\r\n"

// Blank reports whether c separates words.
func Blank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// closeQuote ends the quote that is open at the end of a line, before the braces
// there: those were not meant to be quoted.
func closeQuote(s string) string {
	text := strings.TrimRight(s, Blanks+"{}")
	braces := s[len(text):]
	if braces == "" || !strings.Contains(text, `"`) {
		return s + `"`
	}
	if Blank(braces[0]) {
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
	at, escapes, closed := commentAt(s)
	s = s[:at]
	if len(escapes) == 0 {
		return s, closed
	}
	b := make([]byte, 0, len(s))
	copied := 0
	for _, i := range escapes {
		b = append(b, s[copied:i]...)
		copied = i + 1
	}
	return string(append(b, s[copied:]...)), closed
}

// commentAt is where the comment of a line begins, its length if there is none.
// escapes are the backslashes before it that only keep a # or ! from being one.
func commentAt(s string) (at int, escapes []int, closed bool) {
	inQuotes := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			inQuotes = !inQuotes
		case inQuotes:
		case c == '\\' && i+1 < len(s) && (s[i+1] == '#' || s[i+1] == '!'):
			escapes = append(escapes, i)
			i++
		case c == '#' || c == '!':
			return i, escapes, true
		}
	}
	return len(s), escapes, !inQuotes
}

// Comment is the comment that ends a line of a configuration file, with the #
// or ! that begins it; empty: there is none.
func Comment(line string) string {
	inQuotes := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			inQuotes = !inQuotes
		case inQuotes:
		case c == '\\' && i+1 < len(line) && (line[i+1] == '#' || line[i+1] == '!'):
			i++
		case c == '#' || c == '!':
			return line[i:]
		}
	}
	return ""
}
