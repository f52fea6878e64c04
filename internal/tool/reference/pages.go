package reference

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"keepalived-go/conf"
	"keepalived-go/lint"
)

// Pages are the files of docs/reference by name: one for each block, lint.md
// for what keepalived check finds, and README.md as their index.
func Pages() map[string]string {
	pages := make(map[string]string)
	var index strings.Builder
	index.WriteString("# Keywords of keepalived.conf\n\n" +
		"Generated from the schema by `go test ./internal/tool/reference -update`.\n" +
		"`keepalived help KEYWORD` and keepalived.conf(5) contain the same text.\n" +
		"[lint.md](lint.md) lists the findings of `keepalived check`.\n\n" +
		"| block | meaning |\n|---|---|\n")
	for _, b := range blocks() {
		name := pageName(b.path)
		title := b.path
		meaning := sentence(b.head.Doc)
		if b.path == "" {
			title, meaning = "outermost level", "Keywords outside all blocks."
		}
		fmt.Fprintf(&index, "| [%s](%s) | %s |\n", title, name, cellText(meaning))
		pages[name] = page(b, title, meaning)
	}
	index.WriteString("\n## All keywords\n\n")
	index.WriteString(alphabet())
	pages["README.md"] = index.String()
	pages["lint.md"] = findings()
	return pages
}

// findings is the page of what keepalived check finds beyond mistakes.
func findings() string {
	var w strings.Builder
	w.WriteString("# Findings of `keepalived check`\n\n" +
		"`keepalived check FILE` reports the errors that `keepalived -t` reports, and also\n" +
		"what is legal but wrong. `keepalived check --cluster NODE=FILE NODE=FILE...` checks\n" +
		"the files of all nodes together and reports which node is master after each failure;\n" +
		"the codes of its findings begin with `cluster-`. A note does not change the exit code.\n\n" +
		"A comment suppresses a finding on its line, on the line below, or in the whole file:\n\n" +
		"    state BACKUP      # keepalived: ignore CODE\n\n" +
		"    # keepalived: ignore CODE, CODE\n" +
		"    vrrp_instance VI_1 {\n\n" +
		"    # keepalived: ignore-file CODE\n\n" +
		"| code | severity | finding | remedy |\n|---|---|---|---|\n")
	for c := range lint.Codes() {
		fmt.Fprintf(&w, "| `%s` | %v | %s | %s |\n", c.Name, c.Severity, cellText(c.Meaning), cellText(c.Remedy))
	}
	return w.String()
}

func pageName(path string) string {
	if path == "" {
		return "outermost.md"
	}
	return path + ".md"
}

func page(b *blockOf, title, meaning string) string {
	var w strings.Builder
	fmt.Fprintf(&w, "# %s\n\n%s\n", title, markdown(meaning))
	if b.path != "" && b.head.Since != "" {
		fmt.Fprintf(&w, "\nSince: %s.\n", b.head.Since)
	}
	if twin := twinOf(b); twin != "" {
		fmt.Fprintf(&w, "\nIt contains the same keywords as [%s](%s).\n", twin, pageName(twin))
		return w.String()
	}
	if b.path != "" && b.head.Block == "" {
		fmt.Fprintf(&w, "\n    %s\n        …\n    }\n", b.head.Example())
	}
	for _, k := range b.words {
		fmt.Fprintf(&w, "\n## `%s`\n\n%s\n", usage(k), markdown(sentence(k.Doc)))
		list := fields(k)
		if example := k.Example(); example != "" && !k.HasBlock() {
			list = append(list, field{"example", "`" + example + "`"})
		}
		if len(list) > 0 {
			w.WriteByte('\n')
		}
		for _, f := range list {
			text := f.text
			if f.name != "example" {
				text = markdown(text)
			}
			fmt.Fprintf(&w, "- %s: %s\n", f.name, text)
		}
		if k.HasBlock() && len(innerWords(k)) > 0 {
			fmt.Fprintf(&w, "- holds: [%s](%s)\n", k.Path(), pageName(k.Path()))
		}
	}
	return w.String()
}

func innerWords(k conf.Keyword) []conf.Keyword {
	for _, b := range blocks() {
		if b.path == k.Path() {
			return b.words
		}
	}
	return nil
}

// alphabet is a list of all keywords with the pages they are on.
func alphabet() string {
	pages := make(map[string][]string)
	for _, b := range blocks() {
		if twinOf(b) != "" {
			continue
		}
		for _, k := range b.words {
			pages[k.Name] = append(pages[k.Name], b.path)
		}
	}
	var w strings.Builder
	for _, word := range slices.Sorted(maps.Keys(pages)) {
		fmt.Fprintf(&w, "- `%s`:", word)
		for i, path := range pages[word] {
			if i > 0 {
				w.WriteByte(',')
			}
			title := path
			if title == "" {
				title = "outermost level"
			}
			fmt.Fprintf(&w, " [%s](%s)", title, pageName(path))
		}
		w.WriteByte('\n')
	}
	return w.String()
}

// markdown escapes what means something in running text.
func markdown(s string) string {
	return strings.NewReplacer("*", `\*`, "<", "&lt;", "[", `\[`, "_", `\_`).Replace(s)
}

func cellText(s string) string { return strings.ReplaceAll(markdown(s), "|", `\|`) }
