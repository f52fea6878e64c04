package loop

import "sync"

// A Worker is a goroutine beside the loop that runs functions which can block, such as
// requests to the kernel, one after the other.
type Worker struct {
	loop *Loop
	wake chan struct{} // holds one token when there may be work
	done chan struct{}

	mu     sync.Mutex
	queue  []job
	closed bool
}

type job struct{ work, then func() }

// NewWorker starts a worker.
func (l *Loop) NewWorker() *Worker {
	w := &Worker{loop: l, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go w.run()
	return w
}

// Do has work run after all work before it, and then calls in the loop; nil: nothing is
// to be called. It never blocks.
func (w *Worker) Do(work, then func()) {
	w.mu.Lock()
	w.queue = append(w.queue, job{work, then})
	w.mu.Unlock()
	w.wakeUp()
}

// Close returns when all work is done.
func (w *Worker) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.wakeUp()
	<-w.done
}

func (w *Worker) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *Worker) run() {
	defer close(w.done)
	for {
		w.mu.Lock()
		jobs, closed := w.queue, w.closed
		w.queue = nil
		w.mu.Unlock()
		if len(jobs) == 0 {
			if closed {
				return
			}
			<-w.wake
			continue
		}
		for _, j := range jobs {
			if j.work(); j.then != nil {
				w.loop.Post(j.then)
			}
		}
	}
}
