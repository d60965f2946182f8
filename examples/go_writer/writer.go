// A hangwatch worker in pure Go: no cgo, no module from outside. It writes its slot itself (layout 1.0, docs/conformance.md).
//
//	go build -o go_worker ./examples/go_writer
//	hangwatch run --replicas 2 -- ./go_worker --hang-at 25 --hang-replica 0 --replica {i}
//
// sync/atomic has compare-and-swap, so a free slot can be claimed as well as a reserved one. Its stores are sequentially
// consistent, which is more than the layout asks for. Go reads the coarse clock only by a system call, so nothing is stamped: ages
// are a monitor's alone then.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"
	"unsafe"
)

// Words of a slot.
const (
	beat, progress, phase, stamp, lease, epoch, progressStamp, alive, total, jobsOK, jobsBad = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
	owner, starttime, pidfd, namespaces, tid, claimed, cmd, infoSeq                          = 16, 17, 18, 19, 20, 21, 22, 23
	info                                                                                     = 32 // two copies of 48 words
)

const (
	none                             = ^uint64(0) // progress before the first step; a total that is not known; no device
	free, claiming, live, reserved   = 0, 1, 2, 3
	idle, loading, inference, ending = 1, 5, 7, 10
	low48                            = 1<<48 - 1
)

// Worker is a hold on a slot. On a nil one, and after Detach, every method does nothing. It belongs to one goroutine, which should
// have locked itself to its thread: a monitor takes notice when that ends.
type Worker struct {
	words                        *[128]uint64
	slot                         int
	gen, owner, beats, alives    uint64
	phase, epoch, lease, section uint64
	last                         uint64
	job                          struct{ id, model, detail string }
	name                         string
	device, start, deadline      uint64
	batch, size                  uint64
	ok, failed, cancelled        uint64
	inference                    *count // the job's, while another phase has its place
	lock                         *os.File
}

type count struct{ flags, progress, total, last uint64 }

// The segments of this image in which it has claimed a slot, and their liveness files. One goroutine attaches at a time.
var (
	holds    = map[string]bool{}
	liveness = map[string]*os.File{}
)

func (w *Worker) put(word int, value uint64) { atomic.StoreUint64(&w.words[word], value) }
func (w *Worker) get(word int) uint64        { return atomic.LoadUint64(&w.words[word]) }

// Attached says whether reports reach a slot.
func (w *Worker) Attached() bool { return w != nil && w.words != nil }

// Attach attaches as the environment says; nil, without an error, where it names no segment. It makes none that is absent.
func Attach(name string) (*Worker, error) {
	path := os.Getenv("HANGWATCH_SEGMENT")
	if path == "" {
		return nil, nil
	}
	if !strings.Contains(path, "/") {
		return nil, fmt.Errorf("cannot attach to segment '%s': this writer takes a path", path)
	}
	index, generation := -1, uint64(0)
	if text := os.Getenv("HANGWATCH_SLOT"); text != "" {
		if _, err := fmt.Sscanf(text, "%d:%d", &index, &generation); err != nil {
			return nil, fmt.Errorf("cannot use HANGWATCH_SLOT=%s: expected 'index:generation'", text)
		}
	}
	w := &Worker{name: name, device: none}
	if w.name == "" {
		w.name = os.Getenv("HANGWATCH_NAME")
	}
	if text := os.Getenv("HANGWATCH_DEVICE"); text != "" {
		text = strings.Split(text, ",")[0]
		device, err := strconv.ParseUint(text[strings.LastIndex(text, ":")+1:], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("cannot use HANGWATCH_DEVICE=%s: expected a device number, such as '0'", text)
		}
		w.device = device
	}
	memory, header, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open segment '%s': %w", path, err)
	}
	me := identity()
	// In order: the reserved slot; after exec one that is still this process's own, which this image has forgotten; a free one.
	tag := func(o uint64) uint64 { return o >> 40 & 0xff }
	isReserved := func(i int, o uint64) bool { return i == index && tag(o) == reserved && o>>48 == generation }
	isOwn := func(i int, o uint64) bool {
		mine := tag(o) == live && uint32(o) == uint32(os.Getpid()) && [3]uint64{w.get(starttime), w.get(pidfd), w.get(namespaces)} == me
		return mine && !holds[path]
	}
	isFree := func(_ int, o uint64) bool { return tag(o) == free }
	for _, may := range []func(int, uint64) bool{isReserved, isOwn, isFree} {
		for i := 0; i < int(header[5]); i++ {
			w.words = (*[128]uint64)(unsafe.Pointer(&memory[header[6]+header[4]*uint64(i)]))
			if seen := w.get(owner); may(i, seen) && w.claim(seen, me) {
				w.slot, holds[path] = i, true
				w.lock = lock(path+".liveness", i)
				return w, nil
			}
		}
	}
	syscall.Munmap(memory)
	return nil, fmt.Errorf("cannot attach to segment '%s': %w", path, errFull)
}

var errFull = errors.New("all slots are taken")

// open maps a segment, once it is known to be one.
func open(path string) ([]byte, *[32]uint64, error) {
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	about, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	uid := about.Sys().(*syscall.Stat_t).Uid
	if !about.Mode().IsRegular() || uid != uint32(os.Geteuid()) || about.Mode().Perm()&0o022 != 0 {
		return nil, nil, errors.New("it is no regular file of ours alone")
	}
	bytes := make([]byte, 256)
	if _, err := file.ReadAt(bytes, 0); err != nil {
		return nil, nil, errors.New("it is truncated")
	}
	header, check := new([32]uint64), uint64(0xcbf29ce484222325)
	for i := range header {
		header[i] = binary.LittleEndian.Uint64(bytes[8*i:])
	}
	for _, b := range bytes[8:248] {
		check = (check ^ uint64(b)) * 0x100000001b3
	}
	size, slots, offset, length := header[4], header[5], header[6], header[7]
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	id := strings.ReplaceAll(strings.TrimSpace(string(boot)), "-", "")
	switch {
	case header[0] != 0x3130484354574748 || header[1] != 0x0807060504030201:
		return nil, nil, errors.New("it is no hangwatch segment of this machine")
	case header[2]>>32 != 1 || header[8] != 0:
		return nil, nil, fmt.Errorf("layout %d, features %#x; this writer knows layout 1 and none", header[2]>>32, header[8])
	case header[31] != check, size < 1024 || size%128 != 0 || size > 1<<30, slots < 1 || slots > 1<<20,
		header[3] < 4096 || offset < header[3] || offset%128 != 0 || offset > 1<<30, offset+size*slots > length:
		return nil, nil, errors.New("its header is damaged")
	case length > uint64(about.Size()):
		return nil, nil, errors.New("it is truncated")
	case fmt.Sprintf("%016x%016x", header[12], header[13]) != id:
		return nil, nil, errors.New("it was made before the last boot")
	}
	memory, err := syscall.Mmap(int(file.Fd()), 0, int(length), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	return memory, header, err
}

// identity is start time, pidfd inode and namespaces of this process: the words by which a monitor knows it.
func identity() (me [3]uint64) {
	text, _ := os.ReadFile("/proc/self/stat")
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	me[0], _ = strconv.ParseUint(fields[19], 10, 64)
	// Its inode names the process where pidfds are files of their own kind (kernel 6.9); before that it names nobody.
	if fd, _, errno := syscall.Syscall(434, uintptr(os.Getpid()), 0, 0); errno == 0 {
		var kind syscall.Statfs_t
		var about syscall.Stat_t
		if syscall.Fstatfs(int(fd), &kind) == nil && kind.Type == 0x50494446 && syscall.Fstat(int(fd), &about) == nil {
			me[1] = about.Ino
		}
		syscall.Close(int(fd))
	}
	for i, name := range []string{"time", "pid"} {
		if about, err := os.Stat("/proc/self/ns/" + name); err == nil {
			me[2] |= about.Sys().(*syscall.Stat_t).Ino & 0xffffffff << (32 * i)
		}
	}
	return me
}

func boottime() uint64 {
	var now syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 7, uintptr(unsafe.Pointer(&now)), 0)
	return uint64(now.Nano())
}

// claim swaps the exact owner word that was seen: of two claimers one gets it.
func (w *Worker) claim(seen uint64, me [3]uint64) bool {
	w.gen = (seen>>48 + 1) & 0xffff
	pid := uint64(uint32(os.Getpid()))
	if !atomic.CompareAndSwapUint64(&w.words[owner], seen, w.gen<<48|claiming<<40|pid) {
		return false
	}
	w.beats, w.alives = w.gen<<48, w.gen<<48
	for _, word := range []int{phase, stamp, lease, epoch, progressStamp, total, jobsOK, jobsBad} {
		w.put(word, 0)
	}
	w.put(beat, w.beats)
	w.put(alive, w.alives)
	w.put(progress, none)
	for i, word := range me {
		w.put(starttime+i, word)
	}
	sub := w.device & 0xffffffff
	if w.device == none {
		sub = 0
	}
	w.put(tid, uint64(syscall.Gettid())<<32|sub)
	w.put(claimed, boottime())
	w.publish()
	w.owner = w.gen<<48 | live<<40 | pid
	w.put(owner, w.owner)
	return true
}

// lock takes the slot's byte, by which a monitor that did not spawn this process can prove who it is. Any close of the file would
// drop every lock of the process on it: it is opened once, and stays open.
func lock(path string, slot int) *os.File {
	file := liveness[path]
	if file == nil {
		opened, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0o600)
		if err != nil {
			return nil // then it is only observed
		}
		file, liveness[path] = opened, opened
	}
	setLock(file, syscall.F_WRLCK, slot)
	return file
}

func setLock(file *os.File, kind int16, slot int) {
	_ = syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: kind, Start: int64(slot), Len: 1})
}

// label is what fits of a text, cut at a character's border.
func label(text string, capacity int) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if len(text) <= capacity {
		return text
	}
	for !utf8.RuneStart(text[capacity]) {
		capacity--
	}
	return text[:capacity]
}

// publish writes the record into the copy that nobody reads, then the number that names it.
func (w *Worker) publish() {
	var bytes [384]byte
	lens := uint64(0)
	for _, field := range []struct {
		text                string
		at, capacity, shift int
	}{{w.job.id, 0x40, 64, 32}, {w.job.model, 0x80, 96, 24}, {w.name, 0xe0, 40, 16}, {w.job.detail, 0x120, 96, 0}} {
		text := label(field.text, field.capacity)
		copy(bytes[field.at:], text)
		lens |= uint64(len(text)) << field.shift
	}
	for i, word := range []uint64{w.gen<<32 | w.epoch>>32, w.start, lens, w.deadline, w.batch, w.device, w.size} {
		binary.LittleEndian.PutUint64(bytes[8*i:], word)
	}
	next := w.get(infoSeq) + 1
	for i := 0; i < 48; i++ {
		w.put(info+48*int(next&1)+i, binary.LittleEndian.Uint64(bytes[8*i:]))
	}
	w.put(infoSeq, next)
}

// Beat says that the working goroutine lives.
func (w *Worker) Beat() {
	if w.Attached() {
		w.beats++
		w.put(beat, w.beats)
	}
}

// Step says that so many units of this count are done.
func (w *Worker) Step(done uint64) {
	if w.Attached() {
		if done < w.last {
			w.epoch = w.epoch&^0xffff | (w.epoch+1)&0xffff
			w.put(epoch, w.epoch)
		}
		w.last = done
		w.put(progress, done)
		w.Beat()
	}
}

// border begins another count. No reader finds the words of one with those of the other.
func (w *Worker) border(newEpoch, id, entries uint64, c count) {
	if entries > 0 && w.lease&low48 != 0 {
		w.renew(0) // an entry ends it
	}
	w.put(progress, none)
	w.put(total, 0)
	w.epoch = newEpoch
	w.put(epoch, w.epoch)
	w.phase = id<<48 | c.flags<<32 | (w.phase+entries)&0xffffffff
	w.put(phase, w.phase)
	w.put(total, c.total)
	w.put(progress, c.progress)
	w.last = c.last
}

// fresh is a count that begins now. The number of its section tells a return to it from another entry.
func (w *Worker) fresh(jobOpen, units uint64) count {
	w.section = w.section%0xfff + 1
	return count{w.section<<4 | jobOpen, none, units, 0}
}

// Phase enters a phase; a job's inference gets its own count back when the job returns to it.
func (w *Worker) Phase(id, units uint64) {
	if !w.Attached() {
		return
	}
	flags := w.phase >> 32 & 0xffff
	jobOpen := flags & 1
	if jobOpen == 1 && w.phase>>48 == inference {
		w.inference = &count{flags, w.get(progress), w.get(total), w.last}
	}
	if id > 0xffff {
		id = 0xffff
	}
	if jobOpen == 1 && id == inference {
		w.border(w.epoch, id, 1, *w.inference)
	} else {
		w.border(w.epoch, id, 1, w.fresh(jobOpen, units))
	}
	w.Beat()
}

// Job is what may be said of a job. DeadlineMs 0: none. Device nil: the one that was named last.
type Job struct {
	ID, Model                      string
	Total, Batch, Size, DeadlineMs uint64
	Device                         *uint64
}

// BeginJob enters inference with a count of its own.
func (w *Worker) BeginJob(job Job) {
	if !w.Attached() {
		return
	}
	w.job.id, w.job.model, w.job.detail = job.ID, job.Model, ""
	w.start, w.deadline, w.batch, w.size = boottime(), job.DeadlineMs*1_000_000, job.Batch, job.Size
	if job.Device != nil {
		w.device = *job.Device
	}
	w.border((w.epoch>>32+1)<<32, inference, 1, w.fresh(1, job.Total))
	w.publish()
	w.Beat()
}

// BeginPass starts the count again within the job, and legitimately.
func (w *Worker) BeginPass() {
	if w.Attached() {
		if w.inference != nil {
			w.inference = &count{w.inference.flags, none, w.inference.total, 0}
		}
		next := w.epoch>>32<<32 | (w.epoch>>16+1)&0xffff<<16
		w.border(next, w.phase>>48, 0, count{w.phase >> 32 & 0xffff, none, w.get(total), 0})
		w.Beat()
	}
}

// EndJob ends the job and enters idle. An outcome that is none counts as failed.
func (w *Worker) EndJob(outcome string) {
	if !w.Attached() {
		return
	}
	switch open := w.phase >> 32 & 1; outcome {
	case "ok":
		w.ok += open
	case "cancelled":
		w.cancelled += open
	default:
		w.failed += open
	}
	w.put(jobsOK, w.ok)
	w.put(jobsBad, w.failed<<32|w.cancelled)
	w.job.id, w.start, w.deadline, w.batch, w.size = "", 0, 0, 0, 0
	w.border(w.epoch, idle, 1, w.fresh(0, 0))
	w.publish()
	w.Beat()
}

func (w *Worker) renew(ms uint64) {
	if ms > low48 {
		ms = low48
	}
	w.lease = (w.lease>>48+1)<<48 | ms
	w.put(lease, w.lease)
}

// Extend is a lease: silent for so many milliseconds from now.
func (w *Worker) Extend(ms uint64) {
	if w.Attached() {
		w.renew(ms)
		w.Beat()
	}
}

// Note is free text beside the job.
func (w *Worker) Note(text string) {
	if w.Attached() {
		w.job.detail = text
		w.publish()
	}
}

// Alive says that some helper goroutine lives; any one may call it, before Detach.
func (w *Worker) Alive() {
	if w.Attached() {
		w.put(alive, atomic.AddUint64(&w.alives, 1))
	}
}

// ShouldStop says whether a monitor asks this worker to stop.
func (w *Worker) ShouldStop() bool { return w.Attached() && w.get(cmd)>>40 == w.gen<<8|1 }

// Detach gives the slot back, if it is still this worker's.
func (w *Worker) Detach() {
	if w.Attached() {
		w.Beat()
		if w.lock != nil {
			setLock(w.lock, syscall.F_UNLCK, w.slot)
		}
		atomic.CompareAndSwapUint64(&w.words[owner], w.owner, w.gen<<48)
		w.words = nil // the segment stays mapped: a late report of another goroutine must not fault
	}
}

func sleep(ms uint64) { time.Sleep(time.Duration(ms) * time.Millisecond) }

func init() { runtime.LockOSThread() } // main works, on the thread that attached
