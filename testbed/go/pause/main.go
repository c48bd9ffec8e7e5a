// Command pause is the first process of every pod of the testbed: it holds the pod's namespaces open, and buries the
// orphans of a pod whose containers share one process namespace.
package main

import (
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() {
	debug.SetGCPercent(-1) // it allocates next to nothing, and there is one in every pod
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGINT, syscall.SIGTERM)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		bury()
	}
}

// bury collects every child that has ended: one signal may stand for several.
func bury() {
	for {
		child, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if child <= 0 && !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}
