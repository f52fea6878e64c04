// Package conf reads the configuration language of keepalived.conf.
//
// # From text to configuration
//
// A file passes through these stages:
//
//	syntax     package syntax: from files to a tree of statements with positions
//	schema     [Schema]: what may stand where, with which arguments
//	Config     typed and effective: defaults, inheritance and limits applied
//
// Package syntax knows no keyword. The few things that it has to know about words
// it asks of a [Vocabulary], which answers from the rows of the schema. Its types
// that a configuration has too, such as [Statement] and [Diagnostic], have a name
// here as well.
//
// [Load] goes all the way. [Parse] stops at the tree. Neither stops at the first
// problem: [Diagnostics] has them all, each with its place, the place of the
// definition or include line that led there, and what to do about it. The
// wording follows the C daemon where people search for it, and so do the
// verdicts of [Diagnostics.TestExitCode] and [Diagnostics.Fatal].
//
// An outermost block is decoded when the next one begins and then
// forgotten, so that a sequence which expands to tens of thousands of virtual
// routers needs little more memory than their typed values.
//
// # Adding a keyword
//
// It touches its row, its field, the code that acts on it, and a test. Declare it
// in the schema_*.go file of its block, with its arguments, default and one line
// of meaning, and name its field of the model, as in
//
//	kw("debug", number(0, 4), "0", "how much more is logged").
//		fills(inInstance(func(v *VRRPInstance) *int { return &v.Debug }))
//
// That is all for a number, time, switch, text, address or choice: what is written
// is checked and stored, the field begins with the default, what the word inherits
// from (global, sibling, outer; see [Initial]) gives the value where no one writes
// it, and the effective view shows it with its place. A row that does not fit its
// field fails when the schema is built. A word whose value needs more has a
// function that stores it (sets), and names the fields that it decides (shows). A
// word with neither is accepted, checked, and a warning names it. A field that no
// word gives its value has a tag: view:"-" if it is not shown, else the name it is
// shown by. Where the syntax depends on the word,
// the row declares it and [Vocabulary] answers from it. If its
// notation does not make a good example, add one to the table in help.go. Then
// go test ./internal/tool/reference -update rewrites docs/reference. A new kind of
// problem gets a case in internal/tool/report/testdata/codes.
//
// # Differences from the C daemon
//
// A missing main file fails a configuration test. The block of an unknown
// keyword is skipped as a whole instead of being read one level up. A byte
// order mark is skipped with a warning. Parameters that follow each other
// endlessly, and files that include themselves, are an error. A problem in a
// line that is repeated is reported once, with a count. After a missing
// argument the rest of the file is still checked.
package conf
