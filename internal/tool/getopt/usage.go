package getopt

import (
	"fmt"
	"io"
	"strings"
)

// Usage writes one line per flag.
func Usage(w io.Writer, flags []Flag) {
	const column = 31
	for _, f := range flags {
		short := "    "
		if f.Short != 0 {
			short = fmt.Sprintf("-%c, ", f.Short)
		}
		left := "  " + short + "--" + f.Long
		switch f.Arg {
		case Required:
			left += "=" + f.Value
		case Optional:
			left += "[=" + f.Value + "]"
		}
		if len(left) >= column {
			fmt.Fprintln(w, left)
			left = ""
		}
		fmt.Fprintf(w, "%-*s%s\n", column, left, f.Help)
	}
}

// Man writes the flags as a list for a manual page, in man(7) macros.
func Man(w io.Writer, flags []Flag) {
	for _, f := range flags {
		fmt.Fprintln(w, ".TP")
		var forms []string
		if f.Short != 0 {
			forms = append(forms, fmt.Sprintf(`\fB\-%c\fR%s`, f.Short, manValue(f, " ", "")))
		}
		forms = append(forms, fmt.Sprintf(`\fB\-\-%s\fR%s`, manText(f.Long), manValue(f, "=", "=")))
		fmt.Fprintln(w, strings.Join(forms, ", "))
		fmt.Fprintln(w, manText(f.Help)+".")
	}
}

func manValue(f Flag, required, optional string) string {
	value := `\fI` + manText(f.Value) + `\fR`
	switch f.Arg {
	case Required:
		return required + value
	case Optional:
		return "[" + optional + value + "]"
	}
	return ""
}

// manText escapes what means something to troff.
func manText(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
