package conf

// nearest is the keyword of a block that a misspelt word most likely means; ""
// if none is close.
func nearest(word string, b *block) string {
	if len(word) < 3 || len(word) > 64 {
		return ""
	}
	best, distance := "", max(1, len(word)/4)+1
	for _, k := range b.order {
		if b.words[k.Name] == nil {
			continue // a placeholder, not a word
		}
		if n := editDistance(word, k.Name, distance); n < distance {
			best, distance = k.Name, n
		}
	}
	return best
}

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b. It gives up at limit.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	var rows [3][80]int
	if len(b) >= len(rows[0]) {
		return limit
	}
	before, above, row := rows[0][:], rows[1][:], rows[2][:]
	for j := range len(b) + 1 {
		above[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		smallest := row[0]
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			n := min(above[j+1]+1, row[j]+1, above[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				n = min(n, before[j-1]+1)
			}
			row[j+1] = n
			smallest = min(smallest, n)
		}
		if smallest >= limit {
			return limit
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}

// blockOf returns the block in which a word would be known, if there is exactly one.
func blockOf(word string) string {
	found := ""
	var search func(b *block)
	count := 0
	search = func(b *block) {
		if b.words[word] != nil {
			count++
			found = "in " + b.path
			if b.path == "" {
				found = "at the outermost level"
			}
		}
		for _, k := range b.order {
			if k.block != nil {
				search(k.block)
			}
		}
	}
	search(root())
	if count != 1 {
		return ""
	}
	return found
}
