package getopt

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// table returns flags that record how they were set.
func table(set *[]string) []Flag {
	record := func(name string) func(string) error {
		return func(v string) error {
			if v == "refused" {
				return errors.New("not that value")
			}
			*set = append(*set, strings.TrimSuffix(name+"="+v, "="))
			return nil
		}
	}
	return []Flag{
		{Long: "use-file", Short: 'f', Arg: Required, Value: "FILE", Help: "Configuration file", Set: record("f")},
		{Long: "log-detail", Short: 'D', Help: "Log more", Set: record("D")},
		{Long: "log-console", Short: 'l', Help: "Log to the console", Set: record("l")},
		{Long: "log-console-too", Help: "A longer name", Set: record("too")},
		{Long: "log-facility", Short: 'S', Arg: Required, Value: "N", Help: "Facility", Set: record("S")},
		{Long: "config-test", Short: 't', Arg: Optional, Value: "FILE", Help: "Check the configuration", Set: record("t")},
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		args     string
		set      string
		operands string
		err      string
	}{
		{args: "", set: ""},
		{args: "-D -l", set: "D l"},
		{args: "-DlD", set: "D l D"},
		{args: "-DlS0", set: "D l S=0"},
		{args: "-DS 0 -l", set: "D S=0 l"},
		{args: "-f x", set: "f=x"},
		{args: "-fx", set: "f=x"},
		{args: "-f -l", set: "f=-l"},
		{args: "--use-file x", set: "f=x"},
		{args: "--use-file=x", set: "f=x"},
		{args: "--use-file=", set: "f"},
		{args: "--use-file=a=b", set: "f=a=b"},
		{args: "--use-fi=x", set: "f=x"},
		{args: "--u x", set: "f=x"},
		{args: "-t -f x", set: "t f=x"},
		{args: "-t/etc/x", set: "t=/etc/x"},
		{args: "-lt/etc/x", set: "l t=/etc/x"},
		{args: "-t x", set: "t", operands: "x"},
		{args: "--config-test=x", set: "t=x"},
		{args: "--config-test x", set: "t", operands: "x"},
		{args: "--log-console", set: "l"},
		{args: "a -l b -D c", set: "l D", operands: "a b c"},
		{args: "-l -- -D --use-file", set: "l", operands: "-D --use-file"},
		{args: "-", operands: "-"},
		{args: "-Z", err: "unknown option -Z"},
		{args: "-lZ", set: "l", err: "unknown option -Z"},
		{args: "--bogus", err: "unknown option --bogus"},
		{args: "--=x", err: "unknown option --"},
		{args: "--log-c", err: "option --log-c is ambiguous: --log-console, --log-console-too"},
		{args: "--log", err: "option --log is ambiguous: --log-detail, --log-console, --log-console-too, --log-facility"},
		{args: "-f", err: "option -f needs a value"},
		{args: "-lf", set: "l", err: "option -f needs a value"},
		{args: "--use-file", err: "option --use-file needs a value"},
		{args: "--log-detail=2", err: "option --log-detail takes no value"},
		{args: "-Srefused", err: "option -S: not that value"},
		{args: "--log-f refused", err: "option --log-facility: not that value"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			var set []string
			operands, err := Parse(table(&set), strings.Fields(tt.args))
			var message string
			if err != nil {
				message = err.Error()
			}
			got := []string{strings.Join(set, " "), strings.Join(operands, " "), message}
			if diff := cmp.Diff([]string{tt.set, tt.operands, tt.err}, got); diff != "" {
				t.Errorf("set, operands, error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	var b strings.Builder
	Usage(&b, table(new([]string)))
	const want = `  -f, --use-file=FILE          Configuration file
  -D, --log-detail             Log more
  -l, --log-console            Log to the console
      --log-console-too        A longer name
  -S, --log-facility=N         Facility
  -t, --config-test[=FILE]     Check the configuration
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
}

func TestMan(t *testing.T) {
	var b strings.Builder
	Man(&b, table(new([]string))[4:])
	const want = `.TP
\fB\-S\fR \fIN\fR, \fB\-\-log\-facility\fR=\fIN\fR
Facility.
.TP
\fB\-t\fR[\fIFILE\fR], \fB\-\-config\-test\fR[=\fIFILE\fR]
Check the configuration.
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("manual (-want +got):\n%s", diff)
	}
}

// FuzzParse looks for command lines that cause a panic or are ambiguous: a value is never
// also an operand.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"-DlS0", "-t/etc/x", "--use-fi=x", "-f", "--", "-\x00", "--=", "-- -l"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		args := strings.Fields(s)
		var set []string
		operands, err := Parse(table(&set), args)
		if err != nil {
			return
		}
		if len(operands) > len(args) {
			t.Errorf("%q: %d operands from %d words", s, len(operands), len(args))
		}
	})
}
