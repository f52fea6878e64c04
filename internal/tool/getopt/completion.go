package getopt

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Command is a program, or one of its verbs, as a shell completes it.
type Command struct {
	Name  string // of the verb; "" is the program itself
	Help  string // one line
	Flags []Flag
	Files bool     // operands are files
	Words []string // or these
}

// Shells are the shells that Completion writes for.
var Shells = []string{"bash", "zsh", "fish"}

// Completion writes the script with which a shell completes the flags, verbs
// and arguments of a program. The first command is the program itself.
func Completion(w io.Writer, shell, program string, commands []Command) error {
	switch shell {
	case "bash":
		bash(w, program, commands)
	case "zsh":
		zsh(w, program, commands)
	case "fish":
		fish(w, program, commands)
	default:
		return fmt.Errorf("no completion for %q; expected %s", shell, strings.Join(Shells, ", "))
	}
	return nil
}

// takesFile reports whether the value of a flag is the name of a file.
func (f Flag) takesFile() bool { return f.Value == "FILE" || f.Value == "SOCKET" }

// names are all spellings of a flag.
func (f Flag) names() []string {
	var names []string
	if f.Short != 0 {
		names = append(names, "-"+string(rune(f.Short)))
	}
	if f.Long != "" {
		names = append(names, "--"+f.Long)
	}
	return names
}

// quote makes one word of s for a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func verbNames(commands []Command) []string {
	var names []string
	for _, c := range commands[1:] {
		names = append(names, c.Name)
	}
	return names
}

// bash writes a function that reads COMP_WORDS. Bash takes --flag=value for
// three words.
func bash(w io.Writer, program string, commands []Command) {
	fmt.Fprintf(w, "# bash completion for %s\n", program)
	fmt.Fprintf(w, "_%s() {\n", program)
	io.WriteString(w, `	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} attached= verb=
	if [[ $cur == = ]]; then
		cur= attached==
	elif [[ $prev == = ]]; then
		prev=${COMP_WORDS[COMP_CWORD-2]} attached==
	fi
	((COMP_CWORD > 1)) && verb=${COMP_WORDS[1]}
	COMPREPLY=()
	case $verb in
`)
	for _, c := range slices.Concat(commands[1:], commands[:1]) {
		pattern := c.Name
		if c.Name == "" {
			pattern = "*"
		}
		fmt.Fprintf(w, "\t%s)\n", pattern)
		fmt.Fprintf(w, "\t\tcase $prev$attached in\n")
		var all []string
		for _, f := range c.Flags {
			all = append(all, f.names()...)
			if f.Arg == None {
				continue
			}
			var patterns []string
			if f.Long != "" {
				patterns = append(patterns, "--"+f.Long+"=")
			}
			if f.Arg == Required {
				patterns = append(f.names(), patterns...)
			}
			fmt.Fprintf(w, "\t\t%s) %s; return ;;\n", strings.Join(patterns, "|"), bashReply(f.Choices, f.takesFile()))
		}
		fmt.Fprintf(w, "\t\tesac\n")
		fmt.Fprintf(w, "\t\tif [[ $cur == -* ]]; then\n\t\t\t%s\n", bashReply(all, false))
		words := c.Words
		if c.Name == "" {
			words = verbNames(commands)
			fmt.Fprintf(w, "\t\telif ((COMP_CWORD == 1)); then\n\t\t\t%s\n", bashReply(words, false))
		} else {
			fmt.Fprintf(w, "\t\telse\n\t\t\t%s\n", bashReply(words, c.Files))
		}
		fmt.Fprintf(w, "\t\tfi ;;\n")
	}
	fmt.Fprintf(w, "\tesac\n}\ncomplete -F _%s %s\n", program, program)
}

// bashReply is a command that fills COMPREPLY.
func bashReply(words []string, files bool) string {
	switch {
	case files:
		return `compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur")`
	case len(words) > 0:
		return `mapfile -t COMPREPLY < <(compgen -W ` + quote(strings.Join(words, " ")) + ` -- "$cur")`
	}
	return ":"
}

// zsh writes specifications for _arguments (zshcompsys(1)).
func zsh(w io.Writer, program string, commands []Command) {
	fmt.Fprintf(w, "#compdef %s\n_%s() {\n\tif ((CURRENT > 2)); then\n\t\tcase $words[2] in\n", program, program)
	for _, c := range commands[1:] {
		fmt.Fprintf(w, "\t\t%s)\n\t\t\tshift words; ((CURRENT--))\n\t\t\t_arguments -s", c.Name)
		for _, f := range c.Flags {
			fmt.Fprintf(w, " \\\n\t\t\t\t%s", zshFlag(f))
		}
		fmt.Fprintf(w, " \\\n\t\t\t\t%s\n\t\t\treturn ;;\n", quote("*:argument:"+zshAction(c.Words, c.Files)))
	}
	fmt.Fprintf(w, "\t\tesac\n\tfi\n\t_arguments -s")
	for _, f := range commands[0].Flags {
		fmt.Fprintf(w, " \\\n\t\t%s", zshFlag(f))
	}
	var list []string
	for _, c := range commands[1:] {
		list = append(list, c.Name+`\:"`+zshText(c.Help)+`"`)
	}
	fmt.Fprintf(w, " \\\n\t\t%s\n}\n_%s \"$@\"\n", quote("1:verb:(("+strings.Join(list, " ")+"))"), program)
}

func zshFlag(f Flag) string {
	suffix := map[Arg][2]string{None: {"", ""}, Required: {"+", "="}, Optional: {"-", "=-"}}[f.Arg]
	value := ""
	switch f.Arg {
	case Required:
		value = ":" + f.Value + ":" + zshAction(f.Choices, f.takesFile())
	case Optional:
		value = "::" + f.Value + ":" + zshAction(f.Choices, f.takesFile())
	}
	help := "[" + zshText(f.Help) + "]" + value
	var names []string
	if f.Short != 0 {
		names = append(names, "-"+string(rune(f.Short))+suffix[0])
	}
	if f.Long != "" {
		names = append(names, "--"+f.Long+suffix[1])
	}
	if len(names) == 1 {
		return quote(names[0] + help)
	}
	return quote("("+strings.Join(f.names(), " ")+")") + "{" + strings.Join(names, ",") + "}" + quote(help)
}

func zshAction(words []string, files bool) string {
	switch {
	case files:
		return "_files"
	case len(words) > 0:
		return "(" + strings.Join(words, " ") + ")"
	}
	return " "
}

// zshText escapes what ends a description.
func zshText(s string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`, `"`, `\"`).Replace(s)
}

// fish writes one complete command for each flag and verb.
func fish(w io.Writer, program string, commands []Command) {
	fmt.Fprintf(w, "# fish completion for %s\ncomplete -c %s -f\n", program, program)
	verbs := strings.Join(verbNames(commands), " ")
	for _, c := range commands[1:] {
		fmt.Fprintf(w, "complete -c %s -n __fish_use_subcommand -a %s -d %s\n", program, c.Name, quote(c.Help))
	}
	for _, c := range commands {
		condition := "__fish_seen_subcommand_from " + c.Name
		if c.Name == "" {
			condition = "not __fish_seen_subcommand_from " + verbs
		}
		begin := fmt.Sprintf("complete -c %s -n %s", program, quote(condition))
		for _, f := range c.Flags {
			line := begin
			if f.Short != 0 {
				line += " -s " + string(rune(f.Short))
			}
			if f.Long != "" {
				line += " -l " + f.Long
			}
			switch {
			case f.Arg == Required && f.takesFile():
				line += " -r -F"
			case f.Arg == Required:
				line += " -x"
			}
			if len(f.Choices) > 0 {
				line += " -a " + quote(strings.Join(f.Choices, " "))
			}
			fmt.Fprintf(w, "%s -d %s\n", line, quote(f.Help))
		}
		switch {
		case c.Files:
			fmt.Fprintf(w, "%s -F\n", begin)
		case len(c.Words) > 0:
			fmt.Fprintf(w, "%s -a %s\n", begin, quote(strings.Join(c.Words, " ")))
		}
	}
}
