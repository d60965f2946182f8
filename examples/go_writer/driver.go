package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// drive is the writer's driver for `hangwatch conformance -- go_worker -conformance` (docs/conformance.md).
func drive() {
	workers := map[string]*Worker{}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		handle := "@a"
		if strings.HasPrefix(words[0], "@") {
			handle, words = words[0], words[1:]
		}
		if words[0] == "exec" {
			fmt.Println("ok")
			err := syscall.Exec("/proc/self/exe", os.Args, os.Environ())
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(call(workers, handle, words))
	}
}

func call(workers map[string]*Worker, handle string, words []string) string {
	w := workers[handle]
	n := func(i int) uint64 {
		value, err := strconv.ParseUint(words[i], 10, 64)
		if err != nil {
			panic(err)
		}
		return value
	}
	text := func(i int) string {
		if words[i] == "-" {
			return ""
		}
		value, err := url.PathUnescape(words[i])
		if err != nil {
			panic(err)
		}
		return value
	}
	bit := func(is bool) string {
		if is {
			return "1"
		}
		return "0"
	}
	switch words[0] {
	case "attach":
		if text(1) != "" {
			return "unsupported the environment alone names the segment"
		}
		made, err := Attach(text(2))
		if err != nil && errors.Is(err, errFull) {
			return fmt.Sprintf("error 5 %v", err)
		} else if err != nil {
			return fmt.Sprintf("error 3 %v", err)
		}
		workers[handle] = made
		if !made.Attached() {
			return "detached"
		}
		return fmt.Sprintf("slot %d", made.slot)
	case "is_attached":
		return bit(w.Attached())
	case "should_stop":
		return bit(w.ShouldStop())
	case "phase":
		w.Phase(n(1), 0)
	case "phase_total":
		w.Phase(n(1), n(2))
	case "begin_job":
		w.BeginJob(Job{ID: text(1), Model: text(2), Total: n(3)})
	case "begin_job_with":
		job := Job{ID: text(1), Model: text(2), Total: n(3), Batch: n(4), Size: n(5), DeadlineMs: n(6)}
		if words[7] != "-" {
			device := n(7)
			job.Device = &device
		}
		w.BeginJob(job)
	case "step":
		w.Step(n(1))
	case "beat":
		w.Beat()
	case "alive":
		w.Alive()
	case "begin_pass":
		w.BeginPass()
	case "extend":
		w.Extend(n(1))
	case "note":
		w.Note(text(1))
	case "end_job":
		w.EndJob(words[1])
	case "detach":
		w.Detach()
	case "storm":
		for i := uint64(1); i <= n(1); i++ {
			id := strconv.FormatUint(i, 10)
			w.BeginJob(Job{ID: id, Model: id, Total: 1_000_000 + i})
			w.Step(i)
			w.Step(500_000 + i)
			w.Beat()
			if i%2 == 0 {
				w.EndJob("ok")
			}
		}
	default:
		return "unsupported" // fork among them: a Go process cannot
	}
	return "ok"
}
