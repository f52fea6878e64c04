package loop

// Slices carries out steps, each in a turn of its own, and then done. The first runs
// at once. So long work lets timers and descriptors pass between its parts.
func (l *Loop) Slices(steps []func(), done func()) {
	var next func()
	next = func() {
		if len(steps) == 0 {
			done()
			return
		}
		steps[0]()
		steps = steps[1:]
		l.Post(next)
	}
	next()
}
