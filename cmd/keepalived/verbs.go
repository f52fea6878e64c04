package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"keepalived-go/conf"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/tool/demo"
	"keepalived-go/internal/tool/getopt"
	"keepalived-go/internal/tool/lsp"
	"keepalived-go/internal/tool/reference"
)

// verb is a program within: a first argument that is its name, and not a flag,
// does not start the daemon.
type verb struct {
	name    string
	args    string // its operands, in the notation of the manual
	summary string // one line
	run     func(args []string) int
	flags   func() []getopt.Flag // nil: none, or its own business
	operand operand
}

// operand is what completion offers for the operands of a verb.
type operand struct {
	files bool
	words func() []string
}

// verbs is the table of all verbs.
func verbs() []verb {
	all := []verb{
		{name: "check", args: "[OPTION...] [FILE... | --cluster NODE=FILE...]", summary: "report all errors in a configuration, and what is legal but wrong", run: check,
			flags: func() []getopt.Flag { return (&checker{commandLine: newCommandLine()}).flags() }, operand: operand{files: true}},
		{name: "completion", args: "bash|zsh|fish", summary: "print the completion script of a shell", run: completion,
			operand: operand{words: func() []string { return getopt.Shells }}},
		{name: "config", args: "[FILE] VIEW | --diff OLD NEW", summary: "show the result of a configuration, or how two differ", run: configMain,
			flags: new(viewer).flags, operand: operand{files: true}},
		{name: "demo", args: "[OPTION...]", summary: "show a failover, or load balancing, in its own network namespaces", run: demo.Main},
		{name: "fmt", args: "[OPTION...] [FILE...]", summary: "format configuration files", run: formatMain,
			flags: new(formatter).flags, operand: operand{files: true}},
		{name: "genhash", args: "[OPTION...] -s ADDRESS -p PORT -u PATH", summary: "print the MD5 digest of a web page, for HTTP_GET and SSL_GET", run: genhash,
			flags: new(hasher).flags},
		{name: "help", args: "[KEYWORD | BLOCK.KEYWORD]", summary: "explain a keyword of the configuration", run: help,
			operand: operand{words: reference.Words}},
		{name: "lsp", summary: "serve editors over the Language Server Protocol on standard input and output", run: languageServer},
		{name: "man", args: "[5|8]", summary: "print the manual page keepalived(8) or keepalived.conf(5)", run: manual,
			operand: operand{words: func() []string { return []string{"5", "8"} }}},
	}
	for _, q := range questions() {
		all = append(all, q.verb())
	}
	slices.SortFunc(all, func(a, b verb) int { return strings.Compare(a.name, b.name) })
	return all
}

// findVerb returns the function of a verb, nil if there is none.
func findVerb(name string) func(args []string) int {
	for _, v := range verbs() {
		if v.name == name {
			return v.run
		}
	}
	return nil
}

// help is keepalived help [KEYWORD].
func help(args []string) int {
	switch {
	case len(args) > 1:
		fmt.Fprintf(os.Stderr, "keepalived help: unexpected argument: %s\n", args[1])
		return proc.ExitFatal
	case len(args) == 1 && args[0] != "-h" && args[0] != "--help":
		if !reference.Help(os.Stdout, args[0]) {
			return proc.ExitFatal
		}
		return proc.ExitOK
	}
	writeTopics(os.Stdout)
	return proc.ExitOK
}

func writeVerbs(w io.Writer) {
	fmt.Fprintln(w, "\nkeepalived VERB runs another command:")
	for _, v := range verbs() {
		fmt.Fprintf(w, "  %-26s %s\n", v.name, v.summary)
	}
}

// unknownVerb says that a word of the command line is none.
func unknownVerb(word string) error {
	var names []string
	for _, v := range verbs() {
		names = append(names, v.name)
	}
	if near := conf.Nearest(word, names); len(near) > 0 {
		return fmt.Errorf("unexpected argument: %s; did you mean %q?", word, near[0])
	}
	return fmt.Errorf("unexpected argument: %s; expected a verb (%s), or -f with a configuration file", word, strings.Join(names, ", "))
}

func writeTopics(w io.Writer) {
	fmt.Fprintln(w, "keepalived [OPTION...] runs the daemon; keepalived --help lists its options.")
	writeVerbs(w)
	fmt.Fprintln(w, "\nkeepalived help KEYWORD explains a keyword. Blocks:")
	reference.Topics(w)
}

// languageServer is keepalived lsp.
func languageServer(args []string) int {
	if len(args) > 0 && args[0] != "--stdio" {
		fmt.Fprintf(os.Stderr, "keepalived lsp: unexpected argument: %s\n", args[0])
		return proc.ExitFatal
	}
	status, err := lsp.Serve(os.Stdin, os.Stdout, lsp.Options{Version: version, Machine: func() lsp.Machine {
		return lsp.Machine{Conf: newCommandLine().run.ConfOptions(), Host: thisHost()}
	}})
	if err != nil {
		fmt.Fprintf(os.Stderr, "keepalived lsp: %v\n", err)
	}
	return status
}

// completion is keepalived completion SHELL.
func completion(args []string) int {
	var program []getopt.Command
	program = append(program, getopt.Command{Flags: newCommandLine().flags()})
	for _, v := range verbs() {
		c := getopt.Command{Name: v.name, Help: v.summary, Files: v.operand.files}
		if v.flags != nil {
			c.Flags = v.flags()
		}
		if v.operand.words != nil {
			c.Words = v.operand.words()
		}
		program = append(program, c)
	}
	var err error
	switch len(args) {
	case 0:
		err = fmt.Errorf("which shell? expected bash, zsh or fish")
	case 1:
		err = getopt.Completion(os.Stdout, args[0], "keepalived", program)
	default:
		err = fmt.Errorf("unexpected argument: %s", args[1])
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "keepalived completion: %v\n", err)
		return proc.ExitFatal
	}
	return proc.ExitOK
}
