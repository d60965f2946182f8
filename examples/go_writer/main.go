package main

import (
	"flag"
	"fmt"
	"os"
)

// Plays inference, step by step, and can be told to hang, so that a monitor can be seen at work.
func main() {
	steps := flag.Uint64("steps", 50, "steps of a job")
	stepMs := flag.Uint64("step-ms", 100, "milliseconds of a step")
	jobs := flag.Uint64("jobs", 1, "jobs to run, 0 for no end")
	model := flag.String("model", "stable_diffusion_xl", "the model's name")
	hangAt := flag.Int64("hang-at", -1, "hang for ever at this percentage of a job")
	hangReplica := flag.Int64("hang-replica", -1, "hang only if this is replica N")
	replica := flag.Int64("replica", 0, "which replica this is")
	beats := flag.Bool("beat-while-hung", false, "go on beating while hung: progress alone stands still")
	conformance := flag.Bool("conformance", false, "be driven by 'hangwatch conformance' instead")
	flag.Parse()
	if *conformance {
		drive()
		return
	}
	if *hangReplica >= 0 && *hangReplica != *replica {
		*hangAt = -1
	}
	w, err := Attach("")
	if err != nil {
		fmt.Fprintf(os.Stderr, "go_writer: %v\n  going on unwatched\n", err)
	}
	if w.Attached() {
		fmt.Printf("go_writer: pid %d, slot %d\n", os.Getpid(), w.slot)
	} else {
		fmt.Printf("go_writer: pid %d, detached\n", os.Getpid())
	}
	w.Phase(loading, 0)
	sleep(*stepMs)
	w.Phase(idle, 0)
	runJob := func() string {
		for done := uint64(0); ; done++ {
			if done > 0 {
				w.Step(done)
			}
			for *hangAt >= 0 && done*100 >= uint64(*hangAt)**steps {
				sleep(*stepMs) // what a deadlock or a lost GPU looks like from outside
				if *beats {
					w.Beat()
				}
			}
			if w.ShouldStop() {
				return "cancelled"
			}
			if done == *steps {
				return "ok"
			}
			sleep(*stepMs)
		}
	}
	for job := uint64(0); (*jobs == 0 || job < *jobs) && !w.ShouldStop(); job++ {
		w.BeginJob(Job{ID: fmt.Sprintf("go-%d-%d", os.Getpid(), job), Model: *model, Total: *steps})
		w.EndJob(runJob())
	}
	w.Phase(ending, 0)
	w.Detach()
}
