package syntax

import "strings"

// Token is one word of a statement.
type Token struct {
	Text   string
	Quoted bool  // it stood in double quotes
	col    int32 // in the line of the statement
	def    *definition
}

// words splits a line at blanks. A double quote begins and ends a word of its
// own, so a"b c"d are three; there are no escapes.
func words(l *line, from, to int, out []Token) []Token {
	s := l.text[:to]
	for i := from; i < len(s); {
		if Blank(s[i]) {
			i++
			continue
		}
		col, def := l.locate(i)
		if s[i] == '"' {
			end := strings.IndexByte(s[i+1:], '"')
			if end < 0 {
				end = len(s) - i - 1
			}
			out = append(out, Token{s[i+1 : i+1+end], true, col, def})
			i += end + 2
			continue
		}
		start := i
		for i < len(s) && !Blank(s[i]) && s[i] != '"' {
			i++
		}
		out = append(out, Token{s[start:i], false, col, def})
	}
	return out
}

// ShellWords splits the rest of a line as a shell does: adjacent pieces join,
// both kinds of quotes group, and backslash escapes are decoded. It is how
// scripts and file names are written.
func ShellWords(s string) []string {
	out, _ := SplitShell(s, true)
	return out
}

// SplitShell is [ShellWords], with escapes or without: those of a command line in quotes
// are decoded with the quotes, and what is left is for the program. open is the
// quote that is not closed, or 0.
func SplitShell(s string, escapes bool) (out []string, open byte) {
	for i := 0; ; {
		for i < len(s) && Blank(s[i]) {
			i++
		}
		if i >= len(s) {
			return out, open
		}
		var b []byte
		var quote byte
		for i < len(s) {
			c := s[i]
			if quote == 0 && Blank(c) {
				break
			}
			i++
			switch {
			case c == quote && quote != 0:
				quote = 0
			case quote == 0 && (c == '"' || c == '\''):
				quote = c
			case escapes && c == '\\' && i < len(s):
				var n int
				c, n = escape(s[i:])
				b = append(b, c)
				i += n
			default:
				b = append(b, c)
			}
		}
		out, open = append(out, string(b)), quote
	}
}

// escape decodes what follows a backslash; n is its length, at least 1.
func escape(s string) (c byte, n int) {
	switch c := s[0]; c {
	case 'a':
		return '\a', 1
	case 'b':
		return '\b', 1
	case 'E':
		return 0x1b, 1
	case 'f':
		return '\f', 1
	case 'n':
		return '\n', 1
	case 'r':
		return '\r', 1
	case 't':
		return '\t', 1
	case 'v':
		return '\v', 1
	case 'x':
		v, i := 0, 1
		for i < len(s) && i < 3 && HexDigit(s[i]) >= 0 {
			v = v<<4 | HexDigit(s[i])
			i++
		}
		if i == 1 {
			return 'x', 1
		}
		return byte(v), i
	case 'c':
		if len(s) > 1 {
			return s[1] & 0x1f, 2
		}
		return 'c', 1
	default:
		if '0' <= c && c <= '7' {
			v, i := 0, 0
			for i < len(s) && i < 3 && '0' <= s[i] && s[i] <= '7' {
				v = v<<3 | int(s[i]-'0')
				i++
			}
			return byte(v), i
		}
		return c, 1
	}
}

// HexDigit is the value of a hexadecimal digit, -1 if c is none.
func HexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
