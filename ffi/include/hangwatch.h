/*
 * hangwatch.h: the worker's side of hangwatch, for C99 to C23 and C++11 to C++20. This file is the manual.
 *
 * A worker says what it is doing; a monitor in another process tells a hung worker from a slow, stopped or idle one, and
 * replaces it. A report is a few stores to shared memory: no system call, no lock, no allocation.
 *
 *     hangwatch_worker_t *w = hangwatch_attach(NULL, NULL, NULL);
 *     hangwatch_phase(w, HANGWATCH_PHASE_LOADING);
 *     load_model();
 *     hangwatch_begin_job(w, "a1b2c3d4", "stable_diffusion_xl", 50);
 *     for (uint64_t done = 1; done <= 50; done++) {
 *         denoise();
 *         hangwatch_step(w, done);
 *     }
 *     hangwatch_end_job(w, HANGWATCH_OUTCOME_OK);
 *     hangwatch_detach(w);
 *
 * Two ways to use it, with the same functions and the same behaviour:
 *
 *   Header only. In one file of the program, and in that alone, before the include:
 *       #define HANGWATCH_IMPLEMENTATION
 *       #include <hangwatch.h>
 *   The folder hangwatch/ beside this file comes with it. Nothing is linked, no library is installed, no other macro is
 *   needed, and what was included before does not matter. Its functions are hidden: a library that is built with them does
 *   not export them, and a program may load libhangwatch.so besides, through a plugin for one, without mixing the two.
 *   (Two copies in one process that report into one segment lock the bytes of `<segment>.liveness` each for themselves;
 *   what is lost by that is a monitor's proof of who a worker is, as hangwatch_attach() has it, nothing else.)
 *
 *   Linked. With -lhangwatch (pkg-config: hangwatch), and no macro.
 *
 * What holds for every function below
 *
 *   It never harms its host: it does not block, raise a signal, abort or throw. A report cannot fail; what can fail
 *   (attach, lanes, register_phase) says so through a hangwatch_error_t and leaves the program free to go on.
 *
 *   A worker pointer may be NULL, or detached, or inherited through fork(): then the function does nothing and returns 0,
 *   unless it says otherwise. So an instrumented program runs unchanged where nobody watches.
 *
 *   A child of vfork() shares its parent's memory, and so the worker: it must make no call, and leave by exec or _exit().
 *
 *   A worker belongs to one thread at a time, the one that works. It may be handed over with the usual synchronisation.
 *   hangwatch_alive() alone may be called beside it. No function is for signal handlers.
 *
 *   errno is left as it was.
 *
 *   Strings are UTF-8 and are copied; what is not UTF-8 is replaced character by character, what is too long is cut at a
 *   character's border. A NULL string is an empty one. Neither is an error: they are labels.
 */
#ifndef HANGWATCH_H
#define HANGWATCH_H

#include <stddef.h>
#include <stdint.h>

#if !defined(__GNUC__)
#error "hangwatch.h needs the __atomic builtins of gcc 4.7, clang 3.1 or newer"
#endif

/* The version of this header; hangwatch_version() is that of the library. */
#define HANGWATCH_VERSION "0.1.0"

/* What stands before every function. Of your own: whatever the program's functions need, such as a calling convention. */
#ifndef HANGWATCH_API
#ifdef HANGWATCH_IMPLEMENTATION
#define HANGWATCH_API __attribute__((__visibility__("hidden")))
#else
#define HANGWATCH_API
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------------------- types -- */

/*
 * A worker's hold on a slot. Made by hangwatch_attach(), hangwatch_lane() or hangwatch_gpu_lane(), ended by
 * hangwatch_detach(); use the pointer only. Its first members are written out further down so that hangwatch_step() can be inlined, not to be used.
 */
typedef struct hangwatch_worker hangwatch_worker_t;

/* What kind of failure. A number is never given another meaning; newer libraries may return numbers not listed here. */
typedef enum hangwatch_code {
    HANGWATCH_OK = 0,
    HANGWATCH_ERROR_USAGE = 1,       /* an argument or an environment variable makes no sense */
    HANGWATCH_ERROR_NOT_FOUND = 2,   /* there is no such segment, slot, phase or folder */
    HANGWATCH_ERROR_BAD_SEGMENT = 3, /* the segment is damaged, foreign, or of another version */
    HANGWATCH_ERROR_DENIED = 4,      /* permissions, ownership or mode forbid it */
    HANGWATCH_ERROR_FULL = 5,        /* no room: the file system, the slots, or the user phases */
    HANGWATCH_ERROR_HELD = 6,        /* somebody else holds it */
    HANGWATCH_ERROR_SYSTEM = 7       /* the system said no for another reason, or the library has a defect */
} hangwatch_code_e;

/*
 * Where a function puts what went wrong. It belongs to the caller and needs no initialisation; every function that takes
 * one fills it, with HANGWATCH_OK and "" where all is well. A NULL hangwatch_error_t * is allowed everywhere.
 */
typedef struct hangwatch_error {
    hangwatch_code_e code;
    /* "what: why", then lines that say what to do; no final newline; never cut within a character. */
    char message[512];
} hangwatch_error_t;

/* A phase: one of the enumerators below, or what hangwatch_register_phase() returned. */
typedef uint32_t hangwatch_phase_t;

/* What a worker is doing. The budgets are the defaults; the monitor's configuration has the last word. */
enum hangwatch_phase_id {
    HANGWATCH_PHASE_STARTING = 0,        /* attached, not yet ready for work; 80 s between beats */
    HANGWATCH_PHASE_IDLE = 1,            /* waits for a job; no budget runs */
    HANGWATCH_PHASE_RECEIVED = 2,        /* took a job, did not begin it; 80 s between beats */
    HANGWATCH_PHASE_DOWNLOADING = 3,     /* fetches a model; 121 s between steps if it reports progress, else beats */
    HANGWATCH_PHASE_DOWNLOADING_AUX = 4, /* fetches what goes with a model; the same */
    HANGWATCH_PHASE_LOADING = 5,         /* brings a model into memory; 80 s, the same */
    HANGWATCH_PHASE_COMPILING = 6,       /* compiles kernels or captures graphs; 1800 s between beats */
    HANGWATCH_PHASE_INFERENCE = 7,       /* steps through a job; 600 s without a sign of life, 600 s without progress */
    HANGWATCH_PHASE_POST_PROCESSING = 8, /* decode, encode, upscale; 60 s between beats, and 3 s for each of the batch */
    HANGWATCH_PHASE_SAFETY = 9,          /* checks the result; 60 s between beats */
    HANGWATCH_PHASE_ENDING = 10,         /* shuts down; 60 s between beats */
    HANGWATCH_PHASE_ENDED = 11           /* done; the process may end at any time */
};

/* What hangwatch_register_phase() returns where it cannot register: may be entered, and is judged as work. */
#define HANGWATCH_PHASE_UNKNOWN UINT32_C(65535)

/* What a phase of your own is to the monitor. */
typedef enum hangwatch_class {
    HANGWATCH_CLASS_WORK = 0, /* the worker should advance: its budget runs */
    HANGWATCH_CLASS_IDLE = 1, /* the worker waits for work: no budget runs */
    HANGWATCH_CLASS_EXIT = 2  /* the worker is on its way out */
} hangwatch_class_e;

/* How a job ended. */
typedef enum hangwatch_outcome {
    HANGWATCH_OUTCOME_OK = 0,
    HANGWATCH_OUTCOME_FAILED = 1,
    HANGWATCH_OUTCOME_CANCELLED = 2
} hangwatch_outcome_e;

/* Totals that are not a number of units. */
#define HANGWATCH_TOTAL_NONE UINT64_C(0)      /* reports no progress: judged by its heartbeat alone, unless it does step */
#define HANGWATCH_TOTAL_UNKNOWN UINT64_MAX    /* reports progress towards a total not known (an LLM's tokens) */

/* hangwatch_job_t.device, and that of a GPU lane: the one that was named last, by a job or at attach. */
#define HANGWATCH_DEVICE_UNCHANGED UINT32_MAX

/*
 * A job with all that may be said of it. Start from HANGWATCH_JOB_INIT and set what you know:
 *     hangwatch_job_t job = HANGWATCH_JOB_INIT;
 *     job.id = "a1b2c3d4";
 * It and its strings are read during the call only.
 */
typedef struct hangwatch_job {
    size_t struct_size;   /* sizeof(hangwatch_job_t), from HANGWATCH_JOB_INIT: tells versions of this struct apart */
    const char *id;       /* up to 64 bytes */
    const char *model;    /* up to 96 bytes */
    uint64_t total;       /* units of progress, or HANGWATCH_TOTAL_NONE or _UNKNOWN */
    uint64_t batch;       /* images, prompts or rows at once: lengthens the budget of post-processing; 0 not said */
    uint64_t size;        /* its size in a unit of yours (pixels, tokens): jobs of one size are compared; 0 not said */
    uint64_t deadline_ms; /* how long it may take in all, which no lease extends; 0 for ever */
    uint32_t device;      /* the device it runs on, or HANGWATCH_DEVICE_UNCHANGED */
    uint32_t reserved;    /* 0 */
} hangwatch_job_t;

#define HANGWATCH_JOB_INIT {sizeof(hangwatch_job_t), NULL, NULL, 0, 0, 0, 0, HANGWATCH_DEVICE_UNCHANGED, 0}

/* --------------------------------------------------------------------------------------------------------- attach -- */

/*
 * Attaches to `segment`: a name, or a path if it has a slash. It is made if it is absent. `name` is the worker's label, up
 * to 40 bytes; labels may repeat.
 *
 * NULL for `segment` reads HANGWATCH_SEGMENT; where that is unset or empty too, the worker is detached, which is no error.
 * NULL for `name` reads HANGWATCH_NAME. HANGWATCH_SLOT and HANGWATCH_DEVICE, which `hangwatch run` sets, are honoured.
 *
 * A monitor that did not spawn this process may end it when it hangs, if it can prove who it is: by a lock on the slot's
 * byte of `<segment>.liveness`, which is held until the detach. The kernel drops it when anything in this process closes that
 * file, and at exec; to lack it is no error, the worker is only observed then.
 *
 * Returns NULL on failure, with *err saying why; the program may go on with the NULL. The calling thread should be the one
 * that will work: the monitor takes notice when it ends.
 */
HANGWATCH_API hangwatch_worker_t *hangwatch_attach(const char *segment, const char *name, hangwatch_error_t *err);

/* 1 if reports reach a slot; 0 for NULL, a detached worker, and one inherited through fork(). */
HANGWATCH_API int hangwatch_is_attached(const hangwatch_worker_t *w);

/* The index of its slot, or -1 where hangwatch_is_attached() is 0. */
HANGWATCH_API int32_t hangwatch_slot(const hangwatch_worker_t *w);

/* The library's version, such as "0.1.0". Never NULL; lives as long as the library. */
HANGWATCH_API const char *hangwatch_version(void);

/* ---------------------------------------------------------------------------------------------------------- phases -- */

/*
 * Enters a phase, in place of all sections that are open. Inside a job the phase's count starts anew, and inference gets its
 * own count back when the job returns to it. A value over 65535 is taken as HANGWATCH_PHASE_UNKNOWN.
 */
HANGWATCH_API void hangwatch_phase(hangwatch_worker_t *w, hangwatch_phase_t phase);

/* Enters a phase that counts `total` units with hangwatch_step(): a load's bytes. */
HANGWATCH_API void hangwatch_phase_total(hangwatch_worker_t *w, hangwatch_phase_t phase, uint64_t total);

/*
 * Enters a section within the phase or section that is open: a load or a compile in the middle of a job, with a budget and a
 * count of its own (`total` as in hangwatch_job_t). When it is left, the one around it goes on with its count and with what
 * it had left of its budget.
 *
 *     hangwatch_enter(w, HANGWATCH_PHASE_LOADING, HANGWATCH_TOTAL_NONE);
 *     load_lora();
 *     hangwatch_leave(w);
 *
 * Eight are open at most, the phase that they are in among them; one more changes nothing, nor does leaving it.
 * hangwatch_phase(), hangwatch_begin_job() and hangwatch_end_job() end all of them.
 */
HANGWATCH_API void hangwatch_enter(hangwatch_worker_t *w, hangwatch_phase_t phase, uint64_t total);

/* Leaves the section entered last; without one it does nothing. */
HANGWATCH_API void hangwatch_leave(hangwatch_worker_t *w);

/*
 * Registers a phase of your own (its name 1 to 48 bytes) with its budget (0: none), or finds it by name, built-in ones
 * included; the first who registers a name sets its class and budget. All workers of a segment share 48 of them.
 *
 * Returns HANGWATCH_PHASE_UNKNOWN on failure, with *err saying why. Where w is NULL or detached a phase that is not built in
 * is HANGWATCH_PHASE_UNKNOWN too, without an error.
 */
HANGWATCH_API hangwatch_phase_t hangwatch_register_phase(hangwatch_worker_t *w, const char *name,
                                                         hangwatch_class_e phase_class, uint64_t budget_ms,
                                                         hangwatch_error_t *err);

/* ------------------------------------------------------------------------------------------------------------ jobs -- */

/* Begins a job: enters inference with a count of its own. `total` is as in hangwatch_job_t. */
HANGWATCH_API void hangwatch_begin_job(hangwatch_worker_t *w, const char *id, const char *model, uint64_t total);

/* The same with more said of it. A NULL job, or one without its struct_size, begins a job of which nothing is known. */
HANGWATCH_API void hangwatch_begin_job_with(hangwatch_worker_t *w, const hangwatch_job_t *job);

/*
 * `done` units of this count are done: steps, tokens, bytes. About a nanosecond, and a read of the coarse clock (5 ns)
 * where stamps are on. Only a `done` above all before it in the same count is progress; one that falls back is counted as
 * a fall. UINT64_MAX means "none yet" in the slot and is not for callers.
 */
static inline void hangwatch_step(hangwatch_worker_t *w, uint64_t done);

/* The working thread lives, without progress. */
static inline void hangwatch_beat(hangwatch_worker_t *w);

/*
 * Some helper thread lives: shows that the process runs, never that the work advances. Any thread may call it beside the
 * working one; hangwatch_detach() must wait until no such call is running or will come.
 */
HANGWATCH_API void hangwatch_alive(hangwatch_worker_t *w);

/* The count starts again within the job, and legitimately: a second pass at a higher resolution. */
HANGWATCH_API void hangwatch_begin_pass(hangwatch_worker_t *w);

/*
 * A lease: "I may be silent for `ms` milliseconds from now" (a compile, a graph capture, a checkpoint). It suspends the
 * heartbeat, progress and phase clocks, never a job's deadline. The newest replaces the one before, 0 ends it, and so do a
 * phase change, the end of the job, and progress. The monitor caps it.
 */
HANGWATCH_API void hangwatch_extend(hangwatch_worker_t *w, uint64_t ms);

/* Free text beside the job, up to 96 bytes, shown with it until the next job begins. */
HANGWATCH_API void hangwatch_note(hangwatch_worker_t *w, const char *text);

/* Ends the job and enters idle. A value that is no outcome counts as HANGWATCH_OUTCOME_FAILED. */
HANGWATCH_API void hangwatch_end_job(hangwatch_worker_t *w, hangwatch_outcome_e outcome);

/* 1 if the monitor asks this worker to stop: finish or abandon the job and end. One load; ask as often as you like. */
HANGWATCH_API int hangwatch_should_stop(const hangwatch_worker_t *w);

/* ------------------------------------------------------------------------------------------------- lanes, and the end -- */

/*
 * A worker of its own, in a slot of its own, for a job in flight beside w's: a wedged job is then not hidden by healthy
 * ones. `name` is its label, up to 24 bytes. It may go to another thread, may outlive w, and is detached by itself.
 *
 * Returns NULL on failure, with *err saying why; a detached worker, without an error, where w is NULL or detached.
 */
HANGWATCH_API hangwatch_worker_t *hangwatch_lane(hangwatch_worker_t *w, const char *name, hangwatch_error_t *err);

/*
 * A lane that a device writes itself, in a slot that is a page of its own: while a kernel runs, progress and beats are the
 * device's. hangwatch_step() and hangwatch_beat() do nothing on it; all else the host says between kernels: it begins a job
 * before the launch and ends it once it has waited for the kernel's end. The lane begins idle. `name` as for a lane; `device`
 * is the number that people know it by (HANGWATCH_DEVICE_UNCHANGED: w's), which no job changes. The host's own slot goes on beside it, so that a kernel which never returns is found
 * though its host thread still beats. hangwatch_cuda.cuh is the device's side, for CUDA and HIP.
 *
 * Returns as hangwatch_lane() does; fails where the segment's slots are not 4096 bytes apart (HANGWATCH_SLOT_SIZE=4096, or
 * `hangwatch run --slot-size 4096`, when the segment is made).
 */
HANGWATCH_API hangwatch_worker_t *hangwatch_gpu_lane(hangwatch_worker_t *w, const char *name, uint32_t device,
                                                     hangwatch_error_t *err);

/* Gives the slot back and frees w, in a forked child only the latter. Call it in the child too, or let exec() or exit() do. */
HANGWATCH_API void hangwatch_detach(hangwatch_worker_t *w);

/* -------------------------------------------------------------------------------------- for bindings that cannot inline -- */

/* hangwatch_step() and hangwatch_beat() as functions of the library, for callers that have no C compiler (cgo, JNI, ctypes).
 * A call more, otherwise the same. */
HANGWATCH_API void hangwatch_step_linked(hangwatch_worker_t *w, uint64_t done);
HANGWATCH_API void hangwatch_beat_linked(hangwatch_worker_t *w);

/* ------------------------------------------------------------------------------------------------- what a slot holds -- */

/* A word of shared memory: 8 bytes, aligned to 8 on 32-bit machines too, only ever read and written whole and atomically. */
typedef uint64_t hangwatch_word_t __attribute__((__aligned__(8)));

/*
 * A slot, as every language sees it (layout 1.0). Bits are drawn from the highest: gen16|count48 is a generation of 16 bits
 * over a count of 48. The generation is how often the slot was claimed. Written here to be read; programs use the functions.
 */
typedef struct hangwatch_slot_words {
    /* written by the working thread */
    hangwatch_word_t beat;              /* 000 gen16|count48; Release, the last store of every report */
    hangwatch_word_t progress;          /* 008 units done in this count; UINT64_MAX none yet */
    hangwatch_word_t phase;             /* 010 id16|section12|depth3|job_open1|entry32 */
    hangwatch_word_t stamp_ns;          /* 018 CLOCK_MONOTONIC_COARSE of the last beat; 0 none */
    hangwatch_word_t lease;             /* 020 seq16|ms48 */
    hangwatch_word_t epoch;             /* 028 job32|pass16|falls16 */
    hangwatch_word_t progress_stamp_ns; /* 030 the same clock at the last advance */
    hangwatch_word_t alive;             /* 038 gen16|count48, by a helper thread */
    hangwatch_word_t total;             /* 040 units in all; 0 none, UINT64_MAX unknown */
    hangwatch_word_t jobs_ok;           /* 048 jobs that ended well */
    hangwatch_word_t jobs_bad;          /* 050 failed32|cancelled32 */
    hangwatch_word_t reserved[5];       /* 058 0 */
    /* written by the claimer */
    hangwatch_word_t owner;               /* 080 gen16|tag8|kind8|pid32; by compare-and-swap only */
    hangwatch_word_t starttime;           /* 088 field 22 of the claimer's /proc/self/stat */
    hangwatch_word_t pidfd_ino;           /* 090 inode of its pidfd; 0 unknown */
    hangwatch_word_t namespaces;          /* 098 pidns32|timens32 */
    hangwatch_word_t tid;                 /* 0A0 tid32|sub32 */
    hangwatch_word_t claimed_boottime_ns; /* 0A8 CLOCK_BOOTTIME of the claim */
    /* written by the monitor, but for info_seq, which is the owner's */
    hangwatch_word_t cmd;         /* 0B0 gen16|cmd8|arg40 */
    hangwatch_word_t info_seq;    /* 0B8 info records published; its low bit names the readable copy */
    hangwatch_word_t seen_beat;   /* 0C0 the last beat the monitor saw */
    hangwatch_word_t beat_at;     /* 0C8 the monitor's clock when it changed */
    hangwatch_word_t verdict;     /* 0D0 verdict8|reason8|gen16|entry32 */
    hangwatch_word_t restarts;    /* 0D8 replacements of this slot's worker */
    hangwatch_word_t high_mark;   /* 0E0 the highest progress of this count */
    hangwatch_word_t progress_at; /* 0E8 the monitor's clock when it rose */
    hangwatch_word_t epoch_seen;  /* 0F0 the epoch of those two */
    hangwatch_word_t episode;     /* 0F8 the open episode; 0 none */
    /* written by the owner: job, model, name, lane, detail */
    hangwatch_word_t info[2][48]; /* 100, 280 */
} hangwatch_slot_t;

/* ------------------------------------------------------------------------------- below here nothing is for programs -- */

/* struct timespec; the library checks that it is. */
struct hangwatch_time_ {
    long s;
    long ns;
};

/* The part of a worker that the inline functions use. The rest follows it, so a worker is never made, copied or measured
 * in C. */
struct hangwatch_worker {
    const uint8_t *canary; /* reads 1 while the worker lives; 0 when detached, in a forked child, and of a GPU lane */
    hangwatch_slot_t *slot;
    void *segment;
    uint64_t local;     /* the beat word last stored */
    uint64_t last;      /* `done` of the last step of this count */
    uint64_t next_mark; /* the least `done` that advances */
    uint64_t epoch;     /* the epoch word last stored */
    int (*clock)(int, struct hangwatch_time_ *); /* clock_gettime where reports carry the coarse clock, else NULL */
};

/* A cast, in C++ not one of the old style. */
#ifdef __cplusplus
#define HANGWATCH_AS_(type, value) static_cast<type>(value)
#else
#define HANGWATCH_AS_(type, value) ((type)(value))
#endif

/* CLOCK_MONOTONIC_COARSE in ns. The C library's own function, held in the worker: <time.h> shows it only where a feature
 * macro asks for it, and a function of this library around it would cost a call more. */
static inline uint64_t hangwatch_now_coarse_(const hangwatch_worker_t *w)
{
    struct hangwatch_time_ now;
    return w->clock(6, &now) == 0 ? HANGWATCH_AS_(uint64_t, now.s) * UINT64_C(1000000000) + HANGWATCH_AS_(uint64_t, now.ns) : 0;
}

static inline void hangwatch_publish_beat_(hangwatch_worker_t *w)
{
    w->local++;
    /* Release: pairs with the reader's Acquire after the beat; a beat that is seen implies its progress and stamps. */
    __atomic_store_n(&w->slot->beat, w->local, __ATOMIC_RELEASE);
}

static inline void hangwatch_beat(hangwatch_worker_t *w)
{
    /* Relaxed: set once before the worker was made; the kernel zeroes it in a forked child. */
    if (w == NULL || __atomic_load_n(w->canary, __ATOMIC_RELAXED) == 0)
        return;
    /* Relaxed, here and in a step but for the beat: the beat carries them all. */
    if (w->clock != NULL)
        __atomic_store_n(&w->slot->stamp_ns, hangwatch_now_coarse_(w), __ATOMIC_RELAXED);
    hangwatch_publish_beat_(w);
}

static inline void hangwatch_step(hangwatch_worker_t *w, uint64_t done)
{
    if (w == NULL || __atomic_load_n(w->canary, __ATOMIC_RELAXED) == 0)
        return;
    /* All that stamps need in one place: a step without them asks once whether there are any, and not three times. */
    if (w->clock != NULL) {
        uint64_t now = hangwatch_now_coarse_(w);
        if (done >= w->next_mark) {
            w->next_mark = done + 1;
            __atomic_store_n(&w->slot->progress_stamp_ns, now, __ATOMIC_RELAXED);
        }
        __atomic_store_n(&w->slot->stamp_ns, now, __ATOMIC_RELAXED);
    }
    if (done < w->last) {
        /* The low 16 bits count falls, and wrap without touching the pass above them. */
        w->epoch = (w->epoch & ~UINT64_C(0xffff)) | ((w->epoch + 1) & UINT64_C(0xffff));
        /* Relaxed: job and pass are unchanged; a fall seen late is seen at the next poll. */
        __atomic_store_n(&w->slot->epoch, w->epoch, __ATOMIC_RELAXED);
    }
    w->last = done;
    __atomic_store_n(&w->slot->progress, done, __ATOMIC_RELAXED);
    hangwatch_publish_beat_(w);
}

/* The drawing above is the contract between languages; a compiler that lays it out otherwise must not get past here. */
#if defined(__cplusplus)
#define HANGWATCH_ASSERT_(name, holds) static_assert(holds, #name)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
/* __extension__: -Wpedantic takes __atomic_always_lock_free for no constant. */
#define HANGWATCH_ASSERT_(name, holds) __extension__ _Static_assert(holds, #name)
#else
#define HANGWATCH_ASSERT_(name, holds) __extension__ struct hangwatch_assert_##name { int name : (holds) ? 1 : -1; }
#endif
#define HANGWATCH_AT_(field, at) HANGWATCH_ASSERT_(slot_##field, offsetof(hangwatch_slot_t, field) == (at))
/* On 64-bit machines; elsewhere the order decides, and the library checks the same struct when it is built. */
#define HANGWATCH_HELD_AT_(field, at) \
    HANGWATCH_ASSERT_(worker_##field, sizeof(void *) != 8 || offsetof(struct hangwatch_worker, field) == (at))

HANGWATCH_AT_(beat, 0x000);
HANGWATCH_AT_(progress, 0x008);
HANGWATCH_AT_(phase, 0x010);
HANGWATCH_AT_(stamp_ns, 0x018);
HANGWATCH_AT_(lease, 0x020);
HANGWATCH_AT_(epoch, 0x028);
HANGWATCH_AT_(progress_stamp_ns, 0x030);
HANGWATCH_AT_(alive, 0x038);
HANGWATCH_AT_(total, 0x040);
HANGWATCH_AT_(jobs_ok, 0x048);
HANGWATCH_AT_(jobs_bad, 0x050);
HANGWATCH_AT_(reserved, 0x058);
HANGWATCH_AT_(owner, 0x080);
HANGWATCH_AT_(starttime, 0x088);
HANGWATCH_AT_(pidfd_ino, 0x090);
HANGWATCH_AT_(namespaces, 0x098);
HANGWATCH_AT_(tid, 0x0a0);
HANGWATCH_AT_(claimed_boottime_ns, 0x0a8);
HANGWATCH_AT_(cmd, 0x0b0);
HANGWATCH_AT_(info_seq, 0x0b8);
HANGWATCH_AT_(seen_beat, 0x0c0);
HANGWATCH_AT_(beat_at, 0x0c8);
HANGWATCH_AT_(verdict, 0x0d0);
HANGWATCH_AT_(restarts, 0x0d8);
HANGWATCH_AT_(high_mark, 0x0e0);
HANGWATCH_AT_(progress_at, 0x0e8);
HANGWATCH_AT_(epoch_seen, 0x0f0);
HANGWATCH_AT_(episode, 0x0f8);
HANGWATCH_AT_(info, 0x100);
HANGWATCH_ASSERT_(slot_is_1024_bytes, sizeof(hangwatch_slot_t) == 1024);

HANGWATCH_HELD_AT_(canary, 0);
HANGWATCH_HELD_AT_(slot, 8);
HANGWATCH_HELD_AT_(segment, 16);
HANGWATCH_HELD_AT_(local, 24);
HANGWATCH_HELD_AT_(last, 32);
HANGWATCH_HELD_AT_(next_mark, 40);
HANGWATCH_HELD_AT_(epoch, 48);
HANGWATCH_HELD_AT_(clock, 56);
HANGWATCH_ASSERT_(job_is_64_bytes, sizeof(void *) != 8 || sizeof(hangwatch_job_t) == 64);
/* Fails under -fshort-enums, which changes how enumerators are passed. */
HANGWATCH_ASSERT_(enums_are_ints, sizeof(hangwatch_code_e) == 4 && sizeof(hangwatch_outcome_e) == 4 &&
                                      sizeof(hangwatch_class_e) == 4);
#ifndef __CUDA_ARCH__ /* what the host can do; device code does not come here */
HANGWATCH_ASSERT_(words_are_lock_free, __atomic_always_lock_free(sizeof(hangwatch_word_t), 0));
#endif

#undef HANGWATCH_HELD_AT_
#undef HANGWATCH_AT_
#undef HANGWATCH_ASSERT_

#ifdef __cplusplus
}
#endif

#ifdef HANGWATCH_IMPLEMENTATION
#include "hangwatch/implementation.h"
#endif

#endif /* HANGWATCH_H */
