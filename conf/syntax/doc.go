// Package syntax reads any file of the configuration language into lines and a
// tree of statements with positions. It knows no keyword: what a word means is
// not its business. The formatter, programs that look at the text of a file, and
// fuzzers need no more than it; package conf gives the tree its meaning.
//
// A file passes through these stages, each a small file of this package:
//
//	include    files and include lines with globs, braces and checks
//	comment    comments; lines of at most 1023 bytes
//	pipeline   @id: lines for one configuration id only
//	define     $NAME: definitions, also of several lines, replaced when they are used
//	sequence   ~SEQ ~LST: lines repeated with a counter or a list
//	token      words, quotes, braces; each word remembers where it came from
//	tree       [Statement]: a keyword, its arguments and its block
//
// [Read] hands over each outermost statement as soon as it is complete, [Parse]
// yields the tree, [ParseText] reads one text alone, and [SourceLines] takes the
// lines of a file apart as they are written. None stops at the first problem: a
// [Collector] has them all, each with its [Pos] and the definitions and include
// lines that led there.
//
// In a few places the C daemon lets the syntax depend on the word: a line whose
// word sets the checks of include lines, braces that do not match, a definition
// that ends before a value. There the reader asks a [Vocabulary].
package syntax
