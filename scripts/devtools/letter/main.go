// Letter is the program in the images that the real node runs: it prints its argument once a second, so that a pod's log
// tells which build runs. Without one it is the pause program of pods: it waits, and reaps the orphans that it inherits.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	orphans := make(chan os.Signal, 1)
	signal.Notify(orphans, syscall.SIGCHLD)
	for {
		if len(os.Args) > 1 {
			fmt.Println(os.Args[1])
		}
		select {
		case <-stop:
			return
		case <-orphans:
			for pid := 1; pid > 0; {
				pid, _ = syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			}
		case <-time.After(time.Second):
		}
	}
}
