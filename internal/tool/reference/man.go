package reference

import (
	_ "embed"
	"fmt"
	"io"
	"strings"

	"keepalived-go/conf"
)

// The parts of keepalived.conf(5) that no schema knows, in man(7) macros.
var (
	//go:embed language.man
	language string
	//go:embed closing.man
	closing string
)

// Man writes keepalived.conf(5) in man(7) macros. The date is YYYY-MM-DD.
func Man(w io.Writer, version, date string) {
	fmt.Fprintf(w, ".TH KEEPALIVED.CONF 5 \"%s\" \"keepalived %s\" \"File Formats\"\n", date, Troff(version))
	io.WriteString(w, language)
	for _, b := range blocks() {
		if b.path == "" {
			fmt.Fprintln(w, ".SH OUTERMOST LEVEL")
		} else if strings.Contains(b.path, ".") {
			fmt.Fprintf(w, ".SS %s\n", Troff(b.path))
		} else {
			fmt.Fprintf(w, ".SH %s\n", Troff(b.path))
		}
		if b.path != "" {
			fmt.Fprintln(w, Troff(sentence(b.head.Doc)))
		}
		if twin := twinOf(b); twin != "" {
			fmt.Fprintf(w, "It contains the same keywords as\n.BR %s .\n", Troff(twin))
			continue
		}
		for _, k := range b.words {
			fmt.Fprintln(w, ".TP")
			fmt.Fprintf(w, "%s\n", manUsage(k))
			fmt.Fprintln(w, Troff(sentence(k.Doc)))
			for _, f := range fields(k) {
				fmt.Fprintln(w, ".br")
				fmt.Fprintln(w, Troff(sentence(f.name+": "+f.text)))
			}
		}
	}
	io.WriteString(w, closing)
}

// twinOf is an earlier block that holds exactly the same, such as static_routes
// for virtual_routes.
func twinOf(b *blockOf) string {
	for _, other := range blocks() {
		if other.path == b.path {
			return ""
		}
		if len(other.words) != len(b.words) || len(b.words) < 4 {
			continue
		}
		equal := true
		for i := range b.words {
			equal = equal && same(b.words[i], other.words[i])
		}
		if equal {
			return other.path
		}
	}
	return ""
}

// manUsage sets the keyword in bold.
func manUsage(k conf.Keyword) string {
	first, rest, _ := strings.Cut(usage(k), " ")
	if k.Entry() {
		return Troff(usage(k))
	}
	return `\fB` + Troff(first) + `\fR ` + strings.ReplaceAll(Troff(rest), "|", `|\:`)
}

// Troff escapes what means something to troff.
func Troff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...", "–", `\(en`, "~", `\(ti`, "^", `\(ha`, "`", `\(ga`, `"`, `\(dq`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
