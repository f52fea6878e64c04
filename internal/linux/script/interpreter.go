package script

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// What root runs is more than the program that is named: the interpreter of its
// #! line, the script that a shell is given, the program after env. A user who
// may change one of them can act as root. So each is judged as the program itself, as far as
// the command line shows what it is: what a program decides when it runs, such
// as a name that a shell gets from a variable, no one can know before.

// tool is a program that runs what its arguments name. The letters are options:
// with a value, with text that is run, with a file that is run.
type tool struct {
	valued, inline, file string
	shell                bool // a first argument is a script, -c text is commands
	script               bool // the first argument is a script
	command              bool // the first argument is a program, with arguments
	skip                 int  // how many arguments stand before that
}

var tools = map[string]tool{
	"sh": shells, "ash": shells, "bash": shells, "dash": shells, "ksh": shells, "mksh": shells, "zsh": shells,

	"python": {valued: "WX", inline: "cm", script: true},
	"perl":   {valued: "I", inline: "eE", script: true},
	"ruby":   {valued: "IrCEK", inline: "e", script: true},
	"lua":    {valued: "l", inline: "e", script: true},
	"node":   {valued: "r", inline: "ep", script: true},
	"php":    {valued: "cdz", inline: "rBRE", file: "f", script: true},
	"tclsh":  {script: true},
	"expect": {valued: "c", file: "f", script: true},
	"awk":    awks, "gawk": awks, "mawk": awks, "nawk": awks,

	"busybox": {command: true},
	"env":     {valued: "uC", command: true},
	"nice":    {valued: "n", command: true},
	"ionice":  {valued: "cn", command: true},
	"nohup":   {command: true},
	"setsid":  {command: true},
	"stdbuf":  {valued: "ioe", command: true},
	"timeout": {valued: "ks", command: true, skip: 1},
	"chrt":    {valued: "TPD", command: true, skip: 1},
	"taskset": {command: true, skip: 1},
}

var (
	shells = tool{valued: "oO", inline: "c", shell: true, script: true}
	awks   = tool{valued: "vFe", file: "f"}
)

// toolOf finds a tool by its name, whatever its version: python3.13 is python.
func toolOf(path string) (tool, bool) {
	name := filepath.Base(path)
	if t, ok := tools[name]; ok {
		return t, true
	}
	t, ok := tools[strings.TrimRight(name, "0123456789.-")]
	return t, ok
}

// given is what a program will run: commands, and files that are scripts.
type given struct {
	commands [][]string
	files    []string
}

// givenTo reads the arguments of a tool.
func givenTo(t tool, args []string) (g given) {
	inline := false
	for ended := false; len(args) > 0 && !ended; {
		switch a := args[0]; {
		case a == "--":
			args, ended = args[1:], true
		case strings.HasPrefix(a, "--"):
			args = args[1:]
			if text, ok := strings.CutPrefix(a, "--split-string="); ok && t.command {
				args = append(strings.Fields(text), args...)
			}
		case len(a) > 1 && (a[0] == '-' || a[0] == '+' && t.shell):
			var is bool
			if is, args = t.options(&g, args); is && !t.shell {
				return g
			} else if is {
				inline = true
			}
		case t.command && assignment(a):
			args = args[1:]
		default:
			ended = true
		}
	}
	args = args[min(t.skip, len(args)):]
	switch {
	case len(args) == 0 || args[0] == "-":
	case inline:
		shellCommands(&g, args[0], 0)
	case t.script:
		g.files = append(g.files, args[0])
	case t.command:
		g.commands = append(g.commands, args)
	}
	return g
}

// options reads the letters of args[0]: whether text is run, and the arguments
// that are left.
func (t tool) options(g *given, args []string) (inline bool, rest []string) {
	letters, rest := args[0][1:], args[1:]
	for i := range len(letters) {
		c := letters[i : i+1]
		takes := func() string {
			if value := letters[i+1:]; value != "" || len(rest) == 0 {
				return value
			}
			value := rest[0]
			rest = rest[1:]
			return value
		}
		switch {
		case strings.Contains(t.inline, c):
			inline = true
		case strings.Contains(t.file, c):
			g.files = append(g.files, takes())
			return inline, rest
		case t.command && c == "S": // env -S 'PROGRAM ARGUMENTS'
			value := takes()
			return inline, append(strings.Fields(value), rest...)
		case strings.Contains(t.valued, c):
			takes()
			return inline, rest
		}
	}
	return inline, rest
}

func assignment(word string) bool {
	name, _, ok := strings.Cut(word, "=")
	return ok && name != "" && strings.Trim(name, "_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// before are words of the shell that stand before a command.
var before = []string{"if", "then", "else", "elif", "while", "until", "do", "!", "time", "exec", "command", "builtin", "{", "("}

// shellCommands adds the commands that a text of the shell names. A word with a
// substitution is left out: it is known only when it runs.
func shellCommands(g *given, text string, depth int) {
	for _, words := range shellWords(text) {
		for len(words) > 0 && (slices.Contains(before, words[0]) || assignment(words[0])) {
			words = words[1:]
		}
		switch {
		case len(words) == 0 || words[0] == "":
		case (words[0] == "." || words[0] == "source") && len(words) > 1:
			g.files = append(g.files, words[1])
		case words[0] == "eval" && depth < maxInterpreters:
			shellCommands(g, strings.Join(words[1:], " "), depth+1)
		default:
			g.commands = append(g.commands, words)
		}
	}
}

// shellWords are the simple commands of a text of the shell. A word that is not
// known before it runs is empty.
func shellWords(text string) (commands [][]string) {
	var (
		words   []string
		word    []byte
		begun   bool // there is a word
		unknown bool
		drop    bool // it is the file of a redirection
		quote   byte
	)
	end := func() {
		if begun && !drop {
			if unknown {
				word = nil
			}
			words = append(words, string(word))
		}
		if begun {
			drop = false
		}
		word, begun, unknown = nil, false, false
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote == '\'' && c != '\'':
			word = append(word, c)
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && i+1 < len(text):
			i++
			word, begun = append(word, text[i]), true
		case c == '$' || c == '`':
			begun, unknown = true, true
		case quote != 0:
			word = append(word, c)
		case c == '"' || c == '\'':
			quote, begun = c, true
		case strings.IndexByte("*?[~", c) >= 0:
			begun, unknown = true, true
		case c == ' ' || c == '\t':
			end()
		case c == '<' || c == '>':
			if strings.Trim(string(word), "0123456789") == "" {
				word, begun = nil, false // a descriptor
			}
			end()
			drop = true
		case c == '&' && drop && !begun: // >&2
		case strings.IndexByte(";&|()\n", c) >= 0:
			end()
			drop = false
			commands, words = append(commands, words), nil
		default:
			word, begun = append(word, c), true
		}
	}
	end()
	return append(commands, words)
}

// maxInterpreters bounds how many programs run each other. The kernel follows
// five #! lines.
const maxInterpreters = 8

// judgeGiven judges what a program that root runs will run in turn. path is the
// program without symbolic links, args[0] its name.
func (prog *Program) judgeGiven(path string, args []string, depth int) error {
	t, ok := toolOf(args[0])
	if !ok {
		if t, ok = toolOf(path); !ok {
			return nil
		}
	}
	g := givenTo(t, args[1:])
	for _, file := range g.files {
		full, err := whereIs(file)
		if Passes(err) {
			return err
		} else if err != nil {
			continue
		}
		if err := insecure(prog.follow(full, asText, ", which is given to "+args[0])); err != nil {
			return err
		}
	}
	for _, c := range g.commands {
		if len(c) == 0 || c[0] == "" {
			continue
		}
		full, err := whereIs(c[0])
		if Passes(err) {
			return err
		} else if err != nil {
			continue
		}
		if err := insecure(prog.judge(full, c, asProgram, ", which "+args[0]+" starts", depth+1)); err != nil {
			return err
		}
	}
	return nil
}

// insecure is the problem of a path that others could change, or of which that is
// not known. What else is wrong with a path is seen when it is run.
func insecure(f found, err error) error {
	if p, ok := err.(*Problem); ok && (p.Code == Insecure || p.Code == Undecided) {
		return p
	}
	return nil
}

// whereIs is the path of a program or script that a command line names.
func whereIs(name string) (string, error) {
	if strings.HasPrefix(name, "/") {
		return name, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	path := dir + "/" + name
	if !strings.Contains(name, "/") {
		if _, err := os.Lstat(path); err != nil {
			return searchPath(name)
		}
	}
	return path, nil
}
