package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/rogpeppe/go-internal/diff"

	"keepalived-go/conf"
	"keepalived-go/conf/format"
	"keepalived-go/internal/tool/getopt"
)

// Exit codes of the verbs that compare, as of diff(1).
const (
	exitSame    = 0
	exitDiffers = 1
	exitTrouble = 2
)

// formatter is keepalived fmt.
type formatter struct {
	write, diff, check, help bool
}

func (f *formatter) flags() []getopt.Flag {
	on := func(b *bool) func(string) error {
		return func(string) error { *b = true; return nil }
	}
	return []getopt.Flag{
		{Long: "write", Short: 'w', Set: on(&f.write), Help: "Write the result to FILE instead of standard output"},
		{Long: "diff", Short: 'd', Set: on(&f.diff), Help: "Print what changes; exit with 1 if anything does"},
		{Long: "check", Set: on(&f.check), Help: "Print the names of files that change; exit with 1 if any does"},
		{Long: "help", Short: 'h', Set: on(&f.help), Help: "Print this text and exit"},
	}
}

func formatMain(args []string) int {
	var f formatter
	flags := f.flags()
	files, err := getopt.Parse(flags, args)
	if err == nil && f.write && len(files) == 0 {
		err = errors.New("-w needs a FILE to write to")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "keepalived fmt: %v\n\n", err)
		formatUsage(os.Stderr, flags)
		return exitTrouble
	}
	if f.help {
		formatUsage(os.Stdout, flags)
		return exitSame
	}
	if len(files) == 0 {
		files = []string{"-"}
	}
	code := exitSame
	for _, name := range files {
		differs, err := f.file(name)
		switch {
		case err != nil:
			fmt.Fprintln(os.Stderr, err)
			code = exitTrouble
		case differs && (f.diff || f.check):
			code = max(code, exitDiffers)
		}
	}
	return code
}

func formatUsage(w io.Writer, flags []getopt.Flag) {
	fmt.Fprintln(w, "Usage: keepalived fmt [OPTION...] [FILE...]")
	fmt.Fprintln(w, "Formats configuration files (default standard input), without the files that they include.\nThe output is the file itself, including its secrets.")
	getopt.Usage(w, flags)
}

// file formats one file; "-" is standard input.
func (f *formatter) file(name string) (differs bool, err error) {
	in := os.Stdin
	if name == "-" {
		name = "standard input"
	} else if in, err = os.Open(name); err == nil {
		defer in.Close()
	}
	var text []byte
	if err == nil {
		// One byte more than is accepted, so that a longer text is noticed.
		text, err = io.ReadAll(io.LimitReader(in, conf.MaxFile+1))
	}
	if err != nil {
		return false, fmt.Errorf("keepalived fmt: %w", err)
	}
	result, err := format.Source(name, text, conf.Vocabulary())
	if err != nil {
		return false, err
	}
	differs = string(result) != string(text)
	if differs && f.diff {
		os.Stdout.Write(diff.Diff(name, text, name+" (formatted)", result))
	}
	if differs && f.check {
		fmt.Println(name)
	}
	switch {
	case differs && f.write:
		if err := replace(name, result); err != nil {
			return true, fmt.Errorf("keepalived fmt: write %s: %w; the file is unchanged", name, err)
		}
	case !f.write && !f.diff && !f.check:
		_, err = os.Stdout.Write(result)
	}
	return differs, err
}

// replace gives a file a new content in one step, so that a daemon that reloads
// meanwhile reads either all of the old or all of the new one. Mode and owner
// stay; a symbolic link still leads to the file.
func replace(name string, content []byte) error {
	name, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // nothing is left to remove when all went well
	_, err = f.Write(content)
	if st, ok := info.Sys().(*syscall.Stat_t); ok && err == nil {
		err = f.Chown(int(st.Uid), int(st.Gid))
	}
	if err == nil {
		err = f.Chmod(info.Mode())
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
