package checkd

import (
	"container/list"
	"os"

	"golang.org/x/sys/unix"
)

// A gate bounds how many attempts are on their way at a time. Checks for which there
// is no room wait, in the order in which they were due: none is put off for longer
// than the others. A check that waits has not run, and is reported like any other that
// has not.
type gate struct {
	limit   int
	inside  int
	waiting list.List // of *check
}

// enter lets a check in, or has it wait.
func (g *gate) enter(c *check) bool {
	if g.inside < g.limit && g.waiting.Len() == 0 {
		g.inside++
		return true
	}
	c.place = g.waiting.PushBack(c)
	return false
}

// withdraw ends the wait of a check.
func (g *gate) withdraw(c *check) {
	g.waiting.Remove(c.place)
	c.place = nil
}

// leave gives back the room of a check and lets in who waits.
func (g *gate) leave(admit func(*check)) {
	g.inside--
	// Two for one, so that there are as many as before soon after a shortage.
	for range 2 {
		first := g.waiting.Front()
		if first == nil || g.inside >= g.limit {
			return
		}
		c := first.Value.(*check)
		g.withdraw(c)
		g.inside++
		admit(c)
	}
}

// retreat has a check inside wait again, before all others: this machine has run short
// of something. It does so only if there is another one inside, which lets it in when
// it leaves.
func (g *gate) retreat(c *check) bool {
	if g.inside < 2 {
		return false
	}
	g.inside--
	c.place = g.waiting.PushFront(c)
	return true
}

// mostSessions bounds the attempts of SSL_GET, each of which may need 50 KiB for its
// session. It is so high that servers that do not answer leave room for the others.
const mostSessions = 4096

// freeShare is the part of the descriptors that attempts may use, of those that are
// free at the start, in percent. Programs, state, dumps and the log need the rest.
const freeShare = 75

// mostAttempts derives a limit of attempts from the limit of open files and the number
// of those that are open.
func mostAttempts(files uint64, open int) int {
	const plenty = 1 << 30
	return max(1, (int(min(files, plenty))-open)*freeShare/100)
}

// descriptors is how many files this process may have open, and how many it has.
func descriptors() (limit uint64, open int) {
	var r unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &r) // it exists, and the pointer is good
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return r.Cur, 32 // no /proc: about as many as there are
	}
	return r.Cur, len(entries)
}
