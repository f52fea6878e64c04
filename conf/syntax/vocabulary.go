package syntax

// Vocabulary is what the reader asks about the words of a block, where the syntax
// depends on them.
type Vocabulary interface {
	// Knows reports whether a word is a keyword of the block. It decides which
	// brace is too many, and where one is missing.
	Knows(word string) bool
	// Block is the vocabulary of the block of a word. It is nil if the word has
	// none, or is no keyword here.
	Block(word string) Vocabulary
	// SetsChecks reports whether the arguments of a word, in whatever block, are
	// the checks of the include lines after it.
	SetsChecks(word string) bool
	// SeedsRandom reports whether the argument of a word, in whatever block, makes
	// the random numbers after it the same each time.
	SeedsRandom(word string) bool
	// LacksValue reports whether a statement of these words, in whatever block,
	// ends before the value that it needs.
	LacksValue(words []string) bool
}

// noWords is the vocabulary of a reader that was given none.
type noWords struct{}

func (noWords) Knows(string) bool        { return false }
func (noWords) Block(string) Vocabulary  { return nil }
func (noWords) SetsChecks(string) bool   { return false }
func (noWords) SeedsRandom(string) bool  { return false }
func (noWords) LacksValue([]string) bool { return false }
