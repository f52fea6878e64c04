// Package conf reads the configuration language of keepalived.conf.
//
// # From text to configuration
//
// A file passes through these stages, each a few small files of this package:
//
//	source     files and include lines with globs, braces and checks
//	lines      comments, at most 1023 bytes
//	@id        lines for one configuration id only
//	$NAME      definitions, also of several lines, replaced when they are used
//	~SEQ ~LST  lines repeated with a counter or a list
//	tokens     words, quotes, braces; each word remembers where it came from
//	tree       [Statement]: a keyword, its arguments and its block
//	schema     [Schema]: what may stand where, with which arguments
//	Config     typed and effective: defaults, inheritance and limits applied
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
// Declare it in the schema_*.go file of its block, with its arguments, default
// and one line of meaning, and give it a function that stores the value (sets).
// Without one it is accepted, checked, and a warning names it. If its
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
