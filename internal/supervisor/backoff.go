package supervisor

import "time"

const (
	backoffStep = time.Second
	backoffMax  = time.Minute
	// wellAfter is how long a child must have run for its death to count as
	// the first one.
	wellAfter = time.Minute
	// atOnce is how many successors start without waiting.
	atOnce = 3
)

// backoff spaces the starts of a child that keeps dying: the first successors
// start at once, so that they can take over the addresses within an advert
// interval, the later ones after 1 s, 2 s, 4 s and so on, at most a minute.
type backoff struct{ deaths int }

// after returns how long to wait after the death of a child that ran for ran.
func (b *backoff) after(ran time.Duration) time.Duration {
	if ran >= wellAfter {
		b.deaths = 0
	}
	b.deaths++
	if b.deaths <= atOnce {
		return 0
	}
	return min(backoffStep<<min(b.deaths-atOnce-1, 10), backoffMax)
}
